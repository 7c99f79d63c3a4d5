//! What a configuration file may say. Nothing is decided here.

use kiln_proto::language::LanguageFile;
use kiln_proto::model::LimitPolicy;
use kiln_server::config::ServerFile;
use kiln_worker::config::WorkerFile;
use serde::Deserialize;

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct KilnFile {
    pub(crate) server: ServerFile,
    pub(crate) worker: WorkerFile,
    pub(crate) client: ClientFile,
    pub(crate) limits: Option<LimitPolicy>,
    pub(crate) language: Vec<LanguageFile>,
}

/// `[client]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ClientFile {
    /// Where `run`, `submit`, `get` ... go: `unix:PATH` or `http://127.0.0.1:PORT`.
    pub(crate) server: Option<String>,
}
