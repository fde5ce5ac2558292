//! Loading and unloading while the server runs.

use serde_json::{Value, json};

use crate::client::{get, post};
use crate::fixture::{Running, Setup, setup, until, write_package};

const ASK: &str = r#"{"model": "demo", "series": [[1]], "horizon": 1}"#;

fn with_repository(folder: &std::path::Path) -> Setup {
    let mut setup = setup();
    setup.options.models = Vec::new();
    setup.options.repository = Some(folder.to_owned());
    setup
}

fn control(server: &Running, what: &str, body: Value) -> (u16, Value) {
    let answer = post(server.address, &format!("/v2/repository/models/{what}"), &body.to_string());
    (answer.status, answer.json())
}

fn version(server: &Running) -> Value {
    post(server.address, "/v1/forecast", ASK).json()["version"].clone()
}

#[test]
fn a_new_version_is_found_and_serves_at_once() {
    let folder = tempfile::tempdir().unwrap();
    write_package(&folder.path().join("demo/1"), "good");
    let server = with_repository(folder.path()).start();
    assert_eq!(version(&server), "1");
    write_package(&folder.path().join("demo/2"), "good");
    assert_eq!(control(&server, "demo/load", json!({})), (200, json!({})));
    assert_eq!(version(&server), "2");
    assert_eq!(control(&server, "demo/unload", json!({ "parameters": { "version": "2" } })).0, 200);
    assert_eq!(version(&server), "1");
}

#[test]
fn a_broken_version_never_replaces_a_good_one() {
    let folder = tempfile::tempdir().unwrap();
    let package = write_package(&folder.path().join("demo"), "good");
    let server = with_repository(folder.path()).start();
    write_package(&package, "broken");
    let (status, answer) = control(&server, "demo/load", json!({}));
    assert_eq!(status, 400);
    assert!(answer["error"].as_str().unwrap().contains("was not loaded: its self-test failed"), "{answer}");
    assert_eq!(version(&server), "1");
    let index = post(server.address, "/v2/repository/index", "").json();
    assert_eq!(
        index,
        json!([{ "name": "demo", "version": "1", "state": "READY", "reason": "its self-test failed" }])
    );
    assert_eq!(get(server.address, "/health/ready").status, 200);
    write_package(&package, "good");
    assert_eq!(control(&server, "demo/load", json!({})).0, 200);
    let index = post(server.address, "/v2/repository/index", r#"{"ready": true}"#).json();
    assert_eq!(index, json!([{ "name": "demo", "version": "1", "state": "READY" }]));
}

#[test]
fn an_unloaded_model_is_unavailable_until_it_is_loaded_again() {
    let server = setup().start();
    assert_eq!(control(&server, "demo/unload", json!({})).0, 200);
    let answer = post(server.address, "/v1/forecast", ASK);
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(get(server.address, "/health/ready").status, 503);
    assert_eq!(get(server.address, "/health/live").status, 200);
    assert_eq!(get(server.address, "/v2/models/demo/ready").status, 503);
    assert_eq!(control(&server, "demo/load", json!({})).0, 200);
    assert_eq!(post(server.address, "/v1/forecast", ASK).status, 200);
}

#[test]
fn names_have_no_way_out_of_the_repository() {
    let folder = tempfile::tempdir().unwrap();
    write_package(&folder.path().join("outside"), "good");
    let repository = folder.path().join("repository");
    write_package(&repository.join("demo"), "good");
    let server = with_repository(&repository).start();
    for name in ["..%2foutside", "%2e%2e%2foutside", "..", "other", "demo%00", "%ff", ".demo"] {
        let answer = post(server.address, &format!("/v2/repository/models/{name}/load"), "{}");
        assert!([400, 404].contains(&answer.status), "{name}: {}", answer.status);
    }
    let (status, _) = control(&server, "demo/load", json!({ "parameters": { "version": "../../outside" } }));
    assert_eq!(status, 404);
}

#[test]
fn what_is_no_object_is_no_request() {
    let server = setup().start();
    for body in [json!([]), json!([{}]), json!({ "parameters": [null] })] {
        for what in ["demo/load", "demo/unload"] {
            let (status, answer) = control(&server, what, body.clone());
            assert_eq!(status, 400, "{body}");
            assert!(answer["error"].as_str().unwrap().contains("expected an object"), "{answer}");
        }
    }
    let answer = post(server.address, "/v2/repository/index", "[true]");
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(version(&server), "1");
}

#[test]
fn clients_that_load_and_unload_at_the_same_time_leave_a_server_that_serves() {
    let server = setup().start();
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let server = &server;
            scope.spawn(move || {
                for round in 0..10 {
                    match (thread, round % 2) {
                        (0, 0) => assert_eq!(control(server, "demo/unload", json!({})).0, 200),
                        (0 | 1, _) => assert_eq!(control(server, "demo/load", json!({})).0, 200),
                        _ => {
                            let answer = post(server.address, "/v1/forecast", ASK);
                            assert!([200, 503].contains(&answer.status), "{}", answer.text());
                        }
                    }
                }
            });
        }
    });
    assert_eq!(control(&server, "demo/load", json!({})).0, 200);
    assert_eq!(version(&server), "1");
    until(|| {
        get(server.address, "/metrics").text().contains("\ntmoe_queue_rows{model=\"demo\",version=\"1\"} 0\n")
    });
}

#[test]
fn what_takes_no_place_has_a_short_body() {
    let folder = tempfile::tempdir().unwrap();
    write_package(&folder.path().join("demo"), "good");
    let server = with_repository(folder.path()).start();
    let long = json!({ "parameters": { "version": "1".repeat(20_000) } });
    assert_eq!(control(&server, "demo/load", long).0, 413);
    assert_eq!(control(&server, "demo/load", json!({})).0, 200);
}
