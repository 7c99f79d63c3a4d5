//! Where callers come in: unix sockets whose peers are checked, and loopback TCP. Nothing else is ever listened on.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt};
use std::path::{Path, PathBuf};

use futures_util::{Stream, StreamExt, stream};
use rustix::fs::{Mode, fchmod};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with};
use tokio::net::{TcpListener, UnixListener, UnixStream};

use crate::config::Listen;

/// Connections that the kernel keeps until we take them.
const BACKLOG: i32 = 1024;

/// An address that is listened on.
#[derive(Debug)]
pub(crate) enum Bound {
    Unix(UnixListener, SocketFile),
    Loopback(TcpListener),
}

/// The socket's file, removed at the end.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    /// Device and inode: another server's socket of the same name is not ours to remove.
    identity: (u64, u64),
}

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The socket's directory.
    #[error("make the directory {path} for the socket")]
    MakeDirectory {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another server.
    #[error("somebody listens on {path} already")]
    InUse {
        /// Where.
        path: PathBuf,
    },
    /// Something else of that name.
    #[error("{path} exists and is not a socket; remove it, or listen elsewhere")]
    NotASocket {
        /// What.
        path: PathBuf,
    },
    /// A socket left by a crash.
    #[error("remove the stale socket {path}")]
    RemoveStale {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Too long, no room, no permission.
    #[error("listen on {address}")]
    Bind {
        /// Where.
        address: Listen,
        /// Why.
        source: io::Error,
    },
}

impl Bound {
    /// Begins to listen.
    pub(crate) async fn new(address: &Listen) -> Result<(Self, Listen), ListenError> {
        let failed = |source| ListenError::Bind { address: address.clone(), source };
        match address {
            Listen::Unix(path) => {
                clear_way(path).await?;
                let (listener, file) = bind_unix(path).map_err(failed)?;
                Ok((Self::Unix(listener, file), address.clone()))
            }
            Listen::Loopback(asked) => {
                let listener = TcpListener::bind(asked).await.map_err(failed)?;
                let real: SocketAddr = listener.local_addr().map_err(failed)?;
                Ok((Self::Loopback(listener), Listen::Loopback(real)))
            }
        }
    }
}

/// Connections of peers that may talk to us; the others are closed at once.
pub(crate) fn checked_peers(listener: UnixListener) -> impl Stream<Item = io::Result<UnixStream>> + Send {
    let own = rustix::process::geteuid().as_raw();
    let connections = stream::unfold(listener, |listener| async move {
        let accepted = listener.accept().await;
        Some((accepted.map(|(connection, _)| connection), listener))
    });
    connections.filter_map(move |accepted| async move {
        let connection = match accepted {
            Ok(connection) => connection,
            Err(error) => return Some(Err(error)),
        };
        match connection.peer_cred() {
            Ok(peer) if is_welcome(peer.uid(), own) => Some(Ok(connection)),
            Ok(peer) => {
                tracing::warn!(uid = peer.uid(), "connection of another user refused");
                None
            }
            Err(error) => {
                tracing::warn!(%error, "connection without credentials refused");
                None
            }
        }
    })
}

/// Root, and the user that the server runs as.
fn is_welcome(uid: u32, own: u32) -> bool {
    uid == 0 || uid == own
}

/// Makes the directory if need be, and removes a socket that nobody listens on.
async fn clear_way(path: &Path) -> Result<(), ListenError> {
    if let Some(directory) = path.parent() {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.map_err(|source| ListenError::MakeDirectory { path: directory.to_owned(), source })?;
    }
    let Ok(metadata) = std::fs::symlink_metadata(path) else { return Ok(()) };
    let path = path.to_owned();
    if !metadata.file_type().is_socket() {
        return Err(ListenError::NotASocket { path });
    }
    if UnixStream::connect(&path).await.is_ok() {
        return Err(ListenError::InUse { path });
    }
    std::fs::remove_file(&path).map_err(|source| ListenError::RemoveStale { path, source })
}

/// The file has its mode from the beginning: bind(2) takes it from the socket's own inode, less the umask (net/unix/af_unix.c,
/// unix_bind_bsd), so there is no moment at which another user could connect.
fn bind_unix(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket: OwnedFd = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    listen(&socket, BACKLOG)?;
    let file = SocketFile { path: path.to_owned(), identity: identity(path)? };
    Ok((UnixListener::from_std(socket.into())?, file))
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            // At worst a stale socket stays, which the next start removes.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn only_root_and_our_own_user_are_welcome() {
        assert!(is_welcome(0, 1000));
        assert!(is_welcome(1000, 1000));
        assert!(!is_welcome(1001, 1000));
        assert!(!is_welcome(1, 0));
    }

    #[tokio::test]
    async fn a_socket_is_private_and_goes_with_its_server() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run/kiln.sock");
        let address = Listen::Unix(path.clone());
        let (bound, _) = Bound::new(&address).await.unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        assert!(matches!(Bound::new(&address).await, Err(ListenError::InUse { .. })));
        drop(bound);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_anything_else_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kiln.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "std leaves the file");
        drop(Bound::new(&Listen::Unix(path.clone())).await.unwrap());
        std::fs::write(&path, "not a socket").unwrap();
        let refused = Bound::new(&Listen::Unix(path.clone())).await;
        assert!(matches!(refused, Err(ListenError::NotASocket { .. })));
        let long = directory.path().join("x".repeat(200));
        assert!(matches!(Bound::new(&Listen::Unix(long)).await, Err(ListenError::Bind { .. })));
    }
}
