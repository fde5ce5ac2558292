//! Requests that are whole, and whose contents no client should send: numbers that are none, sizes that lie, texts that do not end.

use serde_json::{Value, json};

use crate::client::{Answer, Client, ask, get, post};
use crate::fixture::{Running, server};
use crate::hostile::is_alive;

/// A body that asks for the forecast of a series, which is JSON of so many points, over a horizon.
type Body = fn(series: &str, points: usize, horizon: &str) -> String;

/// Where forecasts are asked for, and how.
const FORECASTS: [(&str, Body); 3] = [
    ("/v1/forecast", |series, _, horizon| format!(r#"{{"series": [{series}], "horizon": {horizon}}}"#)),
    ("/v1/timeseries/forecast", |series, _, horizon| {
        format!(
            r#"{{"model": "demo", "inputs": [{{"type": "univariate_time_series", "name": "x", "frequency": "H",
                "series": {series}}}], "options": {{"horizon": {horizon}}}}}"#
        )
    }),
    ("/v2/models/demo/infer", |series, points, horizon| {
        format!(
            r#"{{"parameters": {{"horizon": {horizon}}}, "inputs": [
                {{"name": "series", "shape": [1, {points}], "datatype": "FP64", "data": {series}}}]}}"#
        )
    }),
];

/// Everything that reads JSON.
const JSON: [&str; 6] = [
    "/v1/forecast",
    "/v1/timeseries/forecast",
    "/v2/models/demo/infer",
    "/v2/repository/index",
    "/v2/repository/models/demo/load",
    "/v2/repository/models/demo/unload",
];

#[track_caller]
fn is_refused(answer: &Answer, status: u16, what: &str) {
    assert_eq!(answer.status, status, "{what}: {}", answer.text());
    assert!(!answer.json()["error"].is_null() && !answer.text().contains('\n'), "{}", answer.text());
}

#[test]
fn numbers_that_are_none_are_refused_and_null_is_a_missing_point() {
    let server = server();
    for (path, body) in FORECASTS {
        for number in
            ["NaN", "nan", "Infinity", "-Infinity", "inf", "1e999", "-1e999", "1e300", "\"1\"", "0x1", "01"]
        {
            let answer = post(server.address, path, &body(&format!("[1, {number}]"), 2, "1"));
            is_refused(&answer, 400, &format!("{path} {number}"));
        }
        let answer = post(server.address, path, &body("[1, null, 4, null]", 4, "2"));
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert!(answer.text().contains("[6.0,7.0]"), "{path}: {}", answer.text());
        is_refused(&post(server.address, path, &body("[null, null]", 2, "1")), 400, path);
    }
    is_alive(&server);
}

#[test]
fn horizons_beyond_all_measure_are_refused() {
    let server = server();
    for (path, body) in FORECASTS {
        for horizon in [
            "0",
            "-1",
            "1000000000",
            "9007199254740993",
            "18446744073709551615",
            "1e9",
            "1e30",
            "0.5",
            "null",
        ] {
            let answer = post(server.address, path, &body("[1]", 1, horizon));
            is_refused(&answer, 400, &format!("{path} {horizon}"));
        }
    }
    is_alive(&server);
}

#[test]
fn json_that_is_nested_100_000_deep_is_refused_wherever_json_is_read() {
    let server = server();
    // Below the limit on bodies, which would refuse them first.
    for (piece, depth) in [("[", 99_000), ("{\"a\":", 19_000), ("[{\"inputs\":", 8_000)] {
        for path in JSON {
            // The limit of these is a sixth of that.
            let depth = if path.starts_with("/v2/repository/") { depth / 10 } else { depth };
            is_refused(&post(server.address, path, &piece.repeat(depth)), 400, path);
        }
    }
    let deep = format!("{}1{}", "[".repeat(45_000), "]".repeat(45_000));
    for (path, body) in FORECASTS {
        is_refused(&post(server.address, path, &body(&deep, 1, "1")), 400, path);
        // In what nobody asked for, which the protocols pass over: it is skipped, however deep.
        let body = body("[1]", 1, "1").replacen('{', &format!("{{\"other\": {deep}, "), 1);
        let answer = post(server.address, path, &body);
        assert_eq!(
            answer.status,
            if path == "/v1/forecast" { 400 } else { 200 },
            "{path}: {}",
            answer.text()
        );
    }
    is_alive(&server);
}

#[test]
fn bytes_that_are_no_text_are_refused_wherever_json_is_read() {
    let server = server();
    for body in [&b"\xff\xfe{}"[..], b"\xef\xbb\xbf{}", b"{\"\xc3\x28\": 1}", b"\0", b"{}{}"] {
        for path in JSON {
            is_refused(&ask(server.address, &format!("POST {path}"), body), 400, path);
        }
    }
    is_alive(&server);
}

#[test]
fn what_a_failure_repeats_of_a_request_is_one_short_line() {
    let server = server();
    // Found by fuzzing: names that the parser does not know went into messages as they were.
    let long = "x".repeat(90_000);
    for name in ["\\n", "\\u001b[2J", "\\r\\nset-cookie: a", &long] {
        for (path, body) in [
            ("/v1/forecast", format!(r#"{{"{name}": 1}}"#)),
            ("/v1/timeseries/forecast", format!(r#"{{"model": "demo", "inputs": [{{"type": "{name}"}}]}}"#)),
            (
                "/v2/models/demo/infer",
                format!(
                    r#"{{"inputs": [{{"name": "{name}", "shape": [], "datatype": "FP32", "data": [1]}}]}}"#
                ),
            ),
            ("/v2/models/demo/infer", format!(r#"{{"inputs": [], "outputs": [{{"name": "{name}"}}]}}"#)),
        ] {
            let answer = post(server.address, path, &body);
            is_refused(&answer, 400, path);
            let found = answer.json();
            let message = found["error"]["message"].as_str().or(found["error"].as_str()).unwrap();
            assert!(message.len() < 1000 && !message.contains(char::is_control), "{message:?}");
        }
    }
    is_alive(&server);
}

#[test]
fn encoded_bodies_are_refused_before_they_are_decoded() {
    let server = server();
    for path in JSON {
        for encoding in ["gzip", "br", "zstd", "deflate", "gzip, gzip"] {
            let head = format!("POST {path}\ncontent-encoding: {encoding}");
            is_refused(&ask(server.address, &head, b"\x1f\x8b\x08"), 415, path);
        }
    }
    is_alive(&server);
}

/// Asks for the forecast of a series of 2 points of FP32, with other shapes, sizes and bytes than these.
fn infer_bytes(server: &Running, shape: &Value, size: &Value, bytes: &[u8]) -> Answer {
    let json = json!({ "parameters": { "horizon": 1 }, "inputs": [
        { "name": "series", "shape": shape, "datatype": "FP32", "parameters": { "binary_data_size": size } },
    ] });
    let json = json.to_string();
    let head = format!("POST /v2/models/demo/infer\nInference-Header-Content-Length: {}", json.len());
    ask(server.address, &head, &[json.as_bytes(), bytes].concat())
}

#[test]
fn tensors_whose_sizes_lie_are_refused() {
    let server = server();
    let two = [1.0_f32, 2.0].map(f32::to_le_bytes).concat();
    assert_eq!(infer_bytes(&server, &json!([1, 2]), &json!(8), &two).status, 200);
    for (shape, size) in [
        (json!([1, 1]), json!(8)),
        (json!([1, 3]), json!(8)),
        (json!([1, 2]), json!(4)),
        (json!([1, 2]), json!(0)),
        (json!([1, 2]), json!(9)),
        (json!([1, 2]), json!(4_000_000_000_u64)),
        (json!([1, 2]), json!(u64::MAX)),
        (json!([1, 2]), json!(-8)),
        (json!([1, 2]), json!("8")),
        (json!([1, 1_000_000_000]), json!(8)),
        (json!([1_000_000_000, 1_000_000_000]), json!(8)),
        // Their products are 2 and 0, modulo 2^64.
        (json!([i64::MAX, i64::MAX, 2]), json!(8)),
        (json!([4_294_967_296_i64, 4_294_967_296_i64]), json!(0)),
        (json!([-1, -2]), json!(8)),
        (json!([-1, 2]), json!(8)),
        (json!([2]), json!(8)),
        (json!([1, 1, 2]), json!(8)),
        (json!([]), json!(4)),
        (json!([1.0, 2.0]), json!(8)),
    ] {
        is_refused(&infer_bytes(&server, &shape, &size, &two), 400, &format!("{shape} {size}"));
    }
    // Infinities as bytes; NaN is a missing point.
    for (value, status) in [(f32::INFINITY, 400), (f32::NEG_INFINITY, 400), (f32::NAN, 200)] {
        let bytes = [1.0, value].map(f32::to_le_bytes).concat();
        assert_eq!(infer_bytes(&server, &json!([1, 2]), &json!(8), &bytes).status, status, "{value}");
    }
    is_alive(&server);
}

#[test]
fn a_length_of_json_that_lies_is_refused() {
    let server = server();
    let json = r#"{"parameters": {"horizon": 1}, "inputs": [
        {"name": "series", "shape": [1, 1], "datatype": "FP32", "data": [1]}]}"#;
    let infer = |length: &str| {
        let head = format!("POST /v2/models/demo/infer\nInference-Header-Content-Length: {length}");
        ask(server.address, &head, json.as_bytes())
    };
    assert_eq!(infer(&json.len().to_string()).status, 200);
    let longer = (json.len() + 1).to_string();
    let shorter = (json.len() - 1).to_string();
    for length in
        [&longer, &shorter, "0", "-1", "1e2", "0x10", "", "18446744073709551615", "18446744073709551616", "a"]
    {
        is_refused(&infer(length), 400, length);
    }
    is_alive(&server);
}

#[test]
fn names_of_models_have_no_way_out_wherever_they_stand() {
    let server = server();
    for name in ["..%2f..%2fetc", "%2e%2e", "..%5c..", "demo%00", "%ff", "demo%2f..", "-", &"x".repeat(5000)]
    {
        for (method, path) in [
            ("POST", format!("/v2/models/{name}/infer")),
            ("POST", format!("/v2/models/demo/versions/{name}/infer")),
            ("GET", format!("/v2/models/{name}")),
            ("GET", format!("/v2/models/{name}/ready")),
            ("POST", format!("/v2/repository/models/{name}/load")),
            ("POST", format!("/v2/repository/models/{name}/unload")),
        ] {
            let body = if path.ends_with("/infer") { FORECASTS[2].1("[1]", 1, "1") } else { String::new() };
            let answer = ask(server.address, &format!("{method} {path}"), body.as_bytes());
            assert!([400, 404].contains(&answer.status), "{path}: {}", answer.text());
        }
    }
    for name in ["../demo", "/etc/passwd", "demo/../demo", "..", "", "demo\\u0000", "C:\\\\demo"] {
        for body in [
            format!(r#"{{"model": "{name}", "series": [[1]], "horizon": 1}}"#),
            format!(r#"{{"model": "demo", "version": "{name}", "series": [[1]], "horizon": 1}}"#),
        ] {
            is_refused(&post(server.address, "/v1/forecast", &body), 404, &body);
        }
        let body = FORECASTS[1].1("[1]", 1, "1").replace("\"demo\"", &format!("\"{name}\""));
        is_refused(&post(server.address, "/v1/timeseries/forecast", &body), 404, &body);
    }
    is_alive(&server);
}

#[test]
fn bodies_whose_length_is_said_twice_or_not_at_all_are_refused() {
    use std::io::Write as _;
    let server = server();
    for headers in [
        "content-length: 5\r\ncontent-length: 6",
        "content-length: -1",
        "content-length: 5, 6",
        "content-length: 99999999999999999999999",
        "content-length: five",
        "transfer-encoding: gzip, identity",
    ] {
        let mut client = Client::new(server.address);
        let request = format!("POST /v1/forecast HTTP/1.1\r\nhost: test\r\n{headers}\r\n\r\nabcdef");
        client.0.write_all(request.as_bytes()).unwrap();
        assert_eq!(client.receive().status, 400, "{headers}");
    }
    // Without any length there is no body.
    let mut client = Client::new(server.address);
    client.0.write_all(b"POST /v1/forecast HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
    is_refused(&client.receive(), 400, "no body");
    // Chunks whose sizes are no numbers, or more than there are.
    for chunk in ["zz\r\n", "ffffffffffffffffff\r\n", "-1\r\n"] {
        let mut client = Client::new(server.address);
        let request =
            format!("POST /v1/forecast HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n{chunk}");
        client.0.write_all(request.as_bytes()).unwrap();
        assert_eq!(client.receive().status, 400, "{chunk:?}");
    }
    assert_eq!(get(server.address, "/health/live").status, 200);
    is_alive(&server);
}
