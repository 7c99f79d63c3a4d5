//! `kiln blob`: content-addressed bytes.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use kiln_client::ClientError;
use serde_json::json;

use crate::context::Context;
use crate::exit;
use crate::failure::Failure;
use crate::output::{Format, print, print_json};

const EXAMPLES: &str = "\
Examples:
  kiln blob put big.csv                          prints its digest; goes on where an upload was interrupted
  kiln blob get blake3:0123... > big.csv         verified: a damaged download is an error";

/// Store and fetch content by its digest
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BlobArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Debug, Subcommand)]
enum Action {
    /// Store files and print their digests
    #[command(after_help = "Example:\n  kiln blob put big.csv")]
    Put {
        /// Files to store
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
    /// Write a blob to stdout, or to a file
    #[command(after_help = "Example:\n  kiln blob get blake3:0123... --to big.csv")]
    Get {
        /// Digest, blake3:<64 hex>
        #[arg(value_name = "DIGEST")]
        digest: String,
        /// File to write, only once the content is verified
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
}

pub(crate) async fn run(args: BlobArgs, context: &Context) -> Result<u8, Failure> {
    match args.action {
        Action::Put { files } => put(&files, context).await?,
        Action::Get { digest, to } => get(&digest, to, context).await?,
    }
    Ok(exit::SUCCESS)
}

async fn put(files: &[PathBuf], context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    for path in files {
        let what = path.display().to_string();
        let file = tokio::fs::File::open(path).await;
        let file = file.map_err(|error| Failure::usage(format!("cannot read {what}: {error}")))?;
        let stored = client.put_blob(file, &what).await?;
        match context.format {
            Format::Json => print_json(&json!({
                "digest": stored.digest,
                "size_bytes": stored.size_bytes,
                "already_stored": stored.already_stored,
            }))?,
            Format::People => print(&format!("{}  {what}\n", stored.digest))?,
        }
    }
    Ok(())
}

async fn get(digest: &str, to: Option<PathBuf>, context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    let Some(path) = to else {
        let written = client.blob_to(digest, &mut tokio::io::stdout()).await;
        return match written {
            Err(ClientError::WriteContent { source, .. })
                if source.kind() == std::io::ErrorKind::BrokenPipe =>
            {
                Err(Failure::closed_pipe())
            }
            other => Ok(other.map(|_| ())?),
        };
    };
    let size_bytes = crate::files_out::save_blob(&client, digest, &path).await?;
    match context.format {
        Format::Json => print_json(&json!({"digest": digest, "size_bytes": size_bytes})),
        Format::People => Ok(()),
    }
}
