//! Hostile programs: the jobs made of a case, run beside an honest one, and what their ends say.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use kiln_attacks::{Case, Language, Runs, Targets};
use kiln_client::Client;
use kiln_proto::v1::{self, job_event};
use tokio::time::timeout;

use super::Verdict;
use super::target::Target;
use super::victim::{self, Account};
use crate::failure::with_sources;

/// Where the program of the cases in C is put.
const PROGRAM_PATH: &str = "/work/hostile";
/// No single job takes longer, whatever the machine.
const PATIENCE: Duration = Duration::from_secs(180);
/// What a full queue says, and how long it asks to wait.
const QUEUE_FULL: &str = "jobs wait, which is the most allowed";
const QUEUE_PAUSE: Duration = Duration::from_secs(1);
const QUEUE_TRIES: usize = 30;
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Runs cases; remembers what the image has.
pub(crate) struct Programs<'a> {
    target: &'a Target,
    alone: Account,
    found: HashMap<String, bool>,
}

impl<'a> Programs<'a> {
    /// Takes the neighbour's account while nothing attacks, twice: it must be the same.
    pub(crate) async fn new(target: &'a Target) -> Result<Programs<'a>, String> {
        let first = Account::read(&only_result(&target.client, victim::job(&target.program)).await?)?;
        let result = only_result(&target.client, victim::job(&target.program)).await?;
        let alone = Account::read(&result)?;
        match first.complaints(&alone, &result).into_iter().find(|why| why.contains("another result")) {
            Some(why) => Err(why),
            None => Ok(Programs { target, alone, found: HashMap::new() }),
        }
    }

    /// Runs one case to its end.
    pub(crate) async fn run(&mut self, case: &'static Case) -> Verdict {
        if let Some(why) = self.not_applicable(case).await {
            return Verdict::NotApplicable(why);
        }
        let victim = self.victim();
        let (mut complaints, beside) = tokio::join!(self.attack(case), victim);
        complaints.extend(beside);
        if complaints.is_empty() { Verdict::Held } else { Verdict::Failed(complaints) }
    }

    /// The honest job beside an attack, and what it noticed.
    pub(crate) async fn victim(&self) -> Vec<String> {
        let result = match self.result_when_there_is_room().await {
            Ok(result) => result,
            Err(why) => return vec![format!("the job beside it did not run: {why}")],
        };
        match Account::read(&result) {
            Ok(account) => account.complaints(&self.alone, &result),
            Err(why) => vec![why],
        }
    }

    /// An honest client does as it is told: it asks again when the queue was full.
    async fn result_when_there_is_room(&self) -> Result<v1::CommandResult, String> {
        for _ in 0..QUEUE_TRIES {
            match only_result(&self.target.client, victim::job(&self.target.program)).await {
                Err(why) if why.contains(QUEUE_FULL) => tokio::time::sleep(QUEUE_PAUSE).await,
                ended => return ended,
            }
        }
        only_result(&self.target.client, victim::job(&self.target.program)).await
    }

    async fn attack(&self, case: &Case) -> Vec<String> {
        let run = |role| self.run_once(case, role);
        match (case.runs, case.roles()) {
            (Runs::Twice, &[first, second]) => {
                let mut complaints = run(Some(first)).await;
                // Every slot is looked at: one of them ran the first.
                let looks = (0..self.target.slots).map(|_| run(Some(second)));
                complaints.extend(futures_util::future::join_all(looks).await.into_iter().flatten());
                complaints
            }
            (Runs::Beside, &[one, two]) => {
                let (mut complaints, other) = tokio::join!(run(Some(one)), run(Some(two)));
                complaints.extend(other);
                complaints
            }
            _ => run(None).await,
        }
    }

    async fn run_once(&self, case: &Case, role: Option<&str>) -> Vec<String> {
        let targets = self.target.told();
        let result = match only_result(&self.target.client, self.job(case, role, &targets)).await {
            Ok(result) => result,
            Err(why) => return vec![why],
        };
        let mut complaints = case.complaints(&result);
        let secret = self.target.canaries.secret();
        if !case.is_told_the_secret() && holds(&result, secret.as_bytes()) {
            complaints.push("a byte for byte copy of the canary file came back".to_owned());
        }
        let role = role.map(|role| format!("{role}: ")).unwrap_or_default();
        complaints.into_iter().map(|complaint| format!("{role}{complaint}")).collect()
    }

    fn job(&self, case: &Case, role: Option<&str>, targets: &Targets) -> v1::JobSpec {
        let mut command = match case.language {
            Language::C => command_of_the_program(&self.target.program, case.name),
            Language::Interpreted(interpreter) => {
                let script = file_in(interpreter.script(), inline(case.source.as_bytes()));
                command([interpreter.path(), interpreter.script()], vec![script])
            }
        };
        let words = role.map(str::to_owned).into_iter().chain(case.arguments(targets));
        command.argv.extend(words.map(Bytes::from));
        command.limits = Some(within(case.limits, &self.target.maximum));
        command.profile = case.profile.to_owned();
        command.files_out = case.files_out();
        job_of(command)
    }

    /// Why a case cannot be tried here.
    async fn not_applicable(&mut self, case: &Case) -> Option<String> {
        let given_up = case.layers.iter().find(|layer| self.target.gave_up(layer.as_str()));
        if let Some(layer) = given_up {
            return Some(format!("the operator allows the layer that holds it, {layer}, to be missing"));
        }
        if let Language::Interpreted(interpreter) = case.language
            && !self.has(interpreter.path()).await
        {
            return Some(format!("the image has no {}", interpreter.path()));
        }
        for program in &case.needs {
            if !self.has(program).await {
                return Some(format!("the image has no {program}"));
            }
        }
        None
    }

    /// Whether the image has a program, by path or by name: asked once.
    async fn has(&mut self, program: &str) -> bool {
        if let Some(&found) = self.found.get(program) {
            return found;
        }
        // A name that is no path is looked for as a shell would; both ways, `true` answers 0.
        let script = format!("command -v {program} > /dev/null");
        let asked =
            only_result(&self.target.client, job_of(command(["/bin/sh", "-c", script.as_str()], Vec::new())))
                .await;
        let found = asked.is_ok_and(|result| result.outcome.unwrap_or_default().code == Some(0));
        self.found.insert(program.to_owned(), found);
        found
    }
}

/// Runs a job of one command and gives that command's result.
pub(crate) async fn only_result(client: &Client, spec: v1::JobSpec) -> Result<v1::CommandResult, String> {
    let all = async {
        let mut events = client.run(spec).await.map_err(|error| with_sources(&error))?;
        let mut done = None;
        while let Some(event) = events.next_event().await.map_err(|error| with_sources(&error))? {
            if let Some(job_event::Event::Done(last)) = event.event {
                done = last.job;
            }
        }
        done.ok_or_else(|| "the stream of events ended without the job's end".to_owned())
    };
    let job =
        timeout(PATIENCE, all).await.map_err(|_| format!("the job did not end within {PATIENCE:?}"))??;
    let result = job.steps.into_iter().next_back().and_then(|step| step.commands.into_iter().next_back());
    result.ok_or_else(|| "the job has no result".to_owned())
}

/// The command that runs an entry of the program.
pub(crate) fn command_of_the_program(digest: &str, entry: &str) -> v1::Command {
    let blob = v1::Content { source: Some(v1::content::Source::Blob(digest.to_owned())) };
    let program = v1::FileIn { executable: true, ..file_in(PROGRAM_PATH, blob) };
    command([PROGRAM_PATH, entry], vec![program])
}

pub(crate) fn command<'a>(argv: impl IntoIterator<Item = &'a str>, files_in: Vec<v1::FileIn>) -> v1::Command {
    v1::Command {
        argv: argv.into_iter().map(|word| Bytes::copy_from_slice(word.as_bytes())).collect(),
        env: vec![v1::EnvVar {
            name: Bytes::from_static(b"PATH"),
            value: Bytes::from_static(PATH.as_bytes()),
        }],
        files_in,
        ..v1::Command::default()
    }
}

pub(crate) fn job_of(command: v1::Command) -> v1::JobSpec {
    let step = v1::Step { name: "attack".to_owned(), commands: vec![command], ..v1::Step::default() };
    v1::JobSpec { steps: vec![step], ..v1::JobSpec::default() }
}

pub(crate) fn inline(bytes: &[u8]) -> v1::Content {
    v1::Content { source: Some(v1::content::Source::Inline(Bytes::copy_from_slice(bytes))) }
}

pub(crate) fn file_in(path: &str, content: v1::Content) -> v1::FileIn {
    v1::FileIn { path: Bytes::copy_from_slice(path.as_bytes()), content: Some(content), executable: false }
}

/// Whether bytes are in what came back of a command.
fn holds(result: &v1::CommandResult, secret: &[u8]) -> bool {
    let streams = [&result.stdout, &result.stderr].into_iter().flatten().map(|output| &output.data);
    let files = result.files.iter().map(|file| &file.data);
    streams.chain(files).any(|data| data.windows(secret.len()).any(|window| window == secret))
}

/// Limits that the operator's policy allows.
fn within(limits: v1::Limits, maximum: &v1::Limits) -> v1::Limits {
    let least =
        |asked: Option<u64>, most: Option<u64>| asked.map(|asked| most.map_or(asked, |most| asked.min(most)));
    v1::Limits {
        cpu_ms: least(limits.cpu_ms, maximum.cpu_ms),
        wall_ms: least(limits.wall_ms, maximum.wall_ms),
        memory_bytes: least(limits.memory_bytes, maximum.memory_bytes),
        pids: least(limits.pids, maximum.pids),
        output_bytes: least(limits.output_bytes, maximum.output_bytes),
        file_size_bytes: least(limits.file_size_bytes, maximum.file_size_bytes),
        disk_bytes: least(limits.disk_bytes, maximum.disk_bytes),
        inodes: least(limits.inodes, maximum.inodes),
        open_files: least(limits.open_files, maximum.open_files),
        stack_bytes: least(limits.stack_bytes, maximum.stack_bytes),
        cpu_rate_millis: least(limits.cpu_rate_millis, maximum.cpu_rate_millis),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_stay_within_the_operators() {
        let asked = v1::Limits { pids: Some(32), wall_ms: Some(6_000), ..v1::Limits::default() };
        let maximum = v1::Limits { pids: Some(8), memory_bytes: Some(1), ..v1::Limits::default() };
        let expected = v1::Limits { pids: Some(8), wall_ms: Some(6_000), ..v1::Limits::default() };
        assert_eq!(within(asked, &maximum), expected);
    }

    #[test]
    fn a_secret_is_found_wherever_it_comes_back() {
        let secret = b"canary-1";
        let output = |text: &'static str| Some(v1::Output { data: text.into(), ..v1::Output::default() });
        let file = v1::FileResult { data: "x canary-1".into(), ..v1::FileResult::default() };
        let empty = v1::CommandResult::default;
        assert!(!holds(&empty(), secret));
        assert!(holds(&v1::CommandResult { stdout: output("a canary-1 b"), ..empty() }, secret));
        assert!(holds(&v1::CommandResult { stderr: output("canary-1"), ..empty() }, secret));
        assert!(holds(&v1::CommandResult { files: vec![file], ..empty() }, secret));
        assert!(!holds(&v1::CommandResult { stdout: output("canary-2"), ..empty() }, secret));
    }
}
