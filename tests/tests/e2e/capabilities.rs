//! What a client can ask about the service itself: capabilities, health, reflection, message limits.

use kiln_proto::v1::{GetCapabilitiesRequest, SubmitBatchRequest, SubmitRequest};
use kiln_tests::api::{Api, MESSAGE_BYTES, describe};
use kiln_tests::service::{Languages, Options, Place, Service, Up};
use kiln_tests::spec::{Cmd, cmd, inline, sh};
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

#[tokio::test(flavor = "multi_thread")]
async fn capabilities_tell_workers_languages_images_and_limits() {
    let up = Up::start(&Options { languages: Languages::Probed, ..Options::slots(3) });
    let mut api = Api::connect(&up.address()).await;
    let mut told = api.jobs.get_capabilities(GetCapabilitiesRequest {}).await.expect("served").into_inner();
    // Languages are found while the worker already serves.
    for _ in 0..600 {
        if !told.languages.is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        told = api.jobs.get_capabilities(GetCapabilitiesRequest {}).await.expect("served").into_inner();
    }
    assert_eq!(told.version, env!("CARGO_PKG_VERSION"));
    assert_eq!((told.workers.len(), told.workers[0].slots), (1, 3), "{told:#?}");
    for fact in ["cgroup", "landlock_abi", "kernel", "arch"] {
        assert!(told.workers[0].facts.contains_key(fact), "{fact} in {told:#?}");
    }
    let names: Vec<&str> = told.languages.iter().map(|language| language.name.as_str()).collect();
    for name in ["c", "cpp", "python", "bash", "perl"] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    assert!(told.languages.iter().all(|language| !language.version.is_empty()), "{told:#?}");
    assert!(
        told.images.iter().any(|image| image.name == "host" && image.digest.starts_with("blake3:")),
        "{told:#?}"
    );
    let (default, maximum) = (told.default_limits.expect("set"), told.maximum_limits.expect("set"));
    assert!(default.cpu_ms.is_some() && default.cpu_ms <= maximum.cpu_ms, "{default:?} {maximum:?}");
    assert!(default.memory_bytes.is_some() && default.memory_bytes <= maximum.memory_bytes);
    assert_eq!((told.max_message_bytes, told.max_inline_bytes), (MESSAGE_BYTES as u64, 1 << 20));
    assert!(told.max_blob_bytes > 0 && told.retention_seconds > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_up_to_the_stated_limit_are_taken_and_larger_ones_refused() {
    let place = Place::new();
    let _server = Service::server(&place, &Options::default());
    let mut api = Api::connect(&place.address()).await;
    // Two jobs of three megabytes inline each: above tonic's own default of 4 MiB, below ours of 8 MiB.
    let megabytes = |count: usize| {
        let put = |command: Cmd, n| command.file(&format!("/work/{n}"), inline(vec![b'x'; 1 << 20]));
        SubmitRequest { spec: Some((0..count).fold(sh("true"), put).job()), idempotency_key: String::new() }
    };
    let request = SubmitBatchRequest { jobs: vec![megabytes(3), megabytes(3)] };
    let accepted = api.jobs.submit_batch(request).await.expect("6 MiB are allowed").into_inner().jobs;
    let id = accepted[1].job_id.clone();
    let read = api.get(&id).await;
    assert_eq!(read.spec.expect("spec").steps[0].commands[0].files_in.len(), 3, "and come back");
    let request = SubmitBatchRequest { jobs: vec![megabytes(3), megabytes(3), megabytes(3)] };
    let refused = api.jobs.submit_batch(request).await.expect_err("9 MiB are not");
    assert!(matches!(refused.code(), Code::OutOfRange | Code::ResourceExhausted), "{}", describe(&refused));
    api.get(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_says_serving_for_the_server_and_each_service() {
    let place = Place::new();
    let _server = Service::server(&place, &Options::default());
    let api = Api::connect(&place.address()).await;
    let mut health = HealthClient::new(api.channel);
    for service in ["", "kiln.v1.Jobs", "kiln.v1.Blobs", "kiln.v1.Images"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let answer = health.check(request).await.expect("known").into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service}");
    }
    let unknown = health.check(HealthCheckRequest { service: "kiln.v9.Nothing".to_owned() }).await;
    assert_eq!(unknown.expect_err("unknown").code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_lists_the_services() {
    let place = Place::new();
    let _server = Service::server(&place, &Options::default());
    let api = Api::connect(&place.address()).await;
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers = ServerReflectionClient::new(api.channel)
        .server_reflection_info(tokio_stream::iter([request]))
        .await
        .expect("served")
        .into_inner();
    let answer = answers.message().await.expect("no error").expect("one answer");
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("{answer:?}")
    };
    let names: Vec<String> = list.service.into_iter().map(|service| service.name).collect();
    for name in ["kiln.v1.Jobs", "kiln.v1.Blobs", "kiln.v1.Images"] {
        assert!(names.iter().any(|known| known == name), "{name} in {names:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_calls_share_one_connection() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let runs = (0..24).map(|n| {
        let api = api.clone();
        tokio::spawn(async move {
            let result = api.run_one(cmd(["echo", &n.to_string()]).job()).await;
            kiln_tests::verdict::assert_wrote(&result, &format!("{n}\n"));
        })
    });
    for run in futures_util::future::join_all(runs).await {
        run.expect("each gets its own answer");
    }
}
