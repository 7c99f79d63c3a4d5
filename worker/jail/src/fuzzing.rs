//! Ways in to private parsers for the fuzz targets of tests/fuzz; compiled only with instrumentation.

use std::os::fd::AsFd;

use rustix::net::SendFlags;

/// One message of a child of the jail: understood, or refused with a reason of the jail's own.
pub fn handshake(bytes: &[u8]) {
    let (jail, child) = crate::sandbox::handshake::pair().expect("a socketpair");
    // Nothing sent is a child that is gone, which another branch tells.
    if rustix::net::send(&child, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT).is_err() {
        return;
    }
    if let Err(failure) = crate::sandbox::handshake::hear(jail.as_fd()) {
        assert_eq!(failure.step, "handshake");
    }
}

/// Texts of the kernel about cgroups.
pub fn kernel_text(text: &str) {
    crate::cgroup::fuzzing::kernel_text(text);
}

/// Texts of the kernel about a process, which chose its own name, and records of the kernel's log.
pub fn process_text(bytes: &[u8]) {
    crate::evidence::fuzzing::process_text(bytes);
}
