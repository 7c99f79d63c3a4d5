//! What the kernel itself says of a sandbox before its command may execute its program.
//!
//! Each step of making a sandbox reports its own failure. This finds a step that reported success and did nothing: a
//! filter around the worker that answers in the kernel's place, a kernel with a hole, a mistake of ours. It looks from
//! outside, at the jail's own /proc, while the confined command waits for the word; so nothing in the sandbox can make
//! it see anything. Once per jail, on its first command: the worker's trial before it becomes ready.
//!
//! The readers are pure; they must never trust anything that the command or its init said.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::process::Pid;

use crate::cgroup::Version;
use crate::host_devices::DEVICES;
use crate::jail::Jail;
use crate::plan::{Plan, Writes};
use crate::report::Failure;
use crate::sandbox::{Sandbox, rlimits};
use crate::standing::Standing;
use crate::sys::clone::Child;

/// As `/proc/PID/ns` names them, and as people do.
const NAMESPACES: [(&str, &str); 7] = [
    ("user", "user"),
    ("pid", "pid"),
    ("mnt", "mount"),
    ("net", "network"),
    ("ipc", "ipc"),
    ("uts", "uts"),
    ("cgroup", "cgroup"),
];
/// The kernel's O_CLOEXEC, as fdinfo shows it: in octal.
const CLOSE_ON_EXEC: u64 = 0o2_000_000;
/// What a listener's descriptor refers to (seccomp_init_siphash in kernel/seccomp.c: anon_inode_getfile).
const LISTENER: &str = "anon_inode:seccomp notify";

/// The confined command, its listener and the name of its group, as the jail knows them.
pub(crate) struct Waiting<'a> {
    pub(crate) command: &'a Child,
    pub(crate) listener: Option<BorrowedFd<'a>>,
    pub(crate) group: &'a str,
}

/// Says which layer is not there.
pub(crate) fn inspect(
    jail: &Jail,
    plan: &Plan,
    sandbox: &Sandbox,
    waiting: &Waiting<'_>,
) -> Result<(), Failure> {
    let (command, init) = (Proc(waiting.command.pid), Proc(sandbox.init.pid));
    let theirs = [(command.namespaces()?, Whose::Command), (init.namespaces()?, Whose::Init)];
    for (theirs, whose) in theirs {
        namespaces(&theirs, &own_namespaces()?, whose)?;
        not_of_the_host(&theirs, jail.network.started_in(), whose)?;
    }
    let status = command.read("status")?;
    let ids = jail.base.ids();
    privileges(&status, ids.command(), Whose::Command)?;
    privileges(&init.read("status")?, ids.init(), Whose::Init)?;
    session(&command.read("stat")?)?;
    if let Some((row, said)) = rlimits::first_not_held(&command.read("limits")?, &plan.limits) {
        return Err(Failure::new("rlimits", 0, format!("the kernel says of the command's {row}: {said}")));
    }
    if let Some(row) = rlimits::first_that_init_has(&init.read("limits")?) {
        return Err(Failure::new(
            "rlimits",
            0,
            format!("the kernel does not bound {row} of the sandbox's init"),
        ));
    }
    groups(&command.read("cgroup")?, jail.hierarchies.version(), waiting.group)?;
    mounts(&own_mounts(&command.read("mountinfo")?, jail.base.standing())?, plan.profile.writes())?;
    descriptors(&command.descriptors()?)?;
    of_init(init.descriptors()?.len())?;
    if let Some(listener) = waiting.listener {
        let own = read("/proc/thread-self/status")?;
        let link = std::fs::read_link(format!("/proc/self/fd/{}", listener.as_fd().as_raw_fd()));
        filters(&status, &own, &link.unwrap_or_default().to_string_lossy())?;
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Command,
    Init,
}

impl Whose {
    fn word(self) -> &'static str {
        match self {
            Self::Command => "the command",
            Self::Init => "the sandbox's init",
        }
    }
}

/// A process's directory in the jail's own /proc.
struct Proc(Pid);

impl Proc {
    fn path(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.0.as_raw_nonzero())
    }

    fn read(&self, file: &str) -> Result<String, Failure> {
        read(&self.path(file))
    }

    fn namespaces(&self) -> Result<[String; 7], Failure> {
        namespaces_below(&self.path("ns"))
    }

    /// Number and flags of every open descriptor.
    fn descriptors(&self) -> Result<Vec<(u32, u64)>, Failure> {
        let directory = self.path("fdinfo");
        let entries = std::fs::read_dir(&directory).map_err(|error| unreadable(&directory, &error))?;
        let mut all = Vec::new();
        for entry in entries.flatten() {
            let Some(number) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            all.push((number, flags(&read(&format!("{directory}/{number}"))?)?));
        }
        Ok(all)
    }
}

fn own_namespaces() -> Result<[String; 7], Failure> {
    namespaces_below("/proc/self/ns")
}

fn namespaces_below(directory: &str) -> Result<[String; 7], Failure> {
    let mut all = <[String; 7]>::default();
    for (link, (kind, _)) in all.iter_mut().zip(NAMESPACES) {
        let path = format!("{directory}/{kind}");
        let target = std::fs::read_link(&path).map_err(|error| unreadable(&path, &error))?;
        *link = target.to_string_lossy().into_owned();
    }
    Ok(all)
}

fn read(path: &str) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &str, error: &std::io::Error) -> Failure {
    Failure::new("inspect", error.raw_os_error().unwrap_or(0), format!("read {path}"))
}

fn namespaces(theirs: &[String; 7], ours: &[String; 7], whose: Whose) -> Result<(), Failure> {
    for ((theirs, ours), (_, name)) in theirs.iter().zip(ours).zip(NAMESPACES) {
        if theirs == ours {
            let detail = format!("{} is in the jail's own {name} namespace", whose.word());
            return Err(Failure::new("namespaces", 0, detail));
        }
    }
    Ok(())
}

/// The jail itself has left that one.
fn not_of_the_host(theirs: &[String; 7], network: &str, whose: Whose) -> Result<(), Failure> {
    if theirs.iter().any(|namespace| namespace == network) {
        let detail = format!("{} is in the host's network namespace", whose.word());
        return Err(Failure::new("namespaces", 0, detail));
    }
    Ok(())
}

/// Ids, capabilities and no_new_privs, from `/proc/PID/status` (proc_pid_status(5)).
fn privileges(status: &str, id: u32, whose: Whose) -> Result<(), Failure> {
    let says = |step: &str, row: &str, said: &str| {
        Failure::new(step, 0, format!("the kernel says of {}: {row} {said}", whose.word()))
    };
    for row in ["Uid:", "Gid:"] {
        let said = field(status, row);
        let numbers: Vec<_> = said.split_whitespace().map(str::parse::<u32>).collect();
        if numbers.len() != 4 || numbers.iter().any(|number| *number != Ok(id)) {
            return Err(says("set_ids", row, said));
        }
    }
    if !field(status, "Groups:").is_empty() {
        return Err(says("set_ids", "Groups:", field(status, "Groups:")));
    }
    for row in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        let said = field(status, row);
        if u64::from_str_radix(said, 16) != Ok(0) {
            return Err(says(if row == "CapBnd:" { "bounding_set" } else { "capabilities" }, row, said));
        }
    }
    match field(status, "NoNewPrivs:") {
        "1" => Ok(()),
        said => Err(says("no_new_privs", "NoNewPrivs:", said)),
    }
}

/// Sixth field of `/proc/PID/stat`; the second may hold spaces and parentheses. A session of one's own begins with oneself.
fn session(stat: &str) -> Result<(), Failure> {
    let pid = stat.split_whitespace().next();
    let session = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(3));
    if pid.is_some() && pid == session {
        return Ok(());
    }
    Err(Failure::new("setsid", 0, format!("the command is in session {}", session.unwrap_or("unknown"))))
}

/// In every hierarchy that limits or measures, the command is in the group that was made for it.
fn groups(proc_cgroup: &str, version: Version, group: &str) -> Result<(), Failure> {
    let needed: &[&str] = match version {
        Version::V1 => &["cpu", "cpuacct", "memory", "pids"],
        // The unified hierarchy's line names no controllers.
        Version::V2 => &[""],
    };
    for controller in needed {
        let path = proc_cgroup.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let (controllers, path) = (parts.next()?, parts.next()?);
            controllers.split(',').any(|name| name == *controller).then_some(path)
        });
        if !path.is_some_and(|path| path.ends_with(&format!("/{group}"))) {
            let name = if controller.is_empty() { "unified" } else { controller };
            let detail = format!(
                "the command is not in its group of the {name} hierarchy, but in {}",
                path.unwrap_or("none")
            );
            return Err(Failure::new("join_cgroup", 0, detail));
        }
    }
    Ok(())
}

/// All mounts but the host's device nodes, where sandboxes have those: each of the five once, in its place, and confined.
fn own_mounts(mountinfo: &str, standing: Standing) -> Result<String, Failure> {
    if !standing.is_confined() {
        return Ok(mountinfo.to_owned());
    }
    let mut left: Vec<String> = DEVICES.iter().map(|(name, ..)| format!("/dev/{name}")).collect();
    let mut own = String::new();
    for line in mountinfo.lines() {
        let mount = Mount::parse(line);
        let device = mount.as_ref().and_then(|mount| left.iter().position(|place| place == mount.point));
        match (mount, device) {
            (Some(mount), Some(index)) => {
                let options: Vec<_> = mount.options.split(',').collect();
                if let Some(lacking) = ["ro", "nosuid", "noexec"].iter().find(|word| !options.contains(word))
                {
                    let detail = format!("{} is mounted {}, without {lacking}", mount.point, mount.options);
                    return Err(Failure::new("dev", 0, detail));
                }
                left.remove(index);
            }
            _ => own.extend([line, "\n"]),
        }
    }
    match left.is_empty() {
        true => Ok(own),
        false => Err(Failure::new("dev", 0, format!("nothing is mounted at {}", left.join(", ")))),
    }
}

/// Nothing but the sandbox's own mounts, each as confined as it was made, from `/proc/PID/mountinfo`.
fn mounts(mountinfo: &str, writes: Writes) -> Result<(), Failure> {
    let mut roots = 0;
    for line in mountinfo.lines() {
        let Some(mount) = Mount::parse(line) else {
            return Err(Failure::new(
                "rootfs",
                0,
                format!("the kernel tells a mount in a way unknown: {line}"),
            ));
        };
        roots += usize::from(mount.point == "/");
        mount.check(writes)?;
    }
    match roots {
        1 => Ok(()),
        _ => Err(Failure::new("pivot_root", 0, format!("the sandbox has {roots} roots"))),
    }
}

struct Mount<'a> {
    point: &'a str,
    options: &'a str,
    kind: &'a str,
    super_options: &'a str,
}

impl<'a> Mount<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (before, after) = line.split_once(" - ")?;
        let mut before = before.split(' ').skip(4);
        let mut after = after.split(' ');
        let (point, options) = (before.next()?, before.next()?);
        Some(Self { point, options, kind: after.next()?, super_options: after.nth(1)? })
    }

    fn check(&self, writes: Writes) -> Result<(), Failure> {
        let Self { point, options, kind, .. } = self;
        let step = match *kind {
            "proc" => "mount_proc",
            "overlay" => "mount_overlay",
            "tmpfs" => "tmpfs",
            _ => return Err(Failure::new("pivot_root", 0, format!("a {kind} of the host is at {point}"))),
        };
        if *point == "/" && *kind != "overlay" {
            return Err(Failure::new("pivot_root", 0, format!("the sandbox's root is a {kind}")));
        }
        let mut wanted = vec!["nosuid"];
        // Devices are opened below /dev only, which nobody can write in.
        wanted.push(if *point == "/dev" { "ro" } else { "nodev" });
        if *kind == "proc" || (*kind == "overlay" && writes == Writes::Work) {
            wanted.push("ro");
        }
        // A file that is shown, of a directory that all jobs' inputs lie in.
        if *kind == "overlay" && ["/work/", "/tmp/"].iter().any(|place| point.starts_with(place)) {
            wanted.extend(["ro", "noexec"]);
        }
        let has = |options: &str, option: &str| options.split(',').any(|word| word == option);
        if let Some(lacking) = wanted.into_iter().find(|option| !has(options, option)) {
            return Err(Failure::new(step, 0, format!("{point} is mounted {options}, without {lacking}")));
        }
        // Kernels before 5.8 told hidepid as a number, and knew no subset.
        let hides = has(self.super_options, "subset=pid") && has(self.super_options, "hidepid=invisible");
        if *kind == "proc" && !hides {
            let detail = format!("{point} shows more than one's own processes: {}", self.super_options);
            return Err(Failure::new(step, 0, detail));
        }
        Ok(())
    }
}

/// Everything but stdin, stdout and stderr is closed by exec.
fn descriptors(open: &[(u32, u64)]) -> Result<(), Failure> {
    match open.iter().find(|(number, flags)| *number > 2 && flags & CLOSE_ON_EXEC == 0) {
        None => Ok(()),
        Some((number, _)) => {
            Err(Failure::new("close_range", 0, format!("descriptor {number} would be open in the program")))
        }
    }
}

/// Init has said its last word; at most its end of the handshake is not closed yet.
fn of_init(open: usize) -> Result<(), Failure> {
    if open <= 1 {
        Ok(())
    } else {
        Err(Failure::new("init_shed", 0, format!("the sandbox's init holds {open} descriptors")))
    }
}

/// One filter more than the jail has, and somebody who hears of forbidden calls.
fn filters(status: &str, own: &str, listener: &str) -> Result<(), Failure> {
    let lacking = |detail: String| Err(Failure::new("seccomp", 0, detail));
    if field(status, "Seccomp:") != "2" {
        return lacking(format!("the kernel says of the command: Seccomp: {}", field(status, "Seccomp:")));
    }
    let count = |status: &str| field(status, "Seccomp_filters:").parse::<u64>().ok();
    // Counted since 5.9.
    if let (Some(theirs), Some(ours)) = (count(status), count(own))
        && theirs <= ours
    {
        return lacking(format!(
            "the kernel counts {theirs} filters around the command and {ours} around the jail"
        ));
    }
    if listener != LISTENER {
        return lacking(format!("the filter's listener is none: {listener}"));
    }
    Ok(())
}

fn flags(fdinfo: &str) -> Result<u64, Failure> {
    u64::from_str_radix(field(fdinfo, "flags:"), 8)
        .map_err(|_| Failure::new("inspect", 0, "a descriptor without flags"))
}

fn field<'a>(text: &'a str, row: &str) -> &'a str {
    text.lines().find_map(|line| line.strip_prefix(row)).unwrap_or_default().trim()
}

#[cfg(test)]
mod tests;
