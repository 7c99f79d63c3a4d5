//! CPU time, user and system, as /proc/PID/stat counts it: of a process, and of its children once they were waited for.

use std::time::Duration;

use kiln_attacks::census;

/// What a tick of /proc is on every architecture of ours: USER_HZ in include/asm-generic/param.h of the kernel.
const TICK: Duration = Duration::from_millis(10);

/// Whose CPU time counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Burners {
    /// This process and what it started and waited for.
    Spawned,
    /// This process and everything below its own jails: an engine in this process.
    Engine,
    /// A process and everything below it: a service.
    Service(u32),
    /// Nobody can tell them apart, or it is no program that runs.
    Unknown,
}

/// How much was burnt so far.
pub(crate) fn burnt(burners: Burners) -> Option<Duration> {
    let this = std::process::id();
    match burners {
        Burners::Unknown => None,
        Burners::Spawned => times_of(this).map(|times| times.own + times.children),
        Burners::Engine => {
            let own = times_of(this)?.own;
            Some(own_jails().into_iter().map(below).sum::<Duration>() + own)
        }
        Burners::Service(pid) => times_of(pid).map(|_| below(pid)),
    }
}

/// The jails of the engines in this process, and of no service that it started.
pub(crate) fn own_jails() -> Vec<u32> {
    census::jails_of(&[std::process::id()])
}

/// A process and all below it, those included that are gone.
fn below(pid: u32) -> Duration {
    let times = census::family(pid).into_iter().filter_map(times_of);
    times.map(|times| times.own + times.children).sum()
}

struct Times {
    own: Duration,
    /// Of those that were waited for.
    children: Duration,
}

fn times_of(pid: u32) -> Option<Times> {
    parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Fields 14 to 17 of proc_pid_stat(5); the second may hold anything, blanks and parentheses too.
fn parse(stat: &str) -> Option<Times> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut ticks = after_name.split_whitespace().skip(11).map(str::parse::<u32>);
    let mut next = || ticks.next()?.ok();
    let [user, system, children_user, children_system] = [next()?, next()?, next()?, next()?];
    Some(Times { own: TICK * (user + system), children: TICK * (children_user + children_system) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_blanks_and_parentheses_hides_no_field() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 100 200 0 0 3 4 50 60 20 0 1 0 100 1000 200";
        let times = parse(stat).expect("well formed");
        assert_eq!((times.own, times.children), (TICK * 7, TICK * 110));
        assert!(parse("7 (a) S 1").is_none() && parse("").is_none());
    }

    #[test]
    fn a_child_that_was_waited_for_counts() {
        let before = burnt(Burners::Spawned).expect("this process is there");
        let script = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        let status = std::process::Command::new("sh").args(["-c", script]).status().expect("sh is there");
        assert!(status.success());
        assert!(burnt(Burners::Spawned).expect("this process is there") > before);
        assert_eq!(burnt(Burners::Unknown), None);
    }
}
