//! Output: each stream on its own, in floods without newline and byte by byte.

use kiln_proto::v1::{CommandResult, LimitName};
use kiln_tests::census::resident_bytes;
use kiln_tests::spec::{MIB, cmd, python, sh};
use kiln_tests::verdict::{Ended, assert_ended, assert_stopped_by};

use crate::neighbour::{beside, service};

const LIMIT: u64 = 100_000;

fn stopped(result: &CommandResult) {
    assert_stopped_by(result, LimitName::Output, LIMIT);
    let kept = [&result.stdout, &result.stderr].map(|output| output.as_ref().expect("an output").clone());
    assert!(kept.iter().all(|output| output.size_bytes <= LIMIT), "kept at most the limit: {result:#?}");
    assert!(
        kept.iter().any(|output| output.truncated && output.size_bytes == LIMIT),
        "and all up to it: {result:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_limit_is_fine_and_one_byte_more_is_stopped() {
    let (_up, api) = service().await;
    for stream in ["", " >&2"] {
        let write = |bytes: u64| {
            let script = format!("head -c {bytes} /dev/zero{stream}; exec >&- 2>&-; sleep 0.2");
            sh(&script).limits(|l| l.output_bytes = Some(LIMIT)).job()
        };
        assert_ended(&beside(&api, write(LIMIT)).await, Ended::Exited(0));
        stopped(&beside(&api, write(LIMIT + 1)).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_have_a_limit_each() {
    let (_up, api) = service().await;
    let script = "head -c 90000 /dev/zero; head -c 90000 /dev/zero >&2";
    let result = beside(&api, sh(script).limits(|l| l.output_bytes = Some(LIMIT)).job()).await;
    assert_ended(&result, Ended::Exited(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_without_newline_stops_and_the_worker_does_not_grow() {
    let (up, api) = service().await;
    let before = resident_bytes(&[up.service.pid()]);
    for script in ["cat /dev/zero", "cat /dev/zero >&2", "cat /dev/zero & cat /dev/zero >&2"] {
        let spec = sh(script).limits(|l| l.output_bytes = Some(LIMIT)).job();
        stopped(&beside(&api, spec).await);
    }
    let grown = resident_bytes(&[up.service.pid()]).saturating_sub(before);
    assert!(grown < 48 * MIB, "grew by {grown} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn single_bytes_add_up() {
    let (_up, api) = service().await;
    let spec =
        python("import os\nwhile True: os.write(1, b'x')").limits(|l| l.output_bytes = Some(LIMIT)).job();
    stopped(&beside(&api, spec).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_flood_keeps_its_first_bytes() {
    let (_up, api) = service().await;
    let result =
        beside(&api, cmd(["seq", "1", "99999999"]).limits(|l| l.output_bytes = Some(20)).job()).await;
    assert_stopped_by(&result, LimitName::Output, 20);
    assert_eq!(&result.stdout.expect("stdout").data[..], b"1\n2\n3\n4\n5\n6\n7\n8\n9\n10");
}
