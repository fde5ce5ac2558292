//! `tmoe-export triton`: a package to a model repository of NVIDIA's Triton Inference Server.

use std::path::PathBuf;

use clap::ValueEnum;
use serde_json::json;
use tmoe_export::{Device, TritonBackend, TritonOptions, TritonRepository, write_repository};
use tmoe_package::{OpSet, Package};

use crate::output::print;
use crate::{Failure, interrupt};

/// Write a package as a model repository for NVIDIA's Triton Inference Server, with manifests for KServe and Kubernetes
///
/// The repository has all that the server needs. Its README.md says how to start the server and how to call it, and client.py does.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Folder of the package
    #[arg(value_name = "PACKAGE")]
    package: PathBuf,
    /// Folder of the model repository to write
    #[arg(short, long, value_name = "MODEL_REPOSITORY")]
    output: PathBuf,
    /// What executes the model: ONNX Runtime, or TensorRT on the package's engines
    #[arg(long, value_enum, default_value_t = BackendArgument::Onnxruntime)]
    backend: BackendArgument,
    /// Which graph ONNX Runtime executes: standard, dense or plugin [default: standard]
    #[arg(long, value_name = "GRAPH")]
    graph: Option<OpSet>,
    /// libtmoe_ops.so, which the graph plugin needs; with `tensorrt`, the plugins that the engines were built with
    #[arg(long, value_name = "FILE")]
    operators: Option<PathBuf>,
    /// Where the server sees the repository; the path of the operators is below it, so it must be right for the graph plugin
    ///
    /// Triton's ONNX Runtime backend opens the operators' path as it stands in config.pbtxt, and not from the model's folder.
    #[arg(long, value_name = "PATH", default_value = TritonOptions::SERVER_PATH)]
    server_path: String,
    /// Name of the model [default: that of the package's folder]
    #[arg(long)]
    name: Option<String>,
    /// Most series in one execution [default: 8, or what the engines take]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_batch_size: Option<u32>,
    /// Batch sizes that the scheduler does not wait to exceed [default: half and all of the most]
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    preferred_batch_size: Vec<u32>,
    /// How long a request may wait for others to share its batch: more fills batches, less answers sooner
    #[arg(long, value_name = "MICROSECONDS", default_value_t = 2000)]
    max_queue_delay: u64,
    /// Where instances of the model run [default: cpu; gpu with tensorrt]
    #[arg(long, value_enum)]
    device: Option<DeviceArgument>,
    /// Instances of the model, per GPU or on the processor: each runs one batch at a time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    instances: u32,
    /// Threads of an instance on the processor; 0 leaves it to ONNX Runtime, which takes every core
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1024))]
    threads: u32,
    /// Engines of which TensorRT version, where the package has those of several
    #[arg(long, value_name = "VERSION")]
    tensorrt_version: Option<String>,
    /// Container image of the manifests
    #[arg(long, value_name = "IMAGE", default_value = TritonOptions::IMAGE)]
    image: String,
    /// Where the manifests find the repository: pvc://CLAIM or pvc://CLAIM/FOLDER for both; KServe also takes s3:// and others
    #[arg(long, value_name = "URI", default_value = TritonOptions::STORAGE_URI)]
    storage_uri: String,
    /// Replace an existing repository
    #[arg(long)]
    force: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum BackendArgument {
    Onnxruntime,
    Tensorrt,
}

#[derive(Clone, Copy, ValueEnum)]
enum DeviceArgument {
    Cpu,
    Gpu,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let cancelled = interrupt::flag()?;
    let options = options(arguments)?;
    let package = Package::open(&arguments.package)?;
    let repository = write_repository(&package, &arguments.output, &options, &cancelled)?;
    print(&report(arguments, &options, &repository))
}

fn options(arguments: &Arguments) -> Result<TritonOptions, Failure> {
    let backend = match (arguments.backend, arguments.graph) {
        (BackendArgument::Onnxruntime, graph) => {
            TritonBackend::OnnxRuntime { graph: graph.unwrap_or(OpSet::Standard) }
        }
        (BackendArgument::Tensorrt, None) => TritonBackend::TensorRt,
        (BackendArgument::Tensorrt, Some(_)) => {
            return Err(
                "--graph is for ONNX Runtime: an engine has the graph that it was built from; leave it out"
                    .into(),
            );
        }
    };
    let device = match (arguments.device, arguments.backend) {
        (Some(DeviceArgument::Cpu), _) | (None, BackendArgument::Onnxruntime) => Device::Cpu,
        (Some(DeviceArgument::Gpu), _) | (None, BackendArgument::Tensorrt) => Device::Gpu,
    };
    Ok(TritonOptions {
        backend,
        name: arguments.name.clone(),
        operators: arguments.operators.clone(),
        server_path: arguments.server_path.clone(),
        max_batch_size: arguments.max_batch_size,
        preferred_batch_sizes: arguments.preferred_batch_size.clone(),
        max_queue_delay: arguments.max_queue_delay,
        device,
        instances: arguments.instances,
        threads: arguments.threads,
        tensorrt_version: arguments.tensorrt_version.clone(),
        image: arguments.image.clone(),
        storage_uri: arguments.storage_uri.clone(),
        force: arguments.force,
    })
}

fn report(arguments: &Arguments, options: &TritonOptions, repository: &TritonRepository) -> String {
    let backend = match options.backend {
        TritonBackend::OnnxRuntime { .. } => "onnxruntime",
        TritonBackend::TensorRt => "tensorrt",
    };
    if arguments.json {
        let report = json!({
            "repository": arguments.output,
            "model": repository.model,
            "backend": backend,
            "graph": repository.graph,
            "max_batch_size": repository.max_batch_size,
            "inputs": repository.inputs,
            "outputs": repository.outputs,
            "warm_up": repository.warm_up,
            "kserve": repository.kserve,
        });
        return format!("{report}\n");
    }
    let TritonRepository { model, graph, max_batch_size, .. } = repository;
    format!(
        "{}: model {model}, graph {graph} on {backend}, batches of up to {max_batch_size}; README.md says how to serve it\n",
        arguments.output.display(),
    )
}
