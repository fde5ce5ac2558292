//! Models that are loaded, replaced and unloaded by several clients while others ask for forecasts.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::client::{get, post};
use crate::fixture::{Running, setup, until, write_package};
use crate::grpc::{InferResponse, infer_request, service};

/// What version 2 forecasts more than version 1.
const ADDED: f64 = 1000.0;

fn control(server: &Running, what: &str, body: &Value) -> u16 {
    post(server.address, &format!("/v2/repository/models/{what}"), &body.to_string()).status
}

/// Asks, and says whether there was an answer. It is right for the version that gave it, or it is none.
fn ask(server: &Running, version: Option<&str>) -> bool {
    let body = json!({ "model": "demo", "version": version, "series": [[1]], "horizon": 1 });
    let answer = post(server.address, "/v1/forecast", &body.to_string());
    if answer.status != 200 {
        assert!([404, 503].contains(&answer.status), "{}: {}", answer.status, answer.text());
        return false;
    }
    let found = answer.json();
    let expected = if found["version"] == "2" { 2.0 + ADDED } else { 2.0 };
    assert_eq!(found["forecasts"][0]["values"], json!([expected]), "{found}");
    assert!(version.is_none_or(|version| found["version"] == version), "{found}");
    true
}

fn call(server: &Running) -> bool {
    match service::<InferResponse>(server, "ModelInfer", &infer_request()) {
        Ok(found) => {
            let added = if found.version == "2" { ADDED as f32 } else { 0.0 };
            let expected = [3.0, 4.0, 5.0].map(|value: f32| (value + added).to_le_bytes()).concat();
            assert_eq!(found.raw, [expected], "version {}", found.version);
            true
        }
        Err((code, message)) => {
            assert!([5, 14].contains(&code), "{code}: {message}");
            false
        }
    }
}

#[test]
fn every_answer_is_that_of_the_version_that_gave_it() {
    let folder = tempfile::tempdir().unwrap();
    write_package(&folder.path().join("demo/1"), "good");
    let second = write_package(&folder.path().join("demo/2"), &format!("adds {ADDED}"));
    let mut setup = setup();
    setup.options.models = Vec::new();
    setup.options.repository = Some(folder.path().to_owned());
    let server = setup.start();
    let (done, answers) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let asking: Vec<Box<dyn Fn() -> bool + Send + Sync>> = vec![
            Box::new(|| ask(&server, None)),
            Box::new(|| ask(&server, Some("1"))),
            Box::new(|| ask(&server, Some("2"))),
            Box::new(|| call(&server)),
        ];
        let (done, answers) = (&done, &answers);
        for ask in asking {
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    answers.fetch_add(usize::from(ask()), Ordering::Relaxed);
                }
            });
        }
        let clients: Vec<_> = (0..4)
            .map(|client| {
                let server = &server;
                scope.spawn(move || {
                    let version =
                        json!({ "parameters": { "version": if client % 2 == 0 { "1" } else { "2" } } });
                    for _ in 0..10 {
                        assert_eq!(control(server, "demo/load", &json!({})), 200);
                        assert_eq!(control(server, "demo/unload", &version), 200);
                        assert_eq!(control(server, "demo/load", &version), 200);
                        assert_eq!(control(server, "other/load", &json!({})), 404);
                        assert_eq!(control(server, "demo/unload", &json!({})), 200);
                    }
                })
            })
            .collect();
        let panicked = clients.into_iter().any(|client| client.join().is_err());
        done.store(true, Ordering::Relaxed);
        assert!(!panicked);
    });
    assert_eq!(control(&server, "demo/load", &json!({})), 200);
    assert!(ask(&server, Some("1")) && ask(&server, Some("2")) && call(&server));
    assert!(answers.load(Ordering::Relaxed) > 0);
    // What cannot be loaded replaces nothing.
    write_package(&second, "broken");
    assert_eq!(control(&server, "demo/load", &json!({})), 400);
    assert!(ask(&server, Some("2")));
    until(|| !get(server.address, "/metrics").text().contains("tmoe_requests_in_flight 1\n"));
}

#[test]
fn a_broken_version_serves_nobody_however_often_it_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    write_package(&folder.path().join("demo/1"), "good");
    write_package(&folder.path().join("demo/2"), "broken");
    let mut setup = setup();
    setup.options.models = Vec::new();
    setup.options.repository = Some(folder.path().to_owned());
    let server = setup.start();
    std::thread::scope(|scope| {
        for client in 0..6 {
            let server = &server;
            scope.spawn(move || {
                for _ in 0..10 {
                    match client % 3 {
                        0 => assert_eq!(control(server, "demo/load", &json!({})), 400),
                        1 => assert!(ask(server, None) && ask(server, Some("1"))),
                        _ => assert!(!ask(server, Some("2"))),
                    }
                }
            });
        }
    });
    assert!(ask(&server, None));
}
