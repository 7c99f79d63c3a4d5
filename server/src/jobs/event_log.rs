//! What happened to a live job, in order, and how much of it may be shown: nothing that rests on a result not yet stored.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use kiln_proto::v1;
use kiln_proto::v1::job_event::Event;

/// One thing that happened.
#[derive(Debug)]
pub(crate) enum Entry {
    /// For everybody. Shared: the last of those who follow takes it as it is.
    Event(Arc<v1::JobEvent>),
    /// For those that follow live output: the step's attempt came to nothing.
    Lost { step: usize },
}

/// The log.
#[derive(Debug)]
pub(crate) struct EventLog {
    job_id: String,
    entries: Vec<Entry>,
    /// Records not yet stored, each with the first entry that waits for it.
    barriers: VecDeque<(u64, usize)>,
    published: usize,
    last_sequence: u64,
}

impl EventLog {
    /// A log whose first event gets the number after `last_sequence`.
    pub(crate) fn new(job_id: String, last_sequence: u64) -> Self {
        Self { job_id, entries: Vec::new(), barriers: VecDeque::new(), published: 0, last_sequence }
    }

    /// A log that goes on after events from an earlier life, all of which may be shown.
    pub(crate) fn recovered(job_id: String, events: Vec<v1::JobEvent>, last_sequence: u64) -> Self {
        let entries: Vec<_> = events.into_iter().map(|event| Entry::Event(Arc::new(event))).collect();
        let published = entries.len();
        Self { job_id, entries, barriers: VecDeque::new(), published, last_sequence }
    }

    /// Adds an event and tells its number.
    pub(crate) fn push(&mut self, event: Event, unix_us: u64) -> u64 {
        self.last_sequence += 1;
        let (sequence, job_id) = (self.last_sequence, self.job_id.clone());
        let event = v1::JobEvent { sequence, job_id, unix_us, event: Some(event) };
        self.entries.push(Entry::Event(Arc::new(event)));
        sequence
    }

    pub(crate) fn push_lost(&mut self, step: usize) {
        self.entries.push(Entry::Lost { step });
    }

    /// What comes from here on waits for this record.
    pub(crate) fn hide_until_stored(&mut self, record: u64) {
        self.barriers.push_back((record, self.entries.len()));
    }

    pub(crate) fn stored(&mut self, record: u64) {
        self.barriers.retain(|(waiting, _)| *waiting != record);
    }

    /// Entries that may be shown now and were not before.
    pub(crate) fn publish(&mut self) -> Range<usize> {
        let visible = self.barriers.front().map_or(self.entries.len(), |(_, first)| *first);
        let fresh = self.published..visible.max(self.published);
        self.published = fresh.end;
        fresh
    }

    pub(crate) fn entry(&self, index: usize) -> &Entry {
        &self.entries[index]
    }

    /// Events already shown, for somebody who comes late.
    pub(crate) fn shown(&self) -> impl Iterator<Item = &Arc<v1::JobEvent>> {
        self.entries[..self.published].iter().filter_map(|entry| match entry {
            Entry::Event(event) => Some(event),
            Entry::Lost { .. } => None,
        })
    }

    /// The number of the last event, shown or not.
    pub(crate) fn last_sequence(&self) -> u64 {
        self.last_sequence
    }

    /// An event that has no number of its own, such as progress.
    pub(crate) fn aside(&self, event: Event, unix_us: u64) -> v1::JobEvent {
        let sequence = self.shown().last().map_or(0, |event| event.sequence);
        v1::JobEvent { sequence, job_id: self.job_id.clone(), unix_us, event: Some(event) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted() -> Event {
        Event::Accepted(v1::Accepted {})
    }

    #[test]
    fn what_waits_for_a_record_hides_all_that_comes_after_it() {
        let mut log = EventLog::new("job".into(), 0);
        log.push(accepted(), 0);
        assert_eq!(log.publish(), 0..1);
        log.hide_until_stored(7);
        log.push(accepted(), 0);
        log.hide_until_stored(8);
        log.push(accepted(), 0);
        assert_eq!(log.publish(), 1..1);
        log.stored(8);
        assert_eq!(log.publish(), 1..1, "the earlier record is still on its way");
        log.stored(7);
        assert_eq!(log.publish(), 1..3);
        assert_eq!(log.shown().map(|event| event.sequence).collect::<Vec<_>>(), [1, 2, 3]);
    }
}
