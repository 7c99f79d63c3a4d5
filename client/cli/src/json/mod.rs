//! The JSON of `kiln`: made here, once. Names are those of the .proto; enums are lower-case words without their prefix.
//!
//! Bytes are text where they are UTF-8, and otherwise named `..._base64` or `{"base64": "..."}`.

pub(crate) mod bytes;
pub(crate) mod event;
pub(crate) mod evidence;
pub(crate) mod image;
pub(crate) mod job;
pub(crate) mod result;
pub(crate) mod spec;

/// `OUTCOME_KIND_EXITED` as `exited`: what the wire's name of an enum value says beyond the enum's own name.
pub(crate) fn word(wire_name: &str, prefix: &str) -> String {
    wire_name.strip_prefix(prefix).unwrap_or(wire_name).to_ascii_lowercase()
}

/// The reverse of [`word`], for enums of requests.
pub(crate) fn wire_name(word: &str, prefix: &str) -> String {
    format!("{prefix}{}", word.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lose_and_regain_their_prefix() {
        assert_eq!(word("LIMIT_NAME_FILE_SIZE", "LIMIT_NAME_"), "file_size");
        assert_eq!(wire_name("file_size", "LIMIT_NAME_"), "LIMIT_NAME_FILE_SIZE");
    }
}
