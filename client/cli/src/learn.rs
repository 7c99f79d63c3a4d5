//! `kiln run --learn`: what a recorded program did, for people and programs, and the policy file made of it.

use std::io::Write;
use std::path::{Path, PathBuf};

use kiln_jail::learned::{Learned, LearnedAnswer, LearnedCall, LearnedValues};
use kiln_jail::seccomp::errno_name;
use kiln_proto::v1::Job;
use kiln_worker::recorder::Recording;
use serde_json::{Value, json};

use crate::exit;
use crate::failure::Failure;
use crate::present::tables::{Lean, table};

/// Where the policy goes when nobody says.
pub(crate) const DEFAULT_FILE: &str = "kiln-profile.json";
/// Values of an argument shown in the table.
const SHOWN_VALUES: usize = 6;

/// What is written at the end, and shown.
#[derive(Debug)]
pub(crate) struct Lesson {
    file: PathBuf,
    learned: Learned,
    /// Why the policy may lack calls.
    incomplete: Option<String>,
}

/// Before anything runs: a file that is there is somebody's, and reviewed perhaps.
pub(crate) fn check_file(path: &Path) -> Result<(), Failure> {
    if path.symlink_metadata().is_ok() {
        return Err(Failure::usage(format!("{} exists already and is not overwritten", path.display()))
            .next("remove it, or name another one: --learn=FILE"));
    }
    Ok(())
}

impl Lesson {
    /// Writes the policy of the recording. `running` is what ran, as its reasons name it.
    pub(crate) fn write(
        recording: Recording,
        path: &Path,
        running: &str,
        job: &Job,
    ) -> Result<Lesson, Failure> {
        let Recording { learned, profile, .. } = recording;
        let incomplete = stopped(job).map(|sentence| {
            format!("The run did not come to its own end ({sentence}): calls that it would have made later are missing.")
        });
        let text = learned.to_policy(&format!("`{running}`"), &profile, incomplete.as_slice());
        let write = || {
            let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(path)?;
            file.write_all(text.as_bytes())
        };
        write().map_err(|error| Failure::caused(&format!("cannot write {}", path.display()), &error))?;
        Ok(Lesson { file: path.to_owned(), learned, incomplete })
    }

    pub(crate) fn to_text(&self) -> String {
        let leans = [Lean::Left, Lean::Right, Lean::Left, Lean::Left];
        let rows = self.learned.calls.iter().map(|call| {
            let values: Vec<_> = call.values.iter().map(values_text).collect();
            vec![name(call), call.count.to_string(), answer_text(call.answer), values.join("; ")]
        });
        let mut text = table(&["call", "count", "answer", "arguments"], &leans, rows);
        if self.learned.unlisted > 0 {
            text.push_str(&format!("and {} calls more, of too many kinds to list\n", self.learned.unlisted));
        }
        if let Some(incomplete) = &self.incomplete {
            text.push_str(&format!("kiln: {incomplete}\n"));
        }
        text.push_str(&format!(
            "kiln: wrote {}, a profile of {} rules. Review it, then give it a name in the configuration:\n  \
             [profiles.NAME]\n  file = {:?}\nand use it with `kiln run --profile NAME`",
            self.file.display(),
            self.learned.rules.len(),
            std::path::absolute(&self.file).unwrap_or_else(|_| self.file.clone())
        ));
        text
    }

    pub(crate) fn to_json(&self) -> Value {
        let calls: Vec<_> = self.learned.calls.iter().map(call_json).collect();
        json!({
            "file": self.file.display().to_string(),
            "rules": self.learned.rules.len(),
            "calls": calls,
            "unlisted": self.learned.unlisted,
            "incomplete": self.incomplete,
        })
    }
}

/// The sentence of a run that something stopped.
fn stopped(job: &Job) -> Option<String> {
    use kiln_proto::v1::OutcomeKind::{Exited, Signalled};
    let (_, result) = exit::deciding(job)?;
    let outcome = result.outcome.as_ref()?;
    (!matches!(outcome.kind(), Exited | Signalled)).then(|| outcome.sentence.clone())
}

/// `openat`, or with the ABI where it is not this machine's own.
fn name(call: &LearnedCall) -> String {
    if call.arch == std::env::consts::ARCH {
        call.syscall.clone()
    } else {
        format!("{}:{}", call.arch, call.syscall)
    }
}

fn answer_text(answer: LearnedAnswer) -> String {
    match answer {
        LearnedAnswer::Allowed => "allowed".to_owned(),
        LearnedAnswer::Pretended => "success pretended".to_owned(),
        LearnedAnswer::Failed { errno } => match errno_name(errno) {
            Some(name) => format!("refused, {name}"),
            None => format!("refused, errno {errno}"),
        },
        LearnedAnswer::Forbidden => "forbidden, ended the sandbox".to_owned(),
    }
}

fn values_text(values: &LearnedValues) -> String {
    let shown: Vec<_> = values.values.iter().take(SHOWN_VALUES).map(|value| format!("{value:#x}")).collect();
    let more = if values.more || values.values.len() > SHOWN_VALUES { ", ..." } else { "" };
    format!("{}: {}{more}", values.argument, shown.join(", "))
}

fn call_json(call: &LearnedCall) -> Value {
    let (answer, errno) = match call.answer {
        LearnedAnswer::Allowed => ("allowed", None),
        LearnedAnswer::Pretended => ("pretended", None),
        LearnedAnswer::Failed { errno } => ("failed", Some(errno)),
        LearnedAnswer::Forbidden => ("forbidden", None),
    };
    json!({
        "call": call.syscall, "arch": call.arch, "count": call.count, "answer": answer, "errno": errno,
        "arguments": call.values,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(syscall: &str, arch: &str, count: u64, answer: LearnedAnswer) -> LearnedCall {
        let values = LearnedValues { argument: 1, values: (0..8).collect(), more: false };
        LearnedCall {
            syscall: syscall.to_owned(),
            arch: arch.to_owned(),
            count,
            answer,
            values: if syscall == "ioctl" { vec![values] } else { Vec::new() },
        }
    }

    #[test]
    fn the_table_says_what_was_refused_and_which_arguments_matter() {
        let own = std::env::consts::ARCH;
        let learned = Learned {
            calls: vec![
                call("read", own, 12, LearnedAnswer::Allowed),
                call("ioctl", own, 3, LearnedAnswer::Allowed),
                call("socket", own, 1, LearnedAnswer::Failed { errno: 97 }),
                call("setrlimit", own, 1, LearnedAnswer::Pretended),
                call("getpid", "i386", 1, LearnedAnswer::Forbidden),
            ],
            rules: Vec::new(),
            unlisted: 4,
        };
        let lesson =
            Lesson { file: "/tmp/p.json".into(), learned, incomplete: Some("Too short.".to_owned()) };
        insta::assert_snapshot!(lesson.to_text());
    }

    #[test]
    fn a_file_that_exists_is_refused_before_anything_runs() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("p.json");
        assert!(check_file(&path).is_ok());
        std::os::unix::fs::symlink("/nowhere", &path).expect("a link");
        assert_eq!(check_file(&path).expect_err("a link is there").exit, exit::USAGE);
    }
}
