//! The attack that a worker makes on its own sandboxes before it becomes ready: the cases marked `start`.
//!
//! A trial command proves that a sandbox can be made; this proves that it holds. A case that only a layer holds which the operator
//! gave up is not made, and that is logged: everything else must end as its header says.

use std::fmt;

use bytes::Bytes;
use futures_util::future::join_all;
use kiln_attacks::Case;
use kiln_proto::{model, v1};

use crate::clock::unix_us;
use crate::engine::Engine;
use crate::order::{Content, StepOrder, Terms};
use crate::step::{self, StepControl};

const PROGRAM_PATH: &str = "/work/hostile";
/// A loaded machine must not look like a hole: no case of the subset is about time.
const WALL_MS: u64 = 60_000;
const CPU_MS: u64 = 30_000;

/// A case that did not end as it must.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GotThrough {
    /// e.g. `B8-unshare`.
    pub case: &'static str,
    pub tries: String,
    pub why: String,
}

impl fmt::Display for GotThrough {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({}): {}", self.case, self.tries.trim_end_matches('.'), self.why)
    }
}

/// Runs the subset through the engine's own jails; what got through, in the order of the cases.
pub(crate) async fn attack(engine: &Engine, given_up: &[String]) -> Vec<GotThrough> {
    let cases = kiln_attacks::all().iter().filter(|case| case.at_start && applies(case, given_up));
    let ended = join_all(cases.map(|case| run(engine, case))).await;
    ended.into_iter().flatten().collect()
}

/// Whether every layer that holds the case is required here.
fn applies(case: &Case, given_up: &[String]) -> bool {
    let held_by = case.layers.iter().find(|layer| given_up.iter().any(|name| name == layer.as_str()));
    if let Some(layer) = held_by {
        tracing::warn!(
            case = case.name,
            layer = layer.as_str(),
            "an attack is not tried: the layer that holds it may be missing here"
        );
    }
    held_by.is_none()
}

async fn run(engine: &Engine, case: &'static Case) -> Option<GotThrough> {
    let order = order(case);
    let end = step::run(engine, &order, &engine.live(&order), &StepControl::default()).await;
    let complaints = match end.results.first() {
        Some(result) => case.complaints(result),
        None => vec!["there is no result".to_owned()],
    };
    end.cleanup.finish().await;
    let why = complaints.join("; ");
    (!why.is_empty()).then(|| GotThrough { case: case.name, tries: case.about.tries.clone(), why })
}

/// The program goes in from this process's own memory: it is in no cache and needs no server.
fn order(case: &Case) -> StepOrder {
    let step = model::Step::check_lease(wire_step(case), &model::LimitPolicy::default());
    let step = step.expect("a test makes the step of every case of the subset");
    let mut order =
        StepOrder::new(&step, &Terms::default(), unix_us()).expect("such a step refers to nothing");
    order.commands[0].files_in = vec![Content::Bytes(Bytes::from_static(kiln_attacks::PROGRAM))];
    order
}

fn wire_step(case: &Case) -> v1::Step {
    let base = v1::Limits::from(&model::LimitPolicy::default().default);
    let limits = v1::Limits { wall_ms: Some(WALL_MS), cpu_ms: Some(CPU_MS), ..case.limits_over(base) };
    let argv = [PROGRAM_PATH, case.name].into_iter().map(Bytes::from);
    // Replaced by the program itself: too large to be inline in a request.
    let stand_in = v1::Content { source: Some(v1::content::Source::Inline(Bytes::from_static(b"x"))) };
    let program = v1::FileIn { path: PROGRAM_PATH.into(), content: Some(stand_in), executable: true };
    let command = v1::Command {
        argv: argv.chain(case.fixed_arguments().map(Bytes::from)).collect(),
        files_in: vec![program],
        files_out: case.files_out(),
        limits: Some(limits),
        profile: case.profile.to_owned(),
        ..v1::Command::default()
    };
    v1::Step { name: "attack".into(), commands: vec![command], ..v1::Step::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subset() -> impl Iterator<Item = &'static Case> {
        kiln_attacks::all().iter().filter(|case| case.at_start)
    }

    #[test]
    fn every_case_of_the_subset_has_its_step() {
        for case in subset() {
            let order = order(case);
            assert_eq!(order.commands.len(), 1, "{}", case.name);
        }
    }

    #[test]
    fn a_layer_that_was_given_up_takes_its_cases_along_and_no_others() {
        let none: Vec<&str> = subset().filter(|case| applies(case, &[])).map(|case| case.name).collect();
        assert_eq!(none.len(), subset().count());
        for layer in kiln_attacks::Layer::ALL {
            let allowed = [layer.as_str().to_owned()];
            for case in subset() {
                assert_eq!(applies(case, &allowed), !case.layers.contains(&layer), "{} {layer}", case.name);
            }
        }
        assert!(subset().any(|case| case.layers.is_empty()), "some hold whatever is given up");
    }
}
