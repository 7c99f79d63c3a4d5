//! What the operator may choose, in two stages: what the file says ([`ServerFile`]), and what holds ([`Config`]).

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use kiln_proto::model::{LimitPolicy, ProfileNames};
use serde::{Deserialize, Serialize};

/// Where the server listens unless told otherwise.
pub const DEFAULT_SOCKET: &str = "/run/kiln/kiln.sock";
/// Where the server keeps its data unless told otherwise.
pub const DEFAULT_DATA_DIR: &str = "/var/lib/kiln";

/// `[server]` of the config file. What is unset gets its default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerFile {
    /// `unix:/path`, `/path`, `tcp:127.0.0.1:7460` or `127.0.0.1:7460`.
    pub listen: Option<Vec<String>>,
    /// Holds `kiln.db` and `blobs/`.
    pub data_dir: Option<PathBuf>,
    /// Jobs that wait for their first lease.
    pub queue_max_jobs: Option<u32>,
    /// Specifications of unfinished jobs in memory.
    pub queue_max_bytes: Option<u64>,
    /// How long finished jobs are kept.
    pub retention_seconds: Option<u64>,
    /// How many finished jobs are kept.
    pub retention_jobs: Option<u64>,
    /// One blob.
    pub blob_max_bytes: Option<u64>,
    /// All blobs.
    pub blob_total_bytes: Option<u64>,
    /// How long an unused blob is kept after it was last asked for.
    pub blob_retention_seconds: Option<u64>,
    /// One image, unpacked.
    pub image_max_bytes: Option<u64>,
    /// Files in one image.
    pub image_max_entries: Option<u64>,
    /// A file out that names no maximum of its own.
    pub max_file_bytes: Option<u64>,
    /// A lease that no heartbeat mentions for this long is over.
    pub lease_ms: Option<u64>,
    /// How often workers send heartbeats.
    pub heartbeat_ms: Option<u64>,
    /// Leases of one step.
    pub max_attempts: Option<u32>,
}

/// An address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// A unix socket of mode 0600; only root and the server's own user get in.
    Unix(PathBuf),
    /// A loopback address. Every user of this machine can reach it.
    Loopback(SocketAddr),
}

/// What holds.
#[derive(Debug, Clone)]
pub struct Config {
    /// At least one.
    pub listen: Vec<Listen>,
    /// `None`: a temporary directory, deleted at the end.
    pub data_dir: Option<PathBuf>,
    /// Defaults and maxima of job limits.
    pub limits: LimitPolicy,
    /// What a command's profile may be, beside the built-in ones.
    pub profiles: ProfileNames,
    /// Jobs that wait for their first lease.
    pub queue_max_jobs: u32,
    /// Specifications of unfinished jobs in memory.
    pub queue_max_bytes: u64,
    /// How long finished jobs are kept.
    pub retention: Duration,
    /// How many finished jobs are kept.
    pub retention_jobs: u64,
    /// One blob.
    pub blob_max_bytes: u64,
    /// All blobs.
    pub blob_total_bytes: u64,
    /// How long an unused blob is kept after it was last asked for.
    pub blob_retention: Duration,
    /// One image, unpacked.
    pub image_max_bytes: u64,
    /// Files in one image.
    pub image_max_entries: u64,
    /// A file out that names no maximum of its own.
    pub max_file_bytes: u64,
    /// A lease that no heartbeat mentions for this long is over.
    pub lease: Duration,
    /// How often workers send heartbeats, which carry the progress of running commands.
    pub heartbeat: Duration,
    /// Leases of one step.
    pub max_attempts: u32,
}

/// Why a configuration does not hold.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// Neither a path nor an address.
    #[error("server.listen: {text:?} is neither unix:/PATH nor tcp:IP:PORT")]
    UnreadableListen {
        /// What it says.
        text: String,
    },
    /// Reachable from other machines.
    #[error(
        "server.listen: {address} can be reached from other machines, and Kiln has neither TLS nor tokens yet; \
         allowed are unix sockets, 127.0.0.0/8 and [::1]"
    )]
    NotLoopback {
        /// What it says.
        address: SocketAddr,
    },
    /// Nowhere to listen.
    #[error("server.listen is empty; name at least one address")]
    NoListen,
    /// Out of its range.
    #[error("server.{field} is {value}; allowed are {allowed}")]
    OutOfRange {
        /// Which.
        field: &'static str,
        /// What it says.
        value: u64,
        /// In words.
        allowed: &'static str,
    },
}

impl Config {
    /// Checks what the file says and fills in the rest. Limits are the built-in ones: see [`Config::with_limits`].
    pub fn resolve(file: ServerFile) -> Result<Self, ConfigError> {
        let listen = file.listen.unwrap_or_else(|| vec![DEFAULT_SOCKET.to_owned()]);
        let listen = listen.iter().map(|text| Listen::parse(text)).collect::<Result<Vec<_>, _>>()?;
        if listen.is_empty() {
            return Err(ConfigError::NoListen);
        }
        let config = Self {
            listen,
            data_dir: Some(file.data_dir.unwrap_or_else(|| DEFAULT_DATA_DIR.into())),
            limits: LimitPolicy::default(),
            profiles: ProfileNames::default(),
            queue_max_jobs: file.queue_max_jobs.unwrap_or(100_000),
            queue_max_bytes: file.queue_max_bytes.unwrap_or(1 << 30),
            retention: Duration::from_secs(file.retention_seconds.unwrap_or(7 * 24 * 3600)),
            retention_jobs: file.retention_jobs.unwrap_or(1_000_000),
            blob_max_bytes: file.blob_max_bytes.unwrap_or(8 << 30),
            blob_total_bytes: file.blob_total_bytes.unwrap_or(64 << 30),
            blob_retention: Duration::from_secs(file.blob_retention_seconds.unwrap_or(24 * 3600)),
            image_max_bytes: file.image_max_bytes.unwrap_or(8 << 30),
            image_max_entries: file.image_max_entries.unwrap_or(1_000_000),
            max_file_bytes: file.max_file_bytes.unwrap_or(256 << 20),
            lease: Duration::from_millis(file.lease_ms.unwrap_or(10_000)),
            heartbeat: Duration::from_millis(file.heartbeat_ms.unwrap_or(500)),
            max_attempts: file.max_attempts.unwrap_or(3),
        };
        config.check_ranges()?;
        Ok(config)
    }

    /// The same with other limits for jobs.
    #[must_use]
    pub fn with_limits(self, limits: LimitPolicy) -> Self {
        Self { limits, ..self }
    }

    /// The same with custom profiles.
    #[must_use]
    pub fn with_profiles(self, profiles: ProfileNames) -> Self {
        Self { profiles, ..self }
    }

    /// For a server inside another program: one private socket, nothing kept.
    pub fn embedded(socket: PathBuf) -> Self {
        let file = ServerFile::default();
        let config = Self::resolve(file).expect("the defaults hold");
        Self { listen: vec![Listen::Unix(socket)], data_dir: None, ..config }
    }

    fn check_ranges(&self) -> Result<(), ConfigError> {
        let check = |field, value: u64, range: std::ops::RangeInclusive<u64>, allowed| {
            if range.contains(&value) {
                return Ok(());
            }
            Err(ConfigError::OutOfRange { field, value, allowed })
        };
        let lease_ms = u64::try_from(self.lease.as_millis()).unwrap_or(u64::MAX);
        let heartbeat_ms = u64::try_from(self.heartbeat.as_millis()).unwrap_or(u64::MAX);
        check("queue_max_jobs", self.queue_max_jobs.into(), 1..=10_000_000, "1 to 10,000,000")?;
        check("queue_max_bytes", self.queue_max_bytes, 8 << 20..=1 << 40, "8 MiB to 1 TiB")?;
        check("blob_max_bytes", self.blob_max_bytes, 1 << 20..=1 << 50, "1 MiB to 1 PiB")?;
        check("blob_total_bytes", self.blob_total_bytes, 1 << 20..=1 << 50, "1 MiB to 1 PiB")?;
        check("max_file_bytes", self.max_file_bytes, 1..=self.blob_max_bytes, "1 to blob_max_bytes")?;
        check("lease_ms", lease_ms, 100..=3_600_000, "100 to 3,600,000")?;
        check("heartbeat_ms", heartbeat_ms, 10..=lease_ms / 2, "10 to half of lease_ms")?;
        check("max_attempts", self.max_attempts.into(), 1..=100, "1 to 100")
    }
}

impl Listen {
    /// Reads `unix:/path`, `/path`, `tcp:IP:PORT` or `IP:PORT`; refuses what other machines could reach.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let unreadable = || ConfigError::UnreadableListen { text: text.to_owned() };
        if let Some(path) = text.strip_prefix("unix:").or_else(|| text.starts_with('/').then_some(text)) {
            let path = PathBuf::from(path);
            return if path.is_absolute() { Ok(Self::Unix(path)) } else { Err(unreadable()) };
        }
        let address = text.strip_prefix("tcp:").unwrap_or(text);
        let address: SocketAddr = address.parse().map_err(|_| unreadable())?;
        if !address.ip().is_loopback() {
            return Err(ConfigError::NotLoopback { address });
        }
        Ok(Self::Loopback(address))
    }
}

impl std::fmt::Display for Listen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Loopback(address) => write!(f, "tcp:{address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_far_ones_refused() {
        assert_eq!(Listen::parse("unix:/a/b"), Ok(Listen::Unix("/a/b".into())));
        assert_eq!(Listen::parse("/a/b"), Ok(Listen::Unix("/a/b".into())));
        let loopback = "127.0.0.1:7460".parse().unwrap();
        assert_eq!(Listen::parse("tcp:127.0.0.1:7460"), Ok(Listen::Loopback(loopback)));
        assert!(matches!(Listen::parse("[::1]:1"), Ok(Listen::Loopback(_))));
        for far in ["0.0.0.0:7460", "[::]:7460", "192.168.1.1:80", "[::ffff:127.0.0.1]:80"] {
            let error = Listen::parse(far).unwrap_err();
            assert!(matches!(error, ConfigError::NotLoopback { .. }), "{far}: {error}");
            assert!(error.to_string().contains("neither TLS nor tokens"));
        }
        for odd in ["unix:relative", "localhost:80", "", "tcp:", "http://127.0.0.1:80"] {
            assert!(matches!(Listen::parse(odd), Err(ConfigError::UnreadableListen { .. })), "{odd}");
        }
    }

    #[test]
    fn unknown_keys_and_odd_values_are_refused() {
        assert!(toml::from_str::<ServerFile>("lease = 3").is_err());
        let file: ServerFile = toml::from_str("lease_ms = 1000\nheartbeat_ms = 900").unwrap();
        let error = Config::resolve(file).unwrap_err();
        assert_eq!(error.to_string(), "server.heartbeat_ms is 900; allowed are 10 to half of lease_ms");
        assert_eq!(
            Config::resolve(ServerFile { listen: Some(vec![]), ..Default::default() }).unwrap_err(),
            ConfigError::NoListen
        );
    }
}
