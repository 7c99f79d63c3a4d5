//! Names that policies may use for argument values and errors. Nothing here depends on the architecture.

/// The value of a name such as `CLONE_NEWNS`, or of a number written in decimal or `0x` hexadecimal.
pub(super) fn value(name: &str) -> Option<u32> {
    if let Some(hexadecimal) = name.strip_prefix("0x") {
        return u32::from_str_radix(hexadecimal, 16).ok();
    }
    name.parse().ok().or_else(|| named(&VALUES, name)).or_else(|| named(&AARCH64_VALUES, name))
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

const ERRNOS: [(&str, u16); 6] = errnos!(EPERM EACCES EINVAL ENOSYS EAFNOSUPPORT EAGAIN);

const VALUES: [(&str, u32); 48] = constants!(
    CLONE_NEWCGROUP CLONE_NEWIPC CLONE_NEWNET CLONE_NEWNS CLONE_NEWPID CLONE_NEWTIME CLONE_NEWUSER CLONE_NEWUTS
    CLONE_THREAD
    TIOCSTI TIOCLINUX TIOCSETD
    AF_UNIX
    S_IFMT S_IFIFO S_IFREG S_IFSOCK
    PROT_EXEC MAP_ANONYMOUS
    F_SETLEASE F_NOTIFY
    ADDR_NO_RANDOMIZE
    RLIMIT_CORE
    PR_SET_NAME PR_GET_NAME PR_SET_PDEATHSIG PR_GET_PDEATHSIG PR_SET_DUMPABLE PR_GET_DUMPABLE
    PR_SET_NO_NEW_PRIVS PR_GET_NO_NEW_PRIVS PR_SET_VMA PR_CAPBSET_READ PR_CAPBSET_DROP PR_GET_SECCOMP
    PR_SET_TIMERSLACK PR_GET_TIMERSLACK PR_SET_CHILD_SUBREAPER PR_GET_CHILD_SUBREAPER
    PR_SET_KEEPCAPS PR_GET_KEEPCAPS PR_GET_SECUREBITS PR_SET_THP_DISABLE PR_GET_THP_DISABLE
    PR_GET_TID_ADDRESS PR_CAP_AMBIENT PR_GET_SPECULATION_CTRL
    PR_GET_TIMING
);

/// Options of prctl(2) that matter on aarch64 only (linux/prctl.h); the libc crate has them not.
const AARCH64_VALUES: [(&str, u32); 5] = [
    ("PR_SVE_SET_VL", 50),
    ("PR_SVE_GET_VL", 51),
    ("PR_PAC_RESET_KEYS", 54),
    ("PR_SET_TAGGED_ADDR_CTRL", 55),
    ("PR_GET_TAGGED_ADDR_CTRL", 56),
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
