//! TLS.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tmoe_serve::TlsFiles;

use crate::client::Client;
use crate::fixture::{setup, until};

/// Whether a client that trusts this certificate, and no other, gets an answer.
fn answers(server: std::net::SocketAddr, certificate: &str, protocols: &[&[u8]]) -> Option<String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let name = ServerName::try_from("localhost").unwrap();
    let client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(client, TcpStream::connect(server).ok()?);
    stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

#[test]
fn with_a_certificate_the_server_speaks_tls_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| folder.path().join(name));
    fs::write(&certificate, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let mut setup = setup();
    setup.options.tls = Some(TlsFiles { certificate, key });
    let server = setup.start_unready();
    until(|| answers(server.address, &made.cert.pem(), &[b"http/1.1"]).is_some());
    let answer = answers(server.address, &made.cert.pem(), &[]).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("{\"live\":true}"), "{answer}");
    assert_eq!(answers(server.address, &other.cert.pem(), &[]), None);
    let mut plain = Client::new(server.address);
    plain.0.write_all(b"GET /health/live HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
    assert!(plain.is_hung_up_on());
}

#[test]
fn a_certificate_that_cannot_be_used_ends_the_server_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| folder.path().join(name));
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    for (chain, private, expected) in [
        (String::new(), made.signing_key.serialize_pem(), "has no certificate"),
        (made.cert.pem(), String::new(), "is not what is expected, a private key in PEM"),
        (made.cert.pem(), other.signing_key.serialize_pem(), "certificate and key cannot be used"),
    ] {
        fs::write(&certificate, chain).unwrap();
        fs::write(&key, private).unwrap();
        let mut setup = setup();
        setup.options.tls = Some(TlsFiles { certificate: certificate.clone(), key: key.clone() });
        let error = setup.refused().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
