//! The facts behind an outcome, as JSON; absent where the kernel does not tell.
//!
//! Names of processes are a job's own bytes: text where they are UTF-8, else `{"base64": "..."}`.

use kiln_proto::v1;
use serde::Serialize;

use super::bytes::Blob;
use super::word;

/// Measured facts.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Evidence {
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_signal: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exec_errno: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    oom_kills: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pids_refused: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disk_used_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disk_full: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inodes_used: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inodes_full: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    busy_millis: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    left_running: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<Process>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    oom_victims: Vec<Process>,
    #[serde(skip_serializing_if = "Option::is_none")]
    oom_elsewhere: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_kill: Option<AtKill>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signal_origin: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<Fault>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_stream: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
struct Process {
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    name: Blob,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    activity: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    waits_in: String,
}

#[derive(Clone, Debug, Serialize)]
struct AtKill {
    processes: u64,
    looked_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    tasks: Option<u64>,
    shown: Vec<Process>,
    #[serde(skip_serializing_if = "Option::is_none")]
    held_up: Option<Process>,
}

#[derive(Clone, Debug, Serialize)]
struct Fault {
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<u64>,
    instruction: u64,
    stack: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_stack_edge: Option<bool>,
}

impl From<&v1::Evidence> for Evidence {
    fn from(wire: &v1::Evidence) -> Evidence {
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
            caller: wire.caller.as_ref().map(Process::from),
            oom_victims: wire.oom_victims.iter().map(Process::from).collect(),
            oom_elsewhere: wire.oom_elsewhere,
            at_kill: wire.at_kill.as_ref().map(AtKill::from),
            signal_origin: known(wire.signal_origin().as_str_name(), "SIGNAL_ORIGIN_"),
            fault: wire.fault.as_ref().map(Fault::from),
            output_stream: known(wire.output_stream().as_str_name(), "STREAM_"),
        }
    }
}

impl From<&v1::Process> for Process {
    fn from(wire: &v1::Process) -> Process {
        Process {
            pid: wire.pid,
            name: Blob::from(&wire.name),
            role: known(wire.role().as_str_name(), "PROCESS_ROLE_"),
            cpu_us: wire.cpu_us,
            activity: known(wire.activity().as_str_name(), "ACTIVITY_"),
            waits_in: wire.waits_in.clone(),
        }
    }
}

impl From<&v1::AtKill> for AtKill {
    fn from(wire: &v1::AtKill) -> AtKill {
        AtKill {
            processes: wire.processes,
            looked_at: wire.looked_at,
            tasks: wire.tasks,
            shown: wire.shown.iter().map(Process::from).collect(),
            held_up: wire.held_up.as_ref().map(Process::from),
        }
    }
}

impl From<&v1::Fault> for Fault {
    fn from(wire: &v1::Fault) -> Fault {
        Fault {
            kind: wire.kind.clone(),
            address: wire.address,
            instruction: wire.instruction,
            stack: wire.stack,
            at_stack_edge: wire.at_stack_edge,
        }
    }
}

/// The word of an enum's value, unless it is UNSPECIFIED.
fn known(wire_name: &str, prefix: &str) -> Option<String> {
    Some(word(wire_name, prefix)).filter(|word| word != "unspecified")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;

    #[test]
    fn every_fact_has_its_name_and_bytes_stay_bytes() {
        let process = |name: &'static [u8]| v1::Process {
            pid: Some(3),
            name: Bytes::from_static(name),
            role: v1::ProcessRole::Descendant.into(),
            cpu_us: Some(10_000),
            activity: v1::Activity::ReadingStdin.into(),
            waits_in: "read".to_owned(),
        };
        let wire = v1::Evidence {
            oom_victims: vec![v1::Process { name: Bytes::from_static(b"\xff"), ..v1::Process::default() }],
            at_kill: Some(v1::AtKill {
                processes: 2,
                looked_at: 1,
                tasks: None,
                shown: vec![],
                held_up: Some(process(b"a\n")),
            }),
            signal_origin: v1::SignalOrigin::Itself.into(),
            fault: Some(v1::Fault {
                kind: "segfault".to_owned(),
                address: Some(0),
                instruction: 1,
                stack: 2,
                at_stack_edge: Some(false),
            }),
            output_stream: v1::Stream::Stderr.into(),
            ..v1::Evidence::default()
        };
        let expected = json!({
            "oom_victims": [{ "name": { "base64": "/w==" } }],
            "at_kill": {
                "processes": 2, "looked_at": 1,
                "shown": [],
                "held_up": {
                    "pid": 3, "name": "a\n", "role": "descendant", "cpu_us": 10_000,
                    "activity": "reading_stdin", "waits_in": "read",
                },
            },
            "signal_origin": "itself",
            "fault": { "kind": "segfault", "address": 0, "instruction": 1, "stack": 2, "at_stack_edge": false },
            "output_stream": "stderr",
        });
        assert_eq!(serde_json::to_value(Evidence::from(&wire)).expect("JSON"), expected);
        let nothing = Evidence::from(&v1::Evidence::default());
        assert_eq!(serde_json::to_value(nothing).expect("JSON"), json!({}));
    }
}
