//! A server under clients of every kind for as long as wished: right ones, wrong ones, ones that hang up, slow ones, and one that
//! loads and unloads a model all the while. Every answer is compared with the runner's own.

use std::error::Error;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tmoe_tests::packages;

use crate::client::{Answer, Client, post};
use crate::server::Server;
use crate::work::{HORIZON, Work};

/// Bodies that a server must refuse.
const WRONG: [&str; 6] = [
    "",
    "{\"series\": [[1, 2",
    "{\"series\": [[1, 2, \"three\"]], \"horizon\": 4}",
    "{\"series\": [[1, 2]], \"horizon\": 0}",
    "{\"series\": [[1, 2]], \"horizon\": 1000000000}",
    "{\"series\": [[null, null]], \"horizon\": 4}",
];

/// What was seen.
#[derive(Default)]
struct Tally {
    right: AtomicU64,
    /// Answers with other numbers than the runner's.
    wrong: AtomicU64,
    refused: AtomicU64,
    /// Requests that were not as they should be and were taken nevertheless, or the other way round.
    surprising: AtomicU64,
    /// Requests without an answer.
    lost: AtomicU64,
    hung_up: AtomicU64,
    reloads: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// One run.
struct Soak<'a> {
    address: SocketAddr,
    work: &'a Work,
    expected: &'a [Vec<f32>],
    tally: &'a Tally,
    end: Instant,
}

/// Soaks a server for `span`, and ends it while requests are open.
pub(crate) fn soak(work: &Work, span: Duration) -> Result<(), Box<dyn Error>> {
    let repository = tempfile::tempdir()?;
    packages::copy(work.package(), &repository.path().join("other"))?;
    let expected = work.forecasts()?;
    let folder = repository.path().display().to_string();
    let server = Server::start(work.package(), &["--repository", &folder])?;
    let tally = Tally::default();
    let end = Instant::now() + span;
    let soak = Soak { address: server.address(), work, expected: &expected, tally: &tally, end };
    let resident = thread::scope(|scope| {
        for index in 0..16 {
            let soak = &soak;
            scope.spawn(move || soak.right("bench", index));
        }
        for index in 0..4 {
            let soak = &soak;
            scope.spawn(move || soak.right("other", index));
            scope.spawn(move || soak.wrong(index));
            scope.spawn(move || soak.hang_up(index));
            scope.spawn(move || soak.slow(index));
        }
        scope.spawn(|| soak.reload());
        let tenth = |_| {
            thread::sleep(span / 10);
            server.resident()
        };
        (0..10).map(tenth).collect::<io::Result<Vec<_>>>()
    })?;
    println!(
        "soak of {span:?}: {} right answers, {} wrong; {} refused as they should be, {} surprises; {} clients hung up, \
         {} loads and unloads, {} requests without an answer",
        tally.right.load(Ordering::Relaxed),
        tally.wrong.load(Ordering::Relaxed),
        tally.refused.load(Ordering::Relaxed),
        tally.surprising.load(Ordering::Relaxed),
        tally.hung_up.load(Ordering::Relaxed),
        tally.reloads.load(Ordering::Relaxed),
        tally.lost.load(Ordering::Relaxed),
    );
    let megabytes: Vec<String> = resident.iter().map(|bytes| format!("{:.1}", *bytes as f64 / 1e6)).collect();
    println!("resident after each tenth, MB: {}", megabytes.join(", "));
    shutdown(work, server)
}

impl Soak<'_> {
    fn goes_on(&self) -> bool {
        Instant::now() < self.end
    }

    /// Asks, with a new connection each time, until the time is over.
    fn ask(
        &self,
        mut request: impl FnMut(usize) -> Vec<u8>,
        mut judge: impl FnMut(usize, io::Result<Answer>),
    ) {
        for index in 0.. {
            if !self.goes_on() {
                return;
            }
            let answer = Client::connect(self.address).and_then(|mut client| client.ask(&request(index)));
            judge(index, answer);
        }
    }

    /// Right requests to a model. Only `other` may be gone at times.
    fn right(&self, model: &str, seed: usize) {
        let series = |index: usize| (index * 7 + seed) % self.expected.len();
        let request = |index| self.work.request(series(index), Some(model));
        self.ask(request, |index, answer| match answer {
            Ok(answer) if answer.status == 200 => {
                let same = is_close(&answer.body, &self.expected[series(index)]);
                count(if same { &self.tally.right } else { &self.tally.wrong });
            }
            Ok(answer) if answer.status == 429 => thread::sleep(Duration::from_millis(20)),
            Ok(answer) if model == "other" && [404, 503].contains(&answer.status) => {
                thread::sleep(Duration::from_millis(20));
            }
            Ok(_) => count(&self.tally.surprising),
            Err(_) => count(&self.tally.lost),
        });
    }

    fn wrong(&self, seed: usize) {
        let request = |index: usize| post("/v1/forecast", WRONG[(index + seed) % WRONG.len()]);
        self.ask(request, |_, answer| {
            match answer {
                Ok(answer) if (400..500).contains(&answer.status) => count(&self.tally.refused),
                Ok(_) => count(&self.tally.surprising),
                Err(_) => count(&self.tally.lost),
            }
            thread::sleep(Duration::from_millis(10));
        });
    }

    /// Asks and does not wait for the answer.
    fn hang_up(&self, seed: usize) {
        for index in seed.. {
            if !self.goes_on() {
                return;
            }
            let request = self.work.request(index % self.expected.len(), Some("bench"));
            let sent = TcpStream::connect(self.address).and_then(|mut stream| stream.write_all(&request));
            thread::sleep(Duration::from_millis((index % 50) as u64));
            count(if sent.is_ok() { &self.tally.hung_up } else { &self.tally.lost });
        }
    }

    /// Sends a right request in pieces.
    fn slow(&self, seed: usize) {
        for index in seed.. {
            if !self.goes_on() {
                return;
            }
            let series = index % self.expected.len();
            let request = self.work.request(series, Some("bench"));
            let answer = Client::connect(self.address).and_then(|mut client| {
                for piece in request.chunks(request.len() / 8 + 1) {
                    client.send(piece)?;
                    thread::sleep(Duration::from_millis(25));
                }
                client.answer()
            });
            match answer {
                Ok(answer) if answer.status == 200 && is_close(&answer.body, &self.expected[series]) => {
                    count(&self.tally.right);
                }
                Ok(answer) if answer.status == 429 => {}
                Ok(answer) if answer.status == 200 => count(&self.tally.wrong),
                Ok(_) => count(&self.tally.surprising),
                Err(_) => count(&self.tally.lost),
            }
        }
    }

    fn reload(&self) {
        let request = |index: usize| {
            post(&format!("/v2/repository/models/other/{}", ["unload", "load"][index % 2]), "{}")
        };
        self.ask(request, |_, answer| {
            match answer {
                Ok(answer) if answer.status == 200 => count(&self.tally.reloads),
                Ok(_) => count(&self.tally.surprising),
                Err(_) => count(&self.tally.lost),
            }
            thread::sleep(Duration::from_millis(500));
        });
    }
}

/// Ends a server in the middle of its work: what it took must be answered.
fn shutdown(work: &Work, server: Server) -> Result<(), Box<dyn Error>> {
    const OPEN: usize = 64;
    let address = server.address();
    let answers: Vec<io::Result<Answer>> = thread::scope(|scope| {
        let ask = |index: usize| {
            let request = work.request(index, Some("bench"));
            move || Client::connect(address).and_then(|mut client| client.ask(&request))
        };
        let clients: Vec<_> = (0..OPEN).map(|index| scope.spawn(ask(index))).collect();
        thread::sleep(Duration::from_millis(100));
        let ended = server.terminate();
        let join = |client: thread::ScopedJoinHandle<'_, io::Result<Answer>>| {
            client.join().unwrap_or_else(|_| Err(io::Error::other("a client panicked")))
        };
        let answers = clients.into_iter().map(join).collect();
        ended.map(|status| {
            println!("asked to end with {OPEN} requests open: {status}");
            answers
        })
    })?;
    let with = |status: u16| answers.iter().flatten().filter(|answer| answer.status == status).count();
    let lost = answers.iter().filter(|answer| answer.is_err()).count();
    println!("    {} answered, {} refused with 503, {lost} without an answer", with(200), with(503));
    Ok(())
}

/// Whether a body holds one forecast, with these numbers up to rounding of sums in another order.
fn is_close(body: &[u8], expected: &[f32]) -> bool {
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return false };
    let Some(values) = body["forecasts"][0]["values"].as_array() else { return false };
    let near = |(value, expected): (&Value, &f32)| {
        value.as_f64().is_some_and(|value| (value - f64::from(*expected)).abs() < 1e-3)
    };
    values.len() == HORIZON && values.iter().zip(expected).all(near)
}
