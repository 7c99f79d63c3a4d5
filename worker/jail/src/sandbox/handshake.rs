//! The few words between the jail and a child that it has just cloned, over a socketpair closed on exec.
//!
//! Only for trusted code before exec. A child that says nothing and is gone has executed its program, or died.
//!
//! Trust: the jail believes its worker and nobody in a sandbox. Whatever a child says is bounded in time and length, may
//! be at most a failure of the infrastructure, and decides no outcome of a job: those come from the kernel (wait status,
//! counters, the listener). After its word `Stands` init holds no descriptor, and is never listened to again.

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

/// No word is longer; a failure's is the longest.
const LONGEST: usize = 4096;

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

/// Child: says one message. One plain write, which every filter allows, and no memory that init may not have any more.
pub(crate) fn send(jail: BorrowedFd<'_>, message: &Message) -> Result<(), Errno> {
    let mut buffer = [0; LONGEST];
    let bytes = postcard::to_slice(message, &mut buffer).map_err(|_| Errno::MSGSIZE)?;
    rustix::io::retry_on_intr(|| rustix::io::write(jail, bytes)).map(drop)
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
    hear_within(child, PATIENCE)
}

/// Descriptors sent along are dropped by the kernel: a plain read takes none (unix(7)).
fn hear_within(child: BorrowedFd<'_>, patience: Duration) -> Result<Option<Message>, Failure> {
    let timeout = Timespec { tv_sec: patience.as_secs() as i64, tv_nsec: patience.subsec_nanos().into() };
    let mut ready = [PollFd::from_borrowed_fd(child, PollFlags::IN)];
    let count = rustix::io::retry_on_intr(|| rustix::event::poll(&mut ready, Some(&timeout)))
        .map_err(Failure::of("handshake", "wait for a child"))?;
    if count == 0 {
        return Err(Failure::new("handshake", Errno::TIMEDOUT.raw_os_error(), "a child did not answer"));
    }
    // One byte more than anybody has to say: a message is cut off without a word (recv(2)).
    let mut buffer = [0; LONGEST + 1];
    let mut read = || rustix::io::retry_on_intr(|| rustix::io::read(child, &mut buffer));
    // A child that has left without hearing all that was said to it. That is told once, and before what it said itself.
    let heard = match read() {
        Err(Errno::CONNRESET) => read(),
        heard => heard,
    };
    match heard {
        Ok(0) => Ok(None),
        Ok(length) if length > LONGEST => Err(Failure::new("handshake", 0, "a child said too much")),
        Ok(length) => match postcard::take_from_bytes(&buffer[..length]) {
            Ok((message, [])) => Ok(Some(message)),
            _ => Err(Failure::new("handshake", 0, "a child said something unknown")),
        },
        Err(errno) => Err(Failure::new("handshake", errno.raw_os_error(), "hear a child")),
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    const SOON: Duration = Duration::from_millis(20);

    fn heard(bytes: &[u8]) -> Result<Option<Message>, Failure> {
        let (jail, child) = pair().unwrap();
        rustix::io::write(&child, bytes).unwrap();
        hear_within(jail.as_fd(), SOON)
    }

    #[test]
    fn a_child_that_says_nothing_or_is_gone_is_found_out_in_time() {
        let (jail, child) = pair().unwrap();
        let failure = hear_within(jail.as_fd(), SOON).unwrap_err();
        assert_eq!((failure.step.as_str(), failure.errno), ("handshake", Errno::TIMEDOUT.raw_os_error()));
        drop(child);
        assert_eq!(hear_within(jail.as_fd(), SOON), Ok(None));
        assert_eq!(tell(jail.as_fd()), Ok(()), "found out by the next hear");
    }

    /// As one that cannot be confined, while its order is on the way.
    #[test]
    fn a_child_that_left_without_listening_is_heard_all_the_same() {
        let (jail, child) = pair().unwrap();
        rustix::io::write(&jail, b"an order").unwrap();
        let failure = Failure::new("landlock", 0, "");
        send(child.as_fd(), &Message::Failed(failure.clone())).unwrap();
        drop(child);
        assert_eq!(hear_within(jail.as_fd(), SOON), Ok(Some(Message::Failed(failure))));
        assert_eq!(hear_within(jail.as_fd(), SOON), Ok(None));
    }

    #[test]
    fn a_child_that_says_too_much_or_nonsense_is_a_failure_of_the_infrastructure() {
        for (bytes, detail) in [
            (vec![0; LONGEST + 1], "a child said too much"),
            (vec![0; 60_000], "a child said too much"),
            (vec![0, 0], "a child said something unknown"),
            (vec![0xff; 10], "a child said something unknown"),
            // A failure whose text is claimed to be longer than the message.
            (vec![2, 0xff, 0xff, 0xff, 0xff, 0x0f, b'x'], "a child said something unknown"),
            // Text that is no UTF-8.
            (vec![2, 1, 0xff, 0, 0], "a child said something unknown"),
        ] {
            let failure = heard(&bytes).unwrap_err();
            assert_eq!((failure.step.as_str(), failure.detail.as_str()), ("handshake", detail), "{bytes:?}");
        }
    }

    #[test]
    fn every_word_arrives_whole_and_a_longer_one_is_not_sent() {
        let failure = |length| Message::Failed(Failure::new("x", 0, "d".repeat(length)));
        for message in [Message::Stands, Message::Confined { listener: Some(i32::MAX) }, failure(4000)] {
            let (jail, child) = pair().unwrap();
            send(child.as_fd(), &message).unwrap();
            assert_eq!(hear_within(jail.as_fd(), SOON), Ok(Some(message)));
        }
        let (_jail, child) = pair().unwrap();
        assert_eq!(send(child.as_fd(), &failure(5000)), Err(Errno::MSGSIZE));
    }

    #[test]
    fn descriptors_that_come_along_are_not_taken() {
        let (jail, child) = pair().unwrap();
        let (mut read, write) = std::io::pipe().unwrap();
        wire::send(child.as_fd(), &0_u8, &[write.as_fd()], SendFlags::empty()).unwrap();
        assert_eq!(hear_within(jail.as_fd(), SOON).unwrap_err().step, "handshake");
        drop(write);
        // A copy of the writing end that was taken would keep this waiting for ever.
        assert_eq!(std::io::Read::read(&mut read, &mut [0]).unwrap(), 0);
    }

    proptest::proptest! {
        #[test]
        fn whatever_a_child_says_is_a_word_or_a_failure(bytes in proptest::collection::vec(proptest::num::u8::ANY, 1..200)) {
            match heard(&bytes) {
                Ok(message) => proptest::prop_assert!(message.is_some()),
                Err(failure) => proptest::prop_assert_eq!(failure.step, "handshake"),
            }
        }
    }
}
