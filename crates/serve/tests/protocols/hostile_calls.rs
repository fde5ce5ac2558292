//! gRPC calls that no client should make.

use std::collections::HashMap;

use prost::Message;
use prost::bytes::Bytes;

use crate::fixture::{Running, server, setup};
use crate::grpc::{
    InferRequest, InferResponse, Parameter, Status, block_on, call, exchange, infer_request, service,
};
use crate::hostile::is_alive;

const INFER: &str = "inference.GRPCInferenceService/ModelInfer";

const INVALID_ARGUMENT: u16 = 3;
const DEADLINE_EXCEEDED: u16 = 4;
const NOT_FOUND: u16 = 5;
const RESOURCE_EXHAUSTED: u16 = 8;
const UNIMPLEMENTED: u16 = 12;
const INTERNAL: u16 = 13;

fn infer(server: &Running, message: &InferRequest) -> Result<InferResponse, Status> {
    service(server, "ModelInfer", message)
}

/// The server still answers calls, and requests.
#[track_caller]
fn answers_calls(server: &Running) {
    assert_eq!(infer(server, &infer_request()).unwrap().raw.len(), 1);
    is_alive(server);
}

#[test]
fn tensors_whose_sizes_lie_are_invalid() {
    let server = server();
    let shaped = |shape: &[i64], raw: Vec<Vec<u8>>| {
        let mut message = infer_request();
        message.inputs[0].shape = shape.to_vec();
        message.raw = raw;
        message
    };
    let two = || [1.0_f32, 2.0].map(f32::to_le_bytes).concat();
    assert!(infer(&server, &shaped(&[1, 2], vec![two()])).is_ok());
    for (shape, raw) in [
        (&[1, 1][..], vec![two()]),
        (&[1, 3], vec![two()]),
        (&[2], vec![two()]),
        (&[], vec![vec![0; 4]]),
        (&[1, 1, 2], vec![two()]),
        (&[-1, -2], vec![two()]),
        (&[1, -1], vec![two()]),
        (&[i64::MIN, 2], vec![two()]),
        (&[1, 1_000_000_000], vec![two()]),
        (&[1_000_000_000, 1_000_000_000], vec![two()]),
        (&[i64::MAX, i64::MAX, 2], vec![two()]),
        (&[1 << 32, 1 << 32], vec![Vec::new()]),
        (&[1_000_000_000, 0], vec![Vec::new()]),
        (&[1, 2], vec![vec![0; 7]]),
        (&[1, 2], vec![vec![0; 9]]),
        (&[1, 2], vec![two(), two()]),
        (&[1, 2], Vec::new()),
    ] {
        let refused = infer(&server, &shaped(shape, raw)).unwrap_err();
        assert_eq!(refused.0, INVALID_ARGUMENT, "{shape:?}: {}", refused.1);
    }
    let mut bytes = infer_request();
    bytes.inputs[0].datatype = "BYTES".to_owned();
    assert_eq!(infer(&server, &bytes).unwrap_err().0, INVALID_ARGUMENT);
    answers_calls(&server);
}

#[test]
fn numbers_beyond_all_measure_are_invalid_and_nan_is_a_missing_point() {
    let server = server();
    for value in [f32::INFINITY, f32::NEG_INFINITY] {
        let raw = vec![[1.0, value].map(f32::to_le_bytes).concat()];
        let refused = infer(&server, &InferRequest { raw, ..infer_request() }).unwrap_err();
        assert_eq!(refused.0, INVALID_ARGUMENT, "{}", refused.1);
    }
    let raw = vec![[1.0, f32::NAN].map(f32::to_le_bytes).concat()];
    let found = infer(&server, &InferRequest { raw, ..infer_request() }).unwrap();
    assert_eq!(found.raw, [[3.0_f32, 4.0, 5.0].map(f32::to_le_bytes).concat()]);
    for number in [0, -1, i64::MIN, 1_000_000_000, i64::MAX] {
        let parameters = HashMap::from([("horizon".to_owned(), Parameter { number })]);
        let refused = infer(&server, &InferRequest { parameters, ..infer_request() }).unwrap_err();
        assert_eq!(refused.0, INVALID_ARGUMENT, "{number}: {}", refused.1);
    }
    answers_calls(&server);
}

#[test]
fn names_of_models_have_no_way_out() {
    let server = server();
    for name in ["../demo", "/etc/passwd", "..", "demo\0", "demo/..", &"x".repeat(10_000)] {
        let message = InferRequest { model: name.to_owned(), ..infer_request() };
        assert_eq!(infer(&server, &message).unwrap_err().0, NOT_FOUND, "{name:?}");
        let message = InferRequest { version: name.to_owned(), ..infer_request() };
        assert_eq!(infer(&server, &message).unwrap_err().0, NOT_FOUND, "{name:?}");
        for method in ["RepositoryModelLoad", "RepositoryModelUnload"] {
            // The model's name is the second field there.
            let message = [&[0x12][..], &varint(name.len()), name.as_bytes()].concat();
            let method = format!("inference.GRPCInferenceService/{method}");
            let refused = block_on(call(server.address, &method, message, &[])).unwrap_err();
            assert_eq!(refused.0, NOT_FOUND, "{name:?}");
        }
    }
    answers_calls(&server);
}

/// A number as messages have it.
fn varint(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

#[test]
fn messages_that_are_none_are_refused() {
    let server = server();
    let code = |message: Vec<u8>| block_on(call(server.address, INFER, message, &[])).unwrap_err().0;
    // A group within a group, 45,000 times; a length beyond the end; a tag without a field.
    for message in
        [[0xfb, 0x01].repeat(45_000), vec![0x2a, 0xff, 0xff, 0xff, 0xff, 0x0f], vec![0x00], vec![0xff; 90]]
    {
        assert_eq!(code(message), INTERNAL);
    }
    assert_eq!(code(vec![0; 200_000]), RESOURCE_EXHAUSTED);
    answers_calls(&server);
}

#[test]
fn frames_that_lie_are_refused() {
    let server = server();
    let message = infer_request().encode_to_vec();
    let frame = |flag: u8, length: u32| {
        let head = [&[flag][..], &length.to_be_bytes()].concat();
        Bytes::from([head, message.clone()].concat())
    };
    let length = message.len() as u32;
    let code = |frame: Bytes| block_on(exchange(server.address, INFER, frame, &[], true)).unwrap_err().0;
    // Compressed, which the server does not take; longer than it is; shorter; gigabytes; no whole head; nothing.
    assert!([INTERNAL, UNIMPLEMENTED].contains(&code(frame(1, length))));
    assert_eq!(code(frame(7, length)), INTERNAL);
    assert_eq!(code(frame(0, length + 1)), INTERNAL);
    assert_eq!(code(frame(0, length - 1)), INTERNAL);
    assert!([RESOURCE_EXHAUSTED, 11].contains(&code(frame(0, u32::MAX))));
    assert_eq!(code(Bytes::from_static(&[0, 0, 0])), INTERNAL);
    assert_eq!(code(Bytes::new()), INTERNAL);
    let compressed = [("grpc-encoding", "gzip")];
    let refused = block_on(exchange(server.address, INFER, frame(1, length), &compressed, true)).unwrap_err();
    assert_eq!(refused.0, UNIMPLEMENTED, "{}", refused.1);
    let encoded = [("content-encoding", "gzip")];
    let refused = block_on(exchange(server.address, INFER, frame(0, length), &encoded, true)).unwrap_err();
    assert_eq!(refused.0, UNIMPLEMENTED, "{}", refused.1);
    answers_calls(&server);
}

#[test]
fn a_message_that_does_not_end_is_given_up() {
    let mut setup = setup();
    setup.options.bodies.time = std::time::Duration::from_millis(200);
    let server = setup.start();
    let frame = Bytes::from_static(&[0, 0, 0, 1, 0, 0x0a]);
    let late = block_on(exchange(server.address, INFER, frame, &[], false)).unwrap_err();
    assert_eq!(late.0, DEADLINE_EXCEEDED, "{}", late.1);
    answers_calls(&server);
}

#[test]
fn timeouts_that_are_none_are_passed_over() {
    let server = server();
    for timeout in ["1", "-1S", "999999999S", "S", "x"] {
        let headers = [("grpc-timeout", timeout)];
        let result = block_on(call(server.address, INFER, infer_request().encode_to_vec(), &headers));
        assert!(result.is_ok(), "{timeout:?}");
    }
    answers_calls(&server);
}
