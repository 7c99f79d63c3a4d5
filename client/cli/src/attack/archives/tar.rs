//! Archives written as they are, whatever nonsense they hold: no library that knows better is in between.

use std::io::Write;

use kiln_proto::status::Reason;
use kiln_proto::v1::{self, import_image_request};
use tonic::Status;

use crate::attack::Held;
use crate::attack::clients::asking::{images, refused_as};
use crate::attack::target::Target;

const BLOCK: usize = 512;
/// No image of this name may ever be there afterwards.
const IMAGE: &str = "kiln-attack";

/// A ustar header; every field can be nonsense.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    /// `0` file, `1` hard link, `2` symbolic link, `3` character device, `4` block device, `5` directory, `6` FIFO.
    pub(crate) kind: u8,
    pub(crate) link: Vec<u8>,
    pub(crate) content: Vec<u8>,
    /// What the header says; the content's own length when `None`.
    pub(crate) size: Option<u64>,
}

pub(crate) fn file(name: &str) -> Entry {
    entry(name, b'0', "", b"hostile")
}

pub(crate) fn directory(name: &str) -> Entry {
    entry(name, b'5', "", b"")
}

pub(crate) fn link(name: &str, to: &str) -> Entry {
    entry(name, b'2', to, b"")
}

pub(crate) fn hard_link(name: &str, to: &str) -> Entry {
    entry(name, b'1', to, b"")
}

pub(crate) fn special(name: &str, kind: u8) -> Entry {
    entry(name, kind, "", b"")
}

fn entry(name: &str, kind: u8, link: &str, content: &[u8]) -> Entry {
    Entry { name: name.into(), kind, link: link.into(), content: content.to_vec(), size: None }
}

/// A whole archive.
pub(crate) fn archive(entries: &[Entry]) -> Vec<u8> {
    let mut bytes: Vec<u8> = entries.iter().flat_map(Entry::bytes).collect();
    bytes.extend([0; 2 * BLOCK]);
    bytes
}

impl Entry {
    /// Header and content, padded.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut header = [0_u8; BLOCK];
        put(&mut header[..100], &self.name);
        put(&mut header[100..108], b"0000755\0");
        put(&mut header[108..116], b"0000000\0");
        put(&mut header[116..124], b"0000000\0");
        let size = self.size.unwrap_or(self.content.len() as u64);
        put(&mut header[124..136], format!("{size:011o}\0").as_bytes());
        put(&mut header[136..148], b"00000000000\0");
        header[156] = self.kind;
        put(&mut header[157..257], &self.link);
        put(&mut header[257..265], b"ustar\x0000");
        put(&mut header[329..345], b"0000001\x000000003\0");
        seal(&mut header);
        let mut bytes = header.to_vec();
        bytes.extend_from_slice(&self.content);
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        bytes
    }
}

/// The checksum counts itself as blanks.
fn seal(header: &mut [u8; BLOCK]) {
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    put(&mut header[148..156], format!("{sum:06o}\0 ").as_bytes());
}

fn put(field: &mut [u8], bytes: &[u8]) {
    let length = bytes.len().min(field.len());
    field[..length].copy_from_slice(&bytes[..length]);
}

pub(crate) fn gzip(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).map_err(|error| error.to_string())
}

pub(crate) fn zstd(bytes: &[u8]) -> Result<Vec<u8>, String> {
    zstd::encode_all(bytes, 3).map_err(|error| error.to_string())
}

/// Imports an archive, as a client without manners.
pub(crate) async fn import(target: &Target, name: &str, archive: &[u8]) -> Result<v1::ImageInfo, Status> {
    let header = v1::ImportImageHeader { name: name.to_owned(), digest: String::new() };
    let mut parts = vec![v1::ImportImageRequest { part: Some(import_image_request::Part::Header(header)) }];
    parts.extend(archive.chunks(1 << 20).map(|chunk| v1::ImportImageRequest {
        part: Some(import_image_request::Part::Chunk(bytes::Bytes::copy_from_slice(chunk))),
    }));
    let answer = images(target).import(futures_util::stream::iter(parts)).await?;
    Ok(answer.into_inner())
}

/// The archive must be refused as one, and no image of it may be listed.
pub(crate) async fn must_be_refused(target: &Target, what: &str, archive: &[u8]) -> Held {
    let answer = import(target, IMAGE, archive).await;
    let imported = answer.is_ok();
    let judged = refused_as(what, answer, Reason::ArchiveRefused);
    if imported {
        // What got in must not stay, whatever is said of it.
        let remove = v1::RemoveImageRequest { image: IMAGE.to_owned() };
        images(target)
            .remove(remove)
            .await
            .map_err(|status| format!("{what} was imported, and stays: {}", status.code()))?;
    }
    judged?;
    let listed =
        images(target).list(v1::ListImagesRequest {}).await.map_err(|status| status.code().to_string())?;
    match listed.into_inner().images.iter().any(|image| image.name == IMAGE) {
        true => Err(format!("{what} was refused, and an image of it is listed")),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_an_archive_but_for_the_nonsense() {
        let good = archive(&[directory("bin"), file("bin/tool"), link("bin/link", "tool")]);
        let rules = kiln_archive::Rules { max_bytes: 1 << 20, max_entries: 10, max_path_bytes: 4_095 };
        kiln_archive::inspect(&good[..], &rules).expect("nothing is wrong with it");
        let bad = archive(&[file("../escaped")]);
        kiln_archive::inspect(&bad[..], &rules).expect_err("a name that leads out");
    }
}
