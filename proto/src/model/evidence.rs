//! The measured facts behind an outcome. `None` where the kernel did not tell.
//!
//! Names of processes are a job's own bytes. They and every list are cut to what a kernel can have told, whoever sent them.

use prost::bytes::Bytes;

use super::content::Stream;
use crate::v1;

/// TASK_COMM_LEN of the kernel, without its NUL.
const MAX_NAME_BYTES: usize = 15;
/// Of a list of processes.
const MAX_PROCESSES: usize = 8;
/// Of what the kernel calls a call or a crash.
const MAX_WORD_BYTES: usize = 64;

/// Measured facts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "as Evidence in job.proto, field by field")]
pub struct Evidence {
    pub exit_code: Option<i32>,
    pub exit_signal: Option<i32>,
    pub exec_errno: Option<i32>,
    pub oom_kills: Option<u64>,
    pub pids_refused: Option<u64>,
    pub disk_used_bytes: Option<u64>,
    pub disk_full: Option<bool>,
    pub inodes_used: Option<u64>,
    pub inodes_full: Option<bool>,
    pub busy_millis: Option<u32>,
    pub left_running: Option<u64>,
    pub caller: Option<Process>,
    pub oom_victims: Vec<Process>,
    pub oom_elsewhere: Option<bool>,
    pub at_kill: Option<AtKill>,
    pub signal_origin: Option<SignalOrigin>,
    pub fault: Option<Fault>,
    pub output_stream: Option<Stream>,
}

/// A process of the sandbox.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "as Process in job.proto, field by field")]
pub struct Process {
    pub pid: Option<u32>,
    pub name: Bytes,
    pub role: Option<Role>,
    pub cpu_us: Option<u64>,
    pub activity: Option<Activity>,
    pub waits_in: Option<String>,
}

/// The sandbox in the moment before it was killed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "as AtKill in job.proto, field by field")]
pub struct AtKill {
    pub processes: u64,
    pub looked_at: u64,
    pub tasks: Option<u64>,
    pub shown: Vec<Process>,
    pub held_up: Option<Process>,
}

/// Where the main process crashed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "as Fault in job.proto, field by field")]
pub struct Fault {
    pub kind: String,
    pub address: Option<u64>,
    pub instruction: u64,
    pub stack: u64,
    pub at_stack_edge: Option<bool>,
}

/// An enum whose values are those of the wire, without UNSPECIFIED.
macro_rules! mirrored {
    ($(#[$meta:meta])* $name:ident of $wire:ident { $($value:ident),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "as in job.proto, value by value")]
        pub enum $name {
            $($value),*
        }

        impl $name {
            /// All of them, in the order of the wire.
            pub const ALL: &[$name] = &[$($name::$value),*];

            /// `None` for UNSPECIFIED, and for what a newer worker may know.
            fn from_wire(value: i32) -> Option<$name> {
                match v1::$wire::try_from(value) {
                    $(Ok(v1::$wire::$value) => Some($name::$value),)*
                    Ok(v1::$wire::Unspecified) | Err(_) => None,
                }
            }

            fn to_wire(value: Option<$name>) -> i32 {
                let wire = match value {
                    $(Some($name::$value) => v1::$wire::$value,)*
                    None => v1::$wire::Unspecified,
                };
                wire.into()
            }
        }
    };
}

mirrored!(
    /// Whether a process is the command's own.
    Role of ProcessRole { Main, Descendant }
);

mirrored!(
    /// What a process was doing.
    Activity of Activity {
        Running,
        Stopped,
        Ended,
        ReadingStdin,
        WritingStdout,
        WritingStderr,
        Reading,
        Writing,
        WaitingForChild,
        Sleeping,
        WaitingForEvents,
        WaitingForLock,
        WaitingForSignal,
        Waiting,
    }
);

mirrored!(
    /// Where the signal that ended a main process came from.
    SignalOrigin of SignalOrigin { Itself, Sandbox, Fault }
);

impl From<v1::Evidence> for Evidence {
    fn from(wire: v1::Evidence) -> Self {
        Evidence {
            exit_code: wire.exit_code,
            exit_signal: wire.exit_signal,
            exec_errno: wire.exec_errno,
            oom_kills: wire.oom_kills,
            pids_refused: wire.pids_refused,
            disk_used_bytes: wire.disk_used_bytes,
            disk_full: wire.disk_full,
            inodes_used: wire.inodes_used,
            inodes_full: wire.inodes_full,
            busy_millis: wire.busy_millis,
            left_running: wire.left_running,
            signal_origin: SignalOrigin::from_wire(wire.signal_origin),
            output_stream: Stream::from_wire(wire.output_stream()),
            caller: wire.caller.map(Process::from),
            oom_victims: processes(wire.oom_victims),
            oom_elsewhere: wire.oom_elsewhere,
            at_kill: wire.at_kill.map(AtKill::from),
            fault: wire.fault.map(Fault::from),
        }
    }
}

impl From<&Evidence> for v1::Evidence {
    fn from(evidence: &Evidence) -> Self {
        v1::Evidence {
            exit_code: evidence.exit_code,
            exit_signal: evidence.exit_signal,
            exec_errno: evidence.exec_errno,
            oom_kills: evidence.oom_kills,
            pids_refused: evidence.pids_refused,
            disk_used_bytes: evidence.disk_used_bytes,
            disk_full: evidence.disk_full,
            inodes_used: evidence.inodes_used,
            inodes_full: evidence.inodes_full,
            busy_millis: evidence.busy_millis,
            left_running: evidence.left_running,
            caller: evidence.caller.as_ref().map(v1::Process::from),
            oom_victims: evidence.oom_victims.iter().map(v1::Process::from).collect(),
            oom_elsewhere: evidence.oom_elsewhere,
            at_kill: evidence.at_kill.as_ref().map(v1::AtKill::from),
            signal_origin: SignalOrigin::to_wire(evidence.signal_origin),
            fault: evidence.fault.as_ref().map(v1::Fault::from),
            output_stream: evidence.output_stream.map_or(v1::Stream::Unspecified, v1::Stream::from).into(),
        }
    }
}

impl From<v1::Process> for Process {
    fn from(wire: v1::Process) -> Self {
        Process {
            pid: wire.pid,
            role: Role::from_wire(wire.role),
            cpu_us: wire.cpu_us,
            activity: Activity::from_wire(wire.activity),
            waits_in: (!wire.waits_in.is_empty()).then(|| word(wire.waits_in)),
            name: wire.name.slice(..wire.name.len().min(MAX_NAME_BYTES)),
        }
    }
}

impl From<&Process> for v1::Process {
    fn from(process: &Process) -> Self {
        v1::Process {
            pid: process.pid,
            name: process.name.clone(),
            role: Role::to_wire(process.role),
            cpu_us: process.cpu_us,
            activity: Activity::to_wire(process.activity),
            waits_in: process.waits_in.clone().unwrap_or_default(),
        }
    }
}

impl From<v1::AtKill> for AtKill {
    fn from(wire: v1::AtKill) -> Self {
        AtKill {
            processes: wire.processes,
            looked_at: wire.looked_at,
            tasks: wire.tasks,
            shown: processes(wire.shown),
            held_up: wire.held_up.map(Process::from),
        }
    }
}

impl From<&AtKill> for v1::AtKill {
    fn from(at_kill: &AtKill) -> Self {
        v1::AtKill {
            processes: at_kill.processes,
            looked_at: at_kill.looked_at,
            tasks: at_kill.tasks,
            shown: at_kill.shown.iter().map(v1::Process::from).collect(),
            held_up: at_kill.held_up.as_ref().map(v1::Process::from),
        }
    }
}

impl From<v1::Fault> for Fault {
    fn from(wire: v1::Fault) -> Self {
        Fault {
            kind: word(wire.kind),
            address: wire.address,
            instruction: wire.instruction,
            stack: wire.stack,
            at_stack_edge: wire.at_stack_edge,
        }
    }
}

impl From<&Fault> for v1::Fault {
    fn from(fault: &Fault) -> Self {
        v1::Fault {
            kind: fault.kind.clone(),
            address: fault.address,
            instruction: fault.instruction,
            stack: fault.stack,
            at_stack_edge: fault.at_stack_edge,
        }
    }
}

fn processes(wire: Vec<v1::Process>) -> Vec<Process> {
    wire.into_iter().take(MAX_PROCESSES).map(Process::from).collect()
}

/// A word of the kernel's own, which is printed as it is.
fn word(wire: String) -> String {
    wire.chars().filter(|letter| letter.is_ascii_graphic() || *letter == ' ').take(MAX_WORD_BYTES).collect()
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    fn process(activity: Activity) -> Process {
        Process {
            pid: Some(3),
            name: Bytes::from_static(b"a\xff\nb"),
            role: Some(Role::Descendant),
            cpu_us: Some(10_000),
            activity: Some(activity),
            waits_in: Some("read".to_owned()),
        }
    }

    #[test]
    fn everything_goes_to_the_wire_and_back() {
        for (index, &activity) in Activity::ALL.iter().enumerate() {
            let evidence = Evidence {
                caller: Some(process(activity)),
                oom_victims: vec![Process::default(), process(activity)],
                oom_elsewhere: Some(true),
                at_kill: Some(AtKill {
                    processes: 9,
                    looked_at: 8,
                    tasks: Some(10),
                    shown: vec![process(activity)],
                    held_up: Some(process(activity)),
                }),
                signal_origin: SignalOrigin::ALL.get(index).copied(),
                fault: Some(Fault {
                    kind: "segfault".to_owned(),
                    address: Some(0),
                    instruction: 1,
                    stack: u64::MAX,
                    at_stack_edge: Some(false),
                }),
                output_stream: [Some(Stream::Stdout), Some(Stream::Stderr), None][index % 3],
                ..Evidence::default()
            };
            let bytes = v1::Evidence::from(&evidence).encode_to_vec();
            let back = v1::Evidence::decode(bytes.as_slice()).expect("just encoded");
            assert_eq!(Evidence::from(back), evidence);
        }
    }

    /// As stored before there was more than counters: field 4 (oom_kills) is 2, field 11 (left_running) is 1.
    #[test]
    fn evidence_that_was_stored_before_still_reads() {
        let old = v1::Evidence::decode(&[0x20, 2, 0x58, 1][..]).expect("as it was written");
        let expected = Evidence { oom_kills: Some(2), left_running: Some(1), ..Evidence::default() };
        assert_eq!(Evidence::from(old), expected);
    }

    #[test]
    fn what_no_kernel_tells_is_cut_or_left_out() {
        let long = v1::Process {
            name: vec![b'x'; 1000].into(),
            role: 77,
            activity: -1,
            waits_in: "\u{1b}[31m\u{202e}read".repeat(100),
            ..v1::Process::default()
        };
        let wire = v1::Evidence {
            oom_victims: vec![long; 100],
            signal_origin: 99,
            output_stream: 99,
            ..v1::Evidence::default()
        };
        let read = Evidence::from(wire);
        assert_eq!((read.oom_victims.len(), read.signal_origin, read.output_stream), (8, None, None));
        let Process { name, role, activity, waits_in, .. } = &read.oom_victims[0];
        assert_eq!((name.len(), *role, *activity), (15, None, None));
        assert!(waits_in.as_ref().is_some_and(|call| call.len() == 64 && call.is_ascii()), "{waits_in:?}");
    }
}
