//! New connections: as many at once as allowed, each in a task of its own.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use super::connection::{ConnectionLimits, serve};
use super::patience::Patient;
use crate::core::metrics::Metrics;

/// What all connections share.
#[derive(Clone)]
pub(super) struct Connections {
    router: Router,
    limits: ConnectionLimits,
    tls: Option<TlsAcceptor>,
    metrics: Arc<Metrics>,
    places: Arc<Semaphore>,
}

impl Connections {
    pub(super) fn new(
        router: Router,
        limits: ConnectionLimits,
        tls: Option<TlsAcceptor>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let places = Arc::new(Semaphore::new(limits.connections.clamp(1, Semaphore::MAX_PERMITS)));
        Self { router, limits, tls, metrics, places }
    }
}

/// Counts an open connection for as long as it is.
struct Counted(Arc<Metrics>);

impl Counted {
    fn new(metrics: &Arc<Metrics>) -> Self {
        metrics.connections.add(1);
        Self(Arc::clone(metrics))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connections.add(-1);
    }
}

/// Takes connections until it is aborted. Those beyond the limit wait in the system's queue.
pub(super) async fn accept(listener: TcpListener, connections: Connections, graceful: Arc<GracefulShutdown>) {
    loop {
        let Ok(place) = Arc::clone(&connections.places).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // No file descriptors are left, or the client is gone already: go on in a moment.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let (connections, watcher) = (connections.clone(), graceful.watcher());
        tokio::spawn(async move {
            let _counted = Counted::new(&connections.metrics);
            connect(stream, connections, watcher).await;
            drop(place);
        });
    }
}

async fn connect(stream: TcpStream, connections: Connections, watcher: Watcher) {
    // Answers are written whole: nothing is won by waiting for more.
    let _ = stream.set_nodelay(true);
    let Connections { router, limits, tls, .. } = connections;
    let stream = Patient::new(stream, limits.stall);
    let Some(tls) = tls else {
        return serve(stream, router, limits, watcher).await;
    };
    match tokio::time::timeout(limits.head, tls.accept(stream)).await {
        Ok(Ok(stream)) => serve(stream, router, limits, watcher).await,
        Ok(Err(error)) => tracing::debug!(%error, "no TLS"),
        Err(_) => tracing::debug!("no TLS in time"),
    }
}
