//! A plan for people: what the jail will do, in order, before it does any of it (`kiln run --explain`).
//!
//! Pure. The steps bear the names that a [`crate::report::Failure`] of them would bear.

use std::fmt;

use serde::Serialize;

use crate::landlock;
use crate::plan::{Network, Owner, Plan, Way, Writes};
use crate::standing::Standing;

/// Every step of carrying a plan out, and what its author may not have meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    pub steps: Vec<Step>,
    pub warnings: Vec<String>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    pub step: &'static str,
    pub what: String,
}

impl Explanation {
    /// Says of the step `landlock` what a kernel of this ABI does.
    #[must_use]
    pub fn on_landlock(mut self, abi: i32) -> Self {
        for step in self.steps.iter_mut().filter(|step| step.step == "landlock") {
            step.what.push_str(&match landlock::covered_otherwise(abi) {
                None => ", no TCP, no signal or abstract socket to the outside".to_owned(),
                Some(others) => format!("; this kernel's ABI {abi} leaves to other layers: {others}"),
            });
        }
        self
    }
}

impl Plan {
    /// What a jail of this standing will do.
    pub fn explain(&self, standing: Standing) -> Explanation {
        let mut steps = Vec::new();
        self.explain_group(&mut steps);
        self.explain_mounts(standing, &mut steps);
        self.explain_confinement(&mut steps);
        self.explain_watch(&mut steps);
        Explanation { steps, warnings: self.warnings() }
    }

    fn explain_group(&self, steps: &mut Vec<Step>) {
        let limits = &self.limits;
        let rate = limits.cpu_rate_millis.get();
        add(
            steps,
            "cgroup",
            format!(
                "make a control group: memory {} without swap, {} processes, {}.{:03} CPUs",
                bytes(limits.memory_bytes.get()),
                limits.pids,
                rate / 1000,
                rate % 1000
            ),
        );
    }

    fn explain_mounts(&self, standing: Standing, steps: &mut Vec<Step>) {
        let limits = &self.limits;
        let owners =
            if standing.is_confined() { "nobody's, for want of host root," } else { "its owners mapped," };
        for part in &self.rootfs.parts {
            let what = format!("take {} read-only, {owners} for {}", show(&part.source), show(&part.target));
            add(steps, "image_part", what);
        }
        add(
            steps,
            "tmpfs",
            format!(
                "mount one tmpfs of {} and {} inodes for /work, /tmp, /dev/shm and all changes",
                bytes(limits.disk_bytes.get()),
                limits.inodes
            ),
        );
        add(
            steps,
            "mount_overlay",
            match self.profile.writes() {
                Writes::Root => {
                    "mount an overlay over each part, writable and thrown away afterwards".to_owned()
                }
                Writes::Work => "mount a read-only overlay over each part".to_owned(),
            },
        );
        add(
            steps,
            "clone_init",
            match self.profile.network() {
                Network::Fresh => "clone init into own user, pid, mount, network, ipc, uts and cgroup namespaces".to_owned(),
                Network::Kept => {
                    "clone init into own user, pid, mount, ipc, uts and cgroup namespaces, and the jail's empty network".to_owned()
                }
            },
        );
        add(
            steps,
            "attach_root",
            "attach root, parts, /dev, /work, /tmp and a /proc of the sandbox's processes only".to_owned(),
        );
        add(steps, "limit_namespaces", "forbid further namespaces".to_owned());
        if standing.is_confined() {
            add(steps, "limit_inotify", "forbid watches: the devices are the host's own".to_owned());
        }
        add(steps, "pivot_root", "make it the root; the host's tree is gone".to_owned());
    }

    fn explain_confinement(&self, steps: &mut Vec<Step>) {
        let limits = &self.limits;
        add(
            steps,
            "clone_command",
            "clone the command's process into the control group and the namespaces".to_owned(),
        );
        for file in &self.files_in {
            let place = show(&file.path);
            let (step, what) = match &file.way {
                Way::Copied { mode, owner } => {
                    let owner = match owner {
                        Owner::Command => "the command's own",
                        Owner::Root => "root's",
                    };
                    ("files_in", format!("copy a file to {place}, mode {mode:03o}, {owner}"))
                }
                Way::Shown { .. } => {
                    ("show_files", format!("show a file at {place}, read-only, without a copy"))
                }
            };
            add(steps, step, what);
        }
        add(
            steps,
            "rlimits",
            format!(
                "limit files to {}, open files to {}, the stack to {}; no core dump",
                bytes(limits.file_size_bytes.get()),
                limits.open_files,
                bytes(limits.stack_bytes.get())
            ),
        );
        add(
            steps,
            "set_ids",
            "become uid and gid 1000, without groups, capabilities or a way to more".to_owned(),
        );
        let writable = match self.profile.writes() {
            Writes::Root => "write anywhere in the throwaway root",
            Writes::Work => "write in /work, /tmp and /dev/shm",
        };
        add(steps, "landlock", format!("restrict by Landlock: read and execute the root, {writable}"));
        let profile = self.profile.name();
        add(steps, "seccomp", format!("allow the system calls of profile {profile}, report forbidden ones"));
        add(steps, "chdir", format!("enter {}", show(&self.cwd)));
    }

    fn explain_watch(&self, steps: &mut Vec<Step>) {
        let limits = &self.limits;
        let argv = self.argv.iter().map(|argument| show(argument)).collect::<Vec<_>>().join(" ");
        let env = match self.env.len() {
            0 => "with an empty environment".to_owned(),
            1 => "with one environment variable".to_owned(),
            number => format!("with {number} environment variables"),
        };
        add(steps, "exec", format!("execute {argv} {env}"));
        add(
            steps,
            "watch",
            format!(
                "end it at {} of CPU time, {} of wall time, {} of output on a stream, an OOM kill, a refused fork or a forbidden call",
                seconds(limits.cpu_us.get()),
                seconds(limits.wall_us.get()),
                bytes(limits.output_bytes.get())
            ),
        );
        add(
            steps,
            "kill_sandbox",
            "kill every process, wait until none is left, read the counters".to_owned(),
        );
        for file in &self.files_out {
            let what = format!(
                "return {} if it is a regular file of at most {}",
                show(&file.path),
                bytes(file.max_bytes.get())
            );
            add(steps, "files_out", what);
        }
        add(steps, "release", "drop the mounts, remove the control group".to_owned());
    }

    fn warnings(&self) -> Vec<String> {
        let limits = &self.limits;
        let mut warnings = Vec::new();
        if limits.disk_bytes > limits.memory_bytes {
            warnings.push(format!(
                "disk {} exceeds memory {}: files are memory here, so filling the disk ends in a memory limit",
                bytes(limits.disk_bytes.get()),
                bytes(limits.memory_bytes.get())
            ));
        }
        if limits.file_size_bytes > limits.disk_bytes {
            warnings.push(format!(
                "file size {} exceeds disk {}: a file that grows too large fails with ENOSPC first",
                bytes(limits.file_size_bytes.get()),
                bytes(limits.disk_bytes.get())
            ));
        }
        warnings
    }
}

impl Explanation {
    /// One JSON object: `steps` (each `step` and `what`) and `warnings`.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("strings and lists always have a JSON form")
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.steps.iter().enumerate() {
            writeln!(formatter, "{:>2}. {:<17} {}", index + 1, step.step, step.what)?;
        }
        for warning in &self.warnings {
            writeln!(formatter, "warning: {warning}")?;
        }
        Ok(())
    }
}

fn add(steps: &mut Vec<Step>, step: &'static str, what: String) {
    steps.push(Step { step, what });
}

/// Bytes of a job, safe on a terminal.
fn show(bytes: &[u8]) -> String {
    let plain = |byte: &u8| byte.is_ascii_graphic() && !b"\"'\\".contains(byte);
    if !bytes.is_empty() && bytes.iter().all(plain) {
        String::from_utf8_lossy(bytes).into_owned()
    } else {
        format!("\"{}\"", bytes.escape_ascii())
    }
}

fn bytes(number: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.iter().find(|(unit, _)| number.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{} {name}", number / unit),
        None => format!("{number} bytes"),
    }
}

fn seconds(microseconds: u64) -> String {
    let text = format!("{}.{:06}", microseconds / 1_000_000, microseconds % 1_000_000);
    format!("{} s", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Profile, example};

    #[test]
    fn a_plan_reads_as_the_list_of_what_will_be_done() {
        insta::assert_snapshot!(example().explain(Standing::HostRoot).to_string());
    }

    #[test]
    fn the_json_has_the_same_steps() {
        let mut plan = example();
        plan.limits.disk_bytes = (128 << 20).try_into().expect("not zero");
        plan.profile = Profile::Build;
        plan.argv = vec![b"cc".to_vec(), b"a b\n\xff\x1b[2J".to_vec()];
        insta::assert_snapshot!(plan.explain(Standing::HostRoot).to_json());
    }

    #[test]
    fn a_file_that_is_not_copied_is_said_to_be_shown() {
        let mut plan = example();
        plan.files_in[0].way = Way::Shown { name: b"blake3-00".to_vec() };
        let text = plan.explain(Standing::HostRoot).to_string();
        assert!(text.contains("show a file at /work/in, read-only, without a copy"), "{text}");
    }

    #[test]
    fn a_custom_profile_is_named_with_what_it_may_write() {
        let mut plan = example();
        plan.profile = Profile::Custom { name: "database".to_owned(), writes: Writes::Root };
        let text = plan.explain(Standing::HostRoot).to_string();
        assert!(
            text.contains("system calls of profile database") && text.contains("write anywhere"),
            "{text}"
        );
    }

    #[test]
    fn the_landlock_step_says_what_the_kernel_can() {
        let what = |abi| {
            let steps = example().explain(Standing::HostRoot).on_landlock(abi).steps;
            steps.into_iter().find(|step| step.step == "landlock").expect("a step").what
        };
        assert!(what(6).ends_with("no TCP, no signal or abstract socket to the outside"), "{}", what(6));
        assert!(what(2).contains("ABI 2 leaves") && what(2).contains("TCP (an empty network"), "{}", what(2));
    }

    #[test]
    fn disk_above_memory_is_warned_of() {
        let mut plan = example();
        assert_eq!(plan.explain(Standing::HostRoot).warnings, Vec::<String>::new());
        plan.limits.disk_bytes = plan.limits.memory_bytes.saturating_add(1);
        assert_eq!(plan.explain(Standing::HostRoot).warnings.len(), 1);
    }

    #[test]
    fn units_are_the_largest_that_fit_exactly() {
        assert_eq!([1, 1024, 3 << 20, 1 << 30].map(bytes), ["1 bytes", "1 KiB", "3 MiB", "1 GiB"]);
        assert_eq!([1_000_000, 1_500_000, 1].map(seconds), ["1 s", "1.5 s", "0.000001 s"]);
    }
}
