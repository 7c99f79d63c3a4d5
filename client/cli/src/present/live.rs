//! A job while it runs: output passed on as it comes, and a spinner where a person watches.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use kiln_proto::model::{human_bytes, human_micros};
use kiln_proto::v1::{OutputChunk, Progress, Stream};
use tokio::io::{Stderr, Stdout};

use crate::failure::Failure;
use crate::json::job::ReceivedOutput;
use crate::output::{Format, flush, forward, note, stderr_is_terminal};

const TICK: Duration = Duration::from_millis(100);

/// Where the output of a step goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// stdout to stdout, stderr to stderr.
    Straight,
    /// Both streams of the named step to stderr: a compiler's messages are not the program's output.
    CompilerToStderr(&'static str),
}

/// Passes output on, or keeps it for the JSON object.
pub(crate) struct Live {
    format: Format,
    route: Route,
    stdout: Stdout,
    stderr: Stderr,
    spinner: Option<ProgressBar>,
    pub(crate) received: ReceivedOutput,
}

impl Live {
    pub(crate) fn new(format: Format, route: Route) -> Live {
        let watched = format == Format::People && stderr_is_terminal();
        Live {
            format,
            route,
            stdout: tokio::io::stdout(),
            stderr: tokio::io::stderr(),
            spinner: watched.then(spinner),
            received: ReceivedOutput::new(),
        }
    }

    pub(crate) fn step_started(&self, step: &str) {
        self.say(step.to_owned());
    }

    pub(crate) fn progress(&self, progress: &Progress) {
        let cpu = human_micros(progress.cpu_us);
        let memory = human_bytes(progress.memory_bytes);
        self.say(format!("{}   cpu {cpu}   memory {memory}", progress.step));
    }

    pub(crate) async fn output(&mut self, chunk: &OutputChunk) -> Result<(), Failure> {
        if self.format == Format::Json {
            self.keep(chunk);
            return Ok(());
        }
        let compiler = matches!(&self.route, Route::CompilerToStderr(step) if *step == chunk.step);
        if chunk.stream() == Stream::Stderr || compiler {
            self.end_spinner();
            // One after the other, as they came: both may be one terminal.
            flush(&mut self.stdout, "stdout").await?;
            return forward(&mut self.stderr, "stderr", &chunk.data).await;
        }
        if std::io::stdout().is_terminal() {
            self.end_spinner();
        }
        flush(&mut self.stderr, "stderr").await?;
        forward(&mut self.stdout, "stdout", &chunk.data).await
    }

    /// Waits until everything is written that came so far.
    pub(crate) async fn flush(&mut self) -> Result<(), Failure> {
        flush(&mut self.stdout, "stdout").await?;
        flush(&mut self.stderr, "stderr").await
    }

    /// Says something about the job, above the spinner.
    pub(crate) fn remark(&self, text: &str) {
        match &self.spinner {
            Some(spinner) => spinner.suspend(|| note(text)),
            None => note(text),
        }
    }

    /// The job is over: nothing moves any more.
    pub(crate) fn end_spinner(&mut self) {
        if let Some(spinner) = self.spinner.take() {
            spinner.finish_and_clear();
        }
    }

    fn keep(&mut self, chunk: &OutputChunk) {
        let both = self.received.entry((chunk.step.clone(), chunk.command.clone())).or_default();
        let stream = if chunk.stream() == Stream::Stderr { &mut both.stderr } else { &mut both.stdout };
        // A stream replayed from its beginning repeats what is known.
        let known = (stream.len() as u64).saturating_sub(chunk.offset);
        let new = usize::try_from(known).unwrap_or(usize::MAX).min(chunk.data.len());
        stream.extend_from_slice(&chunk.data[new..]);
    }

    fn say(&self, message: String) {
        if let Some(spinner) = &self.spinner {
            spinner.set_message(message);
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.end_spinner();
    }
}

fn spinner() -> ProgressBar {
    let style =
        ProgressStyle::with_template("{spinner} {elapsed}   {msg}").expect("the template is well formed");
    let spinner = ProgressBar::new_spinner().with_style(style).with_message("waiting");
    spinner.enable_steady_tick(TICK);
    spinner
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(offset: u64, data: &'static [u8]) -> OutputChunk {
        OutputChunk {
            step: "run".to_owned(),
            command: "main".to_owned(),
            stream: Stream::Stdout.into(),
            offset,
            data: data.into(),
        }
    }

    #[tokio::test]
    async fn chunks_that_overlap_are_kept_once() {
        let mut live = Live::new(Format::Json, Route::Straight);
        for (offset, data) in [(0, &b"abc"[..]), (3, b"def"), (0, b"abcdef"), (4, b"efgh")] {
            live.output(&chunk(offset, data)).await.expect("memory takes everything");
        }
        assert_eq!(live.received[&("run".to_owned(), "main".to_owned())].stdout, b"abcdefgh");
    }
}
