//! The limits of cases: small ones, so that each is reached at once, and what a header says beside them.

use kiln_proto::model::{ByteSize, Count, CpuTime, LimitName, UnitError, WallTime};
use kiln_proto::v1;

/// What a case may use unless it says otherwise.
pub const MEMORY_BYTES: u64 = 64 << 20;
/// As [`MEMORY_BYTES`], of disk.
pub const DISK_BYTES: u64 = 32 << 20;
/// As [`MEMORY_BYTES`], of processes.
pub const PIDS: u64 = 32;

/// Why `limits=` cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    #[error("{pair:?} is not NAME:VALUE")]
    NoPair { pair: String },
    #[error(
        "{name:?} is no limit of a case; there are cpu, wall, memory, pids, output, file_size, disk, inodes, open_files, stack"
    )]
    UnknownLimit { name: String },
    #[error("{name}")]
    Amount { name: String, source: UnitError },
    #[error("{name} is said twice")]
    Twice { name: String },
}

/// The small limits.
pub(crate) fn small() -> v1::Limits {
    v1::Limits {
        cpu_ms: Some(3_000),
        wall_ms: Some(6_000),
        memory_bytes: Some(MEMORY_BYTES),
        pids: Some(PIDS),
        output_bytes: Some(1 << 20),
        disk_bytes: Some(DISK_BYTES),
        ..v1::Limits::default()
    }
}

/// Reads `wall:1s,pids:8` over the small limits.
pub(crate) fn read(text: &str) -> Result<v1::Limits, LimitError> {
    let mut limits = small();
    let mut seen: Vec<&str> = Vec::new();
    for pair in text.split(',') {
        let (name, value) =
            pair.split_once(':').ok_or_else(|| LimitError::NoPair { pair: pair.to_owned() })?;
        if seen.contains(&name) {
            return Err(LimitError::Twice { name: name.to_owned() });
        }
        seen.push(name);
        let limit = LimitName::ALL.into_iter().find(|limit| limit.as_str() == name);
        let limit = limit.ok_or_else(|| LimitError::UnknownLimit { name: name.to_owned() })?;
        set(&mut limits, limit, value)?;
    }
    Ok(limits)
}

/// What `limits` says, and `base` where it says nothing.
pub(crate) fn over(limits: v1::Limits, base: v1::Limits) -> v1::Limits {
    v1::Limits {
        cpu_ms: limits.cpu_ms.or(base.cpu_ms),
        wall_ms: limits.wall_ms.or(base.wall_ms),
        memory_bytes: limits.memory_bytes.or(base.memory_bytes),
        pids: limits.pids.or(base.pids),
        output_bytes: limits.output_bytes.or(base.output_bytes),
        file_size_bytes: limits.file_size_bytes.or(base.file_size_bytes),
        disk_bytes: limits.disk_bytes.or(base.disk_bytes),
        inodes: limits.inodes.or(base.inodes),
        open_files: limits.open_files.or(base.open_files),
        stack_bytes: limits.stack_bytes.or(base.stack_bytes),
        cpu_rate_millis: limits.cpu_rate_millis.or(base.cpu_rate_millis),
    }
}

fn set(limits: &mut v1::Limits, limit: LimitName, value: &str) -> Result<(), LimitError> {
    let amount = |source| LimitError::Amount { name: limit.as_str().to_owned(), source };
    let bytes = || value.parse::<ByteSize>().map(|size| Some(size.bytes())).map_err(amount);
    let count = || value.parse::<Count>().map(|count| Some(count.get())).map_err(amount);
    match limit {
        LimitName::Cpu => {
            limits.cpu_ms = Some(value.parse::<CpuTime>().map_err(amount)?.millis());
        }
        LimitName::Wall => {
            limits.wall_ms = Some(value.parse::<WallTime>().map_err(amount)?.millis());
        }
        LimitName::Memory => limits.memory_bytes = bytes()?,
        LimitName::Pids => limits.pids = count()?,
        LimitName::Output => limits.output_bytes = bytes()?,
        LimitName::FileSize => limits.file_size_bytes = bytes()?,
        LimitName::Disk => limits.disk_bytes = bytes()?,
        LimitName::Inodes => limits.inodes = count()?,
        LimitName::OpenFiles => limits.open_files = count()?,
        LimitName::Stack => limits.stack_bytes = bytes()?,
        LimitName::CpuRate => return Err(LimitError::UnknownLimit { name: limit.as_str().to_owned() }),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_wins_over_the_small_limits() {
        let limits = read("wall:1s,memory:8M,inodes:20000,file_size:1K").unwrap();
        let expected = v1::Limits {
            wall_ms: Some(1_000),
            memory_bytes: Some(8 << 20),
            inodes: Some(20_000),
            file_size_bytes: Some(1 << 10),
            ..small()
        };
        assert_eq!(limits, expected);
    }

    #[test]
    fn nonsense_is_named() {
        for (text, named) in [
            ("wall", "NAME:VALUE"),
            ("walls:1s", "walls"),
            ("wall:0", "wall"),
            ("wall:1s,wall:2s", "twice"),
            ("memory:64MB", "memory"),
            ("cpu_rate:1cpu", "cpu_rate"),
            ("", "NAME:VALUE"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(named), "{text}: {error}");
        }
    }
}
