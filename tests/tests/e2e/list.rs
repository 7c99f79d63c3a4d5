//! `List`: filters, and pages that are stable while jobs come and go.

use std::collections::BTreeSet;

use kiln_proto::v1::{JobState, JobVerdict, ListRequest};
use kiln_tests::api::{Api, assert_names_field};
use kiln_tests::service::{Options, Up};
use kiln_tests::spec::{labelled, sh};

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_found_by_state_verdict_and_label() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let good = api.submit(labelled(sh("true").job(), "team", "red")).await;
    let bad = api.submit(labelled(sh("false").job(), "team", "blue")).await;
    api.wait(&good).await;
    api.wait(&bad).await;
    let ids = async |request: ListRequest| -> Vec<String> {
        let answer = api.jobs.clone().list(request).await.expect("list").into_inner();
        answer.jobs.into_iter().map(|job| job.id).collect()
    };
    let all = ids(ListRequest::default()).await;
    assert_eq!(all, [bad.clone(), good.clone()], "newest first");
    let verdict = JobVerdict::Succeeded.into();
    assert_eq!(ids(ListRequest { verdict, ..Default::default() }).await, std::slice::from_ref(&good));
    let labels = [("team".to_owned(), "blue".to_owned())].into();
    assert_eq!(ids(ListRequest { labels, ..Default::default() }).await, std::slice::from_ref(&bad));
    let state = JobState::Queued.into();
    assert!(ids(ListRequest { state, ..Default::default() }).await.is_empty());
    let state = JobState::Done.into();
    assert_eq!(ids(ListRequest { state, ..Default::default() }).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_neither_repeat_nor_lose_a_job_while_others_arrive() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let mut submitted = BTreeSet::new();
    for n in 0..25 {
        submitted.insert(api.submit(sh(&format!("echo {n}")).job()).await);
    }
    let mut seen = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListRequest { page_size: 7, page_token, ..Default::default() };
        let page = api.jobs.clone().list(request).await.expect("list").into_inner();
        assert!(page.jobs.len() <= 7);
        seen.extend(page.jobs.into_iter().map(|job| job.id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
        api.submit(sh("echo newer").job()).await;
    }
    assert_eq!(seen.len(), 25, "each of the first jobs once, none of the newer: {seen:?}");
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), submitted);
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_in_a_list_request_names_its_field() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let request = ListRequest { page_size: 1_001, ..Default::default() };
    assert_names_field(&api.jobs.clone().list(request).await.expect_err("too many"), "page_size");
    let request = ListRequest { page_token: "not a token".to_owned(), ..Default::default() };
    assert_names_field(&api.jobs.clone().list(request).await.expect_err("not ours"), "page_token");
}
