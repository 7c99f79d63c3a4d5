//! What a configuration file may say. Nothing is decided here.

use std::collections::BTreeMap;
use std::path::PathBuf;

use kiln_jail::plan::Writes;
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
    pub(crate) profiles: BTreeMap<String, ProfileFile>,
}

/// `[profiles.NAME]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProfileFile {
    /// The policy; a path that is not absolute begins where the configuration is.
    pub(crate) file: PathBuf,
    /// `work`: in /work, /tmp and /dev/shm only. `root`: anywhere in the throwaway root. Default: `work`.
    pub(crate) writes: Option<Writes>,
}

/// `[client]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ClientFile {
    /// Where `run`, `submit`, `get` ... go: `unix:PATH` or `http://127.0.0.1:PORT`.
    pub(crate) server: Option<String>,
}
