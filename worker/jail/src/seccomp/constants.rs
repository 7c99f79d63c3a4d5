//! Names that policies may use for argument values and errors. Nothing here depends on the architecture.

/// The value of a name such as `CLONE_NEWNS`, or of a number written in decimal or `0x` hexadecimal.
pub(super) fn value(name: &str) -> Option<u32> {
    if let Some(hexadecimal) = name.strip_prefix("0x") {
        return u32::from_str_radix(hexadecimal, 16).ok();
    }
    name.parse().ok().or_else(|| named(&VALUES, name)).or_else(|| named(&OTHER_VALUES, name))
}

/// The number of an error such as `EPERM`.
pub(super) fn errno(name: &str) -> Option<u16> {
    named(&ERRNOS, name)
}

fn named<T: Copy>(names: &[(&str, T)], name: &str) -> Option<T> {
    names.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

macro_rules! constants {
    ($($name:ident)*) => { [$((stringify!($name), libc::$name as u32)),*] };
}

macro_rules! errnos {
    ($($name:ident)*) => { [$((stringify!($name), libc::$name as u16)),*] };
}

const ERRNOS: [(&str, u16); 11] =
    errnos!(EPERM EACCES EINVAL ENOSYS EAFNOSUPPORT EAGAIN ENOENT ENOMEM EOPNOTSUPP ENOTTY ENOLCK);

/// `EPERM` for 1: for errors that a policy may answer with.
pub fn errno_name(errno: u16) -> Option<&'static str> {
    ERRNOS.iter().find(|(_, number)| *number == errno).map(|(name, _)| *name)
}

/// Every error that a policy may answer with.
pub(super) fn errnos() -> impl Iterator<Item = &'static str> {
    ERRNOS.iter().map(|(name, _)| *name)
}

const VALUES: [(&str, u32); 74] = constants!(
    CLONE_NEWCGROUP CLONE_NEWIPC CLONE_NEWNET CLONE_NEWNS CLONE_NEWPID CLONE_NEWTIME CLONE_NEWUSER CLONE_NEWUTS
    CLONE_PARENT CLONE_THREAD CLONE_VM CLONE_FS CLONE_FILES CLONE_SIGHAND CLONE_VFORK
    RENAME_WHITEOUT
    TIOCSTI TIOCLINUX TIOCSETD
    AF_UNIX AF_INET AF_INET6 AF_NETLINK AF_PACKET AF_VSOCK
    S_IFMT S_IFIFO S_IFREG S_IFSOCK
    PROT_READ PROT_WRITE PROT_EXEC MAP_ANONYMOUS MAP_SHARED MAP_PRIVATE MAP_FIXED
    F_SETLEASE F_NOTIFY F_SETLK F_SETLKW F_OFD_SETLK F_OFD_SETLKW
    ADDR_NO_RANDOMIZE
    RLIMIT_CORE RLIMIT_NOFILE RLIMIT_STACK
    PR_SET_NAME PR_GET_NAME PR_SET_PDEATHSIG PR_GET_PDEATHSIG PR_SET_DUMPABLE PR_GET_DUMPABLE
    PR_SET_NO_NEW_PRIVS PR_GET_NO_NEW_PRIVS PR_SET_VMA PR_CAPBSET_READ PR_CAPBSET_DROP PR_GET_SECCOMP
    PR_SET_TIMERSLACK PR_GET_TIMERSLACK PR_SET_CHILD_SUBREAPER PR_GET_CHILD_SUBREAPER
    PR_SET_KEEPCAPS PR_GET_KEEPCAPS PR_GET_SECUREBITS PR_SET_THP_DISABLE PR_GET_THP_DISABLE
    PR_GET_TID_ADDRESS PR_CAP_AMBIENT PR_GET_SPECULATION_CTRL
    PR_GET_TIMING PR_SET_SECCOMP PR_SET_MM PR_SCHED_CORE
);

/// Options of prctl(2) that the libc crate has not (linux/prctl.h); all but the last matter on aarch64 only.
const OTHER_VALUES: [(&str, u32); 6] = [
    ("PR_SVE_SET_VL", 50),
    ("PR_SVE_GET_VL", 51),
    ("PR_PAC_RESET_KEYS", 54),
    ("PR_SET_TAGGED_ADDR_CTRL", 55),
    ("PR_GET_TAGGED_ADDR_CTRL", 56),
    ("PR_SET_MEMORY_MERGE", 67),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        assert_eq!(value("CLONE_NEWUSER"), Some(0x1000_0000));
        assert_eq!(value("0xffffffff"), Some(u32::MAX));
        assert_eq!(value("17"), Some(17));
        assert_eq!(value("CLONE_NEWTOY"), None);
        assert_eq!(errno("EPERM"), Some(1));
    }
}
