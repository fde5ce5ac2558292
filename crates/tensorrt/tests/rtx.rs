//! TensorRT-RTX's library, which builds engines without a GPU. What needs a GPU says so in its name, and is ignored without.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use libtest_mimic::{Arguments, Failed, Trial};
use tmoe_onnx::DataType::Float32;
use tmoe_onnx::{ExternalWriter, F16, F32, Float, GraphBuilder, ModelMetadata, shape};
use tmoe_tensorrt::{
    Allocation, Builder, BuilderConfig, BuilderFlag, DataType, Error, Flavour, HardwareCompatibility,
    Library, MemoryPool, NetworkDefinition, OnnxParser, OptimizationProfile, Plan, PlanError, PlanHeader,
    ProgressMonitor, Runtime, Verbosity,
};

type Test = fn(Library) -> Result<(), Failed>;

const TESTS: &[(&str, Test)] = &[
    ("a model with external data becomes a network", network),
    ("engines are built for every capability and described", capabilities),
    ("what a GPU cannot compute is an error with the layer", turing),
    ("capabilities of other GPUs are refused", other_capabilities),
    ("an unknown operator is an error with its node", unknown_operator),
    ("a truncated model is an error", truncated_model),
    ("a model without its external data is an error", missing_external_data),
    ("a profile is checked when it is added and when it is used", profiles),
    ("a truncated engine and one of another version are refused", plans),
    ("a build without the workspace that it needs fails or does without", workspace),
    ("progress is told, and a monitor can end a build", progress),
    ("a panic of a monitor goes on where the build began", panics),
    ("a timing cache is kept and used again", timing_cache),
    ("what TensorRT logs goes to tracing", logging),
    ("flags of TensorRT 10 are told to be missing", flags),
    ("numbers that TensorRT refuses are errors", numbers),
    ("objects of another builder are refused", other_builder),
    ("a file without plugins is no plugin library", plugins),
    ("objects outlive the handles that made them", ownership),
    ("threads build side by side", threads),
];

const GPU_TESTS: &[(&str, Test)] = &[
    ("an engine is loaded, inspected and refitted", load),
    ("stripped engines are smaller", stripped),
    ("a context checks shapes, profiles and addresses", context),
];

fn main() -> ExitCode {
    let library = Library::find(Flavour::TensorRtRtx);
    let missing = library.as_ref().err().map(|_| "no TensorRT-RTX: `cargo xtask setup` installs it");
    let runtime = library.as_ref().ok().map(|&library| Runtime::new(library));
    let no_gpu = match &runtime {
        Some(Err(error)) => Some(error.to_string()),
        _ => None,
    };
    let gpu = missing.map(str::to_owned).or(no_gpu);
    let trial = |(name, test): &(&str, Test), missing: Option<&str>| {
        let name = missing.map_or_else(|| (*name).to_owned(), |reason| format!("{name} [{reason}]"));
        let (test, library) = (*test, library.clone());
        Trial::test(name, move || test(library.map_err(|error| error.to_string())?))
            .with_ignored_flag(missing.is_some())
    };
    let mut trials: Vec<Trial> = TESTS.iter().map(|test| trial(test, missing)).collect();
    trials.extend(GPU_TESTS.iter().map(|test| trial(test, gpu.as_deref())));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

const HIDDEN: usize = 8;
const WIDTH: usize = 32;

/// `relu(x W)` with x [batch, 8], and W [8, 32] in a file beside the model.
fn write_model(folder: &Path) -> Result<PathBuf, Failed> {
    write_model_of::<F32>(folder, |value| value.to_le_bytes().to_vec())
}

fn write_model_of<T: Float>(folder: &Path, bytes: impl Fn(f32) -> Vec<u8>) -> Result<PathBuf, Failed> {
    let mut writer = ExternalWriter::new("weights.bin", Vec::new());
    let values: Vec<u8> = (0..HIDDEN * WIDTH).flat_map(|n| bytes(n as f32 / 100.0 - 1.0)).collect();
    let weight = writer.write("weight", &values)?;
    fs::write(folder.join("weights.bin"), writer.finish()?.1)?;
    let mut g = GraphBuilder::new("example", 21);
    let x = g.input::<T>("x", shape!["batch", HIDDEN as i64]);
    let y = g.scoped("mlp", |g| {
        let weight = g.external::<T>("weight", &[HIDDEN as i64, WIDTH as i64], weight);
        let h = g.matmul(x, weight);
        g.relu(h)
    });
    g.output("y", y);
    let path = folder.join("model.onnx");
    fs::write(&path, g.finish(ModelMetadata::default())?.encode())?;
    Ok(path)
}

fn profile() -> OptimizationProfile {
    OptimizationProfile::new().shapes("x", &[1, 8], &[4, 8], &[64, 8])
}

/// A network with the model, and a configuration for one capability.
fn prepare(library: Library) -> Result<(Builder, NetworkDefinition, BuilderConfig), Failed> {
    let folder = tempfile::tempdir()?;
    let builder = Builder::new(library)?;
    let mut network = builder.network(true)?;
    OnnxParser::new(&mut network)?.parse_file(write_model(folder.path())?)?;
    let mut config = builder.config()?;
    config.set_compute_capabilities(&[(8, 6)])?;
    config.set_verbosity(Verbosity::Detailed)?;
    Ok((builder, network, config))
}

fn build(library: Library) -> Result<Plan, Failed> {
    let (builder, mut network, mut config) = prepare(library)?;
    config.add_profile(&profile())?;
    Ok(builder.build(&mut network, &mut config)?)
}

fn ensure(holds: bool, otherwise: impl std::fmt::Display) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(otherwise.to_string().into()) }
}

/// The error of something that should fail.
fn failure<T>(result: Result<T, Error>) -> Result<Error, Failed> {
    match result {
        Ok(_) => Err("this should have failed".into()),
        Err(error) => Ok(error),
    }
}

fn network(library: Library) -> Result<(), Failed> {
    let (_, mut network, _) = prepare(library)?;
    ensure(network.is_strongly_typed(), "not strongly typed")?;
    let inputs = network.inputs()?;
    let [x] = &inputs[..] else { return Err(format!("{inputs:?}").into()) };
    ensure(
        (x.name.as_str(), x.data_type, &x.shape[..]) == ("x", DataType::Float, &[-1, 8]),
        format!("{x:?}"),
    )?;
    let outputs = network.outputs()?;
    ensure(
        outputs.len() == 1 && outputs[0].name == "y" && outputs[0].shape == [-1, 32],
        format!("{outputs:?}"),
    )?;
    let layers = network.layers()?;
    for kind in ["MATRIX_MULTIPLY", "ACTIVATION", "CONSTANT"] {
        ensure(layers.iter().any(|layer| layer.kind.name() == Some(kind)), format!("{kind}: {layers:?}"))?;
    }
    let matmul = layers.iter().find(|layer| layer.kind.name() == Some("MATRIX_MULTIPLY"));
    ensure(matmul.is_some_and(|layer| layer.name.contains("/mlp/MatMul")), format!("{layers:?}"))?;
    network.set_name("time")?;
    ensure(network.name() == "time", network.name())?;
    ensure(matches!(network.set_name("a\0b"), Err(Error::Text { .. })), "a zero byte went through")
}

fn capabilities(library: Library) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let single = write_model(folder.path())?;
    let half = tempfile::tempdir()?;
    let half = write_model_of::<F16>(half.path(), |value| half::f16::from_f32(value).to_le_bytes().to_vec())
        .map(|path| (path, half))?;
    // Turing has no float32 products in this library.
    for capability in [(7, 5), (8, 0), (8, 6), (8, 9), (12, 0)] {
        let (model, data_type) = if capability.0 < 8 { (&half.0, "Half") } else { (&single, "Float") };
        let builder = Builder::new(library)?;
        let mut network = builder.network(true)?;
        OnnxParser::new(&mut network)?.parse_file(model)?;
        let mut config = builder.config()?;
        config.set_verbosity(Verbosity::Detailed)?;
        config.add_profile(&profile())?;
        config.set_compute_capabilities(&[capability])?;
        let plan = builder.build(&mut network, &mut config)?;
        PlanHeader::read(&plan.memory)?.check(&library)?;
        let description = plan.description.ok_or("TensorRT described nothing")?;
        ensure(!description.layers().is_empty(), description.text())?;
        let tensors = description.tensors();
        let [x, y] = &tensors[..] else { return Err(format!("{tensors:?}").into()) };
        ensure(
            x.name == "x" && x.is_input && x.shape == [-1, 8] && x.data_type == data_type,
            format!("{x:?}"),
        )?;
        ensure(
            y.name == "y" && !y.is_input && y.shape == [-1, 32] && y.data_type == data_type,
            format!("{y:?}"),
        )?;
        let [range] = &x.profiles[..] else { return Err(format!("{x:?}").into()) };
        let range = (&range.min[..], &range.opt[..], &range.max[..]);
        ensure(range == (&[1, 8], &[4, 8], &[64, 8]), format!("{x:?}"))?;
    }
    Ok(())
}

fn turing(library: Library) -> Result<(), Failed> {
    let (builder, mut network, mut config) = prepare(library)?;
    config.add_profile(&profile())?;
    config.set_compute_capabilities(&[(7, 5)])?;
    let error = failure(builder.build(&mut network, &mut config))?;
    ensure(error.to_string().contains("/mlp/MatMul") && error.to_string().contains("SM75"), error)
}

fn other_capabilities(library: Library) -> Result<(), Failed> {
    let (builder, mut network, mut config) = prepare(library)?;
    config.add_profile(&profile())?;
    for capability in [(9, 0), (10, 0), (3, 5), (999_999, 11)] {
        let set = config.set_compute_capabilities(&[capability]);
        let error = failure(set.and_then(|()| builder.build(&mut network, &mut config)))?;
        ensure(matches!(error, Error::Refused { .. }), error)?;
    }
    Ok(())
}

fn unknown_operator(library: Library) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let mut g = GraphBuilder::new("example", 21);
    let x = g.input::<F32>("x", shape!["batch", 8]);
    g.import_opset("nowhere", 1);
    let outputs = g.scoped("mlp", |g| {
        g.custom("nowhere", "NoSuchOperator", &[Some(x.any())], &[], &[(Float32, shape!["batch", 8])])
    });
    g.output("y", outputs[0]);
    let path = folder.path().join("model.onnx");
    fs::write(&path, g.finish(ModelMetadata::default())?.encode())?;
    let builder = Builder::new(library)?;
    let mut network = builder.network(true)?;
    let mut parser = OnnxParser::new(&mut network)?;
    ensure(parser.supports_operator("MatMul") && !parser.supports_operator("NoSuchOperator"), "operators")?;
    let error = failure(parser.parse_file(&path))?;
    let text = error.to_string();
    let Error::Parse { errors, .. } = error else { return Err(text.into()) };
    let named = errors.0.iter().find(|error| error.node_operator == "NoSuchOperator");
    let named = named.ok_or(text.clone())?;
    ensure(named.node_name == "/mlp/NoSuchOperator" && named.node == Some(0), &text)?;
    ensure(!named.description.is_empty() && !named.file.is_empty() && named.line > 0, format!("{named:?}"))?;
    ensure(text.contains("/mlp/NoSuchOperator") && text.contains("model.onnx"), &text)
}

fn truncated_model(library: Library) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let path = write_model(folder.path())?;
    let bytes = fs::read(&path)?;
    let builder = Builder::new(library)?;
    for length in [1, bytes.len() / 2, bytes.len() - 1] {
        fs::write(&path, &bytes[..length])?;
        for from_memory in [false, true] {
            let mut network = builder.network(true)?;
            let mut parser = OnnxParser::new(&mut network)?;
            let error = failure(match from_memory {
                true => parser.parse(&bytes[..length], &path),
                false => parser.parse_file(&path),
            })?;
            let Error::Parse { errors, .. } = &error else { return Err(error.to_string().into()) };
            ensure(errors.0.iter().all(|error| !error.description.is_empty()), &error)?;
        }
    }
    let mut network = builder.network(true)?;
    let error = failure(OnnxParser::new(&mut network)?.parse_file("no/such/model.onnx"))?;
    ensure(matches!(error, Error::File { .. }), &error)?;
    // The same parser can go on with a whole one.
    let mut network = builder.network(true)?;
    OnnxParser::new(&mut network)?.parse(&bytes, &path)?;
    ensure(network.inputs()?.len() == 1, "no input")
}

fn missing_external_data(library: Library) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let path = write_model(folder.path())?;
    fs::remove_file(folder.path().join("weights.bin"))?;
    let builder = Builder::new(library)?;
    let mut network = builder.network(true)?;
    let error = failure(OnnxParser::new(&mut network)?.parse_file(&path))?;
    ensure(error.to_string().contains("Failed to import initializer: weight"), error)
}

fn profiles(library: Library) -> Result<(), Failed> {
    let (builder, mut network, mut config) = prepare(library)?;
    let backwards = OptimizationProfile::new().shapes("x", &[4, 8], &[1, 8], &[2, 8]);
    let error = failure(config.add_profile(&backwards))?;
    ensure(matches!(&error, Error::Profile { input, .. } if input == "x"), &error)?;
    let error = failure(builder.build(&mut network, &mut config))?;
    ensure(error.to_string().contains("profile"), &error)?;
    // The hidden dimension of the model is 8.
    ensure(
        config.add_profile(&OptimizationProfile::new().shapes("x", &[1, 9], &[4, 9], &[64, 9]))? == 0,
        "index",
    )?;
    let error = failure(builder.build(&mut network, &mut config))?;
    ensure(matches!(&error, Error::Refused { message, .. } if message.contains('x')), &error)
}

fn plans(library: Library) -> Result<(), Failed> {
    let plan = build(library)?;
    let bytes = plan.memory.to_vec();
    for length in [0, 3, 20, bytes.len() / 2, bytes.len() - 1] {
        let error = PlanHeader::read(&bytes[..length]).expect_err("a truncated engine was taken");
        ensure(matches!(error, PlanError::Length { .. } | PlanError::NotAnEngine { .. }), error)?;
    }
    let mut other = bytes.clone();
    other[25] += 1;
    let error = PlanHeader::read(&other)?.check(&library).expect_err("another version was taken");
    ensure(error.to_string().contains("build it again"), error)?;
    other[..4].copy_from_slice(b"ftrt");
    let error = PlanHeader::read(&other)?.check(&library).expect_err("another flavour was taken");
    ensure(matches!(error, PlanError::OtherFlavour { found: Flavour::TensorRt, .. }), error)
}

fn workspace(library: Library) -> Result<(), Failed> {
    let (builder, mut network, mut config) = prepare(library)?;
    config.add_profile(&profile())?;
    config.set_memory_pool_limit(MemoryPool::Workspace, 0)?;
    ensure(config.memory_pool_limit(MemoryPool::Workspace) == 0, "the limit was not taken")?;
    match builder.build(&mut network, &mut config) {
        Ok(_) => Ok(()),
        Err(error) => ensure(matches!(error, Error::Refused { .. }), error),
    }
}

#[derive(Default)]
struct Monitor {
    phases: Mutex<Vec<String>>,
    steps: AtomicU32,
    stop_at: Option<u32>,
}

impl ProgressMonitor for Monitor {
    fn phase_start(&self, phase: &str, parent: Option<&str>, steps: u32) {
        assert!(steps > 0, "{phase} in {parent:?}");
        self.phases.lock().unwrap().push(format!("+{phase}"));
    }

    fn step_complete(&self, _phase: &str, _step: u32) -> ControlFlow<()> {
        let step = self.steps.fetch_add(1, Ordering::Relaxed);
        if self.stop_at.is_some_and(|stop| step >= stop) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn phase_finish(&self, phase: &str) {
        self.phases.lock().unwrap().push(format!("-{phase}"));
    }
}

fn progress(library: Library) -> Result<(), Failed> {
    let (builder, mut network, mut config) = prepare(library)?;
    config.add_profile(&profile())?;
    let monitor = Arc::new(Monitor::default());
    config.set_progress_monitor(Arc::clone(&monitor) as _);
    builder.build(&mut network, &mut config)?;
    let phases = monitor.phases.lock().unwrap().clone();
    let begun = phases.iter().filter(|phase| phase.starts_with('+')).count();
    ensure(begun > 0 && phases.len() == 2 * begun, format!("{phases:?}"))?;
    let steps = monitor.steps.load(Ordering::Relaxed);
    ensure(steps > 0, "no steps")?;

    let impatient = Arc::new(Monitor { stop_at: Some(0), ..Monitor::default() });
    config.set_progress_monitor(Arc::clone(&impatient) as _);
    let error = failure(builder.build(&mut network, &mut config))?;
    ensure(matches!(error, Error::Cancelled), &error)?;
    ensure(impatient.steps.load(Ordering::Relaxed) < steps.max(2), "it went on to the end")?;
    // The configuration is good for another build.
    config.set_progress_monitor(Arc::new(Monitor::default()));
    builder.build(&mut network, &mut config)?;
    Ok(())
}

fn panics(library: Library) -> Result<(), Failed> {
    struct Broken;
    impl ProgressMonitor for Broken {
        fn step_complete(&self, _phase: &str, _step: u32) -> ControlFlow<()> {
            std::panic::resume_unwind(Box::new("broken on purpose"))
        }
    }
    let (builder, mut network, mut config) = prepare(library)?;
    config.add_profile(&profile())?;
    config.set_progress_monitor(Arc::new(Broken));
    let build = || builder.build(&mut network, &mut config);
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(build));
    let panic = panic.err().ok_or("the panic was lost")?;
    ensure(panic.downcast_ref::<&str>() == Some(&"broken on purpose"), "another panic")
}

fn timing_cache(library: Library) -> Result<(), Failed> {
    let (builder, mut network, mut config) = prepare(library)?;
    config.add_profile(&profile())?;
    config.set_timing_cache(&[], false)?;
    builder.build(&mut network, &mut config)?;
    let kept = config.timing_cache()?.to_vec();
    ensure(!kept.is_empty(), "an empty cache")?;
    config.set_timing_cache(&kept, false)?;
    builder.build(&mut network, &mut config)?;
    // The library begins an empty cache when it does not know the bytes, or refuses them.
    match config.set_timing_cache(b"no timing cache at all, but some other file", false) {
        Ok(()) => builder.build(&mut network, &mut config).map(drop)?,
        Err(error) => ensure(matches!(error, Error::Refused { .. }), error)?,
    }
    Ok(())
}

/// Keeps the messages of TensorRT's.
#[derive(Clone, Default)]
struct Subscriber(Arc<Mutex<Vec<(tracing::Level, String)>>>);

impl tracing::Subscriber for Subscriber {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == tmoe_tensorrt::LOG_TARGET
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Message(String);
        impl tracing::field::Visit for Message {
            fn record_debug(&mut self, _: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0 = format!("{value:?}");
            }
        }
        let mut message = Message(String::new());
        event.record(&mut message);
        self.0.lock().unwrap().push((*event.metadata().level(), message.0));
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

fn logging(library: Library) -> Result<(), Failed> {
    let subscriber = Subscriber::default();
    let kept = Arc::clone(&subscriber.0);
    // For all threads: the library may log from its own.
    tracing::subscriber::set_global_default(subscriber)?;
    build(library)?;
    // Without a profile.
    let (builder, mut network, mut config) = prepare(library)?;
    failure(builder.build(&mut network, &mut config))?;
    let kept = kept.lock().unwrap();
    for level in [tracing::Level::ERROR, tracing::Level::DEBUG, tracing::Level::TRACE] {
        ensure(kept.iter().any(|(of, message)| *of == level && !message.is_empty()), format!("no {level}"))?;
    }
    Ok(())
}

fn flags(library: Library) -> Result<(), Failed> {
    let mut config = Builder::new(library)?.config()?;
    for flag in [BuilderFlag::Fp16, BuilderFlag::Bf16, BuilderFlag::Int8] {
        let error = failure(config.set_flag(flag, true))?;
        ensure(matches!(&error, Error::Unsupported { flavour: Flavour::TensorRtRtx, .. }), error)?;
        ensure(!config.flag(flag), "a flag that is missing is set")?;
    }
    for flag in [BuilderFlag::Refit, BuilderFlag::StripPlan, BuilderFlag::Tf32] {
        for on in [true, false] {
            config.set_flag(flag, on)?;
            ensure(config.flag(flag) == on, format!("{flag:?}"))?;
        }
    }
    Ok(())
}

fn numbers(library: Library) -> Result<(), Failed> {
    let mut config = Builder::new(library)?.config()?;
    config.set_optimization_level(3)?;
    config.set_hardware_compatibility(HardwareCompatibility::None)?;
    for error in [
        failure(config.set_optimization_level(99))?,
        failure(config.set_optimization_level(usize::MAX))?,
        failure(config.timing_cache())?,
    ] {
        ensure(matches!(error, Error::Refused { .. } | Error::Number { .. }), error)?;
    }
    Ok(())
}

fn other_builder(library: Library) -> Result<(), Failed> {
    let (builder, mut network, mut config) = prepare(library)?;
    config.add_profile(&profile())?;
    let other = Builder::new(library)?;
    let error = failure(other.build(&mut network, &mut config))?;
    ensure(matches!(error, Error::OtherBuilder { what: "network" }), &error)?;
    let error = failure(builder.build(&mut network, &mut other.config()?))?;
    ensure(matches!(error, Error::OtherBuilder { what: "configuration" }), &error)
}

fn plugins(library: Library) -> Result<(), Failed> {
    let error =
        failure(library.load_plugins(Path::new(file!())).and_then(|()| {
            library.load_plugins(&std::env::current_exe().expect("this program has a path"))
        }))?;
    ensure(matches!(error, Error::Refused { .. } | Error::File { .. }), error)?;
    library.plugins()?;
    Ok(())
}

fn ownership(library: Library) -> Result<(), Failed> {
    let (builder, mut network, mut config) = prepare(library)?;
    config.add_profile(&profile())?;
    let plan = builder.build(&mut network, &mut config)?;
    drop((builder, config));
    ensure(network.layers()?.len() > 1, "the network is gone")?;
    drop(network);
    ensure(PlanHeader::read(&plan.memory).is_ok(), "the engine is gone")
}

fn threads(library: Library) -> Result<(), Failed> {
    // For different GPUs, which the library mixes up unless it is kept from it.
    let build = |capability| -> Result<usize, Failed> {
        let (builder, mut network, mut config) = prepare(library)?;
        config.add_profile(&profile())?;
        config.set_compute_capabilities(&[capability])?;
        Ok(builder.build(&mut network, &mut config)?.memory.len())
    };
    std::thread::scope(|scope| {
        let capabilities = [(8, 0), (8, 6), (8, 9), (12, 0)];
        let builds: Vec<_> = capabilities.iter().map(|&each| scope.spawn(move || build(each))).collect();
        for build in builds {
            ensure(build.join().map_err(|_| "a thread panicked")?? > 0, "an empty engine")?;
        }
        Ok(())
    })
}

fn stripped(library: Library) -> Result<(), Failed> {
    let (builder, mut network, mut config) = prepare(library)?;
    config.add_profile(&profile())?;
    let whole = builder.build(&mut network, &mut config)?.memory.len();
    config.set_flag(BuilderFlag::StripPlan, true)?;
    let stripped = builder.build(&mut network, &mut config)?.memory.len();
    ensure(stripped < whole, format!("{stripped} bytes instead of {whole}"))
}

fn load(library: Library) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let model = write_model(folder.path())?;
    let builder = Builder::new(library)?;
    let mut network = builder.network(true)?;
    OnnxParser::new(&mut network)?.parse_file(&model)?;
    let mut config = builder.config()?;
    config.add_profile(&profile())?;
    config.set_verbosity(Verbosity::Detailed)?;
    config.set_flag(BuilderFlag::Refit, true)?;
    let plan = builder.build(&mut network, &mut config)?;
    let runtime = Runtime::new(library)?;
    let mut engine = runtime.deserialize(&plan.memory)?;
    drop(runtime);
    ensure(engine.profile_count() == 1 && engine.layer_count() > 0, format!("{engine:?}"))?;
    let x = engine.tensor("x")?;
    ensure(x.is_input && x.shape == [-1, 8] && x.profiles[0].max == [64, 8], format!("{x:?}"))?;
    ensure(engine.information(true)?.trim_start().starts_with('{'), "no JSON")?;
    ensure(engine.information(false)?.contains('y'), "no text")?;
    ensure(!engine.serialize(false)?.is_empty(), "an empty engine")?;
    let mut refitter = engine.refitter()?;
    ensure(!refitter.weights()?.is_empty(), "no weights")?;
    refitter.refit_from_file(&model)?;
    refitter.refit()?;
    for length in [0, 20, plan.memory.len() - 1] {
        let error = failure(Runtime::new(library)?.deserialize(&plan.memory[..length]))?;
        ensure(matches!(error, Error::Plan(_)), error)?;
    }
    Ok(())
}

fn context(library: Library) -> Result<(), Failed> {
    let builder = Builder::new(library)?;
    let folder = tempfile::tempdir()?;
    let mut network = builder.network(true)?;
    OnnxParser::new(&mut network)?.parse_file(write_model(folder.path())?)?;
    let mut config = builder.config()?;
    config.add_profile(&profile())?;
    let plan = builder.build(&mut network, &mut config)?;
    let mut engine = Runtime::new(library)?.deserialize(&plan.memory)?;
    let mut context = engine.context(Allocation::Static)?;
    ensure(matches!(engine.refitter(), Err(Error::InUse | Error::NotRefittable)), "refitted while in use")?;
    let error = failure(context.shape("y"))?;
    ensure(matches!(&error, Error::NotSet { tensor, .. } if tensor == "x"), error)?;
    let error = failure(context.set_input_shape("x", &[65, 8]))?;
    ensure(error.to_string().contains("[65,8]") && matches!(error, Error::OutsideProfile { .. }), error)?;
    ensure(matches!(context.set_input_shape("z", &[1]), Err(Error::UnknownTensor { .. })), "z")?;
    context.set_input_shape("x", &[4, 8])?;
    ensure(context.shape("y")? == [4, 32], "shape")?;
    ensure(context.max_output_bytes("y")? >= 4 * 32 * 4, "bytes")?;
    // SAFETY: there is no address, so that nothing is enqueued on the default stream.
    let error = failure(unsafe { context.enqueue(std::ptr::null_mut()) })?;
    ensure(matches!(error, Error::NotSet { what: "the address", .. }), error)?;
    // SAFETY: there is no such profile, so that nothing is enqueued on the default stream.
    let error = failure(unsafe { context.set_profile(7, std::ptr::null_mut()) })?;
    ensure(matches!(error, Error::UnknownProfile { profile: 7, count: 1 }), error)
}
