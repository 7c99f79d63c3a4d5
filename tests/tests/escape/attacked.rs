//! A service under attack: canaries on the host, and a census before and after.

use std::time::Duration;

use kiln_attacks::Canaries;
use kiln_proto::v1::{CommandResult, JobSpec};
use kiln_tests::api::Api;
use kiln_tests::binary;
use kiln_tests::census::{Census, at_rest, eventually};
use kiln_tests::hostile;
use kiln_tests::service::{Options, Up};
use kiln_tests::spec::sh;
use kiln_tests::verdict::assert_wrote;

/// What the kernel needs to take down a sandbox that fought back, on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Attacked {
    pub(crate) up: Up,
    pub(crate) api: Api,
    pub(crate) canaries: Canaries,
    before: Census,
}

impl Attacked {
    /// A service with two slots that has run one job already, so that everything it keeps ready is there.
    pub(crate) async fn start() -> Self {
        let canaries = Canaries::new(&binary::kiln()).expect("a directory in /tmp and two sockets");
        let up = Up::start(&Options::slots(2).env("KILN_CANARY", canaries.secret()));
        let api = Api::connect(&up.address()).await;
        hostile::store_program(&api).await;
        for _ in 0..4 {
            tokio::join!(api.run_one(sh("true").job()), api.run_one(sh("true").job()));
        }
        let before = at_rest(|| Census::of(up.service.pid(), &[]));
        Self { up, api, canaries, before }
    }

    /// Runs a hostile program, beside an honest one, to its end.
    pub(crate) async fn by(&self, name: &str, arguments: &[&str]) -> CommandResult {
        self.by_job(hostile::job(hostile::named(name), arguments)).await
    }

    /// The same, and asserts that it ended as the case's own header says.
    pub(crate) async fn held(&self, name: &str, arguments: &[&str]) -> CommandResult {
        let result = self.by(name, arguments).await;
        hostile::assert_as_expected(hostile::named(name), &result);
        result
    }

    /// The same with a job made from the program by the caller.
    pub(crate) async fn by_job(&self, job: JobSpec) -> CommandResult {
        let honest = self.api.run_one(sh("seq 1 2000 | sha256sum").job());
        let (result, honest) = tokio::join!(self.api.run_one(job), honest);
        assert_wrote(&honest, "6251e5743b6fd6a7d606130bdf7c15077ce85ebd3a0fdee284d15a46df199e38  -\n");
        result
    }

    pub(crate) fn canary(&self) -> String {
        self.canaries.file().to_str().expect("ASCII").to_owned()
    }

    /// Asserts that the host is untouched, that the service holds what it held before, and that it still works.
    pub(crate) async fn end(self) {
        assert_eq!(self.canaries.complaints(), Vec::<String>::new());
        let mut now = Census::of(self.up.service.pid(), &[]);
        let same = |now: &Census| {
            (now.processes, now.mounts, &now.cgroups)
                == (self.before.processes, self.before.mounts, &self.before.cgroups)
                && now.descriptors <= self.before.descriptors + 2
        };
        let deadline = std::time::Instant::now() + PATIENCE;
        while !same(&now) && std::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(50)).await;
            now = Census::of(self.up.service.pid(), &[]);
        }
        assert!(same(&now), "left behind: {}", now.beyond(&self.before));
        assert_wrote(&self.api.run_one(sh("echo still here").job()).await, "still here\n");
        let members = kiln_tests::census::family(self.up.service.pid());
        drop(self.api);
        let Up { service, place } = self.up;
        assert!(service.stop().success(), "a clean stop");
        eventually("groups are gone", PATIENCE, || kiln_tests::census::groups_of(&members).is_empty());
        assert!(kiln_tests::census::host_mounts(place.path("").to_str().expect("ASCII")).is_empty());
    }
}
