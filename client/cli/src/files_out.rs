//! Files of a server, on their way to this machine.
//!
//! Written beside their place under a fresh name and then renamed: a link at the destination is replaced, never followed, and what failed halfway is
//! not left behind.

use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use kiln_client::Client;
use kiln_proto::v1::{FileResult, FileState, Job};
use tokio::io::AsyncWriteExt;

use crate::failure::Failure;
use crate::flags::pairs::OutPair;
use crate::output::note;

/// Brings every wanted file that is there; says which are not.
pub(crate) async fn bring_back(client: &Client, job: &Job, wanted: &[OutPair]) -> Result<(), Failure> {
    for pair in wanted {
        let name = String::from_utf8_lossy(&pair.sandbox).into_owned();
        match find(job, &pair.sandbox) {
            Some(file) if file.state() == FileState::Found => save(client, file, &pair.host).await?,
            Some(file) => note(&format!("kiln: {name} was not brought back: it {}", why_not(file))),
            None => note(&format!("kiln: {name} was not brought back: nothing that was to leave it ran")),
        }
    }
    Ok(())
}

/// Writes a blob to a file, which appears only once the content is verified. Returns the size.
pub(crate) async fn save_blob(client: &Client, digest: &str, host: &Path) -> Result<u64, Failure> {
    let mut fresh = Fresh::create(host, Mode::Plain)?;
    let size = client.blob_to(digest, &mut fresh.file).await?;
    fresh.put_in_place().await?;
    Ok(size)
}

async fn save(client: &Client, file: &FileResult, host: &Path) -> Result<(), Failure> {
    let mut fresh = Fresh::create(host, if file.executable { Mode::Executable } else { Mode::Plain })?;
    if file.blob.is_empty() {
        fresh.file.write_all(&file.data).await.map_err(|error| cannot_write(host, &error))?;
    } else {
        client.blob_to(&file.blob, &mut fresh.file).await?;
    }
    fresh.put_in_place().await
}

/// The last step that was asked for it has the final word.
fn find<'a>(job: &'a Job, path: &[u8]) -> Option<&'a FileResult> {
    let results = job.steps.iter().flat_map(|step| &step.commands).flat_map(|result| &result.files);
    results.filter(|file| file.path == path).last()
}

fn why_not(file: &FileResult) -> String {
    match file.state() {
        FileState::Missing => "is not there".to_owned(),
        FileState::NotRegular => "is no regular file".to_owned(),
        FileState::TooLarge => {
            format!("is too large, {}", kiln_proto::model::human_bytes(file.size_bytes))
        }
        FileState::Unreadable | FileState::Unspecified | FileState::Found => "could not be read".to_owned(),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Plain,
    Executable,
}

/// A file that is not yet in its place; removed again unless it is put there.
struct Fresh {
    file: tokio::fs::File,
    path: PathBuf,
    place: PathBuf,
}

impl Fresh {
    fn create(place: &Path, mode: Mode) -> Result<Fresh, Failure> {
        let name = place
            .file_name()
            .filter(|_| !place.is_dir())
            .ok_or_else(|| Failure::usage(format!("cannot write {}: it is a directory", place.display())))?;
        let mut fresh = std::ffi::OsString::from(".");
        fresh.push(name);
        fresh.push(format!(".{}", uuid::Uuid::now_v7().simple()));
        let path = place.with_file_name(fresh);
        // The umask takes away what the caller does not want, as with every new file.
        let bits = if mode == Mode::Executable { 0o777 } else { 0o666 };
        let file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(bits)
            .open(&path)
            .map_err(|error| cannot_write(place, &error))?;
        Ok(Fresh { file: tokio::fs::File::from_std(file), path, place: place.to_owned() })
    }

    async fn put_in_place(mut self) -> Result<(), Failure> {
        self.file.flush().await.map_err(|error| cannot_write(&self.place, &error))?;
        std::fs::rename(&self.path, &self.place).map_err(|error| cannot_write(&self.place, &error))
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        // Gone already when it was put in its place.
        drop(std::fs::remove_file(&self.path));
    }
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(format!("cannot write {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    async fn write(place: &Path, mode: Mode, content: &[u8]) -> Result<(), Failure> {
        let mut fresh = Fresh::create(place, mode)?;
        fresh.file.write_all(content).await.expect("a new file takes bytes");
        fresh.put_in_place().await
    }

    #[tokio::test]
    async fn a_link_at_the_destination_is_replaced_and_never_followed() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (victim, place) = (directory.path().join("victim"), directory.path().join("result"));
        std::fs::write(&victim, "precious").expect("it can be written");
        symlink(&victim, &place).expect("a link can be made");
        write(&place, Mode::Executable, b"new").await.expect("it can be written");
        assert_eq!(std::fs::read(&victim).expect("it is there"), b"precious");
        assert_eq!(std::fs::read(&place).expect("it is there"), b"new");
        let mode = std::fs::symlink_metadata(&place).expect("it is there").permissions().mode();
        assert!(mode & 0o100 != 0, "{mode:o}");
    }

    #[tokio::test]
    async fn what_is_not_put_in_place_leaves_nothing_behind() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let place = directory.path().join("result");
        drop(Fresh::create(&place, Mode::Plain).expect("it can be made"));
        assert!(write(directory.path(), Mode::Plain, b"x").await.is_err());
        assert_eq!(std::fs::read_dir(directory.path()).expect("it is there").count(), 0);
        let absent = directory.path().join("absent").join("result");
        assert!(write(&absent, Mode::Plain, b"x").await.is_err());
    }
}
