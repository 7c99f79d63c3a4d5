//! The fields of the table's argv words, `{source}` and the like: checked when the table is read, filled in when a job
//! is made. Values are bytes and go into one argv word whole; nothing here is ever read by a shell.

/// Fields that stand for one piece of text each.
const TEXT_FIELDS: [&str; 6] = ["source", "binary", "stem", "main_class", "memory_mib", "heap_mib"];

/// Which phase a template belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Where {
    Compile,
    Run,
}

/// What the fields stand for in one job.
#[derive(Clone, Debug)]
pub(super) struct Values {
    /// Path of the source in the sandbox.
    pub(super) source: Vec<u8>,
    /// Path of what the compile step makes.
    pub(super) binary: Vec<u8>,
    /// Name of the source without directory and ending.
    pub(super) stem: Vec<u8>,
    /// Java class that has `main`, with its package.
    pub(super) main_class: Vec<u8>,
    /// The phase's memory limit.
    pub(super) memory_bytes: u64,
}

impl Where {
    pub(super) fn table(self) -> &'static str {
        match self {
            Where::Compile => "compile",
            Where::Run => "run",
        }
    }

    pub(super) fn profile(self) -> &'static str {
        match self {
            Where::Compile => "build",
            Where::Run => "default",
        }
    }
}

/// Refuses a word with an unknown field, or `{args}` where it cannot stand.
pub(super) fn check(word: &str, place: Where) -> Result<(), String> {
    if word.contains('\0') {
        return Err("holds a NUL byte".to_owned());
    }
    if word == "{args}" {
        return match place {
            Where::Run => Ok(()),
            Where::Compile => Err("{args} is for the run phase".to_owned()),
        };
    }
    for (_, field) in pieces(word)? {
        match field {
            Some("args") => return Err("{args} must be a word of its own".to_owned()),
            Some(field) if !TEXT_FIELDS.contains(&field) => {
                let known = TEXT_FIELDS.map(|name| format!("{{{name}}}")).join(", ");
                return Err(format!("unknown field {{{field}}}; known are {known} and {{args}}"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The argv of one command. The program's arguments stand where `{args}` does, else at the end of a run command.
pub(super) fn fill(argv: &[String], place: Where, values: &Values, args: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut filled = Vec::with_capacity(argv.len() + args.len());
    for word in argv {
        match word.as_str() {
            "{args}" => filled.extend_from_slice(args),
            word => filled.push(fill_word(word, values)),
        }
    }
    if place == Where::Run && !argv.iter().any(|word| word == "{args}") {
        filled.extend_from_slice(args);
    }
    filled
}

fn fill_word(word: &str, values: &Values) -> Vec<u8> {
    let mut filled = Vec::new();
    for (text, field) in pieces(word).expect("templates are checked when the table is read") {
        filled.extend_from_slice(text.as_bytes());
        match field {
            Some("source") => filled.extend_from_slice(&values.source),
            Some("binary") => filled.extend_from_slice(&values.binary),
            Some("stem") => filled.extend_from_slice(&values.stem),
            Some("main_class") => filled.extend_from_slice(&values.main_class),
            Some("memory_mib") => filled.extend_from_slice(mib(values.memory_bytes).to_string().as_bytes()),
            Some("heap_mib") => {
                filled.extend_from_slice(heap_mib(values.memory_bytes).to_string().as_bytes())
            }
            _ => {}
        }
    }
    filled
}

/// Each piece is plain text and the field after it.
fn pieces(word: &str) -> Result<Vec<(&str, Option<&str>)>, String> {
    let mut pieces = Vec::new();
    let mut rest = word;
    while let Some(open) = rest.find('{') {
        let close = rest[open..].find('}').ok_or("'{' without '}'")? + open;
        pieces.push((&rest[..open], Some(&rest[open + 1..close])));
        rest = &rest[close + 1..];
    }
    pieces.push((rest, None));
    Ok(pieces)
}

fn mib(bytes: u64) -> u64 {
    (bytes >> 20).max(1)
}

/// What a garbage-collected heap may take, so that the runtime reports its own memory error before the limit strikes:
/// code cache, metaspace, thread stacks and buffers need about a quarter, and never less than 96 MiB.
fn heap_mib(memory_bytes: u64) -> u64 {
    let memory = mib(memory_bytes);
    memory.saturating_sub((memory / 4).max(96)).max(16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        Values {
            source: b"/work/a b.py".to_vec(),
            binary: b"/work/program".to_vec(),
            stem: b"a b".to_vec(),
            main_class: b"pkg.Main".to_vec(),
            memory_bytes: 512 << 20,
        }
    }

    fn filled(argv: &[&str], place: Where) -> Vec<String> {
        let argv: Vec<String> = argv.iter().map(ToString::to_string).collect();
        let args = [b"one".to_vec(), b"$(two)".to_vec()];
        fill(&argv, place, &values(), &args)
            .into_iter()
            .map(|word| String::from_utf8(word).unwrap())
            .collect()
    }

    #[test]
    fn fields_fill_one_word_each_and_arguments_stand_where_asked_or_last() {
        assert_eq!(filled(&["py", "{source}"], Where::Run), ["py", "/work/a b.py", "one", "$(two)"]);
        assert_eq!(filled(&["r", "{args}", "--", "{stem}"], Where::Run), ["r", "one", "$(two)", "--", "a b"]);
        assert_eq!(
            filled(&["cc", "-o{binary}", "{source}"], Where::Compile),
            ["cc", "-o/work/program", "/work/a b.py"]
        );
        assert_eq!(filled(&["-Xmx{heap_mib}m/{memory_mib}"], Where::Compile), ["-Xmx384m/512"]);
        assert_eq!(filled(&["{main_class}"], Where::Compile), ["pkg.Main"]);
    }

    #[test]
    fn a_heap_leaves_room_and_is_never_nothing() {
        for (memory_mib, heap) in [(1, 16), (64, 16), (128, 32), (256, 160), (512, 384), (4096, 3072)] {
            assert_eq!(heap_mib(memory_mib << 20), heap, "{memory_mib} MiB");
        }
    }
}
