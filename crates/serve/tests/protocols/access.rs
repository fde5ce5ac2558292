//! Who may ask.

use tmoe_serve::ApiKey;

use crate::client::{ask, get, post};
use crate::fixture::{server, setup};

const BODY: &[u8] = br#"{"series": [[1]], "horizon": 1}"#;

#[test]
fn with_a_key_only_those_who_show_it_are_served() {
    let mut setup = setup();
    setup.options.key = Some(ApiKey::new("secret"));
    let server = setup.start();
    let status = |header: &str| ask(server.address, &format!("POST /v1/forecast\n{header}"), BODY).status;
    assert_eq!(status("authorization: Bearer secret"), 200);
    assert_eq!(status("x-api-key: secret"), 200);
    for header in
        ["x-nothing: 1", "authorization: Bearer wrong", "authorization: Basic secret", "x-api-key: secre"]
    {
        assert_eq!(status(header), 401, "{header}");
    }
    let answer = post(server.address, "/v1/forecast", "{}");
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    assert!(answer.text().contains("the server wants an API key"), "{}", answer.text());
    for path in ["/metrics", "/v2", "/v2/models/demo", "/v1/timeseries/models"] {
        assert_eq!(get(server.address, path).status, 401, "{path}");
    }
    // Probes and people come in without.
    for path in ["/", "/openapi.json", "/health/live", "/health/ready", "/v2/health/ready"] {
        assert_eq!(get(server.address, path).status, 200, "{path}");
    }
}

#[test]
fn pages_of_other_origins_are_refused() {
    let server = server();
    let status =
        |origin: &str| ask(server.address, &format!("POST /v1/forecast\norigin: {origin}"), BODY).status;
    assert_eq!(status("http://test"), 200);
    for origin in ["http://evil.example", "null", "http://test.evil.example", "http://test:81"] {
        assert_eq!(status(origin), 403, "{origin}");
    }
}

#[test]
fn a_request_keeps_its_id_or_gets_one() {
    let server = server();
    let answer = ask(server.address, "GET /health/live\nx-request-id: mine", b"");
    assert_eq!(answer.header("x-request-id"), Some("mine"));
    let ids: Vec<String> = (0..2)
        .map(|_| get(server.address, "/health/live").header("x-request-id").unwrap().to_owned())
        .collect();
    assert_ne!(ids[0], ids[1]);
    let error = post(server.address, "/v1/forecast", "{").json();
    assert!(error["error"]["request_id"].is_string());
    let long = "x".repeat(200);
    let answer = ask(server.address, &format!("GET /health/live\nx-request-id: {long}"), b"");
    assert_ne!(answer.header("x-request-id"), Some(long.as_str()));
}

#[test]
fn requests_are_counted_by_address_and_status() {
    let server = server();
    post(server.address, "/v1/forecast", "{");
    ask(server.address, "POST /v1/forecast", BODY);
    get(server.address, "/v2/models/any/thing/at/all");
    let text = get(server.address, "/metrics").text();
    for line in [
        r#"tmoe_requests_total{route="/v1/forecast",code="200"} 1"#,
        r#"tmoe_requests_total{route="/v1/forecast",code="400"} 1"#,
        r#"tmoe_requests_total{route="other",code="404"} 1"#,
        r#"tmoe_batch_rows_count{model="demo",version="1"} 1"#,
        r#"tmoe_model_info{model="demo",version="1",provider="counting",graph="standard",precision="fp32"} 1"#,
    ] {
        assert!(text.lines().any(|found| found == line), "no line {line} in\n{text}");
    }
}
