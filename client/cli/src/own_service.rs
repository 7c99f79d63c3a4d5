//! A service of our own in another process: this program again, told what to be by a hidden command.
//!
//! It says on its stdout, in one line of JSON, where it is, and ends when its stdin does: so also when this process is killed.
//! It removes what it kept.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use kiln_client::Address;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

use crate::context::Context;
use crate::failure::Failure;
use crate::signals::Signals;

/// A loaded machine starts a service in this time.
pub(crate) const START: Duration = Duration::from_secs(120);
const STOP: Duration = Duration::from_secs(60);

/// What the hidden command is told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Role {
    /// What it is called when it fails, e.g. "the service under attack".
    pub(crate) name: &'static str,
    pub(crate) words: Vec<String>,
    pub(crate) environment: Vec<(&'static str, String)>,
}

/// A running one.
pub(crate) struct OwnService {
    pub(crate) pid: u32,
    pub(crate) ready: Ready,
    name: &'static str,
    child: Child,
    stdin: ChildStdin,
}

/// What it says when it is ready.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ready {
    pub(crate) socket: PathBuf,
    pub(crate) directory: PathBuf,
}

impl OwnService {
    /// Starts it with this process's configuration file and waits until it is ready.
    pub(crate) async fn start(context: &Context, role: Role) -> Result<OwnService, Failure> {
        let Role { name, words, environment } = role;
        let binary = std::env::current_exe()
            .map_err(|error| Failure::caused("cannot find this program's own file", &error))?;
        let mut command = Command::new(binary);
        if let Some(path) = &context.settings.path {
            command.arg("--config").arg(path);
        }
        command.args(words).envs(environment).env_remove("KILN_SERVER");
        // A Ctrl-C at the terminal is for this process alone, which ends the service in order.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let mut child =
            command.spawn().map_err(|error| Failure::caused(&format!("cannot start {name}"), &error))?;
        let gone = || Failure::kiln(format!("{name} ended at once"));
        let pid = child.id().ok_or_else(gone)?;
        let stdin = child.stdin.take().ok_or_else(gone)?;
        let mut said = BufReader::new(child.stdout.take().ok_or_else(gone)?).lines();
        let line = timeout(START, said.next_line()).await.ok().and_then(Result::ok).flatten();
        match line.as_deref().and_then(|line| serde_json::from_str(line).ok()) {
            Some(ready) => Ok(OwnService { pid, ready, name, child, stdin }),
            // It has said why on stderr, which is ours.
            None => {
                Err(Failure::kiln(format!("{name} did not become ready; the lines before this one say why"))
                    .next("`kiln doctor` shows what this host has and lacks, with a fix for each"))
            }
        }
    }

    pub(crate) fn address(&self) -> Address {
        Address::Unix(self.ready.socket.clone())
    }

    /// Ends it; it must end well.
    pub(crate) async fn stop(self) -> Result<(), Failure> {
        let OwnService { name, mut child, stdin, .. } = self;
        drop(stdin);
        match timeout(STOP, child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(Failure::kiln(format!("{name} ended with {status}"))),
            Ok(Err(error)) => Err(Failure::caused(&format!("waiting for {name}"), &error)),
            Err(_) => Err(Failure::kiln(format!("{name} did not end when it was asked to"))),
        }
    }
}

/// In such a service: waits until nobody is there any more, or a signal asks for the end.
pub(crate) async fn until_left_alone(signals: &mut Signals) {
    let mut stdin = tokio::io::stdin();
    let mut nothing = [0];
    tokio::select! {
        // Its end, or an error of it.
        _ = stdin.read(&mut nothing) => {}
        _ = signals.next_exit() => {}
    }
}
