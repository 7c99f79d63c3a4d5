//! Landlock: the file system, network and scope rights of one command, enforced by the kernel for good.
//!
//! Every right that the running kernel's ABI knows is handled, each as a hard requirement; nothing is best effort. The
//! sandbox's own mounts and namespaces come first: this layer still stands when one of them was made wrongly.

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};
use rustix::fs::{AtFlags, CWD, FileType, Mode, makedev, mknodat, unlinkat};
use rustix::io::Errno;

use crate::plan::Writes;
use crate::report::Failure;
use crate::sys::landlock::abi as kernel_abi;

/// The oldest ABI that counts as this layer: before it, files cannot be moved between directories at all (Refer).
pub const MINIMUM_ABI: i32 = 2;
/// The newest ABI whose rights this program knows.
pub const NEWEST_KNOWN_ABI: i32 = ABI::V10 as i32;

/// What later ABIs brought (Documentation/userspace-api/landlock.rst), and what else holds it in every sandbox.
const LATER: [(i32, &str, &str); 4] = [
    (3, "truncating files", "read-only mounts and their owners"),
    (4, "TCP", "an empty network namespace"),
    (5, "ioctl on devices", "seccomp, and five devices without any"),
    (6, "signals and abstract sockets", "own pid and network namespaces"),
];

/// Where every profile may write: the sandbox's tmpfs.
const WRITABLE: [&str; 3] = ["/work", "/tmp", "/dev/shm"];
/// Devices that programs open for writing.
const WRITABLE_DEVICES: [&str; 3] = ["/dev/null", "/dev/zero", "/dev/full"];

/// No file put into a sandbox is there, so the name is free.
const PROBE: &str = "/dev/shm/kiln-denied";

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

/// What this ABI does not cover, and what covers it instead. `None` where it covers everything.
pub fn covered_otherwise(abi: i32) -> Option<String> {
    let lacking = LATER.iter().filter(|(since, ..)| abi < *since);
    let told: Vec<_> = lacking.map(|(_, what, held_by)| format!("{what} ({held_by})")).collect();
    (!told.is_empty()).then(|| told.join(", "))
}

/// Whether this kernel has the layer.
pub(crate) fn is_present() -> bool {
    abi().is_ok_and(|abi| abi >= MINIMUM_ABI)
}

/// The rights of one command, looked up and not yet enforced.
pub struct Rights(RulesetCreated);

impl Rights {
    /// In a process whose root is the sandbox's root by now.
    pub fn of(writes: Writes) -> Result<Self, Failure> {
        let version = abi()?;
        if version < MINIMUM_ABI {
            let detail = format!("the kernel's Landlock ABI is {version}, at least {MINIMUM_ABI} is needed");
            return Err(Failure::new("landlock", 0, detail));
        }
        let abi = ABI::from(version);
        add_rules(ruleset(abi).map_err(failed)?, abi, writes).map(Self)
    }

    /// Restricts the calling, single-threaded process and all its descendants. no_new_privs is set by now.
    pub fn restrict(self) -> Result<(), Failure> {
        let status = self.0.restrict_self().map_err(failed)?;
        if status.ruleset != RulesetStatus::FullyEnforced || !status.no_new_privs {
            let detail = format!("the kernel enforced only a part: {:?}", status.ruleset);
            return Err(Failure::new("landlock", 0, detail));
        }
        prove()
    }
}

/// Nothing in /proc tells a process's Landlock domain, so one denial is asked for: a device, in a place where everybody may
/// write. Landlock is asked first, and no rule allows it (EACCES); without it the kernel finds that this process lacks
/// CAP_MKNOD (EPERM; do_mknodat in fs/namei.c). Not an overlay's whiteout (0:0): Debian's 6.12.117 lets it be made.
fn prove() -> Result<(), Failure> {
    match mknodat(CWD, PROBE, FileType::CharacterDevice, Mode::RUSR, makedev(1, 3)) {
        Err(Errno::ACCESS) => Ok(()),
        Err(Errno::PERM) => Err(Failure::new("landlock", 0, "the kernel said yes, and enforces nothing")),
        Err(errno) => Err(Failure::new("landlock", errno.raw_os_error(), "have something denied")),
        Ok(()) => {
            let _ = unlinkat(CWD, PROBE, AtFlags::empty());
            Err(Failure::new("landlock", 0, "the kernel said yes, and enforces nothing"))
        }
    }
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

fn add_rules(ruleset: RulesetCreated, abi: ABI, writes: Writes) -> Result<RulesetCreated, Failure> {
    // Devices are never made, overlay whiteouts (character device 0:0) included.
    let everything = AccessFs::from_all(abi) & !(AccessFs::MakeChar | AccessFs::MakeBlock);
    if writes == Writes::Root {
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

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::{Error, ErrorKind};
    use std::net::{TcpListener, TcpStream};
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
    use std::path::Path;
    use std::process::Command;

    use super::*;

    /// Tells the test program, started again by itself, to enter this root and restrict itself.
    const ROOT: &str = "KILN_TEST_LANDLOCK_ROOT";

    /// Not a check by itself when started without a root: see [`in_sandbox`].
    #[test]
    fn checks_its_rights_when_told_to() {
        let Some(root) = std::env::var_os(ROOT) else { return };
        let writes =
            if std::env::args().any(|argument| argument == "build") { Writes::Root } else { Writes::Work };
        std::os::unix::fs::chroot(root).unwrap();
        std::env::set_current_dir("/work").unwrap();
        Rights::of(writes).and_then(Rights::restrict).unwrap();
        everywhere();
        match writes {
            Writes::Root => fs::write("/etc/passwd", "changed").unwrap(),
            Writes::Work => read_only_outside_its_directories(),
        }
        network_and_scopes();
    }

    fn everywhere() {
        for directory in WRITABLE {
            let at = |name: &str| format!("{directory}/{name}");
            fs::write(at("a"), "text").unwrap();
            File::options().write(true).truncate(true).open(at("a")).unwrap();
            fs::create_dir_all(at("x/y")).unwrap();
            // Moving between directories is a right of its own (Refer).
            fs::rename(at("a"), at("x/y/b")).unwrap();
            fs::hard_link(at("x/y/b"), at("x/c")).unwrap();
            std::os::unix::fs::symlink("x", at("link")).unwrap();
            mknodat(CWD, at("fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
            fs::remove_dir_all(at("x")).unwrap();
            let device = mknodat(CWD, at("device"), FileType::CharacterDevice, Mode::RUSR, makedev(1, 3));
            assert_eq!(device, Err(Errno::ACCESS));
        }
        for device in WRITABLE_DEVICES {
            File::options().read(true).write(true).open(device).unwrap();
        }
        fs::write("/dev/null", "x").unwrap();
        assert_eq!(fs::read_to_string("/usr/file").unwrap(), "text");
        assert_eq!(fs::read_dir("/usr").unwrap().count(), 1);
    }

    fn read_only_outside_its_directories() {
        denied(fs::write("/etc/passwd", "changed"));
        denied(fs::write("/new", "x"));
        denied(fs::create_dir("/usr/new"));
        denied(fs::remove_file("/usr/file"));
        denied(fs::write("/work/w", "x").and_then(|()| fs::rename("/work/w", "/usr/w")));
        if abi().unwrap() >= 3 {
            denied(File::options().append(true).open("/usr/file").and_then(|file| file.set_len(0)));
        }
    }

    fn network_and_scopes() {
        let version = abi().unwrap();
        if version >= 4 {
            denied(TcpListener::bind("127.0.0.1:0"));
            denied(TcpStream::connect("127.0.0.1:9"));
        }
        if version >= 6 {
            let parent = rustix::process::getppid().unwrap();
            assert_eq!(rustix::process::test_kill_process(parent), Err(Errno::PERM));
            let outside = SocketAddr::from_abstract_name(std::env::var(ROOT).unwrap()).unwrap();
            denied(UnixStream::connect_addr(&outside));
        }
    }

    #[track_caller]
    fn denied<T>(result: Result<T, Error>) {
        let kind = result.map(drop).expect_err("must be denied").kind();
        assert_eq!(kind, ErrorKind::PermissionDenied);
    }

    fn in_sandbox(profile: &str) {
        let root = tempfile::tempdir().unwrap();
        lay_out(root.path());
        // A name that only this test knows.
        let outside = SocketAddr::from_abstract_name(root.path().as_os_str().as_encoded_bytes()).unwrap();
        let _listener = UnixListener::bind_addr(&outside).unwrap();
        let output = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "landlock::tests::checks_its_rights_when_told_to",
                "--test-threads=1",
                "--skip",
                profile,
            ])
            .env(ROOT, root.path())
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && told.contains("1 passed"), "{told}");
        let changed = fs::read_to_string(root.path().join("etc/passwd")).unwrap();
        assert_eq!(changed, if profile == "build" { "changed" } else { "text" });
    }

    fn lay_out(root: &Path) {
        for directory in ["work", "tmp", "dev/shm", "etc", "usr", "proc"] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        for file in ["etc/passwd", "usr/file"] {
            fs::write(root.join(file), "text").unwrap();
        }
        for (name, minor) in [("null", 3), ("zero", 5), ("full", 7)] {
            let mode = Mode::from_raw_mode(0o666);
            mknodat(CWD, root.join("dev").join(name), FileType::CharacterDevice, mode, makedev(1, minor))
                .unwrap();
        }
    }

    #[test]
    fn strict_writes_only_in_its_directories() {
        in_sandbox("strict");
    }

    #[test]
    fn build_writes_anywhere_but_makes_no_devices() {
        in_sandbox("build");
    }

    #[test]
    fn what_an_old_kernel_lacks_is_named_with_what_holds_it_instead() {
        let named = |abi| covered_otherwise(abi).map(|told| told.matches(" (").count());
        assert_eq!([2, 3, 4, 5, 6, 7].map(named), [Some(4), Some(3), Some(2), Some(1), None, None]);
        assert_eq!(
            covered_otherwise(5).unwrap(),
            "signals and abstract sockets (own pid and network namespaces)"
        );
    }

    #[test]
    fn this_kernel_has_the_layer() {
        assert!(abi().unwrap() >= MINIMUM_ABI);
    }
}
