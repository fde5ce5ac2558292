//! The Open Inference Protocol v2 over gRPC, and the standard health service that Kubernetes probes.
//!
//! Calls come in at the same port as HTTP, and go the same way: admitted before their message is read, forecast by the core.

mod calls;
mod deadline;
mod messages;
mod tensors;

use std::pin::Pin;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Request, Response};
use http_body_util::Full;
use prost::Message as _;
use tonic::metadata::MetadataValue;
use tonic::server::{Grpc, UnaryService};
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

use crate::core::admission::Permit;
use crate::http::delivery::{Line, deliver};
use crate::http::failure::{Failure, Kind};
use crate::http::{SharedApp, body};

/// Whether a request is a gRPC call.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// A failure as gRPC has it.
pub(crate) fn status(failure: &Failure) -> Status {
    let code = match failure.kind {
        Kind::Invalid => Code::InvalidArgument,
        Kind::Unauthorized => Code::Unauthenticated,
        Kind::Forbidden => Code::PermissionDenied,
        Kind::NotFound => Code::NotFound,
        Kind::Method | Kind::Encoding => Code::Unimplemented,
        Kind::SlowBody | Kind::Deadline => Code::DeadlineExceeded,
        Kind::TooLarge | Kind::Overloaded => Code::ResourceExhausted,
        Kind::Internal => Code::Internal,
        Kind::Unavailable => Code::Unavailable,
    };
    let mut status = Status::new(code, &failure.message);
    if let Some(after) = failure.after {
        // What gRPC's own retries heed.
        let after = MetadataValue::from(u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
        status.metadata_mut().insert("grpc-retry-pushback-ms", after);
    }
    status
}

/// What the bytes of a `ModelInferRequest` ask for.
pub(crate) fn infer_request(message: &[u8]) -> Result<crate::core::Request, Failure> {
    let message = messages::ModelInferRequest::decode(message).map_err(Failure::invalid)?;
    calls::asked(message).map(|(request, _)| request)
}

/// A call of the inference service.
pub(crate) async fn call(
    State(app): State<SharedApp>,
    Path(method): Path<String>,
    request: Request<Body>,
) -> Response<Body> {
    match method.as_str() {
        "ServerLive" => unary(&app, request, calls::server_live).await,
        "ServerReady" => unary(&app, request, calls::server_ready).await,
        "ModelReady" => unary(&app, request, calls::model_ready).await,
        "ServerMetadata" => unary(&app, request, calls::server_metadata).await,
        "ModelMetadata" => unary(&app, request, calls::model_metadata).await,
        "ModelInfer" => unary(&app, request, calls::model_infer).await,
        "RepositoryIndex" => unary(&app, request, calls::repository_index).await,
        "RepositoryModelLoad" => unary(&app, request, calls::repository_load).await,
        "RepositoryModelUnload" => unary(&app, request, calls::repository_unload).await,
        _ => Status::unimplemented(format!("there is no method {method}")).into_http(),
    }
}

/// `grpc.health.v1.Health/Check`.
pub(crate) async fn health(State(app): State<SharedApp>, request: Request<Body>) -> Response<Body> {
    unary(&app, request, calls::health).await
}

/// What a call is made from: its message, the headers it came with, and its place within.
struct Call<I> {
    app: SharedApp,
    message: I,
    headers: HeaderMap,
    permit: Arc<Permit>,
}

/// Answers a call of one message with one message.
async fn unary<I, O, F, Fut>(app: &SharedApp, request: Request<Body>, answer: F) -> Response<Body>
where
    I: prost::Message + Default + 'static,
    O: prost::Message + Default + 'static,
    F: Fn(Call<I>) -> Fut + Send + 'static,
    Fut: Future<Output = Result<O, Failure>> + Send + 'static,
{
    if !is_grpc(request.headers()) {
        let message =
            "this is a gRPC method; call it with a gRPC client, or use the REST addresses below /v2";
        let failure = Failure::new(Kind::Encoding, message);
        return failure.response(&crate::http::inference::failure(&failure));
    }
    // Before the message is read: what is refused costs nothing.
    let permit = match app.core.admission.enter() {
        Ok(permit) => Arc::new(permit),
        Err(refusal) => return status(&refusal.into()).into_http(),
    };
    let (parts, body) = request.into_parts();
    let body = match body::read(app.bodies, &parts.headers, body).await {
        Ok(body) => body,
        Err(failure) => return status(&failure).into_http(),
    };
    let most = app.bodies.bytes;
    let line = parts.extensions.get::<Line>().cloned();
    let service = Service {
        app: SharedApp::clone(app),
        headers: parts.headers.clone(),
        permit: Arc::clone(&permit),
        answer,
    };
    let request = Request::from_parts(parts, Full::new(body));
    let mut grpc = Grpc::new(ProstCodec::<O, I>::default()).max_decoding_message_size(most);
    deliver(grpc.unary(service, request).await.map(Body::new), permit, line.as_ref())
}

struct Service<F> {
    app: SharedApp,
    headers: HeaderMap,
    permit: Arc<Permit>,
    answer: F,
}

impl<I, O, F, Fut> UnaryService<I> for Service<F>
where
    F: Fn(Call<I>) -> Fut,
    Fut: Future<Output = Result<O, Failure>> + Send + 'static,
{
    type Response = O;
    type Future = Pin<Box<dyn Future<Output = Result<tonic::Response<O>, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<I>) -> Self::Future {
        let (app, permit) = (SharedApp::clone(&self.app), Arc::clone(&self.permit));
        let headers = std::mem::take(&mut self.headers);
        let answer = (self.answer)(Call { app, message: request.into_inner(), headers, permit });
        Box::pin(async { answer.await.map(tonic::Response::new).map_err(|failure| status(&failure)) })
    }
}
