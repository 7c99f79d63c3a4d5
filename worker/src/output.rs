//! The pump of one output stream: from the command's pipe into a [`Spool`], counting.
//!
//! It never makes the command wait for a reader, keeps exactly the limit's bytes, and says at once when the limit is
//! crossed. A child that keeps the pipe open cannot hold it: once the sandbox is gone it takes what the pipe still has
//! and ends.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rustix::io::Errno;
use tokio::io::Interest;
use tokio::net::unix::pipe;
use tokio_util::sync::CancellationToken;

use crate::spool::{HEAD_BYTES, Spool};

/// What a pipe holds once its command turns out to write much, and what one read takes at most. The pages are the command's
/// own memory (alloc_pipe_info and get_page in fs/pipe.c account them), so no more of them than help.
const WIDE_PIPE_BYTES: usize = 256 * 1024;
/// Room for less is not worth a read of much.
const LEAST_ROOM: usize = 64 * 1024;
/// After this many small reads in a row the pump lets the pipe gather for a moment: a flood of 1-byte writes then costs
/// one read per millisecond, not one per byte.
const SMALL_READS: u32 = 16;
const SMALL_READ_BYTES: usize = 4 * 1024;
const GATHER: Duration = Duration::from_millis(1);

/// A pipe for one stream of a command.
pub(crate) struct StreamPipe {
    /// For the sandbox.
    pub(crate) write: OwnedFd,
    /// For the pump.
    pub(crate) read: OwnedFd,
}

impl StreamPipe {
    /// Opens a pipe that the command may also reach as `/dev/stdout`: opening `/proc/self/fd/1` anew checks the mode of the
    /// pipe's inode, which belongs to the worker's user and is 0600 by default (pipe(7), proc_pid_fd(5)).
    pub(crate) fn open() -> io::Result<Self> {
        let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        rustix::fs::fchmod(&write, rustix::fs::Mode::from_raw_mode(0o622))?;
        Ok(Self { write, read })
    }
}

/// Pumps until end of file, or until `sandbox_gone` and the pipe is empty. `over_limit` is called once, with the bytes seen.
pub(crate) async fn pump(
    read: OwnedFd,
    spool: Arc<Spool>,
    sandbox_gone: CancellationToken,
    over_limit: impl FnOnce(u64),
) -> io::Result<()> {
    let result = Pump {
        spool: Arc::clone(&spool),
        over_limit: Some(over_limit),
        seen_bytes: 0,
        small_reads: 0,
        pipe: Pipe::AsMade,
    }
    .run(read, &sandbox_gone)
    .await;
    spool.complete();
    result
}

struct Pump<F> {
    spool: Arc<Spool>,
    over_limit: Option<F>,
    seen_bytes: u64,
    small_reads: u32,
    pipe: Pipe,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pipe {
    AsMade,
    Widened,
}

impl<F: FnOnce(u64)> Pump<F> {
    async fn run(&mut self, read: OwnedFd, sandbox_gone: &CancellationToken) -> io::Result<()> {
        let pipe = pipe::Receiver::from_owned_fd(read)?;
        let mut buffer = BytesMut::new();
        loop {
            tokio::select! {
                biased;
                () = sandbox_gone.cancelled() => break,
                read = read_when_ready(&pipe, self.room_in(&mut buffer)) => match read? {
                    0 => return Ok(()),
                    _ => self.keep(buffer.split().freeze()).await?,
                },
            }
            self.widen(&pipe);
            self.gather(sandbox_gone).await;
        }
        self.drain(&pipe).await
    }

    /// Chunks share an allocation until it is used up: nobody holds much for a few bytes.
    fn room_in<'a>(&self, buffer: &'a mut BytesMut) -> &'a mut BytesMut {
        if buffer.capacity() < LEAST_ROOM {
            buffer.reserve(if self.pipe == Pipe::Widened { WIDE_PIPE_BYTES } else { LEAST_ROOM });
        }
        buffer
    }

    /// A command that writes much is to wait for the pump less often. Where the user's pipes are too large already, it stays as it is.
    fn widen(&mut self, pipe: &pipe::Receiver) {
        if self.pipe == Pipe::AsMade && self.seen_bytes > HEAD_BYTES as u64 {
            self.pipe = Pipe::Widened;
            let _ = rustix::pipe::fcntl_setpipe_size(pipe.as_fd(), WIDE_PIPE_BYTES);
        }
    }

    /// Every writer is dead: what the pipe holds is all there will be.
    async fn drain(&mut self, pipe: &pipe::Receiver) -> io::Result<()> {
        let mut buffer = vec![0; LEAST_ROOM];
        loop {
            match rustix::io::read(pipe, &mut *buffer) {
                Ok(0) | Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
                Ok(length) => self.keep(Bytes::copy_from_slice(&buffer[..length])).await?,
            }
        }
    }

    /// Hands bytes to the spool, on a blocking thread when the disk is needed.
    async fn keep(&mut self, bytes: Bytes) -> io::Result<()> {
        let length = bytes.len();
        self.seen_bytes += length as u64;
        self.small_reads = if length < SMALL_READ_BYTES { self.small_reads + 1 } else { 0 };
        let state = if self.spool.fits_in_head(length) {
            self.spool.append(&bytes)?
        } else {
            let spool = Arc::clone(&self.spool);
            tokio::task::spawn_blocking(move || spool.append(&bytes)).await.map_err(io::Error::other)??
        };
        if state.truncated
            && let Some(over_limit) = self.over_limit.take()
        {
            over_limit(self.seen_bytes);
        }
        Ok(())
    }

    async fn gather(&mut self, sandbox_gone: &CancellationToken) {
        if self.small_reads >= SMALL_READS {
            tokio::select! {
                () = sandbox_gone.cancelled() => {}
                () = tokio::time::sleep(GATHER) => {}
            }
        }
    }
}

async fn read_when_ready(pipe: &pipe::Receiver, buffer: &mut BytesMut) -> io::Result<usize> {
    loop {
        pipe.ready(Interest::READABLE).await?;
        match pipe.try_read_buf(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn start(
        limit_bytes: u64,
    ) -> (OwnedFd, Arc<Spool>, CancellationToken, mpsc::Receiver<u64>, tokio::task::JoinHandle<io::Result<()>>)
    {
        let pipe = StreamPipe::open().unwrap();
        let spool = Spool::new(&std::env::temp_dir(), limit_bytes);
        let gone = CancellationToken::new();
        let (tell, told) = mpsc::channel();
        let task = tokio::spawn(pump(pipe.read, Arc::clone(&spool), gone.clone(), move |seen| {
            tell.send(seen).unwrap()
        }));
        (pipe.write, spool, gone, told, task)
    }

    #[tokio::test]
    async fn ends_at_end_of_file_with_every_byte() {
        let (write, spool, _gone, told, task) = start(1 << 20);
        let writer = std::thread::spawn(move || {
            for _ in 0..200 {
                assert_eq!(rustix::io::write(&write, &[b'x'; 1000]).unwrap(), 1000);
            }
        });
        task.await.unwrap().unwrap();
        writer.join().unwrap();
        assert_eq!(spool.state().kept_bytes, 200_000);
        assert!(spool.state().complete && !spool.state().truncated);
        assert!(told.try_recv().is_err());
    }

    #[tokio::test]
    async fn tells_once_and_keeps_the_limit_when_more_comes() {
        let (write, spool, _gone, told, task) = start(1000);
        let writer = std::thread::spawn(move || {
            for _ in 0..100 {
                rustix::io::write(&write, &[b'x'; 100]).unwrap();
            }
        });
        task.await.unwrap().unwrap();
        writer.join().unwrap();
        assert_eq!(spool.state().kept_bytes, 1000);
        assert!(spool.state().truncated);
        assert!(told.try_recv().unwrap() > 1000);
        assert!(told.try_recv().is_err());
    }

    #[tokio::test]
    async fn exactly_the_limit_is_not_over_it() {
        let (write, spool, _gone, told, task) = start(1000);
        rustix::io::write(&write, &[b'x'; 1000]).unwrap();
        drop(write);
        task.await.unwrap().unwrap();
        assert!(!spool.state().truncated);
        assert!(told.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_pipe_that_stays_open_does_not_hold_the_pump() {
        let (write, spool, gone, _told, task) = start(1 << 20);
        rustix::io::write(&write, b"last words").unwrap();
        gone.cancel();
        task.await.unwrap().unwrap();
        assert_eq!(spool.head(), b"last words");
        drop(write);
    }

    #[tokio::test]
    async fn a_flood_of_single_bytes_is_gathered() {
        let (write, spool, _gone, _told, task) = start(1 << 20);
        let writer = std::thread::spawn(move || {
            for _ in 0..100_000 {
                rustix::io::write(&write, b"y").unwrap();
            }
        });
        task.await.unwrap().unwrap();
        writer.join().unwrap();
        assert_eq!(spool.state().kept_bytes, 100_000);
    }
}
