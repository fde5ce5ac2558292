//! `POST /v1/forecast`.

use serde_json::json;

use crate::client::{ask, get, post};
use crate::fixture::{POSITIONS, server, setup};

#[test]
fn series_come_back_as_forecasts_in_their_order() {
    let server = server();
    let body = json!({ "series": [[1, 2], { "id": "b", "values": [5, null] }], "horizon": 3.0 });
    let answer = post(server.address, "/v1/forecast", &body.to_string());
    assert_eq!(answer.status, 200, "{}", answer.text());
    let found = answer.json();
    assert_eq!(found["forecasts"][0], json!({ "values": [3.0, 4.0, 5.0], "context": 2 }));
    assert_eq!(found["forecasts"][1], json!({ "id": "b", "values": [7.0, 8.0, 9.0], "context": 1 }));
    assert_eq!((&found["model"], &found["version"]), (&json!("demo"), &json!("1")));
    assert_eq!(found["usage"], json!({ "context_points": 3, "forecast_points": 7 }));
}

#[test]
fn quantiles_come_by_their_level() {
    let server = server();
    let ramp: Vec<f64> = (0..60).map(|step| 3.0 * f64::from(step)).collect();
    let body = json!({ "series": [ramp, [1, 2]], "horizon": 4, "quantiles": [0.1, 0.5, 0.9] });
    let found = post(server.address, "/v1/forecast", &body.to_string()).json();
    let forecast = &found["forecasts"][0];
    assert_eq!(forecast["quantiles"]["0.5"], forecast["values"]);
    assert!(forecast["quantiles"]["0.1"][3].as_f64() < forecast["quantiles"]["0.9"][3].as_f64());
    assert!(found["forecasts"][1].get("quantiles").is_none(), "too short to tell");
}

#[test]
fn what_is_wrong_with_a_request_is_said() {
    let server = server();
    for (body, expected) in [
        ("", "the body is not the JSON that is expected: EOF"),
        ("{", "EOF while parsing an object"),
        ("[]", "expected an object"),
        (r#"[null, null, [[1]], 1, null, [], null]"#, "invalid type: sequence, expected an object"),
        (r#"{"series": [[1]]}"#, "missing field `horizon`"),
        (r#"{"series": [[1]], "horizon": -1}"#, "invalid value: integer `-1`, expected a whole number"),
        (r#"{"series": [[1]], "horizon": 1, "horison": 2}"#, "unknown field `horison`"),
        (r#"{"series": [[1, NaN]], "horizon": 1}"#, "expected value"),
        (r#"{"series": [[1, 1e999]], "horizon": 1}"#, "number out of range"),
        (r#"{"series": [[1, "2"]], "horizon": 1}"#, "expected a number, or null"),
        (r#"{"series": [[[1]]], "horizon": 1}"#, "expected a number, found an array"),
        (r#"{"series": [1], "horizon": 1}"#, "expected an array of numbers, or an object"),
        (r#"{"series": [], "horizon": 1}"#, "there are no series"),
        (r#"{"series": [[]], "horizon": 1}"#, "series 0 (counted from 0) is empty"),
        (r#"{"series": [[1], [null]], "horizon": 1}"#, "series 1 (counted from 0) has no values"),
        (r#"{"series": [[1e300]], "horizon": 1}"#, "values must be finite float32 numbers"),
        (r#"{"series": [[1]], "horizon": 0}"#, "the horizon is 0"),
        (r#"{"series": [[1]], "horizon": 100}"#, "a horizon of 100 is too long"),
        (r#"{"series": [[1]], "horizon": 1, "context": 0}"#, "the context is 0"),
        (r#"{"series": [[1]], "horizon": 1, "timeout_ms": 0}"#, "timeout_ms is 0"),
        (r#"{"series": [[1]], "horizon": 1, "quantiles": [1]}"#, "the quantile 1 is not between 0 and 1"),
        (
            r#"{"series": [[1],[1],[1],[1],[1],[1],[1],[1],[1],[1],[1]], "horizon": 1}"#,
            "there are 11 series, and a request takes at most 10",
        ),
        (
            r#"{"series": [[1],[1],[1],[1],[1],[1],[1],[1],[1]], "horizon": 99, "quantiles": [0.1, 0.2, 0.3, 0.4, 0.6, 0.7]}"#,
            "the answer would have 6237 numbers",
        ),
    ] {
        let answer = post(server.address, "/v1/forecast", body);
        let found = answer.json();
        assert_eq!((answer.status, &found["error"]["code"]), (400, &json!("invalid_request")), "{body}");
        let message = found["error"]["message"].as_str().unwrap();
        assert!(message.contains(expected), "{body}: {message}");
        assert!(!message.contains('\n'));
    }
}

#[test]
fn a_request_that_could_never_be_taken_is_not_told_to_come_back() {
    let mut setup = setup();
    setup.options.capacity.points = 50;
    let server = setup.start();
    let body = json!({ "series": [vec![1.0; POSITIONS]], "horizon": 10 });
    let answer = post(server.address, "/v1/forecast", &body.to_string());
    assert_eq!((answer.status, answer.header("retry-after")), (400, None), "{}", answer.text());
}

#[test]
fn a_forecast_that_is_no_number_has_its_error_in_its_place() {
    let server = server();
    let body = r#"{"series": [[1], {"id": "odd", "values": [13]}], "horizon": 1}"#;
    let found = post(server.address, "/v1/forecast", body).json();
    assert_eq!(found["forecasts"][0]["values"], json!([2.0]));
    let error = found["forecasts"][1]["error"].as_str().unwrap();
    assert!(error.starts_with("the forecast of the series `odd` is NaN"), "{error}");
}

#[test]
fn other_models_versions_addresses_and_methods_are_not_there() {
    let server = server();
    for (part, expected) in [
        (r#""model": "other""#, "there is no model `other`; there is `demo`"),
        (r#""model": "../etc""#, "is no name of a model"),
        (r#""model": "demo", "version": "7""#, "has no version `7`; it has `1`"),
    ] {
        let answer =
            post(server.address, "/v1/forecast", &format!(r#"{{{part}, "series": [[1]], "horizon": 1}}"#));
        assert_eq!(answer.status, 404);
        assert!(answer.text().contains(expected), "{}", answer.text());
    }
    for path in ["/nothing", "/v1", "/v2/models", "/../../etc/passwd", "/%2e%2e/", "/v2/models/a/b/c"] {
        assert_eq!(get(server.address, path).status, 404, "{path}");
    }
    let answer = get(server.address, "/v1/forecast");
    assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")));
}

#[test]
fn a_model_that_fails_is_the_servers_fault_and_serves_on() {
    let server = server();
    let answer = post(server.address, "/v1/forecast", r#"{"series": [[666]], "horizon": 1}"#);
    assert_eq!(answer.status, 500);
    assert!(answer.text().contains("it panicked: the number of the beast"), "{}", answer.text());
    assert_eq!(post(server.address, "/v1/forecast", r#"{"series": [[1]], "horizon": 1}"#).status, 200);
}

#[test]
fn a_forecast_that_takes_too_long_is_given_up() {
    let server = server();
    server.gate.hold();
    let answer = post(server.address, "/v1/forecast", r#"{"series": [[1]], "horizon": 1, "timeout_ms": 20}"#);
    assert_eq!(answer.status, 504);
    assert!(answer.text().contains("after 20 ms"), "{}", answer.text());
    server.gate.until_cancelled(1);
}

#[test]
fn the_page_and_the_description_are_served() {
    let server = server();
    let page = get(server.address, "/");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.text().contains("v1/forecast") && page.header("content-security-policy").is_some());
    let description = get(server.address, "/openapi.json").json();
    assert_eq!(description["openapi"], "3.1.0");
    // Every address without a parameter is there, with the method that is described.
    for (path, methods) in description["paths"].as_object().unwrap() {
        let path = path.replace("{model}", "demo").replace("{version}", "1");
        for method in methods.as_object().unwrap().keys() {
            let answer = ask(server.address, &format!("{} {path}", method.to_uppercase()), b"");
            assert!(![404, 405].contains(&answer.status), "{method} {path}: {}", answer.status);
        }
    }
}

#[test]
fn every_example_of_the_description_is_answered() {
    let server = server();
    let description = get(server.address, "/openapi.json").json();
    let mut count = 0;
    for (path, methods) in description["paths"].as_object().unwrap() {
        let path = path.replace("{model}", "demo").replace("{version}", "1");
        let examples = &methods["post"]["requestBody"]["content"]["application/json"]["examples"];
        for (name, example) in examples.as_object().into_iter().flatten() {
            let answer = post(server.address, &path, &example["value"].to_string());
            assert_eq!(answer.status, 200, "{path} {name}: {}", answer.text());
            // So that the next has a model.
            assert_eq!(post(server.address, "/v2/repository/models/demo/load", "").status, 200);
            count += 1;
        }
    }
    assert!(count > 8, "{count} examples");
}
