//! Read-only root file systems on this machine: the host's own toolchains, and imported images.
//!
//! Everything here belongs to the host: no job ever writes into these trees, which is why they, and they alone, may be
//! removed recursively.

pub mod host;
mod in_use;
mod skeleton;
pub mod store;

pub use host::{Host, HostImage, HostImageError};
pub use store::{Image, ImageStore, ImageStoreError};
