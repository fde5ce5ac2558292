//! Answers that wait for clients which do not take them: they count as requests, for as long as the server waits.

use std::net::SocketAddr;
use std::time::Duration;

use axum::http::Request;
use h2::RecvStream;
use h2::client::SendRequest;
use prost::Message as _;
use prost::bytes::Bytes;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::client::post;
use crate::fixture::{Running, Setup, in_flight, setup, until};
use crate::grpc::{InferRequest, framed, infer_request};
use crate::hostile::is_alive;

/// Bytes of an answer that the client takes before it is asked for more.
const WINDOW: u32 = 100;
/// Series of a request whose answer is larger than what a connection takes at once.
const SERIES: usize = 100;
const HORIZON: usize = 90;

fn with_large_answers() -> Setup {
    let mut setup = setup();
    setup.options.limits.series = SERIES;
    setup.options.limits.values = SERIES * HORIZON;
    setup.options.capacity.points = 10 * SERIES * HORIZON;
    setup.options.capacity.requests = 2;
    setup
}

/// A connection of HTTP/2 whose client takes little of an answer unless told to.
struct Connection {
    runtime: Runtime,
    client: SendRequest<Bytes>,
    address: SocketAddr,
}

impl Connection {
    fn new(address: SocketAddr) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let client = runtime.block_on(async {
            let stream = tokio::net::TcpStream::connect(address).await.unwrap();
            let mut builder = h2::client::Builder::new();
            let (client, connection) =
                builder.initial_window_size(WINDOW).handshake::<_, Bytes>(stream).await.unwrap();
            tokio::spawn(connection);
            client
        });
        Self { runtime, client, address }
    }

    /// Sends a request and waits for the head of its answer.
    fn ask(&self, path: &str, kind: &str, body: Bytes) -> RecvStream {
        let request = Request::post(format!("http://{}{path}", self.address))
            .header("content-type", kind)
            .header("te", "trailers")
            .body(())
            .unwrap();
        self.runtime.block_on(async {
            let mut client = self.client.clone().ready().await.unwrap();
            let (response, mut stream) = client.send_request(request, false).unwrap();
            stream.send_data(body, true).unwrap();
            let (head, body) = response.await.unwrap().into_parts();
            assert_eq!(head.status, 200);
            body
        })
    }

    fn ask_json(&self) -> RecvStream {
        let body = json!({ "series": vec![[1]; SERIES], "horizon": HORIZON });
        self.ask("/v1/forecast", "application/json", body.to_string().into())
    }

    fn ask_grpc(&self) -> RecvStream {
        let mut message: InferRequest = infer_request();
        message.inputs[0].shape = vec![SERIES as i64, 2];
        message.raw = vec![[1.0_f32, 2.0].map(f32::to_le_bytes).concat().repeat(SERIES)];
        message.parameters.get_mut("horizon").unwrap().number = HORIZON as i64;
        let path = "/inference.GRPCInferenceService/ModelInfer";
        self.ask(path, "application/grpc", framed(&message.encode_to_vec()))
    }

    /// Takes an answer to its end.
    fn take(&self, mut body: RecvStream) -> Vec<u8> {
        self.runtime.block_on(async {
            let mut bytes = Vec::new();
            while let Some(chunk) = body.data().await {
                let chunk = chunk.expect("the answer is whole");
                bytes.extend_from_slice(&chunk);
                body.flow_control().release_capacity(chunk.len()).unwrap();
            }
            bytes
        })
    }
}

#[track_caller]
fn is_whole(answer: &[u8]) {
    let answer: serde_json::Value = serde_json::from_slice(answer).unwrap();
    let forecasts = answer["forecasts"].as_array().unwrap();
    assert_eq!(forecasts.len(), SERIES);
    assert_eq!(forecasts[SERIES - 1]["values"][HORIZON - 1], (HORIZON + 1) as f64);
}

#[track_caller]
fn is_full(server: &Running) {
    assert_eq!(in_flight(server.address), 2);
    let refused = post(server.address, "/v1/forecast", r#"{"series": [[1]], "horizon": 1}"#);
    assert_eq!(refused.status, 429, "{}", refused.text());
}

#[test]
fn an_answer_keeps_its_place_until_it_is_taken() {
    let server = with_large_answers().start();
    let connection = Connection::new(server.address);
    let answers = [connection.ask_json(), connection.ask_json()];
    is_full(&server);
    for answer in answers {
        is_whole(&connection.take(answer));
    }
    until(|| in_flight(server.address) == 0);
    is_alive(&server);
}

#[test]
fn an_answer_to_a_call_keeps_its_place_until_it_is_taken() {
    let server = with_large_answers().start();
    let connection = Connection::new(server.address);
    let answers = [connection.ask_grpc(), connection.ask_grpc()];
    is_full(&server);
    for answer in answers {
        assert!(connection.take(answer).len() > SERIES * HORIZON * size_of::<f32>());
    }
    until(|| in_flight(server.address) == 0);
    is_alive(&server);
}

#[test]
fn clients_that_leave_answers_lying_are_hung_up_on_and_free_their_places() {
    let mut setup = with_large_answers();
    setup.options.connections.stall = Duration::from_millis(300);
    let server = setup.start();
    for ask in [Connection::ask_json, Connection::ask_grpc] {
        let connection = Connection::new(server.address);
        let mut answer = ask(&connection);
        until(|| in_flight(server.address) == 0);
        let broke_off = connection.runtime.block_on(async {
            // What was taken before the server gave up, and then the end.
            while let Some(chunk) = answer.data().await {
                if chunk.is_err() {
                    return true;
                }
            }
            false
        });
        assert!(broke_off);
        is_alive(&server);
    }
}

#[test]
fn a_client_that_hangs_up_frees_the_places_of_its_answers() {
    let server = with_large_answers().start();
    let connection = Connection::new(server.address);
    let _answers = [connection.ask_json(), connection.ask_grpc()];
    is_full(&server);
    connection.runtime.shutdown_background();
    until(|| in_flight(server.address) == 0);
    is_alive(&server);
}

#[test]
fn the_end_waits_for_answers_that_are_being_taken() {
    let mut server = with_large_answers().start();
    let connection = Connection::new(server.address);
    let answer = connection.ask_json();
    server.end();
    std::thread::sleep(Duration::from_millis(100));
    is_whole(&connection.take(answer));
    drop(connection);
    server.ended().unwrap();
}

#[test]
fn the_end_does_not_wait_for_answers_that_nobody_takes() {
    let mut setup = with_large_answers();
    setup.options.connections.stall = Duration::from_millis(300);
    // A test of minutes would be one that failed.
    setup.options.grace = Duration::from_secs(600);
    let mut server = setup.start();
    let connection = Connection::new(server.address);
    let _answer = connection.ask_json();
    server.end();
    server.ended().unwrap();
}
