//! `--explain`: the plan of every command, printed without running anything.

use kiln_tests::cli::kiln;
use kiln_tests::service::Place;

#[test]
fn the_plan_is_printed_and_nothing_runs() {
    let place = Place::new();
    let witness = place.path("witness");
    let script = format!("touch {}", witness.display());
    let said = kiln(["run", "--explain", "--memory", "64M", "--pids", "9", "--", "sh", "-c", &script])
        .said()
        .exits(0);
    let text = said.text();
    assert!(!witness.exists());
    for word in ["argv", "rootfs", "limits", "profile", "/usr", "/work"] {
        assert!(text.contains(word), "{word}: {said}");
    }
    assert!(text.contains("64") && text.contains('9'), "its limits: {said}");
}

#[test]
fn both_steps_of_a_compiled_program_are_explained() {
    let place = Place::new();
    let path = place.write("main.c", "int main(void){return 0;}");
    let said = kiln(["run", "--explain", path.to_str().expect("ASCII")]).said().exits(0);
    assert!(
        said.text().contains("gcc") && said.text().contains("compile") && said.text().contains("run"),
        "{said}"
    );
}

#[test]
fn the_plan_is_there_as_json() {
    let value = kiln(["run", "--explain", "--json", "--", "true"]).said().exits(0).json();
    let text = value.to_string();
    assert!(
        text.contains("\"rootfs\"") && text.contains("\"limits\"") && text.contains("memory_bytes"),
        "{value:#}"
    );
}

#[test]
fn more_disk_than_memory_is_warned_of() {
    let said = kiln(["run", "--explain", "--memory", "32M", "--disk", "64M", "--", "true"]).said().exits(0);
    let all = format!("{}{}", said.text(), said.stderr).to_lowercase();
    assert!(all.contains("disk") && all.contains("memory") && all.contains("warn"), "{said}");
}

/// The same words in both places, whatever the kernel has.
#[test]
fn what_this_kernels_landlock_leaves_to_other_layers_is_said() {
    let doctor = kiln(["doctor", "--json"]).said().json();
    let findings = doctor["findings"].as_array().unwrap_or_else(|| panic!("{doctor:#}"));
    let found = findings.iter().find(|finding| finding["what"] == "Landlock ABI").expect("a finding");
    let seen = found["seen"].as_str().expect("text");
    let (abi, others) = seen.split_once(": held by other layers alone: ").unwrap_or((seen, ""));
    let explained = kiln(["run", "--explain", "--", "true"]).said().exits(0).text();
    let expected = match others {
        "" => "no TCP, no signal or abstract socket to the outside".to_owned(),
        others => format!("this kernel's ABI {abi} leaves to other layers: {others}"),
    };
    assert!(explained.contains(&expected), "{expected}: {explained}");
    let number: i32 = abi.split(';').next().expect("a word").parse().expect("a number");
    assert_eq!(others.is_empty(), number >= 6, "{seen}");
}
