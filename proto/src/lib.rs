//! The wire contract of Kiln: the .proto files, the types generated from them, and the checked model.
//!
//! [`v1`] holds wire types, which can say anything; [`model`] holds what was checked, with a `TryFrom` beside each type.
//! Nothing here does I/O.

/// Wire types of `kiln.v1`.
pub mod v1 {
    #![expect(unused_qualifications, reason = "generated; the documentation is in the .proto files")]
    tonic::include_proto!("kiln.v1");
}

/// The compiled descriptor set of `kiln.v1`, for reflection and for the compatibility test.
pub const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/kiln.v1.bin"));

/// Largest message that clients, servers and workers send and accept.
pub const MAX_MESSAGE_BYTES: usize = 8 * 1024 * 1024;
/// Largest content inside a request; more goes into a blob.
pub const MAX_INLINE_BYTES: usize = 1024 * 1024;
/// Largest output or file inside a result; more goes into a blob or a relay.
pub const MAX_RESULT_BYTES: usize = 64 * 1024;
