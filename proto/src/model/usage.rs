//! What a command consumed, and which of the numbers are lower bounds only.

use std::collections::BTreeSet;
use std::fmt::Arguments;

use super::violation::{Collector, Invalid, quoted};
use crate::v1;

/// Makes the struct, the names of its fields and both conversions from one list.
macro_rules! usage {
    ($($(#[$doc:meta])* $field:ident $variant:ident),* $(,)?) => {
        /// What a command consumed. `None` where the kernel did not tell.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
        pub struct Usage {
            $($(#[$doc])* pub $field: Option<u64>,)*
            /// Which of the fields are lower bounds only.
            pub lower_bounds: BTreeSet<UsageField>,
        }

        /// A field of [`Usage`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum UsageField {
            $($(#[$doc])* $variant,)*
        }

        impl UsageField {
            /// All of them, in the order of the wire.
            pub const ALL: &[UsageField] = &[$(UsageField::$variant),*];

            /// As on the wire and in JSON, e.g. `cpu_user_us`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(UsageField::$variant => stringify!($field),)*
                }
            }
        }

        impl Usage {
            /// The value of one field.
            pub const fn value(&self, field: UsageField) -> Option<u64> {
                match field {
                    $(UsageField::$variant => self.$field,)*
                }
            }

            pub(crate) fn check(wire: v1::Usage, field: Arguments<'_>) -> Result<Self, Invalid> {
                let lower_bounds = check_lower_bounds(&wire.lower_bounds, field)?;
                Ok(Usage { $($field: wire.$field,)* lower_bounds })
            }
        }

        impl From<&Usage> for v1::Usage {
            fn from(usage: &Usage) -> Self {
                let lower_bounds = usage.lower_bounds.iter().map(|field| field.as_str().to_owned()).collect();
                v1::Usage { $($field: usage.$field,)* lower_bounds }
            }
        }
    };
}

usage! {
    /// CPU time in the program, microseconds.
    cpu_user_us CpuUserUs,
    /// CPU time in the kernel, microseconds.
    cpu_system_us CpuSystemUs,
    /// From exec to the end of the main process, microseconds.
    wall_us WallUs,
    /// The most memory at one time.
    peak_memory_bytes PeakMemoryBytes,
    /// The most processes and threads at one time.
    peak_pids PeakPids,
    /// Bytes read from devices.
    read_bytes ReadBytes,
    /// Bytes written to devices.
    written_bytes WrittenBytes,
    /// Context switches by waiting.
    voluntary_switches VoluntarySwitches,
    /// Context switches by preemption.
    involuntary_switches InvoluntarySwitches,
    /// Page faults without I/O.
    minor_faults MinorFaults,
    /// Page faults with I/O.
    major_faults MajorFaults,
    /// Time held back by the CPU rate, microseconds.
    throttled_us ThrottledUs,
    /// Processes that the kernel's OOM killer ended.
    oom_kills OomKills,
}

impl Usage {
    /// User and system time together, where both are known.
    pub fn cpu_us(&self) -> Option<u64> {
        self.cpu_user_us.zip(self.cpu_system_us).map(|(user, system)| user.saturating_add(system))
    }
}

impl TryFrom<v1::Usage> for Usage {
    type Error = Invalid;

    fn try_from(wire: v1::Usage) -> Result<Self, Invalid> {
        Usage::check(wire, format_args!("usage"))
    }
}

fn check_lower_bounds(names: &[String], field: Arguments<'_>) -> Result<BTreeSet<UsageField>, Invalid> {
    let mut collector = Collector::default();
    let mut fields = BTreeSet::new();
    for (index, name) in names.iter().enumerate() {
        match UsageField::ALL.iter().find(|field| field.as_str() == name) {
            Some(field) => {
                fields.insert(*field);
            }
            None => {
                let why = format!("is {}; must be a field of Usage", quoted(name.as_bytes()));
                collector.add(format_args!("{field}.lower_bounds[{index}]"), why);
            }
        }
    }
    collector.finish().map(|()| fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_to_the_wire_and_back() {
        let usage = Usage {
            cpu_user_us: Some(1),
            cpu_system_us: Some(2),
            peak_pids: None,
            lower_bounds: [UsageField::MinorFaults].into(),
            ..Usage::default()
        };
        let wire = v1::Usage::from(&usage);
        assert_eq!(wire.lower_bounds, ["minor_faults"]);
        assert_eq!(Usage::try_from(wire), Ok(usage.clone()));
        assert_eq!(usage.cpu_us(), Some(3));
        assert_eq!(usage.value(UsageField::CpuSystemUs), Some(2));
    }

    #[test]
    fn an_unknown_lower_bound_is_named() {
        let wire = v1::Usage { lower_bounds: vec!["nice".to_owned()], ..v1::Usage::default() };
        let invalid = Usage::try_from(wire).expect_err("no such field");
        assert_eq!(invalid.violations[0].field, "usage.lower_bounds[0]");
    }
}
