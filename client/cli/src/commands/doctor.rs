//! `kiln doctor`: what this host has and lacks, with a fix for each.

mod toolchains;

use std::path::PathBuf;

use clap::Args;
use kiln_jail::host::{Directory, Finding, Status, directories, ordinary_user_can_be_root, probe};
use kiln_proto::language::Language;
use serde_json::json;

use super::languages::language_json;
use crate::context::Context;
use crate::embedded::require_root;
use crate::exit;
use crate::failure::Failure;
use crate::found_languages::find;
use crate::output::{Format, print, print_json};
use crate::present::tables::{Lean, table};
use crate::private_runner::with_runner;

const EXAMPLES: &str = r#"Examples:
  kiln doctor                                    layers, what was seen, and a fix for what is missing
  kiln doctor --json | jq '.findings[] | select(.status == "missing")'
  kiln doctor --no-languages                     without running any program of this host

Exits 1 when something that Kiln requires is missing. What is degraded or advised keeps nothing from running."#;

/// Less room than this, and a handful of uploads or images fill it.
const DATA_BYTES: u64 = 1 << 30;
/// Locks and the socket; a private run's spool.
const RUN_BYTES: u64 = 1 << 20;
const TEMPORARY_BYTES: u64 = 256 << 20;

/// Say what this host has and lacks for running sandboxes, with a fix for each
#[derive(Args, Clone, Copy, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DoctorArgs {
    /// Do not look for languages
    #[arg(long)]
    no_languages: bool,
}

/// Languages with their versions; `None` for those that are not here.
type Languages = Vec<(Language, Option<String>)>;

pub(crate) async fn run(args: DoctorArgs, context: &Context) -> Result<u8, Failure> {
    // What an ordinary user could become root of is looked at from there; where he cannot, doctor says why.
    if ordinary_user_can_be_root() {
        require_root("kiln doctor")?;
    }
    let places = places(context);
    let mut findings = tokio::task::spawn_blocking(move || [probe(), room(&places)].concat())
        .await
        .map_err(|error| Failure::caused("looking at this host stopped", &error))?;
    let (trial, languages) = try_out(args, context).await?;
    findings.push(trial);
    findings.extend(toolchains::findings(&languages));
    let missing = findings.iter().filter(|finding| finding.status == Status::Missing).count();
    match context.format {
        Format::Json => {
            let languages: Vec<_> =
                languages.iter().map(|(language, version)| language_json(language, version)).collect();
            print_json(&json!({"ready": missing == 0, "findings": findings, "languages": languages}))?;
        }
        Format::People => print(&report(&findings, missing))?,
    }
    Ok(if missing == 0 { exit::SUCCESS } else { exit::NEGATIVE })
}

/// Where the configured services write, and what is wanted there.
fn places(context: &Context) -> Vec<(&'static str, PathBuf, u64)> {
    let mut places = vec![("images and blobs", context.settings.worker.engine.data_dir.clone(), DATA_BYTES)];
    places.extend(
        context.settings.server.data_dir.clone().map(|path| ("database and uploads", path, DATA_BYTES)),
    );
    places.push(("temporary files", std::env::temp_dir(), TEMPORARY_BYTES));
    places.push(("locks and sockets", context.settings.places.runtime_directory().to_owned(), RUN_BYTES));
    places
}

fn room(places: &[(&'static str, PathBuf, u64)]) -> Vec<Finding> {
    let all: Vec<_> = places
        .iter()
        .map(|(what, path, wanted_bytes)| Directory { what, path, wanted_bytes: *wanted_bytes })
        .collect();
    directories(&all)
}

/// The proof: the jails start, each runs a trial command, and languages are asked for their versions.
async fn try_out(args: DoctorArgs, context: &Context) -> Result<(Finding, Languages), Failure> {
    let finding = |status, seen: &str, fix: &str| Finding {
        layer: "sandbox".to_owned(),
        what: "a trial command".to_owned(),
        status,
        seen: seen.to_owned(),
        why_it_matters: "everything above together".to_owned(),
        fix: fix.to_owned(),
    };
    if !rustix::process::geteuid().is_root() {
        return Ok((
            finding(Status::Missing, "not tried", "mend what is missing above, or run kiln as root"),
            Vec::new(),
        ));
    }
    let slots = context.settings.worker.engine.slots.get();
    let tried = with_runner(context, slots, async |runner| {
        if args.no_languages { Ok(Vec::new()) } else { find(context, runner, slots).await }
    });
    match tried.await {
        Ok(languages) => Ok((finding(Status::Ok, "it ran", ""), languages)),
        // The engine could not be had: that is a finding. Anything else, a signal for one, is not.
        Err(failure) if failure.exit == exit::KILN_FAILED => {
            let fix = "fix what is missing above; allow_missing in [worker] gives up a layer knowingly";
            Ok((finding(Status::Missing, &failure.message, fix), Vec::new()))
        }
        Err(failure) => Err(failure),
    }
}

fn report(findings: &[Finding], missing: usize) -> String {
    let rows = findings.iter().map(|finding| {
        vec![
            finding.layer.clone(),
            finding.what.clone(),
            word(finding.status).to_owned(),
            finding.seen.clone(),
        ]
    });
    let mut text = table(&["layer", "what", "status", "seen"], &[Lean::Left; 4], rows);
    // What matters most is read last, and so stays on the screen.
    for status in [Status::Advice, Status::Degraded, Status::Missing] {
        for finding in findings.iter().filter(|finding| finding.status == status) {
            text.push_str(&told(finding));
        }
    }
    text.push_str(&match missing {
        0 => "\nThis host can run sandboxes.\n".to_owned(),
        _ => format!("\nThis host cannot run sandboxes: {missing} missing, see above.\n"),
    });
    text
}

fn told(finding: &Finding) -> String {
    let Finding { layer, what, status, why_it_matters, fix, .. } = finding;
    format!("\n{layer} {what}: {}\n  why: {why_it_matters}\n  fix: {fix}\n", word(*status))
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Ok => "ok",
        Status::Advice => "advice",
        Status::Degraded => "degraded",
        Status::Missing => "MISSING",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(layer: &str, status: Status) -> Finding {
        Finding {
            layer: layer.to_owned(),
            what: "a thing".to_owned(),
            status,
            seen: "seen".to_owned(),
            why_it_matters: "it does".to_owned(),
            fix: if status == Status::Ok { String::new() } else { "do this".to_owned() },
        }
    }

    #[test]
    fn what_is_missing_is_said_with_its_fix() {
        let findings = [
            finding("namespaces", Status::Ok),
            finding("landlock", Status::Missing),
            finding("cgroups", Status::Degraded),
            finding("processor", Status::Advice),
        ];
        insta::assert_snapshot!(report(&findings, 1));
    }
}
