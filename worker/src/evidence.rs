//! The jail's evidence in the words of the model. Pure; it decides and adds nothing.

use kiln_jail::report;
use kiln_proto::model;

/// Everything that the jail knows; which stream had too much output is the worker's to say.
pub(crate) fn evidence(evidence: report::Evidence) -> model::Evidence {
    model::Evidence {
        exit_code: evidence.exit_code,
        exit_signal: evidence.exit_signal,
        exec_errno: evidence.exec_errno.or(evidence.cwd_errno),
        oom_kills: Some(evidence.oom_kills),
        pids_refused: Some(evidence.pids_refused),
        disk_used_bytes: Some(evidence.disk_used_bytes),
        disk_full: Some(evidence.disk_full),
        inodes_used: Some(evidence.inodes_used),
        inodes_full: Some(evidence.inodes_full),
        busy_millis: Some(evidence.busy_millis),
        left_running: Some(evidence.left_running),
        caller: evidence.caller.map(process),
        oom_victims: evidence.oom_victims.into_iter().map(process).collect(),
        oom_elsewhere: evidence.oom_elsewhere,
        at_kill: evidence.at_kill.map(at_kill),
        signal_origin: evidence.signal_origin.map(signal_origin),
        fault: evidence.fault.map(fault),
        output_stream: None,
    }
}

fn process(process: report::Process) -> model::Process {
    let role = match process.role {
        report::Role::Main => model::Role::Main,
        report::Role::Descendant => model::Role::Descendant,
    };
    model::Process {
        pid: process.pid,
        name: process.name.into(),
        role: Some(role),
        cpu_us: process.cpu_us,
        activity: process.activity.map(activity),
        waits_in: process.waits_in,
    }
}

fn at_kill(at_kill: report::AtKill) -> model::AtKill {
    model::AtKill {
        processes: at_kill.processes,
        looked_at: at_kill.looked_at,
        tasks: at_kill.tasks,
        shown: at_kill.shown.into_iter().map(process).collect(),
        held_up: at_kill.held_up.map(process),
    }
}

fn fault(fault: report::Fault) -> model::Fault {
    let report::Fault { kind, address, instruction, stack, at_stack_edge } = fault;
    model::Fault { kind, address, instruction, stack, at_stack_edge }
}

fn signal_origin(origin: report::SignalOrigin) -> model::SignalOrigin {
    match origin {
        report::SignalOrigin::Itself => model::SignalOrigin::Itself,
        report::SignalOrigin::Sandbox => model::SignalOrigin::Sandbox,
        report::SignalOrigin::Fault => model::SignalOrigin::Fault,
    }
}

fn activity(activity: report::Activity) -> model::Activity {
    match activity {
        report::Activity::Running => model::Activity::Running,
        report::Activity::Stopped => model::Activity::Stopped,
        report::Activity::Ended => model::Activity::Ended,
        report::Activity::ReadingStdin => model::Activity::ReadingStdin,
        report::Activity::WritingStdout => model::Activity::WritingStdout,
        report::Activity::WritingStderr => model::Activity::WritingStderr,
        report::Activity::Reading => model::Activity::Reading,
        report::Activity::Writing => model::Activity::Writing,
        report::Activity::WaitingForChild => model::Activity::WaitingForChild,
        report::Activity::Sleeping => model::Activity::Sleeping,
        report::Activity::WaitingForEvents => model::Activity::WaitingForEvents,
        report::Activity::WaitingForLock => model::Activity::WaitingForLock,
        report::Activity::WaitingForSignal => model::Activity::WaitingForSignal,
        report::Activity::Waiting => model::Activity::Waiting,
    }
}
