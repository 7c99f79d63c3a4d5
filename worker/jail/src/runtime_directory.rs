//! Where a running Kiln keeps sockets and locks: `/run/kiln` of root, a directory of the user's own otherwise.
//!
//! Only decides and checks; it makes nothing but the last resort in `/tmp`, which must be ours before it is used.

use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat};

use crate::standing::Standing;

/// Root's.
pub const OF_ROOT: &str = "/run/kiln";

/// Why there is no such place.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeDirectoryError {
    #[error("make {}", path.display())]
    Make { path: PathBuf, source: io::Error },
    #[error("{} belongs to somebody else; remove it, or set XDG_RUNTIME_DIR to a directory of your own", path.display())]
    Foreign { path: PathBuf },
}

/// The directory for this standing.
pub fn of(standing: Standing) -> Result<PathBuf, RuntimeDirectoryError> {
    let uid = match standing {
        Standing::HostRoot => return Ok(PathBuf::from(OF_ROOT)),
        // Root of a container has a /run of its own.
        Standing::NamespaceRoot { .. } if is_writable(OF_ROOT) || is_writable("/run") => {
            return Ok(PathBuf::from(OF_ROOT));
        }
        Standing::NamespaceRoot { owner } => owner,
        Standing::User { uid } => uid,
    };
    of_user(uid, std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from))
}

/// Where systemd makes one it is taken, whatever the environment of this login says: all workers of a user must find each
/// other's locks.
fn of_user(uid: u32, named: Option<PathBuf>) -> Result<PathBuf, RuntimeDirectoryError> {
    let systemds = PathBuf::from(format!("/run/user/{uid}"));
    let own = [Some(systemds), named].into_iter().flatten().find(|path| path.is_absolute() && is_ours(path));
    match own {
        Some(path) => Ok(path.join("kiln")),
        None => last_resort(PathBuf::from(format!("/tmp/kiln-{uid}"))),
    }
}

fn last_resort(path: PathBuf) -> Result<PathBuf, RuntimeDirectoryError> {
    match std::fs::DirBuilder::new().mode(0o700).create(&path) {
        Ok(()) => Ok(path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && is_ours(&path) => Ok(path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(RuntimeDirectoryError::Foreign { path })
        }
        Err(source) => Err(RuntimeDirectoryError::Make { path, source }),
    }
}

/// A directory, no link, of this process' user, in which nobody else can make anything.
fn is_ours(path: &Path) -> bool {
    let own = rustix::process::geteuid().as_raw();
    std::fs::symlink_metadata(path)
        .is_ok_and(|place| place.is_dir() && place.uid() == own && place.mode() & 0o022 == 0)
}

fn is_writable(path: &str) -> bool {
    accessat(CWD, path, Access::WRITE_OK, AtFlags::EACCESS).is_ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_directory_that_others_can_write_or_that_is_a_link_is_not_ours() {
        let place = tempfile::tempdir().expect("tempdir");
        let of = |name: &str| place.path().join(name);
        for (name, mode) in [("own", 0o700), ("open", 0o777)] {
            std::fs::create_dir(of(name)).expect("mkdir");
            std::fs::set_permissions(of(name), PermissionsExt::from_mode(mode)).expect("chmod");
        }
        symlink(of("own"), of("link")).expect("symlink");
        assert!(is_ours(&of("own")));
        assert!(!is_ours(&of("open")) && !is_ours(&of("link")) && !is_ours(&of("none")));
        assert_eq!(last_resort(of("own")).expect("ours"), of("own"));
        assert!(matches!(last_resort(of("link")), Err(RuntimeDirectoryError::Foreign { .. })));
        assert_eq!(last_resort(of("new")).expect("made"), of("new"));
    }

    #[test]
    fn a_user_without_a_session_gets_what_the_environment_names() {
        let place = tempfile::tempdir().expect("tempdir");
        let nobody_has = 4_000_000_001;
        assert_eq!(of_user(nobody_has, Some(place.path().into())).expect("named"), place.path().join("kiln"));
        assert_eq!(of(Standing::HostRoot).expect("root's"), Path::new("/run/kiln"));
    }
}
