//! `kserve.yaml`: an `InferenceService` on KServe's runtime for Triton.

use super::config::Model;
use super::kubernetes::{Placement, environment, object_name, resources};
use super::options::TritonOptions;

/// The image's tag, which is what an `InferenceService` says of the runtime's image: `registry:5000/name:tag`.
fn tag(image: &str) -> Option<&str> {
    image.rsplit_once(':').map(|(_, tag)| tag).filter(|tag| !tag.contains('/'))
}

/// The text of the manifest.
pub(super) fn text(model: &Model, placement: Placement<'_>) -> String {
    let object = object_name(&model.name);
    let Placement { image, storage_uri, .. } = placement;
    let version = match tag(image) {
        Some(tag) => format!("      runtimeVersion: \"{tag}\"\n"),
        None => String::new(),
    };
    // KServe's own place, whatever the server's path is elsewhere.
    let environment = environment(model, TritonOptions::SERVER_PATH, 6);
    let resources = resources(model, 6);
    format!(
        r#"# {summary}
# kubectl apply -f kserve.yaml
# The model answers at /v2/models/{name}/infer (Open Inference Protocol v2). KServe copies the repository to {path}.
# Scaling on the queue needs KEDA, and a Prometheus that reads Triton's metrics; "Standard" was "RawDeployment" before KServe 0.16.
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: {object}
  annotations:
    serving.kserve.io/deploymentMode: Standard
    serving.kserve.io/autoscalerClass: keda
    serving.kserve.io/enable-prometheus-scraping: "true"
spec:
  predictor:
    minReplicas: 1
    maxReplicas: 8
    model:
      modelFormat: {{ name: triton }}
      protocolVersion: v2
      runtime: kserve-tritonserver
{version}      storageUri: "{storage_uri}"
{environment}{resources}      # Ready means that every model is loaded and has run its warm-up.
      startupProbe:
        httpGet: {{ path: /v2/health/ready, port: 8080 }}
        periodSeconds: 5
        failureThreshold: 120
      readinessProbe:
        httpGet: {{ path: /v2/health/ready, port: 8080 }}
        periodSeconds: 5
      livenessProbe:
        httpGet: {{ path: /v2/health/live, port: 8080 }}
        periodSeconds: 10
    autoScaling:
      metrics:
        - type: External
          external:
            metric:
              backend: prometheus
              serverAddress: http://prometheus.monitoring.svc:9090
              query: sum(nv_inference_pending_request_count{{model="{name}"}})
            # One full batch may wait at each replica.
            target: {{ type: AverageValue, averageValue: "{target}" }}
"#,
        summary = model.summary,
        name = model.name,
        path = TritonOptions::SERVER_PATH,
        target = model.max_batch_size,
    )
}

#[cfg(test)]
mod tests {
    use super::tag;

    #[test]
    fn a_tag_is_what_follows_the_last_colon_unless_that_is_a_port() {
        assert_eq!(tag("nvcr.io/nvidia/tritonserver:26.08-py3"), Some("26.08-py3"));
        assert_eq!(tag("registry:5000/triton"), None);
        assert_eq!(tag("triton"), None);
    }
}
