//! How many points the router sends to each expert: what the products of a pass depend on.

use std::fs;

use ndarray::{ArrayD, ArrayViewD, Axis, IxDyn};
use tmoe_onnx::Model;
use tmoe_onnx::proto::{ModelProto, ValueInfoProto};
use tmoe_runner::contract::{ATTENTION_MASK, INPUT_IDS};
use tmoe_runner::{NamedTensors, Port, ProviderOptions, RawModel, Session, Sizes, Tensor};

use super::points::Points;
use crate::Failure;

/// Points of each expert, [layers, experts]; no experts where the model is dense.
pub(super) type Routing = Vec<Vec<usize>>;

/// Where a prefill's points go, and where those of the decode after it. The session's graph runs once more for each, with
/// the router's scores as further outputs.
pub(super) fn prefill_and_decode(
    session: &Session,
    points: &Points,
    options: &ProviderOptions,
) -> Result<[Routing; 2], Failure> {
    let package = session.package();
    let config = &package.manifest().model;
    if config.use_dense() {
        return Ok([vec![Vec::new(); config.layers()], vec![Vec::new(); config.layers()]]);
    }
    let path = package.graph_path(session.graph())?;
    let failure = |reason: String| format!("{}: {reason}", path.display());
    let bytes = fs::read(&path).map_err(|error| failure(error.to_string()))?;
    let mut proto = Model::decode(&bytes).map_err(|error| failure(error.to_string()))?.proto();
    let names: Vec<String> = (0..config.layers()).map(scores).collect();
    add_outputs(&mut proto, &names);
    let model = Model::try_from(proto).map_err(|error| failure(error.to_string()))?.encode();
    let model = RawModel::from_bytes(&model, Some(package.folder()), session.provider(), options)?;

    let count = |first: usize, total: usize| -> Result<Routing, Failure> {
        let outputs = model.run(inputs(&model, points, total)?)?;
        let layer = |name: &String| match outputs.get(name) {
            Some(Tensor::F32(scores)) => {
                Ok(experts(scores.view(), [config.experts(), config.top_k()], points.batch, first))
            }
            _ => Err(failure(format!("it has no value `{name}`; export the package again")).into()),
        };
        names.iter().map(layer).collect()
    };
    // A point's scores depend on the points up to it alone: behind the context they are those of the decode.
    let (context, step) = (points.context, points.step);
    Ok([count(0, context)?, count(context, context + step)?])
}

/// The name of a layer's router scores in every graph: the exporter names values after the model.
fn scores(layer: usize) -> String {
    format!("/model/layers.{layer}/ffn_layer/router/Split/output_0")
}

fn add_outputs(model: &mut ModelProto, names: &[String]) {
    let Some(graph) = &mut model.graph else { return };
    for name in names {
        let declared = graph.value_info.iter().position(|value| value.name.as_deref() == Some(name.as_str()));
        graph.output.push(match declared {
            Some(index) => graph.value_info.swap_remove(index),
            None => ValueInfoProto { name: Some(name.clone()), ..ValueInfoProto::default() },
        });
    }
}

/// The first `total` points of every series; whatever else the graph takes is empty or zero.
fn inputs(model: &RawModel, points: &Points, total: usize) -> Result<NamedTensors, Failure> {
    let mask = ArrayD::<i64>::ones(IxDyn(&[points.batch, total]));
    let mut inputs = NamedTensors::from([
        (INPUT_IDS.to_owned(), Tensor::from(points.values(total, 0))),
        (ATTENTION_MASK.to_owned(), Tensor::from(mask)),
    ]);
    let signature = model.signature();
    let sizes = signature.check_given(&inputs)?;
    for port in &signature.inputs {
        if !inputs.contains_key(&port.name) {
            inputs.insert(port.name.clone(), zeros(port, &sizes));
        }
    }
    Ok(inputs)
}

fn zeros(port: &Port, sizes: &Sizes) -> Tensor {
    let shape: Vec<usize> = port.shape.iter().map(|dim| dim.eval(sizes).unwrap_or(0)).collect();
    match port.element_type {
        tmoe_runner::ElementType::I64 => ArrayD::<i64>::zeros(IxDyn(&shape)).into(),
        _ => Tensor::from(ArrayD::<f32>::zeros(IxDyn(&shape))).into_float(&port.element_type),
    }
}

/// Points of each expert, from scores of [points, experts]: of all points, or, where the pass computed more than one for each of
/// the `batch` series, of those from `first` on.
fn experts(
    scores: ArrayViewD<'_, f32>,
    [experts, top_k]: [usize; 2],
    batch: usize,
    first: usize,
) -> Vec<usize> {
    let rows = scores.len() / experts.max(1);
    let each = rows / batch.max(1);
    // The last layer of a graph that computes the last position only has one point of each series.
    let first = if each == 1 { 0 } else { first };
    let mut counts = vec![0; experts];
    for (row, scores) in scores.lanes(Axis(scores.ndim() - 1)).into_iter().enumerate() {
        if row % each.max(1) < first {
            continue;
        }
        let mut order: Vec<usize> = (0..experts).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        order.truncate(top_k);
        order.into_iter().for_each(|expert| counts[expert] += 1);
    }
    counts
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn every_point_counts_for_the_experts_of_its_largest_scores() {
        let scores = array![[3.0, 1.0, 2.0], [0.0, 5.0, 0.0], [1.0, 2.0, 3.0], [9.0, -1.0, 8.0]].into_dyn();
        assert_eq!(experts(scores.view(), [3, 1], 2, 0), [2, 1, 1]);
        assert_eq!(experts(scores.view(), [3, 2], 2, 0), [3, 2, 3]);
        // The second point of each of two series.
        assert_eq!(experts(scores.view(), [3, 1], 2, 1), [1, 1, 0]);
    }

    #[test]
    fn a_layer_that_computes_the_last_position_only_counts_it() {
        let scores = array![[3.0, 1.0], [0.0, 5.0]].into_dyn();
        assert_eq!(experts(scores.view(), [2, 1], 2, 512), [1, 1]);
    }
}
