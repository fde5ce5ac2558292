//! Packages with an engine for the GPU at hand, for what runs on the provider `engine`.

use tmoe_package::{OpSet, Package};

#[cfg(not(feature = "tensorrt"))]
pub(crate) fn with_engine(_: &Package, _: OpSet) -> Result<Package, String> {
    Err("the tests were built without the feature `tensorrt`".to_owned())
}

/// A copy of a package beside it, with an engine of one of its graphs: TensorRT's where that is installed, else TensorRT-RTX's.
#[cfg(feature = "tensorrt")]
pub(crate) fn with_engine(package: &Package, graph: OpSet) -> Result<Package, String> {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use tmoe_export::{EngineOptions, EngineShapes, Silent, build_engines};
    use tmoe_package::Flavour;
    use tmoe_tensorrt::{Library, compute_capability};

    use crate::packages;

    let copy = package.folder().with_extension(format!("engine-{graph}"));
    packages::copy(package.folder(), &copy).map_err(|error| error.to_string())?;
    let package = Package::open(&copy).map_err(|error| error.to_string())?;
    let has_tensorrt = Library::find(tmoe_tensorrt::Flavour::TensorRt).is_ok();
    let (major, minor) = compute_capability().map_err(|error| error.to_string())?;
    let options = EngineOptions {
        flavour: if has_tensorrt { Flavour::TensorRt } else { Flavour::TensorRtRtx },
        architectures: vec![major * 10 + minor],
        op_set: graph,
        precision: None,
        shapes: EngineShapes::of(package.manifest()),
        workspace_bytes: None,
        library: None,
        plugins: crate::subject::plugins().filter(|_| graph == OpSet::Plugin),
        force: true,
    };
    build_engines(&package, &options, &(Arc::new(Silent) as _), &Arc::new(AtomicBool::new(false)))
        .map_err(|error| error.to_string())?;
    Ok(package)
}
