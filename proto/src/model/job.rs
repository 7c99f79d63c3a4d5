//! A whole job: steps that form a DAG.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::checker::{Checker, Scope};
use super::dag;
use super::limit_policy::LimitPolicy;
use super::names::Labels;
use super::step::{Pipe, Step, check_shape};
use super::violation::{Invalid, quoted};
use crate::{MAX_JOB_INLINE_BYTES, v1};

/// Most steps of a job.
pub const MAX_STEPS: usize = 64;

/// What a client submitted, with every rule of the API checked. See [`JobSpec::check`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct JobSpec {
    /// 1 to [`MAX_STEPS`], in the client's order.
    pub steps: Vec<Step>,
    /// Its class in the queue.
    pub priority: Priority,
    /// For the client to find it by.
    pub labels: Labels,
}

/// Class of a job in the queue: a higher one is leased first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Priority {
    Low,
    #[default]
    Normal,
    High,
}

impl JobSpec {
    /// Checks a spec. Violations name fields relative to the spec, e.g. `steps[0].commands[1].argv`.
    pub fn check(spec: v1::JobSpec, policy: &LimitPolicy) -> Result<JobSpec, Invalid> {
        let mut checker = Checker::new(policy, Scope::Job { spec: &spec, step: 0 });
        checker.count("steps", spec.steps.len(), 1..=MAX_STEPS);
        for (index, step) in spec.steps.iter().take(MAX_STEPS).enumerate() {
            check_shape(step, format_args!("steps[{index}]"), &mut checker);
        }
        if !checker.violations.is_empty() {
            return checker.finish(None);
        }
        let priority = checker.violations.keep("priority", Priority::from_wire(spec.priority));
        let labels = match Labels::check(spec.labels.clone(), "labels") {
            Ok(labels) => Some(labels),
            Err(invalid) => {
                checker.violations.extend(invalid.violations);
                None
            }
        };
        let steps = check_steps(&spec, &mut checker);
        if checker.inline_bytes > MAX_JOB_INLINE_BYTES {
            let why = format!(
                "hold {} bytes of inline content; at most {MAX_JOB_INLINE_BYTES} are allowed, upload more as blobs",
                checker.inline_bytes
            );
            checker.violations.add("steps", why);
        }
        let checked = priority.zip(labels).zip(steps);
        checker.finish(checked.map(|((priority, labels), steps)| JobSpec { steps, priority, labels }))
    }

    /// The same job on the wire, normalised: names, limits and defaults are said. Checking it gives the same job again, and
    /// its encoding is the same for the same job.
    pub fn to_wire(&self) -> v1::JobSpec {
        v1::JobSpec {
            steps: self.steps.iter().map(|step| self.step_to_wire(step)).collect(),
            priority: v1::Priority::from(self.priority).into(),
            labels: self.labels.to_wire(),
        }
    }

    /// Indices of the steps, each after those it needs, otherwise in the client's order.
    pub fn order(&self) -> Vec<usize> {
        let needs: Vec<_> = self.steps.iter().map(|step| step.needs.clone()).collect();
        dag::order(&needs).expect("a checked job has no cycle")
    }

    /// Index of a step by its name.
    pub fn step(&self, name: &str) -> Option<usize> {
        self.steps.iter().position(|step| step.name.as_str() == name)
    }

    fn step_to_wire(&self, step: &Step) -> v1::Step {
        let names = |step: usize, command: usize| {
            let step = &self.steps[step];
            (step.name.to_string(), step.commands[command].name.to_string())
        };
        let pipe = |pipe: &Pipe| v1::Pipe {
            from: step.commands[pipe.from].name.to_string(),
            to: step.commands[pipe.to].name.to_string(),
        };
        v1::Step {
            name: step.name.to_string(),
            needs: step.needs.iter().map(|need| self.steps[*need].name.to_string()).collect(),
            commands: step.commands.iter().map(|command| command.to_wire(names)).collect(),
            pipes: step.pipes.iter().map(pipe).collect(),
        }
    }
}

impl Priority {
    /// Unspecified means normal.
    fn from_wire(number: i32) -> Result<Self, String> {
        match v1::Priority::try_from(number) {
            Ok(v1::Priority::Unspecified | v1::Priority::Normal) => Ok(Priority::Normal),
            Ok(v1::Priority::Low) => Ok(Priority::Low),
            Ok(v1::Priority::High) => Ok(Priority::High),
            Err(_) => Err(format!("is {number}; must be PRIORITY_LOW, PRIORITY_NORMAL or PRIORITY_HIGH")),
        }
    }
}

impl From<Priority> for v1::Priority {
    fn from(priority: Priority) -> Self {
        match priority {
            Priority::Low => v1::Priority::Low,
            Priority::Normal => v1::Priority::Normal,
            Priority::High => v1::Priority::High,
        }
    }
}

fn check_steps<'a>(spec: &'a v1::JobSpec, checker: &mut Checker<'a>) -> Option<Vec<Step>> {
    let by_name = check_step_names(spec, checker);
    let needs: Vec<_> = spec
        .steps
        .iter()
        .enumerate()
        .map(|(index, step)| check_needs(index, step, &by_name, checker))
        .collect();
    check_no_cycle(spec, &needs, checker);
    let mut steps = Vec::with_capacity(spec.steps.len());
    for (index, (step, needs)) in spec.steps.iter().zip(needs).enumerate() {
        checker.scope = Scope::Job { spec, step: index };
        steps.push(Step::check(step, needs, format_args!("steps[{index}]"), checker));
    }
    steps.into_iter().collect()
}

fn check_step_names<'a>(spec: &'a v1::JobSpec, checker: &mut Checker<'_>) -> BTreeMap<&'a str, usize> {
    let mut by_name = BTreeMap::new();
    for (index, step) in spec.steps.iter().enumerate() {
        if by_name.insert(step.name.as_str(), index).is_some() {
            let why = format!("is {}, the name of another step", quoted(step.name.as_bytes()));
            checker.violations.add(format_args!("steps[{index}].name"), why);
        }
    }
    by_name
}

fn check_needs(
    index: usize,
    step: &v1::Step,
    by_name: &BTreeMap<&str, usize>,
    checker: &mut Checker<'_>,
) -> Vec<usize> {
    let mut needs = Vec::with_capacity(step.needs.len());
    for (position, name) in step.needs.iter().enumerate() {
        let field = format!("steps[{index}].needs[{position}]");
        match by_name.get(name.as_str()) {
            None => {
                let why = format!("is {}; must be the name of a step of this job", quoted(name.as_bytes()));
                checker.violations.add(field, why);
            }
            Some(need) if needs.contains(need) => {
                let why = format!("is {}, which is there already", quoted(name.as_bytes()));
                checker.violations.add(field, why);
            }
            Some(need) => needs.push(*need),
        }
    }
    needs
}

fn check_no_cycle(spec: &v1::JobSpec, needs: &[Vec<usize>], checker: &mut Checker<'_>) {
    let Err(cycle) = dag::order(needs) else {
        return;
    };
    let round = cycle.iter().chain(cycle.first());
    let names: Vec<_> = round.map(|step| quoted(spec.steps[*step].name.as_bytes())).collect();
    let why = format!("form a cycle: {}", names.join(" needs "));
    checker.violations.add(format_args!("steps[{}].needs", cycle[0]), why);
}
