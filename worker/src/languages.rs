//! Which languages the host image has: each one's version command is run in the sandbox, while no job wants the slot.
//!
//! The answers are kept on disk under the image's fingerprint, so they are asked for once per change of the host.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kiln_proto::language::{Language, Table};
use kiln_proto::{model, v1};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::clock::unix_us;
use crate::engine::Engine;
use crate::fleet::AgentRequest;
use crate::order::{StepOrder, Terms};
use crate::step::{self, StepControl};

/// A version command that takes longer is taken for broken.
const VERSION_WALL_MS: u64 = 20_000;
const VERSION_BYTES: usize = 200;
/// Tells a table of other commands from the one that was asked.
const CACHE_NAME: &str = "languages.toml";

/// The probe; [`Probe::run`] is its task.
pub(crate) struct Probe {
    pub(crate) engine: Arc<Engine>,
    pub(crate) languages: Table,
    pub(crate) directory: PathBuf,
    /// Slots not free.
    pub(crate) occupied: watch::Receiver<usize>,
    pub(crate) requests: mpsc::Sender<AgentRequest>,
}

/// What was found, as kept on disk.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Found {
    /// Fingerprint of the host image, and of the commands that were run.
    identity: String,
    /// Version by name.
    languages: BTreeMap<String, String>,
}

impl Probe {
    /// Finds the languages and tells the agent. Ends early when stopped, telling nothing.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let identity = identity(&self.engine.roots.host_info().digest, &self.languages);
        let file = self.directory.join(CACHE_NAME);
        let found = match kept(&file).filter(|found| found.identity == identity) {
            Some(found) => found,
            None => {
                let Some(languages) = self.probe_all(&stop).await else { return };
                let found = Found { identity, languages };
                keep(&file, &found);
                found
            }
        };
        let languages = found.languages.into_iter().map(|(name, version)| v1::LanguageInfo { name, version });
        let facts = v1::WorkerFacts { languages: languages.collect() };
        tracing::info!(count = facts.languages.len(), "languages known");
        let _agent_gone = self.requests.send(AgentRequest::Facts(facts)).await;
    }

    async fn probe_all(&mut self, stop: &CancellationToken) -> Option<BTreeMap<String, String>> {
        let mut found = BTreeMap::new();
        let languages: Vec<Language> =
            self.languages.iter().filter(|language| language.image == "host").cloned().collect();
        for language in languages {
            tokio::select! {
                () = stop.cancelled() => return None,
                idle = self.occupied.wait_for(|occupied| *occupied == 0) => drop(idle.ok()?),
            }
            if let Some(version) = self.version(&language, stop).await {
                found.insert(language.name.clone(), version);
            }
        }
        (!stop.is_cancelled()).then_some(found)
    }

    async fn version(&self, language: &Language, stop: &CancellationToken) -> Option<String> {
        let step = version_step(language, &self.engine.limits)?;
        let order = StepOrder::new(&step, &Terms::default(), unix_us()).ok()?;
        let control = StepControl { cancel: stop.clone(), ..StepControl::default() };
        let end = step::run(&self.engine, &order, &self.engine.live(&order), &control).await;
        end.cleanup.finish().await;
        let result = end.results.into_iter().next()?;
        let outcome = result.outcome?;
        if outcome.code != Some(0) {
            tracing::debug!(language = language.name, outcome = outcome.sentence, "a language is not here");
            return None;
        }
        let outputs = [result.stdout?.data, result.stderr?.data];
        Some(outputs.iter().find_map(|output| first_line(output)).unwrap_or_default())
    }
}

/// The version command as a step, within the worker's maxima.
fn version_step(language: &Language, policy: &model::LimitPolicy) -> Option<model::Step> {
    let maximum = v1::Limits::from(&policy.maximum);
    let mut command = language.clone().bounded(&maximum).version_command();
    let asked = v1::Limits {
        wall_ms: Some(VERSION_WALL_MS.min(policy.maximum.wall.millis())),
        ..command.limits.unwrap_or_default()
    };
    let limits = model::Limits::clamp(&asked, policy, "limits").ok()?;
    command.limits = Some((&limits).into());
    let step = v1::Step { name: "version".to_owned(), commands: vec![command], ..v1::Step::default() };
    match model::Step::check_lease(step, policy) {
        Ok(step) => Some(step),
        Err(error) => {
            tracing::warn!(language = language.name, %error, "a version command cannot be run");
            None
        }
    }
}

/// The first line with anything on it, printable and cut.
fn first_line(output: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(output);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    let mut line: String = line.chars().filter(|character| !character.is_control()).collect();
    let end = (0..=VERSION_BYTES.min(line.len())).rev().find(|end| line.is_char_boundary(*end))?;
    line.truncate(end);
    Some(line)
}

fn identity(image: &str, languages: &Table) -> String {
    let mut hasher = blake3::Hasher::new();
    for language in languages.iter() {
        hasher.update(format!("{language:?}\n").as_bytes());
    }
    format!("{image} {}", hasher.finalize())
}

fn kept(file: &Path) -> Option<Found> {
    toml::from_str(&std::fs::read_to_string(file).ok()?).ok()
}

fn keep(file: &Path, found: &Found) {
    let text = toml::to_string(found).expect("a map of strings is TOML");
    let written =
        tempfile::NamedTempFile::new_in(file.parent().unwrap_or(Path::new("/"))).and_then(|mut new| {
            use std::io::Write;
            new.write_all(text.as_bytes())?;
            new.persist(file).map_err(|error| error.error)
        });
    if let Err(error) = written {
        tracing::warn!(file = %file.display(), %error, "cannot keep the found languages");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_builtin_version_command_is_a_valid_step() {
        let policy = model::LimitPolicy::default();
        for language in Table::builtin().iter() {
            assert!(version_step(language, &policy).is_some(), "{}", language.name);
        }
    }

    #[test]
    fn the_first_line_that_says_something_is_kept_short() {
        assert_eq!(first_line(b"\n  gcc 12.2\x1b[0m \nmore"), Some("gcc 12.2[0m".to_owned()));
        assert_eq!(first_line(b"\n\n"), None);
        assert_eq!(first_line("é".repeat(200).as_bytes()).unwrap().len(), VERSION_BYTES);
    }

    #[test]
    fn what_was_found_is_kept_for_the_same_image_and_commands_only() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(CACHE_NAME);
        assert_eq!(kept(&file), None);
        let languages = BTreeMap::from([("c".to_owned(), "gcc \"12\"".to_owned())]);
        let found = Found { identity: identity("blake3:1", &Table::builtin()), languages };
        keep(&file, &found);
        assert_eq!(kept(&file), Some(found));
        assert_ne!(identity("blake3:1", &Table::builtin()), identity("blake3:2", &Table::builtin()));
    }
}
