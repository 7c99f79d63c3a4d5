//! Bytes in JSON: a string where they are UTF-8, else `{"base64": "..."}`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// argv words, paths, values of the environment, contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Blob(pub(crate) Bytes);

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a string, or {\"base64\": \"...\"}")]
enum Form {
    Text(String),
    Encoded(Encoded),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Encoded {
    base64: String,
}

pub(crate) fn base64_of(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

impl From<&Bytes> for Blob {
    fn from(bytes: &Bytes) -> Blob {
        Blob(bytes.clone())
    }
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => Encoded { base64: base64_of(&self.0) }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Blob, D::Error> {
        match Form::deserialize(deserializer)? {
            Form::Text(text) => Ok(Blob(text.into())),
            Form::Encoded(encoded) => {
                let bytes = STANDARD.decode(encoded.base64).map_err(D::Error::custom)?;
                Ok(Blob(bytes.into()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text_and_other_bytes_are_encoded_and_both_come_back() {
        for (bytes, json) in
            [(&b"a\0b"[..], "\"a\\u0000b\""), (&b"\xff\x00"[..], "{\"base64\":\"/wA=\"}"), (b"", "\"\"")]
        {
            let blob = Blob(Bytes::copy_from_slice(bytes));
            assert_eq!(serde_json::to_string(&blob).expect("bytes can be written"), json);
            assert_eq!(serde_json::from_str::<Blob>(json).expect(json), blob);
        }
        assert!(serde_json::from_str::<Blob>("{\"base64\":\"*\"}").is_err());
        assert!(serde_json::from_str::<Blob>("7").is_err());
    }
}
