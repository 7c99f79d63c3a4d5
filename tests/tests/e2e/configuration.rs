//! Configuration: unknown keys and nonsense are refused by name; what is resolved can be printed.

use kiln_tests::cli::kiln;
use kiln_tests::service::Place;

#[test]
fn a_good_file_passes_and_is_printed_resolved() {
    let place = Place::new();
    let path = place.write("kiln.toml", "[worker]\nslots = 3\n[limits.default]\nmemory = \"96MiB\"\n");
    let path = path.to_str().expect("ASCII");
    kiln(["config", "check", "--config", path]).said().exits(0);
    let printed = kiln(["config", "print", "--config", path]).said().exits(0);
    let text = printed.text();
    assert!(text.contains("slots = 3") && text.contains("96"), "{printed}");
    assert!(text.contains("[server]") && text.contains("listen"), "defaults are printed too: {printed}");
    let value: toml::Value =
        toml::from_str(&text).unwrap_or_else(|error| panic!("printed TOML: {error}\n{text}"));
    assert!(value.get("worker").is_some());
}

#[test]
fn what_is_printed_is_a_good_file_itself() {
    let place = Place::new();
    let printed = kiln(["config", "print"]).said().exits(0);
    let path = place.write("printed.toml", printed.text());
    kiln(["config", "check", "--config", path.to_str().expect("ASCII")]).said().exits(0);
}

#[test]
fn bad_files_are_refused_with_the_key_named() {
    let place = Place::new();
    let cases = [
        ("unknown key", "[server]\nlissten = []\n", "lissten"),
        ("unknown section", "[sever]\n", "sever"),
        ("wrong type", "[worker]\nslots = \"three\"\n", "slots"),
        ("zero", "[worker]\nslots = 0\n", "slots"),
        ("an address that leaves the machine", "[server]\nlisten = [\"0.0.0.0:7000\"]\n", "listen"),
        ("relative socket", "[server]\nlisten = [\"unix:relative\"]\n", "listen"),
        ("default above maximum", "[limits.default]\ncpu = \"2h\"\n[limits.maximum]\ncpu = \"1h\"\n", "cpu"),
        ("zero limit", "[limits.default]\ncpu = \"0s\"\n", "cpu"),
        ("not a unit", "[limits.maximum]\nmemory = \"12 parsecs\"\n", "memory"),
        ("unknown limit", "[limits.maximum]\ngpu = 3\n", "gpu"),
        ("a language without a name", "[[language]]\nextensions = [\"x\"]\n", "name"),
        ("not TOML", "[server\n", "TOML"),
    ];
    for (what, text, names) in cases {
        let path = place.write("bad.toml", text);
        let said = kiln(["config", "check", "--config", path.to_str().expect("ASCII")]).said();
        assert_ne!(said.code, 0, "{what}: {said}");
        assert!(said.stderr.contains(names), "{what} names {names}: {said}");
        assert!(said.stderr.contains("bad.toml"), "{what} names the file: {said}");
    }
    let missing = kiln(["config", "check", "--config", "/no/such/kiln.toml"]).said();
    assert!(missing.code != 0 && missing.stderr.contains("/no/such/kiln.toml"), "{missing}");
}

#[test]
fn an_operators_language_runs() {
    let place = Place::new();
    let table = "[[language]]\nname = \"shout\"\nextensions = [\"shout\"]\nsource = \"main.shout\"\ntools = [\"tr\"]\n\
                 version = [\"tr\", \"--version\"]\n[language.run]\nargv = [\"tr\", \"a-z\", \"A-Z\"]\n";
    let config = place.write("kiln.toml", table);
    let program = place.write("program.shout", "ignored");
    let words = ["run", "--config", config.to_str().expect("ASCII"), program.to_str().expect("ASCII")];
    let said = kiln(words).stdin("quiet\n").said().exits(0);
    assert_eq!(said.text(), "QUIET\n");
}

#[test]
fn a_server_refuses_to_listen_beyond_the_machine() {
    let said = kiln(["server", "--listen", "0.0.0.0:0"]).said();
    assert_ne!(said.code, 0, "{said}");
    assert!(said.stderr.contains("loopback"), "{said}");
}
