//! `Images`: import, list, remove. An archive is read through once, under the rules, before it becomes an image.

use std::io::BufReader;

use kiln_archive::{Rules, Summary, inspect};
use kiln_proto::model::{Digest, ImageRef};
use kiln_proto::status::Reason;
use kiln_proto::v1;
use kiln_proto::v1::images_server::Images;
use kiln_proto::v1::import_image_request::Part;
use tokio::task::spawn_blocking;
use tonic::{Request, Response, Status, Streaming};

use super::blobs::{blocking, check_chunk};
use super::errors::{archive_refused, blob_refused, field, not_joined, order, store_failed};
use super::{Api, Context};
use crate::blobs::Import;
use crate::clock::unix_us;
use crate::images::{importable, info};
use crate::jobs::Command;
use crate::store::ImageRow;

#[tonic::async_trait]
impl Images for Api {
    async fn import(
        &self,
        request: Request<Streaming<v1::ImportImageRequest>>,
    ) -> Result<Response<v1::ImageInfo>, Status> {
        let mut parts = request.into_inner();
        let Some(Part::Header(header)) = parts.message().await?.and_then(|message| message.part) else {
            return Err(order("the first message of an import must be its header"));
        };
        let name = importable(&header.name).map_err(|why| field("name", why))?;
        let wanted = match header.digest.as_str() {
            "" => None,
            text => Some(text.parse::<Digest>().map_err(|error| field("digest", error))?),
        };
        let import = self.0.receive(&mut parts).await?;
        let row = self.0.register(import, name.to_string(), wanted).await?;
        tracing::info!(image = %row.name, size_bytes = row.size_bytes, entries = row.entries, "image imported");
        Ok(Response::new(info(&row)))
    }

    async fn list(
        &self,
        _request: Request<v1::ListImagesRequest>,
    ) -> Result<Response<v1::ListImagesResponse>, Status> {
        let fleet = self.0.dispatcher.ask(|reply| Command::Fleet { reply }).await?;
        let mut images = fleet.host_images;
        images.extend(self.0.images.list());
        images.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Response::new(v1::ListImagesResponse { images }))
    }

    async fn remove(
        &self,
        request: Request<v1::RemoveImageRequest>,
    ) -> Result<Response<v1::RemoveImageResponse>, Status> {
        let image: ImageRef = request.into_inner().image.parse().map_err(|error| field("image", error))?;
        if image == ImageRef::Host {
            return Err(field(
                "image",
                "is \"host\", which is the machine's own image and cannot be removed",
            ));
        }
        if !self.0.images.remove(&image).await.map_err(store_failed)? {
            return Err(Reason::UnknownImage.status("there is no such image"));
        }
        tracing::info!(?image, "image removed");
        Ok(Response::new(v1::RemoveImageResponse {}))
    }
}

impl Context {
    async fn receive(&self, parts: &mut Streaming<v1::ImportImageRequest>) -> Result<Import, Status> {
        let blobs = self.blobs.clone();
        let mut import = blocking(move || blobs.begin_import()).await?;
        while let Some(message) = parts.message().await? {
            let chunk = match message.part {
                Some(Part::Chunk(chunk)) => chunk,
                Some(Part::Header(_)) | None => return Err(order("after the header come chunks only")),
            };
            check_chunk(&chunk)?;
            import = blocking(move || import.write(&chunk).map(|()| import)).await?;
        }
        Ok(import)
    }

    async fn register(
        &self,
        import: Import,
        name: String,
        wanted: Option<Digest>,
    ) -> Result<ImageRow, Status> {
        let found = import.digest();
        if let Some(wanted) = wanted.filter(|wanted| *wanted != found) {
            return Err(Reason::DigestMismatch.status(format!("the archive is {found}, not {wanted}")));
        }
        let rules = Rules {
            max_bytes: self.config.image_max_bytes,
            max_entries: self.config.image_max_entries,
            ..Rules::default()
        };
        let (import, summary) =
            spawn_blocking(move || examine(import, &rules)).await.map_err(not_joined)??;
        // Pinned until the registry names it.
        let _pin = self.blobs.pin([found]);
        let stored = blocking(move || import.finish()).await?;
        let row = ImageRow {
            name,
            digest: *stored.digest.as_bytes(),
            size_bytes: stored.size_bytes,
            unpacked_bytes: summary.unpacked_bytes,
            entries: summary.entries,
            imported_unix_us: unix_us(),
        };
        self.images.put(row.clone()).await.map_err(store_failed)?;
        Ok(row)
    }
}

fn examine(import: Import, rules: &Rules) -> Result<(Import, Summary), Status> {
    let reader = BufReader::new(import.reader().map_err(blob_refused)?);
    let summary = inspect(reader, rules).map_err(|refusal| archive_refused(&refusal))?;
    Ok((import, summary))
}
