//! `--explain`: the jail's plan for every command of a job, and nothing is run.

use kiln_jail::explain::Explanation;
use kiln_jail::plan::{Limits, Plan, Way};
use kiln_jail::standing::Standing;
use kiln_proto::Invalid;
use kiln_proto::model::{Content, JobSpec, human_bytes, human_micros};
use kiln_proto::v1;
use kiln_worker::library::Runner;
use serde_json::{Value, json};

use crate::context::Context;
use crate::exit;
use crate::failure::{Failure, FieldViolation};
use crate::json::bytes::Blob;
use crate::output::{Format, print, print_json};
use crate::private_runner::with_runner;

/// Prints what the jail would do for each command.
pub(crate) async fn explain(spec: v1::JobSpec, context: &Context) -> Result<u8, Failure> {
    let spec = check(spec, context)?;
    let standing = Standing::of_this_process()
        .map_err(|error| Failure::caused("cannot find out whose root this is", &error))?;
    let plans = with_runner(context, 1, async |runner| plans(&spec, standing, runner).await).await?;
    match context.format {
        Format::Json => {
            print_json(&json!({"plans": plans.iter().map(Planned::to_json).collect::<Vec<_>>()}))?
        }
        Format::People => print(&plans.iter().map(Planned::to_text).collect::<Vec<_>>().join("\n"))?,
    }
    Ok(exit::SUCCESS)
}

/// What a server would say to the job, said here.
pub(crate) fn check(spec: v1::JobSpec, context: &Context) -> Result<JobSpec, Failure> {
    let unknown = context.settings.profile_names().unknown_in(&spec);
    let checked = match JobSpec::check(spec, &context.settings.limits) {
        Ok(_) if !unknown.is_empty() => Err(Invalid { violations: Vec::new() }),
        checked => checked,
    };
    checked.map_err(|invalid| {
        let violations = invalid.violations.into_iter().chain(unknown).map(FieldViolation::from).collect();
        Failure { violations, ..Failure::usage("the job is not one that a server would take:") }
    })
}

/// One command and what the jail would do for it.
struct Planned {
    step: String,
    command: String,
    plan: Plan,
    explanation: Explanation,
    /// Inputs that only running would make.
    pending: usize,
    /// Some inputs are blobs, whose sizes only their worker knows.
    blobs: bool,
}

async fn plans(spec: &JobSpec, standing: Standing, runner: &Runner) -> Result<Vec<Planned>, Failure> {
    let mut plans = Vec::new();
    for step in &spec.steps {
        for command in &step.commands {
            let mut known = command.clone();
            let all = known.files_in.len();
            // What an earlier step leaves exists only once it ran; the plan is the same but for that file.
            known.files_in.retain(|file| !matches!(file.content, Content::OutputOf { .. }));
            let pending = all - known.files_in.len();
            if matches!(known.stdin, Content::OutputOf { .. }) {
                known.stdin = Content::Empty;
            }
            let plan = runner
                .plan_of(&known)
                .await
                .map_err(|error| Failure::caused("cannot plan the command", &error))?;
            plans.push(Planned {
                step: step.name.to_string(),
                command: command.name.to_string(),
                explanation: on_this_kernel(plan.explain(standing)),
                plan,
                pending,
                blobs: known.files_in.iter().any(|file| matches!(file.content, Content::Blob(_))),
            });
        }
    }
    Ok(plans)
}

/// Without Landlock the command does not run, which doctor tells.
fn on_this_kernel(explanation: Explanation) -> Explanation {
    match kiln_jail::landlock::abi() {
        Ok(abi) => explanation.on_landlock(abi),
        Err(_) => explanation,
    }
}

impl Planned {
    fn to_text(&self) -> String {
        let parts = self.plan.rootfs.parts.iter();
        let rootfs: Vec<_> =
            parts.map(|part| format!("{} at {}", shown(&part.source), shown(&part.target))).collect();
        let argv: Vec<_> = self.plan.argv.iter().map(|word| shown(word)).collect();
        let limits = &self.plan.limits;
        let mut text = format!(
            "step {}, command {}\n  argv     {}\n  cwd      {}\n  rootfs   {}\n  profile  {}\n  limits   {}\n",
            self.step,
            self.command,
            argv.join(" "),
            shown(&self.plan.cwd),
            rootfs.join(", "),
            self.plan.profile.name(),
            limits_line(limits),
        );
        text.push_str(&self.explanation.to_string());
        if !text.ends_with('\n') {
            text.push('\n');
        }
        if self.blobs {
            let most = human_bytes(kiln_proto::COPIED_INPUT_BYTES);
            text.push_str(&format!("of its files, those above {most} are shown read-only instead of copied, unless executable or wanted back\n"));
        }
        if self.pending > 0 {
            text.push_str(&format!("beside these, {} file from earlier steps, read-only\n", self.pending));
        }
        text
    }

    fn to_json(&self) -> Value {
        json!({
            "step": self.step,
            "command": self.command,
            "plan": plan_json(&self.plan),
            "does": self.explanation.steps,
            "warnings": self.explanation.warnings,
            "inputs_of_earlier_steps": self.pending,
        })
    }
}

fn limits_line(limits: &Limits) -> String {
    [
        format!("cpu {}", human_micros(limits.cpu_us.get())),
        format!("wall {}", human_micros(limits.wall_us.get())),
        format!("memory {}", human_bytes(limits.memory_bytes.get())),
        format!("pids {}", limits.pids),
        format!("output {}", human_bytes(limits.output_bytes.get())),
        format!("file_size {}", human_bytes(limits.file_size_bytes.get())),
        format!("disk {}", human_bytes(limits.disk_bytes.get())),
        format!("inodes {}", limits.inodes),
        format!("open_files {}", limits.open_files),
        format!("stack {}", human_bytes(limits.stack_bytes.get())),
        format!("cpu_rate {}m", limits.cpu_rate_millis),
    ]
    .join(", ")
}

/// The plan as it is, its bytes as text where they are.
fn plan_json(plan: &Plan) -> Value {
    let parts = plan.rootfs.parts.iter();
    let parts: Vec<_> =
        parts.map(|part| json!({"source": blob(&part.source), "target": blob(&part.target)})).collect();
    let env = plan.env.iter();
    let env: Vec<_> = env.map(|(name, value)| json!({"name": blob(name), "value": blob(value)})).collect();
    let files_in = plan.files_in.iter();
    let files_in: Vec<_> = files_in
        .map(|file| match &file.way {
            Way::Copied { mode, owner } => {
                json!({"path": blob(&file.path), "mode": format!("{mode:04o}"), "owner": owner})
            }
            Way::Shown { .. } => json!({"path": blob(&file.path), "shown": true}),
        })
        .collect();
    let files_out = plan.files_out.iter();
    let files_out: Vec<_> =
        files_out.map(|file| json!({"path": blob(&file.path), "max_bytes": file.max_bytes})).collect();
    json!({
        "argv": plan.argv.iter().map(|word| blob(word)).collect::<Vec<_>>(),
        "env": env,
        "cwd": blob(&plan.cwd),
        "rootfs": {"parts": parts},
        "limits": plan.limits,
        "profile": plan.profile.name(),
        "writes": plan.profile.writes(),
        "files_in": files_in,
        "files_out": files_out,
    })
}

fn blob(bytes: &[u8]) -> Blob {
    Blob(bytes::Bytes::copy_from_slice(bytes))
}

/// For a terminal: control characters of a job's words must not reach it.
fn shown(bytes: &[u8]) -> String {
    bytes.utf8_chunks().fold(String::new(), |mut text, chunk| {
        text.extend(chunk.valid().chars().flat_map(|character| {
            let plain = !character.is_control();
            plain
                .then_some(character)
                .into_iter()
                .chain((!plain).then(|| character.escape_default()).into_iter().flatten())
        }));
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_a_terminal_hold_no_control_characters() {
        assert_eq!(shown("é plain".as_bytes()), "é plain");
        assert_eq!(shown(b"a\x1b[2J\n\xff"), "a\\u{1b}[2J\\n\\xff");
    }
}
