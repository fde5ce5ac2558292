//! The arguments that say which session to open, the same for every command that runs a package.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tmoe_package::Integrity;
use tmoe_runner::{
    GraphChoice, Package, Provider, ProviderChoice, ProviderOptions, Reduced, Session, SessionOptions, Span,
    TensorRtOptions,
};

use crate::Failure;
use crate::text::tell;

/// Which package, on what.
#[derive(clap::Args)]
pub(crate) struct SessionArguments {
    /// Package folder, as written by `tmoe-export onnx`
    #[arg(value_name = "PACKAGE")]
    pub(crate) package: PathBuf,
    #[command(flatten)]
    pub(crate) engine: EngineArguments,
}

/// On what packages run.
#[derive(clap::Args)]
pub(crate) struct EngineArguments {
    /// What executes the graph: auto, cuda, cpu, tract, tensorrt or engine
    #[arg(long, default_value = "auto")]
    pub(crate) provider: ProviderChoice,
    /// Which of the package's graphs: auto, standard, dense or plugin
    #[arg(long, default_value = "auto")]
    pub(crate) graph: GraphChoice,
    /// Threads of one pass; one per physical core unless said, on cuda one
    #[arg(long, value_name = "N", value_parser = thread_count)]
    pub(crate) threads: Option<NonZeroUsize>,
    /// Library with the operators of the graph plugin, libtmoe_ops.so, in place of those built in
    #[arg(long, value_name = "FILE")]
    operators: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) device: DeviceArguments,
    #[command(flatten)]
    tensorrt: TensorRtArguments,
    /// Capture decode passes of the providers cuda and engine as CUDA graphs: experimental
    ///
    /// A pass is captured when its shape comes first and replayed when it comes again, which saves the time of its launches.
    /// On cuda it needs the graph plugin. Off unless said: it has not been measured yet, every captured shape holds memory of the GPU,
    /// and while a pass is captured no other thread of the process may use the GPU.
    #[arg(long)]
    cuda_graph: bool,
    /// Trust the package: check its files' lengths only, which opens large packages faster
    #[arg(long)]
    pub(crate) skip_hashes: bool,
}

/// Which GPU, and how much of it.
#[derive(clap::Args)]
pub(crate) struct DeviceArguments {
    /// GPU of the providers cuda, tensorrt and engine, counted from 0
    #[arg(long, value_name = "N", default_value_t = 0)]
    device: usize,
    /// MiB of the GPU that ONNX Runtime may take for weights and results within a pass; all there are unless said
    ///
    /// The key/value cache of the series that are being forecast comes on top.
    #[arg(long, value_name = "MIB", value_parser = mebibytes)]
    device_memory: Option<NonZeroUsize>,
}

/// What the providers that run TensorRT heed.
#[derive(clap::Args)]
pub(crate) struct TensorRtArguments {
    /// Plugin library libtmoe_trt_plugins.so, which the graph plugin needs on the providers tensorrt and engine
    #[arg(long, value_name = "FILE")]
    plugins: Option<PathBuf>,
    /// Series at a time of the engines that the provider tensorrt builds: least, usual, most [default: 1,1,8]
    #[arg(long, value_name = "MIN,OPT,MAX", value_parser = span)]
    engine_batch: Option<Span>,
    /// Points of context of those engines [default: 1,512,2048, as far as the model goes]
    #[arg(long, value_name = "MIN,OPT,MAX", value_parser = span)]
    engine_context: Option<Span>,
    /// Let the provider tensorrt compute in fp16 or bf16 too, whatever the package's precision: faster, and less exact
    #[arg(long, value_name = "fp16|bf16", value_parser = reduced)]
    engine_precision: Option<Reduced>,
}

impl TensorRtArguments {
    pub(crate) fn options(&self) -> TensorRtOptions {
        TensorRtOptions {
            plugins: self.plugins.clone(),
            batch: self.engine_batch,
            context: self.engine_context,
            reduced: self.engine_precision,
        }
    }
}

/// `MIN,OPT,MAX`.
fn span(text: &str) -> Result<Span, String> {
    let numbers: Result<Vec<u32>, _> = text.split(',').map(|part| part.trim().parse()).collect();
    match numbers.as_deref() {
        Ok(&[min, opt, max]) if 1 <= min && min <= opt && opt <= max => Ok(Span { min, opt, max }),
        _ => Err("expected three whole numbers from 1 on in order, as in 1,1,8".to_owned()),
    }
}

fn reduced(text: &str) -> Result<Reduced, String> {
    match text {
        "fp16" => Ok(Reduced::Fp16),
        "bf16" => Ok(Reduced::Bf16),
        _ => Err("expected fp16 or bf16".to_owned()),
    }
}

/// MiB as bytes.
fn mebibytes(text: &str) -> Result<NonZeroUsize, String> {
    let bytes = text.parse::<usize>().ok().and_then(|mebibytes| mebibytes.checked_mul(1 << 20));
    bytes.and_then(NonZeroUsize::new).ok_or_else(|| "expected a whole number of MiB, at least 1".to_owned())
}

impl DeviceArguments {
    /// Options that say which device, and nothing else.
    pub(crate) fn resources(&self) -> ProviderOptions {
        ProviderOptions {
            device: self.device,
            device_memory: self.device_memory,
            ..ProviderOptions::default()
        }
    }
}

/// More threads than any machine has cores would only make the provider hang while it starts them.
const MAX_THREADS: usize = 1024;

fn thread_count(text: &str) -> Result<NonZeroUsize, String> {
    match text.parse::<NonZeroUsize>() {
        Ok(count) if count.get() <= MAX_THREADS => Ok(count),
        _ => Err(format!("expected a whole number from 1 to {MAX_THREADS}")),
    }
}

impl SessionArguments {
    /// Opens the package and checks it.
    pub(crate) fn package(&self) -> Result<Package, Failure> {
        self.engine.package(&self.package)
    }

    /// Opens the session, and says so if `auto` had to settle for a slower provider.
    pub(crate) fn open(&self, package: &Package) -> Result<Session, Failure> {
        self.engine.open(package)
    }
}

impl EngineArguments {
    /// Opens a package and checks it.
    pub(crate) fn package(&self, folder: &Path) -> Result<Package, Failure> {
        Ok(Package::open_with(folder, self.integrity())?)
    }

    /// How much of a package's files is checked.
    pub(crate) fn integrity(&self) -> Integrity {
        if self.skip_hashes { Integrity::Lengths } else { Integrity::Hashes }
    }

    /// Provider, graph and resources.
    pub(crate) fn options(&self) -> SessionOptions {
        SessionOptions { provider: self.provider, graph: self.graph, resources: self.resources() }
    }

    /// Threads and the like.
    pub(crate) fn resources(&self) -> ProviderOptions {
        ProviderOptions {
            threads: self.threads,
            operators: self.operators.clone(),
            cuda_graph: self.cuda_graph,
            tensorrt: self.tensorrt.options(),
            ..self.device.resources()
        }
    }

    /// Opens the session, and says so if `auto` had to settle for a slower provider.
    pub(crate) fn open(&self, package: &Package) -> Result<Session, Failure> {
        let session = Session::open(package, &self.options())?;
        tell_provider(&session);
        Ok(session)
    }

    /// Opens so many sessions, or as many as are fastest, which share the threads that one alone would have; and says so if `auto`
    /// had to settle for a slower provider. Returns the first and the others.
    pub(crate) fn open_several(
        &self,
        package: &Package,
        sessions: Option<NonZeroUsize>,
    ) -> Result<(Arc<Session>, Vec<Arc<Session>>), Failure> {
        let count =
            |provider: Provider, _| sessions.map_or_else(|| provider.parallel_passes(), NonZeroUsize::get);
        let opened = Session::open_several(package, &self.options(), count)?;
        tell_provider(&opened.0);
        Ok(opened)
    }
}

/// Says so if `auto` had to settle for a slower provider.
fn tell_provider(session: &Session) {
    if let Some(reason) = &session.selection().passed_over {
        tell(format_args!("note: running on {}, the slower provider: {reason}", session.provider()));
    }
}
