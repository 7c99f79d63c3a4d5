//! Limits of one command.
//!
//! Owns the minima. [`Limits::clamp`] is the only way to limits: unset takes the default, zero and whatever
//! lies outside the policy is a violation that says what is allowed.

use std::fmt::{Arguments, Display};

use serde::Serialize;

use super::limit_name::LimitName;
use super::limit_policy::LimitPolicy;
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
        Self::check(request, policy, format_args!("{field}"), Unset::Default)
    }

    pub(crate) fn check(
        request: &v1::Limits,
        policy: &LimitPolicy,
        field: Arguments<'_>,
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

/// Checks the fields of one request.
struct Check<'a> {
    field: Arguments<'a>,
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
        let field = format_args!("{}.{name}", self.field);
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
            ("cpu_rate_millis", |l, v| l.cpu_rate_millis = Some(v), "must be 0.001 CPUs to 64 CPUs"),
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
