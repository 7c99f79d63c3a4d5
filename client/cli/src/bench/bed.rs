//! What stands while cases are measured in turns: an engine with ready sandboxes, one without, and a whole service in a process
//! of its own.

use kiln_client::Client;
use kiln_worker::config::{EngineConfig, ReadySandboxes};
use rusqlite::Connection;

use crate::context::Context;
use crate::failure::Failure;
use crate::own_service::{OwnService, Role, START};
use crate::private_runner::PrivateRunner;

/// All of it. [`Bed::stop`] leaves nothing behind.
pub(crate) struct Bed {
    pub(crate) engines: Engines,
    pub(crate) service: OwnService,
}

/// Two in this process.
pub(crate) struct Engines {
    pub(crate) ready: PrivateRunner,
    pub(crate) from_nothing: PrivateRunner,
}

impl Bed {
    pub(crate) async fn make(context: &Context) -> Result<Bed, Failure> {
        let engines = Engines::start(context).await?;
        let words = vec!["bench-target".to_owned(), "up".to_owned()];
        let role = Role { name: "the service that is measured", words, ..Role::default() };
        match OwnService::start(context, role).await {
            Ok(service) => Ok(Bed { engines, service }),
            Err(failure) => {
                engines.stop().await;
                Err(failure)
            }
        }
    }

    /// Ends all of it.
    pub(crate) async fn stop(self) -> Result<(), Failure> {
        self.engines.stop().await;
        self.service.stop().await
    }

    /// One connection for each client.
    pub(crate) async fn connect(&self, clients: usize) -> Result<Vec<Client>, Failure> {
        let mut connected = Vec::with_capacity(clients);
        for _ in 0..clients {
            connected.push(Client::connect_within(&self.service.address(), START).await?);
        }
        Ok(connected)
    }

    /// A file beside the server's store, as durable: WAL and synchronous=FULL.
    pub(crate) fn open_database(&self) -> Result<Connection, Failure> {
        let open = || {
            let connection = Connection::open(self.service.ready.directory.join("commits.db"))?;
            connection.pragma_update(None, "journal_mode", "wal")?;
            connection.pragma_update(None, "synchronous", "full")?;
            let table = "CREATE TABLE jobs (id INTEGER PRIMARY KEY, spec BLOB NOT NULL) STRICT";
            connection.execute_batch(table)?;
            Ok::<_, rusqlite::Error>(connection)
        };
        open().map_err(|error| Failure::caused("cannot make a SQLite file", &error))
    }
}

impl Engines {
    async fn start(context: &Context) -> Result<Engines, Failure> {
        let slots = context.settings.worker.engine.slots.get();
        let ready = PrivateRunner::start(context, slots, |config| config).await?;
        let none = |config| EngineConfig { ready: ReadySandboxes::None, ..config };
        match PrivateRunner::start(context, slots, none).await {
            Ok(from_nothing) => Ok(Engines { ready, from_nothing }),
            Err(failure) => {
                ready.stop().await;
                Err(failure)
            }
        }
    }

    async fn stop(self) {
        self.ready.stop().await;
        self.from_nothing.stop().await;
    }
}
