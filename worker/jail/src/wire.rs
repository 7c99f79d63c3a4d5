//! The socket between worker and jail: one SOCK_SEQPACKET datagram per message, postcard inside, descriptors beside.
//!
//! States of the dialogue, seen from the worker: `Configure` -> `Ready | Failed`; then, again and again,
//! `Run | Learn` -> (`Started`, `Progress`*)? -> (`Learned`? `Finished`) `| Failed` -> `Release` -> `KeepReady`?. For each `Release` there is one
//! `Released | NotReleased`, in their order, but perhaps only when the next command has ended: nothing has to wait while the kernel takes a
//! sandbox down, and a jail that watches a command buries none. `Kill` may be sent at any time after `Run` and is ignored when the command has ended. EOF in either direction ends the other side: a jail whose worker died
//! kills its sandbox, cleans up and exits.
//!
//! Trust: the jail believes its worker, who owns the host's side; plans are still checked, against mistakes. Nobody in a
//! sandbox, its init included, ever holds an end of this socket: what those may say is in `sandbox/handshake.rs`.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::learned::Learned;
use crate::plan::{CustomProfile, Plan, SandboxKind};
use crate::report::{Failure, Report};

/// A longer message travels in a sealed memfd, as the first descriptor of an otherwise empty frame.
pub const MAX_INLINE_BYTES: usize = 8 * 1024;
/// The kernel's SCM_MAX_FD: more descriptors in one message are EINVAL (unix(7)).
pub const MAX_DESCRIPTORS: usize = 253;
/// Longest message at all: a plan of 128 KiB arguments and a few hundred paths stays far below.
const MAX_MESSAGE_BYTES: u64 = 8 * 1024 * 1024;

const INLINE: u8 = 0;
const IN_MEMFD: u8 = 1;

/// Worker to jail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Request {
    Configure(Setup),
    /// With descriptors as [`Plan`] says.
    Run(Box<Plan>),
    /// The same, with every call recorded, which is slower: `Learned` comes before `Finished`.
    Learn(Box<Plan>),
    Kill(KillReason),
    /// The worker has closed every descriptor that came with the report: destroy what is left. The next plan may follow at once.
    Release,
    /// Have sandboxes of these kinds ready, the first of them most of all, and of no others. Nothing is answered; the images must
    /// stay on disk until something else is asked for, or the jail is gone.
    KeepReady(Vec<SandboxKind>),
}

/// What a jail is told once, before its first plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setup {
    /// Names the jail's cgroups: `<cgroup_name>/<jail>-<n>`.
    pub jail: u32,
    /// Group that the worker made for itself in every hierarchy, `kiln-<pid of worker>`, made by the first jail that needs it.
    pub cgroup_name: String,
    /// CPUs commands may run on; empty: all.
    pub cpus: Vec<u32>,
    /// First host uid and gid of this jail's 65,536 (see `uid_range`).
    pub uid_base: u32,
    /// Layers the operator allows to be missing, by name; empty by default.
    pub allow_missing: Vec<String>,
    /// The operator's profiles, beside the built-in ones.
    pub profiles: Vec<CustomProfile>,
    pub filters: FilterUse,
}

/// Whether commands get their filter and Landlock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum FilterUse {
    #[default]
    Required,
    /// For `kiln bench`, which measures what they cost a program of its own. Nothing that an operator can write asks for it.
    LeftOut,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KillReason {
    Cancelled,
    /// The worker counted more output than the limit; `seen` bytes on the stream.
    OutputLimit {
        seen: u64,
    },
}

/// Jail to worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// The jail stands and can make sandboxes.
    Ready,
    /// The command was executed.
    Started {
        unix_us: u64,
    },
    /// A few times a second while a command runs.
    Progress {
        cpu_us: u64,
        memory_bytes: u64,
    },
    /// What was seen of a command that was to be recorded.
    Learned(Box<Learned>),
    Finished(Box<Report>),
    /// Set-up or supervision failed; a `Release` is still expected when a plan was running.
    Failed(Failure),
    /// Everything of the earliest command that was released and not answered yet is gone: processes, mounts, cgroups.
    Released,
    /// Something of it is left. The jail ends, whatever it was asked for meanwhile.
    NotReleased(Failure),
}

/// Why a message could not be sent or received.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    #[error("encode a message")]
    Encode(#[source] postcard::Error),
    #[error("decode a message")]
    Decode(#[source] postcard::Error),
    #[error("send a message")]
    Send(#[source] Errno),
    #[error("receive a message")]
    Receive(#[source] Errno),
    #[error("{count} descriptors in one message, at most {MAX_DESCRIPTORS} are possible")]
    TooManyDescriptors { count: usize },
    #[error("carry a long message in a memfd")]
    Memfd(#[source] io::Error),
    #[error("a frame that is none of ours: {why}")]
    Frame { why: &'static str },
}

impl WireError {
    /// The socket is non-blocking and not ready; nothing was sent or received.
    pub fn would_block(&self) -> bool {
        matches!(self, Self::Send(Errno::AGAIN) | Self::Receive(Errno::AGAIN))
    }
}

/// Keeps `WouldBlock`, so that a reactor's `async_io` knows when to wait.
impl From<WireError> for io::Error {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Send(errno) | WireError::Receive(errno) => errno.into(),
            WireError::Memfd(error) => error,
            other => Self::new(io::ErrorKind::InvalidData, other),
        }
    }
}

/// A connected pair, both ends closed on exec: one for the worker, one to be the jail's stdin.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// Sends one message and its descriptors. `flags` may hold DONTWAIT; a dead peer is EPIPE, never SIGPIPE.
pub fn send<T: Serialize>(
    socket: BorrowedFd<'_>,
    message: &T,
    descriptors: &[BorrowedFd<'_>],
    flags: SendFlags,
) -> Result<(), WireError> {
    let frame = postcard::to_extend(message, vec![INLINE]).map_err(WireError::Encode)?;
    if frame.len() <= MAX_INLINE_BYTES {
        return send_frame(socket, &frame, descriptors, flags);
    }
    let memfd = sealed_memfd(&frame[1..]).map_err(WireError::Memfd)?;
    let mut all = Vec::with_capacity(descriptors.len() + 1);
    all.push(memfd.as_fd());
    all.extend_from_slice(descriptors);
    send_frame(socket, &[IN_MEMFD], &all, flags)
}

/// Receives one message and its descriptors (closed on exec); `None` when the peer is gone.
pub fn receive<T: DeserializeOwned>(
    socket: BorrowedFd<'_>,
    flags: RecvFlags,
) -> Result<Option<(T, Vec<OwnedFd>)>, WireError> {
    let mut buffer = vec![0; MAX_INLINE_BYTES];
    let (length, mut descriptors) = match receive_frame(socket, &mut buffer, flags) {
        // It has left without hearing all that was said to it (unix_release_sock in net/unix/af_unix.c). That is told once, and
        // before what it said itself.
        Err(WireError::Receive(Errno::CONNRESET)) => receive_frame(socket, &mut buffer, flags)?,
        received => received?,
    };
    match buffer[..length].split_first() {
        None => Ok(None),
        Some((&INLINE, body)) => {
            Ok(Some((postcard::from_bytes(body).map_err(WireError::Decode)?, descriptors)))
        }
        Some((&IN_MEMFD, _)) if !descriptors.is_empty() => {
            let body = read_memfd(descriptors.remove(0))?;
            Ok(Some((postcard::from_bytes(&body).map_err(WireError::Decode)?, descriptors)))
        }
        Some(_) => Err(WireError::Frame { why: "unknown kind" }),
    }
}

fn send_frame(
    socket: BorrowedFd<'_>,
    frame: &[u8],
    descriptors: &[BorrowedFd<'_>],
    flags: SendFlags,
) -> Result<(), WireError> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty()
        && (descriptors.len() > MAX_DESCRIPTORS
            || !control.push(SendAncillaryMessage::ScmRights(descriptors)))
    {
        return Err(WireError::TooManyDescriptors { count: descriptors.len() });
    }
    rustix::io::retry_on_intr(|| {
        rustix::net::sendmsg(socket, &[IoSlice::new(frame)], &mut control, flags | SendFlags::NOSIGNAL)
    })
    .map_err(WireError::Send)?;
    Ok(())
}

fn receive_frame(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    flags: RecvFlags,
) -> Result<(usize, Vec<OwnedFd>), WireError> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::io::retry_on_intr(|| {
        rustix::net::recvmsg(
            socket,
            &mut [IoSliceMut::new(buffer)],
            &mut control,
            flags | RecvFlags::CMSG_CLOEXEC,
        )
    })
    .map_err(WireError::Receive)?;
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    if received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        return Err(WireError::Frame { why: "truncated" });
    }
    Ok((received.bytes, descriptors))
}

fn sealed_memfd(body: &[u8]) -> io::Result<OwnedFd> {
    let memfd = rustix::fs::memfd_create("kiln-message", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut file = File::from(memfd);
    file.write_all(body)?;
    rustix::fs::fcntl_add_seals(
        &file,
        SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL,
    )?;
    Ok(file.into())
}

fn read_memfd(memfd: OwnedFd) -> Result<Vec<u8>, WireError> {
    let file = File::from(memfd);
    let length = file.metadata().map_err(WireError::Memfd)?.len();
    if length > MAX_MESSAGE_BYTES {
        return Err(WireError::Frame { why: "too long" });
    }
    let mut body = vec![0; length as usize];
    // The writer's offset is shared and stands at the end, so read by position.
    file.read_exact_at(&mut body, 0).map_err(WireError::Memfd)?;
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(message: &Request, descriptors: &[BorrowedFd<'_>]) -> (Request, Vec<OwnedFd>) {
        let (one, other) = pair().expect("socketpair");
        send(one.as_fd(), message, descriptors, SendFlags::empty()).expect("send");
        receive(other.as_fd(), RecvFlags::empty()).expect("receive").expect("a message")
    }

    fn setup(allow_missing: Vec<String>) -> Request {
        Request::Configure(Setup {
            jail: 7,
            cgroup_name: "kiln-1".to_owned(),
            cpus: vec![0, 1],
            uid_base: 1_879_048_192,
            allow_missing,
            profiles: Vec::new(),
            filters: FilterUse::Required,
        })
    }

    #[test]
    fn short_and_long_messages_arrive_with_their_descriptors_in_order() {
        for message in [setup(vec![]), setup(vec!["x".repeat(100_000)])] {
            let files: Vec<File> = (0..3).map(|n| File::from(sealed_memfd(&[n]).expect("memfd"))).collect();
            let borrowed: Vec<_> = files.iter().map(AsFd::as_fd).collect();
            let (arrived, descriptors) = exchange(&message, &borrowed);
            assert_eq!(arrived, message);
            let contents: Vec<_> = descriptors.into_iter().map(|fd| read_memfd(fd).expect("read")).collect();
            assert_eq!(contents, [[0], [1], [2]]);
        }
    }

    #[test]
    fn two_hundred_and_fifty_three_descriptors_pass_and_one_more_is_refused() {
        let file = sealed_memfd(b"").expect("memfd");
        let many = vec![file.as_fd(); MAX_DESCRIPTORS + 1];
        assert_eq!(exchange(&Request::Release, &many[1..]).1.len(), MAX_DESCRIPTORS);
        let (one, _other) = pair().expect("socketpair");
        let refused = send(one.as_fd(), &Request::Release, &many, SendFlags::empty());
        assert!(matches!(refused, Err(WireError::TooManyDescriptors { count: 254 })));
    }

    #[test]
    fn an_empty_queue_would_block_and_a_dead_peer_is_the_end() {
        let (one, other) = pair().expect("socketpair");
        let error = receive::<Reply>(one.as_fd(), RecvFlags::DONTWAIT).expect_err("nothing was sent");
        assert!(error.would_block());
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::WouldBlock);
        send(one.as_fd(), &Request::Release, &[], SendFlags::empty()).expect("send");
        // With something unheard; what it said is heard all the same.
        send(other.as_fd(), &Reply::Ready, &[], SendFlags::empty()).expect("send");
        drop(other);
        let last = receive::<Reply>(one.as_fd(), RecvFlags::empty()).expect("a message");
        assert_eq!(last.map(|(reply, _)| reply), Some(Reply::Ready));
        assert!(receive::<Reply>(one.as_fd(), RecvFlags::empty()).expect("end").is_none());
        assert!(receive::<Reply>(one.as_fd(), RecvFlags::empty()).expect("end").is_none());
        let error = send(one.as_fd(), &Request::Release, &[], SendFlags::empty()).expect_err("no peer");
        assert!(matches!(error, WireError::Send(Errno::PIPE)));
    }
}
