//! The few words between the jail and a child that it has just cloned, over a socketpair closed on exec.
//!
//! Only for trusted code before exec. A child that says nothing and is gone has executed its program, or died.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::SendFlags;
use serde::{Deserialize, Serialize};

use crate::report::Failure;
use crate::seccomp::Mark;
use crate::sys::process;
use crate::wire;

/// Set-up is the jail's own code; longer than this and the host is sick (or its memory is).
const PATIENCE: Duration = Duration::from_secs(60);

/// What a child tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Message {
    /// Init: the sandbox stands.
    Stands,
    /// Command: every layer is on; the child's number of the filter's listener, none where the layer may be missing.
    Confined { listener: Option<i32> },
    /// A step of set-up failed.
    Failed(Failure),
    /// The working directory could not be entered: the job's matter.
    NoCwd { errno: i32 },
    /// The program could not be executed: the job's matter.
    NoExec { errno: i32 },
}

pub(crate) fn pair() -> Result<(OwnedFd, OwnedFd), Failure> {
    wire::pair().map_err(|error| {
        Failure::new("handshake", error.raw_os_error().unwrap_or(0), "make a socketpair for a child")
    })
}

/// Child: says one message. One plain write, which every filter allows.
pub(crate) fn send(jail: BorrowedFd<'_>, message: &Message) -> Result<(), Errno> {
    let bytes = postcard::to_stdvec(message).map_err(|_| Errno::INVAL)?;
    rustix::io::retry_on_intr(|| rustix::io::write(jail, &bytes)).map(drop)
}

/// Child: waits for the jail's word to go on.
pub(crate) fn wait(jail: BorrowedFd<'_>) -> Result<(), Failure> {
    let mut byte = [0];
    match rustix::io::retry_on_intr(|| rustix::io::read(jail, &mut byte)) {
        Ok(1) => Ok(()),
        Ok(_) => Err(Failure::new("handshake", 0, "the jail is gone")),
        Err(errno) => Err(Failure::new("handshake", errno.raw_os_error(), "wait for the jail")),
    }
}

/// Child, below its filter: says that it is confined and waits for the jail's word, by calls that pass even where every other waits
/// for the jail. Allocates nothing: the heap might have to grow, and nobody would answer that call yet.
pub(crate) fn report_confined(jail: BorrowedFd<'_>, listener: Option<i32>, mark: Mark) -> Result<(), Errno> {
    let mut room = [0; 64];
    let message = postcard::to_slice(&Message::Confined { listener }, &mut room).map_err(|_| Errno::INVAL)?;
    rustix::io::retry_on_intr(|| process::write_marked(jail, message, mark.0))?;
    let mut byte = [0];
    match rustix::io::retry_on_intr(|| process::read_marked(jail, &mut byte, mark.0))? {
        1 => Ok(()),
        _ => Err(Errno::PIPE),
    }
}

/// Jail: lets the child go on. A child that is dead already is found out by the next [`hear`].
pub(crate) fn tell(child: BorrowedFd<'_>) -> Result<(), Failure> {
    match rustix::net::send(child, &[1], SendFlags::NOSIGNAL) {
        Ok(_) | Err(Errno::PIPE | Errno::CONNRESET) => Ok(()),
        Err(errno) => Err(Failure::new("handshake", errno.raw_os_error(), "let a child go on")),
    }
}

/// Jail: the child's next message, `None` when it is gone (or has executed its program).
pub(crate) fn hear(child: BorrowedFd<'_>) -> Result<Option<Message>, Failure> {
    let timeout = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
    let mut ready = [PollFd::from_borrowed_fd(child, PollFlags::IN)];
    let count = rustix::io::retry_on_intr(|| rustix::event::poll(&mut ready, Some(&timeout)))
        .map_err(Failure::of("handshake", "wait for a child"))?;
    if count == 0 {
        return Err(Failure::new("handshake", Errno::TIMEDOUT.raw_os_error(), "a child did not answer"));
    }
    let mut buffer = [0; 4096];
    match rustix::io::retry_on_intr(|| rustix::io::read(child, &mut buffer)) {
        Ok(0) | Err(Errno::CONNRESET) => Ok(None),
        Ok(length) => postcard::from_bytes(&buffer[..length])
            .map(Some)
            .map_err(|_| Failure::new("handshake", 0, "a child said something unknown")),
        Err(errno) => Err(Failure::new("handshake", errno.raw_os_error(), "hear a child")),
    }
}
