//! Starting and stopping: two engines in one process, a host that cannot, plans, and what languages are found.
#![expect(clippy::unwrap_used, reason = "what is unwrapped here fails the test")]

mod support;

use kiln_proto::language::Table;
use kiln_proto::v1::worker_message::Message as FromWorker;
use kiln_worker::config::JailProgramSource;
use kiln_worker::library::Runner;
use kiln_worker::{EngineError, Worker};
use support::server::TestServer;
use support::{TestRunner, ending, engine_config, shell, start_worker, step, worker_config};

#[tokio::test(flavor = "multi_thread")]
async fn two_engines_in_one_process_do_not_touch_each_other() {
    let first = TestRunner::start(1).await;
    let second = TestRunner::start(1).await;
    let step_of_first = step(vec![shell("sleep 1; echo done")], &[]);
    let (slow, ()) = tokio::join!(first.runner.run(&step_of_first), async {
        assert_eq!(ending(&second.run(shell("true")).await), "exited 0");
        second.stop().await;
    });
    assert_eq!(ending(&slow.unwrap()[0]), "exited 0");
    first.stop().await;
    let group = format!("kiln-{}", std::process::id());
    let left = std::fs::read_dir("/sys/fs/cgroup")
        .unwrap()
        .flatten()
        .filter(|entry| entry.path().join(&group).exists());
    assert_eq!(left.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_no_jail_is_named_as_the_cause() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = engine_config(directory.path(), 1);
    config.jail_program = JailProgramSource::File("/bin/false".into());
    let error = Runner::start(&config).await.unwrap_err();
    let EngineError::Layer { step, detail, .. } = &error else { panic!("{error}") };
    assert_eq!(step, "jail");
    assert!(detail.contains("it exited with 1"), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_layer_is_refused_with_those_there_are() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = engine_config(directory.path(), 1);
    config.allow_missing = vec!["everything".to_owned()];
    let error = Runner::start(&config).await.unwrap_err().to_string();
    assert!(error.contains("everything") && error.contains("landlock"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_says_what_the_jail_will_be_told() {
    let test = TestRunner::start(1).await;
    let wanted = step(vec![shell("true")], &[]);
    let plan = test.runner.plan_of(&wanted.commands[0]).await.unwrap();
    plan.check().unwrap();
    assert_eq!(plan.argv[0], b"/bin/sh");
    assert_eq!(plan.rootfs.parts[0].target, b"/");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn languages_are_found_in_the_sandbox_and_remembered() {
    let mut server = TestServer::start().await;
    let directory = tempfile::tempdir().unwrap();
    let mut config = worker_config(&server.address, directory.path(), 1);
    config.probe_languages = true;
    config.languages = Table::builtin();
    for _ in 0..2 {
        let (worker, _, mut dialogue) = start_worker(&mut server, config.clone()).await;
        let facts =
            dialogue.hear(|message| if let FromWorker::Facts(facts) = message { Some(facts) } else { None });
        let languages = facts.await.languages;
        let version =
            |name: &str| languages.iter().find(|language| language.name == name).map(|l| l.version.clone());
        for name in ["bash", "c", "perl"] {
            assert!(version(name).is_some_and(|version| !version.is_empty()), "{name} of {languages:?}");
        }
        assert!(version("cobol-of-nowhere").is_none());
        worker.stop().await;
    }
    assert!(directory.path().join("languages.toml").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_is_given_up_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    // Nobody listens there: the jails stand, the registration never comes.
    let nowhere = format!("unix:{}", directory.path().join("nowhere").display());
    let group = format!("kiln-{}", std::process::id());
    let left = || {
        let hierarchies = std::fs::read_dir("/sys/fs/cgroup").unwrap().flatten();
        hierarchies.filter(|hierarchy| hierarchy.path().join(&group).exists()).count()
    };
    let becomes = async |wanted: bool| {
        while (left() > 0) != wanted {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    let patience = std::time::Duration::from_secs(20);
    tokio::select! {
        started = Worker::start(worker_config(&nowhere, directory.path(), 1)) => panic!("{:?}", started.err()),
        // Given up at the worst moment: while the trial command runs.
        begun = tokio::time::timeout(patience, becomes(true)) => begun.unwrap(),
    }
    tokio::time::timeout(patience, becomes(false)).await.expect("cgroups are left");
}
