//! Every address of the server, on one port: HTTP/1.1 and HTTP/2, and gRPC among the latter.
//!
//! | file | idea |
//! |---|---|
//! | `exchange` | the one way from a request to a forecast |
//! | `plain`, `timeseries`, `inference` | the dialects that requests and answers are written in |
//! | `models` | what is said of models; loading and unloading them |
//! | `health` | health and metrics |
//! | `pages` | the built-in page and the description of the interface |
//! | `guard`, `observe` | who may ask; ids, logs, counts |
//! | `body`, `object`, `numbers`, `whole` | bodies in, objects and numbers in JSON |
//! | `delivery`, `failure` | answers and failures out |

mod app;
pub(crate) mod body;
pub(crate) mod delivery;
mod exchange;
pub(crate) mod failure;
mod guard;
mod health;
pub(crate) mod inference;
pub(crate) mod models;
mod numbers;
mod object;
pub(crate) mod observe;
mod pages;
pub(crate) mod plain;
pub(crate) mod timeseries;
mod whole;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{Request, Response};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{any, get, post};

pub use app::BodyLimits;
pub(crate) use app::{App, SharedApp};
pub(crate) use exchange::{Dialect, Target};

use exchange::exchange;
use failure::{Failure, Kind};
use inference::OpenInference;
use observe::RequestId;
use plain::Plain;
use timeseries::TimeSeries;

/// All addresses.
pub(crate) fn router(app: &SharedApp) -> Router {
    let keyed = Router::new()
        .route("/v1/forecast", post(forecast))
        .route("/v1/timeseries/forecast", post(timeseries_forecast))
        .route("/v1/timeseries/models", get(models::names))
        .route("/v2", get(models::server))
        .route("/v2/models/{model}", get(models::metadata))
        .route("/v2/models/{model}/versions/{version}", get(models::metadata))
        .route("/v2/models/{model}/ready", get(models::ready))
        .route("/v2/models/{model}/versions/{version}/ready", get(models::ready))
        .route("/v2/models/{model}/infer", post(infer))
        .route("/v2/models/{model}/versions/{version}/infer", post(infer))
        .route("/v2/repository/index", post(models::index))
        .route("/v2/repository/models/{model}/load", post(models::load))
        .route("/v2/repository/models/{model}/unload", post(models::unload))
        .route("/metrics", get(health::metrics))
        .route("/inference.GRPCInferenceService/{method}", any(crate::grpc::call))
        .layer(from_fn_with_state(SharedApp::clone(app), guard::key));
    let open = Router::new()
        .route("/", get(pages::page))
        .route("/openapi.json", get(pages::openapi))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/v2/health/live", get(health::live))
        .route("/v2/health/ready", get(health::ready))
        .route("/grpc.health.v1.Health/Check", any(crate::grpc::health));
    keyed
        .merge(open)
        .fallback(no_address)
        .method_not_allowed_fallback(no_method)
        .layer(from_fn(guard::origin))
        .layer(from_fn_with_state(SharedApp::clone(app), observe::observe))
        .with_state(SharedApp::clone(app))
}

async fn forecast(State(app): State<SharedApp>, request: Request<Body>) -> Response<Body> {
    exchange::<Plain>(&app, Target::default(), request).await
}

async fn timeseries_forecast(State(app): State<SharedApp>, request: Request<Body>) -> Response<Body> {
    exchange::<TimeSeries>(&app, Target::default(), request).await
}

async fn infer(State(app): State<SharedApp>, target: Named, request: Request<Body>) -> Response<Body> {
    match named(target) {
        Ok(target) => exchange::<OpenInference>(&app, target, request).await,
        Err(failure) => failure.response(&inference::failure(&failure)),
    }
}

/// The model in an address, and perhaps its version.
type Named = Result<Path<Vec<(String, String)>>, PathRejection>;

/// The target that an address names.
fn named(path: Named) -> Result<Target, Failure> {
    let Path(parts) = path.map_err(|error| Failure::invalid(error.body_text()))?;
    let mut target = Target::default();
    for (name, value) in parts {
        match name.as_str() {
            "model" => target.model = Some(value),
            "version" => target.version = Some(value),
            _ => {}
        }
    }
    Ok(target)
}

async fn no_address(request: Request<Body>) -> Response<Body> {
    let message =
        format!("there is nothing at {}; /openapi.json describes what there is", request.uri().path());
    if crate::grpc::is_grpc(request.headers()) {
        return tonic::Status::unimplemented(message).into_http();
    }
    let failure = Failure::new(Kind::NotFound, message);
    failure.response(&plain::failure(&failure, &RequestId::of(&request)))
}

async fn no_method(request: Request<Body>) -> Response<Body> {
    let message = format!(
        "{} does not take {}; /openapi.json says what it takes",
        request.uri().path(),
        request.method()
    );
    let failure = Failure::new(Kind::Method, message);
    failure.response(&plain::failure(&failure, &RequestId::of(&request)))
}
