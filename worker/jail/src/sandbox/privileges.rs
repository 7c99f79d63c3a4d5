//! Losing privileges: ids, capabilities, bounding set, the way back.

use rustix::io::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets, Gid, Uid};

use crate::report::Failure;

/// Takes an id of the sandbox as real, effective and saved uid and gid, with no further groups.
pub(crate) fn become_id(id: u32) -> Result<(), Errno> {
    rustix::thread::set_thread_groups(&[])?;
    let (uid, gid) = (Uid::from_raw(id), Gid::from_raw(id));
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)
}

/// Becomes `id` for good: no capability in any set, none to be had by exec, no privileges to be gained. The bounding set is
/// empty by now.
pub(crate) fn drop_all(id: u32) -> Result<(), Failure> {
    become_id(id).map_err(Failure::of("set_ids", "become an unprivileged user"))?;
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    rustix::thread::set_capabilities(None, sets)
        .map_err(Failure::of("capabilities", "drop every capability"))?;
    rustix::thread::clear_ambient_capability_set()
        .map_err(Failure::of("capabilities", "clear the ambient set"))?;
    rustix::thread::set_no_new_privs(true).map_err(Failure::of("no_new_privs", "renounce new privileges"))?;
    match rustix::thread::no_new_privs() {
        Ok(true) => Ok(()),
        // Landlock and seccomp would refuse for the want of it, and be taken for the culprit.
        Ok(false) => {
            Err(Failure::new("no_new_privs", 0, "the kernel said yes, and new privileges can be had"))
        }
        Err(errno) => Err(Failure::new("no_new_privs", errno.raw_os_error(), "ask whether it is set")),
    }
}

/// Nothing that is executed from here on has a capability; this process keeps its own until [`drop_all`].
pub(crate) fn empty_bounding_set() -> Result<(), Failure> {
    drop_from_bounding_set().map_err(Failure::of("bounding_set", "empty the bounding set"))
}

/// Every capability this kernel knows: the first unknown number is EINVAL (PR_CAPBSET_DROP(2const)).
fn drop_from_bounding_set() -> Result<(), Errno> {
    for number in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            Err(Errno::INVAL) if number > 0 => return Ok(()),
            result => result?,
        }
    }
    Ok(())
}
