//! A job that is told in one message has to fit in one.

use bytes::Bytes;
use kiln_proto::{MAX_MESSAGE_BYTES, v1};
use prost::Message;

/// Left for a message's frame beside the job in it.
const ROOM_BYTES: usize = 64 << 10;

/// Does it fit in one message?
pub(crate) fn fits(message: &impl Message) -> bool {
    message.encoded_len() + ROOM_BYTES <= MAX_MESSAGE_BYTES
}

/// The job, cut down as far as need be: first without its specification, which the client sent itself, then without the content of files,
/// then without that of outputs. Sizes and digests always stay, and `Watch` tells each command's whole result in a message of its own.
pub(crate) fn fitting(mut job: v1::Job) -> v1::Job {
    if fits(&job) {
        return job;
    }
    job.spec = None;
    for cut in [cut_files, cut_outputs] {
        if fits(&job) {
            break;
        }
        job.steps.iter_mut().flat_map(|step| &mut step.commands).for_each(cut);
    }
    job
}

fn cut_files(result: &mut v1::CommandResult) {
    result.files.iter_mut().for_each(|file| file.data = Bytes::new());
}

fn cut_outputs(result: &mut v1::CommandResult) {
    [&mut result.stdout, &mut result.stderr]
        .into_iter()
        .flatten()
        .for_each(|output| output.data = Bytes::new());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(steps: usize, file_bytes: usize, output_bytes: usize) -> v1::Job {
        let data = |bytes| Bytes::from(vec![b'x'; bytes]);
        let file =
            v1::FileResult { data: data(file_bytes), size_bytes: file_bytes as u64, ..Default::default() };
        let output =
            v1::Output { data: data(output_bytes), size_bytes: output_bytes as u64, ..Default::default() };
        let command = v1::CommandResult { files: vec![file], stdout: Some(output), ..Default::default() };
        let step = v1::StepStatus { commands: vec![command], ..Default::default() };
        v1::Job { steps: vec![step; steps], spec: Some(v1::JobSpec::default()), ..Default::default() }
    }

    #[test]
    fn a_job_loses_only_what_does_not_fit() {
        let small = job(2, 10, 10);
        assert_eq!(fitting(small.clone()), small);
        let files = fitting(job(20, 1 << 20, 10));
        assert!(fits(&files) && files.spec.is_none());
        assert_eq!(
            (
                files.steps[19].commands[0].files[0].data.len(),
                files.steps[19].commands[0].files[0].size_bytes
            ),
            (0, 1 << 20)
        );
        assert_eq!(files.steps[19].commands[0].stdout.as_ref().unwrap().data.len(), 10);
        assert!(fits(&fitting(job(20, 10, 1 << 20))));
    }
}
