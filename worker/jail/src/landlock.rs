//! Landlock: the file system, network and scope rights of one command, enforced by the kernel for good.
//!
//! Every right that the running kernel's ABI knows is handled, each as a hard requirement; nothing is best effort. The
//! sandbox's own mounts and namespaces come first: this layer still stands when one of them was made wrongly.

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};
use rustix::io::Errno;

use crate::plan::Profile;
use crate::report::Failure;
use crate::sys::landlock::abi as kernel_abi;

/// The oldest ABI that counts as this layer: before it, files cannot be moved between directories at all (Refer).
pub const MINIMUM_ABI: i32 = 2;
/// The newest ABI whose rights this program knows.
pub const NEWEST_KNOWN_ABI: i32 = ABI::V10 as i32;

/// Where every profile may write: the sandbox's tmpfs.
const WRITABLE: [&str; 3] = ["/work", "/tmp", "/dev/shm"];
/// Devices that programs open for writing.
const WRITABLE_DEVICES: [&str; 3] = ["/dev/null", "/dev/zero", "/dev/full"];

/// The kernel's Landlock ABI, as it says; it may be newer than [`NEWEST_KNOWN_ABI`].
pub fn abi() -> Result<i32, Failure> {
    kernel_abi().map_err(|errno| {
        let detail = match errno {
            Errno::OPNOTSUPP => "Landlock was switched off at boot: add it to lsm=",
            _ => "this kernel has no Landlock",
        };
        Failure::new("landlock", errno.raw_os_error(), detail)
    })
}

/// Restricts the calling, single-threaded process and all its descendants. Its root is the sandbox's root by now, and
/// no_new_privs is set.
pub fn restrict(profile: Profile) -> Result<(), Failure> {
    let version = abi()?;
    if version < MINIMUM_ABI {
        let detail = format!("the kernel's Landlock ABI is {version}, at least {MINIMUM_ABI} is needed");
        return Err(Failure::new("landlock", 0, detail));
    }
    let abi = ABI::from(version);
    let handled = ruleset(abi).map_err(failed)?;
    let status = add_rules(handled, abi, profile)?.restrict_self().map_err(failed)?;
    if status.ruleset != RulesetStatus::FullyEnforced || !status.no_new_privs {
        let detail = format!("the kernel enforced only a part: {:?}", status.ruleset);
        return Err(Failure::new("landlock", 0, detail));
    }
    Ok(())
}

/// Handles every right of this ABI: what no rule grants is denied, TCP and leaving the scope among it.
fn ruleset(abi: ABI) -> Result<RulesetCreated, RulesetError> {
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(abi))?;
    // An empty set is an error to the crate.
    if !AccessNet::from_all(abi).is_empty() {
        ruleset = ruleset.handle_access(AccessNet::from_all(abi))?;
    }
    if !Scope::from_all(abi).is_empty() {
        ruleset = ruleset.scope(Scope::from_all(abi))?;
    }
    ruleset.create()
}

fn add_rules(ruleset: RulesetCreated, abi: ABI, profile: Profile) -> Result<RulesetCreated, Failure> {
    // Devices are never made, overlay whiteouts (character device 0:0) included.
    let everything = AccessFs::from_all(abi) & !(AccessFs::MakeChar | AccessFs::MakeBlock);
    if profile == Profile::Build {
        return allow(ruleset, "/", everything);
    }
    let mut ruleset = allow(ruleset, "/", AccessFs::from_read(abi))?;
    for directory in WRITABLE {
        ruleset = allow(ruleset, directory, everything)?;
    }
    for device in WRITABLE_DEVICES {
        let rights = (AccessFs::from_file(abi) & AccessFs::from_write(abi)) | AccessFs::ReadFile;
        ruleset = allow(ruleset, device, rights)?;
    }
    Ok(ruleset)
}

fn allow(
    ruleset: RulesetCreated,
    path: &'static str,
    rights: BitFlags<AccessFs>,
) -> Result<RulesetCreated, Failure> {
    let opened = PathFd::new(path).map_err(|error| Failure::new("landlock", 0, error.to_string()))?;
    ruleset.add_rule(PathBeneath::new(opened, rights)).map_err(failed)
}

fn failed(error: RulesetError) -> Failure {
    Failure::new("landlock", 0, error.to_string())
}
