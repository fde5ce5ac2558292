//! `FlashAttention` on queries, keys and values in tensors of their own and side by side, with a cache of every type, against
//! attention in float64.

use libtest_mimic::Failed;
use ndarray::{ArrayD, IxDyn};
use tmoe_onnx::{AnyValue, BF16, DataType, Dim, F16, F32, GraphBuilder, I64, Shape};
use tmoe_runner::{ElementType, NamedTensors, Tensor};

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

/// The types of a cache, and how many bits each has less than float32.
pub(crate) const CACHES: [(DataType, ElementType, u32); 3] = [
    (DataType::Float32, ElementType::F32, 0),
    (DataType::Float16, ElementType::F16, 13),
    (DataType::Bfloat16, ElementType::BF16, 16),
];

/// Rotary embedding of the cases: not the operator's default.
const THETA: f32 = 500.0;

/// Cases of one form, with heads that vectors divide and heads that they do not.
pub(crate) fn is_attention(form: Form) -> Result<(), Failed> {
    for head_dim in [6, 16, 32] {
        for (past, masking) in
            [(0, Masking::Nothing), (5, Masking::LeftPadding), (3, Masking::Holes), (0, Masking::Holes)]
        {
            let queries = if form == Form::All { vec![7] } else { vec![1, 7] };
            for (queries, cache) in
                queries.into_iter().flat_map(|queries| CACHES.map(|cache| (queries, cache)))
            {
                let case = Case {
                    heads: 4,
                    kv_heads: 2,
                    head_dim,
                    theta: f64::from(THETA),
                    batch: 2,
                    queries,
                    sequence: 7,
                    past,
                    cache_dropped_bits: cache.2,
                    ..Case::default()
                };
                check(&case.fill(head_dim as u64 + 100 * past as u64, masking), form, cache)?;
            }
        }
    }
    Ok(())
}

fn check(
    case: &Case,
    form: Form,
    (data_type, cache_type, _): (DataType, ElementType, u32),
) -> Result<(), Failed> {
    let Case { heads, kv_heads, head_dim, batch, queries, sequence, past, .. } = *case;
    let (width, kv_width) = (heads * head_dim, kv_heads * head_dim);
    let model = super::model(|g| {
        let (width, kv_width) = (width as i64, kv_width as i64);
        let [q, k, v] = match form {
            Form::Apart => [Some(width), Some(kv_width), Some(kv_width)],
            Form::KeyValue => [Some(width), Some(2 * kv_width), None],
            Form::All => [Some(width + 2 * kv_width), None, None],
        };
        node(g, [q, k, v], [heads as i64, kv_heads as i64, head_dim as i64], [data_type; 2])
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
        ("past_key", tensor(&cache, case.past_key.clone()).into_float(&cache_type)),
        ("past_value", tensor(&cache, case.past_value.clone()).into_float(&cache_type)),
        ("attention_mask", Tensor::I64(mask.expect("a mask of every point"))),
    ]));

    let outputs = super::run(&model, inputs)?;
    let expected = case.expected();
    let found = |name: &str, element_type: &ElementType, shape: &[usize]| {
        let found = &outputs[name];
        match found.to_f32() {
            Some(values) if values.shape() == shape && found.element_type() == *element_type => {
                Ok(values.iter().copied().collect::<Vec<f32>>())
            }
            _ => {
                let (found_type, found) = (found.element_type(), found.shape());
                Err(Failed::from(format!("{name} is {found_type} {found:?}, not {element_type} {shape:?}")))
            }
        }
    };
    let present = [batch, kv_heads, past + sequence, head_dim];
    assert_close("y", &found("y", &ElementType::F32, &[batch, queries, width])?, &expected.y, |i| {
        expected.tolerance[i]
    });
    assert_close("present_key", &found("present_key", &cache_type, &present)?, &expected.present_key, |i| {
        1e-6 + expected.key_doubt[i]
    });
    let value: Vec<f64> = expected.present_value.iter().map(|&value| f64::from(value)).collect();
    assert_close("present_value", &found("present_value", &cache_type, &present)?, &value, |_| 0.0);
    Ok(())
}

/// A node with inputs `q`, `k` and `v` of the given widths, where they are not left out, and the types of past keys and values.
pub(crate) fn node(
    g: &mut GraphBuilder,
    widths: [Option<i64>; 3],
    [heads, kv_heads, head_dim]: [i64; 3],
    [key_type, value_type]: [DataType; 2],
) -> AnyValue {
    let [q, k, v] = [("q", "queries", widths[0]), ("k", "sequence", widths[1]), ("v", "sequence", widths[2])]
        .map(|(name, points, width)| {
            let shape = [Dim::symbol("batch"), Dim::symbol(points), Dim::fixed(width?)];
            Some(g.input::<F32>(name, shape).any())
        });
    let cache = |rows| [Dim::symbol("batch"), Dim::fixed(kv_heads), Dim::symbol(rows), Dim::fixed(head_dim)];
    let past = [("past_key", key_type), ("past_value", value_type)];
    let [past_key, past_value] = past.map(|(name, data_type)| match data_type {
        DataType::Float16 => g.input::<F16>(name, cache("past")).any(),
        DataType::Bfloat16 => g.input::<BF16>(name, cache("past")).any(),
        _ => g.input::<F32>(name, cache("past")).any(),
    });
    let mask = g.input::<I64>("attention_mask", [Dim::symbol("batch"), Dim::symbol("total")]).any();
    let y = [Dim::symbol("batch"), Dim::symbol("queries"), Dim::fixed(heads * head_dim)];
    let outputs: [(DataType, Shape); 3] =
        [(DataType::Float32, y.into()), (key_type, cache("rows").into()), (key_type, cache("rows").into())];
    let outputs = g.custom(
        "tmoe",
        "FlashAttention",
        &[q, k, v, Some(past_key), Some(past_value), Some(mask)],
        &[("num_heads", heads.into()), ("kv_num_heads", kv_heads.into()), ("rope_theta", THETA.into())],
        &outputs,
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
