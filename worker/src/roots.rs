//! Which root file system a command gets: the host's own, or an imported image by digest.

use std::path::Path;
use std::sync::Arc;

use kiln_archive::Rules;
use kiln_jail::plan::Rootfs;
use kiln_proto::v1;

use crate::blobs::Blobs;
use crate::images::{Host, HostImage, HostImageError, Image as StoredImage, ImageStore, ImageStoreError};
use crate::order::Image;

/// All roots of this worker.
#[derive(Debug)]
pub(crate) struct Roots {
    host: HostImage,
    store: ImageStore,
}

/// A root that stays on disk while this lives.
#[derive(Debug)]
pub(crate) struct Root {
    pub(crate) rootfs: Rootfs,
    _image: Option<Arc<StoredImage>>,
}

/// Why there are no roots.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    #[error("make the host image")]
    Host(#[source] HostImageError),
    #[error("open the image store")]
    Store(#[source] ImageStoreError),
}

impl Roots {
    /// Makes the host image and takes over the imported ones below `directory`. Blocks.
    pub(crate) fn open(directory: &Path, max_bytes: u64, host: &Host) -> Result<Self, RootsError> {
        let store = ImageStore::open(directory, max_bytes, Rules::default()).map_err(RootsError::Store)?;
        let host = HostImage::make(directory, host).map_err(RootsError::Host)?;
        Ok(Self { host, store })
    }

    /// The root of an image; fetched and unpacked first where it must be. The host image goes by its digest too.
    pub(crate) async fn get(&self, image: Image, blobs: &Blobs) -> Result<Root, ImageStoreError> {
        match image {
            Image::Imported(digest) if digest != *self.host.digest() => {
                let image = self.store.get(&digest, blobs.get(&digest)).await?;
                Ok(Root { rootfs: image.rootfs().clone(), _image: Some(image) })
            }
            Image::Host | Image::Imported(_) => Ok(Root { rootfs: self.host.rootfs().clone(), _image: None }),
        }
    }

    pub(crate) fn host_info(&self) -> v1::ImageInfo {
        v1::ImageInfo {
            name: "host".to_owned(),
            digest: self.host.digest().to_string(),
            ..v1::ImageInfo::default()
        }
    }
}
