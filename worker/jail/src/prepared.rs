//! A sandbox that stands, with the process in it that waits for its order: made from nothing in one go, or in advance while the
//! jail has nothing else to do.
//!
//! Each serves one command and is destroyed. What was made in advance is bounded, and given back when nobody has asked for
//! anything for long.

use std::time::{Duration, Instant};

use crate::cgroup::Group;
use crate::jail::Jail;
use crate::plan::{Network, SandboxKind};
use crate::report::Failure;
use crate::sandbox::command::{self, Expecting};
use crate::sandbox::shown::Attached;
use crate::sandbox::{self, Sandbox};
use crate::sys::clone::Child;
use crate::sys::process;

/// Ready sandboxes of one jail at most: one of each kind that is wanted, and one more of the first.
const MOST_KINDS: usize = 3;
/// How long nobody asks for anything before a second one of a kind is made: who comes then would wait for it with one there.
const PAUSE: Duration = Duration::from_millis(5);
/// How long nobody asks for anything before all are given back.
const IDLE: Duration = Duration::from_secs(60);

/// A sandbox for one command, which nobody has ordered yet.
pub(crate) struct Prepared {
    pub(crate) kind: SandboxKind,
    /// Of its group.
    pub(crate) name: String,
    pub(crate) group: Group,
    pub(crate) sandbox: Sandbox,
    pub(crate) expecting: Expecting,
    /// Of the files that its command is shown.
    pub(crate) attached: Attached,
}

/// Why there is none.
pub(crate) struct NotMade {
    pub(crate) failure: Failure,
    /// Cleaning up failed too: this jail can make no promise any more.
    pub(crate) left_behind: Option<Failure>,
}

impl From<Failure> for NotMade {
    fn from(failure: Failure) -> Self {
        Self::after(failure, Ok(()))
    }
}

impl NotMade {
    /// A jail that could not step back to its own place can make no promise either.
    pub(crate) fn after(failure: Failure, cleaned_up: Result<(), Failure>) -> Self {
        let is_astray = failure.step.starts_with("leave_");
        let left_behind = cleaned_up.err().or_else(|| is_astray.then(|| failure.clone()));
        Self { failure, left_behind }
    }

    /// What was to be destroyed is still there.
    pub(crate) fn left(failure: Failure) -> Self {
        Self { left_behind: Some(failure.clone()), failure }
    }
}

impl Prepared {
    pub(crate) fn make(jail: &Jail, kind: &SandboxKind, name: String) -> Result<Self, NotMade> {
        let cpus = &jail.setup.cpus;
        let group = jail.hierarchies.create(&jail.setup.cgroup_name, &name, cpus)?;
        let network = (kind.network == Network::Kept).then_some(&jail.network);
        let sandbox = match sandbox::prepare(&jail.base, network, kind, jail.missing.id_mapping()) {
            Ok(sandbox) => sandbox,
            Err(failure) => return Err(NotMade::after(failure, group.remove())),
        };
        match command::wait_in(&jail.base, &sandbox, &group, kind.writes, &jail.profiles, &jail.missing) {
            Ok(expecting) => {
                let attached = Attached::default();
                Ok(Self { kind: kind.clone(), name, group, sandbox, expecting, attached })
            }
            Err(failure) => {
                Err(NotMade::after(failure, Dying::of(None, sandbox, group).and_then(Dying::bury)))
            }
        }
    }

    /// Its processes may have been killed while they waited: by a host out of memory, by an operator.
    fn is_alive(&self) -> bool {
        let processes = [&self.expecting.child, &self.sandbox.init];
        processes.into_iter().all(|child| !process::has_ended(child))
    }

    /// Kills what is in it, whatever was done with it. Its files go with the mounts that the dying init still has.
    pub(crate) fn abandon(self) -> Result<Dying, Failure> {
        let Self { group, sandbox, expecting, .. } = self;
        Dying::of(Some(&expecting.child), sandbox, group)
    }

    /// Nothing is left of it.
    pub(crate) fn destroy(self) -> Result<(), Failure> {
        self.abandon()?.bury()
    }

    /// Nothing is left of any that could be destroyed; tells of the first that could not.
    pub(crate) fn destroy_all(all: impl IntoIterator<Item = Self>) -> Result<(), Failure> {
        all.into_iter().map(Self::destroy).fold(Ok(()), Result::and)
    }

    pub(crate) fn processes(&self) -> [&Child; 2] {
        [&self.expecting.child, &self.sandbox.init]
    }
}

/// What is left of a sandbox in which nothing runs any more, until the kernel has taken its namespaces down: that takes waiting (RCU
/// grace periods in namespace_unlock, fs/namespace.c), and is done by init while it exits.
pub(crate) struct Dying {
    pub(crate) init: Child,
    group: Group,
}

impl Dying {
    /// The command must be reaped here: init waits for every process of its pid namespace (zap_pid_ns_processes in
    /// kernel/pid_namespace.c).
    fn of(command: Option<&Child>, sandbox: Sandbox, group: Group) -> Result<Self, Failure> {
        let Sandbox { mounts, init } = sandbox;
        sandbox::kill(&init).and(group.kill_if_populated())?;
        if let Some(command) = command {
            process::reap(command).map_err(Failure::of("reap_command", "reap the command"))?;
        }
        drop(mounts);
        Ok(Self { init, group })
    }

    pub(crate) fn is_over(&self) -> bool {
        process::has_ended(&self.init)
    }

    /// Waits until nothing is left. The group last: its memory is gone when the sandbox's files are.
    pub(crate) fn bury(self) -> Result<(), Failure> {
        let Self { init, group } = self;
        process::reap(&init).map_err(Failure::of("reap_init", "reap the sandbox's init"))?;
        group.remove()
    }
}

/// The sandboxes that a jail has ready.
pub(crate) struct Ready {
    wanted: Vec<SandboxKind>,
    made: Vec<Prepared>,
    quiet_since: Instant,
}

/// What is to be done while nobody asks for anything.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Make(SandboxKind),
    GiveBack,
    /// For so long at most, where anything is to be done later on.
    Wait(Option<Duration>),
}

impl Ready {
    pub(crate) fn new() -> Self {
        Self { wanted: Vec::new(), made: Vec::new(), quiet_since: Instant::now() }
    }

    pub(crate) fn all(&self) -> &[Prepared] {
        &self.made
    }

    /// From now on these are wanted. Gives back what nobody wants any more.
    #[must_use]
    pub(crate) fn want(&mut self, mut kinds: Vec<SandboxKind>) -> Vec<Prepared> {
        kinds.truncate(MOST_KINDS);
        self.wanted = kinds;
        self.quiet_since = Instant::now();
        let (mut kept, mut others) = (Vec::new(), Vec::new());
        for made in self.made.drain(..) {
            let beside = kept.iter().filter(|kept: &&Prepared| kept.kind == made.kind).count();
            if beside < most(&self.wanted, &made.kind) { kept.push(made) } else { others.push(made) }
        }
        self.made = kept;
        others
    }

    /// Those found dead.
    #[must_use]
    pub(crate) fn take_dead(&mut self) -> Vec<Prepared> {
        let (alive, dead) = self.made.drain(..).partition(Prepared::is_alive);
        self.made = alive;
        dead
    }

    pub(crate) fn take(&mut self, kind: &SandboxKind) -> Option<Prepared> {
        let found = self.made.iter().position(|made| made.kind == *kind)?;
        Some(self.made.remove(found))
    }

    pub(crate) fn next(&self, now: Instant) -> Next {
        let quiet = now.saturating_duration_since(self.quiet_since);
        next(&self.wanted, |kind| self.made.iter().filter(|made| made.kind == *kind).count(), quiet)
    }

    pub(crate) fn keep(&mut self, prepared: Prepared) {
        self.made.push(prepared);
    }

    /// Those in the network that was kept.
    #[must_use]
    pub(crate) fn take_those_in_kept(&mut self) -> Vec<Prepared> {
        let (in_kept, others) = self.made.drain(..).partition(|made| made.kind.network == Network::Kept);
        self.made = others;
        in_kept
    }

    /// All of them, with no more to be made until something is wanted again.
    #[must_use]
    pub(crate) fn give_back(&mut self) -> Vec<Prepared> {
        self.wanted.clear();
        std::mem::take(&mut self.made)
    }
}

/// How many of this kind may stand ready.
fn most(wanted: &[SandboxKind], kind: &SandboxKind) -> usize {
    match wanted.iter().position(|wanted| wanted == kind) {
        Some(0) => 2,
        Some(_) => 1,
        None => 0,
    }
}

fn next(wanted: &[SandboxKind], made: impl Fn(&SandboxKind) -> usize, quiet: Duration) -> Next {
    let Some(first) = wanted.first() else { return Next::Wait(None) };
    if let Some(missing) = wanted.iter().find(|kind| made(kind) == 0) {
        return Next::Make(missing.clone());
    }
    if made(first) < most(wanted, first) {
        return match PAUSE.checked_sub(quiet) {
            Some(left) if !left.is_zero() => Next::Wait(Some(left)),
            _ => Next::Make(first.clone()),
        };
    }
    match IDLE.checked_sub(quiet) {
        Some(left) if !left.is_zero() => Next::Wait(Some(left)),
        _ => Next::GiveBack,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Network, Rootfs, Writes};

    const SOON: Duration = Duration::from_millis(1);

    fn kinds() -> [SandboxKind; 2] {
        [Writes::Work, Writes::Root].map(|writes| SandboxKind {
            rootfs: Rootfs { parts: vec![] },
            writes,
            network: Network::Kept,
        })
    }

    #[test]
    fn one_of_each_kind_is_made_at_once_and_a_second_of_the_first_after_a_pause() {
        let [run, build] = kinds();
        let made =
            |runs, builds| move |kind: &SandboxKind| if kind.writes == Writes::Work { runs } else { builds };
        let wanted = kinds();
        assert_eq!(next(&wanted, made(0, 0), SOON), Next::Make(run.clone()));
        assert_eq!(next(&wanted, made(1, 0), SOON), Next::Make(build));
        assert_eq!(next(&wanted, made(1, 1), SOON), Next::Wait(Some(PAUSE - SOON)));
        assert_eq!(next(&wanted, made(1, 1), PAUSE), Next::Make(run));
    }

    #[test]
    fn two_of_the_first_kind_may_stand_and_one_of_each_other() {
        let [run, build] = kinds();
        let now_first = [build.clone(), run.clone()];
        assert_eq!((most(&kinds(), &run), most(&kinds(), &build)), (2, 1));
        assert_eq!((most(&now_first, &run), most(&now_first, &build), most(&[], &run)), (1, 2, 0));
    }

    #[test]
    fn what_nobody_asks_for_is_given_back_and_nothing_made_until_somebody_does() {
        let wanted = kinds();
        assert_eq!(next(&wanted, |_| 2, SOON), Next::Wait(Some(IDLE - SOON)));
        assert_eq!(next(&wanted, |_| 2, IDLE), Next::GiveBack);
        assert_eq!(next(&[], |_| 0, IDLE * 2), Next::Wait(None));
    }
}
