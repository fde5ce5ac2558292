//! `weights.bin`: one file for all graphs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use tmoe_model::TensorName;
use tmoe_onnx::proto::DataLocation;
use tmoe_package::{OpSet, Precision, files};

use crate::view::{Exported, Place};

/// Alignment of small blobs: a cache line.
const LINE: u64 = 64;

pub(crate) fn one_file_without_waste(exported: &Exported) {
    let dense = exported.graph(OpSet::Dense).external();
    for (name, place) in exported.graph(OpSet::Standard).external() {
        let is_expert = name.contains(".experts.");
        assert!(is_expert || dense.get(name) == Some(&place), "{name} differs between the graphs");
    }
    for (name, place) in exported.graph(OpSet::Plugin).external() {
        assert_eq!(dense.get(name), Some(&place), "{name} differs between the graphs");
    }
    // The dense graph reads every blob as a whole, so its initializers are the file.
    let places: BTreeSet<Place> = dense.values().copied().collect();
    let mut end = 0;
    for place in &places {
        assert_eq!(place.offset % LINE, 0, "{place:?} is not aligned");
        assert!(place.offset >= end, "{place:?} overlaps what ends at {end}");
        assert!(place.offset - end < LINE, "{} unused bytes before {place:?}", place.offset - end);
        end = place.offset + place.length;
    }
    let size = fs::metadata(exported.package.path(files::WEIGHTS)).expect("a package has weights").len();
    assert_eq!(size, end);
    let stored: u64 = places.iter().map(|place| place.length).sum();
    assert_eq!(stored, weight_bytes(exported));
}

/// Bytes of the model's weights in the package's precision, tensor by tensor.
fn weight_bytes(exported: &Exported) -> u64 {
    let precision = exported.variant.options().precision;
    TensorName::with_shapes(exported.config())
        .map(|(name, shape)| {
            use TensorName::{Embed, EmbedGate, Head, Router, SharedExpertGate};
            let stays =
                matches!(name, Embed | EmbedGate | Router(_) | SharedExpertGate(_)) || shape.len() == 1;
            let elements = shape.iter().product::<usize>() as u64;
            match precision {
                Precision::Fp16 | Precision::Bf16 if !stays => elements * 2,
                // One scale for every output.
                Precision::Int8 if !stays && !matches!(name, Head(_)) => elements + shape[0] as u64 * 4,
                _ => elements * 4,
            }
        })
        .sum()
}

pub(crate) fn constants_are_small(exported: &Exported) {
    for graph in &exported.graphs {
        let inline: BTreeMap<&str, usize> = graph
            .model
            .graph()
            .initializer
            .iter()
            .filter(|tensor| tensor.data_location() != DataLocation::External)
            .map(|tensor| (tensor.name(), tensor.raw_data.as_ref().map_or(0, Vec::len)))
            .collect();
        for (name, bytes) in inline {
            assert!(bytes <= 1024, "{}: {name} has {bytes} bytes", graph.op_set);
        }
    }
}
