//! `FlashAttention` on queries, keys and values in tensors of their own and side by side, against attention in float64.

use libtest_mimic::Failed;
use ndarray::{ArrayD, IxDyn};
use tmoe_onnx::{AnyValue, DataType, Dim, F32, GraphBuilder, I64, Shape};
use tmoe_runner::{NamedTensors, Tensor};

use self::reference::{Case, Masking, assert_close};

#[path = "../../../crates/ops/src/cpu/flash_attention/reference.rs"]
mod reference;

/// What the inputs `q`, `k` and `v` hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Apart,
    KeyValue,
    All,
}

/// Rotary embedding of the cases: not the operator's default.
const THETA: f32 = 500.0;

/// Cases of one form, with heads that vectors divide and heads that they do not.
pub(crate) fn is_attention(form: Form) -> Result<(), Failed> {
    for head_dim in [6, 16, 32] {
        for (past, masking) in
            [(0, Masking::Nothing), (5, Masking::LeftPadding), (3, Masking::Holes), (0, Masking::Holes)]
        {
            for queries in if form == Form::All { vec![7] } else { vec![1, 7] } {
                let case = Case {
                    heads: 4,
                    kv_heads: 2,
                    head_dim,
                    theta: f64::from(THETA),
                    batch: 2,
                    queries,
                    sequence: 7,
                    past,
                    ..Case::default()
                };
                check(&case.fill(head_dim as u64 + 100 * past as u64, masking), form)?;
            }
        }
    }
    Ok(())
}

fn check(case: &Case, form: Form) -> Result<(), Failed> {
    let Case { heads, kv_heads, head_dim, batch, queries, sequence, past, .. } = *case;
    let (width, kv_width) = (heads * head_dim, kv_heads * head_dim);
    let model = super::model(|g| {
        let (width, kv_width) = (width as i64, kv_width as i64);
        let [q, k, v] = match form {
            Form::Apart => [Some(width), Some(kv_width), Some(kv_width)],
            Form::KeyValue => [Some(width), Some(2 * kv_width), None],
            Form::All => [Some(width + 2 * kv_width), None, None],
        };
        node(g, [q, k, v], [heads as i64, kv_heads as i64, head_dim as i64])
    });
    let (q, k, v) = ((&case.q[..], width), (&case.k[..], kv_width), (&case.v[..], kv_width));
    let rows = |points: usize, parts: &[(&[f32], usize)]| {
        let width = parts.iter().map(|&(_, width)| width).sum();
        tensor(&[batch, points, width], side_by_side(batch * points, parts))
    };
    let mut inputs: NamedTensors = match form {
        Form::Apart => super::named([
            ("q", rows(queries, &[q])),
            ("k", rows(sequence, &[k])),
            ("v", rows(sequence, &[v])),
        ]),
        Form::KeyValue => super::named([("q", rows(queries, &[q])), ("k", rows(sequence, &[k, v]))]),
        Form::All => super::named([("q", rows(sequence, &[q, k, v]))]),
    };
    let mask = ArrayD::from_shape_vec(IxDyn(&[batch, past + sequence]), case.mask.clone());
    let cache = [batch, kv_heads, past, head_dim];
    inputs.extend(super::named([
        ("past_key", tensor(&cache, case.past_key.clone())),
        ("past_value", tensor(&cache, case.past_value.clone())),
        ("attention_mask", Tensor::I64(mask.expect("a mask of every point"))),
    ]));

    let outputs = super::run(&model, inputs)?;
    let expected = case.expected();
    let found = |name: &str, shape: &[usize]| match &outputs[name] {
        Tensor::F32(values) if values.shape() == shape => Ok(values.iter().copied().collect::<Vec<f32>>()),
        other => Err(Failed::from(format!("{name} is {:?}, not {shape:?}", other.shape()))),
    };
    let present = [batch, kv_heads, past + sequence, head_dim];
    assert_close("y", &found("y", &[batch, queries, width])?, &expected.y, |i| expected.tolerance[i]);
    assert_close("present_key", &found("present_key", &present)?, &expected.present_key, |_| 1e-6);
    let value: Vec<f64> = expected.present_value.iter().map(|&value| f64::from(value)).collect();
    assert_close("present_value", &found("present_value", &present)?, &value, |_| 0.0);
    Ok(())
}

/// A node with inputs `q`, `k` and `v` of the given widths, where they are not left out.
pub(crate) fn node(
    g: &mut GraphBuilder,
    widths: [Option<i64>; 3],
    [heads, kv_heads, head_dim]: [i64; 3],
) -> AnyValue {
    let [q, k, v] = [("q", "queries", widths[0]), ("k", "sequence", widths[1]), ("v", "sequence", widths[2])]
        .map(|(name, points, width)| {
            let shape = [Dim::symbol("batch"), Dim::symbol(points), Dim::fixed(width?)];
            Some(g.input::<F32>(name, shape).any())
        });
    let cache = |rows| [Dim::symbol("batch"), Dim::fixed(kv_heads), Dim::symbol(rows), Dim::fixed(head_dim)];
    let past_key = g.input::<F32>("past_key", cache("past")).any();
    let past_value = g.input::<F32>("past_value", cache("past")).any();
    let mask = g.input::<I64>("attention_mask", [Dim::symbol("batch"), Dim::symbol("total")]).any();
    let y = [Dim::symbol("batch"), Dim::symbol("queries"), Dim::fixed(heads * head_dim)];
    let outputs = [Shape::from(y), cache("rows").into(), cache("rows").into()];
    let outputs = g.custom(
        "tmoe",
        "FlashAttention",
        &[q, k, v, Some(past_key), Some(past_value), Some(mask)],
        &[("num_heads", heads.into()), ("kv_num_heads", kv_heads.into()), ("rope_theta", THETA.into())],
        &outputs.map(|shape| (DataType::Float32, shape)),
    );
    g.output("present_key", outputs[1]);
    g.output("present_value", outputs[2]);
    outputs[0]
}

/// Rows of tensors side by side.
fn side_by_side(rows: usize, parts: &[(&[f32], usize)]) -> Vec<f32> {
    let row = |row: usize| parts.iter().flat_map(move |&(part, width)| &part[row * width..][..width]);
    (0..rows).flat_map(row).copied().collect()
}

fn tensor(shape: &[usize], values: Vec<f32>) -> Tensor {
    Tensor::F32(ArrayD::from_shape_vec(IxDyn(shape), values).expect("as many values as the shape has"))
}
