//! landlock_create_ruleset(2), only to ask for the version: the `landlock` crate makes the rulesets.

use rustix::io::Errno;

use super::clone::last_errno;

/// `LANDLOCK_CREATE_RULESET_VERSION` of linux/landlock.h.
const VERSION: libc::c_ulong = 1;

/// The kernel's Landlock ABI; ENOSYS when it has none, EOPNOTSUPP when it was switched off at boot.
pub(crate) fn abi() -> Result<i32, Errno> {
    let none = std::ptr::null::<libc::c_void>();
    // SAFETY: with this flag the kernel demands a null pointer and size 0 and reads no memory.
    let result =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, none, 0 as libc::size_t, VERSION) };
    i32::try_from(result).ok().filter(|abi| *abi >= 0).ok_or_else(last_errno)
}
