//! What a figure belongs to: the machine, its kernel, and how this program was built.

use kiln_proto::model::human_bytes;
use serde::Serialize;

use super::limits::cores;
use super::memory::kib_field;

/// Where a run was made.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_bytes: u64,
    pub(crate) kernel: String,
    pub(crate) version: &'static str,
    /// `debug` figures are nobody's.
    pub(crate) build: &'static str,
}

impl Machine {
    pub(crate) fn this() -> Machine {
        let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        Machine {
            processor: model_of(&processors).unwrap_or("unknown processor").to_owned(),
            cores: cores(),
            memory_bytes: kib_field(&memory, "MemTotal:").unwrap_or(0),
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            version: env!("CARGO_PKG_VERSION"),
            build: if cfg!(debug_assertions) { "debug" } else { "release" },
        }
    }

    /// In one line.
    pub(crate) fn sentence(&self) -> String {
        let Machine { processor, cores, memory_bytes, kernel, version, build } = self;
        let memory = human_bytes(*memory_bytes);
        format!("{processor}, {cores} cores, {memory}; Linux {kernel}; kiln {version}, {build} build")
    }
}

/// Not every architecture tells one.
fn model_of(cpuinfo: &str) -> Option<&str> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    line.split_once(':').map(|(_, model)| model.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_told_in_one_line() {
        assert_eq!(model_of("processor\t: 0\nmodel name\t: A CPU @ 2\n"), Some("A CPU @ 2"));
        assert_eq!(model_of("BogoMIPS\t: 50\n"), None);
        let machine = Machine {
            processor: "A CPU".to_owned(),
            cores: 2,
            memory_bytes: 24 << 30,
            kernel: "6.18".to_owned(),
            version: "1.2",
            build: "release",
        };
        assert_eq!(machine.sentence(), "A CPU, 2 cores, 24.0 GiB; Linux 6.18; kiln 1.2, release build");
        assert!(Machine::this().memory_bytes > 0);
    }
}
