//! What a process was doing, from its state and the call that it waits in, and which process explains why a command did
//! not go on. Pure.

use crate::report::{Activity, Process, Role};

use super::parse::Call;

/// The ends of the command's standard streams, as links of `/proc/PID/fd` show them (`pipe:[N]`).
pub(super) type StreamLinks = [Option<Vec<u8>>; 3];

const READS: [&str; 8] = ["read", "readv", "pread64", "preadv", "preadv2", "recvfrom", "recvmsg", "recvmmsg"];
const WRITES: [&str; 8] =
    ["write", "writev", "pwrite64", "pwritev", "pwritev2", "sendto", "sendmsg", "sendmmsg"];
const EVENTS: [&str; 7] =
    ["poll", "ppoll", "select", "pselect6", "epoll_wait", "epoll_pwait", "epoll_pwait2"];
const LOCKS: [&str; 4] = ["futex", "futex_wait", "futex_waitv", "flock"];
const SIGNALS: [&str; 3] = ["pause", "rt_sigsuspend", "rt_sigtimedwait"];

/// Of a thread in `state` (the letter of proc_pid_stat(5)). `link` is what a descriptor number of its process refers to.
pub(super) fn activity(
    state: u8,
    call: Option<(&str, &Call)>,
    streams: &StreamLinks,
    link: impl Fn(u64) -> Option<Vec<u8>>,
) -> Option<Activity> {
    match state {
        b'R' => return Some(Activity::Running),
        b'T' | b't' => return Some(Activity::Stopped),
        b'Z' | b'X' => return Some(Activity::Ended),
        b'S' | b'D' => {}
        _ => return None,
    }
    let Some((name, call)) = call else { return Some(Activity::Waiting) };
    let stream = |descriptor: u64| {
        let link = link(descriptor);
        streams.iter().position(|stream| stream.is_some() && *stream == link)
    };
    let (from, to) = descriptors(name, call);
    match (from.and_then(stream), to.and_then(stream)) {
        (Some(0), _) => return Some(Activity::ReadingStdin),
        (_, Some(1)) => return Some(Activity::WritingStdout),
        (_, Some(2)) => return Some(Activity::WritingStderr),
        _ => {}
    }
    Some(match name {
        "wait4" | "waitid" => Activity::WaitingForChild,
        "nanosleep" | "clock_nanosleep" => Activity::Sleeping,
        name if READS.contains(&name) => Activity::Reading,
        name if WRITES.contains(&name) => Activity::Writing,
        name if EVENTS.contains(&name) => Activity::WaitingForEvents,
        name if LOCKS.contains(&name) => Activity::WaitingForLock,
        name if SIGNALS.contains(&name) => Activity::WaitingForSignal,
        _ => Activity::Waiting,
    })
}

/// What a call reads from and writes to. Only the low half of an argument is a descriptor.
fn descriptors(name: &str, call: &Call) -> (Option<u64>, Option<u64>) {
    let descriptor = |index: usize| Some(call.args[index] & u64::from(u32::MAX));
    match name {
        "splice" => (descriptor(0), descriptor(2)),
        "tee" => (descriptor(0), descriptor(1)),
        "sendfile" => (descriptor(1), descriptor(0)),
        name if READS.contains(&name) => (descriptor(0), None),
        name if WRITES.contains(&name) => (None, descriptor(0)),
        _ => (None, None),
    }
}

/// Of a process, from what each of its threads did, the first one's first.
pub(super) fn of_threads<T: Clone>(threads: &[(Activity, T)]) -> Option<(Activity, T)> {
    let telling = [
        Activity::Running,
        Activity::Stopped,
        Activity::ReadingStdin,
        Activity::WritingStdout,
        Activity::WritingStderr,
    ];
    let of = |wanted: &Activity| threads.iter().find(|(activity, _)| activity == wanted);
    let first_alive = || threads.iter().find(|(activity, _)| *activity != Activity::Ended);
    telling.iter().find_map(of).or_else(first_alive).or(threads.first()).cloned()
}

/// The process that the others wait for, where none was running: one that was stopped or waits for a standard stream, or
/// what the main process waits for.
pub(super) fn held_up(processes: &[Process]) -> Option<&Process> {
    let doing = |wanted: Activity| processes.iter().find(move |process| process.activity == Some(wanted));
    if doing(Activity::Running).is_some() {
        return None;
    }
    let telling =
        [Activity::Stopped, Activity::ReadingStdin, Activity::WritingStdout, Activity::WritingStderr];
    let waits_for_none = |process: &&Process| {
        !matches!(process.activity, None | Some(Activity::WaitingForChild | Activity::Ended))
    };
    let main = processes.iter().find(|process| process.role == Role::Main);
    telling
        .into_iter()
        .find_map(doing)
        .or_else(|| main.filter(waits_for_none))
        .or_else(|| processes.iter().find(waits_for_none))
        .or(main)
        .filter(|process| process.activity.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn streams() -> StreamLinks {
        [Some(b"pipe:[10]".to_vec()), Some(b"pipe:[11]".to_vec()), None]
    }

    /// Descriptors 0 and 7 are stdin, 1 is stdout, 5 is a pipe of its own, 6 is closed.
    fn link(descriptor: u64) -> Option<Vec<u8>> {
        let number = match descriptor {
            0 | 7 => 10,
            1 => 11,
            5 => 12,
            _ => return None,
        };
        Some(format!("pipe:[{number}]").into_bytes())
    }

    #[test]
    fn a_call_and_its_descriptors_say_what_is_waited_for() {
        let table = [
            ("read", [0, 0, 0], Activity::ReadingStdin),
            ("readv", [7, 0, 0], Activity::ReadingStdin),
            ("read", [0xdead_0000_0000, 0, 0], Activity::ReadingStdin),
            ("read", [5, 0, 0], Activity::Reading),
            ("read", [6, 0, 0], Activity::Reading),
            ("read", [1, 0, 0], Activity::Reading),
            ("write", [1, 0, 0], Activity::WritingStdout),
            ("write", [0, 0, 0], Activity::Writing),
            ("splice", [0, 0, 1], Activity::ReadingStdin),
            ("splice", [5, 0, 1], Activity::WritingStdout),
            ("sendfile", [5, 0, 0], Activity::ReadingStdin),
            ("wait4", [0, 0, 0], Activity::WaitingForChild),
            ("clock_nanosleep", [0, 0, 0], Activity::Sleeping),
            ("epoll_wait", [0, 0, 0], Activity::WaitingForEvents),
            ("futex", [0, 0, 0], Activity::WaitingForLock),
            ("pause", [0, 0, 0], Activity::WaitingForSignal),
            ("openat", [0, 0, 0], Activity::Waiting),
        ];
        for (name, [first, second, third], expected) in table {
            let call = Call { number: 0, args: [first, second, third, 0, 0, 0] };
            for state in [b'S', b'D'] {
                let seen = activity(state, Some((name, &call)), &streams(), link);
                assert_eq!(seen, Some(expected), "{name} {first} {second} {third}");
            }
            let running = activity(b'R', Some((name, &call)), &streams(), link);
            assert_eq!(running, Some(Activity::Running), "a call that does not wait");
        }
        for (state, expected) in [
            (b'S', Some(Activity::Waiting)),
            (b'T', Some(Activity::Stopped)),
            (b'Z', Some(Activity::Ended)),
            (b'?', None),
        ] {
            assert_eq!(activity(state, None, &streams(), link), expected);
        }
    }

    /// A stream that is no pipe must not be found again in every descriptor that cannot be read.
    #[test]
    fn an_unknown_stream_is_no_stream() {
        let call = Call { number: 0, args: [6, 0, 0, 0, 0, 0] };
        let seen = activity(b'S', Some(("write", &call)), &[None, None, None], link);
        assert_eq!(seen, Some(Activity::Writing));
    }

    #[test]
    fn the_thread_that_tells_most_speaks_for_its_process() {
        let of = |all: &[Activity]| {
            let threads: Vec<_> = all.iter().map(|&activity| (activity, ())).collect();
            of_threads(&threads).map(|(activity, ())| activity)
        };
        let (lock, reading) = (Activity::WaitingForLock, Activity::ReadingStdin);
        assert_eq!(of(&[lock, reading, Activity::Sleeping]), Some(reading));
        assert_eq!(of(&[lock, reading, Activity::Running]), Some(Activity::Running));
        assert_eq!(of(&[Activity::Ended, lock, Activity::Sleeping]), Some(lock));
        assert_eq!(of(&[Activity::Ended]), Some(Activity::Ended));
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn what_holds_a_command_up_is_found_behind_those_that_wait_for_children() {
        use Activity::{ReadingStdin, Running, Sleeping, Stopped, WaitingForChild, WaitingForLock};
        let table: [(&[Activity], Option<usize>); 8] = [
            (&[Sleeping], Some(0)),
            (&[WaitingForChild, Sleeping], Some(1)),
            (&[WaitingForChild, WaitingForChild, ReadingStdin], Some(2)),
            (&[Sleeping, ReadingStdin], Some(1)),
            (&[WaitingForChild, ReadingStdin, Stopped], Some(2)),
            (&[WaitingForLock, Sleeping], Some(0)),
            (&[WaitingForChild], Some(0)),
            (&[ReadingStdin, Running], None),
        ];
        for (activities, expected) in table {
            let process = |(index, &activity): (usize, &Activity)| Process {
                pid: None,
                name: Vec::new(),
                role: if index == 0 { Role::Main } else { Role::Descendant },
                cpu_us: None,
                activity: Some(activity),
                waits_in: None,
            };
            let processes: Vec<Process> = activities.iter().enumerate().map(process).collect();
            let found = held_up(&processes).map(|held| {
                processes.iter().position(|process| std::ptr::eq(process, held)).expect("one of them")
            });
            assert_eq!(found, expected, "{activities:?}");
        }
        assert_eq!(held_up(&[]), None);
    }
}
