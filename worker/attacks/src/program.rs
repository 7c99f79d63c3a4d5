//! The one program made from all cases in C: `hostile NAME ARGUMENTS...`, embedded as bytes.

/// An ELF executable.
pub const PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/hostile"));

/// The name of the honest neighbour in [`PROGRAM`], which does work with a known result and measures itself.
pub const VICTIM: &str = "victim";

/// The name of an honest program in [`PROGRAM`] that sleeps for as many milliseconds as its argument says.
pub const WAITER: &str = "waiter";

/// How it was linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linkage {
    /// Runs in any image.
    Static,
    /// Runs only in images with the libc of the machine that built Kiln.
    Dynamic,
}

/// How [`PROGRAM`] was linked.
#[must_use]
pub fn linkage() -> Linkage {
    if env!("KILN_HOSTILE_LINKAGE") == "static" { Linkage::Static } else { Linkage::Dynamic }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;
    use std::process::{Command, Output};

    use super::*;

    /// Runs the program outside of any sandbox: only with the honest entry, or with none.
    fn run(arguments: &[&str]) -> Output {
        let mut file =
            tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o700)).tempfile().unwrap();
        file.write_all(PROGRAM).unwrap();
        Command::new(file.into_temp_path().as_os_str()).args(arguments).output().unwrap()
    }

    #[test]
    fn the_victim_gives_the_same_answer_each_time() {
        let sums: Vec<String> = (0..2)
            .map(|_| {
                let text = String::from_utf8(run(&[VICTIM]).stdout).unwrap();
                text.split_whitespace().nth(1).expect("sum").to_owned()
            })
            .collect();
        assert_eq!(sums[0], sums[1]);
    }

    #[test]
    fn an_unknown_name_is_an_error_of_its_own() {
        for arguments in [&[][..], &["no-such-case"]] {
            let output = run(arguments);
            assert_eq!(output.status.code(), Some(2), "{output:?}");
        }
    }
}
