//! `kiln image`: read-only root file systems for jobs.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use kiln_proto::model::human_bytes;
use serde_json::json;

use crate::context::Context;
use crate::exit;
use crate::failure::{Failure, with_sources};
use crate::json::image::image;
use crate::output::{Format, note, print, print_json};
use crate::present::tables::{Lean, table};
use crate::present::time::local;

const EXAMPLES: &str = "\
Examples:
  kiln image import debian rootfs.tar.zst        plain, gzip or zstd
  kiln image import tools ./rootfs               a directory
  kiln run --image debian -- cat /etc/os-release
  kiln image list
  kiln image remove debian";

/// Import, list and remove root file systems for jobs
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ImageArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Debug, Subcommand)]
enum Action {
    /// Import a tar archive (plain, gzip or zstd) or a directory
    #[command(after_help = "Example:\n  kiln image import debian rootfs.tar.zst")]
    Import {
        /// Name to use it by: 1 to 63 of [a-z0-9._-]
        #[arg(value_name = "NAME")]
        name: String,
        /// Archive or directory
        #[arg(value_name = "PATH")]
        path: PathBuf,
    },
    /// List images
    #[command(after_help = "Example:\n  kiln image list --json")]
    List,
    /// Remove images; jobs that run keep what they have
    #[command(after_help = "Example:\n  kiln image remove debian")]
    Remove {
        /// Names or digests
        #[arg(value_name = "IMAGE", required = true)]
        images: Vec<String>,
    },
}

pub(crate) async fn run(args: ImageArgs, context: &Context) -> Result<u8, Failure> {
    match args.action {
        Action::Import { name, path } => import(&name, &path, context).await?,
        Action::List => list(context).await?,
        Action::Remove { images } => remove(&images, context).await?,
    }
    Ok(exit::SUCCESS)
}

async fn import(name: &str, path: &Path, context: &Context) -> Result<(), Failure> {
    let cannot = |error: std::io::Error| Failure::usage(format!("cannot read {}: {error}", path.display()));
    let metadata = std::fs::metadata(path).map_err(cannot)?;
    let client = context.client().await?;
    let file =
        if metadata.is_dir() { pack(path).await? } else { std::fs::File::open(path).map_err(cannot)? };
    let archive = tokio::fs::File::from_std(file);
    let imported = client.import_image(name, archive, &path.display().to_string()).await?;
    match context.format {
        Format::Json => print_json(&image(&imported)),
        Format::People => print(&format!(
            "{}  {}  {} in {} entries\n",
            imported.name,
            imported.digest,
            human_bytes(imported.unpacked_bytes),
            imported.entries
        )),
    }
}

/// A directory as an archive in a temporary file; what no image can hold is named and left out.
async fn pack(directory: &Path) -> Result<std::fs::File, Failure> {
    let from = directory.to_owned();
    let packed = tokio::task::spawn_blocking(move || {
        let keep = |error: std::io::Error| Failure::caused("cannot make a temporary file", &error);
        let mut buffered = BufWriter::new(tempfile::tempfile().map_err(keep)?);
        let packed =
            kiln_archive::pack(&from, &mut buffered).map_err(|error| Failure::usage(with_sources(&error)))?;
        buffered.flush().map_err(keep)?;
        let file = buffered.into_inner().map_err(|error| keep(error.into_error()))?;
        Ok::<_, Failure>((packed, file))
    });
    let (packed, file) = packed.await.map_err(|error| Failure::caused("packing stopped", &error))??;
    for skipped in &packed.skipped {
        note(&format!("kiln: left out {}: {}", skipped.path.display(), skipped.kind));
    }
    Ok(file)
}

async fn list(context: &Context) -> Result<(), Failure> {
    let images = context.client().await?.list_images().await?;
    if context.format == Format::Json {
        return print_json(&json!({"images": images.iter().map(image).collect::<Vec<_>>()}));
    }
    let rows = images.iter().map(|info| {
        vec![
            info.name.clone(),
            info.digest.clone(),
            human_bytes(info.unpacked_bytes),
            info.entries.to_string(),
            local(info.imported_unix_us),
        ]
    });
    let leans = [Lean::Left, Lean::Left, Lean::Right, Lean::Right, Lean::Left];
    print(&table(&["image", "digest", "unpacked", "entries", "imported"], &leans, rows))
}

async fn remove(images: &[String], context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    for name in images {
        client.remove_image(name).await?;
        match context.format {
            Format::Json => print_json(&json!({"removed": name}))?,
            Format::People => print(&format!("{name} removed\n"))?,
        }
    }
    Ok(())
}
