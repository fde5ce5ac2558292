//! Servers of golden packages on loopback, on the provider that is built in.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use tmoe_package::{Integrity, Manifest, Package, files, hash_bytes};
use tmoe_runner::{Normalization, Provider, ProviderOptions, Session, SessionOptions};
use tmoe_serve::core::Limits;
use tmoe_serve::core::admission::Capacity;
use tmoe_serve::core::packages::PackageLoader;
use tmoe_serve::core::registry::LaneOptions;
use tmoe_serve::{BodyLimits, ConnectionLimits, Options, ServeError, Server, Source};
use tmoe_tests::golden::Golden;
use tmoe_tests::packages::{Packages, Variant};

use crate::client::get;

/// The golden checkpoints and their packages, each exported when first asked for.
pub(crate) struct Shared {
    packages: Packages,
    goldens: BTreeMap<&'static str, Golden>,
}

impl Shared {
    pub(crate) fn new() -> Self {
        let packages =
            Packages::new().unwrap_or_else(|error| panic!("cannot make a temporary folder: {error}"));
        let goldens = Golden::all().into_iter().map(|golden| (golden.name(), golden));
        Self { packages, goldens: goldens.collect() }
    }

    pub(crate) fn package(&self, name: &str) -> Result<Package, String> {
        let golden = self.goldens.get(name).ok_or_else(|| format!("there is no golden {name}"))?;
        self.packages.package(golden, Variant::Last)
    }
}

/// Series of different lengths, one with missing points.
pub(crate) fn series() -> Vec<Vec<f64>> {
    let wave = |length: usize, period: f64| -> Vec<f64> {
        (0..length).map(|step| 20.0 + (step as f64 * std::f64::consts::TAU / period).sin() * 5.0).collect()
    };
    let mut gaps = wave(90, 7.0);
    for index in [0, 30, 31, 88, 89] {
        gaps[index] = f64::NAN;
    }
    vec![wave(120, 24.0), wave(33, 12.0), gaps]
}

fn session_options() -> SessionOptions {
    SessionOptions {
        provider: Provider::Tract.into(),
        resources: ProviderOptions { threads: Some(NonZeroUsize::MIN), ..ProviderOptions::default() },
        ..SessionOptions::default()
    }
}

/// A session as the server opens it.
pub(crate) fn opened(package: &Package) -> Result<Session, String> {
    Session::open(package, &session_options()).map_err(|error| error.to_string())
}

/// A server; dropping it ends it.
pub(crate) struct Serving {
    pub(crate) address: SocketAddr,
    end: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), ServeError>>>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Serves packages under names.
pub(crate) fn serve(packages: &[(&str, &Package)]) -> Result<Serving, String> {
    start(sources(packages)?, None)
}

/// Serves packages under names, and a folder of packages.
pub(crate) fn serve_both(packages: &[(&str, &Package)], folder: &Path) -> Result<Serving, String> {
    start(sources(packages)?, Some(folder))
}

fn sources(packages: &[(&str, &Package)]) -> Result<Vec<Source>, String> {
    let source = |&(name, package): &(&str, &Package)| -> Result<Source, String> {
        let text = format!("{name}={}", package.folder().display());
        text.parse().map_err(|error: tmoe_serve::SourceError| error.to_string())
    };
    packages.iter().map(source).collect()
}

/// Serves a folder of packages.
pub(crate) fn serve_repository(folder: &Path) -> Result<Serving, String> {
    start(Vec::new(), Some(folder))
}

fn start(models: Vec<Source>, repository: Option<&Path>) -> Result<Serving, String> {
    let minute = Duration::from_secs(60);
    let options = Options {
        listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
        models,
        repository: repository.map(Path::to_owned),
        lanes: LaneOptions::default(),
        capacity: Capacity { requests: 100, points: 1_000_000 },
        limits: Limits { series: 100, values: 1_000_000, timeout: 5 * minute },
        bodies: BodyLimits { bytes: 1 << 20, time: minute },
        connections: ConnectionLimits { connections: 100, head: minute, stall: minute, head_bytes: 16_384 },
        key: None,
        tls: None,
        grace: minute,
    };
    let loader = PackageLoader {
        session: session_options(),
        integrity: Integrity::Hashes,
        normalization: Normalization::default(),
        sessions: None,
    };
    let (end, ended) = tokio::sync::oneshot::channel();
    let (sender, addresses) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(async {
            let server = Server::bind(Box::new(loader), options).await?;
            let _ = sender.send(server.addresses().to_vec());
            let end = async {
                let _ = ended.await;
            };
            server.run(end).await
        })
    });
    let address = addresses.recv().ok().and_then(|addresses| addresses.first().copied());
    let address = address.ok_or("the server does not listen")?;
    let serving = Serving { address, end: Some(end), thread: Some(thread) };
    while get(address, "/health/ready").status != 200 {
        if serving.thread.as_ref().is_some_and(JoinHandle::is_finished) {
            return Err("the server ended before it was ready".to_owned());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(serving)
}

/// Changes what a package's self-test expects, and its manifest so that the file seems intact.
pub(crate) fn spoil_selftest(package: &Path) -> Result<(), String> {
    let path = package.join(files::SELFTEST);
    let mut bytes = fs::read(&path).map_err(|error| error.to_string())?;
    // The last tensor's last value: a float of the expectations or of an input.
    let length = bytes.len();
    let last = bytes.get_mut(length - 4..).ok_or("an empty self-test")?;
    last.copy_from_slice(&1000.0_f32.to_le_bytes());
    let manifest_path = package.join(files::MANIFEST);
    let text = fs::read_to_string(&manifest_path).map_err(|error| error.to_string())?;
    let mut manifest = Manifest::from_json(&text).map_err(|error| error.to_string())?;
    let entry = manifest.files.get_mut(files::SELFTEST).ok_or("no self-test in the manifest")?;
    entry.sha256 = hash_bytes(&bytes);
    fs::write(&path, &bytes).map_err(|error| error.to_string())?;
    fs::write(&manifest_path, manifest.to_json()).map_err(|error| error.to_string())
}
