//! `kiln attack` itself: what it says of a service that holds, and that it can say otherwise.

use kiln_tests::cli::kiln;
use kiln_tests::service::Place;
use serde_json::Value;

const HELD: &str =
    "# Tries: something that is refused.\n# Seen: nowhere, a test.\n# Must: be said to be refused.\n";

/// The case of this name in what `--json` printed.
fn case<'said>(said: &'said Value, name: &str) -> &'said Value {
    let cases = said["cases"].as_array().expect("cases");
    cases.iter().find(|case| case["name"] == name).unwrap_or_else(|| panic!("no {name}: {said}"))
}

#[test]
fn a_handful_of_attacks_is_held_by_the_embedded_service() {
    let words =
        ["attack", "--json", "A4-zero", "A9", "B8-unshare", "C1-fork-bomb", "C20-dotdot-name", "D3", "A16"];
    let said = kiln(words).said().exits(0).json();
    assert_eq!(said["failed"], 0, "{said}");
    assert_eq!(said["all_held"], true, "{said}");
    for name in [
        "A4-zero-limits",
        "A9-i386",
        "A9-x32",
        "B8-unshare",
        "C1-fork-bomb",
        "C20-dotdot-name",
        "D3-privileges",
    ] {
        assert_eq!(case(&said, name)["verdict"], "held", "{said}");
    }
    let absent = case(&said, "A16-webhooks");
    assert_eq!(absent["verdict"], "not_applicable", "{said}");
    assert!(absent["reasons"][0].as_str().is_some_and(|why| why.contains("no webhooks")), "{said}");
}

#[test]
fn an_attack_that_gets_through_or_ends_otherwise_is_told_and_exits_1() {
    let place = Place::new();
    let through = place.write(
        "D1-through.sh",
        format!("{HELD}# Case: row=D1 expect=held\nprintf 'ESCAPED: \\033[2J\\n'; exit 66\n"),
    );
    let wrong = place.write("D1-wrong.sh", format!("{HELD}# Case: row=D1 expect=limit:wall\necho HELD\n"));
    let right = place.write("D1-right.sh", format!("{HELD}# Case: row=D1 expect=held\necho HELD\n"));
    let mut words = vec!["attack".to_owned()];
    for path in [&through, &wrong, &right] {
        words.extend(["--case".to_owned(), path.display().to_string()]);
    }
    let said = kiln(words.iter().map(String::as_str).chain(["--json"])).said().exits(1).json();
    assert_eq!((&said["held"], &said["failed"]), (&1.into(), &2.into()), "{said}");
    let why = case(&said, "D1-through")["reasons"].to_string();
    assert!(why.contains("ESCAPED") && why.contains("u{1b}") && !why.contains("\\u001b"), "{why}");
    let why = case(&said, "D1-wrong")["reasons"].to_string();
    assert!(why.contains("expected the wall limit"), "{why}");
    let people = kiln(words).said().exits(1);
    for told in ["D1-through FAILED", "1 held, 2 FAILED, 0 not applicable", "does not hold"] {
        assert!(people.text().contains(told), "{told}: {people}");
    }
    assert!(!people.text().contains('\u{1b}'), "hostile bytes are escaped: {people}");
}

#[test]
fn a_file_that_is_no_case_is_wrong_usage() {
    let place = Place::new();
    let path = place.write("D1-bad.sh", format!("{HELD}# Case: row=D1 expects=held\n"));
    let said = kiln(["attack", "--case", path.to_str().expect("ASCII")]).said().exits(2);
    assert!(said.stderr.contains("expects=held"), "{said}");
}
