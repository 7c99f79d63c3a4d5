//! From an order to what a jail takes: the image fetched, every input as a descriptor, pipes between commands.
//!
//! Inputs are opened by digest or made in memory; no path comes from a job. Large ones are shown to the command where they lie
//! in the cache, instead of copied into its memory.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use kiln_jail::plan::{FileIn, Plan, Way};
use kiln_jail::report::Failure;

use crate::blobs::{BlobError, Blobs, Held, sealed_file};
use crate::command::{Prepared, Stdin, Stdout, io_failure};
use crate::images::ImageStoreError;
use crate::order::{CommandOrder, Content, StepOrder};
use crate::roots::{Root, Roots};
use crate::stdin;

/// Why a command could not be prepared. Always the infrastructure's matter.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrepareError {
    #[error("get the image")]
    Image(#[source] ImageStoreError),
    #[error("get an input")]
    Input(#[source] BlobError),
    #[error("hold an input in memory")]
    Inline(#[source] io::Error),
    #[error("make a pipe")]
    Pipe(#[source] io::Error),
}

/// A command with its inputs, not yet joined to the others of its step.
#[derive(Debug)]
pub(crate) struct Inputs {
    /// To be held until the sandbox is gone.
    root: Root,
    stdin: stdin::Source,
    files: Vec<std::fs::File>,
    /// Those that the command is shown, by their index.
    shown: Vec<(usize, Held)>,
}

/// Fetches what one command needs.
pub(crate) async fn fetch(
    order: &CommandOrder,
    roots: &Roots,
    blobs: &Arc<Blobs>,
) -> Result<Inputs, PrepareError> {
    let root = roots.get(order.image, blobs).await.map_err(PrepareError::Image)?;
    let stdin = match &order.stdin {
        Content::Bytes(bytes) => stdin::Source::Bytes(bytes.clone()),
        Content::Blob(digest) => stdin::Source::File(blobs.get(digest).await.map_err(PrepareError::Input)?),
    };
    let mut files = Vec::with_capacity(order.files_in.len());
    let mut shown = Vec::new();
    for (index, content) in order.files_in.iter().enumerate() {
        files.push(match content {
            Content::Bytes(bytes) => sealed_file(bytes).map_err(PrepareError::Inline)?,
            Content::Blob(digest) => {
                // Before it is opened: else it could lose its name in between.
                let held = blobs.hold(digest);
                let file = blobs.get(digest).await.map_err(PrepareError::Input)?;
                let metadata = file.metadata().map_err(|source| BlobError::Open { digest: *digest, source });
                if is_shown(&order.plan, index, metadata.map_err(PrepareError::Input)?.len()) {
                    shown.push((index, held));
                }
                file
            }
        });
    }
    Ok(Inputs { root, stdin, files, shown })
}

/// As `FileIn` in the API says. What is wanted back must be the command's own file; and one inode cannot be executable for
/// one command and not for another.
fn is_shown(plan: &Plan, index: usize, size_bytes: u64) -> bool {
    let FileIn { path, way } = &plan.files_in[index];
    let is_executable = matches!(way, Way::Copied { mode, .. } if mode & 0o111 != 0);
    let is_wanted_back = plan.files_out.iter().any(|wanted| wanted.path == *path);
    size_bytes > kiln_proto::COPIED_INPUT_BYTES && !is_executable && !is_wanted_back
}

/// The plan with its root, and its large files shown from the cache.
fn plan(order: &CommandOrder, inputs: &Inputs, blobs: &Blobs) -> Plan {
    use std::os::unix::ffi::OsStrExt;
    let mut plan = Plan { rootfs: inputs.root.rootfs.clone(), ..order.plan.clone() };
    for (index, held) in &inputs.shown {
        plan.files_in[*index].way = Way::Shown { name: held.file_name().into_bytes() };
        plan.shown_from = Some(blobs.directory().as_os_str().as_bytes().to_vec());
    }
    plan
}

/// Joins the commands of a step by its pipes. The roots are to be held until the sandboxes are gone.
pub(crate) fn join(
    order: &StepOrder,
    inputs: Vec<Inputs>,
    blobs: &Blobs,
) -> Result<(Vec<Prepared>, Vec<Root>), PrepareError> {
    let mut stdin: Vec<Option<OwnedFd>> = order.commands.iter().map(|_| None).collect();
    let mut stdout: Vec<Option<OwnedFd>> = order.commands.iter().map(|_| None).collect();
    for (from, to) in &order.pipes {
        let (read, write) = stdin::open_pipe(stdin::BOTH_ENDS).map_err(PrepareError::Pipe)?;
        stdin[*to] = Some(read);
        stdout[*from] = Some(write);
    }
    let mut prepared = Vec::with_capacity(inputs.len());
    let mut roots = Vec::with_capacity(inputs.len());
    for (index, (command, inputs)) in order.commands.iter().zip(inputs).enumerate() {
        let plan = plan(command, &inputs, blobs);
        let stdin = match stdin[index].take() {
            Some(read) => Stdin::Piped(read),
            None => Stdin::Pumped(stdin::Stdin::open(inputs.stdin).map_err(PrepareError::Pipe)?),
        };
        prepared.push(Prepared {
            plan,
            stdin,
            stdout: stdout[index].take().map_or(Stdout::Spooled, Stdout::Piped),
            files: inputs.files,
            held: inputs.shown.into_iter().map(|(_, held)| held).collect(),
            recorder: None,
        });
        roots.push(inputs.root);
    }
    Ok((prepared, roots))
}

impl PrepareError {
    /// As the failure of a command.
    pub(crate) fn to_failure(&self) -> Failure {
        let mut detail = self.to_string();
        let mut errno = 0;
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            detail = format!("{detail}: {error}");
            errno = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error).unwrap_or(errno);
            source = error.source();
        }
        let step = match self {
            Self::Image(_) => "image",
            Self::Input(_) => "input",
            Self::Inline(error) | Self::Pipe(error) => return io_failure("input", &detail, error),
        };
        Failure { step: step.to_owned(), errno, detail }
    }
}
