//! The small root directory below the host image: empty directories, links, and an `/etc` that holds what toolchains
//! need and nothing of the operator's.
//!
//! Only what everybody on the host may read is copied. Owners become root's.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// Counted up whenever this file writes something else.
pub(super) const FORM: &str = "kiln host image 1";

/// Directories and files copied from the host, where they exist. A `*` ends a name's beginning. Never a place where
/// operators keep secrets: no npmrc, pip.conf, environment, ssh, ssl/private.
const COPIES: &[&str] = &[
    "etc/alternatives",
    "etc/ld.so.cache",
    "etc/ld.so.conf",
    "etc/ld.so.conf.d",
    "etc/localtime",
    "etc/timezone",
    "etc/mime.types",
    "etc/services",
    "etc/protocols",
    "etc/terminfo",
    "etc/locale.alias",
    "etc/os-release",
    "etc/debian_version",
    "etc/lsb-release",
    "etc/alpine-release",
    "etc/fedora-release",
    "etc/redhat-release",
    "etc/ssl/certs",
    "etc/ssl/openssl.cnf",
    "etc/pki/ca-trust/extracted",
    "etc/pki/tls/certs",
    "etc/pki/tls/openssl.cnf",
    "etc/pki/java",
    "etc/crypto-policies",
    "etc/java*",
    "etc/perl",
    "etc/python*",
    "etc/php",
    "etc/php.ini",
    "etc/R",
    "etc/mono",
    "etc/ghc*",
    "etc/racket",
    "etc/julia",
    "etc/nim",
    "etc/fpc*",
    "etc/ldc2.conf",
    "etc/ldc2",
    "etc/dmd.conf",
    "etc/octave*",
    "etc/sbclrc",
    "etc/guile",
    "etc/gnucobol",
    // Debian's compiler looks its packages up here.
    "var/lib/ghc",
];

/// The sandbox mounts over these.
const MOUNT_POINTS: [&str; 5] = ["dev", "proc", "sys", "tmp", "work"];
const DIRECTORIES: [&str; 6] = ["usr", "etc", "opt", "run", "var", "var/lib"];

/// The user that commands run as, and the two that programs expect to exist.
const PASSWD: &str = "root:x:0:0:root:/nonexistent:/bin/sh\nkiln:x:1000:1000:kiln:/work:/bin/sh\n\
                      nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n";
const GROUP: &str = "root:x:0:\nkiln:x:1000:\nnogroup:x:65534:\n";
const HOSTS: &str = "127.0.0.1 localhost\n::1 localhost\n";
const NSSWITCH: &str = "passwd: files\ngroup: files\nhosts: files\nservices: files\nprotocols: files\n";
const FILES: [(&str, &str); 4] =
    [("etc/passwd", PASSWD), ("etc/group", GROUP), ("etc/hosts", HOSTS), ("etc/nsswitch.conf", NSSWITCH)];

/// Everything a skeleton will hold, and what its identity is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Skeleton {
    /// Relative to the root, parents before what they hold.
    entries: Vec<Entry>,
    /// The entries' paths: what comes first stays.
    seen: HashSet<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    path: PathBuf,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Directory,
    Link(PathBuf),
    Text(&'static str),
    Copy { from: PathBuf, executable: bool, size: u64, mtime: (i64, i64) },
}

impl Skeleton {
    /// Reads what there is on the host. `targets` are the other parts' places, absolute in the sandbox.
    pub(super) fn plan(host: &Path, links: &[(&str, PathBuf)], targets: &[PathBuf]) -> io::Result<Skeleton> {
        let mut skeleton = Skeleton::default();
        for directory in DIRECTORIES.iter().chain(&MOUNT_POINTS) {
            skeleton.directory(Path::new(directory));
        }
        for (name, target) in links {
            skeleton.add(Path::new(name), Kind::Link(target.clone()));
        }
        for (name, text) in FILES {
            skeleton.add(Path::new(name), Kind::Text(text));
        }
        skeleton.add(Path::new("etc/mtab"), Kind::Link(PathBuf::from("/proc/self/mounts")));
        for pattern in COPIES {
            for path in matching(host, pattern)? {
                skeleton.parents(&path);
                skeleton.copy(host, &path)?;
            }
        }
        for target in targets {
            let relative = target.strip_prefix("/").unwrap_or(target);
            // What lies inside /usr must be there already, and is: parts come from the same host.
            if !relative.starts_with("usr") {
                skeleton.parents(relative);
                skeleton.directory(relative);
            }
        }
        Ok(skeleton)
    }

    /// Adds what makes one skeleton differ from another.
    pub(super) fn identify(&self, identity: &mut blake3::Hasher) {
        for entry in &self.entries {
            super::host::hash(identity, entry.path.as_os_str().as_bytes());
            match &entry.kind {
                Kind::Directory => super::host::hash(identity, b"directory"),
                Kind::Link(target) => super::host::hash(identity, target.as_os_str().as_bytes()),
                Kind::Text(text) => super::host::hash(identity, text.as_bytes()),
                Kind::Copy { executable, size, mtime, .. } => {
                    super::host::hash(identity, format!("{executable} {size} {mtime:?}").as_bytes());
                }
            }
        }
    }

    /// Makes it in an empty directory.
    pub(super) fn write(&self, root: &Path) -> io::Result<()> {
        for entry in &self.entries {
            let path = root.join(&entry.path);
            match &entry.kind {
                Kind::Directory => DirBuilder::new().mode(0o755).create(&path)?,
                Kind::Link(target) => symlink(target, &path)?,
                Kind::Text(text) => write(&path, text.as_bytes(), 0o644)?,
                Kind::Copy { from, executable, .. } => {
                    write(&path, &fs::read(from)?, if *executable { 0o755 } else { 0o644 })?;
                }
            }
        }
        // The process's umask has no say in what jobs see.
        for entry in self.entries.iter().filter(|entry| entry.kind == Kind::Directory) {
            fs::set_permissions(root.join(&entry.path), Permissions::from_mode(0o755))?;
        }
        fs::set_permissions(root.join("tmp"), Permissions::from_mode(0o1777))
    }

    fn add(&mut self, path: &Path, kind: Kind) {
        if self.seen.insert(path.to_owned()) {
            self.entries.push(Entry { path: path.to_owned(), kind });
        }
    }

    fn directory(&mut self, path: &Path) {
        self.add(path, Kind::Directory);
    }

    fn parents(&mut self, path: &Path) {
        let parents: Vec<&Path> =
            path.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty()).collect();
        parents.into_iter().rev().for_each(|parent| self.directory(parent));
    }

    /// A file, link or whole directory; what others may not read is left out.
    fn copy(&mut self, host: &Path, path: &Path) -> io::Result<()> {
        let from = host.join(path);
        let metadata = fs::symlink_metadata(&from)?;
        let is_readable = metadata.mode() & 0o004 != 0;
        if metadata.is_symlink() {
            self.add(path, Kind::Link(fs::read_link(&from)?));
        } else if metadata.is_dir() && is_readable {
            self.directory(path);
            for name in sorted_names(&from)? {
                self.copy(host, &path.join(name))?;
            }
        } else if metadata.is_file() && is_readable {
            let executable = metadata.mode() & 0o001 != 0;
            let mtime = (metadata.mtime(), metadata.mtime_nsec());
            self.add(path, Kind::Copy { from, executable, size: metadata.len(), mtime });
        }
        Ok(())
    }
}

/// Names in a directory by their bytes; none where there is no directory.
pub(super) fn sorted_names(directory: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    let mut names = entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

fn matching(host: &Path, pattern: &str) -> io::Result<Vec<PathBuf>> {
    let path = Path::new(pattern);
    let Some(beginning) = pattern.strip_suffix('*') else {
        let exists = host.join(path).symlink_metadata().is_ok();
        return Ok(if exists { vec![path.to_owned()] } else { Vec::new() });
    };
    let parent = path.parent().unwrap_or(Path::new(""));
    let names = sorted_names(&host.join(parent))?;
    let paths = names.into_iter().map(|name| parent.join(name));
    Ok(paths.filter(|path| path.as_os_str().as_bytes().starts_with(beginning.as_bytes())).collect())
}

fn write(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    fs::write(path, content)?;
    fs::set_permissions(path, Permissions::from_mode(mode))
}
