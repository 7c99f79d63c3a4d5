//! The queue by example: one rule per test.

use std::time::Duration;

use super::*;

const LEASE: Duration = Duration::from_secs(10);

fn queue() -> Queue {
    Queue::new(Settings { lease: LEASE, max_attempts: 3, elsewhere: Duration::from_secs(5) }, 100)
}

fn at(seconds: u64) -> Moment {
    Duration::from_secs(seconds)
}

fn job(key: u128, class: Class, needs: &[&[usize]]) -> Event {
    let steps = needs
        .iter()
        .map(|needs| NewStep { needs: needs.to_vec(), ended: None, needs_profiles: vec![] })
        .collect();
    Event::Submitted(NewJob { key: JobKey(key), class, retry: Retry::Always, steps })
}

fn simple(key: u128) -> Event {
    job(key, Class::Normal, &[&[]])
}

fn join(worker: u64, name: &str, slots: usize) -> Event {
    Event::WorkerJoined {
        worker: WorkerKey(worker),
        name: name.into(),
        slots,
        profiles: vec![],
        running: vec![],
    }
}

fn credits(worker: u64, free: usize) -> Event {
    Event::Credits { worker: WorkerKey(worker), free }
}

fn leased(effects: &[Effect]) -> Vec<(u64, Attempt)> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Lease { worker, attempt } => Some((worker.0, *attempt)),
            _ => None,
        })
        .collect()
}

fn report(worker: u64, attempt: Attempt, ending: Ending) -> Event {
    Event::Reported { worker: WorkerKey(worker), attempt, ending }
}

/// A queue with one worker that has just been given the only job.
fn running() -> (Queue, Attempt) {
    let mut queue = queue();
    queue.apply(simple(1), at(0));
    queue.apply(join(1, "a", 1), at(0));
    let effects = queue.apply(credits(1, 1), at(0));
    let (_, attempt) = leased(&effects)[0];
    (queue, attempt)
}

#[test]
fn a_job_goes_to_a_worker_and_ends_with_its_report() {
    let (mut queue, attempt) = running();
    assert_eq!(attempt, Attempt { job: JobKey(1), step: 0, number: 100 });
    let effects = queue.apply(report(1, attempt, Ending::Succeeded), at(1));
    let (end, by) = (StepEnd::Succeeded, EndedBy::Report(attempt));
    assert_eq!(
        effects,
        [Effect::StepEnded { job: JobKey(1), step: 0, end, by }, Effect::JobEnded { job: JobKey(1) }]
    );
}

#[test]
fn higher_classes_go_first_and_a_class_is_first_in_first_out() {
    let mut queue = queue();
    for (key, class) in [(1, Class::Low), (2, Class::Normal), (3, Class::High), (4, Class::Normal)] {
        queue.apply(job(key, class, &[&[]]), at(0));
    }
    queue.apply(join(1, "a", 9), at(0));
    let order: Vec<u128> = leased(&queue.apply(credits(1, 9), at(0))).iter().map(|(_, a)| a.job.0).collect();
    assert_eq!(order, [3, 2, 4, 1]);
}

#[test]
fn no_worker_gets_more_than_it_has_slots_whatever_it_claims() {
    let mut queue = queue();
    for key in 0..5 {
        queue.apply(simple(key), at(0));
    }
    queue.apply(join(1, "a", 2), at(0));
    assert_eq!(leased(&queue.apply(credits(1, 1000), at(0))).len(), 2);
    assert_eq!(leased(&queue.apply(credits(1, 1000), at(0))).len(), 0);
}

#[test]
fn a_step_waits_for_what_it_needs_and_prefers_the_worker_that_has_it() {
    let mut queue = queue();
    queue.apply(join(1, "a", 2), at(0));
    queue.apply(credits(1, 2), at(0));
    let first = leased(&queue.apply(job(1, Class::Normal, &[&[], &[0]]), at(0)));
    assert_eq!(first.len(), 1);
    queue.apply(join(2, "b", 8), at(0));
    queue.apply(credits(2, 8), at(0));
    let second = leased(&queue.apply(report(1, first[0].1, Ending::Succeeded), at(1)));
    assert_eq!(second, [(1, Attempt { job: JobKey(1), step: 1, number: 101 })]);
}

#[test]
fn a_failed_step_skips_all_that_need_it() {
    let mut queue = queue();
    queue.apply(join(1, "a", 1), at(0));
    queue.apply(credits(1, 1), at(0));
    let effects = queue.apply(job(1, Class::Normal, &[&[2], &[0], &[]]), at(0));
    let (_, attempt) = leased(&effects)[0];
    assert_eq!(attempt.step, 2);
    let effects = queue.apply(report(1, attempt, Ending::Failed), at(0));
    let skipped: Vec<usize> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::StepEnded { step, end: StepEnd::Skipped, .. } => Some(*step),
            _ => None,
        })
        .collect();
    assert_eq!(skipped, [0, 1]);
    assert_eq!(effects.last(), Some(&Effect::JobEnded { job: JobKey(1) }));
}

#[test]
fn a_lease_without_heartbeats_expires_and_the_late_report_is_refused() {
    let (mut queue, old) = running();
    assert_eq!(queue.next_wake(), Some(LEASE));
    queue.apply(Event::Heartbeat { worker: WorkerKey(1), attempts: vec![old] }, at(8));
    assert_eq!(queue.apply(Event::Tick, at(10)), []);
    let effects = queue.apply(Event::Tick, at(18));
    assert!(effects.contains(&Effect::Fence { worker: WorkerKey(1), attempt: old }));
    assert!(effects.contains(&Effect::Requeued { attempt: old, loss: Loss::Expired }));
    let refused = queue.apply(report(1, old, Ending::Succeeded), at(19));
    assert_eq!(refused, [Effect::ReportRefused { worker: WorkerKey(1), attempt: old }]);
    queue.apply(join(2, "b", 1), at(20));
    let (_, new) = leased(&queue.apply(credits(2, 1), at(20)))[0];
    assert!(new.number > old.number);
    let refused = queue.apply(report(1, old, Ending::Succeeded), at(21));
    assert_eq!(refused, [Effect::ReportRefused { worker: WorkerKey(1), attempt: old }]);
}

#[test]
fn attempts_are_bounded_and_the_last_loss_ends_the_step() {
    let mut queue = queue();
    queue.apply(simple(1), at(0));
    queue.apply(join(1, "a", 1), at(0));
    let mut now = 0;
    for round in 1..=3 {
        let (_, attempt) = leased(&queue.apply(credits(1, 1), at(now)))[0];
        now += 10;
        let effects = queue.apply(Event::Tick, at(now));
        now += 5;
        queue.apply(Event::Tick, at(now));
        let (end, by) = (StepEnd::Failed, EndedBy::Loss(attempt));
        let ended = effects.contains(&Effect::StepEnded { job: JobKey(1), step: 0, end, by });
        assert_eq!(ended, round == 3, "round {round}: {effects:?}");
    }
}

#[test]
fn broken_infrastructure_is_tried_again_on_another_worker() {
    let (mut queue, attempt) = running();
    queue.apply(join(2, "b", 1), at(0));
    queue.apply(credits(1, 1), at(0));
    let effects = queue.apply(report(1, attempt, Ending::Infrastructure), at(1));
    assert_eq!(effects, [Effect::Requeued { attempt, loss: Loss::Infrastructure }]);
    let next = leased(&queue.apply(credits(2, 1), at(2)));
    assert_eq!(next[0].0, 2);
}

#[test]
fn broken_infrastructure_is_tried_again_on_the_same_worker_when_no_other_comes() {
    let (mut queue, attempt) = running();
    queue.apply(join(2, "b", 1), at(0));
    queue.apply(credits(1, 1), at(0));
    queue.apply(report(1, attempt, Ending::Infrastructure), at(1));
    assert_eq!(queue.next_wake(), Some(at(6)));
    assert_eq!(leased(&queue.apply(Event::Tick, at(6)))[0].0, 1);
}

#[test]
fn a_run_is_not_tried_again_once_its_output_was_sent() {
    let mut queue = queue();
    let steps = vec![NewStep { needs: vec![], ended: None, needs_profiles: vec![] }];
    let new = NewJob { key: JobKey(1), class: Class::Normal, retry: Retry::UntilOutput, steps };
    queue.apply(Event::Submitted(new), at(0));
    queue.apply(join(1, "a", 1), at(0));
    let (_, attempt) = leased(&queue.apply(credits(1, 1), at(0)))[0];
    queue.apply(Event::OutputSent { job: JobKey(1) }, at(1));
    let effects = queue.apply(Event::Tick, at(10));
    assert!(effects.contains(&Effect::JobEnded { job: JobKey(1) }), "{effects:?}");
    assert!(!effects.contains(&Effect::Requeued { attempt, loss: Loss::Expired }));
}

#[test]
fn a_worker_that_comes_back_goes_on_with_what_it_held() {
    let (mut queue, attempt) = running();
    queue.apply(Event::WorkerLeft { worker: WorkerKey(1) }, at(1));
    let again = Event::WorkerJoined {
        worker: WorkerKey(2),
        name: "a".into(),
        slots: 1,
        profiles: vec![],
        running: vec![attempt],
    };
    assert_eq!(queue.apply(again, at(5)), [Effect::Adopted { worker: WorkerKey(2), attempt }]);
    assert_eq!(queue.next_wake(), Some(at(15)));
    let effects = queue.apply(report(2, attempt, Ending::Succeeded), at(6));
    assert_eq!(effects.last(), Some(&Effect::JobEnded { job: JobKey(1) }));
}

#[test]
fn an_attempt_from_before_a_restart_is_adopted_unless_the_step_is_held() {
    let mut queue = queue();
    queue.apply(simple(1), at(0));
    let old = Attempt { job: JobKey(1), step: 0, number: 7 };
    let back = |worker, name: &str| Event::WorkerJoined {
        worker: WorkerKey(worker),
        name: name.into(),
        slots: 1,
        profiles: vec![],
        running: vec![old],
    };
    assert_eq!(queue.apply(back(1, "a"), at(0)), [Effect::Adopted { worker: WorkerKey(1), attempt: old }]);
    assert_eq!(queue.apply(back(2, "b"), at(0)), [Effect::Fence { worker: WorkerKey(2), attempt: old }]);
}

#[test]
fn a_report_resent_after_a_restart_counts_when_the_step_was_not_leased_again() {
    let mut queue = queue();
    queue.apply(simple(1), at(0));
    queue.apply(join(1, "a", 1), at(0));
    let old = Attempt { job: JobKey(1), step: 0, number: 7 };
    let effects = queue.apply(report(1, old, Ending::Succeeded), at(0));
    assert_eq!(effects.last(), Some(&Effect::JobEnded { job: JobKey(1) }));
}

#[test]
fn cancelling_skips_what_waits_and_stops_what_runs() {
    let mut queue = queue();
    queue.apply(join(1, "a", 1), at(0));
    queue.apply(credits(1, 1), at(0));
    let (_, attempt) = leased(&queue.apply(job(1, Class::Normal, &[&[], &[0]]), at(0)))[0];
    let effects = queue.apply(Event::Cancelled { job: JobKey(1) }, at(1));
    assert!(effects.contains(&Effect::CancelAttempt { worker: WorkerKey(1), attempt }));
    assert!(!effects.contains(&Effect::JobEnded { job: JobKey(1) }));
    let effects = queue.apply(report(1, attempt, Ending::Infrastructure), at(2));
    assert_eq!(
        effects.last(),
        Some(&Effect::JobEnded { job: JobKey(1) }),
        "a cancelled job is not tried again"
    );
    assert_eq!(queue.apply(Event::Cancelled { job: JobKey(1) }, at(3)), []);
}

#[test]
fn a_recovered_job_goes_on_where_it_was() {
    let mut queue = queue();
    let steps = vec![
        NewStep { needs: vec![], ended: Some(StepEnd::Succeeded), needs_profiles: vec![] },
        NewStep { needs: vec![0], ended: None, needs_profiles: vec![] },
    ];
    let new = NewJob { key: JobKey(1), class: Class::Normal, retry: Retry::Always, steps };
    queue.apply(Event::Submitted(new), at(0));
    queue.apply(join(1, "a", 1), at(0));
    assert_eq!(leased(&queue.apply(credits(1, 1), at(0)))[0].1.step, 1);
}

#[test]
fn a_step_goes_to_the_worker_that_has_its_profile_and_to_any_where_none_has() {
    let needing = |key| {
        let step = NewStep { needs: vec![], ended: None, needs_profiles: vec!["own".into()] };
        Event::Submitted(NewJob {
            key: JobKey(key),
            class: Class::Normal,
            retry: Retry::Always,
            steps: vec![step],
        })
    };
    let mut queue = queue();
    let equipped = Event::WorkerJoined {
        worker: WorkerKey(2),
        name: "b".into(),
        slots: 1,
        profiles: vec!["own".into()],
        running: vec![],
    };
    for event in [join(1, "a", 4), equipped, credits(1, 4), credits(2, 1)] {
        queue.apply(event, at(0));
    }
    let leased_to = |effects: &[Effect]| match effects {
        [Effect::Lease { worker, .. }] => Some(*worker),
        [] => None,
        other => panic!("{other:?}"),
    };
    assert_eq!(leased_to(&queue.apply(needing(1), at(0))), Some(WorkerKey(2)));
    assert_eq!(leased_to(&queue.apply(needing(2), at(0))), None, "it waits for the worker that has it");
    assert_eq!(leased_to(&queue.apply(simple(3), at(0))), Some(WorkerKey(1)), "and holds up nobody");
    let effects = queue.apply(Event::WorkerLeft { worker: WorkerKey(2) }, at(1));
    assert_eq!(leased_to(&effects), Some(WorkerKey(1)), "which says that it lacks it");
}

#[test]
fn the_line_keeps_its_order_whatever_its_steps_ask_for() {
    let asking = |key, profiles: &[&str]| {
        let needs_profiles = profiles.iter().map(|&name| name.into()).collect();
        let steps = vec![NewStep { needs: vec![], ended: None, needs_profiles }];
        Event::Submitted(NewJob { key: JobKey(key), class: Class::Normal, retry: Retry::Always, steps })
    };
    let mut queue = queue();
    let equipped = Event::WorkerJoined {
        worker: WorkerKey(2),
        name: "b".into(),
        slots: 9,
        profiles: vec!["own".into(), "other".into()],
        running: vec![],
    };
    queue.apply(join(1, "a", 9), at(0));
    queue.apply(equipped, at(0));
    for (key, profiles) in
        [&["own"][..], &[], &["other", "own"], &[], &["own", "other", "own"]].iter().enumerate()
    {
        queue.apply(asking(key as u128, profiles), at(0));
    }
    let jobs = |effects: &[Effect]| leased(effects).iter().map(|(_, a)| a.job.0).collect::<Vec<_>>();
    assert_eq!(jobs(&queue.apply(credits(1, 1), at(0))), [1], "the first that asks for nothing");
    assert_eq!(queue.ready_steps(), 4);
    assert_eq!(jobs(&queue.apply(credits(2, 9), at(0))), [0, 2, 3, 4]);
    assert_eq!(queue.ready_steps(), 0);
}
