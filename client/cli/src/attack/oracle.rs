//! What is looked at from outside after every attack: the host's canaries, the service's supervisors, and what it holds.
//!
//! What an attack left is told once, with that attack: the next one begins from what is there now.

use std::time::{Duration, Instant};

use kiln_attacks::census::Census;

use super::target::{Target, Whose};

/// What the kernel and the service need to take down what fought back, on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(10);
/// Connections come and go, each with two descriptors.
const DESCRIPTOR_SLACK: usize = 4;

/// Looks again and again.
pub(crate) struct Oracle<'a> {
    target: &'a Target,
    before: Held,
}

/// What a service holds.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Held {
    census: Census,
    jails: Vec<u32>,
}

impl<'a> Oracle<'a> {
    /// Looks for the first time. Everything that the service keeps ready must be there.
    pub(crate) fn new(target: &'a Target) -> Oracle<'a> {
        Oracle { target, before: Held::by(target) }
    }

    /// From here on, what is there now is as it must be.
    pub(crate) fn begin_anew(&mut self) {
        self.before = Held::by(self.target);
    }

    /// What is not as before; waits for it as long as the kernel may need.
    pub(crate) async fn complaints(&mut self) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        let mut now = Held::by(self.target);
        while !now.beyond(&self.before, self.target.whose).is_empty() && Instant::now() < deadline {
            tokio::time::sleep(PAUSE).await;
            now = Held::by(self.target);
        }
        let mut complaints = now.beyond(&self.before, self.target.whose);
        complaints.extend(self.target.canaries.complaints());
        complaints
    }
}

impl Held {
    fn by(target: &Target) -> Held {
        Held { census: Census::of_all(&target.roots, &target.directories), jails: target.jails() }
    }

    fn beyond(&self, before: &Held, whose: Whose) -> Vec<String> {
        let (now, then) = (&self.census, &before.census);
        let mut complaints = Vec::new();
        if self.jails != before.jails {
            complaints
                .push(format!("supervisors ended: they were {:?}, they are {:?}", before.jails, self.jails));
        }
        // A service that others use has jobs of theirs: only what must never change is told.
        if whose == Whose::Theirs {
            return complaints;
        }
        let mut count = |what: &str, then: usize, now: usize, slack: usize| {
            if now > then + slack || now + slack < then {
                complaints.push(format!("{what}: there were {then}, there are {now}"));
            }
        };
        count("processes", then.processes, now.processes, 0);
        count("mounts", then.mounts, now.mounts, 0);
        count("descriptors", then.descriptors, now.descriptors, DESCRIPTOR_SLACK);
        count("cgroups", then.cgroups.len(), now.cgroups.len(), 0);
        let left = now.files.difference(&then.files).filter(|path| !is_store(path));
        complaints.extend(
            left.map(|path| format!("a file was left: {}", path.display().to_string().escape_default())),
        );
        complaints
    }
}

/// Blobs and images are kept on purpose, and so is the database's log.
fn is_store(path: &std::path::Path) -> bool {
    let kept = ["blobs", "images", "kiln.db-wal", "kiln.db-shm", "kiln.db-journal"];
    path.components().any(|part| kept.iter().any(|name| part.as_os_str() == *name))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    type Change = fn(&mut Held);

    fn held() -> Held {
        let census = Census {
            processes: 10,
            mounts: 100,
            cgroups: BTreeSet::from(["/sys/fs/cgroup/pids/kiln-1".into()]),
            descriptors: 50,
            files: BTreeSet::from(["/tmp/kiln/spool".into()]),
        };
        Held { census, jails: vec![7, 8] }
    }

    #[test]
    fn what_is_as_before_is_no_complaint() {
        let mut now = held();
        now.census.descriptors += DESCRIPTOR_SLACK;
        now.census.files.insert("/tmp/kiln/blobs/ab/cd".into());
        assert_eq!(now.beyond(&held(), Whose::Ours), Vec::<String>::new());
    }

    #[test]
    fn each_thing_left_behind_is_told() {
        let changes: [(&str, Change); 8] = [
            ("processes", |held| held.census.processes += 1),
            ("processes", |held| held.census.processes -= 1),
            ("mounts", |held| held.census.mounts += 1),
            ("descriptors", |held| held.census.descriptors += DESCRIPTOR_SLACK + 1),
            ("cgroups", |held| {
                held.census.cgroups.insert("/sys/fs/cgroup/pids/kiln-1/left".into());
            }),
            ("a file was left: /tmp/kiln/spool/\\u{1b}", |held| {
                held.census.files.insert("/tmp/kiln/spool/\u{1b}".into());
            }),
            ("supervisors ended", |held| held.jails = vec![7, 9]),
            ("supervisors ended", |held| held.jails.clear()),
        ];
        for (named, change) in changes {
            let mut now = held();
            change(&mut now);
            let complaints = now.beyond(&held(), Whose::Ours);
            assert!(complaints.len() == 1 && complaints[0].contains(named), "{named}: {complaints:?}");
        }
    }

    #[test]
    fn of_a_service_that_others_use_only_its_supervisors_are_compared() {
        let mut now = held();
        now.census.processes += 5;
        assert_eq!(now.beyond(&held(), Whose::Theirs), Vec::<String>::new());
        now.jails = vec![7];
        assert_eq!(now.beyond(&held(), Whose::Theirs).len(), 1);
    }
}
