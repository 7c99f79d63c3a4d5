//! What a command reads: nothing, inline bytes, a blob, and programs that do not care.

use kiln_proto::v1::JobVerdict;
use kiln_tests::api::{Api, digest};
use kiln_tests::service::{Options, Up};
use kiln_tests::spec::{blob, cmd, inline, sh};
use kiln_tests::verdict::{assert_verdict, assert_wrote};

#[tokio::test(flavor = "multi_thread")]
async fn stdin_is_empty_unless_given() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    assert_wrote(&api.run_one(cmd(["wc", "-c"]).job()).await, "0\n");
    assert_wrote(&api.run_one(cmd(["cat"]).stdin(inline("given\n")).job()).await, "given\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn stdin_of_a_megabyte_inline_and_of_more_as_a_blob() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let inline_bytes = vec![7u8; 1 << 20];
    assert_wrote(&api.run_one(cmd(["wc", "-c"]).stdin(inline(&inline_bytes)).job()).await, "1048576\n");
    let large: Vec<u8> = (0..12_000_000u32).map(|n| (n % 251) as u8).collect();
    api.put_blob(&large).await.expect("stored");
    let result = api.run_one(sh("wc -c").stdin(blob(&digest(&large))).job()).await;
    assert_wrote(&result, "12000000\n");
    let result = api.run_one(cmd(["tail", "-c", "3"]).stdin(blob(&digest(&large))).job()).await;
    assert_eq!(result.stdout.expect("stdout").data, large[large.len() - 3..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_need_not_read_its_stdin() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let content = vec![b'x'; 1 << 20];
    for script in ["echo ignored", "exec <&-; echo closed", "head -c 1 >/dev/null; echo a byte"] {
        let told = api.run(sh(script).stdin(inline(&content)).job()).await;
        assert_verdict(&told.job, JobVerdict::Succeeded);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_bytes_go_through_unchanged() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let every: Vec<u8> = (0..=255u8).cycle().take(50_000).collect();
    let result = api.run_one(cmd(["cat"]).stdin(inline(&every)).job()).await;
    assert_eq!(result.stdout.expect("stdout").data, every);
}
