//! `config.pbtxt`: the text form of Triton's `ModelConfig`.
//!
//! Fields and their meaning: Triton's `model_config.proto` and its documentation of model configuration.

use std::fmt::Write;

use tmoe_package::OpSet;

use super::engines::Engines;
use super::options::Device;
use super::ports::{Port, Ports};
use super::warmup::Sample;

/// The graph's file in the version's folder.
pub(super) const GRAPH_FILE: &str = "model.onnx";
/// The only version that is written.
pub(super) const VERSION: &str = "1";

/// A model, ready to be described in a configuration, a manifest and a text.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) name: String,
    /// What it was made from, in a few words.
    pub(super) summary: String,
    pub(super) executable: Executable,
    pub(super) ports: Ports,
    pub(super) max_batch_size: u32,
    pub(super) preferred_batch_sizes: Vec<u32>,
    pub(super) max_queue_delay: u64,
    pub(super) device: Device,
    pub(super) instances: u32,
    pub(super) threads: u32,
    pub(super) samples: Vec<Sample>,
    /// Context and horizon together, at most.
    pub(super) max_positions: usize,
    /// Bytes of the cache for one point of one series.
    pub(super) cache_bytes: usize,
    /// Bytes of all files of the model.
    pub(super) bytes: u64,
}

/// What Triton loads.
#[derive(Debug)]
pub(super) enum Executable {
    /// A graph, and the path of the operators' library as the server sees it.
    Graph {
        op_set: OpSet,
        operators: Option<String>,
    },
    Engines(Engines),
}

/// The text of the configuration.
pub(super) fn text(model: &Model) -> String {
    let mut text = String::new();
    comment(&mut text, &model.summary);
    comment(
        &mut text,
        "Decoding is stateless: the server keeps nothing of a series between requests. The first pass of a series, the \
         prefill, has an empty cache: past_key_values.* of 0 points. The client takes present.* out of the response and sends \
         it as past_key_values.* with the next points. README.md says how, and why sequence_batching is not used.",
    );
    let _ = write!(text, "name: {}\n{}", quoted(&model.name), executable(model));
    let _ = writeln!(text, "max_batch_size: {}", model.max_batch_size);
    comment(&mut text, "The batch is the first dimension of every tensor; Triton adds it to these.");
    ports(&mut text, "input", &model.ports.inputs);
    ports(&mut text, "output", &model.ports.outputs);
    comment(
        &mut text,
        "Requests share a batch when every input has the same shape but for the batch: as many new points, on a cache of as many.",
    );
    text += "dynamic_batching {\n";
    if !model.preferred_batch_sizes.is_empty() {
        let sizes: Vec<String> = model.preferred_batch_sizes.iter().map(u32::to_string).collect();
        let _ = writeln!(text, "  preferred_batch_size: [ {} ]", sizes.join(", "));
    }
    let _ = writeln!(text, "  max_queue_delay_microseconds: {}\n}}", model.max_queue_delay);
    instances(&mut text, model);
    text += "version_policy: { latest: { num_versions: 1 } }\n";
    parameters(&mut text, model);
    warm_up(&mut text, model);
    text
}

/// A comment of any length in lines that fit a screen.
fn comment(text: &mut String, words: &str) {
    let mut line = String::from("#");
    for word in words.split_whitespace() {
        if line.len() + word.len() > 118 {
            *text += &line;
            *text += "\n";
            line = String::from("#");
        }
        line.push(' ');
        line += word;
    }
    *text += &line;
    *text += "\n";
}

/// A string of protobuf's text form.
fn quoted(value: &str) -> String {
    let mut text = String::from("\"");
    for letter in value.chars() {
        match letter {
            '"' | '\\' => text.extend(['\\', letter]),
            '\n' => text += "\\n",
            other => text.push(other),
        }
    }
    text.push('"');
    text
}

fn executable(model: &Model) -> String {
    let mut text = String::new();
    match &model.executable {
        Executable::Graph { operators, .. } => {
            let _ =
                writeln!(text, "backend: \"onnxruntime\"\ndefault_model_filename: {}", quoted(GRAPH_FILE));
            if let Some(path) = operators {
                comment(
                    &mut text,
                    "ONNX Runtime opens this path as it stands here: it must be where the server sees the file. A path that does \
                     not begin with / would be taken from the folder in which the server was started.",
                );
                let _ = writeln!(text, "model_operations {{ op_library_filename: {} }}", quoted(path));
            }
        }
        Executable::Engines(engines) => {
            text += "platform: \"tensorrt_plan\"\n";
            if let Some((_, first, _)) = engines.files().next() {
                let _ = writeln!(text, "default_model_filename: {}", quoted(&first));
            }
            comment(
                &mut text,
                &format!("Built with TensorRT {}; the server must have the same version.", engines.version),
            );
            for (capability, file, _) in engines.files() {
                let (key, value) = (quoted(&capability), quoted(&file));
                let _ = writeln!(text, "cc_model_filenames {{ key: {key} value: {value} }}");
            }
        }
    }
    text
}

fn ports(text: &mut String, field: &str, ports: &[Port]) {
    for port in ports {
        let dims: Vec<String> = port.dims.iter().map(i64::to_string).collect();
        let (name, data_type, dims) = (quoted(&port.name), port.type_name(), dims.join(", "));
        let _ = writeln!(*text, "{field} {{ name: {name} data_type: {data_type} dims: [ {dims} ] }}");
    }
}

fn instances(text: &mut String, model: &Model) {
    let kind = match model.device {
        Device::Cpu => "KIND_CPU",
        Device::Gpu => "KIND_GPU",
    };
    let mut profiles = String::new();
    if let Executable::Engines(engines) = &model.executable {
        comment(text, "Each instance has all profiles, and takes the one that fits a request:");
        for (index, profile) in engines.profiles.iter().enumerate() {
            comment(text, &format!("{index}: {profile}"));
        }
        let indices: Vec<String> =
            (0..engines.profiles.len()).map(|index| quoted(&index.to_string())).collect();
        profiles = format!(" profile: [ {} ]", indices.join(", "));
    }
    let _ = writeln!(*text, "instance_group [ {{ kind: {kind} count: {}{profiles} }} ]", model.instances);
}

fn parameters(text: &mut String, model: &Model) {
    let mut parameter = |key: &str, value: String| {
        let (key, value) = (quoted(key), quoted(&value));
        let _ = writeln!(*text, "parameters {{ key: {key} value: {{ string_value: {value} }} }}");
    };
    if matches!(model.executable, Executable::Graph { .. }) {
        // Nodes of these graphs follow one another: threads share the work of one at a time.
        parameter("intra_op_thread_count", model.threads.to_string());
        parameter("inter_op_thread_count", "1".to_owned());
        parameter("execution_mode", "0".to_owned());
    }
    // For clients: no backend knows it.
    parameter("max_position_embeddings", model.max_positions.to_string());
}

fn warm_up(text: &mut String, model: &Model) {
    comment(
        text,
        "The self-test's inputs: one series, which Triton repeats. Nothing is ready before these have run.",
    );
    for sample in &model.samples {
        // Alone, and once as many as share a batch, so that memory for them is there.
        let mut sizes = vec![1];
        if sample.case == "prefill" && model.max_batch_size > 1 {
            sizes.push(model.max_batch_size);
        }
        for size in sizes {
            let name = quoted(&format!("{} of {size}", sample.case));
            let _ = writeln!(*text, "model_warmup {{\n  name: {name}\n  batch_size: {size}");
            for input in &sample.inputs {
                let sizes: Vec<String> = input.sizes.iter().map(usize::to_string).collect();
                let data = match sample.file(input) {
                    Some(file) => format!("input_data_file: {}", quoted(&file)),
                    None => "zero_data: true".to_owned(),
                };
                let _ = writeln!(
                    *text,
                    "  inputs {{ key: {} value: {{ data_type: {} dims: [ {} ] {data} }} }}",
                    quoted(&input.port.name),
                    input.port.type_name(),
                    sizes.join(", "),
                );
            }
            *text += "}\n";
        }
    }
}

#[cfg(test)]
mod tests {
    use tmoe_onnx::DataType;

    use super::super::warmup::SampleInput;
    use super::*;

    fn port(name: &str, dims: &[i64]) -> Port {
        Port { name: name.to_owned(), data_type: DataType::Float32, dims: dims.to_vec() }
    }

    fn model(operators: Option<&str>) -> Model {
        let cache = port("past_key_values.0.key", &[2, -1, 4]);
        let sample = Sample {
            case: "prefill".to_owned(),
            inputs: vec![
                SampleInput { port: port("input_ids", &[-1, 1]), sizes: vec![1, 1], bytes: vec![0; 4] },
                SampleInput { port: cache.clone(), sizes: vec![2, 0, 4], bytes: vec![] },
            ],
        };
        Model {
            name: "tiny".to_owned(),
            summary: "A model.".to_owned(),
            executable: Executable::Graph { op_set: OpSet::Plugin, operators: operators.map(str::to_owned) },
            ports: Ports {
                inputs: vec![port("input_ids", &[-1, 1]), cache],
                outputs: vec![port("predictions.h8", &[8])],
                weights: vec![],
            },
            max_batch_size: 4,
            preferred_batch_sizes: vec![2, 4],
            max_queue_delay: 500,
            device: Device::Cpu,
            instances: 2,
            threads: 3,
            samples: vec![sample],
            max_positions: 4096,
            cache_bytes: 32,
            bytes: 0,
        }
    }

    /// The lines that are no comments.
    fn lines(text: &str) -> Vec<&str> {
        text.lines().filter(|line| !line.starts_with('#')).collect()
    }

    #[test]
    fn the_configuration_of_a_graph_is_this_text() {
        let text = text(&model(None));
        assert_eq!(
            lines(&text),
            [
                r#"name: "tiny""#,
                r#"backend: "onnxruntime""#,
                r#"default_model_filename: "model.onnx""#,
                r#"max_batch_size: 4"#,
                r#"input { name: "input_ids" data_type: TYPE_FP32 dims: [ -1, 1 ] }"#,
                r#"input { name: "past_key_values.0.key" data_type: TYPE_FP32 dims: [ 2, -1, 4 ] }"#,
                r#"output { name: "predictions.h8" data_type: TYPE_FP32 dims: [ 8 ] }"#,
                "dynamic_batching {",
                "  preferred_batch_size: [ 2, 4 ]",
                "  max_queue_delay_microseconds: 500",
                "}",
                "instance_group [ { kind: KIND_CPU count: 2 } ]",
                "version_policy: { latest: { num_versions: 1 } }",
                r#"parameters { key: "intra_op_thread_count" value: { string_value: "3" } }"#,
                r#"parameters { key: "inter_op_thread_count" value: { string_value: "1" } }"#,
                r#"parameters { key: "execution_mode" value: { string_value: "0" } }"#,
                r#"parameters { key: "max_position_embeddings" value: { string_value: "4096" } }"#,
                "model_warmup {",
                r#"  name: "prefill of 1""#,
                "  batch_size: 1",
                r#"  inputs { key: "input_ids" value: { data_type: TYPE_FP32 dims: [ 1, 1 ] input_data_file: "prefill.input_ids" } }"#,
                r#"  inputs { key: "past_key_values.0.key" value: { data_type: TYPE_FP32 dims: [ 2, 0, 4 ] zero_data: true } }"#,
                "}",
                "model_warmup {",
                r#"  name: "prefill of 4""#,
                "  batch_size: 4",
                r#"  inputs { key: "input_ids" value: { data_type: TYPE_FP32 dims: [ 1, 1 ] input_data_file: "prefill.input_ids" } }"#,
                r#"  inputs { key: "past_key_values.0.key" value: { data_type: TYPE_FP32 dims: [ 2, 0, 4 ] zero_data: true } }"#,
                "}",
            ]
        );
    }

    #[test]
    fn operators_are_named_by_the_path_that_the_server_sees() {
        let text = text(&model(Some("/mnt/models/tiny/1/libtmoe_ops.so")));
        let line = r#"model_operations { op_library_filename: "/mnt/models/tiny/1/libtmoe_ops.so" }"#;
        assert!(lines(&text).contains(&line), "{text}");
    }

    #[test]
    fn comments_stay_comments_however_long_they_are() {
        let mut text = String::new();
        comment(&mut text, &"word ".repeat(100));
        assert!(text.lines().all(|line| line.starts_with("# ") && line.len() <= 120), "{text}");
        assert_eq!(text.matches("word").count(), 100);
    }

    #[test]
    fn what_ends_a_string_is_escaped() {
        assert_eq!(quoted("a\"b\\c\nd"), r#""a\"b\\c\nd""#);
    }
}
