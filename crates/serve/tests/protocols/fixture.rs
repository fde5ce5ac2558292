//! A server on loopback with the model that counts on.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use tmoe_serve::core::Limits;
use tmoe_serve::core::admission::Capacity;
use tmoe_serve::core::registry::LaneOptions;
use tmoe_serve::{BodyLimits, ConnectionLimits, Options, ServeError, Server};

use crate::client::get;
use crate::stand_in::{Counting, Watch};

pub(crate) use crate::stand_in::POSITIONS;

impl Watch {
    pub(crate) fn until_running(&self, count: usize) {
        until(|| self.seen(|seen| seen.running) == count);
    }

    pub(crate) fn until_cancelled(&self, count: usize) {
        until(|| self.seen(|seen| seen.calls.iter().filter(|call| call.cancelled).count()) == count);
    }
}

/// Waits until a condition holds; a test that waits for ever is ended by its harness.
pub(crate) fn until(condition: impl Fn() -> bool) {
    while !condition() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What a test may change of a server.
pub(crate) struct Setup {
    pub(crate) options: Options,
    pub(crate) gate: Watch,
}

/// A server with the model `demo`.
pub(crate) fn setup() -> Setup {
    let options = Options {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        models: vec!["demo=good".parse().unwrap()],
        repository: None,
        lanes: LaneOptions::default(),
        capacity: Capacity { requests: 64, points: 5000 },
        limits: Limits { series: 10, values: 5000, timeout: Duration::from_secs(50) },
        bodies: BodyLimits { bytes: 100_000, time: Duration::from_secs(50) },
        connections: ConnectionLimits {
            connections: 500,
            head: Duration::from_secs(50),
            stall: Duration::from_secs(50),
            head_bytes: 8192,
        },
        key: None,
        tls: None,
        grace: Duration::from_secs(50),
    };
    Setup { options, gate: Watch::default() }
}

/// A server that runs in a thread of its own; dropping it ends it.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) gate: Watch,
    end: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), ServeError>>>,
}

impl Setup {
    /// Starts the server, and waits until it is ready.
    pub(crate) fn start(self) -> Running {
        let running = self.start_unready();
        until(|| get(running.address, "/health/ready").status == 200);
        running
    }

    /// Why the server does not even listen.
    pub(crate) fn refused(self) -> ServeError {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let server = runtime.block_on(Server::bind(Box::new(Counting(self.gate)), self.options));
        server.expect_err("a server that cannot listen")
    }

    /// Starts the server.
    pub(crate) fn start_unready(self) -> Running {
        let (end, ended) = tokio::sync::oneshot::channel();
        let (address, addresses) = std::sync::mpsc::channel();
        let (gate, options) = (self.gate.clone(), self.options);
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
            let result = runtime.block_on(async {
                let server = Server::bind(Box::new(Counting(gate)), options).await?;
                address.send(server.addresses()[0]).unwrap();
                let end = async {
                    let _ = ended.await;
                };
                server.run(end).await
            });
            runtime.shutdown_background();
            result
        });
        let address = addresses.recv().expect("the server listens");
        Running { address, gate: self.gate, end: Some(end), thread: Some(thread) }
    }
}

impl Running {
    /// Asks the server to end.
    pub(crate) fn end(&mut self) {
        drop(self.end.take());
    }

    /// Waits for its end.
    pub(crate) fn ended(mut self) -> Result<(), ServeError> {
        self.thread.take().map_or(Ok(()), |thread| thread.join().expect("the server does not panic"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.gate.release();
        self.end();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A server with the model `demo`.
pub(crate) fn server() -> Running {
    setup().start()
}

/// Writes a package as the stand-in reads it.
pub(crate) fn write_package(folder: &Path, manifest: &str) -> PathBuf {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("manifest.json"), manifest).unwrap();
    folder.to_owned()
}

/// Requests that have a place within, as the server counts them.
pub(crate) fn in_flight(address: SocketAddr) -> i64 {
    let text = get(address, "/metrics").text();
    let line = text.lines().find_map(|line| line.strip_prefix("tmoe_requests_in_flight "));
    line.expect("the metric").parse().unwrap()
}
