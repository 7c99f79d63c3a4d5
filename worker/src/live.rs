//! A running step as others may look at it: heartbeats, relays, `kiln run`'s spinner.
//!
//! Written by the task that runs the step, read by anybody. Looking never blocks the step.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;

use crate::order::StepOrder;
use crate::spool::Spool;

/// A step from its lease to its report.
#[derive(Debug)]
pub(crate) struct StepLive {
    pub(crate) commands: Vec<CommandLive>,
    started: watch::Sender<bool>,
}

/// One command of it.
#[derive(Debug)]
pub(crate) struct CommandLive {
    pub(crate) name: String,
    pub(crate) stdout: Arc<Spool>,
    pub(crate) stderr: Arc<Spool>,
    sample: watch::Sender<Sample>,
}

/// What is known of a command right now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) state: CommandState,
    pub(crate) cpu_us: u64,
    pub(crate) memory_bytes: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CommandState {
    #[default]
    Waiting,
    Running,
    Ended,
}

impl StepLive {
    /// A step that has not begun; its spools lie in `spool_directory`.
    pub(crate) fn new(order: &StepOrder, spool_directory: &Path) -> Arc<Self> {
        let commands = order.commands.iter().map(|command| {
            CommandLive::new(&command.name, spool_directory, command.plan.limits.output_bytes.get())
        });
        Arc::new(Self { commands: commands.collect(), started: watch::Sender::new(false) })
    }

    /// The commands were handed to their jails.
    pub(crate) fn begin(&self) {
        self.started.send_replace(true);
    }

    /// Becomes true once the commands were handed to their jails.
    pub(crate) fn started(&self) -> watch::Receiver<bool> {
        self.started.subscribe()
    }

    /// Nothing more will happen: whoever follows an output reaches its end.
    pub(crate) fn end(&self) {
        for command in &self.commands {
            command.end();
        }
    }
}

impl CommandLive {
    pub(crate) fn new(name: &str, spool_directory: &Path, output_limit_bytes: u64) -> Self {
        Self {
            name: name.to_owned(),
            stdout: Spool::new(spool_directory, output_limit_bytes),
            stderr: Spool::new(spool_directory, output_limit_bytes),
            sample: watch::Sender::default(),
        }
    }

    pub(crate) fn sample(&self) -> Sample {
        *self.sample.borrow()
    }

    /// Sees every later change.
    pub(crate) fn watch(&self) -> watch::Receiver<Sample> {
        self.sample.subscribe()
    }

    pub(crate) fn run(&self) {
        self.sample.send_modify(|sample| sample.state = CommandState::Running);
    }

    pub(crate) fn progress(&self, cpu_us: u64, memory_bytes: u64) {
        self.sample.send_replace(Sample { state: CommandState::Running, cpu_us, memory_bytes });
    }

    pub(crate) fn end(&self) {
        self.stdout.complete();
        self.stderr.complete();
        self.sample.send_modify(|sample| sample.state = CommandState::Ended);
    }
}
