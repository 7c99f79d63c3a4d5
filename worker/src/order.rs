//! What the engine is ordered to run: a leased step in the jail's terms, not yet fetched.
//!
//! Made from the checked model only. Holds no descriptor and touches nothing.

use std::collections::HashSet;
use std::num::NonZeroU64;
use std::sync::Arc;

use bytes::Bytes;
use kiln_jail::plan::{self, CustomProfile};
use kiln_proto::model::{self, ProfileName};

/// One step.
#[derive(Clone, Debug)]
pub(crate) struct StepOrder {
    pub(crate) commands: Vec<CommandOrder>,
    /// From which command's stdout to which command's stdin.
    pub(crate) pipes: Vec<(usize, usize)>,
    /// Whether outputs above 64 KiB become blobs.
    pub(crate) durable: bool,
    /// Microseconds since the Unix epoch.
    pub(crate) received_unix_us: u64,
}

/// One command of it.
#[derive(Clone, Debug)]
pub(crate) struct CommandOrder {
    pub(crate) name: String,
    pub(crate) image: Image,
    /// Complete but for `rootfs`, which the image gives.
    pub(crate) plan: plan::Plan,
    pub(crate) stdin: Content,
    /// Beside `plan.files_in`.
    pub(crate) files_in: Vec<Content>,
}

/// Where a command's root comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Image {
    Host,
    Imported(model::Digest),
}

/// Bytes, here or to be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Bytes(Bytes),
    Blob(model::Digest),
}

/// What a lease says beside the step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Terms {
    /// Command and file of inputs that the command must not change.
    pub(crate) read_only: HashSet<(usize, usize)>,
    pub(crate) durable: bool,
    /// For files_out without a size of their own; 0 means as large as the file size limit.
    pub(crate) max_file_bytes: u64,
    /// The worker's own, beside the built-in ones.
    pub(crate) profiles: Arc<[CustomProfile]>,
}

/// A step that a worker cannot run, though it is a valid one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// Only the server knows names.
    #[error("commands[{command}].image: the name {name:?} was not resolved to a digest")]
    UnresolvedImage { command: usize, name: String },
    /// Only the server knows the outputs of other steps.
    #[error("commands[{command}]: the output of another step was not resolved to content")]
    UnresolvedContent { command: usize },
    /// The server's configuration has it, this worker's has not.
    #[error("commands[{command}].profile: this worker has no profile \"{name}\" in its configuration")]
    NoProfile { command: usize, name: ProfileName },
}

impl StepOrder {
    pub(crate) fn new(step: &model::Step, terms: &Terms, received_unix_us: u64) -> Result<Self, OrderError> {
        let commands = step.commands.iter().enumerate();
        Ok(Self {
            commands: commands
                .map(|(index, command)| CommandOrder::new(index, command, terms))
                .collect::<Result<_, _>>()?,
            pipes: step.pipes.iter().map(|pipe| (pipe.from, pipe.to)).collect(),
            durable: terms.durable,
            received_unix_us,
        })
    }
}

impl CommandOrder {
    pub(crate) fn new(index: usize, command: &model::Command, terms: &Terms) -> Result<Self, OrderError> {
        let image = match &command.image {
            model::ImageRef::Host => Image::Host,
            model::ImageRef::Digest(digest) => Image::Imported(*digest),
            model::ImageRef::Name(name) => {
                return Err(OrderError::UnresolvedImage { command: index, name: name.to_string() });
            }
        };
        let content = |content: &model::Content| {
            Content::new(content).ok_or(OrderError::UnresolvedContent { command: index })
        };
        Ok(Self {
            name: command.name.to_string(),
            image,
            plan: plan_without_root(index, command, terms)?,
            stdin: content(&command.stdin)?,
            files_in: command.files_in.iter().map(|file| content(&file.content)).collect::<Result<_, _>>()?,
        })
    }
}

impl Content {
    fn new(content: &model::Content) -> Option<Self> {
        Some(match content {
            model::Content::Empty => Self::Bytes(Bytes::new()),
            model::Content::Inline(bytes) => Self::Bytes(bytes.clone()),
            model::Content::Blob(digest) => Self::Blob(*digest),
            model::Content::OutputOf { .. } => return None,
        })
    }
}

fn plan_without_root(
    index: usize,
    command: &model::Command,
    terms: &Terms,
) -> Result<plan::Plan, OrderError> {
    let file_in = |(file, entry): (usize, &model::FileIn)| {
        let read_only = terms.read_only.contains(&(index, file));
        plan::FileIn {
            path: entry.path.as_bytes().to_vec(),
            way: plan::Way::Copied {
                mode: match (read_only, entry.executable) {
                    (true, true) => 0o555,
                    (true, false) => 0o444,
                    (false, true) => 0o755,
                    (false, false) => 0o644,
                },
                owner: if read_only { plan::Owner::Root } else { plan::Owner::Command },
            },
        }
    };
    let largest = NonZeroU64::new(terms.max_file_bytes).unwrap_or(command.limits.file_size.non_zero());
    let file_out = |entry: &model::FileOut| plan::FileOut {
        path: entry.path.as_bytes().to_vec(),
        max_bytes: entry.max_bytes.map_or(largest, model::ByteSize::non_zero),
    };
    Ok(plan::Plan {
        argv: command.argv.iter().map(|argument| argument.to_vec()).collect(),
        env: command.env.iter().map(|variable| (variable.name.to_vec(), variable.value.to_vec())).collect(),
        cwd: command.cwd.as_bytes().to_vec(),
        rootfs: plan::Rootfs { parts: Vec::new() },
        limits: plan_limits(&command.limits),
        profile: profile(index, command, terms)?,
        files_in: command.files_in.iter().enumerate().map(file_in).collect(),
        shown_from: None,
        files_out: command.files_out.iter().map(file_out).collect(),
    })
}

fn profile(index: usize, command: &model::Command, terms: &Terms) -> Result<plan::Profile, OrderError> {
    Ok(match &command.profile {
        model::Profile::Strict => plan::Profile::Strict,
        model::Profile::Default => plan::Profile::Default,
        model::Profile::Build => plan::Profile::Build,
        model::Profile::Custom(name) => {
            let known = terms.profiles.iter().find(|profile| profile.name == name.as_str());
            let known = known.ok_or_else(|| OrderError::NoProfile { command: index, name: name.clone() })?;
            plan::Profile::Custom { name: known.name.clone(), writes: known.writes }
        }
    })
}

fn plan_limits(limits: &model::Limits) -> plan::Limits {
    plan::Limits {
        cpu_us: limits.cpu.micros(),
        wall_us: limits.wall.micros(),
        memory_bytes: limits.memory.non_zero(),
        pids: limits.pids.non_zero(),
        output_bytes: limits.output.non_zero(),
        file_size_bytes: limits.file_size.non_zero(),
        disk_bytes: limits.disk.non_zero(),
        inodes: limits.inodes.non_zero(),
        open_files: limits.open_files.non_zero(),
        stack_bytes: limits.stack.non_zero(),
        cpu_rate_millis: limits.cpu_rate.millis(),
    }
}

#[cfg(test)]
mod tests {
    use kiln_proto::v1;

    use super::*;

    fn step(command: v1::Command) -> model::Step {
        let limits = v1::Limits::from(&model::LimitPolicy::default().default);
        let command = v1::Command { limits: Some(limits), argv: vec!["true".into()], ..command };
        let step = v1::Step { name: "s".into(), commands: vec![command], ..v1::Step::default() };
        model::Step::check_lease(step, &model::LimitPolicy::default()).unwrap()
    }

    fn file(path: &str, executable: bool) -> v1::FileIn {
        let content = v1::Content { source: Some(v1::content::Source::Inline("x".into())) };
        v1::FileIn { path: path.to_owned().into(), content: Some(content), executable }
    }

    #[test]
    fn outputs_of_earlier_steps_belong_to_root_and_nobody_may_write_them() {
        let files_in = vec![
            file("/work/a", false),
            file("/work/b", true),
            file("/work/c", false),
            file("/work/d", true),
        ];
        let step = step(v1::Command { files_in, ..v1::Command::default() });
        let terms = Terms { read_only: HashSet::from([(0, 2), (0, 3)]), ..Terms::default() };
        let order = StepOrder::new(&step, &terms, 0).unwrap();
        let placed: Vec<_> = order.commands[0].plan.files_in.iter().map(|file| file.way.clone()).collect();
        let expected = [
            (0o644, plan::Owner::Command),
            (0o755, plan::Owner::Command),
            (0o444, plan::Owner::Root),
            (0o555, plan::Owner::Root),
        ];
        assert_eq!(placed, expected.map(|(mode, owner)| plan::Way::Copied { mode, owner }));
    }

    #[test]
    fn a_custom_profile_is_the_workers_own_or_the_step_cannot_run() {
        let step = step(v1::Command { profile: "own".into(), ..v1::Command::default() });
        let error = StepOrder::new(&step, &Terms::default(), 0).unwrap_err();
        let told = "commands[0].profile: this worker has no profile \"own\" in its configuration";
        assert_eq!(error.to_string(), told);
        let own = CustomProfile { name: "own".into(), writes: plan::Writes::Root, policy: String::new() };
        let terms = Terms { profiles: vec![own].into(), ..Terms::default() };
        let order = StepOrder::new(&step, &terms, 0).unwrap();
        let expected = plan::Profile::Custom { name: "own".into(), writes: plan::Writes::Root };
        assert_eq!(order.commands[0].plan.profile, expected);
    }

    #[test]
    fn files_out_without_a_size_take_the_lease_s_or_the_file_size_limit() {
        let out = |max_bytes| v1::FileOut { path: "/work/o".into(), optional: false, max_bytes };
        let largest = |max_bytes, max_file_bytes| {
            let step = step(v1::Command { files_out: vec![out(max_bytes)], ..v1::Command::default() });
            let terms = Terms { max_file_bytes, ..Terms::default() };
            StepOrder::new(&step, &terms, 0).unwrap().commands[0].plan.files_out[0].max_bytes.get()
        };
        assert_eq!(largest(Some(5), 9), 5);
        assert_eq!(largest(None, 9), 9);
        assert_eq!(largest(None, 0), model::LimitPolicy::default().default.file_size.bytes());
    }
}
