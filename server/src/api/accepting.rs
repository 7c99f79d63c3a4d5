//! From a request to an accepted job: checked, its images and blobs found, admitted, and for `Submit` stored before it is queued.

use kiln_proto::model::{Content, Digest, IdempotencyKey, ImageRef, JobId, JobSpec};
use kiln_proto::status::Reason;
use kiln_proto::{Invalid, Violation, v1};
use prost::Message;
use tonic::Status;
use tonic::metadata::MetadataMap;

use super::Context;
use super::errors::{blob_refused, field, not_joined, store_failed};
use crate::blobs::Pins;
use crate::clock::unix_us;
use crate::jobs::admission::Admitted;
use crate::jobs::live::{Durability, LiveJob, key_of};
use crate::jobs::recovery::blobs_named;
use crate::jobs::{Command, Seat};
use crate::store::{AcceptJob, Accepted, Idempotency};

/// A job that may be accepted.
pub(super) struct Checked {
    spec: JobSpec,
    wire: v1::JobSpec,
    /// Of the specification as the client meant it, image names not resolved; zeros when there is no key to remember it by.
    fingerprint: [u8; 32],
    pins: Pins,
    size: usize,
    /// W3C trace context of the call; may be empty.
    traceparent: String,
}

/// Will the specification be compared with another one?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Identity {
    /// It has an idempotency key.
    Keyed,
    /// It has none.
    Unkeyed,
}

impl Identity {
    pub(super) fn of(key: &Option<String>) -> Self {
        if key.is_some() { Self::Keyed } else { Self::Unkeyed }
    }
}

impl Context {
    /// Checks a specification. `at` is the path of its field, empty or ending with a dot.
    pub(super) async fn check(
        &self,
        spec: Option<v1::JobSpec>,
        at: &str,
        identity: Identity,
    ) -> Result<Checked, Status> {
        let mut spec = self
            .check_model(spec.unwrap_or_default())
            .map_err(|invalid| Reason::InvalidJob.status_for(&below(invalid, at)))?;
        let fingerprint = match identity {
            Identity::Keyed => *blake3::hash(&spec.to_wire().encode_to_vec()).as_bytes(),
            Identity::Unkeyed => [0; 32],
        };
        self.resolve_images(&mut spec, at)?;
        // Pinned first, so that nothing found now is collected before the job is known to the store.
        let pins = self.blobs.pin(blobs_named(&spec));
        self.find_blobs(&spec, at).await?;
        let wire = spec.to_wire();
        let size = wire.encoded_len();
        Ok(Checked { spec, wire, fingerprint, pins, size, traceparent: String::new() })
    }

    /// The right to queue these jobs, all or none.
    pub(super) fn admit<'a>(
        &self,
        jobs: impl IntoIterator<Item = &'a Checked>,
    ) -> Result<Vec<Admitted>, Status> {
        self.admission.admit(&jobs.into_iter().map(|job| job.size).collect::<Vec<_>>())
    }

    /// Queues a job that nothing is written of.
    pub(super) async fn enqueue_fleeting(
        &self,
        id: JobId,
        checked: Checked,
        admitted: Admitted,
        seat: Seat,
    ) -> Result<(), Status> {
        let job = checked.into_live(id, Durability::Fleeting, admitted, unix_us());
        self.dispatcher.send(Command::Enqueue { job: Box::new(job), seat: Some(seat) }).await
    }

    /// Stores jobs, all or none, and queues those that are new. Not to be dropped half-way: a stored job has to be queued.
    pub(super) async fn store_and_enqueue(
        &self,
        jobs: Vec<(Checked, Option<String>)>,
        admitted: Vec<Admitted>,
    ) -> Result<Vec<v1::SubmitResponse>, Status> {
        let now_us = unix_us();
        let ids: Vec<_> = jobs.iter().map(|_| JobId::now()).collect();
        let rows =
            jobs.iter().zip(&ids).map(|((job, key), id)| job.row(*id, key.clone(), now_us, self.epoch));
        let answers = self.store.accept(rows.collect()).await.map_err(store_failed)?;
        let answers = answers.map_err(|reused| {
            Reason::IdempotencyKeyReused.status_with(
                "the idempotency key was used before, with another specification",
                [("index", reused.index.to_string()), ("job_id", job_id(reused.job))],
            )
        })?;
        let mut responses = Vec::with_capacity(jobs.len());
        for ((((checked, _), id), admitted), answer) in jobs.into_iter().zip(ids).zip(admitted).zip(answers) {
            if let Accepted::Already(known) = answer {
                responses.push(v1::SubmitResponse { job_id: job_id(known), already_submitted: true });
                continue;
            }
            let job = checked.into_live(id, Durability::Durable, admitted, now_us);
            // When the server is stopping, the job is taken up by the next one: it is accepted all the same.
            drop(self.dispatcher.send(Command::Enqueue { job: Box::new(job), seat: None }).await);
            responses.push(v1::SubmitResponse { job_id: id.to_string(), already_submitted: false });
        }
        Ok(responses)
    }

    /// Everything that the configuration says of a specification, all at once.
    fn check_model(&self, spec: v1::JobSpec) -> Result<JobSpec, Invalid> {
        let unknown = self.config.profiles.unknown_in(&spec);
        match JobSpec::check(spec, &self.config.limits) {
            Ok(spec) if unknown.is_empty() => Ok(spec),
            Ok(_) => Err(Invalid { violations: unknown }),
            Err(mut invalid) => {
                invalid.violations.extend(unknown);
                Err(invalid)
            }
        }
    }

    /// Image names become digests: a later import under the same name does not change an accepted job.
    fn resolve_images(&self, spec: &mut JobSpec, at: &str) -> Result<(), Status> {
        let mut unknown = Vec::new();
        for (s, step) in spec.steps.iter_mut().enumerate() {
            for (c, command) in step.commands.iter_mut().enumerate() {
                match self.images.resolve(&command.image) {
                    Some(image) => command.image = image,
                    None => unknown.push(Violation::new(
                        format!("{at}steps[{s}].commands[{c}].image"),
                        format!("is {}, which is not imported", image_text(&command.image)),
                    )),
                }
            }
        }
        refuse(Reason::UnknownImage, unknown)
    }

    async fn find_blobs(&self, spec: &JobSpec, at: &str) -> Result<(), Status> {
        let inputs = input_blobs(spec, at);
        if inputs.is_empty() {
            return Ok(());
        }
        let blobs = self.blobs.clone();
        let find = move || {
            let mut unknown = Vec::new();
            for (field, digest) in inputs {
                if !blobs.refresh(&digest)? {
                    unknown.push(Violation::new(
                        field,
                        format!("is {digest}, which is not stored; upload it first"),
                    ));
                }
            }
            Ok(unknown)
        };
        let unknown = tokio::task::spawn_blocking(find).await.map_err(not_joined)?.map_err(blob_refused)?;
        refuse(Reason::UnknownBlob, unknown)
    }
}

impl Checked {
    /// The same, as part of the caller's trace.
    pub(super) fn traced(self, metadata: &MetadataMap) -> Self {
        let given = metadata.get("traceparent").and_then(|value| value.to_str().ok());
        // "00-" and so on: 55 characters in version 00, https://www.w3.org/TR/trace-context/#traceparent-header
        let traceparent = given.filter(|text| text.len() == 55).unwrap_or_default().to_owned();
        Self { traceparent, ..self }
    }

    fn row(&self, id: JobId, key: Option<String>, now_us: u64, epoch: u64) -> AcceptJob {
        let labels = self.spec.labels.to_wire().into_iter().collect();
        let fingerprint = self.fingerprint;
        AcceptJob {
            key: key_of(id),
            spec: self.wire.encode_to_vec().into(),
            labels,
            submitted_unix_us: now_us,
            idempotency: key.map(|key| Idempotency { key, fingerprint }),
            blobs: blobs_named(&self.spec).iter().map(|digest| *digest.as_bytes()).collect(),
            epoch,
        }
    }

    fn into_live(self, id: JobId, durability: Durability, admitted: Admitted, now_us: u64) -> LiveJob {
        let mut job = LiveJob::accepted(id, self.spec, self.wire, durability, (admitted, self.pins), now_us);
        job.traceparent = self.traceparent;
        job
    }
}

/// An idempotency key from the wire; empty is none.
pub(super) fn idempotency_key(text: String, at: &str) -> Result<Option<String>, Status> {
    if text.is_empty() {
        return Ok(None);
    }
    let checked = IdempotencyKey::new(text).map_err(|error| field(&format!("{at}idempotency_key"), error))?;
    Ok(Some(checked.as_str().to_owned()))
}

/// A job's id as text.
pub(super) fn job_id(key: crate::queue::JobKey) -> String {
    JobId::from_bytes(key.0.to_be_bytes()).map(|id| id.to_string()).unwrap_or_default()
}

fn input_blobs(spec: &JobSpec, at: &str) -> Vec<(String, Digest)> {
    let mut inputs = Vec::new();
    for (s, step) in spec.steps.iter().enumerate() {
        for (c, command) in step.commands.iter().enumerate() {
            let mut add = |field: String, content: &Content| {
                if let Content::Blob(digest) = content {
                    inputs.push((format!("{at}steps[{s}].commands[{c}].{field}.blob"), *digest));
                }
            };
            add("stdin".to_owned(), &command.stdin);
            for (f, file) in command.files_in.iter().enumerate() {
                add(format!("files_in[{f}].content"), &file.content);
            }
        }
    }
    inputs
}

fn image_text(image: &ImageRef) -> String {
    match image {
        ImageRef::Host => "host".to_owned(),
        ImageRef::Name(name) => format!("\"{name}\""),
        ImageRef::Digest(digest) => digest.to_string(),
    }
}

fn refuse(reason: Reason, violations: Vec<Violation>) -> Result<(), Status> {
    if violations.is_empty() { Ok(()) } else { Err(reason.status_for(&Invalid { violations })) }
}

fn below(invalid: Invalid, at: &str) -> Invalid {
    let violations = invalid.violations.into_iter();
    let violations =
        violations.map(|violation| Violation { field: format!("{at}{}", violation.field), ..violation });
    Invalid { violations: violations.collect() }
}
