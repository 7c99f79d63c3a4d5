//! What a command reads on stdin: a pipe, filled by a task of its own.
//!
//! Holds at most one chunk in memory, whatever the input's size. A command that closes stdin early, or never reads it,
//! stops nobody: the task ends when the sandbox does.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio_util::sync::CancellationToken;

/// What a new pipe takes without a reader (pipe(7)).
const PIPE_BYTES: usize = 64 * 1024;
/// One read of a file: large enough that the hop to a blocking thread does not count.
const READ_BYTES: usize = 256 * 1024;

/// Where stdin's bytes come from.
#[derive(Debug)]
pub(crate) enum Source {
    Bytes(Bytes),
    File(File),
}

/// The end for the sandbox, and what is left to pump.
#[derive(Debug)]
pub(crate) struct Stdin {
    pub(crate) read: OwnedFd,
    rest: Option<(OwnedFd, Source)>,
}

impl Stdin {
    /// Opens a pipe and writes at once what needs no reader.
    pub(crate) fn open(source: Source) -> io::Result<Self> {
        let (read, write) = open_pipe(READ_END)?;
        match source {
            Source::Bytes(bytes) if bytes.len() <= PIPE_BYTES => {
                let written = if bytes.is_empty() { 0 } else { rustix::io::write(&write, &bytes)? };
                if written != bytes.len() {
                    return Err(io::Error::new(
                        io::ErrorKind::WriteZero,
                        "an empty pipe took less than 64 KiB",
                    ));
                }
                Ok(Self { read, rest: None })
            }
            source => Ok(Self { read, rest: Some((write, source)) }),
        }
    }

    /// Splits into the sandbox's end and the pump, if there is anything to pump.
    pub(crate) fn split(self) -> (OwnedFd, Option<(OwnedFd, Source)>) {
        (self.read, self.rest)
    }
}

/// Who may open a pipe anew through `/proc/self/fd`, see [`crate::output::StreamPipe::open`].
pub(crate) const READ_END: u32 = 0o644;
/// For a pipe between two commands.
pub(crate) const BOTH_ENDS: u32 = 0o666;

/// Opens a pipe: the reading and the writing end.
pub(crate) fn open_pipe(mode: u32) -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    rustix::fs::fchmod(&read, rustix::fs::Mode::from_raw_mode(mode))?;
    Ok((read, write))
}

/// Writes everything, until the command reads no more or the sandbox is gone.
pub(crate) async fn pump(write: OwnedFd, source: Source, sandbox_gone: CancellationToken) -> io::Result<()> {
    let mut pipe = pipe::Sender::from_owned_fd(write)?;
    let pumped = tokio::select! {
        () = sandbox_gone.cancelled() => Ok(()),
        written = write_all(&mut pipe, source) => written,
    };
    match pumped {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

async fn write_all(pipe: &mut pipe::Sender, source: Source) -> io::Result<()> {
    let mut file = match source {
        Source::Bytes(bytes) => return pipe.write_all(&bytes).await,
        Source::File(file) => file,
    };
    let mut chunk = vec![0; READ_BYTES];
    loop {
        let read = move || {
            let length = file.read(&mut chunk)?;
            Ok::<_, io::Error>((file, chunk, length))
        };
        let length;
        (file, chunk, length) = tokio::task::spawn_blocking(read).await.map_err(io::Error::other)??;
        if length == 0 {
            return Ok(());
        }
        pipe.write_all(&chunk[..length]).await?;
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};

    use super::*;

    fn read_to_end(read: OwnedFd) -> std::thread::JoinHandle<Vec<u8>> {
        std::thread::spawn(move || {
            let mut all = Vec::new();
            File::from(read).read_to_end(&mut all).unwrap();
            all
        })
    }

    #[tokio::test]
    async fn small_input_is_there_before_anybody_reads() {
        for content in [vec![], vec![b'a'; PIPE_BYTES]] {
            let (read, rest) = Stdin::open(Source::Bytes(content.clone().into())).unwrap().split();
            assert!(rest.is_none());
            assert_eq!(read_to_end(read).join().unwrap(), content);
        }
    }

    #[tokio::test]
    async fn large_inputs_arrive_whole() {
        let content: Vec<u8> = (0..300_000u32).map(|index| (index % 253) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&content).unwrap();
        file.rewind().unwrap();
        for source in [Source::Bytes(content.clone().into()), Source::File(file)] {
            let (read, rest) = Stdin::open(source).unwrap().split();
            let reader = read_to_end(read);
            let (write, source) = rest.unwrap();
            pump(write, source, CancellationToken::new()).await.unwrap();
            assert_eq!(reader.join().unwrap(), content);
        }
    }

    #[tokio::test]
    async fn a_closed_stdin_ends_the_pump() {
        let (read, rest) = Stdin::open(Source::Bytes(vec![0; 1 << 20].into())).unwrap().split();
        drop(read);
        let (write, source) = rest.unwrap();
        pump(write, source, CancellationToken::new()).await.unwrap();
    }

    #[tokio::test]
    async fn an_unread_stdin_ends_with_the_sandbox() {
        let (read, rest) = Stdin::open(Source::Bytes(vec![0; 1 << 20].into())).unwrap().split();
        let (write, source) = rest.unwrap();
        let gone = CancellationToken::new();
        let task = tokio::spawn(pump(write, source, gone.clone()));
        tokio::task::yield_now().await;
        gone.cancel();
        task.await.unwrap().unwrap();
        drop(read);
    }
}
