//! How hostile clients ask: raw stubs without the manners of the client library, and what a refusal must look like.

use std::fmt::Debug;

use kiln_attacks::WAITER;
use kiln_client::Client;
use kiln_proto::status::{Reason, reason_of, violations_of};
use kiln_proto::v1::blobs_client::BlobsClient;
use kiln_proto::v1::images_client::ImagesClient;
use kiln_proto::v1::jobs_client::JobsClient;
use kiln_proto::v1::{self, job_event};
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::attack::Held;
use crate::attack::programs::{command_of_the_program, job_of};
use crate::attack::target::Target;

/// A hostile client takes answers of any size.
const BYTES: usize = 64 << 20;

pub(crate) fn jobs(target: &Target) -> JobsClient<Channel> {
    jobs_over(&target.client)
}

/// The same over a connection of its own.
pub(crate) fn jobs_over(client: &Client) -> JobsClient<Channel> {
    JobsClient::new(client.channel()).max_decoding_message_size(BYTES).max_encoding_message_size(BYTES)
}

pub(crate) fn blobs(target: &Target) -> BlobsClient<Channel> {
    BlobsClient::new(target.client.channel()).max_encoding_message_size(BYTES)
}

pub(crate) fn images(target: &Target) -> ImagesClient<Channel> {
    ImagesClient::new(target.client.channel()).max_encoding_message_size(BYTES)
}

/// An honest command that ends at once: the base of what is then made hostile.
pub(crate) fn honest(target: &Target) -> v1::Command {
    waiting(target, 0)
}

/// An honest command that occupies its slot.
pub(crate) fn waiting(target: &Target, ms: u64) -> v1::Command {
    let mut command = command_of_the_program(&target.program, WAITER);
    command.argv.push(ms.to_string().into());
    command
}

/// The job of the honest command, made hostile.
pub(crate) fn job(target: &Target, change: impl FnOnce(&mut v1::Command)) -> v1::JobSpec {
    let mut command = honest(target);
    change(&mut command);
    job_of(command)
}

/// Runs a job to its end, or to its refusal.
pub(crate) async fn run(target: &Target, spec: v1::JobSpec) -> Result<v1::Job, Status> {
    let mut events = jobs(target).run(v1::RunRequest { spec: Some(spec) }).await?.into_inner();
    let mut done = None;
    while let Some(event) = events.message().await? {
        if let Some(job_event::Event::Done(last)) = event.event {
            done = last.job;
        }
    }
    done.ok_or_else(|| Status::internal("the stream ended without the job's end"))
}

/// The answer must be bad input that names this field.
pub(crate) fn refused_field<T: Debug>(what: &str, answer: Result<T, Status>, field: &str) -> Held {
    let status = match answer {
        Ok(_) => return Err(format!("{what} was accepted")),
        Err(status) => status,
    };
    let named = violations_of(&status).iter().any(|violation| violation.field.contains(field));
    if status.code() == Code::InvalidArgument && named {
        return Ok(());
    }
    Err(format!("{what} was refused otherwise than by naming {field}: {}", told(&status)))
}

/// The answer must be this refusal.
pub(crate) fn refused_as<T: Debug>(what: &str, answer: Result<T, Status>, reason: Reason) -> Held {
    match answer {
        Ok(_) => Err(format!("{what} was accepted")),
        Err(status) if reason_of(&status) == Some(reason) => Ok(()),
        Err(status) => {
            Err(format!("{what} was refused otherwise than as {}: {}", reason.as_str(), told(&status)))
        }
    }
}

/// The answer must be any refusal that is not the service's own failure.
pub(crate) fn refused<T: Debug>(what: &str, answer: Result<T, Status>) -> Held {
    match answer {
        Ok(_) => Err(format!("{what} was accepted")),
        Err(status) if matches!(status.code(), Code::Internal | Code::Unknown | Code::DataLoss) => {
            Err(format!("{what} made the service fail: {}", told(&status)))
        }
        Err(_) => Ok(()),
    }
}

/// The service must answer an honest client.
pub(crate) async fn still_serves(target: &Target) -> Held {
    let answer = jobs(target).get_capabilities(v1::GetCapabilitiesRequest {}).await;
    answer.map(|_| ()).map_err(|status| format!("the service answers nobody any more: {}", told(&status)))
}

/// A status for people, without hostile bytes.
pub(crate) fn told(status: &Status) -> String {
    format!("{:?}: {}", status.code(), status.message().escape_default())
}
