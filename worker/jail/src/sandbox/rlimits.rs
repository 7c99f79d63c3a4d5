//! Resource limits of one process (setrlimit(2)), for what a cgroup does not count.
//!
//! Hard limits are only ever lowered: the jail may lack CAP_SYS_RESOURCE.

use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};

use crate::plan::Limits;

/// Locked memory: what libraries lock for keys, far below what would matter.
const MEMLOCK_BYTES: u64 = 64 * 1024;
/// Bytes in POSIX message queues of one user, which no cgroup counts.
const MSGQUEUE_BYTES: u64 = 64 * 1024;
/// No core: files below a page are not written, and exactly 1, not 0, also keeps a dump from a pipe handler of the host
/// (core(5); do_coredump in fs/coredump.c).
const CORE_BYTES: u64 = 1;
/// Queued signals of one user.
const SIGPENDING: u64 = 1024;

/// Every limit but that on open files, with its row in `/proc/PID/limits`.
fn table(limits: &Limits) -> [(Resource, &'static str, u64); 8] {
    [
        (Resource::Core, "Max core file size", CORE_BYTES),
        (Resource::Fsize, "Max file size", limits.file_size_bytes.get()),
        (Resource::Stack, "Max stack size", limits.stack_bytes.get()),
        (Resource::Memlock, "Max locked memory", MEMLOCK_BYTES),
        (Resource::Msgqueue, "Max msgqueue size", MSGQUEUE_BYTES),
        (Resource::Sigpending, "Max pending signals", SIGPENDING),
        (Resource::Nice, "Max nice priority", 0),
        (Resource::Rtprio, "Max realtime priority", 0),
    ]
}

/// In the command's process, before it loses the ids that the limits are counted for.
pub(crate) fn apply(limits: &Limits) -> Result<(), Errno> {
    for (resource, _, value) in table(limits) {
        setrlimit(resource, lowered(getrlimit(resource), value))?;
    }
    Ok(())
}

/// In the jail, when the command's process has made the last descriptor of its own: a limit below the numbers
/// that set-up uses would else make set-up fail.
pub(crate) fn limit_open_files(command: Pid, limits: &Limits) -> Result<(), Errno> {
    let limit = lowered(getrlimit(Resource::Nofile), limits.open_files.get());
    prlimit(Some(command), Resource::Nofile, limit).map(drop)
}

/// The first row of a command's `/proc/PID/limits` that is not as it was set, with what it says.
pub(crate) fn first_not_held<'a>(proc_limits: &'a str, limits: &Limits) -> Option<(&'static str, &'a str)> {
    let open_files = (Resource::Nofile, "Max open files", limits.open_files.get());
    let all = table(limits).into_iter().chain([open_files]);
    all.map(|(resource, row, value)| {
        (row, lowered(getrlimit(resource), value).current, row_of(proc_limits, row))
    })
    .find(|(_, wanted, said)| {
        let mut numbers = said.split_whitespace().map(|word| word.parse::<u64>().ok());
        // Soft, then hard.
        numbers.next() != Some(*wanted) || numbers.next() != Some(*wanted)
    })
    .map(|(row, _, said)| (row, said))
}

fn row_of<'a>(proc_limits: &'a str, row: &str) -> &'a str {
    proc_limits.lines().find_map(|line| line.strip_prefix(row)).map_or("", str::trim)
}

/// What the sandbox's init gets nothing of, with its row in `/proc/PID/limits`.
const NOT_FOR_INIT: [(Resource, &str); 6] = [
    (Resource::Nproc, "Max processes"),
    (Resource::Nofile, "Max open files"),
    (Resource::Fsize, "Max file size"),
    (Resource::Memlock, "Max locked memory"),
    (Resource::Data, "Max data size"),
    (Resource::As, "Max address space"),
];

/// For the sandbox's init, which no cgroup of the job bounds: should anything ever take it over, it gets no process, no
/// descriptor, no memory and no byte of a file. What it has is enough to reap.
pub(crate) fn leave_nothing() -> Result<(), Errno> {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    NOT_FOR_INIT.into_iter().try_for_each(|(resource, _)| setrlimit(resource, none))
}

/// The first row of init's `/proc/PID/limits` that leaves it something.
pub(crate) fn first_that_init_has(proc_limits: &str) -> Option<&'static str> {
    NOT_FOR_INIT
        .into_iter()
        .map(|(_, row)| row)
        .find(|row| row_of(proc_limits, row).split_whitespace().take(2).ne(["0", "0"]))
}

fn lowered(current: Rlimit, wanted: u64) -> Rlimit {
    let value = current.maximum.map_or(wanted, |maximum| wanted.min(maximum));
    Rlimit { current: Some(value), maximum: Some(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hard_limit_is_never_raised() {
        let at_most = |maximum| Rlimit { current: Some(1), maximum };
        assert_eq!(lowered(at_most(Some(10)), 20).maximum, Some(10));
        assert_eq!(lowered(at_most(Some(30)), 20).maximum, Some(20));
        assert_eq!(lowered(at_most(None), 20).current, Some(20));
    }
}
