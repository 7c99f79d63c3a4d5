//! Where the signal that ended a main process came from, as far as it can be known. Pure.
//!
//! The kernel tells a parent the signal, never the sender. But few can send one: the process itself, others of its sandbox,
//! the kernel, the jail (which knows when it did) and root of the host, who is left out of account.

use crate::report::SignalOrigin;

/// Signals that nothing but a call to kill(2) or one of its kin sends in a sandbox, which has no terminal.
const ONLY_SENT: [i32; 8] = [
    libc::SIGABRT,
    libc::SIGKILL,
    libc::SIGTERM,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGHUP,
    libc::SIGUSR1,
    libc::SIGUSR2,
];

/// Signals of a fault, if the kernel's log tells of one; else they may have been sent.
const FAULTS: [i32; 5] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP];

/// `peak_tasks` counts processes and threads that were alive together.
pub(crate) fn signal_origin(signal: i32, faulted: bool, peak_tasks: Option<u64>) -> Option<SignalOrigin> {
    if FAULTS.contains(&signal) {
        return faulted.then_some(SignalOrigin::Fault);
    }
    if !ONLY_SENT.contains(&signal) {
        return None;
    }
    // As long as the main process lived, it was one of them: a peak of one means that there was never another.
    Some(if peak_tasks == Some(1) { SignalOrigin::Itself } else { SignalOrigin::Sandbox })
}

/// Whether the kernel's log may tell more of this signal.
pub(crate) fn may_be_a_fault(signal: i32) -> bool {
    FAULTS.contains(&signal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_known_is_said() {
        let table = [
            (libc::SIGABRT, false, Some(1), Some(SignalOrigin::Itself)),
            (libc::SIGABRT, false, Some(2), Some(SignalOrigin::Sandbox)),
            (libc::SIGABRT, false, None, Some(SignalOrigin::Sandbox)),
            (libc::SIGKILL, false, Some(9), Some(SignalOrigin::Sandbox)),
            (libc::SIGSEGV, true, Some(1), Some(SignalOrigin::Fault)),
            (libc::SIGSEGV, false, Some(1), None),
            (libc::SIGPIPE, false, Some(1), None),
            (libc::SIGALRM, false, Some(1), None),
            (libc::SIGSYS, false, Some(1), None),
            (40, false, Some(1), None),
        ];
        for (signal, faulted, peak, expected) in table {
            assert_eq!(signal_origin(signal, faulted, peak), expected, "{signal} {faulted} {peak:?}");
        }
    }
}
