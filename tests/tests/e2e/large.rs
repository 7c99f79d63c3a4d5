//! Much data, and many who want it at the same time: nobody waits for somebody else's slow reader, and memory stays flat.

use futures_util::future::join_all;
use kiln_client::{Address, Client, Events};
use kiln_proto::v1::job_event::Event;
use kiln_proto::v1::{JobSpec, Stream};
use kiln_tests::api::{Api, digest};
use kiln_tests::census::resident_bytes;
use kiln_tests::service::{Options, Up};
use kiln_tests::spec::{MIB, blob, cmd, sh};
use kiln_tests::verdict::stdout;

/// Callers that begin to read and then do not go on. More than a worker could have connections for, were each to take one.
const STALLED: usize = 160;
const READING: usize = 96;
/// More than all buffers between a command and a caller hold together.
const STALLED_BYTES: u64 = 5 * MIB;
/// What the service may hold for each of them.
const HELD_BYTES: u64 = 4 * MIB;
/// More than comes inside a result.
const READ_BYTES: u64 = 200_000;

fn zeros(bytes: u64) -> JobSpec {
    cmd(["/usr/bin/head", "-c", &bytes.to_string(), "/dev/zero"]).job()
}

/// Reads on until the first output, or until the end where there is none; gives the bytes read.
async fn read_some(events: &mut Events) -> u64 {
    while let Some(event) = events.next_event().await.expect("no error") {
        if let Some(Event::Output(chunk)) = event.event {
            return chunk.data.len() as u64;
        }
    }
    0
}

async fn read_all(events: &mut Events) -> u64 {
    let mut bytes = 0;
    loop {
        match read_some(events).await {
            0 => return bytes,
            some => bytes += some,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_256_runs_over_one_connection_those_who_do_not_read_stall_nobody_else() {
    let up = Up::start(&Options::default());
    let address: Address = up.address().parse().expect("an address");
    let client = Client::connect(&address).await.expect("connect");
    let before = resident_bytes(&[up.service.pid()]);
    let stalled = join_all((0..STALLED).map(|_| async {
        let mut events = client.run(zeros(STALLED_BYTES)).await.expect("accepted");
        let first = read_some(&mut events).await;
        (events, first)
    }));
    let stalled = stalled.await;
    let read = join_all(
        (0..READING)
            .map(|_| async { read_all(&mut client.run(zeros(READ_BYTES)).await.expect("accepted")).await }),
    );
    assert_eq!(read.await, [READ_BYTES; READING]);
    let grown = resident_bytes(&[up.service.pid()]).saturating_sub(before);
    assert!(grown < STALLED as u64 * HELD_BYTES, "grew by {grown} bytes for {STALLED} callers");
    let rest = join_all(
        stalled.into_iter().map(|(mut events, first)| async move { first + read_all(&mut events).await }),
    );
    assert_eq!(rest.await, [STALLED_BYTES; STALLED]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_input_needs_no_room_in_its_sandbox() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let content: Vec<u8> = (0..6 * MIB).map(|at| (at % 251) as u8).collect();
    api.put_blob(&content).await.expect("stored");
    // Fetched by the worker the first time, found in its cache the second.
    for _ in 0..2 {
        let command =
            sh("b2sum < in; stat -c %a in; echo more >> in").file("/work/in", blob(&digest(&content)));
        let told = api.run(command.limits(|limits| limits.disk_bytes = Some(MIB)).job()).await;
        let result = &told.job.steps[0].commands[0];
        let told_live = String::from_utf8_lossy(&told.live("main", Stream::Stderr)).into_owned();
        assert!(stdout(result).ends_with("  -\n444\n"), "{result:#?}");
        assert!(told_live.contains("Read-only file system"), "{told_live}");
    }
}
