//! What the operator may set of a worker: the file's words ([`WorkerFile`]), and what they resolve to ([`Config`]).
//!
//! Resolving decides every default, so that nothing behind it asks "was it set?". It must never touch the disk.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kiln_jail::plan::CustomProfile;
use kiln_jail::wire::FilterUse;
use kiln_proto::{language, model};
use serde::Deserialize;

use crate::recorder::Recorder;

/// Commands of one step beyond its first run in jails of their own: a step has at most 8 commands.
const EXTRA_JAILS_MINIMUM: usize = 7;
const SLOTS_MAXIMUM: usize = 1024;
const NAME_BYTES_MAXIMUM: usize = 63;
const GIB: u64 = 1 << 30;

/// The `[worker]` section of the configuration file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerFile {
    /// `unix:/path` or `http://127.0.0.1:port`. Default: `unix:/run/kiln/kiln.sock`.
    pub server: Option<String>,
    /// Unique among the server's workers. Default: `<hostname>-<pid>`.
    pub name: Option<String>,
    /// Commands measured at the same time. Default: the number of cores this process may use.
    pub slots: Option<usize>,
    /// Blob cache, images and spool. Default: `/var/lib/kiln/worker`.
    pub data_dir: Option<PathBuf>,
    /// The program started as the jail. Default: this executable.
    pub jail_program: Option<PathBuf>,
    /// Host directories shown read-only in the host image, beside the toolchains.
    pub extra_read_only: Option<Vec<PathBuf>>,
    /// Whether to find out which languages the host image has. Default: true.
    pub probe_languages: Option<bool>,
    /// Layers of the sandbox that this host may lack, by name. Default: none.
    pub allow_missing: Option<Vec<String>>,
    /// Bytes of blobs kept on disk. Default: 4 GiB.
    pub blob_cache_bytes: Option<u64>,
    /// Bytes of unpacked images kept on disk. Default: 16 GiB.
    pub image_cache_bytes: Option<u64>,
    /// How long running steps may take to end when the worker stops, milliseconds. Default: 5,000.
    pub drain_ms: Option<u64>,
}

/// A worker's settings, all decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub server: ServerAddress,
    pub name: String,
    pub probe_languages: bool,
    /// The built-in languages; the caller adds the operator's.
    pub languages: language::Table,
    /// How long running steps may take to end when the worker stops.
    pub drain: Duration,
    pub engine: EngineConfig,
}

/// What running steps needs, with or without a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineConfig {
    pub slots: NonZeroUsize,
    /// Jails for the further commands of steps, at most this many at the same time.
    pub extra_jails: NonZeroUsize,
    pub data_dir: PathBuf,
    pub jail_program: JailProgramSource,
    pub extra_read_only: Vec<PathBuf>,
    pub allow_missing: Vec<String>,
    pub blob_cache_bytes: u64,
    pub image_cache_bytes: u64,
    /// What a leased step may ask for at most; the file's `[limits]` section, which server and worker share.
    pub limits: model::LimitPolicy,
    /// The file's `[profiles]`, which server and worker share.
    pub profiles: Arc<[CustomProfile]>,
    /// Has every command recorded, and gets what was seen. No configuration file asks for it.
    pub recorder: Option<Recorder>,
    /// Leaving filters out is for a bench of what they cost. No configuration file asks for it.
    pub filters: FilterUse,
    /// Having none is for a bench of what a sandbox from nothing costs. No configuration file asks for it.
    pub ready: ReadySandboxes,
}

/// Whether jails make sandboxes in advance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadySandboxes {
    Kept,
    None,
}

impl EngineConfig {
    /// Layers that a sandbox here may lack, by name.
    pub(crate) fn given_up(&self) -> Vec<String> {
        let left_out: &[&str] = match self.filters {
            FilterUse::Required => &[],
            FilterUse::LeftOut => &["landlock", "seccomp"],
        };
        self.allow_missing.iter().cloned().chain(left_out.iter().map(|&name| name.to_owned())).collect()
    }
}

/// Which file is executed as the jail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JailProgramSource {
    /// The running executable, whatever its path has become since.
    OwnExecutable,
    File(PathBuf),
}

/// Where the server is. Anything that leaves the machine is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerAddress {
    Unix(PathBuf),
    Loopback(http::Uri),
}

/// A setting that cannot be used; names the key and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("worker.{key}: {why}")]
pub struct ConfigError {
    pub key: &'static str,
    pub why: String,
}

impl Config {
    /// Decides every setting, or names the first that cannot be used.
    pub fn resolve(file: WorkerFile) -> Result<Self, ConfigError> {
        let server = file.server.as_deref().unwrap_or("unix:/run/kiln/kiln.sock");
        Ok(Self {
            server: ServerAddress::parse(server)?,
            name: resolve_name(file.name.clone())?,
            probe_languages: file.probe_languages.unwrap_or(true),
            languages: language::Table::builtin(),
            drain: Duration::from_millis(file.drain_ms.unwrap_or(5_000)),
            engine: EngineConfig::resolve(&file)?,
        })
    }
}

impl EngineConfig {
    /// The part of the settings that needs no server.
    pub fn resolve(file: &WorkerFile) -> Result<Self, ConfigError> {
        let slots = resolve_slots(file.slots)?;
        let data_dir = file.data_dir.clone().unwrap_or_else(|| PathBuf::from("/var/lib/kiln/worker"));
        refuse(!data_dir.is_absolute(), "data_dir", || {
            format!("{} is not an absolute path", data_dir.display())
        })?;
        let extra_read_only = file.extra_read_only.clone().unwrap_or_default();
        if let Some(relative) = extra_read_only.iter().find(|path| !path.is_absolute()) {
            return Err(error("extra_read_only", format!("{} is not an absolute path", relative.display())));
        }
        let blob_cache_bytes = file.blob_cache_bytes.unwrap_or(4 * GIB);
        refuse(blob_cache_bytes == 0, "blob_cache_bytes", || "0 is not allowed; 1 or more".to_owned())?;
        let image_cache_bytes = file.image_cache_bytes.unwrap_or(16 * GIB);
        refuse(image_cache_bytes == 0, "image_cache_bytes", || "0 is not allowed; 1 or more".to_owned())?;
        Ok(Self {
            slots,
            extra_jails: slots.max(NonZeroUsize::new(EXTRA_JAILS_MINIMUM).expect("7 is not zero")),
            data_dir,
            jail_program: file
                .jail_program
                .clone()
                .map_or(JailProgramSource::OwnExecutable, JailProgramSource::File),
            extra_read_only,
            allow_missing: file.allow_missing.clone().unwrap_or_default(),
            blob_cache_bytes,
            image_cache_bytes,
            limits: model::LimitPolicy::default(),
            profiles: Arc::default(),
            recorder: None,
            filters: FilterUse::Required,
            ready: ReadySandboxes::Kept,
        })
    }
}

impl ServerAddress {
    /// Reads `unix:/path`, `unix:///path` or `http://<loopback address>:port`.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = PathBuf::from(path.strip_prefix("//").unwrap_or(path));
            refuse(!path.is_absolute(), "server", || format!("{text}: the socket's path is not absolute"))?;
            return Ok(Self::Unix(path));
        }
        let uri: http::Uri = text
            .parse()
            .map_err(|_| error("server", format!("{text}: neither unix:/path nor http://127.0.0.1:port")))?;
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let loopback = host == "localhost"
            || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        refuse(uri.scheme_str() != Some("http") || !loopback || uri.port_u16().is_none(), "server", || {
            format!("{text}: only unix:/path and http://127.0.0.1:port are allowed, traffic is not encrypted")
        })?;
        Ok(Self::Loopback(uri))
    }
}

fn resolve_name(name: Option<String>) -> Result<String, ConfigError> {
    let Some(name) = name else {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let host: String =
            host.chars().filter(char::is_ascii_graphic).take(NAME_BYTES_MAXIMUM - 12).collect();
        return Ok(format!("{host}-{}", std::process::id()));
    };
    let fits = !name.is_empty() && name.len() <= NAME_BYTES_MAXIMUM;
    refuse(!fits || !name.bytes().all(|byte| byte.is_ascii_graphic()), "name", || {
        format!("must be 1 to {NAME_BYTES_MAXIMUM} printable ASCII characters without blanks")
    })?;
    Ok(name)
}

fn resolve_slots(slots: Option<usize>) -> Result<NonZeroUsize, ConfigError> {
    let cores = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let Some(slots) = slots else { return Ok(cores()) };
    NonZeroUsize::new(slots)
        .filter(|slots| slots.get() <= SLOTS_MAXIMUM)
        .ok_or_else(|| error("slots", format!("{slots} is not allowed; 1 to {SLOTS_MAXIMUM}")))
}

fn refuse(wrong: bool, key: &'static str, why: impl FnOnce() -> String) -> Result<(), ConfigError> {
    if wrong { Err(error(key, why())) } else { Ok(()) }
}

fn error(key: &'static str, why: String) -> ConfigError {
    ConfigError { key, why }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> WorkerFile {
        toml::from_str(text).expect("a readable section")
    }

    #[test]
    fn an_empty_section_resolves_to_usable_settings() {
        let config = Config::resolve(WorkerFile::default()).unwrap();
        assert_eq!(config.server, ServerAddress::Unix("/run/kiln/kiln.sock".into()));
        assert!(config.name.ends_with(&format!("-{}", std::process::id())));
        assert!(config.engine.extra_jails.get() >= 7);
        assert_eq!(config.engine.jail_program, JailProgramSource::OwnExecutable);
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(toml::from_str::<WorkerFile>("slot = 1").is_err());
    }

    #[test]
    fn addresses_off_this_machine_are_refused() {
        for text in [
            "http://192.0.2.1:80",
            "https://127.0.0.1:1",
            "http://127.0.0.1",
            "unix:relative",
            "",
            "http://example.org:1",
        ] {
            assert_eq!(ServerAddress::parse(text).unwrap_err().key, "server", "{text}");
        }
        for text in ["http://127.0.0.1:7000", "http://[::1]:7000", "http://localhost:1"] {
            assert!(matches!(ServerAddress::parse(text), Ok(ServerAddress::Loopback(_))), "{text}");
        }
        assert_eq!(ServerAddress::parse("unix:///a/b"), Ok(ServerAddress::Unix("/a/b".into())));
    }

    #[test]
    fn settings_out_of_range_name_their_key() {
        for (text, key) in [
            ("slots = 0", "slots"),
            ("slots = 100000", "slots"),
            ("name = \"\"", "name"),
            ("name = \"a b\"", "name"),
            ("data_dir = \"here\"", "data_dir"),
            ("extra_read_only = [\"opt\"]", "extra_read_only"),
            ("blob_cache_bytes = 0", "blob_cache_bytes"),
        ] {
            assert_eq!(Config::resolve(file(text)).unwrap_err().key, key, "{text}");
        }
    }
}
