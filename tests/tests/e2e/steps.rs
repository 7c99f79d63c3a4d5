//! Steps that need each other: order, files between them, and what a failure does to those behind it.

use kiln_proto::v1::{JobVerdict, StepState};
use kiln_tests::api::Api;
use kiln_tests::service::{Options, Up};
use kiln_tests::spec::{after, c_job, file_of, inline, job, python, sh, stdout_of};
use kiln_tests::verdict::{Ended, assert_ended, assert_verdict, assert_wrote, stderr, step};

#[tokio::test(flavor = "multi_thread")]
async fn a_compiled_program_runs_in_the_next_step() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let source = "#include <stdio.h>\nint main(void){int a,b; scanf(\"%d %d\",&a,&b); printf(\"%d\\n\",a+b); return 0;}";
    let done = api.run(c_job(source, |run| run.stdin(inline("20 22")))).await.job;
    assert_verdict(&done, JobVerdict::Succeeded);
    assert_wrote(&step(&done, "run").commands[0], "42\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_step_skips_those_that_need_it_and_no_others() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let spec = job([
        sh("exit 1").step("broken"),
        after(&["broken"], sh("echo no").step("behind")),
        after(&["behind"], sh("echo no").step("further")),
        sh("echo apart").step("apart"),
    ]);
    let done = api.run(spec).await.job;
    assert_verdict(&done, JobVerdict::Failed);
    let states = ["broken", "behind", "further", "apart"].map(|name| step(&done, name).state());
    assert_eq!(states, [StepState::Failed, StepState::Skipped, StepState::Skipped, StepState::Succeeded]);
    assert!(step(&done, "behind").commands.is_empty(), "{done:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_streams_flow_through_a_diamond() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let spec = job([
        sh("seq 1 30000 > /work/numbers").wants("/work/numbers").step("make"),
        after(
            &["make"],
            sh("sort -rn n | head -1").file("/work/n", file_of("make", "/work/numbers")).step("largest"),
        ),
        after(&["make"], sh("wc -l < n").file("/work/n", file_of("make", "/work/numbers")).step("count")),
        after(
            &["largest", "count"],
            sh("cat; cat count")
                .stdin(stdout_of("largest"))
                .file("/work/count", stdout_of("count"))
                .step("join"),
        ),
    ]);
    for _ in 0..2 {
        let done = api.run(spec.clone()).await.job;
        assert_verdict(&done, JobVerdict::Succeeded);
        assert_wrote(&step(&done, "join").commands[0], "30000\n30000\n");
    }
    let id = api.submit(spec).await;
    assert_wrote(&step(&api.wait(&id).await, "join").commands[0], "30000\n30000\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_of_earlier_steps_are_read_only() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let tamper = "import os
try: open('/work/answer','w'); print('WRITTEN')
except PermissionError: print('refused')
try: os.chmod('/work/answer', 0o777); print('CHMOD')
except PermissionError: print('refused')
print(open('/work/answer').read(), end='')";
    let spec = job([
        sh("echo 42 > answer").wants("/work/answer").step("make"),
        after(&["make"], python(tamper).file("/work/answer", file_of("make", "/work/answer")).step("use")),
    ]);
    let done = api.run(spec).await.job;
    assert_wrote(&step(&done, "use").commands[0], "refused\nrefused\n42\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compilers_complaint_is_the_users_matter() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let done = api.run(c_job("int main(void) { return undeclared; }", |run| run)).await.job;
    assert_verdict(&done, JobVerdict::Failed);
    let compile = &step(&done, "compile").commands[0];
    assert_ended(compile, Ended::Exited(1));
    assert!(stderr(compile).contains("undeclared"), "{compile:#?}");
    assert_eq!(step(&done, "run").state(), StepState::Skipped);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_binary_travels_between_steps() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let spec = job([
        sh("head -c 30000000 /dev/urandom > big; sha256sum < big").wants("/work/big").step("make"),
        after(&["make"], sh("sha256sum < big").file("/work/big", file_of("make", "/work/big")).step("check")),
    ]);
    let done = api.run(spec).await.job;
    assert_verdict(&done, JobVerdict::Succeeded);
    let sums = ["make", "check"].map(|name| kiln_tests::verdict::stdout(&step(&done, name).commands[0]));
    assert_eq!(sums[0], sums[1], "the same bytes");
}
