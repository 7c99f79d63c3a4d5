//! The neighbour: a job that runs beside every offender, on the same worker, and must not notice.

use kiln_proto::v1::{CommandResult, JobSpec};
use kiln_tests::api::Api;
use kiln_tests::service::{Options, Up};
use kiln_tests::spec::{Cmd, MIB, python};
use kiln_tests::verdict::assert_wrote;

/// Computes, writes, reads and starts processes for a while, and prints what must come out.
const HONEST: &str = "import hashlib, subprocess, sys
digest = hashlib.sha256()
for round in range(12):
    open('/tmp/file', 'wb').write(bytes([round]) * 300000)
    digest.update(open('/tmp/file', 'rb').read())
    digest.update(subprocess.run(['echo', str(round)], capture_output=True, check=True).stdout)
    for n in range(40): digest.update(bytes(20000))
print(digest.hexdigest())";

/// What [`HONEST`] prints wherever it runs undisturbed.
const ANSWER: &str = "595988e459fcc82ecd4b8e7d26ed3a3e924f906f1010ddf31bce1899289bc68d";

fn honest() -> Cmd {
    python(HONEST).limits(|limits| {
        limits.wall_ms = Some(60_000);
        limits.memory_bytes = Some(96 * MIB);
        limits.pids = Some(16);
        limits.disk_bytes = Some(8 * MIB);
    })
}

/// A service with two slots: one for the offender, one for its neighbour.
pub(crate) async fn service() -> (Up, Api) {
    let up = Up::start(&Options::slots(2));
    let api = Api::connect(&up.address()).await;
    (up, api)
}

/// Runs the offender with the neighbour beside it; gives the offender's last result.
pub(crate) async fn beside(api: &Api, offender: JobSpec) -> CommandResult {
    let (offended, neighbour) = tokio::join!(api.run_one(offender), api.run_one(honest().job()));
    assert_wrote(&neighbour, &format!("{ANSWER}\n"));
    offended
}
