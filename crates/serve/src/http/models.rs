//! What is said of the server and its models, and loading and unloading them: metadata of the Open Inference Protocol, and
//! Triton's model repository extension.

use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::app::{App, SharedApp};
use super::failure::{Failure, Kind};
use super::health::written;
use super::inference::failure as refusal;
use super::object::Object;
use super::plain::parsed;
use super::{BodyLimits, Named, Target, body, named};
use crate::core::ForecastError;
use crate::core::name::{ModelName, Version};
use crate::core::registry::Listed;
use crate::core::registry::State as ModelState;
use crate::inference::metadata::{Described, EXTENSIONS, INPUTS, OUTPUTS, PLATFORM, SERVER, VERSION};

/// Writes what came out, or why nothing did.
fn respond(result: Result<Value, Failure>) -> Response<Body> {
    match result {
        Ok(value) => written(&value),
        Err(failure) => failure.response(&refusal(&failure)),
    }
}

pub(crate) async fn server() -> Response<Body> {
    written(&json!({ "name": SERVER, "version": VERSION, "extensions": EXTENSIONS }))
}

/// The models that serve, as KServe's time-series endpoint lists them.
pub(crate) async fn names(State(app): State<SharedApp>) -> Response<Body> {
    let mut names: Vec<String> = app
        .core
        .registry
        .index()
        .into_iter()
        .filter(|listed| listed.state == ModelState::Ready)
        .map(|listed| listed.name.to_string())
        .collect();
    names.dedup();
    written(&json!(names))
}

pub(crate) async fn ready(State(app): State<SharedApp>, target: Named) -> Response<Body> {
    let resolve = |target: Target| {
        app.core
            .registry
            .resolve(target.model.as_deref(), target.version.as_deref())
            .map_err(|error| Failure::from(ForecastError::from(error)))
    };
    match named(target).and_then(resolve) {
        Ok(serving) => written(
            &json!({ "name": serving.name.as_str(), "version": serving.version.as_str(), "ready": true }),
        ),
        Err(failure) => failure.response(&refusal(&failure)),
    }
}

pub(crate) async fn metadata(State(app): State<SharedApp>, target: Named) -> Response<Body> {
    respond(named(target).and_then(|target| {
        let described = described(&app, &target)?;
        let tensors = |tensors: &[Described]| -> Vec<Value> {
            tensors
                .iter()
                .map(|(name, datatype, shape)| json!({ "name": name, "datatype": datatype, "shape": shape }))
                .collect()
        };
        Ok(json!({
            "name": described.name,
            "versions": described.versions,
            "platform": PLATFORM,
            "inputs": tensors(&INPUTS),
            "outputs": tensors(&OUTPUTS),
            "properties": described.properties.into_iter().collect::<serde_json::Map<_, _>>(),
        }))
    }))
}

/// What is said of a model, whatever the protocol.
pub(crate) struct ModelDescription {
    pub(crate) name: String,
    /// Those that serve.
    pub(crate) versions: Vec<String>,
    /// What runs the version.
    pub(crate) properties: Vec<(String, Value)>,
}

/// Describes a model that serves.
pub(crate) fn described(app: &App, target: &Target) -> Result<ModelDescription, Failure> {
    let serving = app.core.registry.resolve(target.model.as_deref(), target.version.as_deref());
    let serving = serving.map_err(|error| Failure::from(ForecastError::from(error)))?;
    let ready = |listed: &Listed| listed.name == serving.name && listed.state == ModelState::Ready;
    let versions = app.core.registry.index().into_iter().filter(ready);
    let facts = serving.lane.model().facts();
    let properties = [
        ("provider", json!(facts.provider)),
        ("graph", json!(facts.graph)),
        ("precision", json!(facts.precision)),
        ("max_positions", json!(facts.positions)),
    ];
    Ok(ModelDescription {
        name: serving.name.to_string(),
        versions: versions.map(|listed| listed.version.to_string()).collect(),
        properties: properties.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
    })
}

#[derive(Default, Deserialize)]
struct IndexRequest {
    #[serde(default)]
    ready: bool,
}

/// Every version that is known, with its state.
pub(crate) async fn index(State(app): State<SharedApp>, request: Request<Body>) -> Response<Body> {
    let asked: Result<IndexRequest, Failure> = optional(&app, request).await;
    respond(asked.map(|asked| {
        let listed = app.core.registry.index().into_iter();
        let listed = listed.filter(|listed| !asked.ready || listed.state == ModelState::Ready);
        Value::Array(listed.map(|listed| entry(&listed)).collect())
    }))
}

fn entry(listed: &Listed) -> Value {
    let mut entry = json!({
        "name": listed.name.as_str(),
        "version": listed.version.as_str(),
        "state": state(listed.state),
    });
    if let (Some(reason), Some(entry)) = (&listed.reason, entry.as_object_mut()) {
        entry.insert("reason".to_owned(), json!(reason));
    }
    entry
}

/// A state as the extension names it.
pub(crate) fn state(state: ModelState) -> &'static str {
    match state {
        ModelState::Ready => "READY",
        ModelState::Loading => "LOADING",
        ModelState::Unavailable => "UNAVAILABLE",
    }
}

#[derive(Default, Deserialize)]
struct ControlRequest {
    #[serde(default)]
    parameters: Object<ControlParameters>,
}

#[derive(Default, Deserialize)]
struct ControlParameters {
    /// Which version; all unless said.
    version: Option<String>,
}

/// Loads a model, or loads it again: everything that is there of it now, or the version that is named.
pub(crate) async fn load(
    State(app): State<SharedApp>,
    target: Named,
    request: Request<Body>,
) -> Response<Body> {
    let result = match control(&app, target, request).await {
        Ok((name, version)) => load_now(&app, name, version).await,
        Err(failure) => Err(failure),
    };
    respond(result.map(|()| json!({})))
}

/// Loads in a thread that may block. Goes on if the client goes away: half a load is none.
pub(crate) async fn load_now(
    app: &SharedApp,
    name: ModelName,
    version: Option<Version>,
) -> Result<(), Failure> {
    if app.core.admission.is_closed() {
        return Err(crate::core::error::Refusal::ShuttingDown.into());
    }
    let app = SharedApp::clone(app);
    let load = move || -> Result<(), Failure> {
        let found = app.repository.find(&name).map_err(|error| Failure::new(Kind::Internal, error))?;
        for source in found {
            app.core.registry.register(&source.name, &source.version, &source.package);
        }
        let versions = app.core.registry.versions(&name, version.as_ref());
        let versions = versions.map_err(|unknown| Failure::from(ForecastError::from(unknown)))?;
        for version in versions {
            app.core.registry.load(&name, &version)?;
        }
        Ok(())
    };
    let done = tokio::task::spawn_blocking(load).await;
    done.unwrap_or_else(|error| Err(Failure::new(Kind::Internal, error)))
}

/// Stops serving a model, or the version that is named.
pub(crate) async fn unload(
    State(app): State<SharedApp>,
    target: Named,
    request: Request<Body>,
) -> Response<Body> {
    let unload = |(name, version): (ModelName, Option<Version>)| {
        let unloaded = app.core.registry.unload(&name, version.as_ref());
        unloaded.map_err(|unknown| Failure::from(ForecastError::from(unknown)))
    };
    respond(control(&app, target, request).await.and_then(unload).map(|()| json!({})))
}

async fn control(
    app: &App,
    target: Named,
    request: Request<Body>,
) -> Result<(ModelName, Option<Version>), Failure> {
    let asked: ControlRequest = optional(app, request).await?;
    let name = named(target)?.model.unwrap_or_default();
    names_of(&name, asked.parameters.0.version.as_deref())
}

/// Checks the names that a client sent.
pub(crate) fn names_of(name: &str, version: Option<&str>) -> Result<(ModelName, Option<Version>), Failure> {
    let refused = |error| Failure::new(Kind::NotFound, error).about("model");
    Ok((name.parse().map_err(refused)?, version.map(str::parse).transpose().map_err(refused)?))
}

/// Bytes of such a body: no place is taken for these requests, so that they must not fill the memory.
const MOST_BYTES: usize = 16 * 1024;

/// A body that may be missing.
async fn optional<T: Default + for<'a> Deserialize<'a>>(
    app: &App,
    request: Request<Body>,
) -> Result<T, Failure> {
    let (parts, body) = request.into_parts();
    let limits = BodyLimits { bytes: app.bodies.bytes.min(MOST_BYTES), ..app.bodies };
    let body = body::read(limits, &parts.headers, body).await?;
    if body.is_empty() { Ok(T::default()) } else { parsed(&body) }
}
