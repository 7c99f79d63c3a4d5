//! The policy that bounds limits: the built-in defaults and maxima, and those of a config file.

use std::fmt::Display;

use serde::{Deserialize, Serialize};

use super::limits::{Limits, MIN_DISK, MIN_INODES, MIN_MEMORY, MIN_STACK};
use super::units::{ByteSize, Count, CpuRate, CpuTime, MAX_BYTES, MAX_COUNT, MAX_MILLIS, WallTime};
use crate::v1;

/// Defaults and maxima. Every default lies at or below its maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "PolicyTables")]
#[non_exhaustive]
pub struct LimitPolicy {
    /// For what a request leaves unset.
    pub default: Limits,
    /// The most a request may ask for.
    pub maximum: Limits,
}

/// Why a configured policy is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// A default that no request could ask for.
    #[error("limits.default.{name} is {default}, above limits.maximum.{name}, which is {maximum}")]
    DefaultAboveMaximum { name: &'static str, default: String, maximum: String },
    /// A value below which nothing can run.
    #[error("limits.{table}.{name} is {value}; the least is {least}")]
    BelowMinimum { table: &'static str, name: &'static str, value: String, least: String },
}

/// `[limits.default]` and `[limits.maximum]` as a config file says them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PolicyTables {
    default: LimitsTable,
    maximum: LimitsTable,
}

/// Some limits, as a config file says them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsTable {
    /// e.g. `"10s"`.
    pub cpu: Option<CpuTime>,
    /// e.g. `"20s"`.
    pub wall: Option<WallTime>,
    /// e.g. `"512MiB"`.
    pub memory: Option<ByteSize>,
    /// e.g. `128`.
    pub pids: Option<Count>,
    /// e.g. `"16MiB"`.
    pub output: Option<ByteSize>,
    /// e.g. `"256MiB"`.
    pub file_size: Option<ByteSize>,
    /// e.g. `"256MiB"`.
    pub disk: Option<ByteSize>,
    /// e.g. `65536`.
    pub inodes: Option<Count>,
    /// e.g. `1024`.
    pub open_files: Option<Count>,
    /// e.g. `"64MiB"`.
    pub stack: Option<ByteSize>,
    /// e.g. `"1cpu"`.
    pub cpu_rate: Option<CpuRate>,
}

impl From<&LimitsTable> for v1::Limits {
    /// A request for what the table says; the rest stays unset.
    fn from(table: &LimitsTable) -> Self {
        v1::Limits {
            cpu_ms: table.cpu.map(CpuTime::millis),
            wall_ms: table.wall.map(WallTime::millis),
            memory_bytes: table.memory.map(ByteSize::bytes),
            pids: table.pids.map(Count::get),
            output_bytes: table.output.map(ByteSize::bytes),
            file_size_bytes: table.file_size.map(ByteSize::bytes),
            disk_bytes: table.disk.map(ByteSize::bytes),
            inodes: table.inodes.map(Count::get),
            open_files: table.open_files.map(Count::get),
            stack_bytes: table.stack.map(ByteSize::bytes),
            cpu_rate_millis: table.cpu_rate.map(|rate| u64::from(rate.millis().get())),
        }
    }
}

impl LimitPolicy {
    /// A policy that allows whatever any policy can: to read again what was accepted once, perhaps under a wider policy than
    /// today's. Never for requests.
    pub const fn widest() -> Self {
        LimitPolicy { default: DEFAULT, maximum: WIDEST }
    }
}

impl Default for LimitPolicy {
    fn default() -> Self {
        LimitPolicy { default: DEFAULT, maximum: MAXIMUM }
    }
}

const DEFAULT: Limits = Limits {
    cpu: CpuTime::literal(10_000),
    wall: WallTime::literal(20_000),
    memory: ByteSize::literal(512 << 20),
    pids: Count::literal(128),
    output: ByteSize::literal(16 << 20),
    file_size: ByteSize::literal(256 << 20),
    disk: ByteSize::literal(256 << 20),
    inodes: Count::literal(65_536),
    open_files: Count::literal(1_024),
    stack: ByteSize::literal(64 << 20),
    cpu_rate: CpuRate::literal(1_000),
};

const WIDEST: Limits = Limits {
    cpu: CpuTime::literal(MAX_MILLIS),
    wall: WallTime::literal(MAX_MILLIS),
    memory: ByteSize::literal(MAX_BYTES),
    pids: Count::literal(MAX_COUNT),
    output: ByteSize::literal(MAX_BYTES),
    file_size: ByteSize::literal(MAX_BYTES),
    disk: ByteSize::literal(MAX_BYTES),
    inodes: Count::literal(MAX_COUNT),
    open_files: Count::literal(MAX_COUNT),
    stack: ByteSize::literal(MAX_BYTES),
    cpu_rate: CpuRate::literal(100_000_000),
};

const MAXIMUM: Limits = Limits {
    cpu: CpuTime::literal(3_600_000),
    wall: WallTime::literal(7_200_000),
    memory: ByteSize::literal(8 << 30),
    pids: Count::literal(4_096),
    output: ByteSize::literal(4 << 30),
    file_size: ByteSize::literal(8 << 30),
    disk: ByteSize::literal(8 << 30),
    inodes: Count::literal(4 << 20),
    open_files: Count::literal(65_536),
    stack: ByteSize::literal(1 << 30),
    cpu_rate: CpuRate::literal(64_000),
};

impl TryFrom<PolicyTables> for LimitPolicy {
    type Error = PolicyError;

    /// Unset maxima are the built-in ones; unset defaults are the built-in ones, or the maximum where that is lower.
    fn try_from(tables: PolicyTables) -> Result<Self, PolicyError> {
        let (default, maximum) = (&tables.default, &tables.maximum);
        let mut policy = LimitPolicy::default();
        macro_rules! resolve {
            ($($field:ident >= $least:expr),* $(,)?) => {$(
                let pair = Configured { name: stringify!($field), default: default.$field, maximum: maximum.$field, least: $least };
                (policy.default.$field, policy.maximum.$field) = pair.resolve(DEFAULT.$field, MAXIMUM.$field)?;
            )*};
        }
        resolve!(
            cpu >= CpuTime::literal(1),
            wall >= WallTime::literal(1),
            memory >= MIN_MEMORY,
            pids >= Count::literal(1),
            output >= ByteSize::literal(1),
            file_size >= ByteSize::literal(1),
            disk >= MIN_DISK,
            inodes >= MIN_INODES,
            open_files >= Count::literal(1),
            stack >= MIN_STACK,
            cpu_rate >= CpuRate::literal(1),
        );
        Ok(policy)
    }
}

/// One limit of a config file.
struct Configured<T> {
    name: &'static str,
    default: Option<T>,
    maximum: Option<T>,
    least: T,
}

impl<T: Copy + Ord + Display> Configured<T> {
    /// Default and maximum.
    fn resolve(self, builtin_default: T, builtin_maximum: T) -> Result<(T, T), PolicyError> {
        let Configured { name, default, maximum, least } = self;
        for (table, value) in [("default", default), ("maximum", maximum)] {
            if let Some(value) = value.filter(|value| *value < least) {
                let (value, least) = (value.to_string(), least.to_string());
                return Err(PolicyError::BelowMinimum { table, name, value, least });
            }
        }
        let most = maximum.unwrap_or(builtin_maximum);
        let default = default.unwrap_or_else(|| builtin_default.min(most));
        if default > most {
            let (default, maximum) = (default.to_string(), most.to_string());
            return Err(PolicyError::DefaultAboveMaximum { name, default, maximum });
        }
        Ok((default, most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_comes_from_config() {
        let policy: LimitPolicy = toml::from_str("").expect("nothing is said");
        assert_eq!(policy, LimitPolicy::default());
        let text = "[default]\ncpu = \"30s\"\npids = 16\n[maximum]\nmemory = \"64MiB\"\ncpu_rate = \"50%\"\n";
        let policy: LimitPolicy = toml::from_str(text).expect("all is good");
        assert_eq!(policy.default.cpu, CpuTime::literal(30_000));
        assert_eq!(policy.default.pids, Count::literal(16));
        assert_eq!(policy.maximum.memory, ByteSize::literal(64 << 20));
        // A lower maximum lowers the built-in default.
        assert_eq!(policy.default.memory, ByteSize::literal(64 << 20));
        assert_eq!(policy.default.cpu_rate, CpuRate::literal(500));
        let printed = toml::to_string(&policy).expect("it is printable");
        assert_eq!(toml::from_str::<LimitPolicy>(&printed), Ok(policy), "{printed}");
    }

    #[test]
    fn what_was_accepted_once_is_read_again_under_a_narrower_policy() {
        let wide: LimitPolicy =
            toml::from_str("[maximum]\nmemory = \"900GiB\"\ncpu = \"48h\"").expect("it is good");
        let request =
            v1::Limits { memory_bytes: Some(900 << 30), cpu_ms: Some(172_800_000), ..v1::Limits::default() };
        let accepted = Limits::clamp(&request, &wide, "limits").expect("it is within the wide policy");
        let stored = v1::Limits::from(&accepted);
        assert!(Limits::clamp(&stored, &LimitPolicy::default(), "limits").is_err());
        assert_eq!(Limits::clamp(&stored, &LimitPolicy::widest(), "limits"), Ok(accepted));
    }

    #[test]
    fn a_policy_that_contradicts_itself_is_refused() {
        let cases = [
            (
                "[default]\ncpu = \"2h\"",
                "limits.default.cpu is 2 h 00 min, above limits.maximum.cpu, which is 1 h 00 min",
            ),
            ("[default]\ncpu = \"2s\"\n[maximum]\ncpu = \"1s\"", "above limits.maximum.cpu"),
            ("[maximum]\nmemory = \"1K\"", "limits.maximum.memory is 1.0 KiB; the least is 1.0 MiB"),
            ("[default]\ncpu = 10", "has no unit"),
            ("[default]\ncpu = \"0s\"", "is zero"),
            ("[default]\nmemory = \"-1M\"", "is not a positive number"),
            ("[default]\npids = -1", "invalid value"),
            ("[default]\nswap = \"1M\"", "unknown field `swap`"),
            ("[minimum]\ncpu = \"1s\"", "unknown field `minimum`"),
        ];
        for (text, part) in cases {
            let error = toml::from_str::<LimitPolicy>(text).expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
