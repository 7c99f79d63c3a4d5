//! What a worker tells of its host when it registers. Facts for people and for placement; nothing is decided here.

use std::collections::BTreeMap;

/// Name and value of each fact, as `WorkerInfo.facts` lists them.
pub(crate) fn of_this_host() -> BTreeMap<String, String> {
    let system = rustix::system::uname();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = rustix::system::sysinfo();
    let memory_bytes = memory.totalram * u64::from(memory.mem_unit);
    let mut facts = BTreeMap::from([
        ("kernel".to_owned(), system.release().to_string_lossy().into_owned()),
        ("arch".to_owned(), system.machine().to_string_lossy().into_owned()),
        ("cores".to_owned(), cores.to_string()),
        ("memory_bytes".to_owned(), memory_bytes.to_string()),
        ("cgroup".to_owned(), cgroup_version().to_owned()),
    ]);
    if let Ok(abi) = kiln_jail::landlock::abi() {
        facts.insert("landlock_abi".to_owned(), abi.to_string());
    }
    facts
}

/// As the jail chooses: v2 where the unified hierarchy has the controllers, else v1.
fn cgroup_version() -> &'static str {
    let controllers = std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
    if controllers.split_whitespace().any(|name| name == "memory") { "v2" } else { "v1" }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_host_is_described() {
        let facts = super::of_this_host();
        for name in ["kernel", "arch", "cores", "memory_bytes", "cgroup", "landlock_abi"] {
            assert!(facts.get(name).is_some_and(|value| !value.is_empty()), "{name}");
        }
    }
}
