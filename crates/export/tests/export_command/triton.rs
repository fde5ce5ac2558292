//! `tmoe-export triton`: the repository, and what is refused. What is in it is checked by the tests of the workspace.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::tempdir;
use tmoe_package::{Engine, EngineManifest, FileEntry, Flavour, OpSet, Precision, Profile, Span, Tool};

use crate::checkpoints::{golden, package};
use crate::outcome::entries;
use crate::{arguments, run};

#[test]
fn the_repository_has_one_folder_the_model_and_nothing_beside_it() {
    let folder = tempdir().unwrap();
    let package = package(folder.path());
    let repository = folder.path().join("repository");
    let printed = run(arguments!["triton", package, "--output", repository]).success();
    assert_eq!(printed.lines().count(), 1, "{printed}");
    assert!(printed.contains("model package"), "{printed}");
    assert_eq!(entries(folder.path()), ["package", "repository"]);
    assert_eq!(
        entries(&repository),
        ["README.md", "client.py", "kserve.yaml", "kubernetes.yaml", "package", "repository.json"]
    );
    assert_eq!(entries(&repository.join("package")), ["1", "config.pbtxt", "warmup"]);
    assert_eq!(entries(&repository.join("package/1")), ["model.onnx", "weights.bin"]);
    for file in ["model.onnx", "weights.bin"] {
        let [there, here] =
            [repository.join("package/1"), package.clone()].map(|at| fs::read(at.join(file)).unwrap());
        assert!(there == here, "{file} differs");
    }
    let text = fs::read_to_string(repository.join("README.md")).unwrap();
    for mark in ["{name}", "{server_path}", "{kserve}", "{operators}", "{cache_bytes}", "{preload}"] {
        assert!(!text.contains(mark), "{mark} is left in:\n{text}");
    }
}

#[test]
fn options_come_into_the_configuration_and_the_manifests() {
    let folder = tempdir().unwrap();
    let package = package(folder.path());
    let repository = folder.path().join("repository");
    let mut arguments =
        arguments!["triton", package, "-o", repository, "--name", "Demo.v1", "--graph", "dense"].to_vec();
    arguments.extend(arguments![
        "--max-batch-size",
        "6",
        "--preferred-batch-size",
        "2,3",
        "--max-queue-delay",
        "70"
    ]);
    arguments.extend(arguments![
        "--device",
        "gpu",
        "--instances",
        "2",
        "--image",
        "host:5000/triton:1",
        "--json"
    ]);
    arguments.extend(arguments!["--storage-uri", "pvc://claim/below", "--server-path", "/models"]);
    let report: Value = serde_json::from_str(&run(arguments).success()).unwrap();
    assert_eq!(report["model"], "Demo.v1");
    assert_eq!(report["graph"], "dense");
    assert_eq!(report["warm_up"], json!(["prefill", "decode", "padded"]));
    assert_eq!(report["inputs"][0], "input_ids");
    let read = |file: &str| fs::read_to_string(repository.join(file)).unwrap();
    let holds = |file: &str, parts: &[&str]| {
        let text = read(file);
        for part in parts {
            assert!(text.contains(part), "{part} is missing in {file}:\n{text}");
        }
    };
    let config = ["max_batch_size: 6", "[ 2, 3 ]", "max_queue_delay_microseconds: 70", "KIND_GPU count: 2"];
    holds("Demo.v1/config.pbtxt", &config);
    let placed =
        ["image: \"host:5000/triton:1\"", "name: demo-v1", "claimName: \"claim\"", "subPath: \"below\""];
    holds("kubernetes.yaml", &placed);
    holds("kubernetes.yaml", &["mountPath: \"/models\"", "nvidia.com/gpu", "NVIDIA_TF32_OVERRIDE"]);
    holds("kserve.yaml", &["storageUri: \"pvc://claim/below\"", "runtimeVersion: \"1\""]);
}

#[test]
fn what_exists_is_kept_without_force_and_only_a_repository_is_replaced_with_it() {
    let folder = tempdir().unwrap();
    let package = package(folder.path());
    let repository = folder.path().join("repository");
    run(arguments!["triton", package, "-o", repository]).success();
    run(arguments!["triton", package, "-o", repository]).failure(&["repository exists", "--force"]);
    run(arguments!["triton", package, "-o", repository, "--name", "other", "--force"]).success();
    assert!(repository.join("other").is_dir() && !repository.join("package").exists());
    run(arguments!["triton", package, "-o", package, "--force"]).failure(&["is not replaced"]);
    run(arguments!["inspect", package]).success();
    assert_eq!(entries(folder.path()), ["package", "repository"]);
}

#[test]
fn names_and_paths_that_a_server_would_not_take_are_refused() {
    let folder = tempdir().unwrap();
    let package = package(folder.path());
    let repository = folder.path().join("repository");
    for (option, value) in [
        ("--name", "../x"),
        ("--name", ""),
        ("--name", "a b"),
        ("--server-path", "models"),
        ("--image", "a\nb"),
        ("--storage-uri", "pvc://\""),
    ] {
        let argument = if option == "--name" { "--name" } else { option };
        run(arguments!["triton", package, "-o", repository, option, value]).failure(&[argument]);
    }
    run(arguments!["triton", package, "-o", repository, "--preferred-batch-size", "9"])
        .failure(&["--preferred-batch-size 9", "8"]);
    run(arguments!["triton", package, "-o", repository, "--max-batch-size", "0"])
        .usage_error(&["--max-batch-size"]);
    assert_eq!(entries(folder.path()), ["package"]);
}

#[test]
fn a_package_with_losses_is_refused_because_they_cannot_be_batched() {
    let folder = tempdir().unwrap();
    let package = folder.path().join("package");
    run(arguments!["onnx", golden("dense"), "-o", package, "--with-loss"]).success();
    run(arguments!["triton", package, "-o", folder.path().join("repository")])
        .failure(&["--with-loss", "again"]);
}

#[test]
fn the_graph_plugin_has_its_operators_copied_and_named_as_the_server_sees_them() {
    let folder = tempdir().unwrap();
    let package = package(folder.path());
    let repository = folder.path().join("repository");
    let library = folder.path().join("libtmoe_ops.so");
    let plugin = || arguments!["triton", package, "-o", repository, "--graph", "plugin"].to_vec();
    run(plugin()).failure(&["--operators", "cargo build --release -p tmoe-ops"]);
    let with = |extra: &[&str]| {
        let mut arguments = plugin();
        arguments.extend(arguments!["--operators", library, "--name", "demo"]);
        arguments.extend(extra.iter().map(Into::into));
        run(arguments)
    };
    with(&[]).failure(&["cannot read", "libtmoe_ops.so"]);
    fs::write(&library, "no library").unwrap();
    with(&[]).failure(&["libtmoe_ops.so", "RegisterCustomOps"]);
    fs::write(&library, "…RegisterCustomOps…").unwrap();
    with(&[]).success();
    assert_eq!(entries(&repository.join("demo/1")), ["libtmoe_ops.so", "model.onnx", "weights.bin"]);
    let config = || fs::read_to_string(repository.join("demo/config.pbtxt")).unwrap();
    assert!(config().contains(r#"op_library_filename: "/mnt/models/demo/1/libtmoe_ops.so""#), "{}", config());
    // KServe would not find them where another server does.
    with(&["--server-path", "/models/", "--force"]).success();
    assert!(config().contains(r#"op_library_filename: "/models/demo/1/libtmoe_ops.so""#), "{}", config());
    assert!(!repository.join("kserve.yaml").exists());
    assert!(fs::read_to_string(repository.join("README.md")).unwrap().contains("There is no `kserve.yaml`"));
    let standard = arguments!["triton", package, "-o", folder.path().join("x"), "--operators", library];
    run(standard).failure(&["--operators", "the graph standard needs none"]);
}

/// Puts an engine into a package as `tmoe-export engine` does, of bytes that no test loads.
fn put_engine(
    package: &Path,
    flavour: Flavour,
    version: &str,
    architecture: u32,
    batch: Span,
    op_set: OpSet,
) {
    let folder = package.join("engines").join(Engine::folder_name(flavour, version, architecture));
    fs::create_dir_all(&folder).unwrap();
    let bytes = format!("an engine for {architecture}");
    let opened = tmoe_package::Package::open(package).unwrap();
    let context = Span { min: 1, opt: 512, max: 2048 };
    let manifest = EngineManifest {
        schema: EngineManifest::SCHEMA,
        tool: Tool { name: "test".to_owned(), version: "1".to_owned() },
        package: tmoe_package::hash_file(&package.join("manifest.json")).unwrap().0,
        flavour,
        version: version.to_owned(),
        architecture,
        op_set,
        precision: Precision::Fp32,
        profiles: Profile::prefill_and_decode(opened.manifest(), batch, context).to_vec(),
        plugins: None,
        engine: FileEntry { bytes: bytes.len() as u64, sha256: tmoe_package::hash_bytes(bytes.as_bytes()) },
    };
    fs::write(folder.join("model.engine"), bytes).unwrap();
    fs::write(folder.join("engine.json"), manifest.to_json()).unwrap();
}

const FOUR: Span = Span { min: 1, opt: 1, max: 4 };

#[test]
fn engines_become_plans_by_compute_capability() {
    let folder = tempdir().unwrap();
    let package = package(folder.path());
    for architecture in [86, 90] {
        put_engine(&package, Flavour::TensorRt, "10.16.0", architecture, FOUR, OpSet::Dense);
    }
    put_engine(&package, Flavour::TensorRtRtx, "1.7.1", 86, FOUR, OpSet::Dense);
    let repository = folder.path().join("repository");
    run(arguments!["triton", package, "-o", repository, "--backend", "tensorrt", "--name", "demo"]).success();
    assert_eq!(entries(&repository.join("demo/1")), ["model.sm86.plan", "model.sm90.plan"]);
    assert_eq!(fs::read_to_string(repository.join("demo/1/model.sm90.plan")).unwrap(), "an engine for 90");
    let config = fs::read_to_string(repository.join("demo/config.pbtxt")).unwrap();
    for line in [
        r#"platform: "tensorrt_plan""#,
        r#"cc_model_filenames { key: "8.6" value: "model.sm86.plan" }"#,
        r#"cc_model_filenames { key: "9.0" value: "model.sm90.plan" }"#,
        r#"instance_group [ { kind: KIND_GPU count: 1 profile: [ "0", "1" ] } ]"#,
        "max_batch_size: 4",
    ] {
        assert!(config.contains(line), "{line} is missing in:\n{config}");
    }
}

#[test]
fn engines_that_a_server_could_not_load_are_refused_with_the_reason() {
    let folder = tempdir().unwrap();
    let package = package(folder.path());
    let repository = folder.path().join("repository");
    let triton = |extra: &[&str]| {
        let mut arguments = arguments!["triton", package, "-o", repository, "--backend", "tensorrt"].to_vec();
        arguments.extend(extra.iter().map(Into::into));
        run(arguments)
    };
    triton(&[]).failure(&["no TensorRT engine", "--flavour tensorrt"]);
    triton(&["--graph", "dense"]).failure(&["--graph"]);
    put_engine(&package, Flavour::TensorRtRtx, "1.7.1", 86, FOUR, OpSet::Dense);
    triton(&[]).failure(&["TensorRT-RTX only", "--flavour tensorrt"]);
    put_engine(&package, Flavour::TensorRt, "10.16.0", 86, FOUR, OpSet::Dense);
    triton(&["--max-batch-size", "5"]).failure(&["5", "4", "--batch"]);
    triton(&["--device", "cpu"]).failure(&["GPUs only"]);
    put_engine(&package, Flavour::TensorRt, "10.17.0", 86, FOUR, OpSet::Dense);
    triton(&[]).failure(&["10.16.0, 10.17.0", "--tensorrt-version"]);
    triton(&["--tensorrt-version", "10.1"]).failure(&["10.1;", "10.16.0, 10.17.0"]);
    let two = Span { min: 1, opt: 1, max: 2 };
    put_engine(&package, Flavour::TensorRt, "10.17.0", 90, two, OpSet::Dense);
    triton(&["--tensorrt-version", "10.17.0"]).failure(&["shapes", "sm86", "sm90"]);
    triton(&["--tensorrt-version", "10.16.0"]).success();
    fs::write(package.join("engines/tensorrt-10.16.0-sm86/model.engine"), "changed").unwrap();
    triton(&["--tensorrt-version", "10.16.0", "--force"]).failure(&["was changed"]);
}

#[cfg(unix)]
#[test]
fn a_full_disk_leaves_nothing() {
    use crate::outcome::{Outcome, on_a_full_disk};

    let folder = tempdir().unwrap();
    let package = package(folder.path());
    let before = entries(folder.path());
    let mut command = on_a_full_disk(crate::PROGRAM, 1);
    command.args(arguments!["triton", package, "-o", folder.path().join("repository")]);
    Outcome::of(&mut command).failure(&["cannot write", "repository", "was not written"]);
    assert_eq!(entries(folder.path()), before);
}
