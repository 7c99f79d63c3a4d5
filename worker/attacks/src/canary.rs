//! Things on the host that a job must neither see nor change, and the check that they are as they were.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

const SECRET_FILE: &str = "secret";
/// Files of the host that an escaped job likes to write.
const FILES: [&str; 2] = ["/etc/passwd", "/etc/group"];
/// As [`FILES`], settings of the kernel.
const SETTINGS: [&str; 5] = [
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/hostname",
    "/proc/sys/kernel/modprobe",
    "/proc/sys/user/max_user_namespaces",
    "/proc/sys/vm/overcommit_memory",
];

/// A secret file in a directory of its own, listening sockets, and what files and settings of the host were like.
#[derive(Debug)]
pub struct Canaries {
    directory: TempDir,
    secret: String,
    tcp: TcpListener,
    port: u16,
    abstract_socket: UnixListener,
    abstract_name: String,
    before: Vec<(PathBuf, String)>,
}

impl Canaries {
    /// Puts them out. `binary` is the program of the service under attack.
    pub fn new(binary: &Path) -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix("kiln-canary-").tempdir()?;
        let secret =
            format!("canary-{}", blake3::hash(directory.path().as_os_str().as_encoded_bytes()).to_hex());
        fs::write(directory.path().join(SECRET_FILE), &secret)?;
        let abstract_name = directory.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        let abstract_socket = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&abstract_name)?)?;
        abstract_socket.set_nonblocking(true)?;
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        tcp.set_nonblocking(true)?;
        let port = tcp.local_addr()?.port();
        let fixed = FILES.iter().chain(&SETTINGS).map(PathBuf::from);
        let watched: Vec<PathBuf> = fixed.chain([binary.to_owned()]).collect();
        let before = watched.iter().map(|path| (path.clone(), fingerprint(path))).collect();
        Ok(Self { directory, secret, tcp, port, abstract_socket, abstract_name, before })
    }

    /// The file that no job may read or write.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.directory.path().join(SECRET_FILE)
    }

    /// A word that is in the canary file, may be put into the service's environment, and is nowhere else.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// Something listens there on the host's loopback.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// As [`Canaries::port`], an abstract unix socket.
    #[must_use]
    pub fn abstract_name(&self) -> &str {
        &self.abstract_name
    }

    /// What was changed on the host, and who came through to it; empty when it is untouched.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let mut complaints = self.about_the_file();
        if self.tcp.accept().is_ok() {
            complaints.push("a job reached a TCP port of the host".to_owned());
        }
        if self.abstract_socket.accept().is_ok() {
            complaints.push("a job reached an abstract socket of the host".to_owned());
        }
        let changed = self.before.iter().filter(|(path, before)| fingerprint(path) != *before);
        complaints.extend(changed.map(|(path, _)| format!("{} was changed", path.display())));
        complaints
    }

    fn about_the_file(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        let content = fs::read(self.file()).unwrap_or_default();
        if content != self.secret.as_bytes() {
            complaints.push("the canary file was changed".to_owned());
        }
        let own = rustix::process::geteuid().as_raw();
        let whole =
            |metadata: &fs::Metadata| metadata.is_file() && (metadata.uid(), metadata.nlink()) == (own, 1);
        if !fs::symlink_metadata(self.file()).as_ref().is_ok_and(whole) {
            complaints.push("the canary file has another owner, kind or more links".to_owned());
        }
        let entries = fs::read_dir(self.directory.path()).map_or(0, Iterator::count);
        if entries != 1 {
            complaints.push(format!("the canary's directory has {entries} entries instead of one"));
        }
        complaints
    }

    /// How many things on the host are compared.
    #[must_use]
    pub fn watched(&self) -> usize {
        self.before.len()
    }
}

/// Content, size, owner and mode; the error where it cannot be read.
fn fingerprint(path: &Path) -> String {
    match (fs::read(path), fs::metadata(path)) {
        (Ok(content), Ok(metadata)) => {
            let (uid, mode) = (metadata.uid(), metadata.mode());
            format!("{} {} {uid} {mode:o}", content.len(), blake3::hash(&content).to_hex())
        }
        (Err(error), _) | (_, Err(error)) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixStream;

    use super::*;

    type Change = fn(&Path);

    fn canaries() -> (TempDir, Canaries) {
        let directory = tempfile::tempdir().unwrap();
        let binary = directory.path().join("binary");
        fs::write(&binary, "binary").unwrap();
        let canaries = Canaries::new(&binary).unwrap();
        (directory, canaries)
    }

    #[track_caller]
    fn complains(canaries: &Canaries, of: &str) {
        let complaints = canaries.complaints();
        assert!(complaints.iter().any(|complaint| complaint.contains(of)), "{of}: {complaints:?}");
    }

    #[test]
    fn nothing_done_is_no_complaint() {
        let (_directory, canaries) = canaries();
        assert_eq!(canaries.complaints(), Vec::<String>::new());
        assert!(canaries.watched() > 5);
    }

    #[test]
    fn each_change_of_the_canary_file_is_seen() {
        let changes: [(&str, Change); 5] = [
            ("canary file was changed", |file| fs::write(file, "overwritten").unwrap()),
            ("canary file was changed", |file| fs::remove_file(file).unwrap()),
            ("more links", |file| fs::hard_link(file, file.with_extension("link")).unwrap()),
            ("2 entries", |file| fs::write(file.with_file_name("new"), "").unwrap()),
            ("another owner, kind", |file| {
                let away = file.with_extension("away");
                fs::rename(file, &away).unwrap();
                symlink(&away, file).unwrap();
            }),
        ];
        for (named, change) in changes {
            let (_directory, canaries) = canaries();
            change(&canaries.file());
            complains(&canaries, named);
        }
    }

    #[test]
    fn whoever_comes_through_is_seen() {
        let (_directory, canaries) = canaries();
        let _tcp = TcpStream::connect((Ipv4Addr::LOCALHOST, canaries.port())).unwrap();
        complains(&canaries, "a TCP port");
        let address = SocketAddr::from_abstract_name(canaries.abstract_name()).unwrap();
        let _unix = UnixStream::connect_addr(&address).unwrap();
        complains(&canaries, "an abstract socket");
    }

    #[test]
    fn a_changed_binary_is_seen() {
        let (directory, canaries) = canaries();
        fs::write(directory.path().join("binary"), "another").unwrap();
        complains(&canaries, "binary was changed");
    }
}
