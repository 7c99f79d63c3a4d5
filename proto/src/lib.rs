//! The wire contract of Kiln: the .proto files, the types generated from them, and the checked model.
//!
//! [`v1`] holds wire types, which can say anything; [`model`] holds what was checked, with a `TryFrom` beside each type.
//! Nothing here does I/O.

pub mod language;

pub mod model;
pub mod status;

pub use model::{Invalid, Violation};

/// Wire types of `kiln.v1`.
pub mod v1 {
    #![expect(
        unused_qualifications,
        clippy::allow_attributes,
        clippy::large_enum_variant,
        reason = "generated; documented in the .proto files"
    )]
    tonic::include_proto!("kiln.v1");
}

/// The compiled descriptor set of `kiln.v1`, for reflection and for the compatibility test.
pub const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/kiln.v1.bin"));

/// Largest message that clients, servers and workers send and accept.
pub const MAX_MESSAGE_BYTES: usize = 8 * 1024 * 1024;
/// Calls at a time over one connection that a server takes.
pub const MAX_STREAMS: u32 = 1_024;
/// How much a peer may send ahead on one call, before it is read.
pub const STREAM_WINDOW_BYTES: u32 = 512 << 10;
/// And on a connection: as much as on all its calls together, so that those who do not read stall nobody else's, nor heartbeats.
pub const CONNECTION_WINDOW_BYTES: u32 = STREAM_WINDOW_BYTES * MAX_STREAMS;
/// Largest HTTP/2 frame that clients, servers and workers accept: one write and one read for a chunk, where the protocol's 16 KiB
/// take many.
pub const FRAME_BYTES: u32 = 512 << 10;
/// Largest content inside a request; more goes into a blob.
pub const MAX_INLINE_BYTES: usize = 1024 * 1024;
/// Largest output or file inside a result; more goes into a blob or a relay.
pub const MAX_RESULT_BYTES: usize = 64 * 1024;

/// Largest inline content of a whole job's spec.
pub const MAX_JOB_INLINE_BYTES: usize = 4 << 20;

/// Largest file in that is always copied into its sandbox; larger ones may be shown read-only, see `FileIn`.
pub const COPIED_INPUT_BYTES: u64 = 4 << 20;

/// Largest chunk of live output: each is handed over some twenty times between the threads and processes that it passes.
pub const OUTPUT_CHUNK_BYTES: usize = 256 << 10;

/// Largest chunk of a blob that is downloaded.
pub const BLOB_DOWNLOAD_CHUNK_BYTES: usize = 256 << 10;

/// Largest chunk of a blob or image that is uploaded.
pub const BLOB_UPLOAD_CHUNK_BYTES: usize = 1 << 20;
