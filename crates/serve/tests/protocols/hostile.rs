//! What no client should send.

use std::io::Write;
use std::time::Duration;

use crate::client::{Client, ask, get, post};
use crate::fixture::{Running, server, setup, until};

/// The server still answers.
#[track_caller]
pub(crate) fn is_alive(server: &Running) {
    assert_eq!(post(server.address, "/v1/forecast", r#"{"series": [[1]], "horizon": 1}"#).status, 200);
}

#[test]
fn bodies_beyond_the_limit_are_refused_before_they_are_read() {
    let server = server();
    // A billion points would be gigabytes; the client does not get to send them.
    let mut client = Client::new(server.address);
    client
        .0
        .write_all(b"POST /v1/forecast HTTP/1.1\r\nhost: test\r\ncontent-length: 4000000000\r\n\r\n")
        .unwrap();
    assert_eq!(client.receive().status, 413);
    let mut client = Client::new(server.address);
    client
        .0
        .write_all(b"POST /v1/forecast HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n")
        .unwrap();
    for _ in 0..11 {
        let _ = client.0.write_all(format!("2710\r\n{}\r\n", " ".repeat(10_000)).as_bytes());
    }
    assert_eq!(client.receive().status, 413);
    is_alive(&server);
}

#[test]
fn deeply_nested_json_is_refused() {
    let server = server();
    for body in
        ["[".repeat(50_000), "{\"a\":".repeat(10_000), format!("{{\"series\": {}", "[".repeat(50_000))]
    {
        for path in ["/v1/forecast", "/v1/timeseries/forecast", "/v2/models/demo/infer"] {
            assert_eq!(post(server.address, path, &body).status, 400);
        }
    }
    is_alive(&server);
}

#[test]
fn heads_beyond_the_limit_are_refused() {
    let server = server();
    let large = format!("GET /health/live\nx-large: {}", "x".repeat(20_000));
    assert_eq!(ask(server.address, &large, b"").status, 431);
    let many: String = (0..200).map(|index| format!("\nx-{index}: 1")).collect();
    assert_eq!(ask(server.address, &format!("GET /health/live{many}"), b"").status, 431);
    is_alive(&server);
}

#[test]
fn what_is_no_http_is_hung_up_on() {
    let server = server();
    for bytes in [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], b"GET\r\n\r\n", b"\0\0\0\0\r\n\r\n"] {
        let mut client = Client::new(server.address);
        client.0.write_all(bytes).unwrap();
        let _ = client.0.shutdown(std::net::Shutdown::Write);
        assert!(client.is_hung_up_on());
    }
    is_alive(&server);
}

#[test]
fn clients_that_send_nothing_or_too_slowly_are_hung_up_on() {
    let mut setup = setup();
    setup.options.connections.head = Duration::from_millis(200);
    setup.options.bodies.time = Duration::from_millis(200);
    let server = setup.start();
    // Nothing; the beginning of HTTP/2; half a head.
    for bytes in [&b""[..], b"PRI * HTT", b"GET /health/live HTTP/1.1\r\nhost:"] {
        let mut client = Client::new(server.address);
        client.0.write_all(bytes).unwrap();
        assert!(client.is_hung_up_on(), "{bytes:?}");
    }
    let mut client = Client::new(server.address);
    client.0.write_all(b"POST /v1/forecast HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\n{").unwrap();
    assert_eq!(client.receive().status, 408);
    is_alive(&server);
}

#[test]
fn heads_and_bodies_that_drip_are_ended_when_their_time_is_over() {
    let mut setup = setup();
    setup.options.connections.head = Duration::from_millis(300);
    setup.options.bodies.time = Duration::from_millis(300);
    let server = setup.start();
    // A byte now and then, for ever: each comes in time, all of them do not.
    let drip = |begin: &str| {
        let mut client = Client::new(server.address);
        client.0.write_all(begin.as_bytes()).unwrap();
        let mut dripping = client.0.try_clone().unwrap();
        std::thread::spawn(move || {
            while dripping.write_all(b"1").is_ok() {
                std::thread::sleep(Duration::from_millis(30));
            }
        });
        client
    };
    assert!(drip("GET /health/live HTTP/1.1\r\nx-long: ").is_hung_up_on());
    let length = "POST /v1/forecast HTTP/1.1\r\nhost: test\r\ncontent-length: 90000\r\n\r\n";
    assert_eq!(drip(length).receive().status, 408);
    let chunked = "POST /v1/forecast HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\nffff\r\n";
    assert_eq!(drip(chunked).receive().status, 408);
    is_alive(&server);
}

#[test]
fn connections_beyond_the_limit_wait_for_their_turn() {
    let mut setup = setup();
    setup.options.connections.connections = 3;
    let server = setup.start();
    let idle: Vec<Client> = (0..3).map(|_| Client::new(server.address)).collect();
    let mut waiting = Client::new(server.address);
    waiting.send("GET /health/live HTTP/1.1", b"");
    drop(idle);
    assert_eq!(waiting.receive().status, 200);
}

#[test]
fn hundreds_of_connections_are_held_at_once() {
    let server = server();
    let mut clients: Vec<Client> = (0..200).map(|_| Client::new(server.address)).collect();
    for client in &mut clients {
        client.send("GET /health/live HTTP/1.1", b"");
    }
    for client in &mut clients {
        assert_eq!(client.receive().status, 200);
    }
    // With the one that asks; those of before are counted until they are closed.
    until(|| get(server.address, "/metrics").text().contains("\ntmoe_connections 201\n"));
}

#[test]
fn clients_that_do_not_take_their_answers_are_hung_up_on() {
    let mut setup = setup();
    setup.options.connections.stall = Duration::from_millis(200);
    let server = setup.start();
    let mut client = Client::new(server.address);
    client.0.set_nonblocking(true).unwrap();
    let requests = b"GET /openapi.json HTTP/1.1\r\nhost: test\r\n\r\n".repeat(2000);
    // 2,000 answers of 50 kB are more than sockets hold; the last requests may not even be taken.
    let mut sent = 0;
    while let Ok(count) = client.0.write(&requests[sent..]) {
        if count == 0 {
            break;
        }
        sent += count;
    }
    until(|| get(server.address, "/metrics").text().contains("\ntmoe_connections 1\n"));
    is_alive(&server);
}
