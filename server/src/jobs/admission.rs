//! How many jobs may wait, and how much memory their specifications may take. Rights are handed out before anything else happens and come
//! back by themselves when the job is leased, or is gone.

use std::sync::Arc;

use kiln_proto::status::Reason;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

const KIB: u64 = 1024;
/// Clients are asked to wait this long before they try again.
const RETRY_AFTER_MS: u64 = 1_000;

/// What may be admitted.
#[derive(Debug)]
pub(crate) struct Admission {
    places: Arc<Semaphore>,
    memory_kib: Arc<Semaphore>,
    max_jobs: u32,
    max_bytes: u64,
}

/// A job's right to be here.
#[derive(Debug, Default)]
pub(crate) struct Admitted {
    /// Until its first lease.
    place: Option<OwnedSemaphorePermit>,
    /// Until it is done.
    _memory: Option<OwnedSemaphorePermit>,
}

impl Admission {
    pub(crate) fn new(max_jobs: u32, max_bytes: u64) -> Self {
        let kib = usize::try_from(max_bytes / KIB).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self {
            places: Arc::new(Semaphore::new(max_jobs as usize)),
            memory_kib: Arc::new(Semaphore::new(kib)),
            max_jobs,
            max_bytes,
        }
    }

    /// The right to queue jobs of these encoded sizes: for all or none.
    pub(crate) fn admit(&self, sizes: &[usize]) -> Result<Vec<Admitted>, Status> {
        sizes.iter().map(|size| self.admit_one(*size)).collect()
    }

    /// For jobs that were accepted before a restart: never refused, counted as far as there is room.
    pub(crate) fn readmit(&self, size: usize) -> Admitted {
        Admitted {
            place: self.places.clone().try_acquire_owned().ok(),
            _memory: self.memory_kib.clone().try_acquire_many_owned(kib(size)).ok(),
        }
    }

    fn admit_one(&self, size: usize) -> Result<Admitted, Status> {
        let place = self.places.clone().try_acquire_owned();
        let place =
            place.map_err(|_| full(format!("{} jobs wait, which is the most allowed", self.max_jobs)))?;
        let memory = self.memory_kib.clone().try_acquire_many_owned(kib(size));
        let memory = memory.map_err(|_| {
            full(format!(
                "the unfinished jobs' specifications take {} bytes, the most allowed",
                self.max_bytes
            ))
        })?;
        Ok(Admitted { place: Some(place), _memory: Some(memory) })
    }
}

impl Admitted {
    /// The job does not wait any more.
    pub(crate) fn leased(&mut self) {
        self.place = None;
    }
}

fn kib(size: usize) -> u32 {
    u32::try_from(size.div_ceil(KIB as usize)).unwrap_or(u32::MAX)
}

fn full(message: String) -> Status {
    Reason::QueueFull.status_with(message, [("retry_after_ms", RETRY_AFTER_MS.to_string())])
}

#[cfg(test)]
mod tests {
    use kiln_proto::status::reason_of;

    use super::*;

    #[test]
    fn places_come_back_at_the_first_lease_and_memory_at_the_end() {
        let admission = Admission::new(2, 8 * KIB);
        let mut first = admission.admit(&[1000, 5000]).unwrap();
        let status = admission.admit(&[1]).unwrap_err();
        assert_eq!(reason_of(&status), Some(Reason::QueueFull));
        first[0].leased();
        assert!(admission.admit(&[3000]).is_err(), "2 KiB are left");
        first.pop();
        assert!(admission.admit(&[3000]).is_ok());
    }

    #[test]
    fn a_batch_is_admitted_whole_or_not_at_all() {
        let admission = Admission::new(2, 8 * KIB);
        assert!(admission.admit(&[1, 1, 1]).is_err());
        assert!(admission.admit(&[1, 1]).is_ok());
    }
}
