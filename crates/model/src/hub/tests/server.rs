//! A hub of one repository on the loopback interface, speaking just enough HTTP.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

/// What the server answers to requests for a file.
#[derive(Clone)]
pub(super) enum Answer {
    /// The file, with the headers of a hub.
    File(Vec<u8>),
    /// The file announced with this many bytes more than it has.
    Short(Vec<u8>, usize),
    /// A status without content.
    Status(u16),
    /// 200 and a page, as from a server that is no hub.
    Page,
}

/// A request as the server saw it.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) path: String,
    pub(super) authorization: Option<String>,
}

pub(super) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

pub(super) struct Server {
    pub(super) endpoint: String,
    requests: Arc<Mutex<Vec<Request>>>,
    answers: Arc<Mutex<BTreeMap<String, Answer>>>,
}

impl Server {
    /// Serves files by name, under any owner, name and revision; everything else is 404.
    pub(super) fn start(answers: BTreeMap<String, Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let answers = Arc::new(Mutex::new(answers));
        let server = Server { endpoint, requests: Arc::clone(&requests), answers: Arc::clone(&answers) };
        // Ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming() {
                // A client that hangs up early is the client's business.
                let _ = stream.and_then(|stream| serve(stream, &requests, &answers));
            }
        });
        server
    }

    /// Serves the files of a checkpoint folder.
    pub(super) fn of_folder(folder: &Path) -> Self {
        let files = fs::read_dir(folder).unwrap().map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, Answer::File(fs::read(path).unwrap()))
        });
        Server::start(files.collect())
    }

    /// Answers every request with one status.
    pub(super) fn of_status(status: u16) -> Self {
        Server::start(BTreeMap::from([(super::CONFIG_FILE.to_owned(), Answer::Status(status))]))
    }

    pub(super) fn answer(&self, file: &str, answer: Answer) {
        self.answers.lock().unwrap().insert(file.to_owned(), answer);
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn serve(
    mut stream: TcpStream,
    requests: &Mutex<Vec<Request>>,
    answers: &Mutex<BTreeMap<String, Answer>>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = BTreeMap::new();
    for line in lines {
        match line?.split_once(": ") {
            None => break,
            Some((name, value)) => headers.insert(name.to_ascii_lowercase(), value.to_owned()),
        };
    }
    let file = path.rsplit('/').next().unwrap_or_default().to_owned();
    requests.lock().unwrap().push(Request { path, authorization: headers.get("authorization").cloned() });
    let answer = answers.lock().unwrap().get(&file).cloned();
    let (content, announced) = match answer {
        Some(Answer::File(content)) => (content.clone(), content.len()),
        Some(Answer::Short(content, missing)) => (content.clone(), content.len() + missing),
        Some(Answer::Page) => {
            let page = "<html></html>";
            return write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}",
                page.len()
            );
        }
        Some(Answer::Status(status)) => return status_only(stream, status),
        None => return status_only(stream, 404),
    };
    let range = headers.get("range").and_then(|range| range.strip_prefix("bytes="));
    let (from, to) = range.and_then(|range| range.split_once('-')).unwrap_or(("0", ""));
    let from = from.parse().unwrap_or(0).min(content.len());
    let to = to.parse().map_or(content.len(), |to: usize| (to + 1).min(content.len()));
    let part = &content[from..to];
    write!(
        stream,
        "HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\n\
         Content-Range: bytes {from}-{}/{announced}\r\nETag: \"etag-of-{file}\"\r\n\
         X-Repo-Commit: {COMMIT}\r\nConnection: close\r\n\r\n",
        part.len(),
        to.saturating_sub(1),
    )?;
    stream.write_all(part)
}

fn status_only(mut stream: TcpStream, status: u16) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}
