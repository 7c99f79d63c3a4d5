//! Limits as flags with units. Unset stays unset: the language's default or the server's applies.

use clap::Args;
use kiln_proto::model::{ByteSize, Count, CpuRate, CpuTime, WallTime};
use kiln_proto::v1;

/// Limits of the program, each with its unit.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitFlags {
    /// CPU time of all processes together, e.g. 1s or 500ms
    #[arg(long, value_name = "TIME")]
    cpu: Option<CpuTime>,
    /// Wall time, e.g. 2s
    #[arg(long, value_name = "TIME")]
    wall: Option<WallTime>,
    /// Memory of all processes, written files included, e.g. 64M
    #[arg(long, value_name = "SIZE")]
    memory: Option<ByteSize>,
    /// Processes and threads at the same time, e.g. 16
    #[arg(long, value_name = "COUNT")]
    pids: Option<Count>,
    /// Bytes on stdout, and on stderr, each, e.g. 1M
    #[arg(long, value_name = "SIZE")]
    output: Option<ByteSize>,
    /// Largest file that can be written, e.g. 64M
    #[arg(long, value_name = "SIZE")]
    file_size: Option<ByteSize>,
    /// Bytes in all writable places together, e.g. 256M
    #[arg(long, value_name = "SIZE")]
    disk: Option<ByteSize>,
    /// Files and directories in all writable places, e.g. 10000
    #[arg(long, value_name = "COUNT")]
    inodes: Option<Count>,
    /// Open descriptors of one process, e.g. 256
    #[arg(long, value_name = "COUNT")]
    open_files: Option<Count>,
    /// Stack of the main thread, e.g. 8M
    #[arg(long, value_name = "SIZE")]
    stack: Option<ByteSize>,
    /// Share of CPUs, e.g. 0.5cpu or 50%
    #[arg(long, value_name = "RATE")]
    cpu_rate: Option<CpuRate>,
}

/// Limits of the compile step.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Limits of compiling")]
pub(crate) struct CompileLimitFlags {
    /// CPU time of the compiler, e.g. 30s
    #[arg(long, value_name = "TIME")]
    compile_cpu: Option<CpuTime>,
    /// Wall time of the compiler, e.g. 60s
    #[arg(long, value_name = "TIME")]
    compile_wall: Option<WallTime>,
    /// Memory of the compiler, e.g. 1G
    #[arg(long, value_name = "SIZE")]
    compile_memory: Option<ByteSize>,
    /// Bytes that the compiler may write, e.g. 512M
    #[arg(long, value_name = "SIZE")]
    compile_disk: Option<ByteSize>,
}

impl LimitFlags {
    pub(crate) fn to_wire(&self) -> v1::Limits {
        v1::Limits {
            cpu_ms: self.cpu.map(CpuTime::millis),
            wall_ms: self.wall.map(WallTime::millis),
            memory_bytes: self.memory.map(ByteSize::bytes),
            pids: self.pids.map(Count::get),
            output_bytes: self.output.map(ByteSize::bytes),
            file_size_bytes: self.file_size.map(ByteSize::bytes),
            disk_bytes: self.disk.map(ByteSize::bytes),
            inodes: self.inodes.map(Count::get),
            open_files: self.open_files.map(Count::get),
            stack_bytes: self.stack.map(ByteSize::bytes),
            cpu_rate_millis: self.cpu_rate.map(|rate| u64::from(rate.millis().get())),
        }
    }
}

impl CompileLimitFlags {
    pub(crate) fn to_wire(&self) -> v1::Limits {
        v1::Limits {
            cpu_ms: self.compile_cpu.map(CpuTime::millis),
            wall_ms: self.compile_wall.map(WallTime::millis),
            memory_bytes: self.compile_memory.map(ByteSize::bytes),
            disk_bytes: self.compile_disk.map(ByteSize::bytes),
            ..v1::Limits::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        limits: LimitFlags,
    }

    fn parse(words: &[&str]) -> Result<v1::Limits, String> {
        Only::try_parse_from(std::iter::once(&"kiln").chain(words))
            .map(|only| only.limits.to_wire())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn every_limit_reaches_its_field_in_its_unit() {
        let words = "--cpu 1s --wall 2s --memory 64M --pids 16 --output 1M --file-size 2M --disk 256M --inodes 100 \
                     --open-files 32 --stack 8M --cpu-rate 50%";
        let limits = parse(&words.split_whitespace().collect::<Vec<_>>()).expect("all are well written");
        let expected = v1::Limits {
            cpu_ms: Some(1_000),
            wall_ms: Some(2_000),
            memory_bytes: Some(64 << 20),
            pids: Some(16),
            output_bytes: Some(1 << 20),
            file_size_bytes: Some(2 << 20),
            disk_bytes: Some(256 << 20),
            inodes: Some(100),
            open_files: Some(32),
            stack_bytes: Some(8 << 20),
            cpu_rate_millis: Some(500),
        };
        assert_eq!(limits, expected);
        assert_eq!(parse(&[]), Ok(v1::Limits::default()));
    }

    #[test]
    fn a_missing_or_wrong_unit_zero_and_negative_amounts_are_refused_by_the_flag_s_name() {
        let table = [
            ("--cpu", "10", "has no unit"),
            ("--cpu", "10parsec", "unknown unit"),
            ("--wall", "0s", "zero"),
            ("--memory", "64", "has no unit"),
            ("--memory", "64MB", "unknown unit"),
            ("--memory", "0M", "zero"),
            ("--pids", "0", "zero"),
            ("--pids", "many", "not a positive number"),
            ("--cpu-rate", "2", "has no unit"),
            ("--disk", "99999999999999999999T", "too large"),
        ];
        for (flag, value, why) in table {
            let error = parse(&[flag, value]).expect_err(value);
            assert!(error.contains(flag) && error.contains(why), "{flag} {value}: {error}");
        }
        assert!(parse(&["--wall=-1s"]).expect_err("negative").contains("--wall"));
    }
}
