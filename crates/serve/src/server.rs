//! The server: listens, loads models, serves, and ends without losing an answer.

mod accept;
mod connection;
mod patience;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::server::graceful::GracefulShutdown;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::core::admission::Capacity;
use crate::core::model::Loader;
use crate::core::registry::{LaneOptions, LoadError};
use crate::core::workers::Workers;
use crate::core::{Core, Limits};
use crate::http::{App, BodyLimits, SharedApp, router};
use crate::key::ApiKey;
use crate::repository::{Repository, RepositoryError, Source};
use crate::tls::{TlsError, TlsFiles};

pub use connection::ConnectionLimits;

/// How to serve.
#[derive(Debug)]
pub struct Options {
    /// Addresses; each serves everything.
    pub listen: Vec<SocketAddr>,
    /// Packages that must load, or the server ends.
    pub models: Vec<Source>,
    /// A folder of packages that may change; what cannot be loaded of it is only reported.
    pub repository: Option<PathBuf>,
    /// Batches and threads of each model.
    pub lanes: LaneOptions,
    /// How much is taken on at once.
    pub capacity: Capacity,
    /// What a single request may ask for.
    pub limits: Limits,
    /// What its body may be.
    pub bodies: BodyLimits,
    /// What connections may be.
    pub connections: ConnectionLimits,
    /// What clients must show.
    pub key: Option<ApiKey>,
    /// Certificate and key, for TLS.
    pub tls: Option<TlsFiles>,
    /// How long requests that were let in may take once the server is to end.
    pub grace: Duration,
}

/// Why a server could not start or go on.
#[derive(Debug, Error)]
pub enum ServeError {
    /// An address.
    #[error("cannot listen on {address}: {source}; choose another address or end what uses it")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The certificate or its key.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A package of [`Options::models`].
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The folder of packages.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// The system gives no threads or no signals.
    #[error("the server cannot run: {0}")]
    System(#[from] io::Error),
}

/// A server that listens, and does not answer yet.
pub struct Server {
    listeners: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
    tls: Option<tokio_rustls::TlsAcceptor>,
    app: SharedApp,
    models: Vec<Source>,
    connections: ConnectionLimits,
    grace: Duration,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl Server {
    /// Listens.
    ///
    /// # Errors
    ///
    /// [`ServeError::Listen`] and [`ServeError::Tls`].
    pub async fn bind(loader: Box<dyn Loader>, options: Options) -> Result<Self, ServeError> {
        let tls = options.tls.as_ref().map(TlsFiles::acceptor).transpose()?;
        let (mut listeners, mut addresses) = (Vec::new(), Vec::new());
        for &address in &options.listen {
            let failed = |source| ServeError::Listen { address, source };
            let listener = TcpListener::bind(address).await.map_err(failed)?;
            addresses.push(listener.local_addr().map_err(failed)?);
            listeners.push(listener);
        }
        let app = App {
            core: Core::new(loader, options.lanes, options.capacity, options.limits),
            bodies: options.bodies,
            key: options.key,
            repository: Repository::new(options.repository),
        };
        let (models, connections, grace) = (options.models, options.connections, options.grace);
        Ok(Self { listeners, addresses, tls, app: Arc::new(app), models, connections, grace })
    }

    /// The addresses that it listens on, with the ports that the system chose where 0 was asked for.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The threads that run its models, which go on for a moment after [`Server::run`] has ended and its runtime is gone.
    pub fn workers(&self) -> Arc<Workers> {
        Arc::clone(self.app.core.registry.workers())
    }

    /// Serves until `end` is done, and then until everyone who was let in has an answer. Health is answered while models are
    /// loaded.
    ///
    /// # Errors
    ///
    /// [`ServeError::Load`] and [`ServeError::Repository`], when a model that must load does not.
    pub async fn run(self, end: impl Future<Output = ()>) -> Result<(), ServeError> {
        let graceful = Arc::new(GracefulShutdown::new());
        let mut accepting = JoinSet::new();
        let connections = accept::Connections::new(
            router(&self.app),
            self.connections,
            self.tls,
            Arc::clone(&self.app.core.metrics),
        );
        for listener in self.listeners {
            accepting.spawn(accept::accept(listener, connections.clone(), Arc::clone(&graceful)));
        }
        for address in &self.addresses {
            tracing::info!(%address, "listening");
        }
        let app = Arc::clone(&self.app);
        let models = self.models;
        let load = tokio::task::spawn_blocking(move || load(&app, &models));
        tokio::pin!(end);
        let loaded = tokio::select! {
            () = &mut end => None,
            loaded = load => Some(loaded.unwrap_or_else(|error| Err(io::Error::other(error).into()))),
        };
        match loaded {
            None => {}
            Some(Ok(())) => {
                tracing::info!("all models are loaded");
                end.await;
            }
            Some(Err(error)) => return Err(error),
        }
        tracing::info!("ending: finishing what was let in");
        accepting.shutdown().await;
        let finish = async {
            self.app.core.drain().await;
            if let Some(graceful) = Arc::into_inner(graceful) {
                graceful.shutdown().await;
            }
        };
        if tokio::time::timeout(self.grace, finish).await.is_err() {
            tracing::warn!(
                seconds = self.grace.as_secs_f64(),
                "the time to finish is over; the rest is given up"
            );
        }
        Ok(())
    }
}

/// Loads everything there is. Blocks.
fn load(app: &App, models: &[Source]) -> Result<(), ServeError> {
    let found = app.repository.scan()?;
    let registry = &app.core.registry;
    for source in found.iter().chain(models) {
        registry.register(&source.name, &source.version, &source.package);
    }
    for source in models {
        registry.load(&source.name, &source.version)?;
    }
    for source in found.iter().filter(|source| !models.contains(source)) {
        // The registry reports what cannot be loaded, in its log and its index.
        let _ = registry.load(&source.name, &source.version);
    }
    Ok(())
}
