//! Which toolchains this host's image has, as findings: each one's version, or how to get it.

use kiln_jail::host::{Finding, Status};

use super::Languages;

/// Debian's and Ubuntu's package for each language of the table; the others come from their makers.
const PACKAGES: [(&str, &str); 36] = [
    ("ada", "gnat"),
    ("assembly", "gcc"),
    ("awk", "gawk"),
    ("bash", "bash"),
    ("c", "gcc libc6-dev"),
    ("clojure", "clojure"),
    ("cobol", "gnucobol"),
    ("cpp", "g++"),
    ("csharp", "mono-mcs"),
    ("d", "ldc"),
    ("elixir", "elixir"),
    ("fortran", "gfortran"),
    ("go", "golang-go"),
    ("haskell", "ghc"),
    ("java", "default-jdk-headless"),
    ("javascript", "nodejs"),
    ("lisp", "sbcl"),
    ("lua", "lua5.4"),
    ("luajit", "luajit"),
    ("nim", "nim"),
    ("ocaml", "ocaml-nox"),
    ("octave", "octave"),
    ("pascal", "fp-compiler"),
    ("perl", "perl"),
    ("php", "php-cli"),
    ("prolog", "swi-prolog-nox"),
    ("pypy", "pypy3"),
    ("python", "python3"),
    ("r", "r-base-core"),
    ("racket", "racket"),
    ("ruby", "ruby"),
    ("rust", "rustc"),
    ("scheme", "guile-3.0"),
    ("sh", "dash"),
    ("sqlite", "sqlite3"),
    ("tcl", "tcl"),
];

/// One per language that the `host` image is asked for.
pub(super) fn findings(languages: &Languages) -> Vec<Finding> {
    languages
        .iter()
        .filter(|(language, _)| language.image == "host")
        .map(|(language, version)| finding(&language.name, version.as_deref()))
        .collect()
}

fn finding(language: &str, version: Option<&str>) -> Finding {
    Finding {
        layer: "toolchains".to_owned(),
        what: language.to_owned(),
        status: if version.is_some() { Status::Ok } else { Status::Advice },
        seen: match version {
            Some("") => "there, and tells no version".to_owned(),
            Some(version) => version.to_owned(),
            None => "absent".to_owned(),
        },
        why_it_matters: format!("{language} programs run only where the image has its tools"),
        fix: if version.is_some() { String::new() } else { install(language) },
    }
}

fn install(language: &str) -> String {
    match PACKAGES.iter().find(|(name, _)| *name == language) {
        Some((_, packages)) => {
            format!("apt-get install --no-install-recommends {packages}, or an image that has it")
        }
        None => format!(
            "install {language} below /usr as its makers say, or import an image that has it (kiln image import)"
        ),
    }
}

#[cfg(test)]
mod tests {
    use kiln_proto::language::Table;

    use super::*;

    #[test]
    fn every_package_is_of_a_language_of_the_table() {
        let table = Table::builtin();
        for (name, _) in PACKAGES {
            assert!(table.by_name(name).is_some(), "{name}");
        }
    }

    #[test]
    fn an_absent_toolchain_comes_with_its_package() {
        let absent = finding("go", None);
        assert!(absent.fix.contains("apt-get install --no-install-recommends golang-go"), "{absent:?}");
        assert!(finding("zig", None).fix.contains("kiln image import"));
        assert_eq!(finding("go", Some("go 1.19")).fix, "");
    }
}
