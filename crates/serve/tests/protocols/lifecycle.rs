//! Overload, clients that go away, and the server's own end.

use crate::client::{Client, get, post};
use crate::fixture::{in_flight, server, setup, until, write_package};

const BODY: &[u8] = br#"{"series": [[1]], "horizon": 1}"#;

fn asking(address: std::net::SocketAddr) -> Client {
    let mut client = Client::new(address);
    client.send("POST /v1/forecast HTTP/1.1", BODY);
    client
}

#[test]
fn more_requests_than_are_taken_are_told_when_to_come_back() {
    let mut setup = setup();
    setup.options.capacity.requests = 2;
    let server = setup.start();
    server.gate.hold();
    let mut taken = [asking(server.address), asking(server.address)];
    until(|| in_flight(server.address) == 2);
    let refused = post(server.address, "/v1/forecast", "not even JSON: nothing is read");
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")), "{}", refused.text());
    assert_eq!(refused.json()["error"]["code"], "overloaded");
    server.gate.release();
    for client in &mut taken {
        assert_eq!(client.receive().status, 200);
    }
    assert!(get(server.address, "/metrics").text().contains("\ntmoe_requests_refused_total 1\n"));
}

#[test]
fn more_points_than_are_taken_are_told_when_to_come_back() {
    let mut setup = setup();
    setup.options.capacity.points = 3;
    let server = setup.start();
    server.gate.hold();
    let mut taken = asking(server.address);
    server.gate.until_running(1);
    let refused = asking(server.address).receive();
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")), "{}", refused.text());
    server.gate.release();
    assert_eq!(taken.receive().status, 200);
}

#[test]
fn a_client_that_hangs_up_frees_its_place_and_its_batch() {
    let server = server();
    server.gate.hold();
    let client = asking(server.address);
    server.gate.until_running(1);
    client.hang_up();
    server.gate.until_cancelled(1);
    until(|| in_flight(server.address) == 0);
    assert!(get(server.address, "/metrics").text().contains("\ntmoe_requests_abandoned_total 1\n"));
}

#[test]
fn the_end_answers_everyone_who_was_let_in() {
    let mut server = server();
    server.gate.hold();
    let mut clients: Vec<Client> = (0..20).map(|_| asking(server.address)).collect();
    until(|| in_flight(server.address) == 20);
    server.end();
    server.gate.release();
    for client in &mut clients {
        assert_eq!(client.receive().status, 200);
    }
    server.ended().unwrap();
}

#[test]
fn a_server_whose_model_does_not_load_is_never_ready_and_ends_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let package = write_package(&folder.path().join("demo"), "broken");
    let mut setup = setup();
    setup.options.models = vec![format!("demo={}", package.display()).parse().unwrap()];
    let error = setup.start_unready().ended().unwrap_err();
    assert_eq!(error.to_string(), "the model `demo`, version `1`, was not loaded: its self-test failed");
}
