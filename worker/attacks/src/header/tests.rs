use proptest::prelude::*;

use super::*;

const ABOUT: &str = "// Tries: something hostile.\n// Seen: somewhere, 2024.\n// Must: be refused there.\n";

/// A case whose fourth line says this.
fn case(line: &str) -> Result<Case, HeaderError> {
    read("B8-x", "c", format!("{ABOUT}// Case: {line}\nint main(void) {{ return 0; }}\n").leak())
}

#[test]
fn every_key_is_read() {
    let case = case(
        "row=B8 expect=forbidden:unshare,i386:getpid|limit:wall args=x,{canary_file},pid={service_pid}! \
         limits=wall:1s,pids:8 profile=strict takes=/work/out:not_regular,/work/b:any needs=gcc,g++ layer=landlock twice",
    )
    .unwrap();
    assert_eq!(case.about.tries, "something hostile.");
    assert_eq!(case.row.to_string(), "B8");
    let calls = vec!["unshare".to_owned(), "i386:getpid".to_owned()];
    let wall = kiln_proto::model::LimitName::Wall;
    assert_eq!(case.expect, [Expectation::Forbidden(calls), Expectation::Limit(wall)]);
    assert_eq!(
        (case.limits.wall_ms, case.limits.pids, case.limits.cpu_ms),
        (Some(1_000), Some(8), Some(3_000))
    );
    assert_eq!((case.profile, case.runs, case.at_start), ("strict", Runs::Twice, false));
    assert_eq!(case.takes[0], Take { path: "/work/out".to_owned(), state: Some(FileState::NotRegular) });
    assert_eq!(case.takes[1].state, None);
    assert_eq!(case.needs, ["gcc", "g++"]);
    assert_eq!(case.layers, [Layer::Landlock]);
    let targets = crate::Targets {
        canary_file: "/tmp/c/secret".into(),
        canary_port: 1,
        canary_abstract: "a".to_owned(),
        canary_secret: "s".to_owned(),
        service_pid: 42,
        service_socket: "/s".to_owned(),
    };
    assert_eq!(case.arguments(&targets), ["x", "/tmp/c/secret", "pid=42!"]);
}

#[test]
fn a_forbidden_call_alone_needs_the_filter() {
    assert_eq!(case("row=B8 expect=forbidden:unshare start").unwrap().layers, [Layer::Seccomp]);
    assert_eq!(case("row=B8 expect=held").unwrap().layers, []);
}

#[test]
fn what_is_wrong_is_named() {
    for (line, named) in [
        ("expect=held", "row= is required"),
        ("row=B8", "expect= is required"),
        ("row=B8 expect=held row=B8", "row is said twice"),
        ("row=B8 expect=held memory=64M", "\"memory=64M\" is no key"),
        ("row=B8 expect=held busy", "\"busy\" is no key"),
        ("row=B8 expect=held twice=1", "\"twice=1\" is no key"),
        ("row=B8 expect=held row", "\"row\" is no key"),
        ("row=Z1 expect=held", "row="),
        ("row=B9 expect=held", "does not begin with its row"),
        ("row=B8 expect=", "none of held"),
        ("row=B8 expect=held:1", "none of held"),
        ("row=B8 expect=exit:256", "0 to 255"),
        ("row=B8 expect=exit:-1", "0 to 255"),
        ("row=B8 expect=signal:11", "no signal"),
        ("row=B8 expect=limit:disk", "no limit that stops"),
        ("row=B8 expect=forbidden:", "names of calls"),
        ("row=B8 expect=forbidden:arm:getpid", "names of calls"),
        ("row=B8 expect=held args={canary}", "no such placeholder"),
        ("row=B8 expect=held args={canary_file", "a brace is open"),
        ("row=B8 expect=held args=canary_file}", "was not open"),
        ("row=B8 expect=held args=a,,b", "a word is empty"),
        ("row=B8 expect=held limits=wall", "limits="),
        ("row=B8 expect=held profile=loose", "none of strict"),
        ("row=B8 expect=held takes=/work/a", "not PATH:STATE"),
        ("row=B8 expect=held takes=a:any", "not absolute"),
        ("row=B8 expect=held takes=/a:gone", "the state is none"),
        ("row=B8 expect=held needs=/bin/gcc", "bare name"),
        ("row=B8 expect=held layer=chroot", "none of landlock"),
        ("row=B8 expect=held twice beside", "exclude each other"),
        ("row=B8 expect=held start twice", "run once"),
        ("row=B8 expect=held start args={canary_file}", "no canaries yet"),
        ("row=B8 expect=held start needs=gcc", "no program of the image"),
    ] {
        let error = case(line).expect_err(line).to_string();
        assert!(error.contains(named), "{line}: {error}");
    }
}

#[test]
fn every_line_must_be_there_in_its_order() {
    let good = format!("{ABOUT}// Case: row=B8 expect=held\n");
    for missing in 0..4 {
        let text: Vec<&str> =
            good.lines().enumerate().filter(|(n, _)| *n != missing).map(|(_, line)| line).collect();
        assert!(read("B8-x", "c", text.join("\n").leak()).is_err(), "line {missing}");
    }
    let short = good.replace("something hostile.", "it.");
    assert_eq!(read("B8-x", "c", short.leak()), Err(HeaderError::Text { line: 1, word: "Tries:" }));
}

#[test]
fn names_are_a_row_and_a_slug() {
    let good: &'static str = format!("{ABOUT}// Case: row=B8 expect=held\n").leak();
    for name in ["B8", "B8-", "B8-Big", "B8-a_b", "B81-x", "x"] {
        assert!(read(name, "c", good).is_err(), "{name}");
    }
    assert!(matches!(read("B8-x", "rs", good), Err(HeaderError::Ending { .. })));
    let python: &'static str = good.replace("//", "#").leak();
    assert_eq!(
        read("B8-x", "py", python).map(|case| case.language),
        Ok(Language::Interpreted(Interpreter::Python))
    );
    let start: &'static str = python.replace("=held", "=held start").leak();
    assert!(matches!(read("B8-x", "py", start), Err(HeaderError::Start { .. })));
}

proptest! {
    /// Whatever a line says, it is read or refused, and never half read.
    #[test]
    fn no_line_breaks_the_reader(line in "[ -~]{0,80}") {
        let _either = case(&line);
    }

    #[test]
    fn no_value_breaks_the_reader(key in "row|expect|args|limits|profile|takes|needs|layer", value in "[!-~é]{0,40}") {
        let read = case(&format!("row=B8 expect=held {key}={value}"));
        if key == "row" || key == "expect" {
            prop_assert!(read.is_err());
        }
    }

    #[test]
    fn what_is_read_was_written(pids in 1_u64..1_000, wall in 1_u64..100_000, code in 0_u8..=255) {
        let case = case(&format!("row=B8 expect=exit:{code} limits=pids:{pids},wall:{wall}ms")).unwrap();
        prop_assert_eq!(case.limits.pids, Some(pids));
        prop_assert_eq!(case.limits.wall_ms, Some(wall));
        prop_assert_eq!(case.expect, vec![Expectation::Exit(i32::from(code))]);
    }
}
