//! Which jail runs which command: one jail per slot, and further ones for a step's further commands.
//!
//! A step holds one slot and, for each command beyond its first, one extra jail; both are bounded. A jail that failed
//! is never used again: it is destroyed, its cgroups are swept, and the next user of its place gets a new one.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kiln_jail::plan::CustomProfile;
use kiln_jail::wire::{FilterUse, Setup};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::backoff::Backoff;
use crate::cgroup_sweep;
use crate::config::{EngineConfig, ReadySandboxes};
use crate::jail_process::{JailError, JailProcess};
use crate::jail_program::JailProgram;

/// Well below what a jail waits before it gives ready sandboxes back.
const WARM: Duration = Duration::from_secs(30);
/// A place tries this often to start a jail before the step that wants it fails.
const START_TRIES: u32 = 4;

/// Numbers every jail of this process: two engines in one process (a bench beside a worker) share the worker's cgroup.
static NEXT_JAIL: AtomicU32 = AtomicU32::new(0);

/// The group of this process in every hierarchy, below which its jails make theirs.
pub(crate) fn own_group() -> String {
    format!("kiln-{}", std::process::id())
}

/// All jails of a worker.
#[derive(Debug)]
pub(crate) struct Slots {
    program: JailProgram,
    cgroup_name: String,
    allow_missing: Vec<String>,
    profiles: Arc<[CustomProfile]>,
    filters: FilterUse,
    ready: ReadySandboxes,
    cores: Vec<u32>,
    slots: usize,
    slot_permits: Arc<Semaphore>,
    extra_permits: Arc<Semaphore>,
    extra_maximum: usize,
    /// Every jail ever started here.
    numbers: Mutex<Vec<u32>>,
    idle: Mutex<Idle>,
    broken: watch::Sender<Option<String>>,
}

#[derive(Debug)]
struct Idle {
    /// The one that was left first comes first.
    free_slots: VecDeque<FreeSlot>,
    slot_jails: Vec<Option<JailProcess>>,
    extra_jails: Vec<JailProcess>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FreeSlot {
    slot: usize,
    left: Instant,
}

/// The jails of one step, in the order of its commands. Must be given back by [`StepJails::give_back`]; dropping it kills them.
#[derive(Debug)]
pub(crate) struct StepJails {
    slots: Arc<Slots>,
    slot: usize,
    pub(crate) jails: Vec<JailProcess>,
    _slot_permit: OwnedSemaphorePermit,
    _extra_permits: OwnedSemaphorePermit,
}

impl Slots {
    /// Prepares the places; no jail is started yet.
    pub(crate) fn new(program: JailProgram, config: &EngineConfig) -> Arc<Self> {
        let slots = config.slots.get();
        let extra_maximum = config.extra_jails.get();
        Arc::new(Self {
            program,
            cgroup_name: own_group(),
            allow_missing: config.allow_missing.clone(),
            profiles: Arc::clone(&config.profiles),
            filters: config.filters,
            ready: config.ready,
            cores: usable_cores(),
            slots,
            slot_permits: Arc::new(Semaphore::new(slots)),
            extra_permits: Arc::new(Semaphore::new(extra_maximum)),
            extra_maximum,
            numbers: Mutex::default(),
            idle: Mutex::new(Idle {
                free_slots: (0..slots).map(|slot| FreeSlot { slot, left: Instant::now() }).collect(),
                slot_jails: (0..slots).map(|_| None).collect(),
                extra_jails: Vec::new(),
            }),
            broken: watch::Sender::default(),
        })
    }

    pub(crate) fn count(&self) -> usize {
        self.slots
    }

    /// Becomes `Some(why)` when no jail can be started any more.
    pub(crate) fn broken(&self) -> watch::Receiver<Option<String>> {
        self.broken.subscribe()
    }

    /// Waits for a slot and as many jails as the step has commands.
    pub(crate) async fn acquire(self: &Arc<Self>, commands: usize) -> Result<StepJails, JailError> {
        let slot_permit = Arc::clone(&self.slot_permits).acquire_owned().await.expect("never closed");
        let extra = u32::try_from(commands.saturating_sub(1).min(self.extra_maximum))
            .expect("a step has few commands");
        let extra_permits =
            Arc::clone(&self.extra_permits).acquire_many_owned(extra).await.expect("never closed");
        let (slot, slot_jail, extra_jails) = self.take_idle(commands);
        let mut step = StepJails {
            slots: Arc::clone(self),
            slot,
            jails: Vec::with_capacity(commands),
            _slot_permit: slot_permit,
            _extra_permits: extra_permits,
        };
        let first = self.usable_or_new(slot_jail, self.cpus_of(slot)).await?;
        step.jails.push(first);
        let mut extra_jails = extra_jails.into_iter();
        for _ in 1..commands {
            let jail = self.usable_or_new(extra_jails.next(), Vec::new()).await?;
            step.jails.push(jail);
        }
        Ok(step)
    }

    /// Ends every idle jail in order and removes what killed ones left. Call when no step holds any.
    pub(crate) async fn stop(&self) {
        let jails: Vec<JailProcess> = {
            let mut idle = self.idle.lock().expect("no holder of this lock panics");
            let idle = &mut *idle;
            idle.slot_jails.iter_mut().filter_map(Option::take).chain(idle.extra_jails.drain(..)).collect()
        };
        futures_util::future::join_all(jails.into_iter().map(JailProcess::stop)).await;
        let numbers = std::mem::take(&mut *self.numbers.lock().expect("no holder of this lock panics"));
        let prefixes = numbers.into_iter().map(cgroup_prefix).collect();
        cgroup_sweep::sweep(&self.cgroup_name, prefixes).await;
        cgroup_sweep::remove_if_empty(&self.cgroup_name).await;
    }

    fn take_idle(&self, commands: usize) -> (usize, Option<JailProcess>, Vec<JailProcess>) {
        let mut idle = self.idle.lock().expect("no holder of this lock panics");
        let slot = take_warm(&mut idle.free_slots, Instant::now()).expect("a permit stands for a free slot");
        let slot_jail = idle.slot_jails[slot].take();
        let keep = idle.extra_jails.len().saturating_sub(commands - 1);
        (slot, slot_jail, idle.extra_jails.split_off(keep))
    }

    async fn usable_or_new(
        &self,
        jail: Option<JailProcess>,
        cpus: Vec<u32>,
    ) -> Result<JailProcess, JailError> {
        if let Some(mut jail) = jail {
            if jail.is_alive() {
                return Ok(jail);
            }
            tracing::warn!(jail = jail.number, "an idle jail died");
            self.discard(jail).await;
        }
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
        loop {
            let error = match self.start(cpus.clone()).await {
                Ok(jail) => return Ok(jail),
                Err(error) => error,
            };
            let wait = backoff.after_failure();
            // A layer that this host lacks does not come back by trying.
            if backoff.failures() >= START_TRIES || matches!(error, JailError::Unable(_)) {
                self.broken.send_replace(Some(error.to_string()));
                return Err(error);
            }
            tracing::warn!(%error, "cannot start a jail, trying again");
            tokio::time::sleep(wait).await;
        }
    }

    async fn start(&self, cpus: Vec<u32>) -> Result<JailProcess, JailError> {
        let number = NEXT_JAIL.fetch_add(1, Ordering::Relaxed);
        self.numbers.lock().expect("no holder of this lock panics").push(number);
        let setup = Setup {
            jail: number,
            cgroup_name: self.cgroup_name.clone(),
            cpus,
            uid_base: 0,
            allow_missing: self.allow_missing.clone(),
            profiles: self.profiles.to_vec(),
            filters: self.filters,
        };
        JailProcess::start(&self.program, setup, self.ready).await
    }

    /// One core each while there are enough; else all cores for everybody.
    fn cpus_of(&self, slot: usize) -> Vec<u32> {
        if self.slots <= self.cores.len() { vec![self.cores[slot]] } else { Vec::new() }
    }

    async fn discard(&self, jail: JailProcess) {
        let number = jail.number;
        jail.destroy().await;
        cgroup_sweep::sweep(&self.cgroup_name, vec![cgroup_prefix(number)]).await;
    }
}

impl StepJails {
    /// Makes the places free again. `healthy` says of each jail, in order, whether it was released in order.
    pub(crate) async fn give_back(mut self, healthy: &[bool]) {
        let slots = Arc::clone(&self.slots);
        let mut kept = Vec::new();
        for (position, jail) in std::mem::take(&mut self.jails).into_iter().enumerate() {
            if healthy.get(position).copied().unwrap_or(false) {
                kept.push((position, jail));
            } else {
                slots.discard(jail).await;
            }
        }
        let mut surplus = Vec::new();
        {
            let mut idle = slots.idle.lock().expect("no holder of this lock panics");
            for (position, jail) in kept {
                if position == 0 {
                    idle.slot_jails[self.slot] = Some(jail);
                } else if idle.extra_jails.len() < slots.slots {
                    idle.extra_jails.push(jail);
                } else {
                    surplus.push(jail);
                }
            }
        }
        futures_util::future::join_all(surplus.into_iter().map(JailProcess::stop)).await;
    }
}

impl Drop for StepJails {
    fn drop(&mut self) {
        let left = FreeSlot { slot: self.slot, left: Instant::now() };
        // The permits are dropped after this, so whoever gets one finds the slot free.
        self.slots.idle.lock().expect("no holder of this lock panics").free_slots.push_back(left);
    }
}

/// The one whose jail had the most time to get ready again, unless it may have given that back by now: then the one that was left last.
/// Else, with many slots and few jobs, every job would come to a slot that has nothing ready any more.
fn take_warm(free: &mut VecDeque<FreeSlot>, now: Instant) -> Option<usize> {
    let warm = free.iter().position(|free| now.saturating_duration_since(free.left) < WARM);
    let taken = warm.or(free.len().checked_sub(1))?;
    free.remove(taken).map(|free| free.slot)
}

/// The groups of one jail, below the worker's, in every cgroup hierarchy begin so.
fn cgroup_prefix(jail: u32) -> String {
    format!("{jail}-")
}

/// The cores that this process may use.
fn usable_cores() -> Vec<u32> {
    match rustix::thread::sched_getaffinity(None) {
        Ok(set) => (0..1024)
            .filter(|core| set.is_set(*core))
            .map(|core| u32::try_from(core).expect("below 1024"))
            .collect(),
        Err(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slot_that_rested_longest_is_taken_while_it_is_warm_and_else_the_last_one() {
        let start = Instant::now();
        let free = || -> VecDeque<FreeSlot> {
            [(7, 0), (3, 10), (5, 20)]
                .map(|(slot, seconds)| FreeSlot { slot, left: start + Duration::from_secs(seconds) })
                .into()
        };
        for (seconds, order) in [(25, [7, 3, 5]), (35, [3, 5, 7]), (45, [5, 3, 7]), (90, [5, 3, 7])] {
            let (mut free, now) = (free(), start + Duration::from_secs(seconds));
            let taken: Vec<_> = std::iter::from_fn(|| take_warm(&mut free, now)).collect();
            assert_eq!(taken, order, "after {seconds} s");
        }
    }
}
