//! Things on the host that a job must neither see nor change, and the check that they are as they were.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::PathBuf;

use tempfile::TempDir;

use crate::binary;

/// Canaries of one test.
pub struct Canaries {
    directory: TempDir,
    /// A word that is in the canary file and in the service's environment, and nowhere else.
    pub secret: String,
    tcp: TcpListener,
    abstract_socket: UnixListener,
    pub abstract_name: String,
    binary_before: String,
    passwd_before: String,
    limits_before: Vec<String>,
}

impl Default for Canaries {
    fn default() -> Self {
        Self::new()
    }
}

impl Canaries {
    pub fn new() -> Self {
        let directory =
            tempfile::Builder::new().prefix("kiln-canary-").tempdir().expect("a directory in /tmp");
        let secret =
            format!("canary-{}", blake3::hash(directory.path().as_os_str().as_encoded_bytes()).to_hex());
        fs::write(directory.path().join("secret"), &secret).expect("a new file");
        let abstract_name =
            directory.path().file_name().and_then(|name| name.to_str()).expect("ASCII").to_owned();
        let address = SocketAddr::from_abstract_name(&abstract_name).expect("a short name");
        let abstract_socket =
            UnixListener::bind_addr(&address).expect("the name is as unique as the directory");
        abstract_socket.set_nonblocking(true).expect("a socket");
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback");
        tcp.set_nonblocking(true).expect("a socket");
        Self {
            directory,
            secret,
            tcp,
            abstract_socket,
            abstract_name,
            binary_before: binary_fingerprint(),
            passwd_before: fingerprint("/etc/passwd"),
            limits_before: host_settings(),
        }
    }

    /// The file that no job may read or write.
    pub fn file(&self) -> PathBuf {
        self.directory.path().join("secret")
    }

    pub fn port(&self) -> u16 {
        self.tcp.local_addr().expect("bound").port()
    }

    /// Asserts that nothing on the host was changed and nobody came through to a socket of the host.
    #[track_caller]
    pub fn assert_untouched(&self) {
        let content = fs::read_to_string(self.file()).expect("the canary file is still there");
        assert_eq!(content, self.secret, "the canary file was changed");
        let metadata = fs::metadata(self.file()).expect("the canary file is still there");
        assert_eq!(
            (metadata.uid(), metadata.nlink()),
            (rustix::process::getuid().as_raw(), 1),
            "owner, links"
        );
        let entries =
            fs::read_dir(self.directory.path()).expect("the canary directory is still there").count();
        assert_eq!(entries, 1, "something was put beside the canary");
        assert!(self.tcp.accept().is_err(), "a job reached a TCP port of the host");
        assert!(self.abstract_socket.accept().is_err(), "a job reached an abstract socket of the host");
        assert_eq!(binary_fingerprint(), self.binary_before, "the kiln binary was changed");
        assert_eq!(fingerprint("/etc/passwd"), self.passwd_before, "/etc/passwd was changed");
        assert_eq!(host_settings(), self.limits_before, "settings of the host were changed");
    }
}

fn binary_fingerprint() -> String {
    fingerprint(binary::kiln().to_str().expect("a path of this build"))
}

fn fingerprint(path: &str) -> String {
    let content = fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    format!("{} {}", content.len(), blake3::hash(&content).to_hex())
}

/// Settings of the host that an escaped job with privileges likes to write.
fn host_settings() -> Vec<String> {
    ["/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sys/user/max_user_namespaces"]
        .map(|path| fs::read_to_string(path).unwrap_or_default())
        .to_vec()
}
