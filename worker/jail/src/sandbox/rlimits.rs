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

/// In the command's process, before it loses the ids that the limits are counted for.
pub(crate) fn apply(limits: &Limits) -> Result<(), Errno> {
    let table = [
        (Resource::Core, CORE_BYTES),
        (Resource::Fsize, limits.file_size_bytes.get()),
        (Resource::Stack, limits.stack_bytes.get()),
        (Resource::Memlock, MEMLOCK_BYTES),
        (Resource::Msgqueue, MSGQUEUE_BYTES),
        (Resource::Sigpending, SIGPENDING),
        (Resource::Nice, 0),
        (Resource::Rtprio, 0),
    ];
    for (resource, value) in table {
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
