//! `tmoe serve`: arguments of the server.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Arg;
use clap::builder::OsStr;
use tmoe_runner::Normalization;
use tmoe_serve::core::Limits;
use tmoe_serve::core::admission::Capacity;
use tmoe_serve::core::packages::PackageLoader;
use tmoe_serve::core::registry::LaneOptions;
use tmoe_serve::logging::{self, LogFormat};
use tmoe_serve::{ApiKey, BodyLimits, ConnectionLimits, Options, Source, TlsFiles};
use tracing::level_filters::LevelFilter;

use crate::Failure;
use crate::session::EngineArguments;

/// Serve packages over HTTP and gRPC
///
/// POST /v1/forecast, KServe's /v1/timeseries/forecast, the Open Inference Protocol v2 over REST and gRPC, /health/live,
/// /health/ready, /metrics, and a page for people at /, all on one port. Series of many clients are forecast together. /openapi.json
/// describes the interface. Every option is also an environment variable.
#[derive(clap::Args)]
#[command(mut_args = with_variable)]
pub(crate) struct Arguments {
    /// Packages to serve: folders, or NAME=FOLDER, or NAME@VERSION=FOLDER; all must load, or the server ends
    #[arg(value_name = "PACKAGE", required_unless_present = "repository", value_delimiter = ',')]
    packages: Vec<Source>,
    /// Folder of packages, <model> or <model>/<version>, that clients may load and unload while the server runs
    #[arg(long, value_name = "FOLDER")]
    repository: Option<PathBuf>,
    /// Addresses to listen on; others than this machine can only reach what is not loopback, such as 0.0.0.0:8000
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000", value_delimiter = ',')]
    listen: Vec<SocketAddr>,
    #[command(flatten)]
    engine: EngineArguments,
    /// How values are scaled: by mean and standard deviation of the context (window), or not at all (none)
    #[arg(long, default_value = "window")]
    normalize: Normalization,
    #[command(flatten)]
    batches: BatchArguments,
    #[command(flatten)]
    limits: LimitArguments,
    #[command(flatten)]
    access: AccessArguments,
    /// Log lines for people (text) or for programs (json)
    #[arg(long, default_value = "text", value_name = "text|json")]
    log_format: LogFormat,
    /// The least important lines of the log: error, warn, info, debug
    #[arg(long, default_value = "info")]
    log_level: LevelFilter,
}

/// How requests share passes of the model.
#[derive(clap::Args)]
struct BatchArguments {
    /// Points of context of one batch, padding included: more is more throughput until the processor is busy, and more latency; 512 on
    /// the processor and 16384 on GPUs unless said
    #[arg(long, value_name = "N")]
    batch_points: Option<NonZeroUsize>,
    /// Series of one batch; 256 unless said
    #[arg(long, value_name = "N")]
    batch_series: Option<NonZeroUsize>,
    /// Milliseconds that a series waits for others to share its batch: more is more throughput and more latency; 0 on the processor and
    /// 2 on GPUs unless said
    #[arg(long, value_name = "MS")]
    batch_wait: Option<u64>,
    /// Sessions of a model, which forecast batches at the same time and share the threads; on the processor two, or more where it has
    /// more than eight cores, unless said. One gives a lone request all threads
    #[arg(long, value_name = "N")]
    sessions: Option<NonZeroUsize>,
}

/// How much clients may ask for.
#[derive(clap::Args)]
struct LimitArguments {
    /// Requests at once; more are refused at once (429), so that those that are taken stay fast
    #[arg(long, value_name = "N", default_value = "512")]
    max_requests: NonZeroUsize,
    /// Points of all requests at once, contexts and horizons; more are refused (429), so that nobody waits for long
    #[arg(long, value_name = "N", default_value = "4000000")]
    max_points: NonZeroUsize,
    /// Series of one request; more are refused (400)
    #[arg(long, value_name = "N", default_value = "1024")]
    max_series: NonZeroUsize,
    /// Numbers of one answer: series times horizon, and that again for each quantile; what asks for more is refused (400)
    #[arg(long, value_name = "N", default_value = "4000000")]
    max_values: NonZeroUsize,
    /// Bytes of one request's body; longer ones are refused (413)
    #[arg(long, value_name = "BYTES", default_value = "16777216")]
    max_body: NonZeroUsize,
    /// Bytes of one request's head; longer ones are refused (431)
    #[arg(long, value_name = "BYTES", default_value = "32768")]
    max_head: NonZeroUsize,
    /// Connections at once; more wait
    #[arg(long, value_name = "N", default_value = "16384")]
    max_connections: NonZeroUsize,
    /// Seconds that a forecast may take, waiting included (504)
    #[arg(long, value_name = "S", default_value = "60")]
    timeout: NonZeroUsize,
    /// Seconds for a request's head to arrive, for its body (408), and for the client to take some of its answer
    #[arg(long, value_name = "S", default_value = "20")]
    read_timeout: NonZeroUsize,
    /// Seconds to finish what was taken when the server is asked to end
    #[arg(long, value_name = "S", default_value = "60")]
    grace: NonZeroUsize,
}

/// Who may ask.
#[derive(clap::Args)]
struct AccessArguments {
    /// Key that clients must show (401), as `Authorization: Bearer KEY` or `X-API-Key: KEY`; better given as the variable, which other users
    /// of the machine do not see
    #[arg(long, value_name = "KEY", hide_env_values = true)]
    api_key: Option<String>,
    /// Certificate chain in PEM, to speak TLS
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// Private key in PEM
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
}

/// Gives an option its environment variable: `--max-body` is `TMOE_SERVE_MAX_BODY`.
fn with_variable(argument: Arg) -> Arg {
    let name = argument.get_long().unwrap_or(argument.get_id().as_str());
    if ["help", "version"].contains(&name) {
        return argument;
    }
    let variable = format!("TMOE_SERVE_{}", name.replace('-', "_").to_uppercase());
    // One small text per option, once per process.
    argument.env(OsStr::from(&*Box::leak(variable.into_boxed_str())))
}

fn seconds(count: NonZeroUsize) -> Duration {
    Duration::from_secs(count.get() as u64)
}

pub(crate) fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    logging::start(arguments.log_format, arguments.log_level);
    let Arguments { engine, batches, limits, access, .. } = arguments;
    let loader = PackageLoader {
        session: engine.options(),
        integrity: engine.integrity(),
        normalization: arguments.normalize,
        sessions: batches.sessions,
    };
    let options = Options {
        listen: arguments.listen,
        models: arguments.packages,
        repository: arguments.repository,
        lanes: LaneOptions {
            points: batches.batch_points.map(NonZeroUsize::get),
            rows: batches.batch_series.map(NonZeroUsize::get),
            wait: batches.batch_wait.map(Duration::from_millis),
        },
        capacity: Capacity { requests: limits.max_requests.get(), points: limits.max_points.get() },
        limits: Limits {
            series: limits.max_series.get(),
            values: limits.max_values.get(),
            timeout: seconds(limits.timeout),
        },
        bodies: BodyLimits { bytes: limits.max_body.get(), time: seconds(limits.read_timeout) },
        connections: ConnectionLimits {
            connections: limits.max_connections.get(),
            head: seconds(limits.read_timeout),
            stall: seconds(limits.read_timeout),
            head_bytes: limits.max_head.get(),
        },
        key: access.api_key.as_deref().map(ApiKey::new),
        tls: access
            .tls_certificate
            .zip(access.tls_key)
            .map(|(certificate, key)| TlsFiles { certificate, key }),
        grace: seconds(limits.grace),
    };
    tmoe_serve::serve(Box::new(loader), options)?;
    Ok(ExitCode::SUCCESS)
}
