//! Engines that are really built, and what is refused.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use libtest_mimic::{Failed, Trial};
use tmoe_export::{BuiltEngine, EngineBuildError, EngineOptions, EngineShapes, Silent, build_engines};
use tmoe_package::{Engine, EngineError, Flavour, OpSet, Package, Precision, Span, files};
use tmoe_tensorrt::{DescribedTensor, Library};
use tmoe_tests::golden::Golden;
use tmoe_tests::packages::{Packages, Variant, copy};

use crate::narrowed;

type Test = fn(&Package) -> Result<(), Failed>;
type BoxedTest = Box<dyn Fn(&Package) -> Result<(), Failed> + Send>;

pub(crate) fn trials() -> Vec<Trial> {
    let library = Library::find(tmoe_tensorrt::Flavour::TensorRtRtx);
    let missing = library.err().map(|_| "no TensorRT-RTX: `cargo xtask setup` installs it");
    let packages = Packages::new().unwrap_or_else(|error| panic!("cannot make a temporary folder: {error}"));
    let packages = Arc::new(packages);
    let trial = |name: String, variant: Variant, test: BoxedTest| {
        let name = missing.map_or_else(|| name.clone(), |reason| format!("{name} [{reason}]"));
        let packages = Arc::clone(&packages);
        Trial::test(name, move || {
            // A copy: engines are written into it.
            let folder = tempfile::tempdir()?;
            let package = packages.package(&demo()?, variant)?;
            copy(package.folder(), folder.path())?;
            test(&Package::open(folder.path())?)
        })
        .with_ignored_flag(missing.is_some())
    };
    let mut trials = Vec::new();
    for (variant, architecture) in [
        (Variant::Last, 80),
        (Variant::Last, 86),
        (Variant::Last, 89),
        (Variant::Last, 120),
        (Variant::Half, 75),
        (Variant::Half, 86),
        (Variant::Bf16, 86),
    ] {
        let name = format!("an engine of {} for sm{architecture}", variant.name());
        trials.push(trial(name, variant, Box::new(move |package| inspected(package, architecture))));
    }
    let tests: [(&str, Variant, Test); 8] = [
        ("a workspace that is too small is named", Variant::Last, workspace),
        ("float32 weights make smaller engines of other products", Variant::Last, precisions),
        ("precisions that a GPU does not have are refused before the build", Variant::Bf16, turing),
        ("an engine is kept without force and replaced with it", Variant::Last, kept),
        ("an engine of a package that was exported again is stale", Variant::Last, stale),
        ("what TensorRT refuses leaves nothing behind", Variant::Last, refused),
        ("int8 weights are refused before the build", Variant::Int8, int8),
        ("an interrupted build leaves nothing behind", Variant::Last, interrupted),
    ];
    trials.extend(
        tests.into_iter().map(|(name, variant, test)| trial(name.to_owned(), variant, Box::new(test))),
    );
    trials.extend(narrowed::trials(&packages));
    trials
}

pub(crate) fn demo() -> Result<Golden, Failed> {
    let demo = Golden::all().into_iter().find(|golden| golden.name() == "demo");
    demo.ok_or_else(|| "there is no golden named demo".into())
}

fn options(package: &Package, architecture: u32) -> EngineOptions {
    EngineOptions {
        flavour: Flavour::TensorRtRtx,
        architectures: vec![architecture],
        op_set: OpSet::Dense,
        precision: None,
        shapes: EngineShapes {
            context: Span { min: 1, opt: 512, max: 1024 },
            ..EngineShapes::of(package.manifest())
        },
        workspace_bytes: None,
        library: None,
        plugins: None,
        force: false,
    }
}

fn build(package: &Package, options: &EngineOptions) -> Result<Vec<BuiltEngine>, EngineBuildError> {
    build_engines(package, options, &(Arc::new(Silent) as _), &Arc::new(AtomicBool::new(false)))
}

/// The engine has layers, the graph's inputs and outputs, and the profiles of its manifest.
fn inspected(package: &Package, architecture: u32) -> Result<(), Failed> {
    let built = build(package, &options(package, architecture))?;
    let [engine] = &built[..] else { return Err(format!("{} engines", built.len()).into()) };
    let opened = Engine::open(package, &engine.folder)?;
    ensure(opened.manifest() == &engine.manifest, "the manifest is read as it was written")?;
    ensure(Engine::folders(package)? == [engine.folder.clone()], "the package knows its engine")?;

    let description = engine.description.as_ref().ok_or("TensorRT did not describe the engine")?;
    let layers = description.layers();
    ensure(layers.len() > 10, format!("{} layers", layers.len()))?;
    let tensors: BTreeMap<String, DescribedTensor> =
        description.tensors().into_iter().map(|tensor| (tensor.name.clone(), tensor)).collect();
    let config = &package.manifest().model;
    let (kv_heads, head_dim) = (config.kv_heads() as i64, config.head_dim() as i64);
    let mut inputs = vec!["input_ids".to_owned(), "attention_mask".to_owned()];
    let mut outputs: Vec<String> =
        package.manifest().horizons.iter().map(|horizon| format!("predictions.h{horizon}")).collect();
    for layer in 0..config.layers() {
        for part in ["key", "value"] {
            inputs.push(format!("past_key_values.{layer}.{part}"));
            outputs.push(format!("present.{layer}.{part}"));
        }
    }
    if package.manifest().with_loss {
        inputs.extend(["labels", "loss_masks"].map(str::to_owned));
        outputs.extend(["loss", "ar_loss", "aux_loss"].map(str::to_owned));
    }
    for (names, is_input) in [(&inputs, true), (&outputs, false)] {
        for name in names {
            let tensor = tensors.get(name).ok_or_else(|| format!("the engine has no {name}"))?;
            ensure(tensor.is_input == is_input, format!("{name} is an input: {}", tensor.is_input))?;
        }
    }
    ensure(tensors.len() == inputs.len() + outputs.len(), format!("{:?}", tensors.keys()))?;
    // Least, usual and most: batch, sequence and past of the two profiles.
    let expected = [
        [[1, 1, 0], [1, 512, 0], [8, 1024, 0]],
        [[1, 1, 1], [1, 64, 512], [8, 64, config.max_positions() as i64 - 1]],
    ];
    for (index, sizes) in expected.into_iter().enumerate() {
        let shapes = |name: &str| {
            let profile = &tensors[name].profiles[index];
            [profile.min.clone(), profile.opt.clone(), profile.max.clone()]
        };
        let ids = sizes.map(|[batch, sequence, _]| vec![batch, sequence, 1]);
        let mask = sizes.map(|[batch, sequence, past]| vec![batch, past + sequence]);
        let cache = sizes.map(|[batch, _, past]| vec![batch, kv_heads, past, head_dim]);
        for (name, expected) in
            [("input_ids", ids), ("attention_mask", mask), ("past_key_values.0.key", cache)]
        {
            ensure(shapes(name) == expected, format!("profile {index} of {name}: {:?}", shapes(name)))?;
        }
    }
    Ok(())
}

fn kept(package: &Package) -> Result<(), Failed> {
    let once = options(package, 86);
    let first = build(package, &once)?;
    let error = build(package, &once).err().ok_or("an engine was replaced without force")?;
    ensure(error.to_string().contains("--force"), &error)?;
    let again = build(package, &EngineOptions { force: true, ..once })?;
    ensure(again[0].folder == first[0].folder, "it is the same folder")?;
    Engine::open(package, &again[0].folder)?;
    Ok(())
}

fn stale(package: &Package) -> Result<(), Failed> {
    let built = build(package, &options(package, 86))?;
    let path = package.path(files::MANIFEST);
    fs::write(&path, fs::read_to_string(&path)? + "\n")?;
    let error = Engine::open(package, &built[0].folder).err().ok_or("a stale engine was opened")?;
    ensure(matches!(error, EngineError::OtherPackage { .. }), &error)?;
    ensure(error.to_string().contains("tmoe-export engine"), &error)
}

fn refused(package: &Package) -> Result<(), Failed> {
    // TensorRT-RTX has no kernels for data-centre GPUs.
    let error = build(package, &options(package, 90)).err().ok_or("sm90 was built for")?;
    ensure(matches!(error, EngineBuildError::TensorRt(_)), &error)?;
    nothing_left(package)
}

fn precisions(package: &Package) -> Result<(), Failed> {
    let mut bytes = Vec::new();
    for precision in [Precision::Fp32, Precision::Bf16] {
        let options = EngineOptions { precision: Some(precision), force: true, ..options(package, 86) };
        let built = build(package, &options)?;
        ensure(built[0].manifest.precision == precision, "the manifest says the precision")?;
        bytes.push(built[0].manifest.engine.bytes);
    }
    // By half of the weights' bytes, give or take code.
    let weights = fs::metadata(package.path(files::WEIGHTS))?.len();
    ensure(bytes[0] > bytes[1] + weights / 4, format!("{bytes:?} bytes, weights {weights}"))
}

fn turing(package: &Package) -> Result<(), Failed> {
    let error = build(package, &options(package, 75)).err().ok_or("bfloat16 was taken for Turing")?;
    ensure(matches!(error, EngineBuildError::StoredBfloat16 { .. }), &error)?;
    let error = build(package, &EngineOptions { precision: Some(Precision::Int8), ..options(package, 86) });
    let error = error.err().ok_or("products of int8 were taken")?;
    ensure(matches!(error, EngineBuildError::NoInt8), &error)?;
    nothing_left(package)
}

fn workspace(package: &Package) -> Result<(), Failed> {
    let options = EngineOptions { workspace_bytes: Some(1 << 20), ..options(package, 86) };
    let error = build(package, &options).err().ok_or("a megabyte was enough")?;
    ensure(matches!(error, EngineBuildError::Workspace { .. }), &error)?;
    nothing_left(package)
}

fn int8(package: &Package) -> Result<(), Failed> {
    let error = build(package, &options(package, 86)).err().ok_or("int8 weights were taken")?;
    ensure(matches!(error, EngineBuildError::Int8 { .. }), &error)
}

fn interrupted(package: &Package) -> Result<(), Failed> {
    let cancelled = Arc::new(AtomicBool::new(true));
    let built = build_engines(package, &options(package, 86), &(Arc::new(Silent) as _), &cancelled);
    let error = built.err().ok_or("the build went on")?;
    ensure(matches!(error, EngineBuildError::Cancelled), &error)?;
    nothing_left(package)
}

fn nothing_left(package: &Package) -> Result<(), Failed> {
    let folder = package.path(files::ENGINES);
    let left = if folder.exists() { fs::read_dir(&folder)?.count() } else { 0 };
    ensure(left == 0, format!("{left} entries in {}", folder.display()))
}

pub(crate) fn ensure(holds: bool, otherwise: impl std::fmt::Display) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(otherwise.to_string().into()) }
}
