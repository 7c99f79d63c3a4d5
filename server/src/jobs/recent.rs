//! `Run` jobs that are done: nothing durable is written of them, but `Get` finds the last of them for a while.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use kiln_proto::v1;
use prost::Message;

use crate::queue::{JobKey, Moment};

const KEPT_FOR: Duration = Duration::from_secs(60);
const MAX_JOBS: usize = 1_000;
const MAX_BYTES: usize = 64 << 20;

/// The last ones, bounded by age, number and bytes.
///
/// Kept encoded: the byte fields of a decoded message are slices of the buffer that it came in, so that a job of a few bytes would
/// keep that whole buffer alive, and the bound would count something else than the memory that is held.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    jobs: HashMap<JobKey, Vec<u8>>,
    order: VecDeque<(Moment, JobKey, usize)>,
    bytes: usize,
}

impl Recent {
    pub(crate) fn insert(&mut self, key: JobKey, job: &v1::Job, now: Moment) {
        let encoded = job.encode_to_vec();
        let bytes = encoded.len();
        self.bytes += bytes;
        self.order.push_back((now, key, bytes));
        self.jobs.insert(key, encoded);
        self.forget(now);
    }

    pub(crate) fn find(&mut self, key: JobKey, now: Moment) -> Option<v1::Job> {
        self.forget(now);
        let encoded = self.jobs.get(&key)?;
        Some(v1::Job::decode(encoded.as_slice()).expect("encoded above"))
    }

    fn forget(&mut self, now: Moment) {
        while let Some((since, key, bytes)) = self.order.front().copied() {
            let full = self.order.len() > MAX_JOBS || self.bytes > MAX_BYTES;
            if !full && now.saturating_sub(since) < KEPT_FOR {
                return;
            }
            self.order.pop_front();
            self.jobs.remove(&key);
            self.bytes -= bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn it_forgets_by_age_number_and_bytes() {
        let mut recent = Recent::default();
        let job = |bytes| v1::Job { id: "x".repeat(bytes), ..Default::default() };
        for key in 0..1_001 {
            recent.insert(JobKey(key), &job(1), Duration::ZERO);
        }
        assert!(recent.find(JobKey(0), Duration::ZERO).is_none());
        assert_eq!(recent.find(JobKey(1), Duration::ZERO), Some(job(1)));
        recent.insert(JobKey(2_000), &job(MAX_BYTES - 100), Duration::from_secs(1));
        assert!(recent.order.len() < 100);
        assert!(recent.find(JobKey(2_000), Duration::from_secs(62)).is_none());
        assert_eq!(recent.bytes, 0);
    }

    #[test]
    fn the_buffer_that_a_job_came_in_is_not_kept() {
        let buffer = Bytes::from(vec![0_u8; 1 << 20]);
        let output = v1::Output { data: buffer.slice(0..9), ..Default::default() };
        let result = v1::CommandResult { stdout: Some(output), ..Default::default() };
        let step = v1::StepStatus { commands: vec![result], ..Default::default() };
        let job = v1::Job { steps: vec![step], ..Default::default() };
        let mut recent = Recent::default();
        recent.insert(JobKey(1), &job, Duration::ZERO);
        let found = recent.find(JobKey(1), Duration::ZERO);
        assert_eq!(found.as_ref(), Some(&job));
        drop(job);
        assert!(buffer.is_unique(), "nothing else holds the megabyte");
    }
}
