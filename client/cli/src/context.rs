//! What every command gets: global flags, settings, and the way to a server.

use kiln_client::Client;

use crate::config::Settings;
use crate::failure::Failure;
use crate::output::Format;

/// Everything decided before a command begins.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) format: Format,
    pub(crate) settings: Settings,
}

impl Context {
    /// Connects to the server that flags, environment or configuration name, else to this machine's.
    pub(crate) async fn client(&self) -> Result<Client, Failure> {
        let address = self.settings.client_server.clone().unwrap_or_else(|| self.settings.places.server());
        Ok(Client::connect(&address).await?)
    }
}
