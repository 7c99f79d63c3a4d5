//! Limits of one command, and the policy that bounds them.
//!
//! Owns the defaults, the maxima and the minima. [`Limits::clamp`] is the only way to limits: unset takes the default, zero and whatever
//! lies outside the policy is a violation that says what is allowed.

use std::fmt::Display;

use serde::{Deserialize, Serialize};

use super::units::{ByteSize, Count, CpuRate, CpuTime, UnitError, WallTime};
use super::violation::{Collector, Invalid, Violation};
use crate::v1;

/// Less memory than this holds no process.
pub const MIN_MEMORY: ByteSize = ByteSize::literal(1 << 20);
/// Less stack than this runs out before the program's first instruction.
pub const MIN_STACK: ByteSize = ByteSize::literal(64 << 10);
/// Fewer writable bytes than this do not hold the sandbox's own directories.
pub const MIN_DISK: ByteSize = ByteSize::literal(64 << 10);
/// Fewer inodes than this do not hold the sandbox's own directories.
pub const MIN_INODES: Count = Count::literal(16);

/// Limits of one command, all set. See `Limits` in `job.proto` for what each does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub struct Limits {
    /// CPU time of all processes together. Stops.
    pub cpu: CpuTime,
    /// Wall time since exec. Stops.
    pub wall: WallTime,
    /// Memory of all processes, page cache and written files included. Stops.
    pub memory: ByteSize,
    /// Processes and threads alive together. Stops at the first refused fork.
    pub pids: Count,
    /// Bytes of stdout, and of stderr, each. Stops.
    pub output: ByteSize,
    /// Largest file that can be written. Stops.
    pub file_size: ByteSize,
    /// Bytes in all writable places. Refuses.
    pub disk: ByteSize,
    /// Files and directories in all writable places. Refuses.
    pub inodes: Count,
    /// Open descriptors of one process. Refuses.
    pub open_files: Count,
    /// Stack of the main thread. Refuses.
    pub stack: ByteSize,
    /// Share of CPUs. Throttles.
    pub cpu_rate: CpuRate,
}

/// Which limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is the field of Limits of the same name")]
pub enum LimitName {
    Cpu,
    Wall,
    Memory,
    Pids,
    Output,
    FileSize,
    Disk,
    Inodes,
    OpenFiles,
    Stack,
    CpuRate,
}

/// What happens at a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitEffect {
    /// The command is stopped, with the outcome `limit`.
    Stops,
    /// The call fails; the outcome is how the program then ends.
    Refuses,
    /// The command runs slower.
    Throttles,
}

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

/// What an unset field of a request means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unset {
    /// The policy's default.
    Default,
    /// A violation: a lease says every limit.
    Refused,
}

impl Limits {
    /// The limits that a request asks for, within the policy. `field` is the path of the request's `limits`.
    pub fn clamp(request: &v1::Limits, policy: &LimitPolicy, field: &str) -> Result<Limits, Vec<Violation>> {
        Self::check(request, policy, field, Unset::Default)
    }

    pub(crate) fn check(
        request: &v1::Limits,
        policy: &LimitPolicy,
        field: &str,
        unset: Unset,
    ) -> Result<Limits, Vec<Violation>> {
        let mut check = Check { field, unset, collector: Collector::default() };
        let (default, most) = (&policy.default, &policy.maximum);
        let millis = CpuTime::from_millis;
        let wall_millis = WallTime::from_millis;
        let rate = CpuRate::from_millis;
        let (ms, byte, one) = (CpuTime::literal(1), ByteSize::literal(1), Count::literal(1));
        let limits = Limits {
            cpu: check.one("cpu_ms", request.cpu_ms, millis, default.cpu, ms, most.cpu),
            wall: check.one(
                "wall_ms",
                request.wall_ms,
                wall_millis,
                default.wall,
                WallTime::literal(1),
                most.wall,
            ),
            memory: check.one(
                "memory_bytes",
                request.memory_bytes,
                ByteSize::new,
                default.memory,
                MIN_MEMORY,
                most.memory,
            ),
            pids: check.one("pids", request.pids, Count::new, default.pids, one, most.pids),
            output: check.one(
                "output_bytes",
                request.output_bytes,
                ByteSize::new,
                default.output,
                byte,
                most.output,
            ),
            file_size: check.one(
                "file_size_bytes",
                request.file_size_bytes,
                ByteSize::new,
                default.file_size,
                byte,
                most.file_size,
            ),
            disk: check.one(
                "disk_bytes",
                request.disk_bytes,
                ByteSize::new,
                default.disk,
                MIN_DISK,
                most.disk,
            ),
            inodes: check.one("inodes", request.inodes, Count::new, default.inodes, MIN_INODES, most.inodes),
            open_files: check.one(
                "open_files",
                request.open_files,
                Count::new,
                default.open_files,
                one,
                most.open_files,
            ),
            stack: check.one(
                "stack_bytes",
                request.stack_bytes,
                ByteSize::new,
                default.stack,
                MIN_STACK,
                most.stack,
            ),
            cpu_rate: check.one(
                "cpu_rate_millis",
                request.cpu_rate_millis,
                rate,
                default.cpu_rate,
                CpuRate::literal(1),
                most.cpu_rate,
            ),
        };
        check.collector.finish().map(|()| limits).map_err(|invalid| invalid.violations)
    }

    /// The value of one limit in its own unit: microseconds for times, bytes, a count, thousandths of a CPU.
    pub fn value(&self, name: LimitName) -> u64 {
        match name {
            LimitName::Cpu => self.cpu.micros().get(),
            LimitName::Wall => self.wall.micros().get(),
            LimitName::Memory => self.memory.bytes(),
            LimitName::Pids => self.pids.get(),
            LimitName::Output => self.output.bytes(),
            LimitName::FileSize => self.file_size.bytes(),
            LimitName::Disk => self.disk.bytes(),
            LimitName::Inodes => self.inodes.get(),
            LimitName::OpenFiles => self.open_files.get(),
            LimitName::Stack => self.stack.bytes(),
            LimitName::CpuRate => u64::from(self.cpu_rate.millis().get()),
        }
    }
}

impl From<&Limits> for v1::Limits {
    fn from(limits: &Limits) -> Self {
        v1::Limits {
            cpu_ms: Some(limits.cpu.millis()),
            wall_ms: Some(limits.wall.millis()),
            memory_bytes: Some(limits.memory.bytes()),
            pids: Some(limits.pids.get()),
            output_bytes: Some(limits.output.bytes()),
            file_size_bytes: Some(limits.file_size.bytes()),
            disk_bytes: Some(limits.disk.bytes()),
            inodes: Some(limits.inodes.get()),
            open_files: Some(limits.open_files.get()),
            stack_bytes: Some(limits.stack.bytes()),
            cpu_rate_millis: Some(u64::from(limits.cpu_rate.millis().get())),
        }
    }
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

impl LimitName {
    /// All of them, in the order of the wire.
    pub const ALL: [LimitName; 11] = [
        LimitName::Cpu,
        LimitName::Wall,
        LimitName::Memory,
        LimitName::Pids,
        LimitName::Output,
        LimitName::FileSize,
        LimitName::Disk,
        LimitName::Inodes,
        LimitName::OpenFiles,
        LimitName::Stack,
        LimitName::CpuRate,
    ];

    /// Lower-case name, as in JSON and config: `file_size`.
    pub const fn as_str(self) -> &'static str {
        match self {
            LimitName::Cpu => "cpu",
            LimitName::Wall => "wall",
            LimitName::Memory => "memory",
            LimitName::Pids => "pids",
            LimitName::Output => "output",
            LimitName::FileSize => "file_size",
            LimitName::Disk => "disk",
            LimitName::Inodes => "inodes",
            LimitName::OpenFiles => "open_files",
            LimitName::Stack => "stack",
            LimitName::CpuRate => "cpu_rate",
        }
    }

    /// What happens at this limit.
    pub const fn effect(self) -> LimitEffect {
        match self {
            LimitName::Cpu
            | LimitName::Wall
            | LimitName::Memory
            | LimitName::Pids
            | LimitName::Output
            | LimitName::FileSize => LimitEffect::Stops,
            LimitName::Disk | LimitName::Inodes | LimitName::OpenFiles | LimitName::Stack => {
                LimitEffect::Refuses
            }
            LimitName::CpuRate => LimitEffect::Throttles,
        }
    }

    /// `None` for UNSPECIFIED.
    pub const fn from_wire(name: v1::LimitName) -> Option<Self> {
        Some(match name {
            v1::LimitName::Unspecified => return None,
            v1::LimitName::Cpu => LimitName::Cpu,
            v1::LimitName::Wall => LimitName::Wall,
            v1::LimitName::Memory => LimitName::Memory,
            v1::LimitName::Pids => LimitName::Pids,
            v1::LimitName::Output => LimitName::Output,
            v1::LimitName::FileSize => LimitName::FileSize,
            v1::LimitName::Disk => LimitName::Disk,
            v1::LimitName::Inodes => LimitName::Inodes,
            v1::LimitName::OpenFiles => LimitName::OpenFiles,
            v1::LimitName::Stack => LimitName::Stack,
            v1::LimitName::CpuRate => LimitName::CpuRate,
        })
    }
}

impl From<LimitName> for v1::LimitName {
    fn from(name: LimitName) -> Self {
        match name {
            LimitName::Cpu => v1::LimitName::Cpu,
            LimitName::Wall => v1::LimitName::Wall,
            LimitName::Memory => v1::LimitName::Memory,
            LimitName::Pids => v1::LimitName::Pids,
            LimitName::Output => v1::LimitName::Output,
            LimitName::FileSize => v1::LimitName::FileSize,
            LimitName::Disk => v1::LimitName::Disk,
            LimitName::Inodes => v1::LimitName::Inodes,
            LimitName::OpenFiles => v1::LimitName::OpenFiles,
            LimitName::Stack => v1::LimitName::Stack,
            LimitName::CpuRate => v1::LimitName::CpuRate,
        }
    }
}

impl Display for LimitName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Checks the fields of one request.
struct Check<'a> {
    field: &'a str,
    unset: Unset,
    collector: Collector,
}

impl Check<'_> {
    /// One limit; after a violation it is the default, which nobody will see.
    fn one<T: Copy + Ord + Display>(
        &mut self,
        name: &str,
        value: Option<u64>,
        make: impl Fn(u64) -> Result<T, UnitError>,
        default: T,
        least: T,
        most: T,
    ) -> T {
        let field = format!("{}.{name}", self.field);
        let Some(value) = value else {
            if self.unset == Unset::Refused {
                self.collector.add(field, format!("is unset; must be {least} to {most}"));
            }
            return default;
        };
        match make(value) {
            Ok(amount) if (least..=most).contains(&amount) => return amount,
            Ok(amount) => self.collector.add(field, format!("is {amount}; must be {least} to {most}")),
            Err(_) => self.collector.add(field, format!("is {value}; must be {least} to {most}")),
        }
        default
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

impl From<Vec<Violation>> for Invalid {
    fn from(violations: Vec<Violation>) -> Self {
        Invalid { violations }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn unset_limits_take_the_default() {
        let policy = LimitPolicy::default();
        assert_eq!(Limits::clamp(&v1::Limits::default(), &policy, "limits"), Ok(policy.default));
    }

    #[test]
    fn each_limit_outside_the_policy_is_named_with_its_range() {
        type Set = fn(&mut v1::Limits, u64);
        let cases: &[(&str, Set, &str)] = &[
            ("cpu_ms", |l, v| l.cpu_ms = Some(v), "must be 1.0 ms to 1 h 00 min"),
            ("wall_ms", |l, v| l.wall_ms = Some(v), "must be 1.0 ms to 2 h 00 min"),
            ("memory_bytes", |l, v| l.memory_bytes = Some(v), "must be 1.0 MiB to 8.0 GiB"),
            ("pids", |l, v| l.pids = Some(v), "must be 1 to 4096"),
            ("output_bytes", |l, v| l.output_bytes = Some(v), "must be 1 B to 4.0 GiB"),
            ("file_size_bytes", |l, v| l.file_size_bytes = Some(v), "must be 1 B to 8.0 GiB"),
            ("disk_bytes", |l, v| l.disk_bytes = Some(v), "must be 64.0 KiB to 8.0 GiB"),
            ("inodes", |l, v| l.inodes = Some(v), "must be 16 to 4194304"),
            ("open_files", |l, v| l.open_files = Some(v), "must be 1 to 65536"),
            ("stack_bytes", |l, v| l.stack_bytes = Some(v), "must be 64.0 KiB to 1.0 GiB"),
            ("cpu_rate_millis", |l, v| l.cpu_rate_millis = Some(v), "must be 0.00 CPUs to 64.00 CPUs"),
        ];
        let policy = LimitPolicy::default();
        for (name, set, allowed) in cases {
            for value in [0, 1 << 39, u64::MAX / 1_000, u64::MAX] {
                let mut request = v1::Limits::default();
                set(&mut request, value);
                let violations = Limits::clamp(&request, &policy, "a.limits").expect_err(name);
                assert_eq!(violations.len(), 1);
                assert_eq!(violations[0].field, format!("a.limits.{name}"));
                assert!(violations[0].why.ends_with(allowed), "{}", violations[0]);
            }
        }
    }

    #[test]
    fn less_than_anything_could_run_in_is_refused() {
        let policy = LimitPolicy::default();
        let request = v1::Limits {
            memory_bytes: Some((1 << 20) - 1),
            stack_bytes: Some(1),
            disk_bytes: Some(1),
            inodes: Some(1),
            ..v1::Limits::default()
        };
        assert_eq!(Limits::clamp(&request, &policy, "limits").expect_err("four").len(), 4);
    }

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

    #[test]
    fn names_go_to_the_wire_and_back() {
        for name in LimitName::ALL {
            assert_eq!(LimitName::from_wire(name.into()), Some(name));
        }
        assert_eq!(LimitName::from_wire(v1::LimitName::Unspecified), None);
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_lies_within_the_policy_and_is_what_was_asked(
            cpu_ms in prop::option::of(any::<u64>()), wall_ms in prop::option::of(0u64..8_000_000),
            memory_bytes in prop::option::of(0u64..1 << 34), pids in prop::option::of(0u64..5_000),
        ) {
            let policy = LimitPolicy::default();
            let request = v1::Limits { cpu_ms, wall_ms, memory_bytes, pids, ..v1::Limits::default() };
            match Limits::clamp(&request, &policy, "limits") {
                Ok(limits) => {
                    for name in LimitName::ALL {
                        prop_assert!((1..=policy.maximum.value(name)).contains(&limits.value(name)));
                    }
                    let wire = v1::Limits::from(&limits);
                    prop_assert!(cpu_ms.is_none() || cpu_ms == wire.cpu_ms);
                    prop_assert!(memory_bytes.is_none() || memory_bytes == wire.memory_bytes);
                    prop_assert_eq!(Limits::clamp(&wire, &policy, "limits"), Ok(limits));
                }
                Err(violations) => prop_assert!(!violations.is_empty()),
            }
        }
    }
}
