//! A server as a whole program: threads, signals, and an end.

use std::io;
use std::num::NonZeroUsize;

use crate::core::model::Loader;
use crate::server::{Options, ServeError, Server};

/// Threads that serve connections, at most: they only read and write, the models have threads of their own.
const MOST_THREADS: usize = 4;

/// Serves until the process is interrupted or asked to end (Ctrl-C, SIGTERM), and finishes what was let in. A second signal ends
/// the process at once.
///
/// # Errors
///
/// [`ServeError`].
pub fn serve(loader: Box<dyn Loader>, options: Options) -> Result<(), ServeError> {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.clamp(1, MOST_THREADS))
        .enable_all()
        .build()?;
    let mut workers = None;
    let result = runtime.block_on(async {
        let mut signals = Signals::new()?;
        let server = Server::bind(loader, options).await?;
        workers = Some(server.workers());
        let end = async {
            signals.next().await;
            tokio::spawn(async move {
                signals.next().await;
                std::process::exit(130);
            });
        };
        server.run(end).await
    });
    // Waits for a load that is under way, and gives up what is left of the requests; the workers then have nothing to do.
    drop(runtime);
    if let Some(workers) = workers {
        workers.wait();
    }
    result
}

/// Requests to end.
struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            #[cfg(unix)]
            terminate: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        #[cfg(unix)]
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = self.terminate.recv() => {}
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    }
}
