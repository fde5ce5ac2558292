//! As little of an HTTP client as the tests need, on a socket that they see.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

/// A connection.
pub(crate) struct Client(pub(crate) TcpStream);

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self(stream)
    }

    /// Sends a request without waiting for its answer.
    pub(crate) fn send(&mut self, head: &str, body: &[u8]) {
        let request = format!("{head}\r\nhost: test\r\ncontent-length: {}\r\n\r\n", body.len());
        self.0.write_all(request.as_bytes()).unwrap();
        // Whoever is refused at the door need not be listened to.
        let _ = self.0.write_all(body);
    }

    /// The next answer.
    #[track_caller]
    pub(crate) fn receive(&mut self) -> Answer {
        let mut bytes = Vec::new();
        let head = loop {
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            assert!(self.more(&mut bytes) > 0, "the server hung up: {}", String::from_utf8_lossy(&bytes));
        };
        let text = String::from_utf8(bytes[..head].to_vec()).unwrap();
        let mut lines = text.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let mut answer = Answer { status, headers, body: bytes[head..].to_vec() };
        let length: usize = answer.header("content-length").expect("a length").parse().unwrap();
        while answer.body.len() < length {
            assert!(self.more(&mut answer.body) > 0, "the answer broke off");
        }
        answer
    }

    /// Whether the server hangs up, without or after an answer.
    pub(crate) fn is_hung_up_on(&mut self) -> bool {
        let mut bytes = Vec::new();
        match self.0.read_to_end(&mut bytes) {
            Ok(_) => true,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }

    pub(crate) fn hang_up(self) {
        let _ = self.0.shutdown(Shutdown::Both);
    }

    fn more(&mut self, bytes: &mut Vec<u8>) -> usize {
        let mut buffer = [0; 4096];
        let count = self.0.read(&mut buffer).expect("an answer in time");
        bytes.extend_from_slice(&buffer[..count]);
        count
    }
}

/// One request on a connection of its own. `head` is the first line without the version, and perhaps headers.
#[track_caller]
pub(crate) fn ask(address: SocketAddr, head: &str, body: &[u8]) -> Answer {
    let mut client = Client::new(address);
    let (line, headers) = head.split_once('\n').unwrap_or((head, ""));
    let headers: String = headers.lines().map(|header| format!("\r\n{}", header.trim())).collect();
    client.send(&format!("{line} HTTP/1.1{headers}"), body);
    client.receive()
}

#[track_caller]
pub(crate) fn get(address: SocketAddr, path: &str) -> Answer {
    ask(address, &format!("GET {path}"), b"")
}

#[track_caller]
pub(crate) fn post(address: SocketAddr, path: &str, body: &str) -> Answer {
    ask(address, &format!("POST {path}"), body.as_bytes())
}
