//! The methods of the inference service.

use super::messages::{
    Choice, Empty, HealthRequest, HealthResponse, ModelIndex, ModelInferRequest, ModelInferResponse,
    ModelMetadataResponse, ModelReadyResponse, ModelRequest, RepositoryChoice, RepositoryIndexRequest,
    RepositoryIndexResponse, RepositoryModelRequest, ServerLiveResponse, ServerMetadataResponse,
    ServerReadyResponse, TensorMetadata,
};
use super::{Call, deadline, tensors};
use crate::core::name::{ModelName, Version};
use crate::core::registry::State;
use crate::core::{ForecastError, Request};
use crate::http::failure::{Failure, Kind};
use crate::http::{Target, models};
use crate::inference::metadata::{Described, EXTENSIONS, INPUTS, OUTPUTS, PLATFORM, SERVER, VERSION};
use crate::inference::request::{Output, Parameters, Wish, request};
use crate::inference::response::outputs;

pub(super) async fn server_live(_: Call<Empty>) -> Result<ServerLiveResponse, Failure> {
    Ok(ServerLiveResponse { live: true })
}

pub(super) async fn server_ready(call: Call<Empty>) -> Result<ServerReadyResponse, Failure> {
    Ok(ServerReadyResponse { ready: call.app.core.is_ready() })
}

pub(super) async fn model_ready(call: Call<ModelRequest>) -> Result<ModelReadyResponse, Failure> {
    let target = target(call.message.name, call.message.version);
    match call.app.core.registry.resolve(target.model.as_deref(), target.version.as_deref()) {
        Ok(_) => Ok(ModelReadyResponse { ready: true }),
        Err(error) => match ForecastError::from(error) {
            ForecastError::NotReady(_) => Ok(ModelReadyResponse { ready: false }),
            error => Err(error.into()),
        },
    }
}

pub(super) async fn server_metadata(_: Call<Empty>) -> Result<ServerMetadataResponse, Failure> {
    Ok(ServerMetadataResponse {
        name: SERVER.to_owned(),
        version: VERSION.to_owned(),
        extensions: EXTENSIONS.map(str::to_owned).to_vec(),
    })
}

pub(super) async fn model_metadata(call: Call<ModelRequest>) -> Result<ModelMetadataResponse, Failure> {
    let described = models::described(&call.app, &target(call.message.name, call.message.version))?;
    let tensors = |tensors: &[Described]| {
        let tensor = |&(name, datatype, shape): &Described| TensorMetadata {
            name: name.to_owned(),
            datatype: datatype.to_owned(),
            shape: shape.to_vec(),
        };
        tensors.iter().map(tensor).collect()
    };
    let text = |value: serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Ok(ModelMetadataResponse {
        name: described.name,
        versions: described.versions,
        platform: PLATFORM.to_owned(),
        inputs: tensors(&INPUTS),
        outputs: tensors(&OUTPUTS),
        properties: described.properties.into_iter().map(|(name, value)| (name, text(value))).collect(),
    })
}

/// What a message asks for.
pub(super) fn asked(message: ModelInferRequest) -> Result<(Request, Wish), Failure> {
    let inputs = tensors::inputs(message.inputs, &message.raw_input_contents)?;
    let mut parameters = Parameters::default();
    for (name, value) in message.parameters {
        match value.choice {
            Some(Choice::Int64(value)) => parameters.set(&name, value),
            Some(Choice::Uint64(value)) => parameters.set(&name, i64::try_from(value).unwrap_or(i64::MAX)),
            _ => {}
        }
    }
    let wanted: Result<Vec<Output>, _> =
        message.outputs.iter().map(|output| Output::named(&output.name)).collect();
    let wanted = wanted.map_err(Failure::invalid)?;
    let wish = Wish { id: message.id, outputs: (!wanted.is_empty()).then_some(wanted) };
    let Target { model, version } = target(message.model_name, message.model_version);
    let asked =
        request(model, version, inputs, parameters, wish.outputs.as_deref()).map_err(Failure::invalid)?;
    Ok((asked, wish))
}

pub(super) async fn model_infer(call: Call<ModelInferRequest>) -> Result<ModelInferResponse, Failure> {
    let (mut asked, wish) = asked(call.message)?;
    asked.timeout = [asked.timeout, deadline::of(&call.headers)].into_iter().flatten().min();
    let answer = call.app.core.forecast(&call.permit, asked).await?;
    let tensors = outputs(&answer, &wish).map_err(|error| Failure::new(Kind::Internal, error))?;
    let (outputs, raw_output_contents) = tensors::outputs(&tensors);
    Ok(ModelInferResponse {
        model_name: answer.model.to_string(),
        model_version: answer.version.to_string(),
        id: wish.id,
        outputs,
        raw_output_contents,
        ..ModelInferResponse::default()
    })
}

pub(super) async fn repository_index(
    call: Call<RepositoryIndexRequest>,
) -> Result<RepositoryIndexResponse, Failure> {
    let listed = call.app.core.registry.index().into_iter();
    let listed = listed.filter(|listed| !call.message.ready || listed.state == State::Ready);
    let models = listed.map(|listed| ModelIndex {
        name: listed.name.to_string(),
        version: listed.version.to_string(),
        state: models::state(listed.state).to_owned(),
        reason: listed.reason.unwrap_or_default(),
    });
    Ok(RepositoryIndexResponse { models: models.collect() })
}

pub(super) async fn repository_load(call: Call<RepositoryModelRequest>) -> Result<Empty, Failure> {
    let (name, version) = named(&call.message)?;
    models::load_now(&call.app, name, version).await.map(|()| Empty {})
}

pub(super) async fn repository_unload(call: Call<RepositoryModelRequest>) -> Result<Empty, Failure> {
    let (name, version) = named(&call.message)?;
    let unloaded = call.app.core.registry.unload(&name, version.as_ref());
    unloaded.map(|()| Empty {}).map_err(|unknown| ForecastError::from(unknown).into())
}

/// Whether the server is ready, or one of its models, which is then the service.
pub(super) async fn health(call: Call<HealthRequest>) -> Result<HealthResponse, Failure> {
    let (core, service) = (&call.app.core, call.message.service.as_str());
    let serves = match service {
        "" | "inference.GRPCInferenceService" => core.is_ready(),
        model => match core.registry.resolve(Some(model), None).map_err(ForecastError::from) {
            Ok(_) => !core.admission.is_closed(),
            Err(ForecastError::NotReady(_)) => false,
            Err(error) => return Err(error.into()),
        },
    };
    Ok(HealthResponse { status: if serves { 1 } else { 2 } })
}

/// Empty names are none.
fn target(model: String, version: String) -> Target {
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    Target { model: given(model), version: given(version) }
}

fn named(message: &RepositoryModelRequest) -> Result<(ModelName, Option<Version>), Failure> {
    let version = match message.parameters.get("version").and_then(|version| version.choice.as_ref()) {
        Some(RepositoryChoice::String(version)) => Some(version.as_str()),
        _ => None,
    };
    models::names_of(&message.model_name, version)
}
