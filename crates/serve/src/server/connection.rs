//! One connection: HTTP/1.1 or HTTP/2, with limits on what it may send before it is understood.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::Watcher;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::http::delivery::Line;

/// What connections may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// How many at once.
    pub connections: usize,
    /// Time from the connection, or from the last answer, to the end of a request's head.
    pub head: Duration,
    /// Time that a client may let an answer wait.
    pub stall: Duration,
    /// Bytes of a request's head; at least 8 KiB.
    pub head_bytes: usize,
}

/// hyper takes no less.
const LEAST_HEAD: usize = 8192;
/// Streams of one HTTP/2 connection.
const STREAMS: u32 = 256;
/// After which silence an HTTP/2 client is asked whether it is still there.
const PING: Duration = Duration::from_secs(30);

/// Serves a connection until it ends or is told to.
pub(super) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    limits: ConnectionLimits,
    watcher: Watcher,
) {
    let head_bytes = limits.head_bytes.max(LEAST_HEAD);
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.head).max_buf_size(head_bytes);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(head_bytes).unwrap_or(u32::MAX))
        .max_concurrent_streams(STREAMS)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING);
    let began = Arc::new(AtomicBool::new(false));
    let router = TowerToHyperService::new(router);
    let line = Line::new(limits.stall);
    let service = service_fn({
        let (began, line) = (Arc::clone(&began), line.clone());
        move |mut request: Request<Incoming>| {
            began.store(true, Ordering::Relaxed);
            request.extensions_mut().insert(line.clone());
            router.call(request)
        }
    });
    let connection = watcher.watch(builder.serve_connection(TokioIo::new(stream), service));
    // hyper's own limit begins once it knows which HTTP is spoken.
    let silent = async {
        tokio::time::sleep(limits.head).await;
        if began.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        result = connection => {
            if let Err(error) = result {
                tracing::debug!(%error, "a connection ended early");
            }
        }
        () = line.given_up() => tracing::debug!("a client did not take its answer"),
        () = silent => tracing::debug!("a connection sent no request in time"),
    }
}
