//! Frames on the socket between worker and jail, with any descriptors: a message or a precise error, nothing kept.
#![no_main]

use std::fs::File;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use kiln_jail::wire::{self, Reply, Request};
use libfuzzer_sys::fuzz_target;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

/// The first byte says how many descriptors travel along, the second what the first of them is; the rest is the frame.
fuzz_target!(|bytes: &[u8]| {
    let [count, kind, frame @ ..] = bytes else { return };
    let (ours, theirs) = wire::pair().expect("a socketpair");
    let body =
        if kind % 2 == 0 { memfd(frame) } else { File::open("/dev/null").expect("it is there").into() };
    let descriptors = vec![body.as_fd(); usize::from(count % 4)];
    for receive_as in [receive::<Request>, receive::<Reply>] {
        if send(ours.as_fd(), frame, &descriptors) {
            receive_as(theirs.as_fd());
        }
    }
});

fn receive<T: serde::de::DeserializeOwned>(socket: BorrowedFd<'_>) {
    let _message_or_error = wire::receive::<T>(socket, RecvFlags::DONTWAIT);
}

fn send(socket: BorrowedFd<'_>, frame: &[u8], descriptors: &[BorrowedFd<'_>]) -> bool {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        assert!(control.push(SendAncillaryMessage::ScmRights(descriptors)));
    }
    rustix::net::sendmsg(
        socket,
        &[IoSlice::new(frame)],
        &mut control,
        SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
    )
    .is_ok()
}

fn memfd(content: &[u8]) -> OwnedFd {
    let memfd = rustix::fs::memfd_create("fuzz", rustix::fs::MemfdFlags::CLOEXEC).expect("a memfd");
    std::io::Write::write_all(&mut File::from(memfd.try_clone().expect("a descriptor")), content)
        .expect("memory");
    memfd
}
