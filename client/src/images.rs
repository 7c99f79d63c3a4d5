//! The calls of `Images`.

use kiln_proto::v1;
use tokio::io::{AsyncRead, AsyncSeek, AsyncSeekExt};

use crate::blobs::{digest_of, send_chunks};
use crate::retry::idempotent;
use crate::{Client, ClientError};

impl Client {
    /// Imports a tar archive (plain, gzip or zstd) under a name. `what` names the archive in errors.
    /// The archive is sent with its digest, so that what is imported is what was read here.
    pub async fn import_image<S>(
        &self,
        name: &str,
        mut archive: S,
        what: &str,
    ) -> Result<v1::ImageInfo, ClientError>
    where
        S: AsyncRead + AsyncSeek + Unpin,
    {
        let unreadable = |source| ClientError::Read { what: what.to_owned(), source };
        let (digest, size) = digest_of(&mut archive).await.map_err(unreadable)?;
        archive.rewind().await.map_err(unreadable)?;
        let header = v1::ImportImageHeader { name: name.to_owned(), digest };
        let header = v1::ImportImageRequest { part: Some(v1::import_image_request::Part::Header(header)) };
        let wrap =
            |chunk| v1::ImportImageRequest { part: Some(v1::import_image_request::Part::Chunk(chunk)) };
        let mut client = self.images();
        send_chunks(&mut archive, size, what, header, wrap, |requests| async move {
            client.import(requests).await
        })
        .await?
        .map(tonic::Response::into_inner)
        .map_err(ClientError::call("Images.Import"))
    }

    /// All images, by name.
    pub async fn list_images(&self) -> Result<Vec<v1::ImageInfo>, ClientError> {
        idempotent(|| async { self.images().list(v1::ListImagesRequest {}).await })
            .await
            .map(|answer| answer.into_inner().images)
            .map_err(ClientError::call("Images.List"))
    }

    /// Removes an image by name or digest. Not retried: a second removal would find nothing and look like a failure.
    pub async fn remove_image(&self, image: &str) -> Result<(), ClientError> {
        let request = v1::RemoveImageRequest { image: image.to_owned() };
        self.images().remove(request).await.map(|_| ()).map_err(ClientError::call("Images.Remove"))
    }
}
