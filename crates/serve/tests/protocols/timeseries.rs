//! `POST /v1/timeseries/forecast`.

use serde_json::{Value, json};

use crate::client::{Answer, get, post};
use crate::fixture::{Running, server};

fn ask(server: &Running, body: &Value) -> Answer {
    post(server.address, "/v1/timeseries/forecast", &body.to_string())
}

fn input(name: &str, series: Value) -> Value {
    json!({ "type": "univariate_time_series", "name": name, "series": series, "frequency": "H",
            "start_timestamp": "2026-03-14T00:00:00Z" })
}

#[test]
fn each_input_has_an_output_that_begins_after_it() {
    let server = server();
    let ramp: Vec<f64> = (0..60).map(f64::from).collect();
    let mut second = input("b", json!([5]));
    second["start_timestamp"] = Value::Null;
    let body = json!({ "model": "demo", "inputs": [input("a", json!(ramp)), second],
                       "options": { "horizon": 2, "quantiles": [0.1, 0.9] }, "metadata": { "any": "thing" } });
    let answer = ask(&server, &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let found = answer.json();
    assert_eq!((&found["status"], &found["model"]), (&json!("completed"), &json!("demo")));
    let first = &found["outputs"][0];
    assert_eq!((&first["status"], &first["error"]), (&json!("completed"), &Value::Null));
    let content = &first["content"][0];
    assert_eq!((&content["name"], &content["frequency"]), (&json!("a"), &json!("H")));
    assert_eq!(content["mean_forecast"], json!([60.0, 61.0]));
    assert_eq!(content["start_timestamp"], "2026-03-16T12:00:00Z");
    // The model is never wrong about a ramp of slope 1.
    assert_eq!(content["quantiles"], json!({ "0.1": [60.0, 61.0], "0.9": [60.0, 61.0] }));
    let content = &found["outputs"][1]["content"][0];
    assert_eq!((&content["start_timestamp"], &content["quantiles"]), (&json!(""), &Value::Null));
    let usage = &found["usage"];
    let tokens = |name: &str| usage[name].as_u64().unwrap();
    assert_eq!(tokens("total_tokens"), tokens("prompt_tokens") + tokens("completion_tokens"));
    // Ten rows: two inputs, and the earlier origins of the first.
    assert_eq!(tokens("completion_tokens"), 20);
}

#[test]
fn an_input_without_a_forecast_leaves_the_others_theirs() {
    let server = server();
    let body = |series: &[Value]| {
        let inputs: Vec<Value> = series.iter().map(|series| input("x", series.clone())).collect();
        json!({ "model": "demo", "inputs": inputs, "options": { "horizon": 1 } })
    };
    let found = ask(&server, &body(&[json!([1]), json!([13])])).json();
    assert_eq!(found["status"], "partial");
    assert_eq!(found["outputs"][0]["content"][0]["mean_forecast"], json!([2.0]));
    assert_eq!(
        (&found["outputs"][1]["status"], &found["outputs"][1]["content"]),
        (&json!("error"), &json!([]))
    );
    assert!(found["outputs"][1]["error"]["message"].as_str().unwrap().contains("`x` is NaN"));
    assert_eq!(ask(&server, &body(&[json!([13])])).json()["status"], "error");
}

#[test]
fn errors_have_the_form_that_the_protocol_gives_them() {
    let server = server();
    let with = |key: &str, value: Value| {
        let mut input = input("x", json!([1]));
        input[key] = value;
        json!({ "model": "demo", "inputs": [input], "options": { "horizon": 1 } })
    };
    for (body, status, expected) in [
        (json!({}), 400, "missing field `model`"),
        (with("type", json!("multivariate_time_series")), 400, "the model forecasts univariate series"),
        (json!(["demo", [input("x", json!([1]))], { "horizon": 1 }]), 400, "expected an object"),
        (
            json!({ "model": "demo", "inputs": [["univariate_time_series", "x", [1], "H", null]],
                    "options": { "horizon": 1 } }),
            400,
            "expected an object",
        ),
        (
            json!({ "model": "demo", "inputs": [input("x", json!([1]))], "options": [1, null, null, null] }),
            400,
            "expected an object",
        ),
        (with("series", json!([[1, 2], [3, 4]])), 400, "has arrays within it"),
        (with("frequency", json!("fortnight")), 400, "unknown variant `fortnight`"),
        (with("start_timestamp", json!("yesterday")), 400, "is not in ISO 8601"),
        (
            json!({ "model": "other", "inputs": [input("x", json!([1]))], "options": { "horizon": 1 } }),
            404,
            "no model `other`",
        ),
    ] {
        let answer = ask(&server, &body);
        let error = &answer.json()["error"];
        assert_eq!(answer.status, status, "{body}");
        assert_eq!(error["code"], status.to_string());
        assert!(error["type"].is_string());
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn the_models_that_serve_are_listed() {
    assert_eq!(get(server().address, "/v1/timeseries/models").json(), json!(["demo"]));
}
