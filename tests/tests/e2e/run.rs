//! `Run`: a caller waits and is told everything, in order.

use kiln_proto::v1::{GetRequest, JobState, JobVerdict, Stream, job_event};
use kiln_tests::api::Api;
use kiln_tests::service::{Options, Up};
use kiln_tests::spec::{cmd, python, sh};
use kiln_tests::verdict::{
    Ended, assert_busy_share, assert_ended, assert_verdict, assert_wrote, cpu_us, evidence, stderr, usage,
};

#[tokio::test(flavor = "multi_thread")]
async fn events_come_in_order_and_end_with_done() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let told = api.run(sh("echo out; echo err >&2").job()).await;
    let kinds: Vec<&str> =
        told.events.iter().map(|event| kind(event.event.as_ref().expect("a kind"))).collect();
    assert_eq!(kinds.first(), Some(&"accepted"), "{kinds:?}");
    let at = |wanted: &str| {
        kinds.iter().position(|kind| *kind == wanted).unwrap_or_else(|| panic!("{wanted}: {kinds:?}"))
    };
    assert!(at("accepted") < at("step_started") && at("step_started") < at("output"), "{kinds:?}");
    assert!(
        at("output") < at("command_finished") && at("command_finished") < at("step_finished"),
        "{kinds:?}"
    );
    assert_eq!(at("done"), kinds.len() - 1, "{kinds:?}");
    assert!(
        told.events.windows(2).all(|pair| pair[0].sequence <= pair[1].sequence),
        "sequence rises: {told:#?}"
    );
    assert!(told.events.iter().all(|event| event.job_id == told.job.id), "one job: {told:#?}");
    assert_eq!(told.live("main", Stream::Stdout), b"out\n");
    assert_eq!(told.live("main", Stream::Stderr), b"err\n");
    assert_eq!(told.job.state(), JobState::Done);
    assert!(!told.job.durable, "Run is not durable");
    assert_verdict(&told.job, JobVerdict::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_ends_in_its_own_way() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    assert_ended(&api.run_one(sh("exit 0").job()).await, Ended::Exited(0));
    assert_ended(&api.run_one(sh("exit 255").job()).await, Ended::Exited(255));
    for signal in [6, 9, 11, 15] {
        let result = api.run_one(sh(&format!("kill -{signal} $$")).job()).await;
        assert_ended(&result, Ended::Signalled(signal));
    }
    let told = api.run(sh("exit 3").job()).await;
    assert_verdict(&told.job, JobVerdict::Failed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_cannot_start_says_why() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let missing = api.run_one(cmd(["/no/such/program"]).job()).await;
    assert_ended(&missing, Ended::Exited(127));
    assert_eq!(evidence(&missing).exec_errno, Some(2), "ENOENT: {missing:#?}");
    let not_executable = api.run_one(cmd(["/etc/passwd"]).job()).await;
    assert_ended(&not_executable, Ended::Exited(126));
    assert_eq!(evidence(&not_executable).exec_errno, Some(13), "EACCES: {not_executable:#?}");
    let elsewhere = api.run_one(cmd(["/bin/true"]).cwd("/work/nowhere").job()).await;
    assert_ended(&elsewhere, Ended::Exited(126));
}

#[tokio::test(flavor = "multi_thread")]
async fn argv_and_environment_arrive_as_the_bytes_they_are_and_nothing_else_does() {
    let up = Up::start(&Options::default().env("KILN_TEST_LEAK", "must not be seen"));
    let api = Api::connect(&up.address()).await;
    let program = "import os,sys; os.write(1, repr((sorted(os.environb.items()), [os.fsencode(a) for a in sys.argv[1:]])).encode())";
    let mut command = python(program).env("PLAIN", "a value with = and spaces");
    command.0.argv.push(bytes::Bytes::from_static(b"\xff\xfe not text \n"));
    let result = api.run_one(command.job()).await;
    let expected = r"([(b'PATH', b'/usr/local/bin:/usr/bin:/bin'), (b'PLAIN', b'a value with = and spaces')], [b'\xff\xfe not text \n'])";
    // Python adds LC_CTYPE of its own where no locale is set.
    let said = kiln_tests::verdict::stdout(&result).replace("(b'LC_CTYPE', b'C.UTF-8'), ", "");
    assert_eq!(said, expected, "{result:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_default_directory_is_work_and_it_is_writable() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    assert_wrote(&api.run_one(sh("pwd; echo x > file && cat file").job()).await, "/work\nx\n");
    assert_wrote(&api.run_one(sh("pwd").cwd("/tmp").job()).await, "/tmp\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_and_phases_tell_what_happened() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let burn = "import time\nblock = bytearray(40 << 20)\nend = time.process_time() + 0.4\nwhile time.process_time() < end: pass\ntime.sleep(0.2)";
    let result = api.run_one(python(burn).job()).await;
    assert_ended(&result, Ended::Exited(0));
    let cpu = cpu_us(&result);
    assert!((380_000..900_000).contains(&cpu), "about 0.4 s of CPU, not {cpu} us: {result:#?}");
    let wall = usage(&result).wall_us.expect("wall is always known");
    assert!(wall >= cpu + 190_000, "sleeping is wall, not CPU: {result:#?}");
    let memory = usage(&result).peak_memory_bytes.expect("the cgroup tells");
    assert!((40 << 20..120 << 20).contains(&memory), "40 MiB and Python, not {memory}: {result:#?}");
    assert!(usage(&result).voluntary_switches.is_some_and(|count| count > 0), "{result:#?}");
    assert!(usage(&result).minor_faults.is_some_and(|count| count > 100), "{result:#?}");
    assert_busy_share(&result);
    let phases = result.phases.as_ref().expect("phases");
    let moments = [
        phases.received_unix_us,
        phases.fetched_unix_us,
        phases.prepared_unix_us,
        phases.started_unix_us,
        phases.ended_unix_us,
        phases.collected_unix_us,
    ];
    assert!(moments[0] > 0 && moments.is_sorted(), "moments in their order: {moments:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn live_output_comes_while_the_command_runs() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let spec = python("import time,sys\nprint('first', flush=True)\ntime.sleep(1.5)\nprint('second')").job();
    let request = kiln_proto::v1::RunRequest { spec: Some(spec) };
    let mut events = api.jobs.clone().run(request).await.expect("accepted").into_inner();
    let mut first_at = None;
    while let Some(event) = events.message().await.expect("no error") {
        match event.event.expect("a kind") {
            job_event::Event::Output(chunk) if first_at.is_none() => {
                assert_eq!(&chunk.data[..], b"first\n", "the second line is not there yet");
                first_at = Some(event.unix_us);
            }
            job_event::Event::CommandFinished(finished) => {
                let ended = finished.result.and_then(|r| r.phases).expect("phases").ended_unix_us;
                let first = first_at.expect("output came before the end");
                assert!(first + 700_000 < ended, "output came {} us before the end", ended - first);
            }
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_output_comes_whole_and_in_order() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let told = api.run(sh("seq 1 300000; seq 1 20000 >&2").job()).await;
    let expected: String = (1..=300_000).map(|n| format!("{n}\n")).collect();
    let live = told.live("main", Stream::Stdout);
    assert_eq!(live.len(), expected.len());
    assert!(live == expected.as_bytes(), "stdout differs");
    assert_eq!(
        told.live("main", Stream::Stderr).len(),
        (1..=20_000).map(|n: u32| n.to_string().len() + 1).sum::<usize>()
    );
    let result = &told.job.steps[0].commands[0];
    let output = result.stdout.as_ref().expect("stdout");
    assert_eq!(
        (output.size_bytes, output.data.len()),
        (expected.len() as u64, 65_536),
        "first 64 KiB and the size"
    );
    assert!(!output.truncated);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_run_is_not_kept() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let told = api.run(sh("echo gone").job()).await;
    let answer =
        api.jobs.clone().list(kiln_proto::v1::ListRequest::default()).await.expect("list").into_inner();
    assert!(
        answer.jobs.iter().all(|job| job.id != told.job.id || !job.durable),
        "Run wrote something durable"
    );
    // A Run may be known for a moment; what it must not do is appear as a durable job.
    if let Ok(job) = api.jobs.clone().get(GetRequest { job_id: told.job.id }).await {
        assert!(!job.into_inner().durable);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stderr_is_apart_from_stdout() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let result = api.run_one(sh("echo one; echo two >&2; echo three").job()).await;
    assert_wrote(&result, "one\nthree\n");
    assert_eq!(stderr(&result), "two\n");
}

fn kind(event: &job_event::Event) -> &'static str {
    match event {
        job_event::Event::Accepted(_) => "accepted",
        job_event::Event::StepStarted(_) => "step_started",
        job_event::Event::Output(_) => "output",
        job_event::Event::Progress(_) => "progress",
        job_event::Event::CommandFinished(_) => "command_finished",
        job_event::Event::StepFinished(_) => "step_finished",
        job_event::Event::Done(_) => "done",
    }
}
