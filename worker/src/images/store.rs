//! Imported images on disk: fetched once, unpacked confined, kept while there is room.
//!
//! `images/<hex>/root` is a root directory, `images/<hex>/bytes` its unpacked size. A tree gets its name when it is whole.
//! Several workers may share the directory.

use std::collections::HashMap;
use std::fs::{self, File, Permissions};
use std::future::Future;
use std::io::{self, Seek};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use kiln_archive::{Refusal, Rules};
use kiln_jail::plan::{Part, Rootfs};
use kiln_proto::model::Digest;

use super::in_use::{self, InUse};

/// Imported images by digest.
#[derive(Debug)]
pub struct ImageStore {
    directory: PathBuf,
    max_bytes: u64,
    rules: Rules,
    places: Mutex<HashMap<Digest, Place>>,
    clock: AtomicU64,
}

/// One image, not removed while this lives: hold it until the command's sandbox is gone.
#[derive(Debug)]
pub struct Image {
    rootfs: Rootfs,
    unpacked_bytes: u64,
    /// Moment of the store's clock.
    used: AtomicU64,
    _in_use: InUse,
}

/// Why an image cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ImageStoreError {
    #[error("image store: open {}", directory.display())]
    Open { directory: PathBuf, source: io::Error },
    #[error("image {digest}: fetch its archive")]
    Fetch { digest: Digest, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("image {digest}: unpack its archive")]
    Unpack { digest: Digest, source: Refusal },
    #[error("image {digest}: keep it on disk")]
    Keep { digest: Digest, source: io::Error },
    #[error("image {digest}: unpacking it was interrupted")]
    Interrupted { digest: Digest },
}

/// Whoever holds the lock makes the image, the others wait for it.
type Place = Arc<tokio::sync::Mutex<Option<Arc<Image>>>>;

impl ImageStore {
    /// Opens the directory, takes over what is whole in it, and removes what is not.
    pub fn open(directory: &Path, max_bytes: u64, rules: Rules) -> Result<ImageStore, ImageStoreError> {
        let opening = |source| ImageStoreError::Open { directory: directory.to_owned(), source };
        fs::create_dir_all(directory).map_err(opening)?;
        in_use::sweep(directory, |name| name == "host" || digest_of(name).is_some()).map_err(opening)?;
        let mut places = HashMap::new();
        for digest in super::skeleton::sorted_names(directory).map_err(opening)? {
            let Some(digest) = digest.to_str().and_then(digest_of) else { continue };
            if let Some(image) = found(&directory.join(digest.hex())).map_err(opening)? {
                places.insert(digest, Arc::new(tokio::sync::Mutex::new(Some(Arc::new(image)))));
            }
        }
        Ok(ImageStore {
            directory: directory.to_owned(),
            max_bytes,
            rules,
            places: Mutex::new(places),
            clock: AtomicU64::new(1),
        })
    }

    /// The image of a digest. `fetch` gives its archive, whose digest the caller has verified; it is awaited only when the
    /// image is not here, and once however many ask.
    pub async fn get<F, E>(&self, digest: &Digest, fetch: F) -> Result<Arc<Image>, ImageStoreError>
    where
        F: Future<Output = Result<File, E>>,
        E: std::error::Error + Send + Sync + 'static,
    {
        let place = self.place(digest);
        let mut image = place.lock().await;
        let found = match &*image {
            Some(image) => Arc::clone(image),
            None => Arc::clone(image.insert(Arc::new(self.make(digest, fetch).await?))),
        };
        drop(image);
        found.used.store(self.clock.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        self.evict();
        Ok(found)
    }

    /// Unpacked bytes of all images here.
    pub fn bytes(&self) -> u64 {
        self.unlocked_images().iter().map(|(_, _, image)| image.unpacked_bytes).sum()
    }

    async fn make<F, E>(&self, digest: &Digest, fetch: F) -> Result<Image, ImageStoreError>
    where
        F: Future<Output = Result<File, E>>,
        E: std::error::Error + Send + Sync + 'static,
    {
        let path = self.directory.join(digest.hex());
        let keeping = |source| ImageStoreError::Keep { digest: *digest, source };
        if let Some(image) = found(&path).map_err(keeping)? {
            return Ok(image);
        }
        let archive = fetch
            .await
            .map_err(|error| ImageStoreError::Fetch { digest: *digest, source: Box::new(error) })?;
        let (digest, rules, directory) = (*digest, self.rules, self.directory.clone());
        tokio::task::spawn_blocking(move || unpack(&digest, archive, &directory, &rules))
            .await
            .unwrap_or(Err(ImageStoreError::Interrupted { digest }))
    }

    fn place(&self, digest: &Digest) -> Place {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(places.entry(*digest).or_default())
    }

    /// Removes what was not used for longest, until the rest fits. What is used by anybody stays.
    fn evict(&self) {
        let mut images = self.unlocked_images();
        let mut bytes: u64 = images.iter().map(|(_, _, image)| image.unpacked_bytes).sum();
        images.sort_by_key(|(_, _, image)| image.used.load(Ordering::Relaxed));
        for (digest, place, image) in images {
            if bytes <= self.max_bytes {
                return;
            }
            let Ok(mut slot) = place.try_lock() else { continue };
            // One reference is the place's, one is this loop's.
            if Arc::strong_count(&image) > 2 {
                continue;
            }
            bytes -= image.unpacked_bytes;
            *slot = None;
            drop(image);
            if let Err(error) = in_use::remove_unused(&self.directory.join(digest.hex())) {
                tracing::warn!(%digest, %error, "an image that is no longer used could not be removed");
            }
        }
    }

    fn unlocked_images(&self) -> Vec<(Digest, Place, Arc<Image>)> {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let image = |place: &Place| place.try_lock().ok().and_then(|slot| slot.clone());
        places
            .iter()
            .filter_map(|(digest, place)| Some((*digest, Arc::clone(place), image(place)?)))
            .collect()
    }
}

impl Image {
    /// What the jail mounts.
    pub fn rootfs(&self) -> &Rootfs {
        &self.rootfs
    }

    /// Bytes of all files together.
    pub fn unpacked_bytes(&self) -> u64 {
        self.unpacked_bytes
    }

    fn new(path: &Path, unpacked_bytes: u64, in_use: InUse) -> Image {
        let source = path.join("root").as_os_str().as_bytes().to_vec();
        let rootfs = Rootfs { parts: vec![Part { source, target: b"/".to_vec() }] };
        Image { rootfs, unpacked_bytes, used: AtomicU64::new(0), _in_use: in_use }
    }
}

fn digest_of(name: &str) -> Option<Digest> {
    format!("blake3:{name}").parse().ok()
}

/// An image that is already on disk.
fn found(path: &Path) -> io::Result<Option<Image>> {
    let Some(in_use) = InUse::hold(path)? else { return Ok(None) };
    let unpacked_bytes = fs::read_to_string(path.join("bytes"))?.trim().parse().map_err(io::Error::other)?;
    Ok(Some(Image::new(path, unpacked_bytes, in_use)))
}

fn unpack(
    digest: &Digest,
    mut archive: File,
    directory: &Path,
    rules: &Rules,
) -> Result<Image, ImageStoreError> {
    let keeping = |source| ImageStoreError::Keep { digest: *digest, source };
    let (unfinished, in_use) = in_use::unfinished(directory).map_err(keeping)?;
    let unpacked =
        archive.rewind().map_err(keeping).and_then(|()| fill(digest, &archive, &unfinished, rules));
    match unpacked {
        Ok(bytes) => {
            let path = directory.join(digest.hex());
            let in_use = in_use::publish(&unfinished, in_use, &path).map_err(keeping)?;
            Ok(Image::new(&path, bytes, in_use))
        }
        Err(error) => {
            drop(in_use);
            in_use::remove_unused(&unfinished).map_err(keeping)?;
            Err(error)
        }
    }
}

fn fill(digest: &Digest, archive: &File, unfinished: &Path, rules: &Rules) -> Result<u64, ImageStoreError> {
    let keeping = |source| ImageStoreError::Keep { digest: *digest, source };
    let path = unfinished.join("root");
    fs::create_dir(&path)
        .and_then(|()| fs::set_permissions(&path, Permissions::from_mode(0o755)))
        .map_err(keeping)?;
    let root = File::open(&path).map_err(keeping)?;
    let summary = kiln_archive::unpack(archive, root.as_fd(), rules)
        .map_err(|source| ImageStoreError::Unpack { digest: *digest, source })?;
    fs::write(unfinished.join("bytes"), format!("{}\n", summary.unpacked_bytes)).map_err(keeping)?;
    // After a power failure a named tree must be whole, not a tree of empty files.
    rustix::fs::syncfs(&root).map_err(|errno| keeping(errno.into()))?;
    Ok(summary.unpacked_bytes)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::io::Write;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    fn archive(name: &str, bytes: usize) -> File {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(name), vec![b'x'; bytes]).unwrap();
        let mut file = tempfile::tempfile().unwrap();
        kiln_archive::pack(directory.path(), &mut file).unwrap();
        file
    }

    fn digest(number: u8) -> Digest {
        Digest::from([number; 32])
    }

    async fn put(store: &ImageStore, number: u8, bytes: usize) -> Arc<Image> {
        store.get(&digest(number), async { Ok::<_, Infallible>(archive("file", bytes)) }).await.unwrap()
    }

    fn file_of(image: &Image) -> PathBuf {
        let source = std::ffi::OsStr::from_bytes(&image.rootfs().parts[0].source);
        Path::new(source).join("file")
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn many_who_ask_at_once_fetch_once() {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(ImageStore::open(directory.path(), 1 << 30, Rules::default()).unwrap());
        let fetched = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let (store, fetched) = (Arc::clone(&store), Arc::clone(&fetched));
                tokio::spawn(async move {
                    let fetch = async move {
                        fetched.fetch_add(1, Ordering::SeqCst);
                        Ok::<_, Infallible>(archive("file", 10))
                    };
                    store.get(&digest(1), fetch).await.map(|image| image.unpacked_bytes())
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap().unwrap(), 10);
        }
        assert_eq!(fetched.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn the_longest_unused_goes_first_and_nothing_in_use_goes() {
        let directory = tempfile::tempdir().unwrap();
        let store = ImageStore::open(directory.path(), 250, Rules::default()).unwrap();
        let image = put(&store, 1, 100).await;
        let first = file_of(&image);
        drop(image);
        let held = put(&store, 2, 100).await;
        drop(put(&store, 1, 100).await);
        drop(put(&store, 3, 100).await);
        assert!(!first.exists(), "the first was unused, and used before the third");
        assert!(file_of(&held).exists());
        assert_eq!(store.bytes(), 200);
        let fourth = put(&store, 4, 200).await;
        assert!(file_of(&held).exists() && file_of(&fourth).exists(), "both are in use");
        drop((held, fourth));
        let last = put(&store, 5, 10).await;
        assert!(file_of(&last).exists());
        assert!(store.bytes() <= 250);
    }

    #[tokio::test]
    async fn a_restart_and_a_second_worker_find_what_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let never = || async { Err::<File, _>(io::Error::other("must not be fetched")) };
        let store = ImageStore::open(directory.path(), 1 << 30, Rules::default()).unwrap();
        let second = ImageStore::open(directory.path(), 1 << 30, Rules::default()).unwrap();
        drop(put(&store, 1, 100).await);
        second.get(&digest(1), never()).await.unwrap();
        drop((store, second));
        fs::create_dir(directory.path().join(".tmp-left")).unwrap();
        let store = ImageStore::open(directory.path(), 1 << 30, Rules::default()).unwrap();
        assert_eq!(store.bytes(), 100);
        store.get(&digest(1), never()).await.unwrap();
        assert!(!directory.path().join(".tmp-left").exists());
    }

    #[tokio::test]
    async fn a_refused_archive_leaves_nothing_and_can_be_asked_for_again() {
        let directory = tempfile::tempdir().unwrap();
        let store = ImageStore::open(directory.path(), 1 << 30, Rules::default()).unwrap();
        let mut broken = tempfile::tempfile().unwrap();
        broken.write_all(&[b'x'; 2048]).unwrap();
        let refused = store.get(&digest(1), async { Ok::<_, Infallible>(broken) }).await;
        assert!(matches!(refused, Err(ImageStoreError::Unpack { .. })));
        let failed = store.get(&digest(1), async { Err::<File, _>(io::Error::other("gone")) }).await;
        assert!(matches!(failed, Err(ImageStoreError::Fetch { .. })));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        drop(put(&store, 1, 5).await);
    }
}
