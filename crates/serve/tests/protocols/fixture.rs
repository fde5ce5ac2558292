//! A server on loopback with a model that counts on, and a gate that holds it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tmoe_runner::{CancelToken, Error, SeriesError, SeriesLabel};
use tmoe_serve::core::Limits;
use tmoe_serve::core::admission::Capacity;
use tmoe_serve::core::model::{Facts, Loader, Model};
use tmoe_serve::core::queue::Policy;
use tmoe_serve::core::registry::LaneOptions;
use tmoe_serve::{BodyLimits, ConnectionLimits, Options, ServeError, Server};

use crate::client::get;

/// Points that the model holds.
pub(crate) const POSITIONS: usize = 100;

/// Holds the model.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<Held>, Condvar)>);

#[derive(Default)]
struct Held {
    held: bool,
    running: usize,
    cancelled: usize,
}

impl Gate {
    fn change<T>(&self, change: impl FnOnce(&mut Held) -> T) -> T {
        let result = change(&mut self.0.0.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.1.notify_all();
        result
    }

    pub(crate) fn hold(&self) {
        self.change(|held| held.held = true);
    }

    pub(crate) fn release(&self) {
        self.change(|held| held.held = false);
    }

    pub(crate) fn until_running(&self, count: usize) {
        until(|| self.change(|held| held.running) == count);
    }

    pub(crate) fn until_cancelled(&self, count: usize) {
        until(|| self.change(|held| held.cancelled) == count);
    }

    /// Waits as a batch does; `false` if it was cancelled meanwhile.
    fn pass(&self, cancel: &CancelToken) -> bool {
        let mut held = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.running += 1;
        while held.held && !cancel.is_cancelled() {
            let woken = self.0.1.wait_timeout(held, Duration::from_millis(1));
            held = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        held.running -= 1;
        held.cancelled += usize::from(cancel.is_cancelled());
        !cancel.is_cancelled()
    }
}

/// Waits until a condition holds; a test that waits for ever is ended by its harness.
pub(crate) fn until(condition: impl Fn() -> bool) {
    while !condition() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

struct Counting(Gate);

struct CountingModel {
    gate: Gate,
    facts: Facts,
}

impl Loader for Counting {
    /// A package whose manifest says `broken` does not load.
    fn load(&self, package: &Path) -> Result<Box<dyn Model>, Box<dyn std::error::Error + Send + Sync>> {
        let manifest = std::fs::read_to_string(package.join("manifest.json")).unwrap_or_default();
        if manifest.contains("broken") {
            return Err("its self-test failed".into());
        }
        let facts = Facts {
            positions: POSITIONS,
            max_rows: None,
            provider: "counting".to_owned(),
            graph: "standard".to_owned(),
            precision: "fp32".to_owned(),
            parallel_batches: 1,
            policy: Policy { points: 1000, rows: 16, wait: Duration::from_millis(1) },
        };
        Ok(Box::new(CountingModel { gate: self.0.clone(), facts }))
    }
}

impl Model for CountingModel {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Counts on from the last point; 13 has no forecast, and on 666 the model fails.
    fn forecast(
        &self,
        _worker: usize,
        rows: &[&[f64]],
        horizon: usize,
        cancel: &CancelToken,
    ) -> Result<Vec<Result<Vec<f32>, SeriesError>>, Error> {
        if !self.gate.pass(cancel) {
            return Err(Error::Cancelled);
        }
        if rows.iter().any(|row| row.contains(&666.0)) {
            panic!("the number of the beast");
        }
        let count_on = |row: &&[f64]| {
            let known = row.iter().rposition(|value| !value.is_nan()).unwrap_or(0);
            if row[known] == 13.0 {
                let series = SeriesLabel { index: 0, name: None };
                return Err(SeriesError::ForecastNotFinite { series, step: 0, value: f32::NAN });
            }
            Ok((0..horizon).map(|step| row[known] as f32 + (row.len() - known + step) as f32).collect())
        };
        Ok(rows.iter().map(count_on).collect())
    }
}

/// What a test may change of a server.
pub(crate) struct Setup {
    pub(crate) options: Options,
    pub(crate) gate: Gate,
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
    Setup { options, gate: Gate::default() }
}

/// A server that runs in a thread of its own; dropping it ends it.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) gate: Gate,
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
