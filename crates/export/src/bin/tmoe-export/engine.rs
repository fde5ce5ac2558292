//! `tmoe-export engine`: a package to TensorRT engines.

use std::path::PathBuf;

use tmoe_package::{Flavour, OpSet, Precision, Span};

#[cfg(not(feature = "tensorrt"))]
use crate::Failure;

/// Build TensorRT engines of a package, into the package
///
/// TensorRT builds for the GPU at hand. TensorRT-RTX builds for GPUs of compute capability 7.5, 8.0, 8.6, 8.9 and 12.0 and
/// needs none; its engines are finished on the GPU where they run.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Folder of the package
    #[arg(value_name = "PACKAGE")]
    pub(crate) package: PathBuf,
    /// Which TensorRT: tensorrt, or tensorrt-rtx
    #[arg(long, value_name = "FLAVOUR", default_value_t = Flavour::TensorRtRtx)]
    pub(crate) flavour: Flavour,
    /// Compute capabilities times ten, one engine each; with `tensorrt`, that of the GPU at hand
    #[arg(long, value_delimiter = ',', value_name = "SM", value_parser = clap::value_parser!(u32).range(10..1000))]
    pub(crate) architecture: Vec<u32>,
    /// From which graph: dense, or plugin (tensorrt only)
    #[arg(long, value_name = "GRAPH", default_value = "dense")]
    pub(crate) graph: OpSet,
    /// What products of the graph dense are computed in [default: what the package stores its weights in]
    ///
    /// Sums, norms, softmax and the cache stay float32, and so does the router, but for GPUs of compute capability 7.5, for which
    /// TensorRT-RTX has no products of float32.
    #[arg(long, value_enum)]
    pub(crate) precision: Option<PrecisionArgument>,
    /// Series at a time: least, usual, most [default: 1,1,8]
    #[arg(long, value_name = "MIN,OPT,MAX", value_parser = span)]
    pub(crate) batch: Option<Span>,
    /// Points of context: least, usual, most [default: 1,512,2048, as far as the model goes]
    #[arg(long, value_name = "MIN,OPT,MAX", value_parser = span)]
    pub(crate) context: Option<Span>,
    /// Most device memory that layers may use while they run
    #[arg(long, value_name = "MB")]
    pub(crate) workspace: Option<u64>,
    /// TensorRT's library, or the folder that holds it; otherwise found by itself
    #[arg(long, value_name = "FILE")]
    pub(crate) library: Option<PathBuf>,
    /// libtmoe_trt_plugins.so, which the graph plugin needs
    #[arg(long, value_name = "FILE")]
    pub(crate) plugins: Option<PathBuf>,
    /// Replace engines that are there
    #[arg(long)]
    pub(crate) force: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum PrecisionArgument {
    Fp32,
    Fp16,
    Bf16,
}

impl From<PrecisionArgument> for Precision {
    fn from(argument: PrecisionArgument) -> Self {
        match argument {
            PrecisionArgument::Fp32 => Precision::Fp32,
            PrecisionArgument::Fp16 => Precision::Fp16,
            PrecisionArgument::Bf16 => Precision::Bf16,
        }
    }
}

/// `MIN,OPT,MAX`.
fn span(text: &str) -> Result<Span, String> {
    let numbers: Result<Vec<u32>, _> = text.split(',').map(|part| part.trim().parse()).collect();
    match numbers.as_deref() {
        Ok(&[min, opt, max]) => Ok(Span { min, opt, max }),
        _ => Err("expected three numbers, as in 1,1,8".to_owned()),
    }
}

#[cfg(not(feature = "tensorrt"))]
pub(crate) fn run(_: &Arguments) -> Result<(), Failure> {
    Err("this tmoe-export was built without TensorRT; build it with the feature `tensorrt`: \
         cargo install --path crates/export --features tensorrt"
        .into())
}

#[cfg(feature = "tensorrt")]
pub(crate) use self::build::run;

#[cfg(feature = "tensorrt")]
mod build {
    use std::sync::Arc;
    use std::time::Instant;

    use serde_json::json;
    use tmoe_export::{BuiltEngine, EngineOptions, EngineShapes, Observer, build_engines};
    use tmoe_package::{Package, Precision};

    use super::Arguments;
    use crate::output::print;
    use crate::progress::Bars;
    use crate::{Failure, interrupt};

    pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
        let cancelled = interrupt::flag()?;
        let begin = Instant::now();
        let package = Package::open(&arguments.package)?;
        let precision = arguments.precision.map(Precision::from);
        let architectures = match arguments.architecture.as_slice() {
            // Every GPU that it builds for.
            [] => arguments.flavour.builds_for(precision.unwrap_or(package.manifest().precision)),
            given => given,
        };
        let usual = EngineShapes::of(package.manifest());
        let options = EngineOptions {
            flavour: arguments.flavour,
            architectures: architectures.to_vec(),
            op_set: arguments.graph,
            precision,
            shapes: EngineShapes {
                batch: arguments.batch.unwrap_or(usual.batch),
                context: arguments.context.unwrap_or(usual.context),
            },
            workspace_bytes: arguments.workspace.map(|megabytes| megabytes.saturating_mul(1_000_000)),
            library: arguments.library.clone(),
            plugins: arguments.plugins.clone(),
            force: arguments.force,
        };
        let bars = Arc::new(Bars::default());
        let observer: Arc<dyn Observer + Send> = Arc::<Bars>::clone(&bars);
        let built = build_engines(&package, &options, &observer, &cancelled);
        bars.clear();
        print(&report(arguments, &built?, begin.elapsed().as_secs_f64()))
    }

    fn report(arguments: &Arguments, built: &[BuiltEngine], seconds: f64) -> String {
        if arguments.json {
            let engine = |engine: &BuiltEngine| {
                let layers = engine.description.as_ref().map(|description| description.layers().len());
                json!({ "folder": engine.folder, "layers": layers, "manifest": engine.manifest })
            };
            let engines: Vec<_> = built.iter().map(engine).collect();
            return format!("{}\n", json!({ "engines": engines, "seconds": seconds }));
        }
        let mut text = String::new();
        for BuiltEngine { folder, manifest, description } in built {
            text += &format!("{}: {:.1} MB", folder.display(), manifest.engine.bytes as f64 / 1e6);
            if let Some(description) = description {
                text += &format!(", {} layers", description.layers().len());
            }
            text.push('\n');
            for profile in &manifest.profiles {
                text += &format!("  {profile}\n");
            }
        }
        text + &format!("in {seconds:.1} s\n")
    }
}
