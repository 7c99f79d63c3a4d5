//! The operator's configuration file: a precise error or settings, never a panic.
#![no_main]

use kiln_proto::language::{LanguageFile, Table};
use kiln_proto::model::LimitPolicy;
use kiln_server::config::ServerFile;
use kiln_worker::config::WorkerFile;
use libfuzzer_sys::fuzz_target;
use serde::Deserialize;

/// The sections of the file that hold more than words.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct File {
    server: ServerFile,
    worker: WorkerFile,
    limits: Option<LimitPolicy>,
    language: Vec<LanguageFile>,
}

fuzz_target!(|text: &str| {
    let Ok(file) = toml::from_str::<File>(text) else { return };
    let limits = file.limits.unwrap_or_default();
    if let Ok(server) = kiln_server::config::Config::resolve(file.server) {
        assert_eq!(server.with_limits(limits).limits, limits);
    }
    if let Ok(worker) = kiln_worker::config::Config::resolve(file.worker) {
        assert!(worker.engine.data_dir.is_absolute());
    }
    if let Ok(languages) = Table::builtin().extend_with(file.language) {
        assert!(languages.iter().count() >= Table::builtin().iter().count());
    }
});
