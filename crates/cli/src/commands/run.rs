//! `tmoe run`: a graph on given tensors.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;
use tmoe_runner::Tensor;

use crate::Failure;
use crate::session::SessionArguments;
use crate::text::{print, print_json};

/// Run a graph once on tensors from a file
///
/// The tensors are the graph's inputs by name. A missing attention_mask is all ones, a missing cache is empty. Floats may be F32,
/// F16 or BF16: they are converted to the graph's types, which the outputs have.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    session: SessionArguments,
    /// safetensors file with the inputs
    #[arg(long, value_name = "FILE")]
    inputs: PathBuf,
    /// safetensors file to write the outputs to
    #[arg(long, value_name = "FILE")]
    outputs: PathBuf,
    /// Replace an existing file of outputs
    #[arg(long)]
    force: bool,
    /// Print names and shapes of the outputs as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    if !arguments.force && arguments.outputs.exists() {
        let path = arguments.outputs.display();
        return Err(
            format!("{path} exists already; choose another file, or pass --force to replace it").into()
        );
    }
    let inputs = Tensor::read_all(&arguments.inputs)?;
    let package = arguments.session.package()?;
    let session = arguments.session.open(&package)?;
    let outputs = session.run(inputs)?;
    Tensor::write_all(&arguments.outputs, &outputs)?;
    if arguments.json {
        let shapes: serde_json::Map<String, serde_json::Value> =
            outputs.iter().map(|(name, tensor)| (name.clone(), json!(tensor.shape()))).collect();
        print_json(&json!({ "provider": session.provider(), "outputs": shapes }))?;
    } else {
        let lines = outputs.iter().map(|(name, tensor)| format!("{name:<28} {:?}\n", tensor.shape()));
        print(&lines.collect::<String>())?;
    }
    Ok(ExitCode::SUCCESS)
}
