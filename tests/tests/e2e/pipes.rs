//! Commands of one step joined by pipes: one way, both ways, and what happens when one of them ends.

use kiln_proto::v1::{JobVerdict, LimitName};
use kiln_tests::api::Api;
use kiln_tests::binary::repository;
use kiln_tests::service::{Options, Up};
use kiln_tests::spec::{after, cmd, file_of, inline, job, piped, python, sh, step};
use kiln_tests::verdict::{Ended, assert_ended, assert_verdict, command, evidence, stderr, stdout};

const GUESSER: &str = "import sys
low, high, tries = 1, 1000000, 0
while True:
    guess = (low + high) // 2
    tries += 1
    print(guess, flush=True)
    answer = input()
    if answer == 'right': break
    if answer == 'low': low = guess + 1
    else: high = guess - 1
print('found', guess, 'in', tries, file=sys.stderr)";

const JUDGE: &str = "import sys
secret = 271828
for tries in range(1, 100):
    guess = int(input())
    print('right' if guess == secret else 'low' if guess < secret else 'high', flush=True)
    if guess == secret: break
print('guessed after', tries, file=sys.stderr)";

#[tokio::test(flavor = "multi_thread")]
async fn two_programs_talk_both_ways_also_on_a_worker_of_one_slot() {
    let up = Up::start(&Options::slots(1));
    let api = Api::connect(&up.address()).await;
    let players = [python(GUESSER).name("guesser"), python(JUDGE).name("judge")];
    let spec = job([piped(step("play", players), &[("guesser", "judge"), ("judge", "guesser")])]);
    let played = api.run(spec).await.job;
    assert_verdict(&played, JobVerdict::Succeeded);
    let guesser = command(&played, "play", "guesser");
    let judge = command(&played, "play", "judge");
    assert!(stderr(guesser).starts_with("found 271828 in "), "{guesser:#?}");
    assert!(stderr(judge).starts_with("guessed after "), "{judge:#?}");
    for player in [guesser, judge] {
        assert_ended(player, Ended::Exited(0));
        assert!(
            player.stdout.as_ref().is_some_and(|output| output.piped),
            "piped stdout is marked: {player:#?}"
        );
        assert!(
            player.usage.as_ref().is_some_and(|usage| usage.wall_us > Some(0)),
            "each is measured: {player:#?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guessing_game_of_the_examples_is_played_and_both_are_reported() {
    let up = Up::start(&Options::slots(1));
    let api = Api::connect(&up.address()).await;
    let folder = repository().join("examples/guess");
    let read =
        |name: &str| std::fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let compile = cmd(["g++", "-O1", "-o", "/work/player", "/work/player.cpp"])
        .file("/work/player.cpp", inline(read("player.cpp")))
        .profile("build")
        .limits(|limits| limits.memory_bytes = Some(1 << 30))
        .wants("/work/player")
        .step("compile");
    let players = [
        cmd(["/work/player"]).name("player").program("/work/player", file_of("compile", "/work/player")),
        cmd(["/usr/bin/python3", "/work/interactor.py"])
            .name("interactor")
            .file("/work/interactor.py", inline(read("interactor.py"))),
    ];
    let play = piped(step("play", players), &[("player", "interactor"), ("interactor", "player")]);
    let played = api.run(job([compile, after(&["compile"], play)])).await.job;
    assert_verdict(&played, JobVerdict::Succeeded);
    for name in ["player", "interactor"] {
        let expected = String::from_utf8(read(&format!("{name}.expected.txt"))).expect("UTF-8");
        assert_eq!(stderr(command(&played, "play", name)), expected, "{played:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_carries_megabytes_whole() {
    let up = Up::start(&Options::slots(1));
    let api = Api::connect(&up.address()).await;
    let commands = [
        cmd(["head", "-c", "20000000", "/dev/zero"]).name("make"),
        cmd(["tr", "\\0", "x"]).name("change"),
        cmd(["wc", "-c"]).name("count"),
    ];
    let spec = job([piped(step("pipeline", commands), &[("make", "change"), ("change", "count")])]);
    let done = api.run(spec).await.job;
    assert_verdict(&done, JobVerdict::Succeeded);
    assert_eq!(stdout(command(&done, "pipeline", "count")), "20000000\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reader_sees_the_end_and_the_writer_sees_the_broken_pipe() {
    let up = Up::start(&Options::slots(2));
    let api = Api::connect(&up.address()).await;
    let commands = [sh("echo last words").name("brief"), sh("cat; echo eof").name("reader")];
    let done = api.run(job([piped(step("s", commands), &[("brief", "reader")])])).await.job;
    assert_eq!(stdout(command(&done, "s", "reader")), "last words\neof\n");
    let commands = [cmd(["yes"]).name("writer"), cmd(["head", "-n", "1"]).name("reader")];
    let done = api.run(job([piped(step("s", commands), &[("writer", "reader")])])).await.job;
    assert_eq!(stdout(command(&done, "s", "reader")), "y\n");
    assert_ended(command(&done, "s", "writer"), Ended::Signalled(13));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_stopped_by_a_limit_leaves_the_other_to_see_the_end() {
    let up = Up::start(&Options::slots(2));
    let api = Api::connect(&up.address()).await;
    let spin = sh("echo one; while :; do :; done").name("spin").limits(|limits| limits.cpu_ms = Some(300));
    let commands = [spin, cmd(["cat"]).name("reader")];
    let done = api.run(job([piped(step("s", commands), &[("spin", "reader")])])).await.job;
    assert_ended(command(&done, "s", "spin"), Ended::Limit(LimitName::Cpu));
    assert_eq!(stdout(command(&done, "s", "reader")), "one\n");
    assert_ended(command(&done, "s", "reader"), Ended::Exited(0));
    assert_verdict(&done, JobVerdict::Limit);
}

#[tokio::test(flavor = "multi_thread")]
async fn players_that_wait_for_each_other_are_ended_by_wall_and_seen_as_idle() {
    let up = Up::start(&Options::slots(2));
    let api = Api::connect(&up.address()).await;
    let wait = |name: &str| python("input()").name(name).limits(|limits| limits.wall_ms = Some(700));
    let spec = job([piped(step("s", [wait("a"), wait("b")]), &[("a", "b"), ("b", "a")])]);
    let done = api.run(spec).await.job;
    let results = ["a", "b"].map(|name| command(&done, "s", name));
    // The one that is stopped first closes the other's pipe, which then ends in its own way.
    assert!(
        results.iter().any(|r| kiln_tests::verdict::ended(r) == Ended::Limit(LimitName::Wall)),
        "{done:#?}"
    );
    assert!(results.iter().all(|r| evidence(r).busy_millis.is_none_or(|busy| busy < 500)), "{done:#?}");
    assert_verdict(&done, JobVerdict::Limit);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_of_a_step_have_sandboxes_of_their_own() {
    let up = Up::start(&Options::slots(1));
    let api = Api::connect(&up.address()).await;
    let program = "echo $1 > /tmp/mine; sleep 0.5; cat /tmp/mine; ls /proc | grep -c '^[0-9]'";
    let one = |name: &str| {
        let mut command = sh(program).name(name).stdin(inline(""));
        command
            .0
            .argv
            .extend([bytes::Bytes::from_static(b"sh"), bytes::Bytes::copy_from_slice(name.as_bytes())]);
        command
    };
    let done = api.run(job([step("s", [one("first"), one("second")])])).await.job;
    for name in ["first", "second"] {
        let said = stdout(command(&done, "s", name));
        let mut lines = said.lines();
        assert_eq!(lines.next(), Some(name), "each sees its own file: {said}");
        let processes: usize = lines.next().and_then(|count| count.parse().ok()).expect("a count");
        assert!(processes <= 6, "each sees its own processes only: {said}");
    }
}
