//! One model per version of ai.onnx in which every operator of the builder occurs.
//!
//! The models stay in the target folder's `tmp`, where the ONNX checker and a runtime can look at them.

use std::fs;
use std::path::Path;

use tmoe_onnx::{
    AnyValue, AttentionMask, AttentionOptions, Bool, Dim, ExternalWriter, F16, F32, GeluApproximation,
    GraphBuilder, I32, I64, KvCache, Model, ModelMetadata, OPSETS, Reduction, RotaryOptions, U8, Value,
    ir_version_of_opset, shape,
};

/// Everything that was built, to be made outputs in the end.
struct Outputs(Vec<AnyValue>);

impl Outputs {
    fn keep(&mut self, values: impl IntoIterator<Item = impl Into<AnyValue>>) {
        self.0.extend(values.into_iter().map(Into::into));
    }
}

struct Inputs {
    /// [batch, sequence, 8], positive.
    x: Value<F32>,
    /// [batch, 2, sequence, 4].
    heads: Value<F32>,
    /// [batch, 2, past, 4].
    past: Value<F32>,
    /// [batch, sequence], 0 to 3.
    ids: Value<I64>,
    /// [batch, sequence].
    mask: Value<Bool>,
}

fn elementwise(g: &mut GraphBuilder, i: &Inputs, out: &mut Outputs) {
    let x = i.x;
    let half = g.const_float::<F32>(0.5);
    let row = g.const_tensor::<F32>(&[8], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    out.keep([g.add(x, half), g.sub(x, row), g.mul(row, x), g.div(x, row), g.min(x, half), g.max(x, half)]);
    out.keep([g.neg(x), g.abs(x), g.sign(x), g.relu(x), g.sqrt(x), g.reciprocal(x), g.sin(x), g.cos(x)]);
    out.keep([g.exp(x), g.log(x), g.erf(x), g.sigmoid(x), g.tanh(x), g.floor(x), g.ceil(x), g.round(x)]);
    let one = g.const_scalar_f32(1.0);
    out.keep([g.pow(x, half), g.clip(x, half, one), g.identity(x)]);
    let three = g.const_scalar_i64(3);
    out.keep([g.modulo(i.ids, three), g.pow(i.ids, three), g.neg(i.ids)]);
    let half_precision = g.cast::<F16>(x);
    let integers = g.cast::<I32>(x);
    let bytes = g.cast::<U8>(i.mask);
    out.keep([half_precision.any(), integers.any(), bytes.any()]);
}

fn compare(g: &mut GraphBuilder, i: &Inputs, out: &mut Outputs) {
    let half = g.const_scalar_f32(0.5);
    let (low, high) = (g.less(i.x, half), g.greater(i.x, half));
    out.keep([low, high, g.less_or_equal(i.x, half), g.greater_or_equal(i.x, half), g.equal(i.x, half)]);
    out.keep([g.and(low, high), g.or(low, high), g.xor(low, high), g.not(low), g.is_nan(i.x)]);
    out.keep([g.where_(low, i.x, half)]);
}

fn reduce(g: &mut GraphBuilder, i: &Inputs, out: &mut Outputs) {
    out.keep([g.reduce_sum(i.x, &[-1], true), g.reduce_mean(i.x, &[0, 2], false)]);
    out.keep([g.reduce_max(i.x, &[1], false), g.reduce_min(i.x, &[], false), g.reduce_sum(i.x, &[], true)]);
    out.keep([g.reduce_sum(i.ids, &[1], false)]);
}

fn shapes(g: &mut GraphBuilder, i: &Inputs, out: &mut Outputs) {
    let (batch, sequence, past) = (Dim::symbol("batch"), Dim::symbol("sequence"), Dim::symbol("past"));
    let split = g.reshape(i.x, shape![&batch, &sequence, 2, 4]);
    let tokens = g.reshape(i.x, shape!["tokens", 8]);
    let product = g.reshape(i.x, shape![batch.clone() * sequence.clone(), 8]);
    let sizes = g.shape_of(i.x, ..);
    let back = g.reshape_to(tokens, sizes, shape![&batch, &sequence, 8]);
    out.keep([split, tokens, product, back]);
    let empty = g.const_tensor::<F32>(&[2, 0], &[]);
    out.keep([g.reshape(empty, [0, 3])]);
    let column = g.reduce_sum(i.x, &[-1], true);
    let first = g.shape_of(i.heads, ..=1);
    let rest = g.shape_of(i.heads, 2..);
    let scalar = g.const_scalar_f32(2.0);
    let all = g.concat(&[first, rest], 0);
    out.keep([g.expand(column, shape![3, &batch, &sequence, 5])]);
    out.keep([g.expand_to(scalar, all, shape![&batch, 2, &sequence, 4])]);
    let wide = g.unsqueeze(i.x, &[0, -1]);
    out.keep([wide, g.squeeze(wide, &[-1, 0])]);
    out.keep([g.transpose(i.heads, &[0, 2, 1, 3]), g.concat(&[i.past, i.heads], 2), g.tile(i.x, &[1, 2, 3])]);
    out.keep(g.split(i.x, -1, &[1, 3, 4]));
    let end = i64::MAX;
    out.keep([g.slice(i.x, &[1, 0], &[end, 8], &[1, 2], &[1, 3]), g.slice(i.x, &[-1], &[end], &[1], &[1])]);
    out.keep([g.slice(i.x, &[0], &[-1], &[1], &[1]), g.slice(i.x, &[-1], &[i64::MIN], &[2], &[-1])]);
    let (start, length) = (g.shape_of(i.past, 2..3), g.shape_of(i.heads, 2..3));
    let stop = g.add(start, length);
    let long = g.concat(&[i.past, i.heads], 2);
    out.keep([g.slice_to(long, start, stop, &[2], &[1], shape![&batch, 2, &sequence, 4])]);
    out.keep([g.pad(i.x, &[0, 2, 1], &[0, 1, -1], 0.25)]);
    let zero = g.const_scalar_i64(0);
    let one = g.const_scalar_i64(1);
    let total = g.squeeze(stop, &[0]);
    let positions = g.range(zero, total, one, past.clone() + sequence.clone());
    out.keep([positions, g.cumsum(i.ids, 1, false, false), g.cumsum(i.ids, -1, true, true)]);
    out.keep([g.constant_of_shape::<F32>(sizes, shape![&batch, &sequence, 8], 1.5)]);
}

fn index(g: &mut GraphBuilder, i: &Inputs, out: &mut Outputs) {
    let table = g.const_tensor::<F32>(&[4, 3], &[0., 1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 11.]);
    out.keep([g.gather(table, i.ids, 0)]);
    let last = g.const_scalar_i64(-1);
    out.keep([g.gather(i.x, last, 1)]);
    let (values, indices) = g.top_k(i.x, 2, -1, true, true);
    out.keep([values.any(), indices.any(), g.gather_elements(i.x, indices, -1).any()]);
    out.keep([g.scatter_elements(i.x, indices, values, -1, Reduction::Add)]);
    let hits = g.nonzero(i.mask, Dim::symbol("hits"));
    let places = g.transpose(hits, &[1, 0]);
    let rows = g.gather_nd(i.x, places, 0);
    out.keep([rows, g.scatter_nd(i.x, places, rows, Reduction::Add)]);
    out.keep([g.scatter_nd(i.x, places, rows, Reduction::None)]);
    if g.opset() >= 18 {
        out.keep([g.scatter_nd(i.x, places, rows, Reduction::Max)]);
        out.keep([g.scatter_elements(i.x, indices, values, -1, Reduction::Min)]);
    }
    let firsts = first_positions(g, i);
    out.keep([hits, places, g.gather_nd(i.ids, firsts, 1)]);
    out.keep([g.one_hot::<F32, _>(i.ids, 4, 0.0, 1.0, -1)]);
    out.keep([g.trilu(i.x, true, 0), g.trilu(i.heads, false, 1)]);
}

/// Zeros [batch, sequence, 1]: positions of the first step.
fn first_positions(g: &mut GraphBuilder, i: &Inputs) -> Value<I64> {
    let zero = g.const_scalar_i64(0);
    let zeros = g.mul(i.ids, zero);
    g.unsqueeze(zeros, &[-1])
}

fn linear(g: &mut GraphBuilder, i: &Inputs, up: Value<F32>, out: &mut Outputs) {
    let wide = g.matmul(i.x, up);
    let flipped = g.transpose(i.heads, &[0, 1, 3, 2]);
    out.keep([wide, g.matmul(i.heads, flipped)]);
    let tokens = g.reshape(i.x, shape!["tokens", 8]);
    let bias = g.const_tensor::<F32>(&[16], &[0.5; 16]);
    let down = g.transpose(up, &[1, 0]);
    out.keep([g.gemm(tokens, up, Some(bias), false, false), g.gemm(tokens, down, None, false, true)]);
    out.keep([g.einsum("bhqd,bhkd->bhqk", &[i.heads, i.heads])]);
}

fn nn(g: &mut GraphBuilder, i: &Inputs, out: &mut Outputs) {
    out.keep([g.softmax(i.x, -1)]);
    if g.opset() >= 20 {
        out.keep([g.gelu(i.x, GeluApproximation::None), g.gelu(i.x, GeluApproximation::Tanh)]);
    }
    if g.opset() < 23 {
        return;
    }
    let scale = g.const_tensor::<F32>(&[8], &[2.0; 8]);
    out.keep([g.rms_normalization(i.x, scale, 1e-6, -1)]);
    let cos = g.const_tensor::<F32>(&[8, 2], &[0.25; 16]);
    let sin = g.const_tensor::<F32>(&[8, 2], &[0.75; 16]);
    out.keep([g.rotary_embedding(i.heads, cos, sin, Some(i.ids), RotaryOptions::default())]);
    let three = RotaryOptions { num_heads: Some(2), ..RotaryOptions::default() };
    let per_step = g.gather(cos, i.ids, 0);
    out.keep([g.rotary_embedding(i.x, per_step, per_step, None, three)]);

    let cache = KvCache { key: i.past, value: i.past };
    let with_cache = g.attention(i.heads, i.heads, i.heads, None, Some(cache), AttentionOptions::default());
    out.keep([with_cache.y]);
    out.keep(with_cache.present.into_iter().flat_map(|present| [present.key, present.value]));
    let row = g.unsqueeze(i.mask, &[1, 2]);
    let column = g.unsqueeze(i.mask, &[1, 3]);
    let pairs = g.or(row, column);
    let options = AttentionOptions {
        q_num_heads: Some(4),
        kv_num_heads: Some(2),
        scale: Some(0.5),
        ..AttentionOptions::default()
    };
    let narrow = g.split(i.x, -1, &[4, 4]);
    let grouped = g.attention(i.x, narrow[0], narrow[1], Some(AttentionMask::Visible(pairs)), None, options);
    let added = g.cast::<F32>(pairs);
    let plain = AttentionOptions { is_causal: true, ..AttentionOptions::default() };
    let added = AttentionMask::Added(added.any());
    let causal = g.attention(i.heads, i.heads, i.heads, Some(added), None, plain);
    out.keep([grouped.y, causal.y]);
}

fn build(opset: i64, folder: &Path) -> Model {
    let mut writer =
        ExternalWriter::new("weights.bin", fs::File::create(folder.join("weights.bin")).unwrap());
    let data: Vec<f32> = (0..8 * 16).map(|n| n as f32 / 64.0 - 1.0).collect();
    writer.write("padding", &[1; 3]).unwrap();
    let place = writer.write("up", bytemuck::cast_slice(&data)).unwrap();
    writer.finish().unwrap();

    let mut g = GraphBuilder::new("every_operator", opset);
    let inputs = Inputs {
        x: g.input("x", shape!["batch", "sequence", 8]),
        heads: g.input("heads", shape!["batch", 2, "sequence", 4]),
        past: g.input("past", shape!["batch", 2, "past", 4]),
        ids: g.input("ids", shape!["batch", "sequence"]),
        mask: g.input("mask", shape!["batch", "sequence"]),
    };
    let up = g.external("up", &[8, 16], place);
    let mut out = Outputs(Vec::new());
    g.push("model");
    g.scoped("elementwise", |g| elementwise(g, &inputs, &mut out));
    g.scoped("compare", |g| compare(g, &inputs, &mut out));
    g.scoped("reduce", |g| reduce(g, &inputs, &mut out));
    g.scoped("shapes", |g| shapes(g, &inputs, &mut out));
    g.scoped("index", |g| index(g, &inputs, &mut out));
    g.scoped("linear", |g| linear(g, &inputs, up, &mut out));
    g.scoped("nn", |g| nn(g, &inputs, &mut out));
    g.pop();
    for (number, value) in out.0.into_iter().enumerate() {
        g.output(format!("output.{number}"), value);
    }
    g.output("weights", up);
    g.output("same_weights", up);
    g.finish(ModelMetadata {
        producer_name: "every_operator".into(),
        producer_version: "1".into(),
        doc: "Every operator of the builder.".into(),
        properties: vec![("purpose".into(), "test".into())],
    })
    .unwrap_or_else(|error| panic!("opset {opset}: {error}"))
}

#[test]
fn every_operator_builds_in_every_supported_opset_and_survives_encoding() {
    for opset in OPSETS {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("every-operator-{opset}"));
        fs::create_dir_all(&folder).unwrap();
        let model = build(opset, &folder);
        model.write(folder.join("model.onnx")).unwrap();

        let read = Model::decode(&fs::read(folder.join("model.onnx")).unwrap()).unwrap();
        assert_eq!(read, model);
        assert_eq!(read.opset(""), Some(opset));
        assert_eq!(read.proto().ir_version, ir_version_of_opset(opset));
        let places = read.external_tensors().unwrap();
        assert_eq!(places.len(), 1);
        assert_eq!((places[0].0.as_str(), places[0].1.offset, places[0].1.length), ("up", 64, 512));
    }
}
