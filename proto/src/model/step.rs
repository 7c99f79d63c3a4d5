//! A step: commands started together on one worker, joined by pipes.

use std::collections::BTreeSet;
use std::fmt::Arguments;

use super::checker::{Checker, Scope};
use super::command::{Command, MAX_FILES_IN, MAX_FILES_OUT};
use super::content::Content;
use super::limit_policy::LimitPolicy;
use super::names::{CommandName, StepName};
use super::violation::{Invalid, quoted};
use crate::v1;

/// Most commands of a step.
pub const MAX_COMMANDS: usize = 8;
/// Most pipes of a step.
pub const MAX_PIPES: usize = 16;

/// One or more commands started together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Step {
    /// Unique in the job.
    pub name: StepName,
    /// Indices of the steps that must have succeeded, each once. Empty in a lease.
    pub needs: Vec<usize>,
    /// 1 to [`MAX_COMMANDS`].
    pub commands: Vec<Command>,
    /// Each stream of each command at most once.
    pub pipes: Vec<Pipe>,
}

/// The stdout of one command becomes the stdin of another. Both are indices in the step's commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Pipe {
    pub from: usize,
    pub to: usize,
}

impl Step {
    /// Checks a leased step on the worker, against the worker's own maxima: everything must be said and resolved.
    pub fn check_lease(step: v1::Step, policy: &LimitPolicy) -> Result<Step, Invalid> {
        let mut checker = Checker::new(policy, Scope::Lease);
        check_shape(&step, format_args!("step"), &mut checker);
        if !checker.violations.is_empty() {
            return checker.finish(None);
        }
        let checked = Step::check(&step, Vec::new(), format_args!("step"), &mut checker);
        checker.finish(checked)
    }

    /// Index of the command whose stdout feeds this command, if a pipe does.
    pub fn feeder_of(&self, command: usize) -> Option<usize> {
        self.pipes.iter().find(|pipe| pipe.to == command).map(|pipe| pipe.from)
    }

    /// Index of the command that this command's stdout feeds, if a pipe takes it.
    pub fn reader_of(&self, command: usize) -> Option<usize> {
        self.pipes.iter().find(|pipe| pipe.from == command).map(|pipe| pipe.to)
    }

    /// Index of a command by its name.
    pub fn command(&self, name: &str) -> Option<usize> {
        self.commands.iter().position(|command| command.name.as_str() == name)
    }

    /// Checks a step whose shape is good. `needs` are already resolved.
    pub(crate) fn check(
        step: &v1::Step,
        needs: Vec<usize>,
        field: Arguments<'_>,
        checker: &mut Checker<'_>,
    ) -> Option<Step> {
        let name = checker.violations.keep(format_args!("{field}.name"), StepName::new(step.name.as_str()));
        let mut names = BTreeSet::new();
        let mut commands = Vec::with_capacity(step.commands.len());
        for (index, command) in step.commands.iter().enumerate() {
            let field = format_args!("{field}.commands[{index}]");
            let name = wire_name(command, step.commands.len());
            if !names.insert(name) {
                let why = format!("is {}, the name of another command of this step", quoted(name.as_bytes()));
                checker.violations.add(format_args!("{field}.name"), why);
            }
            commands.push(Command::check(command, name, field, checker));
        }
        let pipes = check_pipes(step, field, checker)?;
        let commands = commands.into_iter().collect::<Option<Vec<_>>>()?;
        check_stdin_is_fed_once(&commands, &pipes, field, checker)?;
        Some(Step { name: name?, needs, commands, pipes })
    }
}

/// Counts that later checks rely on, so that their work is bounded.
pub(crate) fn check_shape(step: &v1::Step, field: Arguments<'_>, checker: &mut Checker<'_>) {
    checker.count(format_args!("{field}.needs"), step.needs.len(), 0..=super::job::MAX_STEPS);
    checker.count(format_args!("{field}.commands"), step.commands.len(), 1..=MAX_COMMANDS);
    checker.count(format_args!("{field}.pipes"), step.pipes.len(), 0..=MAX_PIPES);
    for (index, command) in step.commands.iter().take(MAX_COMMANDS).enumerate() {
        let field = format_args!("{field}.commands[{index}]");
        checker.count(format_args!("{field}.files_in"), command.files_in.len(), 0..=MAX_FILES_IN);
        checker.count(format_args!("{field}.files_out"), command.files_out.len(), 0..=MAX_FILES_OUT);
    }
}

/// What a command of the wire is called, where its step has `commands` of them.
pub(crate) fn wire_name(command: &v1::Command, commands: usize) -> &str {
    if command.name.is_empty() && commands == 1 { CommandName::MAIN } else { &command.name }
}

fn check_pipes(step: &v1::Step, field: Arguments<'_>, checker: &mut Checker<'_>) -> Option<Vec<Pipe>> {
    let (mut writers, mut readers) = (BTreeSet::new(), BTreeSet::new());
    let mut pipes = Vec::with_capacity(step.pipes.len());
    for (index, pipe) in step.pipes.iter().enumerate() {
        let field = format_args!("{field}.pipes[{index}]");
        let from = check_pipe_end(step, &pipe.from, format_args!("{field}.from"), checker);
        let to = check_pipe_end(step, &pipe.to, format_args!("{field}.to"), checker);
        let taken = |name: &str, stream: &str| {
            format!("is {}, whose {stream} has a pipe already", quoted(name.as_bytes()))
        };
        if from.is_some_and(|from| !writers.insert(from)) {
            checker.violations.add(format_args!("{field}.from"), taken(&pipe.from, "stdout"));
        }
        if to.is_some_and(|to| !readers.insert(to)) {
            checker.violations.add(format_args!("{field}.to"), taken(&pipe.to, "stdin"));
        }
        if from.is_some() && from == to {
            checker.violations.add(field, "leads from a command to itself; must join two commands");
        }
        pipes.push(from.zip(to).map(|(from, to)| Pipe { from, to }));
    }
    pipes.into_iter().collect()
}

fn check_pipe_end(
    step: &v1::Step,
    name: &str,
    field: Arguments<'_>,
    checker: &mut Checker<'_>,
) -> Option<usize> {
    let commands = &step.commands;
    let found = commands.iter().position(|command| wire_name(command, commands.len()) == name);
    if found.is_none() {
        let why = format!("is {}; must be the name of a command of this step", quoted(name.as_bytes()));
        checker.violations.add(field, why);
    }
    found
}

fn check_stdin_is_fed_once(
    commands: &[Command],
    pipes: &[Pipe],
    field: Arguments<'_>,
    checker: &mut Checker<'_>,
) -> Option<()> {
    let mut good = true;
    for pipe in pipes {
        if commands[pipe.to].stdin != Content::Empty {
            let field = format_args!("{field}.commands[{}].stdin", pipe.to);
            checker.violations.add(field, "is set, but a pipe feeds this command; must be unset");
            good = false;
        }
    }
    good.then_some(())
}
