//! Instructions that the queue takes for one event, with few and with many steps in line.
//!
//! `tests/instructions` compares them with the baseline. Each case asks for the next wake-up too, as the owner task does after every event.

#![expect(unused_qualifications, reason = "gungraun's macros name what they made by its path")]

use std::hint::black_box;
use std::time::Duration;

use gungraun::prelude::*;
use kiln_server::queue::{
    Attempt, Class, Effect, Ending, Event, JobKey, Moment, NewJob, NewStep, ProfileName, Queue, Retry,
    Settings, WorkerKey,
};

const NOW: Moment = Duration::from_secs(1);
const SLOTS: usize = 8;

/// What a case leaves; dropped uncounted.
type After = (Queue, Vec<Effect>, Option<Moment>);

fn apply(mut queue: Queue, event: Event) -> After {
    let effects = queue.apply(event, NOW);
    let wake = queue.next_wake();
    (queue, effects, wake)
}

fn job(key: usize, needs_profiles: Vec<ProfileName>) -> Event {
    let class = [Class::Normal, Class::Low, Class::Normal, Class::High][key % 4];
    let steps = vec![NewStep { needs: vec![], ended: None, needs_profiles }];
    Event::Submitted(NewJob { key: JobKey(key as u128), class, retry: Retry::Always, steps })
}

fn join(worker: u64, profiles: Vec<ProfileName>) -> Event {
    let name = format!("worker-{worker}").into();
    Event::WorkerJoined { worker: WorkerKey(worker), name, slots: SLOTS, profiles, running: vec![] }
}

fn credits(worker: u64, free: usize) -> Event {
    Event::Credits { worker: WorkerKey(worker), free }
}

/// Worker 0 holds as many leases as it has slots.
fn busy() -> (Queue, Vec<Attempt>) {
    let settings =
        Settings { lease: Duration::from_secs(15), max_attempts: 3, elsewhere: Duration::from_secs(5) };
    let mut queue = Queue::new(settings, 1);
    queue.apply(join(0, vec![]), NOW);
    queue.apply(credits(0, SLOTS), NOW);
    let leased = (0..SLOTS).flat_map(|key| queue.apply(job(key, vec![]), NOW));
    let held = leased.filter_map(|effect| match effect {
        Effect::Lease { attempt, .. } => Some(attempt),
        _ => None,
    });
    let held = held.collect();
    (queue, held)
}

fn line_up(queue: &mut Queue, jobs: usize, needs_profiles: &[ProfileName]) {
    for key in SLOTS..SLOTS + jobs {
        queue.apply(job(key, needs_profiles.to_vec()), NOW);
    }
}

fn with_line(jobs: usize) -> (Queue, Vec<Attempt>) {
    let (mut queue, held) = busy();
    line_up(&mut queue, jobs, &[]);
    (queue, held)
}

fn to_submit(jobs: usize) -> (Queue, Event) {
    (with_line(jobs).0, job(usize::MAX, vec![]))
}

fn to_lease(jobs: usize) -> (Queue, Event) {
    let (mut queue, held) = with_line(jobs);
    queue.apply(Event::Reported { worker: WorkerKey(0), attempt: held[0], ending: Ending::Succeeded }, NOW);
    (queue, credits(0, 1))
}

fn to_beat(jobs: usize) -> (Queue, Event) {
    let (queue, held) = with_line(jobs);
    (queue, Event::Heartbeat { worker: WorkerKey(0), attempts: held })
}

fn to_report(jobs: usize, ending: Ending) -> (Queue, Event) {
    let (queue, held) = with_line(jobs);
    (queue, Event::Reported { worker: WorkerKey(0), attempt: held[0], ending })
}

fn to_succeed(jobs: usize) -> (Queue, Event) {
    to_report(jobs, Ending::Succeeded)
}

/// An attempt broke: the step keeps away from its worker for a while.
fn to_break(jobs: usize) -> (Queue, Event) {
    to_report(jobs, Ending::Infrastructure)
}

/// One step of the line keeps away from a worker, which is neither here nor there for all the others.
fn to_beat_beside_a_broken_one(jobs: usize) -> (Queue, Event) {
    let (mut queue, held) = with_line(jobs);
    let broken = Event::Reported { worker: WorkerKey(0), attempt: held[0], ending: Ending::Infrastructure };
    queue.apply(broken, NOW);
    (queue, Event::Heartbeat { worker: WorkerKey(0), attempts: held[1..].to_vec() })
}

/// The whole line waits for the busy worker that has its profile, beside an idle one that has not.
fn to_beat_beside_an_idle_worker(jobs: usize) -> (Queue, Event) {
    let (mut queue, _) = busy();
    let own: ProfileName = "own".into();
    queue.apply(join(1, vec![own.clone()]), NOW);
    queue.apply(join(2, vec![]), NOW);
    line_up(&mut queue, jobs, &[own]);
    queue.apply(credits(2, SLOTS), NOW);
    (queue, Event::Heartbeat { worker: WorkerKey(2), attempts: vec![] })
}

/// A line of 100, and so many workers, of which the last one has room.
fn to_lease_among(workers: u64) -> (Queue, Event) {
    let (mut queue, _) = with_line(100);
    for worker in 1..=workers {
        queue.apply(join(worker, vec![]), NOW);
    }
    (queue, credits(workers, 1))
}

#[library_benchmark(setup = to_submit)]
#[bench::of_1(1)]
#[bench::of_100(100)]
#[bench::of_10000(10_000)]
fn submit((queue, event): (Queue, Event)) -> After {
    black_box(apply(queue, event))
}

#[library_benchmark(setup = to_lease)]
#[bench::of_1(1)]
#[bench::of_100(100)]
#[bench::of_10000(10_000)]
fn lease((queue, event): (Queue, Event)) -> After {
    black_box(apply(queue, event))
}

#[library_benchmark(setup = to_beat)]
#[bench::of_1(1)]
#[bench::of_100(100)]
#[bench::of_10000(10_000)]
fn heartbeat((queue, event): (Queue, Event)) -> After {
    black_box(apply(queue, event))
}

#[library_benchmark(setup = to_succeed)]
#[bench::of_1(1)]
#[bench::of_100(100)]
#[bench::of_10000(10_000)]
fn report((queue, event): (Queue, Event)) -> After {
    black_box(apply(queue, event))
}

#[library_benchmark(setup = to_break)]
#[bench::of_1(1)]
#[bench::of_100(100)]
#[bench::of_10000(10_000)]
fn report_of_ours((queue, event): (Queue, Event)) -> After {
    black_box(apply(queue, event))
}

#[library_benchmark(setup = to_beat_beside_a_broken_one)]
#[bench::of_1(1)]
#[bench::of_100(100)]
#[bench::of_10000(10_000)]
fn heartbeat_beside_a_broken_step((queue, event): (Queue, Event)) -> After {
    black_box(apply(queue, event))
}

#[library_benchmark(setup = to_beat_beside_an_idle_worker)]
#[bench::of_1(1)]
#[bench::of_100(100)]
#[bench::of_10000(10_000)]
fn heartbeat_while_all_wait_for_a_profile((queue, event): (Queue, Event)) -> After {
    black_box(apply(queue, event))
}

#[library_benchmark(setup = to_lease_among)]
#[bench::of_1(1)]
#[bench::of_100(100)]
fn lease_among_workers((queue, event): (Queue, Event)) -> After {
    black_box(apply(queue, event))
}

library_benchmark_group!(
    name = queue,
    benchmarks = [
        submit,
        lease,
        heartbeat,
        report,
        report_of_ours,
        heartbeat_beside_a_broken_step,
        heartbeat_while_all_wait_for_a_profile,
        lease_among_workers
    ]
);

main!(library_benchmark_groups = queue);
