//! Addresses, message limits, health and reflection.

use kiln_proto::status::{Reason, reason_of, violations_of};
use kiln_proto::v1;
use kiln_server::{Config, Listen, ServerFile};
use tonic::Code;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

use crate::harness::*;

#[tokio::test]
async fn the_health_service_serves() {
    let kiln = Kiln::start().await;
    let mut health = HealthClient::new(connect(&kiln.socket()).await);
    let answer = health.check(HealthCheckRequest { service: String::new() }).await.unwrap().into_inner();
    assert_eq!(answer.status(), ServingStatus::Serving);
}

#[tokio::test]
async fn reflection_lists_every_service() {
    let kiln = Kiln::start().await;
    let mut reflection = ServerReflectionClient::new(connect(&kiln.socket()).await);
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers =
        reflection.server_reflection_info(tokio_stream::iter([ask])).await.unwrap().into_inner();
    let answer: ServerReflectionResponse = answers.message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("wanted a list, got {answer:?}")
    };
    let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    for service in
        ["kiln.v1.Jobs", "kiln.v1.Blobs", "kiln.v1.Images", "kiln.v1.Fleet", "grpc.health.v1.Health"]
    {
        assert!(names.iter().any(|name| name == service), "{service} is missing in {names:?}");
    }
}

#[tokio::test]
async fn loopback_is_served_on_a_real_port_and_far_addresses_are_refused() {
    let mut listen = None;
    let kiln = Kiln::with(|config| {
        config.listen.push(Listen::parse("tcp:127.0.0.1:0").unwrap());
        listen = Some(config.listen.clone());
    })
    .await;
    let Listen::Loopback(address) = kiln.server.as_ref().unwrap().listening()[1].clone() else {
        panic!("the second address is loopback")
    };
    assert_ne!(address.port(), 0);
    let mut jobs = v1::jobs_client::JobsClient::connect(format!("http://{address}")).await.unwrap();
    assert!(jobs.get_capabilities(v1::GetCapabilitiesRequest {}).await.is_ok());
    let far = ServerFile { listen: Some(vec!["0.0.0.0:7460".into()]), ..Default::default() };
    let error = Config::resolve(far).unwrap_err().to_string();
    assert!(error.contains("0.0.0.0:7460") && error.contains("neither TLS nor tokens"), "{error}");
}

#[tokio::test]
async fn oversized_messages_and_contents_get_a_precise_error() {
    let kiln = Kiln::start().await;
    let mut jobs = kiln.jobs().await;
    let with_stdin = |bytes: usize| {
        let mut job = simple();
        let content = v1::Content { source: Some(v1::content::Source::Inline(vec![b'x'; bytes].into())) };
        job.steps[0].commands[0].stdin = Some(content);
        v1::RunRequest { spec: Some(job) }
    };
    let status = jobs.run(with_stdin((1 << 20) + 1)).await.unwrap_err();
    assert_eq!(reason_of(&status), Some(Reason::InvalidJob));
    assert_eq!(violations_of(&status)[0].field, "steps[0].commands[0].stdin.inline");
    let status = jobs.run(with_stdin(1 << 30)).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
    assert!(status.message().contains("the limit is: 8388608 bytes"), "{status:?}");
    // The server goes on as if nothing had happened.
    assert!(jobs.get_capabilities(v1::GetCapabilitiesRequest {}).await.is_ok());
}

/// How a connection as `uid` goes: 42 when the server closes it without a word, 3 when it cannot connect, 1 when the server speaks (HTTP/2
/// settings come unasked).
async fn connection_of(uid: u32, socket: &std::path::Path) -> Option<i32> {
    const SCRIPT: &str = "use Socket; alarm 10; socket(S, PF_UNIX, SOCK_STREAM, 0) or die;
        connect(S, pack_sockaddr_un($ARGV[0])) or exit 3;
        my $n = sysread(S, my $b, 1); exit(defined $n && $n == 0 ? 42 : 1);";
    let mut perl = tokio::process::Command::new("perl");
    perl.args(["-e", SCRIPT]).arg(socket).uid(uid).status().await.unwrap().code()
}

#[tokio::test]
async fn another_user_is_refused_twice_by_the_mode_and_by_its_credentials() {
    use std::os::unix::fs::PermissionsExt;
    const NOBODY: u32 = 65_534;
    let kiln = Kiln::start().await;
    let socket = kiln.socket();
    let mode = std::fs::Permissions::from_mode;
    std::fs::set_permissions(kiln.directory.path(), mode(0o755)).unwrap();
    assert_eq!(connection_of(NOBODY, &socket).await, Some(3), "mode 0600 keeps it out");
    std::fs::set_permissions(&socket, mode(0o777)).unwrap();
    assert_eq!(connection_of(NOBODY, &socket).await, Some(42), "its credentials do");
    assert_eq!(connection_of(0, &socket).await, Some(1), "ours are welcome");
}

#[tokio::test]
async fn an_embedded_server_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let server =
        kiln_server::Server::start(Config::embedded(directory.path().join("kiln.sock"))).await.unwrap();
    server.stop().await;
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}
