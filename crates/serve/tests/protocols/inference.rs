//! The Open Inference Protocol v2 over REST.

use serde_json::{Value, json};

use crate::client::{Answer, ask, get, post};
use crate::fixture::{Running, server};

fn infer(server: &Running, body: &Value) -> Answer {
    post(server.address, "/v2/models/demo/infer", &body.to_string())
}

fn series(shape: [usize; 2], data: Value) -> Value {
    json!({ "name": "series", "shape": shape, "datatype": "FP32", "data": data })
}

fn horizon(points: usize) -> Value {
    json!({ "name": "horizon", "shape": [1], "datatype": "INT64", "data": [points] })
}

#[test]
fn a_matrix_of_series_comes_back_as_a_matrix_of_forecasts() {
    let server = server();
    let body = json!({ "id": "mine", "inputs": [series([2, 2], json!([[1, 2], [null, 5]])), horizon(3)] });
    let answer = infer(&server, &body);
    assert_eq!(
        answer.json(),
        json!({
            "model_name": "demo", "model_version": "1", "id": "mine",
            "outputs": [{ "name": "forecast", "datatype": "FP32", "shape": [2, 3],
                          "data": [3.0, 4.0, 5.0, 6.0, 7.0, 8.0] }],
        }),
        "{}",
        answer.text()
    );
}

#[test]
fn quantiles_are_a_tensor_with_missing_ones_where_a_series_is_too_short() {
    let server = server();
    let levels = json!({ "name": "quantiles", "shape": [2], "datatype": "FP64", "data": [0.1, 0.9] });
    let body = json!({ "parameters": { "horizon": 1 }, "inputs": [series([1, 1], json!([1])), levels] });
    let found = infer(&server, &body).json();
    let expected =
        json!({ "name": "quantiles", "datatype": "FP32", "shape": [1, 2, 1], "data": [null, null] });
    assert_eq!(found["outputs"][1], expected);
}

#[test]
fn tensors_travel_as_bytes_both_ways() {
    let server = server();
    let json = json!({
        "parameters": { "binary_data_output": true },
        "inputs": [
            { "name": "series", "shape": [1, 2], "datatype": "FP64", "parameters": { "binary_data_size": 16 } },
            { "name": "horizon", "shape": [1], "datatype": "INT32", "parameters": { "binary_data_size": 4 } },
        ],
    });
    let json = json.to_string();
    let bytes = [&1.0_f64.to_le_bytes()[..], &2.0_f64.to_le_bytes(), &3_i32.to_le_bytes()].concat();
    let head = format!("POST /v2/models/demo/infer\nInference-Header-Content-Length: {}", json.len());
    let answer = ask(server.address, &head, &[json.as_bytes(), &bytes].concat());
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
    let length: usize = answer.header("inference-header-content-length").unwrap().parse().unwrap();
    let (head, bytes) = answer.body.split_at(length);
    let head: Value = serde_json::from_slice(head).unwrap();
    assert_eq!(head["outputs"][0]["parameters"], json!({ "binary_data_size": 12 }));
    let values: Vec<f32> =
        bytes.chunks(4).map(|chunk| f32::from_le_bytes(chunk.try_into().unwrap())).collect();
    assert_eq!(values, [3.0, 4.0, 5.0]);
}

#[test]
fn what_does_not_fit_is_refused_in_one_line() {
    let server = server();
    for (inputs, expected) in [
        (json!([horizon(1)]), "the input series is missing"),
        (json!([series([1, 1], json!([1]))]), "the horizon is missing"),
        (json!([series([1, 2], json!([1])), horizon(1)]), "has 1 values, and its shape [1, 2] says 2"),
        (json!([series([0, 0], json!([])), horizon(1)]), "at least one series"),
        (json!([{ "name": "series", "shape": [1, -1], "datatype": "FP32", "data": [1] }]), "which is none"),
        (
            json!([{ "name": "series", "shape": [1, 1], "datatype": "BYTES", "data": [1] }]),
            "the datatype \"BYTES\"",
        ),
        (json!([["series", [1, 1], "FP32", {}, [1]], horizon(1)]), "expected an object"),
    ] {
        let answer = infer(&server, &json!({ "inputs": inputs }));
        let message = answer.json()["error"].as_str().unwrap().to_owned();
        assert_eq!(answer.status, 400);
        assert!(message.contains(expected) && !message.contains('\n'), "{message}");
    }
    let answer = infer(&server, &json!(["", {}, [series([1, 1], json!([1])), horizon(1)], null]));
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("expected an object"), "{}", answer.text());
    for (parameters, expected) in [
        (json!({ "horizon": "3" }), "the parameter horizon is \"3\", expected a whole number"),
        (json!({ "horizon": 1, "timeout": 0.5 }), "the parameter timeout is 0.5, expected a whole number"),
        (
            json!({ "horizon": 1, "binary_data_output": 1 }),
            "the parameter binary_data_output is 1, expected true",
        ),
    ] {
        let answer =
            infer(&server, &json!({ "parameters": parameters, "inputs": [series([1, 1], json!([1]))] }));
        assert_eq!(answer.status, 400);
        assert!(answer.json()["error"].as_str().unwrap().contains(expected), "{}", answer.text());
    }
    let head = "POST /v2/models/demo/infer\nInference-Header-Content-Length: 99";
    assert_eq!(ask(server.address, head, b"{}").status, 400);
    let head = "POST /v2/models/demo/infer\nContent-Encoding: gzip";
    assert_eq!(ask(server.address, head, b"{}").status, 415);
}

#[test]
fn server_and_models_describe_themselves() {
    let server = server();
    let found = get(server.address, "/v2").json();
    assert_eq!((&found["name"], &found["extensions"][0]), (&json!("tmoe"), &json!("binary_tensor_data")));
    for path in ["/v2/models/demo", "/v2/models/demo/versions/1"] {
        let found = get(server.address, path).json();
        assert_eq!((&found["name"], &found["versions"]), (&json!("demo"), &json!(["1"])));
        assert_eq!(found["inputs"][0], json!({ "name": "series", "datatype": "FP32", "shape": [-1, -1] }));
        assert_eq!(found["properties"]["provider"], "counting");
        assert_eq!(get(server.address, &format!("{path}/ready")).json()["ready"], true);
    }
    for path in ["/v2/models/other", "/v2/models/demo/versions/2/ready", "/v2/models/..%2fdemo"] {
        let answer = get(server.address, path);
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.json()["error"].is_string());
    }
    for path in ["/v2/health/live", "/v2/health/ready", "/health/live", "/health/ready"] {
        assert_eq!(get(server.address, path).status, 200);
    }
}
