//! Large data: output through `Run` beside the same bytes through a pipe of the shell, and an input that the worker has already.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kiln_client::Client;
use kiln_proto::model::Step;
use kiln_proto::v1::{self, JobVerdict, job_event::Event};
use kiln_worker::library::Runner;
use serde::Serialize;

use super::memory::{Pair, status_bytes};
use super::numbers::percentile;
use super::{Bounds, ways};
use crate::context::Context;
use crate::explain::check;
use crate::failure::{Failure, with_sources};
use crate::output::note;
use crate::own_service::START;

/// Of each, in turns.
const OUTPUTS: usize = 3;
const LEAST_INPUTS: usize = 3;
const PATH: &str = "/work/input";
/// Beside the data itself.
const ROOM: u64 = 256 << 20;

/// Output.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LargeOutput {
    pub(crate) bytes: u64,
    pub(crate) runs: usize,
    /// Medians, bytes per second.
    pub(crate) pipe_rate: f64,
    pub(crate) run_rate: f64,
    pub(crate) worker_before_bytes: u64,
    pub(crate) worker_peak_bytes: u64,
    pub(crate) server_before_bytes: u64,
    pub(crate) server_peak_bytes: u64,
}

/// Input.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LargeInput {
    pub(crate) bytes: u64,
    pub(crate) runs: usize,
    pub(crate) without_p50_us: u64,
    pub(crate) with_p50_us: u64,
    pub(crate) with_p95_us: u64,
    pub(crate) with_p99_us: u64,
}

impl LargeOutput {
    /// Through Kiln over through the pipe.
    pub(crate) fn ratio(&self) -> f64 {
        self.run_rate / self.pipe_rate.max(f64::MIN_POSITIVE)
    }

    pub(crate) fn worker_growth_bytes(&self) -> u64 {
        self.worker_peak_bytes.saturating_sub(self.worker_before_bytes)
    }
}

impl LargeInput {
    pub(crate) fn added_us(&self) -> i64 {
        self.with_p50_us as i64 - self.without_p50_us as i64
    }
}

/// Output of so many bytes.
pub(crate) async fn output(pair: &Pair, bytes: u64) -> Result<LargeOutput, Failure> {
    note(&format!("measuring {bytes} bytes of output, {OUTPUTS} times"));
    let client = Client::connect_within(&pair.server.address(), START).await?;
    // What a first job makes grow once is not of the data.
    through_run(&client, 1 << 20).await?;
    let pids = [pair.worker.pid, pair.server.pid];
    let mut before = [0; 2];
    for (pid, before) in pids.into_iter().zip(&mut before) {
        *before = status_bytes(pid, "VmRSS:")?;
        forget_peak(pid)?;
    }
    let (mut piped, mut ran) = (Vec::new(), Vec::new());
    for _ in 0..OUTPUTS {
        piped.push(through_a_pipe(bytes).await?);
        ran.push(through_run(&client, bytes).await?);
    }
    let [worker_peak_bytes, server_peak_bytes] =
        [status_bytes(pids[0], "VmHWM:")?, status_bytes(pids[1], "VmHWM:")?];
    Ok(LargeOutput {
        bytes,
        runs: OUTPUTS,
        pipe_rate: rate(bytes, piped),
        run_rate: rate(bytes, ran),
        worker_before_bytes: before[0],
        worker_peak_bytes,
        server_before_bytes: before[1],
        server_peak_bytes,
    })
}

/// VmHWM begins anew: proc_pid_clear_refs(5), value 5.
fn forget_peak(pid: u32) -> Result<(), Failure> {
    let path = format!("/proc/{pid}/clear_refs");
    std::fs::write(&path, "5").map_err(|error| Failure::caused(&format!("cannot write to {path}"), &error))
}

fn rate(bytes: u64, mut took: Vec<Duration>) -> f64 {
    took.sort_unstable();
    let median = took.get(took.len() / 2).copied().unwrap_or_default();
    bytes as f64 / median.as_secs_f64().max(f64::EPSILON)
}

/// `head -c N /dev/zero | cat > /dev/null`.
async fn through_a_pipe(bytes: u64) -> Result<Duration, Failure> {
    let script = format!("head -c {bytes} /dev/zero | cat > /dev/null");
    let ended = tokio::task::spawn_blocking(move || {
        let began = Instant::now();
        let status = Command::new("/bin/sh").args(["-c", &script]).stdin(Stdio::null()).status();
        (status, began.elapsed())
    });
    match ended.await.map_err(|error| Failure::caused("a measuring thread stopped", &error))? {
        (Ok(status), took) if status.success() => Ok(took),
        (Ok(status), _) => Err(Failure::kiln(format!("head and cat in a pipe failed: {status}"))),
        (Err(error), _) => Err(Failure::caused("cannot start /bin/sh", &error)),
    }
}

/// From the call until the job is done, with every byte received.
async fn through_run(client: &Client, bytes: u64) -> Result<Duration, Failure> {
    let limits = v1::Limits {
        output_bytes: Some(bytes),
        cpu_ms: Some(600_000),
        wall_ms: Some(1_200_000),
        ..v1::Limits::default()
    };
    let spec = job(&["head", "-c", &bytes.to_string(), "/dev/zero"], limits, Vec::new());
    let began = Instant::now();
    let mut events = client.run(spec).await?;
    let mut received = 0;
    while let Some(event) = events.next_event().await? {
        match event.event {
            Some(Event::Output(chunk)) => received += chunk.data.len() as u64,
            Some(Event::Done(done)) => {
                let took = began.elapsed();
                let verdict = done.job.unwrap_or_default().verdict();
                if verdict == JobVerdict::Succeeded && received == bytes {
                    return Ok(took);
                }
                let verdict = verdict.as_str_name();
                let said =
                    format!("{received} of {bytes} bytes of output came, and the job ended as {verdict}");
                return Err(Failure::kiln(said));
            }
            _ => {}
        }
    }
    Err(Failure::kiln("the server ended a run without a result"))
}

/// An input of so many bytes that the worker's cache holds.
pub(crate) async fn input(
    context: &Context,
    runner: &Runner,
    bytes: u64,
    bounds: Bounds,
) -> Result<LargeInput, Failure> {
    note(&format!("measuring an input of {bytes} bytes that is cached"));
    let stored = runner.store_blob(std::io::repeat(b'k').take(bytes)).await;
    let digest = stored.map_err(|error| Failure::kiln(with_sources(&error)))?.to_string();
    let step = |words: &[&str], files| {
        let checked = check(job(words, room_for(bytes), files), context)?;
        checked.steps.into_iter().next().ok_or_else(|| Failure::kiln("the job has no step"))
    };
    let file = || {
        let content = v1::Content { source: Some(v1::content::Source::Blob(digest.clone())) };
        vec![v1::FileIn { path: PATH.into(), content: Some(content), executable: false }]
    };
    is_all_there(runner, &step(&["wc", "-c", PATH], file())?, bytes).await?;
    let (without, with) = (step(&[ways::PROGRAM], Vec::new())?, step(&[ways::PROGRAM], file())?);
    let began = Instant::now();
    let mut took = [Vec::new(), Vec::new()];
    while took[1].len() < bounds.runs && (took[1].len() < LEAST_INPUTS || began.elapsed() < bounds.time) {
        took[0].push(ways::alone(runner, &without).await?);
        took[1].push(ways::alone(runner, &with).await?);
    }
    took.iter_mut().for_each(|took| took.sort_unstable());
    let [without, with] = took;
    Ok(LargeInput {
        bytes,
        runs: with.len(),
        without_p50_us: percentile(&without, 50),
        with_p50_us: percentile(&with, 50),
        with_p95_us: percentile(&with, 95),
        with_p99_us: percentile(&with, 99),
    })
}

/// Otherwise what is fast might be that nothing comes.
async fn is_all_there(runner: &Runner, counting: &Step, bytes: u64) -> Result<(), Failure> {
    let results = runner.run(counting).await.map_err(|error| Failure::kiln(with_sources(&error)))?;
    let result = results.into_iter().next().unwrap_or_default();
    let said = result.stdout.map(|output| String::from_utf8_lossy(&output.data).into_owned());
    let said = said.unwrap_or_default();
    if said.split_whitespace().next() == Some(&bytes.to_string()) {
        return Ok(());
    }
    let sentence = result.outcome.unwrap_or_default().sentence;
    Err(Failure::kiln(format!("the input is not all there: wc said {said:?}, {sentence}")))
}

fn room_for(bytes: u64) -> v1::Limits {
    v1::Limits {
        memory_bytes: Some(bytes + 2 * ROOM),
        disk_bytes: Some(bytes + ROOM),
        file_size_bytes: Some(bytes + ROOM),
        cpu_ms: Some(600_000),
        wall_ms: Some(1_200_000),
        ..v1::Limits::default()
    }
}

fn job(words: &[&str], limits: v1::Limits, files_in: Vec<v1::FileIn>) -> v1::JobSpec {
    let argv = words.iter().map(|word| word.as_bytes().to_vec().into()).collect();
    let env = vec![v1::EnvVar { name: "PATH".into(), value: "/usr/bin:/bin".into() }];
    let command = v1::Command { argv, env, limits: Some(limits), files_in, ..v1::Command::default() };
    let step = v1::Step { name: "large".to_owned(), commands: vec![command], ..v1::Step::default() };
    v1::JobSpec { steps: vec![step], ..v1::JobSpec::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_the_median_and_growth_is_never_negative() {
        let took = [4, 1, 2].map(Duration::from_secs).to_vec();
        let output = LargeOutput {
            bytes: 100,
            runs: 3,
            pipe_rate: rate(100, took),
            run_rate: 20.0,
            worker_before_bytes: 9,
            worker_peak_bytes: 4,
            server_before_bytes: 0,
            server_peak_bytes: 0,
        };
        assert!((output.pipe_rate - 50.0).abs() < 1e-9 && (output.ratio() - 0.4).abs() < 1e-9);
        assert_eq!(output.worker_growth_bytes(), 0);
    }
}
