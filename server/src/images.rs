//! The registry of images: which name stands for which archive. The archives themselves are blobs.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use kiln_proto::model::{Digest, ImageName, ImageRef};
use kiln_proto::v1;

use crate::store::{ImageRow, Store, StoreError};

/// All imported images. Reads come from memory; every change is stored first.
pub(crate) struct Images {
    store: Arc<dyn Store>,
    by_name: RwLock<BTreeMap<String, ImageRow>>,
}

impl Images {
    /// Reads the registry.
    pub(crate) async fn load(store: Arc<dyn Store>) -> Result<Self, StoreError> {
        let rows = store.images().await?;
        let by_name = rows.into_iter().map(|row| (row.name.clone(), row)).collect();
        Ok(Self { store, by_name: RwLock::new(by_name) })
    }

    /// What an image reference stands for now; `None` when there is no such image.
    pub(crate) fn resolve(&self, image: &ImageRef) -> Option<ImageRef> {
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        match image {
            ImageRef::Host => Some(ImageRef::Host),
            ImageRef::Name(name) => {
                by_name.get(name.as_str()).map(|row| ImageRef::Digest(Digest::from(row.digest)))
            }
            ImageRef::Digest(digest) => {
                by_name.values().any(|row| row.digest == *digest.as_bytes()).then(|| image.clone())
            }
        }
    }

    pub(crate) async fn put(&self, row: ImageRow) -> Result<(), StoreError> {
        self.store.put_image(row.clone()).await?;
        self.by_name.write().unwrap_or_else(PoisonError::into_inner).insert(row.name.clone(), row);
        Ok(())
    }

    /// Removes by name, or all names of a digest; false when there was none.
    pub(crate) async fn remove(&self, image: &ImageRef) -> Result<bool, StoreError> {
        let names = self.names_of(image);
        for name in &names {
            self.store.remove_image(name.clone()).await?;
            self.by_name.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        }
        Ok(!names.is_empty())
    }

    pub(crate) fn list(&self) -> Vec<v1::ImageInfo> {
        self.by_name.read().unwrap_or_else(PoisonError::into_inner).values().map(info).collect()
    }

    fn names_of(&self, image: &ImageRef) -> Vec<String> {
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        let is_meant = |row: &&ImageRow| match image {
            ImageRef::Host => false,
            ImageRef::Name(name) => row.name == name.as_str(),
            ImageRef::Digest(digest) => row.digest == *digest.as_bytes(),
        };
        by_name.values().filter(is_meant).map(|row| row.name.clone()).collect()
    }
}

/// A name under which an image may be imported.
pub(crate) fn importable(name: &str) -> Result<ImageName, String> {
    if name == "host" {
        return Err("is \"host\", which is the machine's own image".to_owned());
    }
    ImageName::new(name).map_err(|error| error.to_string())
}

/// An image on the wire.
pub(crate) fn info(row: &ImageRow) -> v1::ImageInfo {
    v1::ImageInfo {
        name: row.name.clone(),
        digest: Digest::from(row.digest).to_string(),
        size_bytes: row.size_bytes,
        unpacked_bytes: row.unpacked_bytes,
        entries: row.entries,
        imported_unix_us: row.imported_unix_us,
    }
}
