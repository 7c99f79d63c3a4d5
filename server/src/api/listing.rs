//! `List`: pages of stored jobs, newest first, with what is known of those that still live. `Run` jobs are not in it: they are not stored.

use kiln_proto::model::{JobId, Labels};
use kiln_proto::v1;
use prost::Message;
use tonic::Status;

use super::Context;
use super::accepting::job_id;
use super::errors::{field, store_failed, unreadable};
use crate::jobs::live::key_of;
use crate::jobs::{Command, recovery};
use crate::queue::JobKey;
use crate::store::{ListFilter, ListedJob};

const DEFAULT_PAGE: usize = 100;
const MAX_PAGE: usize = 1_000;
/// A page of jobs with many steps is cut short before it outgrows a message.
const MAX_PAGE_BYTES: usize = 6 << 20;
/// Pages read at most to fill one, when most jobs on them are in another state.
const PAGES_READ: usize = 100;

impl Context {
    pub(super) async fn list(&self, request: v1::ListRequest) -> Result<v1::ListResponse, Status> {
        let wanted = state(&request)?;
        let mut filter = filter(request, wanted)?;
        let size = filter.limit;
        let mut jobs = Vec::new();
        for _ in 0..PAGES_READ {
            let listed = self.store.list(filter.clone()).await.map_err(store_failed)?;
            let is_last = listed.len() < size;
            filter.before = listed.last().map(|job| job.key).or(filter.before);
            for job in self.with_live(listed).await? {
                if wanted.is_none_or(|wanted| job.state() == wanted) {
                    jobs.push(job);
                }
            }
            if is_last || jobs.len() >= size {
                return Ok(page(jobs, size, is_last, filter.before));
            }
        }
        Ok(page(jobs, size, false, filter.before))
    }

    /// Jobs that are not done are told as their owner knows them.
    async fn with_live(&self, listed: Vec<ListedJob>) -> Result<Vec<v1::Job>, Status> {
        let open: Vec<_> = listed.iter().filter(|job| job.done.is_none()).map(|job| job.key).collect();
        let jobs = open.clone();
        let live = match open.is_empty() {
            true => Vec::new(),
            false => self.dispatcher.ask(|reply| Command::Summaries { jobs, reply }).await?,
        };
        let mut live: std::collections::HashMap<JobKey, v1::Job> =
            open.into_iter().zip(live).filter_map(|(key, job)| Some((key, job?))).collect();
        let jobs = listed.iter().map(|job| match live.remove(&job.key) {
            Some(live) => Ok(live),
            None => recovery::listed(job).map_err(unreadable),
        });
        jobs.collect()
    }
}

/// The page, and where the next one begins: behind the last job on it, or behind all that was read.
fn page(mut jobs: Vec<v1::Job>, size: usize, is_last: bool, read_to: Option<JobKey>) -> v1::ListResponse {
    let fitting = jobs
        .iter()
        .scan(0, |bytes, job| {
            *bytes += job.encoded_len() + 8;
            Some(*bytes)
        })
        .take_while(|bytes| *bytes <= MAX_PAGE_BYTES)
        .count();
    let size = size.min(fitting.max(1));
    let cut = jobs.len() > size;
    jobs.truncate(size);
    let next_page_token = match (cut, is_last, jobs.last()) {
        (true, _, Some(last)) => last.id.clone(),
        (_, true, _) => String::new(),
        (_, false, _) => read_to.map(job_id).unwrap_or_default(),
    };
    v1::ListResponse { jobs, next_page_token }
}

fn state(request: &v1::ListRequest) -> Result<Option<v1::JobState>, Status> {
    match v1::JobState::try_from(request.state) {
        Ok(v1::JobState::Unspecified) => Ok(None),
        Ok(state) => Ok(Some(state)),
        Err(_) => Err(field("state", format!("is {}, which is no state of a job", request.state))),
    }
}

fn filter(request: v1::ListRequest, state: Option<v1::JobState>) -> Result<ListFilter, Status> {
    let verdict = match v1::JobVerdict::try_from(request.verdict) {
        Ok(v1::JobVerdict::Unspecified) => None,
        Ok(verdict) => Some(verdict.into()),
        Err(_) => return Err(field("verdict", format!("is {}, which is no verdict", request.verdict))),
    };
    let limit = match request.page_size as usize {
        0 => DEFAULT_PAGE,
        size if size <= MAX_PAGE => size,
        size => {
            return Err(field(
                "page_size",
                format!("is {size}; 1 to {MAX_PAGE} are allowed, 0 means {DEFAULT_PAGE}"),
            ));
        }
    };
    let labels = Labels::check(request.labels.into_iter().collect(), "labels")
        .map_err(|invalid| kiln_proto::status::Reason::InvalidRequest.status_for(&invalid))?;
    let before = match request.page_token.as_str() {
        "" => None,
        token => {
            let id: JobId =
                token.parse().map_err(|_| field("page_token", "is not one that a response gave"))?;
            Some(key_of(id))
        }
    };
    Ok(ListFilter {
        done: state.map(|state| state == v1::JobState::Done),
        verdict,
        labels: labels.to_wire().into_iter().collect(),
        before,
        limit,
    })
}
