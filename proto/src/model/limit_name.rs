//! The names of the limits, and what happens at each.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::v1;

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

impl fmt::Display for LimitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_to_the_wire_and_back() {
        for name in LimitName::ALL {
            assert_eq!(LimitName::from_wire(name.into()), Some(name));
        }
        assert_eq!(LimitName::from_wire(v1::LimitName::Unspecified), None);
    }
}
