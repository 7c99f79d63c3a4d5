//! D: cheating, by attacking the supervisor or reaching beside it.

use kiln_tests::hostile::assert_held;

use crate::attacked::Attacked;

#[tokio::test(flavor = "multi_thread")]
async fn d1_the_supervisor_can_be_neither_signalled_nor_read() {
    let attacked = Attacked::start().await;
    assert_held(&attacked.by("D1-attack-supervisor", &[]).await);
    attacked.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d2_no_socket_of_the_host_is_in_reach() {
    let attacked = Attacked::start().await;
    let name = attacked.canaries.abstract_name().to_owned();
    let socket = attacked.up.place.path("kiln.sock");
    assert_held(&attacked.by("D2-abstract-socket", &[&name, socket.to_str().expect("ASCII")]).await);
    attacked.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d3_there_are_no_privileges_to_be_had() {
    let attacked = Attacked::start().await;
    assert_held(&attacked.by("D3-privileges", &[]).await);
    attacked.end().await;
}
