//! One caller that follows one job: events from the owner and live output from relays become one stream, in which a command's output
//! comes before its end, no byte twice and none left out.
//!
//! Output that no relay brought is taken from the result, or from the blob that the result names. A caller that stops reading stalls
//! only itself.

use std::collections::VecDeque;
use std::future::{pending, poll_fn};
use std::io::Read;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, stream};
use kiln_proto::model::{Digest, JobId};
use kiln_proto::v1::job_event::Event;
use kiln_proto::{OUTPUT_CHUNK_BYTES, v1};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tonic::{Code, Status};

use super::live::key_of;
use super::relays::{Relay, Relayed};
use super::{Command, Dispatcher, shutting_down};
use crate::blobs::Blobs;
use crate::queue::JobKey;

/// More than a job of 64 steps has events in all its attempts; memory is taken as they come.
const NOTICES: usize = 16_384;
/// Progress is dropped when so many notices wait.
const PROGRESS_BEHIND: usize = 16;
/// How long a relay that has to bring the rest of an ended command's output may stay unopened.
const RELAY_PATIENCE: Duration = Duration::from_secs(10);

/// What the caller asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// Only events with a greater number.
    pub(crate) after_sequence: u64,
    /// Live output too.
    pub(crate) output: bool,
}

/// What the owner tells.
#[derive(Debug)]
pub(crate) enum Notice {
    /// Something happened.
    Event(Arc<v1::JobEvent>),
    /// Live output of these commands can be followed.
    Follow(Vec<Following>),
    /// The attempt of this step came to nothing.
    Lost { step: usize },
}

/// The owner's end.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) wanted: Wanted,
    notices: mpsc::Sender<Notice>,
}

/// Live output of one command.
#[derive(Debug)]
pub(crate) struct Following {
    pub(crate) step: usize,
    pub(crate) attempt: u64,
    pub(crate) step_name: String,
    pub(crate) command_name: String,
    pub(crate) relay: Relay,
    sent: Sent,
    complete: bool,
}

/// Bytes of each stream that the caller has.
#[derive(Debug, Default, Clone, Copy)]
struct Sent {
    stdout: u64,
    stderr: u64,
}

/// How the caller takes part in the job's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bond {
    /// `Watch`: looks on.
    Loose,
    /// `Run`: the job ends when the caller goes.
    Tied,
}

/// The caller's end.
#[derive(Debug)]
pub(crate) struct Watching {
    dispatcher: Dispatcher,
    blobs: Arc<Blobs>,
    job: JobKey,
    job_id: String,
    bond: Bond,
    deadline: Option<Instant>,
    notices: mpsc::Receiver<Notice>,
    following: Vec<Following>,
    /// An ended command whose output is not all there yet, and its event.
    draining: Option<(Draining, Arc<v1::JobEvent>)>,
    ready: VecDeque<Arc<v1::JobEvent>>,
    last_sequence: u64,
    shown_output: bool,
    ended: bool,
}

#[derive(Debug)]
struct Draining {
    following: Following,
    result: v1::CommandResult,
}

impl Seat {
    /// False when the caller is gone or hopelessly behind.
    pub(crate) fn tell(&self, notice: Notice) -> bool {
        self.notices.try_send(notice).is_ok()
    }

    /// Nobody listens any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.notices.is_closed()
    }

    /// Tells only a caller that keeps up.
    pub(crate) fn tell_if_idle(&self, notice: Notice) {
        if self.notices.max_capacity() - self.notices.capacity() < PROGRESS_BEHIND {
            self.tell(notice);
        }
    }
}

impl Following {
    pub(crate) fn new(step: usize, attempt: u64, names: (&str, &str), relay: Relay) -> Self {
        Self {
            step,
            attempt,
            step_name: names.0.to_owned(),
            command_name: names.1.to_owned(),
            relay,
            sent: Sent::default(),
            complete: false,
        }
    }
}

impl Watching {
    /// Both ends for a new caller.
    pub(crate) fn new(
        dispatcher: Dispatcher,
        blobs: Arc<Blobs>,
        id: JobId,
        bond: Bond,
        deadline: Option<Instant>,
        wanted: Wanted,
    ) -> (Self, Seat) {
        let (sender, notices) = mpsc::channel(NOTICES);
        let watching = Self {
            dispatcher,
            blobs,
            job: key_of(id),
            job_id: id.to_string(),
            bond,
            deadline,
            notices,
            following: Vec::new(),
            draining: None,
            ready: VecDeque::new(),
            last_sequence: 0,
            shown_output: false,
            ended: false,
        };
        (watching, Seat { wanted, notices: sender })
    }

    /// The events as tonic wants them. Dropping the stream of a tied caller cancels the job.
    pub(crate) fn into_stream(self) -> impl Stream<Item = Result<v1::JobEvent, Status>> + Send {
        stream::unfold(self, |mut watching| async move {
            let item = watching.next().await?;
            Some((item, watching))
        })
    }

    async fn next(&mut self) -> Option<Result<v1::JobEvent, Status>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.last_sequence = event.sequence;
                self.ended = matches!(event.event, Some(Event::Done(_)));
                return Some(Ok(Arc::unwrap_or_clone(event)));
            }
            if self.ended {
                return None;
            }
            if let Err(status) = self.advance().await {
                self.ended = true;
                self.let_go();
                return Some(Err(status));
            }
        }
    }

    /// Waits for the next thing and turns it into events.
    async fn advance(&mut self) -> Result<(), Status> {
        let deadline = self.deadline;
        tokio::select! {
            biased;
            moved = self.step() => moved,
            () = until(deadline) => {
                Err(Status::new(Code::DeadlineExceeded, "the call's deadline passed before the job was done"))
            }
        }
    }

    async fn step(&mut self) -> Result<(), Status> {
        if self.draining.is_some() {
            return self.drain().await;
        }
        tokio::select! {
            notice = self.notices.recv() => self.noticed(notice.ok_or_else(shutting_down)?),
            (index, relayed) = next_relayed(&mut self.following) => return self.relayed(index, relayed).await,
        }
        Ok(())
    }

    fn noticed(&mut self, notice: Notice) {
        match notice {
            Notice::Follow(following) => self.following.extend(following),
            Notice::Lost { step } => self.following.retain(|following| following.step != step),
            Notice::Event(event) => match self.unfollow(&event) {
                Some(draining) => self.draining = Some((draining, event)),
                None => self.ready.push_back(event),
            },
        }
    }

    /// The command that this event ends, if its output was followed.
    fn unfollow(&mut self, event: &v1::JobEvent) -> Option<Draining> {
        let Some(Event::CommandFinished(finished)) = &event.event else { return None };
        let result = finished.result.clone()?;
        let index = self.following.iter().position(|following| {
            following.step_name == finished.step && following.command_name == result.name
        })?;
        Some(Draining { following: self.following.swap_remove(index), result })
    }

    async fn relayed(&mut self, index: usize, relayed: Option<Relayed>) -> Result<(), Status> {
        let following = &mut self.following[index];
        match relayed {
            Some(Relayed::Chunk(chunk)) => {
                let (step, attempt) = (following.step, following.attempt);
                if let Some(output) = following.take(chunk) {
                    if !self.may_show(step, attempt).await? {
                        self.following.retain(|following| following.step != step);
                        return Ok(());
                    }
                    self.show(output);
                }
            }
            Some(Relayed::Complete) | None => following.complete = true,
        }
        Ok(())
    }

    /// The owner learns that output is shown before it is: from then on a tied job is not tried again.
    async fn may_show(&mut self, step: usize, attempt: u64) -> Result<bool, Status> {
        if self.bond == Bond::Loose || self.shown_output {
            return Ok(true);
        }
        let job = self.job;
        let current = self.dispatcher.ask(|reply| Command::OutputSent { job, step, attempt, reply }).await?;
        self.shown_output = current;
        Ok(current)
    }

    fn show(&mut self, output: v1::OutputChunk) {
        let event = v1::JobEvent {
            sequence: self.last_sequence,
            job_id: self.job_id.clone(),
            unix_us: crate::clock::unix_us(),
            event: Some(Event::Output(output)),
        };
        self.ready.push_back(Arc::new(event));
    }

    /// Brings one more piece of an ended command's output, or its end.
    async fn drain(&mut self) -> Result<(), Status> {
        let Some((mut draining, event)) = self.draining.take() else { return Ok(()) };
        if let Some(output) = draining.take_from_result() {
            self.show(output);
        } else if draining.is_done() {
            self.ready.push_back(event);
            return Ok(());
        } else if !draining.following.complete {
            let output = draining.take_from_relay().await;
            output.into_iter().for_each(|output| self.show(output));
        } else {
            let output = draining.take_from_blob(&self.blobs).await?;
            self.show(output);
        }
        self.draining = Some((draining, event));
        Ok(())
    }

    fn let_go(&mut self) {
        if self.bond == Bond::Tied {
            self.dispatcher.send_detached(Command::Abandon { job: self.job });
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        if !self.ended {
            self.let_go();
        }
    }
}

impl Following {
    /// What of a chunk is new. A relay begins at the beginning; a chunk after a gap cannot be used, and ends the relay.
    fn take(&mut self, chunk: v1::RelayChunk) -> Option<v1::OutputChunk> {
        let sent = self.sent.of(chunk.stream())?;
        if chunk.offset > *sent || chunk.data.len() > OUTPUT_CHUNK_BYTES {
            self.complete = true;
            return None;
        }
        let known = usize::try_from(*sent - chunk.offset).unwrap_or(usize::MAX).min(chunk.data.len());
        let data = chunk.data.slice(known..);
        let stream = chunk.stream();
        self.output(stream, data)
    }

    /// The next bytes of a stream, counted as sent.
    fn output(&mut self, stream: v1::Stream, data: Bytes) -> Option<v1::OutputChunk> {
        if data.is_empty() {
            return None;
        }
        let sent = self.sent.of(stream)?;
        let offset = *sent;
        *sent += data.len() as u64;
        Some(v1::OutputChunk {
            step: self.step_name.clone(),
            command: self.command_name.clone(),
            stream: stream.into(),
            offset,
            data,
        })
    }
}

impl Sent {
    fn of(&mut self, stream: v1::Stream) -> Option<&mut u64> {
        match stream {
            v1::Stream::Stdout => Some(&mut self.stdout),
            v1::Stream::Stderr => Some(&mut self.stderr),
            v1::Stream::Unspecified => None,
        }
    }
}

impl Draining {
    const STREAMS: [v1::Stream; 2] = [v1::Stream::Stdout, v1::Stream::Stderr];

    fn output(&self, stream: v1::Stream) -> Option<&v1::Output> {
        let output = if stream == v1::Stream::Stdout { &self.result.stdout } else { &self.result.stderr };
        output.as_ref().filter(|output| !output.piped)
    }

    fn sent(&mut self, stream: v1::Stream) -> u64 {
        self.following.sent.of(stream).map_or(0, |sent| *sent)
    }

    /// A stream that the result has whole.
    fn take_from_result(&mut self) -> Option<v1::OutputChunk> {
        for stream in Self::STREAMS {
            let sent = self.sent(stream);
            let Some(output) = self.output(stream) else { continue };
            if output.data.len() as u64 == output.size_bytes && sent < output.size_bytes {
                let rest = output.data.slice(usize::try_from(sent).unwrap_or(usize::MAX)..);
                return self.following.output(stream, rest);
            }
        }
        None
    }

    fn is_done(&mut self) -> bool {
        self.missing().is_none()
    }

    fn missing(&mut self) -> Option<v1::Stream> {
        Self::STREAMS.into_iter().find(|stream| {
            let sent = self.sent(*stream);
            self.output(*stream).is_some_and(|output| sent < output.size_bytes)
        })
    }

    async fn take_from_relay(&mut self) -> Option<v1::OutputChunk> {
        let chunks = &mut self.following.relay.chunks;
        let relayed = match timeout(RELAY_PATIENCE, chunks.recv()).await {
            Ok(relayed) => relayed,
            // An opened relay is as slow as its worker; one that nobody opened in this time will not be.
            Err(_) if !self.following.relay.is_unopened() => return None,
            Err(_) => None,
        };
        match relayed {
            Some(Relayed::Chunk(chunk)) => self.following.take(chunk),
            Some(Relayed::Complete) | None => {
                self.following.complete = true;
                None
            }
        }
    }

    /// The rest of a stream from its blob, when the relay did not bring it.
    async fn take_from_blob(&mut self, blobs: &Arc<Blobs>) -> Result<v1::OutputChunk, Status> {
        let lost =
            || Status::new(Code::DataLoss, "the worker was lost before all of the command's output came");
        let stream = self.missing().ok_or_else(lost)?;
        let offset = self.sent(stream);
        let digest: Option<Digest> = self.output(stream).and_then(|output| output.blob.parse().ok());
        let (digest, blobs) = (digest.ok_or_else(lost)?, blobs.clone());
        let read = tokio::task::spawn_blocking(move || {
            let (file, _) = blobs.read(&digest, offset).ok()?;
            let mut data = Vec::with_capacity(OUTPUT_CHUNK_BYTES);
            file.take(OUTPUT_CHUNK_BYTES as u64).read_to_end(&mut data).ok()?;
            Some(data)
        });
        let data = read.await.ok().flatten().ok_or_else(lost)?;
        self.following.output(stream, data.into()).ok_or_else(lost)
    }
}

/// The next chunk or end of any relay that has not ended.
async fn next_relayed(following: &mut [Following]) -> (usize, Option<Relayed>) {
    poll_fn(|context| {
        for (index, following) in following.iter_mut().enumerate() {
            if following.complete {
                continue;
            }
            if let Poll::Ready(relayed) = following.relay.chunks.poll_recv(context) {
                return Poll::Ready((index, relayed));
            }
        }
        Poll::Pending
    })
    .await
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}
