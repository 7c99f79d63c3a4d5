//! Images as JSON.

use kiln_proto::v1;
use serde_json::{Value, json};

pub(crate) fn image(image: &v1::ImageInfo) -> Value {
    json!({
        "name": image.name,
        "digest": image.digest,
        "size_bytes": image.size_bytes,
        "unpacked_bytes": image.unpacked_bytes,
        "entries": image.entries,
        "imported_unix_us": image.imported_unix_us,
    })
}
