//! The loop: every case for a slice of its time, then all of them again, until each has been measured enough.
//!
//! It owns the order and the clock of slices; how something is done once is the case's own ([`Way`]).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, try_join_all};
use tokio_util::sync::CancellationToken;

use super::Bounds;
use super::burnt::{Burners, burnt};
use crate::failure::Failure;
use crate::output::note;

/// Not counted, before each slice: another case went before.
const WARM_UPS: u32 = 2;
/// Enough that a disturbance of seconds meets all cases, few enough that slices of many clients reach their pace.
const ROUNDS: u32 = 6;

/// One case.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// How many go at the same time.
    pub(crate) clients: usize,
    /// Slept before each, uncounted: how real traffic arrives.
    pub(crate) idle: Duration,
}

/// A case with all that measuring it takes.
pub(crate) struct Subject<'a> {
    pub(crate) case: Case,
    pub(crate) way: Way<'a>,
    /// Whose CPU time counts.
    pub(crate) burners: Burners,
}

/// How something is done once. It measures itself.
pub(crate) enum Way<'a> {
    /// On a thread of its own for each client.
    Blocking(Arc<dyn Fn() -> Result<Duration, Failure> + Send + Sync>),
    /// Told the number of the client.
    Waiting(Box<dyn Fn(usize) -> BoxFuture<'a, Result<Sample, Failure>> + Send + Sync + 'a>),
}

/// What was seen once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    pub(crate) took: Duration,
    /// How long each phase of it took, where it has any.
    pub(crate) phases: Vec<(&'static str, u64)>,
}

/// What was seen of one case.
#[derive(Clone, Debug, Default)]
pub(crate) struct Taken {
    pub(crate) samples: Vec<Duration>,
    /// Microseconds of each phase, in the order in which phases were first seen.
    pub(crate) phases: Vec<(&'static str, Vec<u64>)>,
    /// How many ended within `window`, the time that slices took by plan.
    pub(crate) in_time: usize,
    pub(crate) window: Duration,
    /// `None` where nobody can tell whose it is.
    pub(crate) cpu: Option<Duration>,
}

/// Measures all in turns; what was seen in their order.
pub(crate) async fn measure(subjects: &[Subject<'_>], bounds: Bounds) -> Result<Vec<Taken>, Failure> {
    let mut taken: Vec<Taken> = vec![Taken::default(); subjects.len()];
    for round in 0..ROUNDS {
        for (subject, taken) in subjects.iter().zip(&mut taken) {
            let left = bounds.runs.saturating_sub(taken.samples.len());
            if left == 0 {
                continue;
            }
            if round == 0 {
                announce(&subject.case);
            }
            let runs = bounds.runs.div_ceil(ROUNDS as usize).min(left);
            taken.add(slice(subject, Bounds { time: bounds.time / ROUNDS, runs }).await?);
        }
        note(&format!("round {} of {ROUNDS} done", round + 1));
    }
    Ok(taken)
}

fn announce(case: &Case) {
    let idle = match case.idle.as_millis() {
        0 => String::new(),
        idle => format!(", {idle} ms apart"),
    };
    note(&format!("measuring {}, {} at a time{idle}", case.name, case.clients));
}

/// Samples with the moments at which they were there.
type Timed = Vec<(Sample, Instant)>;

async fn slice(subject: &Subject<'_>, bounds: Bounds) -> Result<Taken, Failure> {
    let Subject { case, way, burners } = subject;
    let once = Pace { idle: Duration::ZERO, until: None, runs: WARM_UPS as usize };
    one_client(way, 0, once).await?;
    let before = burnt(*burners);
    let began = Instant::now();
    let runs = bounds.runs.div_ceil(case.clients);
    let pace = Pace { idle: case.idle, until: Some(began + bounds.time), runs };
    let clients = (0..case.clients).map(|client| one_client(way, client, pace));
    let timed: Timed = try_join_all(clients).await?.into_iter().flatten().collect();
    // At the end fewer and fewer clients are at work: what comes later is no pace of theirs.
    let window = began.elapsed().min(bounds.time);
    let in_time = timed.iter().filter(|(_, at)| at.duration_since(began) <= window).count();
    let cpu = before.zip(burnt(*burners)).map(|(before, after)| after.saturating_sub(before));
    let mut taken = Taken { in_time, window, cpu, ..Taken::default() };
    taken.keep(timed.into_iter().map(|(sample, _)| sample));
    Ok(taken)
}

/// When one client ends.
#[derive(Clone, Copy)]
struct Pace {
    idle: Duration,
    /// After at least one run.
    until: Option<Instant>,
    runs: usize,
}

impl Pace {
    fn goes_on(&self, done: usize) -> bool {
        let late = self.until.is_some_and(|until| Instant::now() >= until);
        done < self.runs && (done == 0 || !late)
    }
}

async fn one_client(way: &Way<'_>, client: usize, pace: Pace) -> Result<Timed, Failure> {
    match way {
        Way::Waiting(call) => {
            let mut timed = Timed::new();
            while pace.goes_on(timed.len()) {
                if !pace.idle.is_zero() {
                    tokio::time::sleep(pace.idle).await;
                }
                let sample = call(client).await?;
                timed.push((sample, Instant::now()));
            }
            Ok(timed)
        }
        Way::Blocking(call) => {
            let call = Arc::clone(call);
            // Whoever stops waiting wants no more of it.
            let stop = CancellationToken::new();
            let stopped = stop.clone();
            let _stop = stop.drop_guard();
            let thread = tokio::task::spawn_blocking(move || blocking_client(&*call, pace, &stopped));
            thread.await.map_err(|error| Failure::caused("a measuring thread stopped", &error))?
        }
    }
}

fn blocking_client(
    call: &(dyn Fn() -> Result<Duration, Failure> + Send + Sync),
    pace: Pace,
    stopped: &CancellationToken,
) -> Result<Timed, Failure> {
    let mut timed = Timed::new();
    while pace.goes_on(timed.len()) && !stopped.is_cancelled() {
        std::thread::sleep(pace.idle);
        let took = call()?;
        timed.push((Sample { took, phases: Vec::new() }, Instant::now()));
    }
    Ok(timed)
}

impl Taken {
    fn keep(&mut self, samples: impl Iterator<Item = Sample>) {
        let mut at: BTreeMap<&'static str, usize> =
            self.phases.iter().enumerate().map(|(index, (name, _))| (*name, index)).collect();
        for sample in samples {
            self.samples.push(sample.took);
            for (name, length) in sample.phases {
                let index = *at.entry(name).or_insert(self.phases.len());
                if index == self.phases.len() {
                    self.phases.push((name, Vec::new()));
                }
                self.phases[index].1.push(length);
            }
        }
    }

    fn add(&mut self, other: Taken) {
        let Taken { samples, phases, in_time, window, cpu } = other;
        self.cpu = if self.samples.is_empty() { cpu } else { self.cpu.zip(cpu).map(|(a, b)| a + b) };
        self.samples.extend(samples);
        self.in_time += in_time;
        self.window += window;
        for (name, lengths) in phases {
            match self.phases.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => known.extend(lengths),
                None => self.phases.push((name, lengths)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const PLENTY: Duration = Duration::from_secs(60);

    fn subject<'a>(clients: usize, way: Way<'a>) -> Subject<'a> {
        let case = Case { name: "nothing", clients, idle: Duration::ZERO };
        Subject { case, way, burners: Burners::Unknown }
    }

    fn waiting<'a>(calls: &'a AtomicUsize) -> Way<'a> {
        Way::Waiting(Box::new(move |_| {
            calls.fetch_add(1, Ordering::Relaxed);
            let sample = Sample { took: Duration::from_micros(5), phases: vec![("running", 3)] };
            Box::pin(std::future::ready(Ok(sample)))
        }))
    }

    #[tokio::test]
    async fn runs_bound_every_case_and_warm_ups_are_not_counted() {
        let (first, second) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&second);
        let blocking = Way::Blocking(Arc::new(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok(Duration::from_micros(5))
        }));
        let subjects = [subject(2, waiting(&first)), subject(1, blocking)];
        let taken = measure(&subjects, Bounds { time: PLENTY, runs: 12 }).await.expect("it cannot fail");
        let warm_ups = (ROUNDS * WARM_UPS) as usize;
        assert_eq!(taken.iter().map(|taken| taken.samples.len()).collect::<Vec<_>>(), [12, 12]);
        assert_eq!([&first, &second].map(|calls| calls.load(Ordering::Relaxed)), [12 + warm_ups; 2]);
        assert_eq!(taken[0].phases, [("running", vec![3; 12])]);
        assert_eq!(taken[1].in_time, 12, "what ended before the time was over counts as the pace");
    }

    #[tokio::test]
    async fn time_bounds_a_case_after_at_least_one_run_of_each_round() {
        let calls = AtomicUsize::new(0);
        let bounds = Bounds { time: Duration::ZERO, runs: 1_000 };
        let taken = measure(&[subject(1, waiting(&calls))], bounds).await.expect("it cannot fail");
        assert_eq!(taken[0].samples.len(), ROUNDS as usize);
    }

    #[tokio::test]
    async fn a_failure_ends_it() {
        let broken = Way::Blocking(Arc::new(|| Err(Failure::kiln("broken"))));
        let subjects = [subject(1, broken)];
        assert!(measure(&subjects, Bounds { time: PLENTY, runs: 1 }).await.is_err());
    }
}
