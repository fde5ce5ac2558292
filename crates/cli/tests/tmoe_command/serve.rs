//! `tmoe serve`: its options, its start and its end. What it answers is tested where the server is.

use std::net::TcpListener;

use crate::outcome::Outcome;
use crate::run;
use crate::shared::Shared;
use crate::{arguments, command};

pub(crate) const TESTS: &[(&str, crate::Test)] = crate::tests![
    every_option_is_also_a_variable,
    what_cannot_be_served_ends_the_command_with_the_reason,
    #[cfg(unix)]
    a_server_answers_until_it_is_asked_to_end,
];

fn every_option_is_also_a_variable(_: &Shared) {
    let help = run(["serve", "--help"]).success();
    let words: Vec<&str> = help.split_whitespace().collect();
    let mut options = 0;
    for line in help.lines() {
        let Some(option) = line.trim_start().split(' ').find_map(|word| word.strip_prefix("--")) else {
            continue;
        };
        if !line.trim_start().starts_with('-') || option == "help" {
            continue;
        }
        options += 1;
        let variable = format!("TMOE_SERVE_{}", option.replace('-', "_").to_uppercase());
        let shown = words.iter().any(|word| {
            let name = word.split(['=', ']']).next().unwrap_or_default();
            name == variable
        });
        assert!(shown, "no variable {variable} for --{option} in\n{help}");
    }
    assert!(options > 20, "{options} options in\n{help}");
    let refused = Outcome::of(command(["serve", "package"]).env("TMOE_SERVE_MAX_BODY", "much"));
    refused.usage_error(&["much", "--max-body"]);
}

fn what_cannot_be_served_ends_the_command_with_the_reason(_: &Shared) {
    run(["serve"]).usage_error(&["PACKAGE"]);
    run(["serve", ".."]).usage_error(&["gives the model no name"]);
    run(["serve", "package", "--tls-key", "key.pem"]).usage_error(&["--tls-certificate"]);
    let quiet = ["serve", "nowhere", "--listen", "127.0.0.1:0", "--log-level", "off"];
    run(quiet).failure(&["the model `nowhere`", "nowhere does not exist"]);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    run(["serve", "package", "--listen", &address]).failure(&["cannot listen on", &address]);
    let tls =
        ["serve", "package", "--listen", "127.0.0.1:0", "--tls-certificate", "no.pem", "--tls-key", "no.pem"];
    run(tls).failure(&["no.pem", "a chain of certificates"]);
}

#[cfg(unix)]
fn a_server_answers_until_it_is_asked_to_end(shared: &Shared) {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let package = format!("demo={}", shared.package("demo").display());
    let mut serve = command(arguments!["serve", package, "--listen", address.to_string()]);
    serve.args(["--provider", "tract", "--log-format", "json"]);
    let is_ready = || {
        let Ok(mut stream) = TcpStream::connect(address) else { return false };
        let mut answer = String::new();
        let request = b"GET /health/ready HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n";
        stream.write_all(request).is_ok()
            && stream.read_to_string(&mut answer).is_ok()
            && answer.contains("200 OK")
    };
    let outcome = crate::outcome::interrupted(&mut serve, "TERM", is_ready);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(0), ""), "{outcome:?}");
    for line in outcome.stderr.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
        assert!(line["message"].is_string(), "{line}");
    }
    assert!(outcome.stderr.contains("/health/ready"), "{}", outcome.stderr);
}
