//! Profiles of the operator's: read and checked with the configuration, taken by the server, kept by the worker's jails.

use kiln_proto::v1::{CommandResult, GetCapabilitiesRequest, JobVerdict, OutcomeKind, SubmitRequest};
use kiln_tests::api::{Api, assert_names_field, describe};
use kiln_tests::cli::kiln;
use kiln_tests::service::{Options, Place, Service, Up};
use kiln_tests::spec::sh;
use kiln_tests::verdict::{assert_verdict, assert_wrote, step};

/// As default, but no directory can be made.
const NO_DIRECTORIES: &str = r#"{
  "about": "a test", "inherits": "default",
  "rules": [{"calls": ["mkdir", "mkdirat"], "answer": {"error": "EPERM"}, "reason": "a test"}]
}"#;
/// Inherits nothing: what a statically linked or dynamic `true` needs, and no more.
const BARE: &str = r#"{
  "about": "a test",
  "rules": [{"calls": ["read", "write", "execve", "exit_group", "brk", "mmap", "mprotect", "munmap", "arch_prctl",
    "openat", "open", "access", "faccessat", "newfstatat", "fstat", "close", "pread64", "set_tid_address", "set_robust_list", "rseq", "prlimit64",
    "getrandom", "rt_sigaction", "getpid", "getppid", "getuid", "geteuid", "getgid", "getegid", "readlink", "readlinkat", "getcwd", "uname", "futex"],
    "answer": "allow", "reason": "a test"}]
}"#;

/// Writes policies and says what the configuration says of them.
fn configured(place: &Place, profiles: &[(&str, &str, &str)]) -> Options {
    let mut options = Options::default();
    for (name, policy, writes) in profiles {
        let file = place.write(&format!("{name}.json"), policy);
        options = options
            .config(&format!("[profiles.{name}]\nfile = \"{}\"\nwrites = \"{writes}\"", file.display()));
    }
    options
}

fn stderr(result: &CommandResult) -> String {
    let bytes = result.stderr.as_ref().map(|output| output.data.to_vec()).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_profile_decides_about_calls_and_writing() {
    let place = Place::new();
    let profiles =
        [("closed", NO_DIRECTORIES, "work"), ("open", NO_DIRECTORIES, "root"), ("bare", BARE, "work")];
    let options = configured(&place, &profiles);
    let _up = Service::up(&place, &options);
    let mut api = Api::connect(&place.address()).await;
    let told = api.jobs.get_capabilities(GetCapabilitiesRequest {}).await.expect("served").into_inner();
    assert_eq!(told.profiles, ["strict", "default", "build", "bare", "closed", "open"]);
    assert_eq!(told.workers[0].profiles, ["bare", "closed", "open"]);

    // How the root is mounted: whether anything outside of the command's directories can be changed at all.
    let script = "mkdir /work/x; awk '$2 == \"/\" {print substr($4, 1, 2)}' /proc/self/mounts";
    for (profile, mounted) in [("closed", "ro\n"), ("open", "rw\n")] {
        let result = api.run_one(sh(script).profile(profile).job()).await;
        assert_wrote(&result, mounted);
        assert!(stderr(&result).contains("Operation not permitted"), "{profile}: {}", stderr(&result));
    }
    let default = api.run_one(sh("mkdir /work/x && echo made").profile("default").job()).await;
    assert_wrote(&default, "made\n");
}

/// A profile that inherits nothing still names what only exploits do.
#[tokio::test(flavor = "multi_thread")]
async fn what_only_exploits_do_is_named_below_a_profile_that_inherits_nothing() {
    let place = Place::new();
    let _up = Service::up(&place, &configured(&place, &[("bare", BARE, "work")]));
    let api = Api::connect(&place.address()).await;
    let fine = api.run_one(sh("echo fine").profile("bare").job()).await;
    assert_wrote(&fine, "fine\n");
    let chroot = api
        .run_one(kiln_tests::spec::cmd(["/usr/sbin/chroot", "/", "/bin/true"]).profile("bare").job())
        .await;
    let outcome = chroot.outcome.expect("one");
    assert_eq!(
        (outcome.kind(), outcome.syscall.as_str()),
        (OutcomeKind::Forbidden, "chroot"),
        "{}",
        outcome.sentence
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_that_is_not_configured_is_refused_with_those_that_are() {
    let place = Place::new();
    let _server = Service::server(&place, &configured(&place, &[("mine", NO_DIRECTORIES, "work")]));
    let mut api = Api::connect(&place.address()).await;
    let spec = sh("true").profile("yours").job();
    let submitted = api.jobs.submit(SubmitRequest { spec: Some(spec.clone()), ..Default::default() }).await;
    for status in [api.try_run(spec).await.expect_err("unknown"), submitted.expect_err("unknown")] {
        assert_names_field(&status, "steps[0].commands[0].profile");
        let told = describe(&status);
        for name in ["yours", "strict", "default", "build", "mine"] {
            assert!(told.contains(name), "{name} in {told}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_the_profile_says_so_and_gets_it_only_where_nobody_has_it() {
    let place = Place::new();
    let options = configured(&place, &[("mine", NO_DIRECTORIES, "work")]);
    let _server = Service::server(&place, &options);
    let _plain = Service::worker(&place, "plain", &Options::slots(2));
    let api = Api::connect(&place.address()).await;
    let job = api.run(sh("echo ran").profile("mine").job()).await.job;
    assert_verdict(&job, JobVerdict::Infrastructure);
    let outcome = step(&job, "main").commands[0].outcome.clone().expect("one");
    assert!(outcome.infrastructure_detail.contains("no profile \"mine\""), "{outcome:?}");

    let _equipped = Service::worker(&place, "equipped", &Options { slots: 1, ..options });
    for _ in 0..4 {
        let job = api.run(sh("echo ran").profile("mine").job()).await.job;
        assert_eq!((job.verdict(), step(&job, "main").worker.as_str()), (JobVerdict::Succeeded, "equipped"));
    }
}

#[test]
fn a_policy_that_does_not_hold_stops_the_configuration_with_file_rule_and_call() {
    let place = Place::new();
    let rule = |rule: &str| format!(r#"{{"about": "a", "inherits": "strict", "rules": [{rule}]}}"#);
    let table = [
        (
            rule(r#"{"calls": ["opne"], "answer": "allow", "reason": "r"}"#),
            "bad.json: rule 1: no system call is called \"opne\"",
        ),
        (
            rule(r#"{"calls": ["mount"], "answer": "allow", "reason": "r"}"#),
            "rule 1: allows \"mount\", which no profile may allow",
        ),
        (
            rule(
                r#"{"calls": ["clone"], "when": [{"argument": 0, "has_any": ["CLONE_NEWUSER"]}], "answer": "allow", "reason": "r"}"#,
            ),
            "rule 1: allows \"clone\" with CLONE_NEWUSER as argument 0",
        ),
        (rule(r#"{"calls": ["read"], "answer": "allow"}"#), "missing field `reason`"),
        ("{}".to_owned(), "missing field `about`"),
        (r#"{"about": "a", "rules": []}"#.to_owned(), "does not allow \"read\""),
        (r#"{"about": "a", "inherits": "mine", "rules": []}"#.to_owned(), "inherits \"mine\"; allowed are"),
    ];
    // Beside the configuration, so that a relative path finds it.
    let config = place.write("kiln.toml", "[profiles.mine]\nfile = \"bad.json\"\n");
    for (policy, named) in table {
        place.write("bad.json", &policy);
        for words in [&["config", "check"][..], &["run", "--profile", "mine", "--", "true"]] {
            let words = [&["--config", config.to_str().expect("ASCII")], words].concat();
            let said = kiln(words).said().exits(2);
            assert!(said.stderr.contains("kiln.toml: profiles.mine.file: "), "{said}");
            assert!(said.stderr.contains(named), "{named}: {said}");
        }
    }
}

#[test]
fn a_profile_is_run_explained_and_printed() {
    let place = Place::new();
    place.write("own.json", NO_DIRECTORIES);
    let config = place.write("kiln.toml", "[profiles.own]\nfile = \"own.json\"\nwrites = \"root\"\n");
    let config = config.to_str().expect("ASCII");
    let run = |words: &[&str]| kiln([&["run", "--config", config], words].concat()).said();
    let said = run(&["--quiet", "--profile", "own", "--", "sh", "-c", "mkdir x; echo done"]).exits(0);
    assert!(said.text() == "done\n" && said.stderr.contains("not permitted"), "{said}");
    let explained = run(&["--explain", "--profile", "own", "--", "true"]).exits(0).text();
    assert!(
        explained.contains("profile  own\n") && explained.contains("calls of profile own"),
        "{explained}"
    );
    assert!(explained.contains("write anywhere in the throwaway root"), "{explained}");
    for words in
        [&["--profile", "other", "--", "true"][..], &["--explain", "--profile", "other", "--", "true"]]
    {
        let refused = run(words).exits(2);
        assert!(
            refused.stderr.contains("\"other\"; must be \"strict\", \"default\", \"build\" or \"own\""),
            "{refused}"
        );
    }
    let printed = kiln(["config", "print", "--config", config]).said().exits(0).text();
    assert!(printed.contains("[profiles.own]") && printed.contains("writes = \"root\""), "{printed}");
    let again = place.write("elsewhere/printed.toml", &printed);
    kiln(["config", "check", "--config", again.to_str().expect("ASCII")]).said().exits(0);
}

/// The sample of `deploy/` in use: asynchronous I/O, which no built-in profile has.
#[tokio::test(flavor = "multi_thread")]
async fn the_sample_profile_allows_what_it_is_for() {
    let sample = kiln_tests::binary::repository().join("deploy/profiles/database.json");
    let options = Options::default().config(&format!("[profiles.database]\nfile = \"{}\"", sample.display()));
    let up = Up::start(&options);
    let api = Api::connect(&up.address()).await;
    // io_setup(2) of one event into a null pointer: EFAULT where the call exists, ENOSYS where it does not.
    let program = "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n\
                   n = 206 if os.uname().machine == 'x86_64' else 0\n\
                   libc.syscall(n, 1, 0)\nprint(ctypes.get_errno())";
    for (profile, errno) in [("database", "14\n"), ("default", "38\n")] {
        let result = api
            .run_one(kiln_tests::spec::cmd(["/usr/bin/python3", "-c", program]).profile(profile).job())
            .await;
        assert_wrote(&result, errno);
    }
}

#[test]
fn an_operators_language_runs_below_an_operators_profile() {
    let place = Place::new();
    place.write("own.json", NO_DIRECTORIES);
    let table = "[profiles.own]\nfile = \"own.json\"\n[[language]]\nname = \"script\"\nextensions = [\"script\"]\n\
                 source = \"main.script\"\ntools = [\"sh\"]\nversion = [\"true\"]\n[language.run]\nargv = [\"sh\", \"{source}\"]\n";
    let config = place.write("kiln.toml", format!("{table}profile = \"own\"\n"));
    let program = place.write("a.script", "mkdir x || echo refused\n");
    let words =
        ["run", "--quiet", "--config", config.to_str().expect("ASCII"), program.to_str().expect("ASCII")];
    assert_eq!(kiln(words).said().exits(0).text(), "refused\n");
    place.write("kiln.toml", format!("{table}profile = \"other\"\n"));
    let said = kiln(words).said().exits(2);
    assert!(said.stderr.contains("\"other\"; must be"), "{said}");
}
