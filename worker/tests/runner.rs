//! Steps through real jails in this process: outcomes, bytes in and out, pipes, cancelling, failures of the jail.
#![expect(clippy::unwrap_used, reason = "what is unwrapped here fails the test")]

mod support;

use std::io::Read;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use kiln_attacks::census::{self, Census};
use kiln_proto::model::{MAX_ARGUMENT_BYTES, MAX_FILES_IN, MAX_FILES_OUT};
use kiln_proto::v1;
use kiln_worker::config::{EngineConfig, ReadySandboxes};
use kiln_worker::library::Runner;
use support::{
    TestRunner, argv, blob, default_limits, ending, file_in, file_out, inline, shell, stderr, stdout, step,
};
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread")]
async fn ends_keep_their_kind() {
    let test = TestRunner::start(1).await;
    for (script, expected) in [
        ("true", "exited 0"),
        ("exit 3", "exited 3"),
        ("exit 255", "exited 255"),
        ("kill -TERM $$", "signalled 15"),
        ("kill -SEGV $$", "signalled 11"),
    ] {
        assert_eq!(ending(&test.run(shell(script)).await), expected, "{script}");
    }
    let result = test.run(argv(&["/no/such/program"])).await;
    assert_eq!(ending(&result), "exited 127");
    assert_eq!(result.outcome.unwrap().evidence.unwrap().exec_errno, Some(2));
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn phases_are_in_order_and_usage_is_there() {
    let test = TestRunner::start(1).await;
    let result = test.run(shell("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done")).await;
    let phases = result.phases.unwrap();
    let moments = [
        phases.received_unix_us,
        phases.fetched_unix_us,
        phases.prepared_unix_us,
        phases.started_unix_us,
        phases.ended_unix_us,
        phases.collected_unix_us,
    ];
    assert!(moments.is_sorted() && moments[0] > 0, "{moments:?}");
    let usage = result.usage.unwrap();
    assert!(usage.cpu_user_us.unwrap() + usage.cpu_system_us.unwrap() > 0);
    assert!(usage.wall_us.unwrap() > 0 && usage.peak_memory_bytes.unwrap() > 0);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_streams_come_back_byte_for_byte() {
    let test = TestRunner::start(1).await;
    let result = test.run(shell("printf 'a\\000b\\377'; printf 'err' >&2; echo late >/dev/stdout")).await;
    assert_eq!(ending(&result), "exited 0");
    assert_eq!(&stdout(&result).data[..], b"a\0b\xfflate\n");
    assert_eq!(&stderr(&result).data[..], b"err");
    let large = test.run(shell("head -c 1000000 /dev/zero | tr '\\000' x")).await;
    assert_eq!(stdout(&large).size_bytes, 1_000_000);
    assert_eq!(stdout(&large).data.len(), 64 * 1024);
    assert!(!stdout(&large).truncated && stdout(&large).data.iter().all(|byte| *byte == b'x'));
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_stops_at_the_limit_with_flat_memory() {
    let test = TestRunner::start(1).await;
    let limits = v1::Limits { output_bytes: Some(100_000), ..default_limits() };
    let before = resident_bytes();
    for script in ["yes", "yes >&2", "while :; do echo y; done", "cat /dev/zero"] {
        let result = test.run(v1::Command { limits: Some(limits), ..shell(script) }).await;
        assert_eq!(ending(&result), "limit output", "{script}");
        let flooded = if script.ends_with("2") { stderr(&result) } else { stdout(&result) };
        assert_eq!((flooded.size_bytes, flooded.truncated), (100_000, true), "{script}");
        let outcome = result.outcome.unwrap();
        assert_eq!(outcome.limit_value, Some(100_000));
        assert!(outcome.seen_value.unwrap() > 100_000);
    }
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 32 << 20, "grew by {grown} bytes");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_output_limit_is_allowed_and_one_more_byte_is_not() {
    let test = TestRunner::start(1).await;
    let limits = v1::Limits { output_bytes: Some(70_000), ..default_limits() };
    for (bytes, expected) in [(70_000, "exited 0"), (70_001, "limit output")] {
        let command = v1::Command { limits: Some(limits), ..shell(&format!("head -c {bytes} /dev/zero")) };
        let result = test.run(command).await;
        assert_eq!(ending(&result), expected);
        assert_eq!(stdout(&result).size_bytes, 70_000);
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_keeps_the_pipe_open_does_not_hold_the_result() {
    let test = TestRunner::start(1).await;
    let begun = Instant::now();
    let result = test.run(shell("setsid sleep 1000 & echo parent")).await;
    assert_eq!(ending(&result), "exited 0");
    assert_eq!(&stdout(&result).data[..], b"parent\n");
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(result.outcome.unwrap().evidence.unwrap().left_running.unwrap() >= 1);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stdin_arrives_whole_and_an_unread_one_hangs_nothing() {
    let test = TestRunner::start(1).await;
    let with = |script: &str, stdin| v1::Command { stdin: Some(stdin), ..shell(script) };
    let empty = test.run(shell("wc -c")).await;
    assert_eq!(&stdout(&empty).data[..], b"0\n");
    for length in [1, 65_536, 65_537, 1_000_000] {
        let result = test.run(with("wc -c", inline(vec![b's'; length]))).await;
        assert_eq!(stdout(&result).data, format!("{length}\n"), "{length}");
    }
    let gibibyte = test.runner.store_blob(std::io::repeat(0).take(1 << 30)).await.unwrap();
    let before = resident_bytes();
    assert_eq!(ending(&test.run(with("true", blob(&gibibyte))).await), "exited 0");
    let early = test.run(with("head -c 5 | wc -c; exec <&-; sleep 0.1", blob(&gibibyte))).await;
    assert_eq!((ending(&early).as_str(), &stdout(&early).data[..]), ("exited 0", &b"5\n"[..]));
    let whole = test.run(with("wc -c", blob(&gibibyte))).await;
    assert_eq!(&stdout(&whole).data[..], b"1073741824\n");
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 32 << 20, "grew by {grown} bytes");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_go_in_and_come_out() {
    let test = TestRunner::start(1).await;
    let stored = test.runner.store_blob(&b"from a blob"[..]).await.unwrap();
    let script = "cat a.txt sub/b.txt > out; ln -s /etc/passwd link; mkdir dir; mkfifo fifo; chmod +x out; \
                  head -c 100 /dev/zero > big; id -u > /tmp/t";
    let mut big = file_out("/work/big");
    big.max_bytes = Some(99);
    let command = v1::Command {
        files_in: vec![file_in("/work/a.txt", inline("inline, ")), file_in("/work/sub/b.txt", blob(&stored))],
        files_out: ["out", "missing", "link", "dir", "fifo"]
            .map(|name| file_out(&format!("/work/{name}")))
            .into_iter()
            .chain([big, file_out("/tmp/t")])
            .collect(),
        ..shell(script)
    };
    let result = test.run(command).await;
    assert_eq!(ending(&result), "exited 0", "{:?}", stderr(&result));
    let states: Vec<_> = result.files.iter().map(v1::FileResult::state).collect();
    use v1::FileState::{Found, Missing, NotRegular, TooLarge};
    assert_eq!(states, [Found, Missing, NotRegular, NotRegular, NotRegular, TooLarge, Found]);
    assert_eq!(&result.files[0].data[..], b"inline, from a blob");
    assert!(result.files[0].executable && !result.files[6].executable);
    assert_eq!(result.files[5].size_bytes, 100);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_a_hundred_mebibytes_comes_out_as_a_blob_and_goes_in_again() {
    let test = TestRunner::start(1).await;
    let limits = v1::Limits { memory_bytes: Some(1 << 30), disk_bytes: Some(256 << 20), ..default_limits() };
    let make = v1::Command {
        files_out: vec![file_out("/work/large")],
        limits: Some(limits),
        ..shell("yes 'all work and no play' | head -c 104857600 > large; cksum < large")
    };
    let made = test.run(make).await;
    assert_eq!(ending(&made), "exited 0");
    assert_eq!((made.files[0].state(), made.files[0].size_bytes), (v1::FileState::Found, 100 << 20));
    let digest = made.files[0].blob.parse().unwrap();
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(test.runner.open_blob(&digest).await.unwrap()).unwrap();
    assert_eq!(format!("blake3:{}", hasher.finalize()), made.files[0].blob);
    let check = v1::Command {
        files_in: vec![file_in("/work/again", blob(&digest))],
        limits: Some(limits),
        ..shell("cksum < again")
    };
    let checked = test.run(check).await;
    assert_eq!(stdout(&checked).data, stdout(&made).data);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_input_is_shown_and_one_that_is_wanted_back_or_executable_is_copied() {
    let test = TestRunner::start(1).await;
    let mut content = vec![b'.'; kiln_proto::COPIED_INPUT_BYTES as usize];
    let small = test.runner.store_blob(std::io::Cursor::new(content.clone())).await.unwrap();
    content.push(b'!');
    let large = test.runner.store_blob(std::io::Cursor::new(content)).await.unwrap();
    let program = v1::FileIn { executable: true, ..file_in("/work/program", blob(&large)) };
    let script = "stat -c '%n %a %s' *; for f in *; do (echo x >> $f) 2>/dev/null && echo $f; done; tail -c 1 large; df --output=used . | tail -1";
    let command = v1::Command {
        files_in: vec![
            file_in("/work/large", blob(&large)),
            file_in("/work/small", blob(&small)),
            file_in("/work/wanted", blob(&large)),
            program,
        ],
        files_out: vec![file_out("/work/wanted")],
        ..shell(script)
    };
    let result = test.run(command).await;
    assert_eq!(ending(&result), "exited 0");
    let told = String::from_utf8(stdout(&result).data.to_vec()).unwrap();
    let (told, used) = told.split_once('!').unwrap();
    assert_eq!(
        told,
        "large 444 4194305\nprogram 755 4194305\nsmall 644 4194304\nwanted 644 4194305\nprogram\nsmall\nwanted\n"
    );
    let used_kib: u64 = used.trim().parse().unwrap();
    assert!((3 * 4096..4 * 4096).contains(&used_kib), "three are copies: {used_kib}");
    assert_eq!(result.files[0].size_bytes, 4_194_307);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_commands_talk_both_ways() {
    let test = TestRunner::start(1).await;
    let guesser = shell(
        "low=1; high=100; while [ $low -lt $high ]; do mid=$(( (low+high)/2 )); echo $mid; read answer; \
        case $answer in more) low=$((mid+1));; *) high=$mid;; esac; done; echo \"= $low\"; echo found $low >&2",
    );
    let judge = shell(
        "secret=73; while read guess; do case $guess in \"= 73\") echo right >&2; exit 0;; =*) exit 1;; esac; \
        if [ $guess -lt $secret ]; then echo more; else echo less; fi; done; exit 2",
    );
    for _ in 0..5 {
        let results = test.run_step(step(vec![guesser.clone(), judge.clone()], &[(0, 1), (1, 0)])).await;
        assert_eq!(results.iter().map(ending).collect::<Vec<_>>(), ["exited 0", "exited 0"]);
        assert_eq!(&stderr(&results[0]).data[..], b"found 73\n");
        assert_eq!(&stderr(&results[1]).data[..], b"right\n");
        assert!(results.iter().all(|result| stdout(result).piped && stdout(result).data.is_empty()));
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_ends_when_its_reader_does() {
    let test = TestRunner::start(1).await;
    let results = test.run_step(step(vec![argv(&["/usr/bin/yes"]), shell("head -n 2")], &[(0, 1)])).await;
    assert_eq!(results.iter().map(ending).collect::<Vec<_>>(), ["signalled 13", "exited 0"]);
    assert_eq!(&stdout(&results[1]).data[..], b"y\ny\n");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_commands_run_together_on_one_slot() {
    let test = TestRunner::start(1).await;
    let commands = (0..8).map(|index| shell(&format!("echo {index}; sleep 0.2"))).collect();
    let begun = Instant::now();
    let results = test.run_step(step(commands, &[])).await;
    for (index, result) in results.iter().enumerate() {
        assert_eq!(
            (ending(result).as_str(), stdout(result).data.clone()),
            ("exited 0", format!("{index}\n").into())
        );
    }
    assert!(begun.elapsed() < Duration::from_secs(4), "one after the other");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_ends_every_command_and_frees_the_slot() {
    let test = TestRunner::start(1).await;
    let cancel = CancellationToken::new();
    let sleeper = Sleeper::new();
    let step_to_cancel =
        step(vec![shell(&format!("echo begun; {sleeper}")), shell(&format!("trap '' TERM; {sleeper}"))], &[]);
    let running = test.runner.run_until(&step_to_cancel, cancel.clone());
    let (results, ()) = tokio::join!(running, async {
        sleeper.runs(2).await;
        cancel.cancel();
    });
    let results = results.unwrap();
    assert_eq!(
        results.iter().map(ending).collect::<Vec<_>>(),
        ["cancelled: cancelled", "cancelled: cancelled"]
    );
    assert_eq!(&stdout(&results[0]).data[..], b"begun\n");
    assert_eq!(ending(&test.run(shell("true")).await), "exited 0");
    let before = CancellationToken::new();
    before.cancel();
    let never = test.runner.run_until(&step(vec![shell("true")], &[]), before).await.unwrap();
    assert!(ending(&never[0]).starts_with("cancelled"));
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_jail_is_our_failure_and_its_slot_recovers() {
    let test = TestRunner::start(1).await;
    let sleeper = Sleeper::new();
    let step_to_lose = step(vec![shell(&sleeper.to_string())], &[]);
    let running = test.runner.run(&step_to_lose);
    let (results, ()) = tokio::join!(running, async {
        sleeper.runs(1).await;
        for jail in jails() {
            rustix::process::kill_process(jail, rustix::process::Signal::KILL).unwrap();
        }
    });
    let outcome = results.unwrap().remove(0).outcome.unwrap();
    assert_eq!(outcome.kind(), v1::OutcomeKind::Infrastructure);
    assert_eq!((outcome.infrastructure_step.as_str(), outcome.code, outcome.signal), ("jail", None, None));
    assert!(
        outcome.infrastructure_detail.contains("killed by signal 9"),
        "{}",
        outcome.infrastructure_detail
    );
    assert_eq!(ending(&test.run(shell("true")).await), "exited 0");
    test.stop().await;
    assert_eq!(cgroups(), Vec::<PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jail_that_died_between_two_commands_is_replaced_unnoticed() {
    let test = TestRunner::start(1).await;
    assert_eq!(ending(&test.run(shell("true")).await), "exited 0");
    cleaned_up().await;
    for jail in jails() {
        let process = rustix::process::pidfd_open(jail, rustix::process::PidfdFlags::empty()).unwrap();
        rustix::process::kill_process(jail, rustix::process::Signal::KILL).unwrap();
        // Readable once it is dead, reaped or not.
        let mut dead = [rustix::event::PollFd::new(&process, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut dead, None).unwrap();
    }
    assert_eq!(ending(&test.run(shell("true")).await), "exited 0");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_command_fits() {
    let test = TestRunner::start(1).await;
    let long = "x".repeat(MAX_ARGUMENT_BYTES - 200);
    let files =
        |count, directory: &str| (0..count).map(|n| format!("/work/{directory}/{n}")).collect::<Vec<_>>();
    let command = v1::Command {
        files_in: files(MAX_FILES_IN, "i").iter().map(|path| file_in(path, inline(path.as_str()))).collect(),
        files_out: files(MAX_FILES_OUT, "o").iter().map(|path| file_out(path)).collect(),
        limits: Some(v1::Limits { pids: Some(64), ..default_limits() }),
        ..argv(&[
            "/bin/sh",
            "-c",
            "cp -r i o; i=0; while [ $i -lt 250 ]; do echo $i > o/$i; i=$((i+1)); done; echo ${#0}",
            &long,
        ])
    };
    let result = test.run(command).await;
    assert_eq!(ending(&result), "exited 0", "{:?}", stderr(&result));
    assert_eq!(stdout(&result).data, format!("{}\n", long.len()));
    assert_eq!(result.files.len(), MAX_FILES_OUT);
    for (index, file) in result.files.iter().enumerate() {
        assert_eq!((file.state(), &file.data), (v1::FileState::Found, &format!("{index}\n").into()));
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_do_not_fit_into_a_report_together_become_blobs() {
    let test = TestRunner::start(1).await;
    let command = v1::Command {
        files_out: (0..100).map(|n| file_out(&format!("/work/{n}"))).collect(),
        ..shell("head -c 65536 /dev/zero > 0; i=1; while [ $i -lt 100 ]; do cp 0 $i; i=$((i+1)); done")
    };
    let result = test.run(command).await;
    assert_eq!(ending(&result), "exited 0");
    let inline = result.files.iter().filter(|file| file.blob.is_empty()).count();
    assert_eq!(inline, 64);
    assert!(
        result.files.iter().all(|file| file.state() == v1::FileState::Found && file.size_bytes == 65_536)
    );
    assert!(result.files.iter().all(|file| file.data.is_empty() != file.blob.is_empty()));
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_told_to_keep_none_makes_no_sandbox_in_advance() {
    let directory = tempfile::tempdir().unwrap();
    let config = EngineConfig { ready: ReadySandboxes::None, ..support::engine_config(directory.path(), 1) };
    let below_its_jails = || {
        let family = census::family(std::process::id());
        let jails: Vec<u32> = jails().into_iter().map(|jail| jail.as_raw_nonzero().get() as u32).collect();
        family.into_iter().filter(|&pid| census::parent_of(pid).is_some_and(|of| jails.contains(&of))).count()
    };
    let without = Runner::start(&config).await.unwrap();
    let only = step(vec![argv(&["true"])], &[]);
    let results = without.run_and_destroy(&only).await.unwrap().results;
    assert_eq!((ending(&results[0]), below_its_jails()), ("exited 0".to_owned(), 0));
    // What was released earlier would have its sandboxes before one released later has.
    let with = TestRunner::start(1).await;
    with.runner.run_and_destroy(&only).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while below_its_jails() == 0 && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(below_its_jails() > 0, "an engine keeps some unless told otherwise");
    with.stop().await;
    assert_eq!(below_its_jails(), 0, "all of them were the other engine's");
    without.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_runs_leave_nothing() {
    let test = TestRunner::start(2).await;
    let with_everything = || v1::Command {
        stdin: Some(inline("in")),
        files_in: vec![file_in("/work/f", inline("f"))],
        files_out: vec![file_out("/work/f")],
        ..shell("cat; sleep 1000 & cat f >&2")
    };
    for _ in 0..10 {
        test.run(with_everything()).await;
    }
    cleaned_up().await;
    let before = (descriptors(), mounts(), jails().len());
    for _ in 0..100 {
        let (one, other) = tokio::join!(test.run(with_everything()), test.run(with_everything()));
        assert_eq!((ending(&one), ending(&other)), ("exited 0".to_owned(), "exited 0".to_owned()));
    }
    cleaned_up().await;
    assert_eq!((descriptors(), mounts(), jails().len()), before);
    test.stop().await;
    assert_eq!((cgroups(), jails().len()), (Vec::<PathBuf>::new(), 0));
}

/// A command that lasts, and that no other test on this machine runs.
struct Sleeper(String);

impl Sleeper {
    fn new() -> Self {
        Self(format!("1{:07}", std::process::id()))
    }

    /// Waits until so many of it run, by whoever.
    async fn runs(&self, count: usize) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.running() < count {
            assert!(Instant::now() < deadline, "it does not run");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn running(&self) -> usize {
        let own = format!("sleep\0{}\0", self.0);
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
        lines.filter(|line| line == own.as_bytes()).count()
    }
}

impl std::fmt::Display for Sleeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "sleep {}", self.0)
    }
}

/// A result does not wait for its clean-up.
async fn cleaned_up() {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !cgroups().is_empty() {
        assert!(Instant::now() < deadline, "left after five seconds: {:?}", cgroups());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn mounts() -> usize {
    std::fs::read_to_string("/proc/self/mountinfo").unwrap().lines().count()
}

/// Children of this process: its jails.
fn jails() -> Vec<rustix::process::Pid> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let lists =
        tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default());
    let pids: Vec<i32> = lists
        .flat_map(|list| list.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>())
        .collect();
    pids.into_iter().filter_map(rustix::process::Pid::from_raw).collect()
}

/// Groups below this worker's own, in every hierarchy, but for those of sandboxes that stand ready.
fn cgroups() -> Vec<PathBuf> {
    let groups = Census::of(std::process::id(), &[]).cgroups;
    let below = |group: &PathBuf| group.parent().is_some_and(|parent| groups.contains(parent));
    groups.iter().filter(|group| below(group)).cloned().collect()
}
