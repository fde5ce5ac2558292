//! The graph that engines of 16 bits are built from, computed where no GPU is needed.

use std::fs;
use std::sync::Arc;

use libtest_mimic::{Failed, Trial};
use ndarray::{ArrayD, Axis};
use tmoe_export::{Products, narrow};
use tmoe_onnx::Model;
use tmoe_package::{FileEntry, OpSet, Package, Precision, files, hash_file};
use tmoe_runner::{Provider, Session, Tensor};
use tmoe_tests::compare::{Expected, Tolerance};
use tmoe_tests::packages::{Packages, Variant};
use tmoe_tests::subject::Subject;

use crate::built::{demo, ensure};

/// No CPU provider multiplies bfloat16; its graph has the same casts to another type.
pub(crate) fn trials(packages: &Arc<Packages>) -> Vec<Trial> {
    let subject = Subject { provider: Provider::Tract, graph: OpSet::Dense };
    let packages = Arc::clone(packages);
    let name = format!("{subject}: products of float16 predict what those of float32 do");
    vec![Trial::test(name, move || narrowed(&packages.package(&demo()?, Variant::Last)?, subject))]
}

fn narrowed(package: &Package, subject: Subject) -> Result<(), Failed> {
    let exact = predictions(&subject.open(package)?)?;
    let path = package.graph_path(OpSet::Dense)?;
    let model = Model::decode(&fs::read(&path)?)?;
    let count = |model: &Model, operator: &str| {
        model.graph().node.iter().filter(|node| node.op_type() == operator).count()
    };
    let routers = package.manifest().model.layers();
    let limit = 2e-3;
    for (products, exempt) in [(Products::AllButRouter, routers), (Products::All, 0)] {
        let narrowed = narrow(&model, Precision::Fp16, products);
        // Two operands and the product.
        let casts = count(&narrowed, "Cast") - count(&model, "Cast");
        ensure(casts == 3 * (count(&model, "MatMul") - exempt), format!("{casts} casts"))?;
        let folder = tempfile::tempdir()?;
        let mut manifest = package.manifest().clone();
        for name in manifest.files.keys() {
            fs::copy(package.path(name), folder.path().join(name))?;
        }
        let name = path.file_name().and_then(|name| name.to_str()).ok_or("no name")?;
        let written = folder.path().join(name);
        narrowed.write(&written)?;
        let (sha256, bytes) = hash_file(&written)?;
        manifest.files.insert(name.to_owned(), FileEntry { bytes, sha256 });
        fs::write(folder.path().join(files::MANIFEST), manifest.to_json())?;
        let found = predictions(&subject.open(&Package::open(folder.path())?)?)?;
        let error = Expected::float(exact.clone()).error(found.view(), Tolerance::Norm(limit))?;
        ensure(error <= limit, format!("{products:?}: {error:e}, limit {limit:e}"))?;
        ensure(error > 1e-6, format!("{products:?}: {error:e}, so nothing was rounded"))?;
    }
    Ok(())
}

/// Of the longest head, for the golden's series.
fn predictions(session: &Session) -> Result<ArrayD<f32>, Failed> {
    let series = demo()?.matrix("series").insert_axis(Axis(2)).into_dyn();
    let outputs = session.run([("input_ids".to_owned(), series.into())].into())?;
    let name = outputs.keys().filter(|name| name.starts_with("predictions")).max();
    match name.and_then(|name| outputs.get(name)) {
        Some(Tensor::F32(values)) => Ok(values.clone()),
        other => Err(format!("{other:?} for predictions").into()),
    }
}
