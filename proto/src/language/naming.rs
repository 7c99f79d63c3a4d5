//! How a source file is called in the sandbox, and which Java class is started.
//!
//! `javac` demands that a public class stands in a file of its own name, so a little of Java is read here: enough to
//! skip comments and literals and to find types at the outermost level. The text is never trusted to be Java.

use super::{Language, SourceName};

/// A source's name in the sandbox, and the class that a Java program starts with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) file: Vec<u8>,
    pub(super) main_class: Vec<u8>,
}

/// Names a source. `text` is absent when the content is a blob.
pub(super) fn name(language: &Language, client_name: &[u8], text: Option<&[u8]>) -> Named {
    let last = client_name.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let keep = |fallback: &str| match is_plain(last) && has_ending(language, last) {
        true => last.to_vec(),
        false => fallback.as_bytes().to_vec(),
    };
    match &language.source_name {
        SourceName::Fixed(name) => Named { file: name.clone().into_bytes(), main_class: Vec::new() },
        SourceName::KeepOr(name) => Named { file: keep(name), main_class: Vec::new() },
        SourceName::JavaClass(name) => java_name(keep(name), text),
    }
}

/// A name without directory and last ending.
pub(super) fn stem(file: &[u8]) -> &[u8] {
    match file.iter().rposition(|byte| *byte == b'.') {
        Some(dot) if dot > 0 => &file[..dot],
        _ => file,
    }
}

fn has_ending(language: &Language, name: &[u8]) -> bool {
    let ending = name.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    language.extensions.iter().any(|own| own.as_bytes() == ending) && stem(name).len() < name.len()
}

/// Fit for every tool: not an option, not hidden, nothing to be quoted.
fn is_plain(name: &[u8]) -> bool {
    let first = name.first().copied().unwrap_or_default();
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.+-".contains(byte);
    name.len() <= 128 && (first.is_ascii_alphanumeric() || first == b'_') && name.iter().all(plain)
}

fn java_name(kept: Vec<u8>, text: Option<&[u8]>) -> Named {
    let Some(found) = text.map(read_java) else {
        return Named { main_class: stem(&kept).to_vec(), file: kept };
    };
    let file = match &found.public_type {
        Some(public) => [public.as_bytes(), b".java"].concat(),
        None => kept,
    };
    let class =
        found.main_type.or(found.public_type).map_or_else(|| stem(&file).to_vec(), String::into_bytes);
    let main_class = match found.package {
        Some(package) => [package.as_bytes(), b".", &class].concat(),
        None => class,
    };
    Named { file, main_class }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct JavaText {
    package: Option<String>,
    /// The public type of the outermost level.
    public_type: Option<String>,
    /// The first type of the outermost level that declares `static void main`.
    main_type: Option<String>,
}

fn read_java(text: &[u8]) -> JavaText {
    let tokens = tokens(text);
    let mut found = JavaText::default();
    let (mut depth, mut current, mut is_public) = (0_usize, None::<String>, false);
    for (index, token) in tokens.iter().enumerate() {
        let next = || tokens.get(index + 1).filter(|word| is_identifier(word)).cloned();
        let is_type = matches!(token.as_str(), "class" | "interface" | "enum" | "record");
        match token.as_str() {
            "{" => depth += 1,
            "}" => depth = depth.saturating_sub(1),
            ";" => is_public &= depth > 0,
            "package" if depth == 0 && found.package.is_none() => {
                found.package = package(&tokens[index + 1..])
            }
            "public" if depth == 0 => is_public = true,
            _ if is_type && depth == 0 && next().is_some() => {
                current = next();
                if std::mem::take(&mut is_public) && found.public_type.is_none() {
                    found.public_type = current.clone();
                }
            }
            "main" if depth == 1 && found.main_type.is_none() && declares_main(&tokens, index) => {
                found.main_type = current.clone();
            }
            _ => {}
        }
    }
    found
}

/// `... static ... void main (`, as far back as the member before.
fn declares_main(tokens: &[String], main: usize) -> bool {
    let member = tokens[..main].iter().rev().take_while(|token| !matches!(token.as_str(), ";" | "{" | "}"));
    tokens.get(main + 1).is_some_and(|token| token == "(")
        && main > 0
        && tokens[main - 1] == "void"
        && member.into_iter().any(|token| token == "static")
}

fn package(tokens: &[String]) -> Option<String> {
    let name: String = tokens.iter().take_while(|token| *token != ";").map(String::as_str).collect();
    let is_name = name.split('.').all(is_identifier);
    is_name.then_some(name)
}

fn is_identifier(word: &str) -> bool {
    let mut letters = word.chars();
    let start = |letter: char| letter.is_alphabetic() || letter == '_' || letter == '$';
    letters.next().is_some_and(start) && letters.all(|letter| start(letter) || letter.is_numeric())
}

/// Words and single marks; comments, strings, text blocks and character literals are left out.
fn tokens(text: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(text);
    let mut tokens = Vec::new();
    let mut rest = text.as_ref();
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.find("*/").map_or(rest.len(), |end| end + 4)
        } else if rest.starts_with("\"\"\"") {
            literal_length(rest, "\"\"\"")
        } else if first == '"' || first == '\'' {
            literal_length(rest, &rest[..1])
        } else {
            let word = rest.find(|letter: char| !is_identifier_part(letter)).unwrap_or(rest.len());
            let length = word.max(if word == 0 { first.len_utf8() } else { 0 });
            if !first.is_whitespace() {
                tokens.push(rest[..length].to_owned());
            }
            length
        };
        rest = &rest[length..];
    }
    tokens
}

fn is_identifier_part(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_' || letter == '$'
}

/// Length of a literal that begins and ends with `quote`, a backslash hiding what follows it.
fn literal_length(text: &str, quote: &str) -> usize {
    let mut at = quote.len();
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with(quote) {
            return at + quote.len();
        }
        let mut letters = rest.chars();
        if letters.next() == Some('\\') {
            at += letters.next().map_or(0, char::len_utf8);
            at += 1;
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Table;
    use super::*;

    fn named(language: &str, file: &str, text: &str) -> (String, String) {
        let table = Table::builtin();
        let named = name(table.by_name(language).unwrap(), file.as_bytes(), Some(text.as_bytes()));
        (String::from_utf8(named.file).unwrap(), String::from_utf8(named.main_class).unwrap())
    }

    #[test]
    fn plain_names_stay_and_odd_ones_are_replaced() {
        for (file, wanted) in [
            ("words.cpp", "words.cpp"),
            ("some/dir/words.cc", "words.cc"),
            ("-o.cpp", "main.cpp"),
            (".cpp", "main.cpp"),
            ("a b.cpp", "main.cpp"),
            ("words.txt", "main.cpp"),
            ("", "main.cpp"),
            ("a/..", "main.cpp"),
        ] {
            assert_eq!(named("cpp", file, "").0, wanted, "{file}");
        }
        assert_eq!(named("go", "solve_test.go", "").0, "main.go");
    }

    #[test]
    fn java_files_are_named_after_their_public_class_and_start_where_main_is() {
        let main = "public static void main(String[] a) {}";
        for (file, text, wanted_file, wanted_class) in [
            ("x.java", format!("public class Solve {{ {main} }}"), "Solve.java", "Solve"),
            ("x.java", format!("class Node {{}} class Solve {{ {main} }}"), "x.java", "Solve"),
            (
                "Main.java",
                format!("// public class No {{\n/* public class No */ class A {{ {main} }}"),
                "Main.java",
                "A",
            ),
            (
                "x.java",
                format!(
                    "package a.b; public final class C {{ String s = \"}} public class No {{\"; {main} }}"
                ),
                "C.java",
                "a.b.C",
            ),
            ("x.java", format!("public record P(int x) {{ {main} }}"), "P.java", "P"),
            ("x.java", format!("public interface I {{ {main} }} class Z {{ {main} }}"), "I.java", "I"),
            (
                "x.java",
                format!("class Outer {{ public static class In {{ {main} }} }} class Real {{ {main} }}"),
                "x.java",
                "Real",
            ),
            (
                "x.java",
                format!(
                    "class T {{ char c = '\"'; String t = \"\"\"\n }} \\\"\"\" public class No\"\"\"; {main} }}"
                ),
                "x.java",
                "T",
            ),
            ("x.java", "not java at all".to_owned(), "x.java", "x"),
            ("odd name", String::new(), "Main.java", "Main"),
        ] {
            assert_eq!(
                named("java", file, &text),
                (wanted_file.to_owned(), wanted_class.to_owned()),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_and_name_give_a_safe_file_name(file: Vec<u8>, text: Vec<u8>) {
            let table = Table::builtin();
            for language in table.iter() {
                let named = name(language, &file, Some(&text));
                prop_assert!(!named.file.is_empty() && !named.file.contains(&b'/') && !named.file.contains(&0));
                prop_assert!(named.file != b".." && named.file[0] != b'-');
            }
        }

        #[test]
        fn java_like_text_never_panics(text in "[a-zé{}\"'\\\\/*; \n]{0,60}") {
            read_java(text.as_bytes());
        }
    }
}
