//! The Open Inference Protocol v2 over gRPC.

use std::collections::HashMap;
use std::net::SocketAddr;

use axum::http::Request;
use prost::Message;
use prost::bytes::{BufMut, Bytes, BytesMut};
use tmoe_serve::ApiKey;

use crate::fixture::{Running, server, setup};

/// Fields of the protocol that the tests need, by their numbers in its definition.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Tensor {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) datatype: String,
    #[prost(int64, repeated, tag = "3")]
    pub(crate) shape: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Parameter {
    #[prost(int64, tag = "2")]
    pub(crate) number: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct InferRequest {
    #[prost(string, tag = "1")]
    pub(crate) model: String,
    #[prost(string, tag = "2")]
    pub(crate) version: String,
    #[prost(string, tag = "3")]
    pub(crate) id: String,
    #[prost(map = "string, message", tag = "4")]
    pub(crate) parameters: HashMap<String, Parameter>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) inputs: Vec<Tensor>,
    #[prost(bytes = "vec", repeated, tag = "7")]
    pub(crate) raw: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct InferResponse {
    #[prost(string, tag = "1")]
    pub(crate) model: String,
    #[prost(string, tag = "2")]
    pub(crate) version: String,
    #[prost(string, tag = "3")]
    pub(crate) id: String,
    #[prost(message, repeated, tag = "5")]
    pub(crate) outputs: Vec<Tensor>,
    #[prost(bytes = "vec", repeated, tag = "6")]
    pub(crate) raw: Vec<Vec<u8>>,
}

/// A message whose first field is a flag, a text or a number.
#[derive(Clone, PartialEq, Message)]
struct Flag {
    #[prost(bool, tag = "1")]
    value: bool,
}

#[derive(Clone, PartialEq, Message)]
struct Text {
    #[prost(string, tag = "1")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Number {
    #[prost(int32, tag = "1")]
    value: i32,
}

/// A status: code and message.
pub(crate) type Status = (u16, String);

/// Calls a method as any gRPC client does: one message in, one out, and the status after it.
pub(crate) async fn call(
    address: SocketAddr,
    method: &str,
    message: Vec<u8>,
    headers: &[(&str, &str)],
) -> Result<Bytes, Status> {
    exchange(address, method, framed(&message), headers, true).await
}

/// A message as it travels.
pub(crate) fn framed(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap());
    frame.extend_from_slice(message);
    frame.freeze()
}

/// Sends these bytes to a method, and perhaps their end.
pub(crate) async fn exchange(
    address: SocketAddr,
    method: &str,
    frame: Bytes,
    headers: &[(&str, &str)],
    ends: bool,
) -> Result<Bytes, Status> {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut request = Request::post(format!("http://{address}/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut client = client.ready().await.unwrap();
    let (response, mut stream) = client.send_request(request.body(()).unwrap(), false).unwrap();
    // Whoever is refused at the door need not be listened to.
    let _ = stream.send_data(frame, ends);
    let (head, mut body) = response.await.unwrap().into_parts();
    assert_eq!(head.status, 200);
    let mut bytes = BytesMut::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk.unwrap();
        body.flow_control().release_capacity(chunk.len()).unwrap();
        bytes.extend_from_slice(&chunk);
    }
    let trailers = body.trailers().await.unwrap().unwrap_or(head.headers);
    connection.abort();
    let text = |name: &str| trailers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    match text("grpc-status").parse().unwrap() {
        0 => Ok(bytes.freeze().slice(5..)),
        code => Err((code, text("grpc-message").replace("%20", " ").replace("%60", "`"))),
    }
}

/// A call of the inference service.
pub(crate) fn service<O: Message + Default>(
    server: &Running,
    method: &str,
    message: &impl Message,
) -> Result<O, Status> {
    let method = format!("inference.GRPCInferenceService/{method}");
    block_on(call(server.address, &method, message.encode_to_vec(), &[]))
        .map(|bytes| O::decode(bytes).expect("the message that the protocol says"))
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

pub(crate) fn infer_request() -> InferRequest {
    let tensor = |name: &str, datatype: &str, shape: &[i64]| Tensor {
        name: name.to_owned(),
        datatype: datatype.to_owned(),
        shape: shape.to_vec(),
    };
    InferRequest {
        model: "demo".to_owned(),
        version: String::new(),
        id: "mine".to_owned(),
        parameters: HashMap::from([("horizon".to_owned(), Parameter { number: 3 })]),
        inputs: vec![tensor("series", "FP32", &[1, 2])],
        raw: vec![[1.0_f32, 2.0].iter().flat_map(|value| value.to_le_bytes()).collect()],
    }
}

#[test]
fn a_series_comes_back_as_a_forecast() {
    let server = server();
    let found: InferResponse = service(&server, "ModelInfer", &infer_request()).unwrap();
    assert_eq!((found.model.as_str(), found.version.as_str(), found.id.as_str()), ("demo", "1", "mine"));
    let output = &found.outputs[0];
    assert_eq!(
        (output.name.as_str(), output.datatype.as_str(), output.shape.as_slice()),
        ("forecast", "FP32", &[1, 3][..])
    );
    let expected: Vec<u8> = [3.0_f32, 4.0, 5.0].iter().flat_map(|value| value.to_le_bytes()).collect();
    assert_eq!(found.raw, [expected]);
}

#[test]
fn health_and_metadata_are_answered() {
    let server = server();
    let nothing = || Flag::default();
    assert!(service::<Flag>(&server, "ServerLive", &nothing()).unwrap().value);
    assert!(service::<Flag>(&server, "ServerReady", &nothing()).unwrap().value);
    assert_eq!(service::<Text>(&server, "ServerMetadata", &nothing()).unwrap().value, "tmoe");
    let demo = Text { value: "demo".to_owned() };
    assert!(service::<Flag>(&server, "ModelReady", &demo).unwrap().value);
    assert_eq!(service::<Text>(&server, "ModelMetadata", &demo).unwrap().value, "demo");
    let health = block_on(call(server.address, "grpc.health.v1.Health/Check", Vec::new(), &[])).unwrap();
    assert_eq!(Number::decode(health).unwrap().value, 1);
}

#[test]
fn failures_have_the_code_that_grpc_gives_them() {
    let server = server();
    let refused = |method: &str, message: &InferRequest| {
        service::<InferResponse>(&server, method, message).unwrap_err()
    };
    let other = InferRequest { model: "other".to_owned(), ..infer_request() };
    assert_eq!(refused("ModelInfer", &other), (5, "there is no model `other`; there is `demo`".to_owned()));
    let short = InferRequest { raw: vec![vec![0; 7]], ..infer_request() };
    assert_eq!(refused("ModelInfer", &short).0, 3);
    assert_eq!(refused("ModelStream", &infer_request()).0, 12);
    let garbage =
        block_on(call(server.address, "inference.GRPCInferenceService/ModelInfer", vec![0xff; 9], &[]));
    assert!(garbage.is_err());
    let nowhere = block_on(call(server.address, "other.Service/Method", Vec::new(), &[])).unwrap_err();
    assert_eq!(nowhere.0, 12);
    let large = InferRequest { id: "x".repeat(200_000), ..infer_request() };
    assert_eq!(refused("ModelInfer", &large).0, 8);
    server.gate.hold();
    let late = block_on(call(
        server.address,
        "inference.GRPCInferenceService/ModelInfer",
        infer_request().encode_to_vec(),
        &[("grpc-timeout", "30m")],
    ));
    assert_eq!(late.unwrap_err().0, 4);
    server.gate.until_cancelled(1);
}

#[test]
fn overload_is_exhaustion_and_a_missing_key_is_no_authentication() {
    let mut with_key = setup();
    with_key.options.key = Some(ApiKey::new("secret"));
    let server = with_key.start();
    let infer = |headers: &[(&str, &str)]| {
        let message = infer_request().encode_to_vec();
        block_on(call(server.address, "inference.GRPCInferenceService/ModelInfer", message, headers))
    };
    assert_eq!(infer(&[]).unwrap_err().0, 16);
    assert!(infer(&[("authorization", "Bearer secret")]).is_ok());
    let mut full = setup();
    full.options.capacity.requests = 0;
    let server = full.start();
    assert_eq!(service::<InferResponse>(&server, "ModelInfer", &infer_request()).unwrap_err().0, 8);
}
