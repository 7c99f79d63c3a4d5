//! Connections while they are open: bounded in number, and those that never say a word in time.
//!
//! Where there is no room left, the one that has been silent for longest makes it: whoever opens connections and says nothing keeps
//! nobody else out. Each takes a descriptor, and blobs, the store and workers need theirs.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use rustix::process::{Resource, getrlimit};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;

/// An honest client begins to speak as soon as it is connected.
const FIRST_WORD: Duration = Duration::from_secs(10);
/// However many descriptors there may be.
const MOST: usize = 16_384;

/// All connections of a server.
#[derive(Clone, Debug)]
pub(crate) struct Connections {
    room: Arc<Semaphore>,
    silent: Arc<Silent>,
    patience: Duration,
}

/// Who has not said a word yet, in the order of coming.
#[derive(Debug, Default)]
struct Silent(Mutex<(u64, BTreeMap<u64, CancellationToken>)>);

/// An open connection.
pub(crate) struct Guarded<C> {
    connection: C,
    /// Until its first word.
    silence: Option<Silence>,
    _room: OwnedSemaphorePermit,
}

/// Ends when the connection is to be closed.
struct Silence {
    over: Pin<Box<dyn Future<Output = ()> + Send>>,
    number: u64,
    silent: Arc<Silent>,
}

impl Connections {
    /// At most half of the descriptors that this process may open.
    pub(crate) fn new() -> Self {
        let descriptors =
            getrlimit(Resource::Nofile).current.map_or(MOST, |most| usize::try_from(most).unwrap_or(MOST));
        Self::at_most((descriptors / 2).clamp(1, MOST), FIRST_WORD)
    }

    fn at_most(connections: usize, patience: Duration) -> Self {
        Self { room: Arc::new(Semaphore::new(connections)), silent: Arc::default(), patience }
    }

    /// The connections of a listener, as they come and there is room.
    pub(crate) fn guard<C: Send + 'static>(
        self,
        incoming: impl Stream<Item = io::Result<C>> + Send + 'static,
    ) -> impl Stream<Item = io::Result<Guarded<C>>> + Send {
        incoming.filter_map(move |accepted| {
            let connections = self.clone();
            async move {
                match accepted {
                    Ok(connection) => connections.take(connection).await.map(Ok),
                    Err(error) => Some(Err(error)),
                }
            }
        })
    }

    async fn take<C>(&self, connection: C) -> Option<Guarded<C>> {
        let room = match Arc::clone(&self.room).try_acquire_owned() {
            Ok(room) => room,
            Err(_) if self.silent.close_first() => Arc::clone(&self.room).acquire_owned().await.ok()?,
            Err(_) => {
                tracing::warn!(
                    "a connection was refused: there are as many as this process has descriptors for"
                );
                return None;
            }
        };
        Some(Guarded { connection, silence: Some(self.silent.enter(self.patience)), _room: room })
    }
}

impl Silent {
    fn enter(self: &Arc<Self>, patience: Duration) -> Silence {
        let close = CancellationToken::new();
        let number = {
            let mut silent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            silent.0 += 1;
            let number = silent.0;
            silent.1.insert(number, close.clone());
            number
        };
        let over = async move {
            tokio::select! {
                () = close.cancelled() => {}
                () = tokio::time::sleep(patience) => {}
            }
        };
        Silence { over: Box::pin(over), number, silent: Arc::clone(self) }
    }

    /// Whether there was one to be closed.
    fn close_first(&self) -> bool {
        let first = self.0.lock().unwrap_or_else(PoisonError::into_inner).1.pop_first();
        first.map(|(_, close)| close.cancel()).is_some()
    }

    /// Whether it was not to be closed already.
    fn leave(&self, number: u64) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.remove(&number).is_some()
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        self.silent.leave(self.number);
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for Guarded<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.connection).poll_read(context, buffer);
        let spoke = buffer.filled().len() > before;
        let too_late = match &mut this.silence {
            None => false,
            // Who comes after it was told that this one makes room: a word in the same moment changes nothing.
            Some(silence) if spoke => !silence.silent.leave(silence.number),
            Some(silence) => read.is_pending() && silence.over.as_mut().poll(context).is_ready(),
        };
        if too_late {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client said nothing")));
        }
        if spoke {
            this.silence = None;
        }
        read
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Guarded<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(context)
    }
}

impl<C: Connected> Connected for Guarded<C> {
    type ConnectInfo = C::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.connection.connect_info()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    async fn connect(connections: &Connections) -> Option<(DuplexStream, Guarded<DuplexStream>)> {
        let (client, server) = duplex(64);
        Some((client, connections.take(server).await?))
    }

    #[tokio::test]
    async fn who_says_nothing_is_closed_in_time_and_who_spoke_once_is_not() {
        let connections = Connections::at_most(2, Duration::from_millis(20));
        let (_quiet, mut silent) = connect(&connections).await.unwrap();
        let (mut client, mut spoke) = connect(&connections).await.unwrap();
        client.write_all(b"x").await.unwrap();
        assert_eq!(spoke.read_u8().await.unwrap(), b'x');
        assert_eq!(silent.read_u8().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        // The other's time would be over now, too.
        let (_quiet, mut later) = connect(&Connections::at_most(1, Duration::from_millis(20))).await.unwrap();
        assert_eq!(later.read_u8().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        client.write_all(b"y").await.unwrap();
        assert_eq!(spoke.read_u8().await.unwrap(), b'y');
    }

    #[tokio::test]
    async fn where_there_is_no_room_the_first_silent_one_makes_it_and_talkers_stay() {
        let connections = Connections::at_most(2, FIRST_WORD);
        let (mut client, mut talker) = connect(&connections).await.unwrap();
        client.write_all(b"x").await.unwrap();
        talker.read_u8().await.unwrap();
        let (_quiet, mut silent) = connect(&connections).await.unwrap();
        let closed = tokio::spawn(async move { silent.read_u8().await.unwrap_err().kind() });
        let (mut client, mut newcomer) = connect(&connections).await.unwrap();
        assert_eq!(closed.await.unwrap(), io::ErrorKind::TimedOut);
        client.write_all(b"y").await.unwrap();
        newcomer.read_u8().await.unwrap();
        assert!(connect(&connections).await.is_none(), "two who talk are all there is room for");
        drop(talker);
        assert!(connect(&connections).await.is_some());
    }

    /// Else the newcomer, and whoever comes after it, would wait for a connection that goes on.
    #[tokio::test]
    async fn a_word_in_the_moment_of_making_room_comes_too_late() {
        let connections = Connections::at_most(1, FIRST_WORD);
        let (mut client, mut silent) = connect(&connections).await.unwrap();
        let newcomer = connect(&connections);
        tokio::pin!(newcomer);
        assert!(futures_util::poll!(newcomer.as_mut()).is_pending(), "there is no room yet");
        client.write_all(b"x").await.unwrap();
        assert_eq!(silent.read_u8().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(silent);
        assert!(newcomer.await.is_some());
    }
}
