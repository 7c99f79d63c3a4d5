//! Compiles the .proto files with protox (no protoc needed) and writes the descriptor set beside the generated code.

use std::path::PathBuf;

use prost::Message;

const FILES: &[&str] = &[
    "kiln/v1/job.proto",
    "kiln/v1/jobs.proto",
    "kiln/v1/blobs.proto",
    "kiln/v1/images.proto",
    "kiln/v1/fleet.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("kiln.v1.bin"), descriptors.encode_to_vec())?;
    // Maps in key order: the same message always encodes to the same bytes, so specs can be compared by their encoding.
    tonic_prost_build::configure().bytes(".").btree_map(".").compile_fds(descriptors)?;
    Ok(())
}
