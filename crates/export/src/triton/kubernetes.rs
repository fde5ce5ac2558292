//! `kubernetes.yaml`: a Deployment, a Service and an autoscaler, for `kubectl apply`.

use super::config::{Executable, Model, VERSION};
use super::options::Device;

/// What both kinds of manifest say of where the model runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placement<'a> {
    /// The repository's folder as the server sees it.
    pub(super) server_path: &'a str,
    pub(super) image: &'a str,
    pub(super) storage_uri: &'a str,
}

/// A name for Kubernetes' objects: lower-case letters, digits and hyphens, at most 50, so that suffixes fit into 63.
pub(super) fn object_name(model: &str) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' };
    let name: String = model.chars().map(plain).take(50).collect();
    let name = name.trim_matches('-');
    // A name of a service begins with a letter.
    match name.starts_with(|first: char| first.is_ascii_alphabetic()) {
        true => name.to_owned(),
        false => format!("tmoe-{name}").trim_end_matches('-').to_owned(),
    }
}

/// Memory to ask for in MiB: the weights twice, as loading holds the file and what is made of it, the caches of a full batch of
/// the longest series in and out, and the server itself.
fn memory(model: &Model) -> u64 {
    let cache = model.cache_bytes as u64 * model.max_positions as u64 * u64::from(model.max_batch_size);
    let instances = u64::from(model.instances);
    (2 * model.bytes + 2 * cache * instances).div_ceil(1 << 20) + 1024
}

/// Processors to ask for: as many as threads were asked for, or two.
fn processors(model: &Model) -> u32 {
    match (model.device, model.threads) {
        (Device::Cpu, threads) if threads > 0 => threads.saturating_mul(model.instances),
        _ => 2 * model.instances,
    }
}

/// `requests` and `limits`, indented by so many spaces. Both are equal, so that the pod is of the class Guaranteed and no other
/// takes its processors.
pub(super) fn resources(model: &Model, indent: usize) -> String {
    let gpu = match model.device {
        Device::Gpu => ", nvidia.com/gpu: \"1\"",
        Device::Cpu => "",
    };
    let all = format!("{{ cpu: \"{}\", memory: {}Mi{gpu} }}", processors(model), memory(model));
    let space = " ".repeat(indent);
    format!("{space}resources:\n{space}  requests: {all}\n{space}  limits: {all}\n")
}

/// Environment variables that the model needs, indented by so many spaces; none for most.
pub(super) fn environment(model: &Model, server_path: &str, indent: usize) -> String {
    let space = " ".repeat(indent);
    let mut variables = String::new();
    if let Executable::Engines(engines) = &model.executable
        && let Some(plugins) = &engines.plugins
    {
        let path = format!("{server_path}/{}/{VERSION}/{}", model.name, plugins.file);
        variables += &format!(
            "{space}  # TensorRT's plugins are loaded before the server, as Triton documents for custom layers.\n\
             {space}  - {{ name: LD_PRELOAD, value: \"{path}\" }}\n"
        );
    }
    if model.device == Device::Gpu && matches!(model.executable, Executable::Graph { .. }) {
        variables += &format!(
            "{space}  # Products of float32 stay exact; without this, ONNX Runtime rounds them to TF32.\n\
             {space}  - {{ name: NVIDIA_TF32_OVERRIDE, value: \"0\" }}\n"
        );
    }
    if variables.is_empty() { variables } else { format!("{space}env:\n{variables}") }
}

/// The claim that holds the repository, and the folder in it: `pvc://claim/folder`.
fn claim(storage_uri: &str) -> (&str, &str) {
    match storage_uri.strip_prefix("pvc://") {
        Some(rest) => {
            let (claim, folder) = rest.split_once('/').unwrap_or((rest, ""));
            (claim, folder.trim_matches('/'))
        }
        None => ("tmoe-models", ""),
    }
}

/// The text of the manifest.
pub(super) fn text(model: &Model, placement: Placement<'_>) -> String {
    let object = object_name(&model.name);
    let Placement { server_path, image, storage_uri } = placement;
    let (claim, folder) = claim(storage_uri);
    let sub_path = if folder.is_empty() { String::new() } else { format!(", subPath: \"{folder}\"") };
    let model_name = &model.name;
    let (environment, resources) = (environment(model, server_path, 10), resources(model, 10));
    format!(
        r#"# {summary}
# kubectl apply -f kubernetes.yaml
# Needs the claim "{claim}" with this repository in it, and for the autoscaler a source of Pods metrics: Prometheus with
# prometheus-adapter and the rule in README.md.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {object}
  labels: {{ app.kubernetes.io/name: {object}, app.kubernetes.io/component: triton }}
spec:
  # No number of replicas: that is the autoscaler's.
  selector:
    matchLabels: {{ app.kubernetes.io/name: {object} }}
  strategy:
    # A new version never takes the place of a good one before it is ready.
    type: RollingUpdate
    rollingUpdate: {{ maxUnavailable: 0, maxSurge: 1 }}
  template:
    metadata:
      labels: {{ app.kubernetes.io/name: {object}, app.kubernetes.io/component: triton }}
      annotations:
        prometheus.io/scrape: "true"
        prometheus.io/port: "8002"
        prometheus.io/path: /metrics
    spec:
      automountServiceAccountToken: false
      # Requests that were taken are answered before the server ends.
      terminationGracePeriodSeconds: 60
      securityContext:
        runAsNonRoot: true
        runAsUser: 1000
        seccompProfile: {{ type: RuntimeDefault }}
      containers:
        - name: triton
          image: "{image}"
          args:
            - tritonserver
            - "--model-repository={server_path}"
            - --exit-timeout-secs=50
            - --allow-metrics=true
{environment}          ports:
            - {{ name: http, containerPort: 8000 }}
            - {{ name: grpc, containerPort: 8001 }}
            - {{ name: metrics, containerPort: 8002 }}
          # Loading and warm-up may take minutes; after them, ready means that every model is.
          startupProbe:
            httpGet: {{ path: /v2/health/ready, port: http }}
            periodSeconds: 5
            failureThreshold: 120
          readinessProbe:
            httpGet: {{ path: /v2/health/ready, port: http }}
            periodSeconds: 5
          livenessProbe:
            httpGet: {{ path: /v2/health/live, port: http }}
            periodSeconds: 10
            failureThreshold: 3
{resources}          securityContext:
            allowPrivilegeEscalation: false
            capabilities: {{ drop: ["ALL"] }}
          volumeMounts:
            - {{ name: models, mountPath: "{server_path}", readOnly: true{sub_path} }}
            - {{ name: shared-memory, mountPath: /dev/shm }}
      volumes:
        - name: models
          persistentVolumeClaim: {{ claimName: "{claim}", readOnly: true }}
        - name: shared-memory
          emptyDir: {{ medium: Memory, sizeLimit: 256Mi }}
---
apiVersion: v1
kind: Service
metadata:
  name: {object}
  labels: {{ app.kubernetes.io/name: {object}, app.kubernetes.io/component: triton }}
spec:
  selector: {{ app.kubernetes.io/name: {object} }}
  ports:
    - {{ name: http, port: 8000, targetPort: http }}
    - {{ name: grpc, port: 8001, targetPort: grpc, appProtocol: kubernetes.io/h2c }}
    - {{ name: metrics, port: 8002, targetPort: metrics }}
---
# Scales on the queue: requests that wait for an instance, for each pod. Utilisation would not do, since batches fill a device
# long before its queue grows.
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {object}
  labels: {{ app.kubernetes.io/name: {object}, app.kubernetes.io/component: triton }}
spec:
  scaleTargetRef: {{ apiVersion: apps/v1, kind: Deployment, name: {object} }}
  minReplicas: 1
  maxReplicas: 8
  metrics:
    - type: Pods
      pods:
        metric:
          name: nv_inference_pending_request_count
          selector:
            matchLabels: {{ model: "{model_name}" }}
        # One full batch may wait while another runs.
        target: {{ type: AverageValue, averageValue: "{target}" }}
  behavior:
    scaleUp:
      policies: [{{ type: Percent, value: 100, periodSeconds: 30 }}]
    scaleDown:
      stabilizationWindowSeconds: 300
"#,
        summary = model.summary,
        target = model.max_batch_size,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_have_names_that_kubernetes_takes() {
        assert_eq!(object_name("TimeMoE_50M.v1"), "timemoe-50m-v1");
        assert_eq!(object_name("50m"), "tmoe-50m");
        assert_eq!(object_name("a..."), "a");
        assert_eq!(object_name(&"x".repeat(200)).len(), 50);
    }

    #[test]
    fn a_claim_and_a_folder_in_it_are_told_apart() {
        assert_eq!(claim("pvc://models"), ("models", ""));
        assert_eq!(claim("pvc://models/a/b/"), ("models", "a/b"));
        assert_eq!(claim("s3://bucket/x"), ("tmoe-models", ""));
    }
}
