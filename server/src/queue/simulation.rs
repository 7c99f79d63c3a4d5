//! The queue under random histories: whatever happens in whatever order, the promises hold.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::*;

const LEASE: Duration = Duration::from_secs(10);
const MAX_ATTEMPTS: u32 = 3;

/// A step of a history. Numbers choose among what exists, whatever that is then.
#[derive(Debug, Clone)]
enum Act {
    Submit { class: u8, needs: Vec<Vec<bool>> },
    Join { name: u8, slots: u8, remembers: bool },
    Credit { worker: u8, free: u8 },
    Leave { worker: u8 },
    Beat { worker: u8 },
    Report { attempt: u16, ending: u8 },
    OldReport { attempt: u16 },
    Cancel { job: u8 },
    Wait { seconds: u8 },
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..3u8, prop::collection::vec(prop::collection::vec(any::<bool>(), 4), 1..5))
            .prop_map(|(class, needs)| Act::Submit { class, needs }),
        2 => (0..3u8, 0..4u8, any::<bool>()).prop_map(|(name, slots, remembers)| Act::Join { name, slots, remembers }),
        5 => (any::<u8>(), 0..5u8).prop_map(|(worker, free)| Act::Credit { worker, free }),
        1 => any::<u8>().prop_map(|worker| Act::Leave { worker }),
        3 => any::<u8>().prop_map(|worker| Act::Beat { worker }),
        6 => (any::<u16>(), 0..6u8).prop_map(|(attempt, ending)| Act::Report { attempt, ending }),
        1 => any::<u16>().prop_map(|attempt| Act::OldReport { attempt }),
        1 => any::<u8>().prop_map(|job| Act::Cancel { job }),
        3 => (0..12u8).prop_map(|seconds| Act::Wait { seconds }),
    ]
}

/// What an observer of the effects knows.
struct World {
    queue: Queue,
    now: Moment,
    needs: BTreeMap<JobKey, Vec<Vec<usize>>>,
    class: BTreeMap<JobKey, Class>,
    workers: BTreeMap<WorkerKey, WorkerName>,
    /// Live leases: by step, who holds it under which number.
    live: BTreeMap<(JobKey, usize), (u64, WorkerName)>,
    ended: BTreeMap<(JobKey, usize), StepEnd>,
    done: BTreeSet<JobKey>,
    leases_of: BTreeMap<(JobKey, usize), u32>,
    all_attempts: Vec<(Attempt, WorkerName)>,
    highest: u64,
    next_key: u64,
}

impl World {
    fn new() -> Self {
        let settings =
            Settings { lease: LEASE, max_attempts: MAX_ATTEMPTS, elsewhere: Duration::from_secs(5) };
        Self {
            queue: Queue::new(settings, 1),
            now: Duration::ZERO,
            needs: BTreeMap::new(),
            class: BTreeMap::new(),
            workers: BTreeMap::new(),
            live: BTreeMap::new(),
            ended: BTreeMap::new(),
            done: BTreeSet::new(),
            leases_of: BTreeMap::new(),
            all_attempts: Vec::new(),
            highest: 0,
            next_key: 1,
        }
    }

    fn key(&mut self) -> u64 {
        self.next_key += 1;
        self.next_key
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Submit { class, needs } => self.submit(class, &needs),
            Act::Join { name, slots, remembers } => self.join(name, slots.into(), remembers),
            Act::Credit { worker, free } => {
                if let Some(worker) = self.worker(worker) {
                    self.apply(Event::Credits { worker, free: free.into() });
                }
            }
            Act::Leave { worker } => {
                if let Some(worker) = self.worker(worker) {
                    self.workers.remove(&worker);
                    self.apply(Event::WorkerLeft { worker });
                }
            }
            Act::Beat { worker } => {
                if let Some(worker) = self.worker(worker) {
                    let attempts = self.held_by(&self.workers[&worker].clone());
                    self.apply(Event::Heartbeat { worker, attempts });
                }
            }
            Act::Report { attempt, ending } => self.report(attempt, ending),
            Act::OldReport { attempt } => self.old_report(attempt),
            Act::Cancel { job } => {
                if let Some(job) = self.needs.keys().nth(usize::from(job) % self.needs.len().max(1)).copied()
                {
                    self.apply(Event::Cancelled { job });
                }
            }
            Act::Wait { seconds } => {
                self.now += Duration::from_secs(seconds.into());
                self.apply(Event::Tick);
                assert!(
                    self.queue.next_wake().is_none_or(|wake| wake > self.now),
                    "a tick leaves nothing due"
                );
            }
        }
    }

    fn submit(&mut self, class: u8, needs: &[Vec<bool>]) {
        let key = JobKey(self.key().into());
        let class = [Class::Low, Class::Normal, Class::High][usize::from(class)];
        let needs: Vec<Vec<usize>> = needs
            .iter()
            .enumerate()
            .map(|(i, row)| (0..i.min(row.len())).filter(|&j| row[j]).collect())
            .collect();
        let steps = needs
            .iter()
            .map(|needs| NewStep { needs: needs.clone(), ended: None, needs_profiles: vec![] })
            .collect();
        self.needs.insert(key, needs);
        self.class.insert(key, class);
        self.apply(Event::Submitted(NewJob { key, class, retry: Retry::Always, steps }));
    }

    fn join(&mut self, name: u8, slots: usize, remembers: bool) {
        let worker = WorkerKey(self.key());
        let name: WorkerName = format!("w{name}").into();
        let running = if remembers { self.held_by(&name) } else { vec![] };
        self.workers.retain(|_, other| *other != name);
        self.workers.insert(worker, name.clone());
        self.apply(Event::WorkerJoined { worker, name, slots, profiles: vec![], running });
    }

    fn report(&mut self, attempt: u16, ending: u8) {
        let live: Vec<_> = self.live.iter().map(|(at, holder)| (*at, holder.clone())).collect();
        if live.is_empty() {
            return;
        }
        let ((job, step), (number, holder)) = live[usize::from(attempt) % live.len()].clone();
        let Some((&worker, _)) = self.workers.iter().find(|(_, name)| **name == holder) else { return };
        let ending = match ending {
            0 => Ending::Infrastructure,
            1 => Ending::Failed,
            _ => Ending::Succeeded,
        };
        self.apply(Event::Reported { worker, attempt: Attempt { job, step, number }, ending });
    }

    fn old_report(&mut self, attempt: u16) {
        if self.all_attempts.is_empty() {
            return;
        }
        let (attempt, holder) = self.all_attempts[usize::from(attempt) % self.all_attempts.len()].clone();
        let live = self.live.get(&(attempt.job, attempt.step)).is_some_and(|live| live.0 == attempt.number);
        let Some((&worker, _)) = self.workers.iter().find(|(_, name)| **name == holder) else { return };
        if !live {
            let before = self.ended.len();
            let event = Event::Reported { worker, attempt, ending: Ending::Succeeded };
            let effects = self.apply(event);
            assert_eq!(effects.first(), Some(&Effect::ReportRefused { worker, attempt }));
            assert_eq!(before, self.ended.len(), "a fenced report changes nothing");
        }
    }

    fn worker(&self, index: u8) -> Option<WorkerKey> {
        self.workers.keys().nth(usize::from(index) % self.workers.len().max(1)).copied()
    }

    fn held_by(&self, name: &WorkerName) -> Vec<Attempt> {
        self.live
            .iter()
            .filter(|(_, (_, holder))| holder == name)
            .map(|(&(job, step), &(number, _))| Attempt { job, step, number })
            .collect()
    }

    fn apply(&mut self, event: Event) -> Vec<Effect> {
        let effects = self.queue.apply(event, self.now);
        let mut leased_before: Option<(Class, JobKey, usize)> = None;
        for effect in &effects {
            match effect {
                Effect::Lease { worker, attempt } => {
                    let place = (self.class[&attempt.job], attempt.job, attempt.step);
                    if let Some(before) = leased_before {
                        let in_line = before.0 > place.0
                            || (before.0 == place.0 && (before.1, before.2) < (place.1, place.2));
                        // Only a step that keeps away from a worker may be overtaken.
                        let broken_before =
                            self.leases_of.get(&(attempt.job, attempt.step)).copied().unwrap_or(0) > 0;
                        assert!(in_line || broken_before, "{before:?} was leased before {place:?}");
                    }
                    leased_before = Some(place);
                    self.lease(*worker, *attempt);
                }
                Effect::Requeued { attempt, .. } => {
                    self.live.remove(&(attempt.job, attempt.step)).expect("only a live lease is lost");
                }
                Effect::StepEnded { job, step, end, by } => self.end(*job, *step, *end, *by),
                Effect::JobEnded { job } => {
                    let steps = self.needs[job].len();
                    assert!((0..steps).all(|step| self.ended.contains_key(&(*job, step))));
                    assert!(self.done.insert(*job), "a job ends once");
                }
                Effect::Adopted { worker, attempt } => {
                    let holder = &self.live[&(attempt.job, attempt.step)];
                    assert_eq!(holder, &(attempt.number, self.workers[worker].clone()));
                }
                Effect::CancelAttempt { .. } | Effect::Fence { .. } | Effect::ReportRefused { .. } => {}
            }
        }
        effects
    }

    fn lease(&mut self, worker: WorkerKey, attempt: Attempt) {
        let at = (attempt.job, attempt.step);
        assert!(attempt.number > self.highest, "attempt numbers rise");
        self.highest = attempt.number;
        assert!(!self.ended.contains_key(&at), "a step with a result is not leased");
        for need in &self.needs[&attempt.job][attempt.step] {
            assert_eq!(self.ended.get(&(attempt.job, *need)), Some(&StepEnd::Succeeded));
        }
        let holder = self.workers[&worker].clone();
        assert!(self.live.insert(at, (attempt.number, holder.clone())).is_none(), "one live lease per step");
        self.all_attempts.push((attempt, holder));
        let leases = self.leases_of.entry(at).or_default();
        *leases += 1;
        assert!(*leases <= MAX_ATTEMPTS, "attempts are bounded");
    }

    fn end(&mut self, job: JobKey, step: usize, end: StepEnd, by: EndedBy) {
        let live = self.live.remove(&(job, step));
        match by {
            EndedBy::Report(attempt) | EndedBy::Loss(attempt) => {
                assert_eq!(
                    live.map(|live| live.0),
                    Some(attempt.number),
                    "only the live attempt ends a step"
                );
            }
            EndedBy::Skipping => assert_eq!(live, None, "what runs is not skipped"),
        }
        assert!(self.ended.insert((job, step), end).is_none(), "a step ends once");
    }

    /// From here on all is well: one good worker, which answers everything.
    fn drain(&mut self) {
        for worker in self.workers.keys().copied().collect::<Vec<_>>() {
            self.workers.remove(&worker);
            self.apply(Event::WorkerLeft { worker });
        }
        let worker = WorkerKey(self.key());
        self.workers.insert(worker, "good".into());
        self.apply(Event::WorkerJoined {
            worker,
            name: "good".into(),
            slots: 4,
            profiles: vec![],
            running: vec![],
        });
        self.now += LEASE;
        self.apply(Event::Tick);
        self.now += LEASE;
        self.apply(Event::Tick);
        while self.done.len() < self.needs.len() {
            self.apply(Event::Credits { worker, free: 4 });
            let held = self.held_by(&"good".into());
            assert!(!held.is_empty(), "a job was lost: {} of {} are done", self.done.len(), self.needs.len());
            for attempt in held {
                self.apply(Event::Reported { worker, attempt, ending: Ending::Succeeded });
            }
        }
        assert!(self.live.is_empty());
        assert_eq!(self.queue.ready_steps(), 0);
        assert_eq!(self.queue.next_wake(), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_history_keeps_the_promises(acts in prop::collection::vec(act(), 1..120)) {
        let mut world = World::new();
        for act in acts {
            world.act(act);
        }
        world.drain();
    }
}
