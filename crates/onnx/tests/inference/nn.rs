//! Normalisation, attention, and the versions that brought them.

use tmoe_onnx::{
    AttentionMask, AttentionOptions, Bool, Dim, F16, F32, GeluApproximation, GraphBuilder, I64, KvCache,
    OpProblem, Reduction, RotaryOptions, Shape, Value, shape,
};

use crate::{graph, problem};

#[test]
fn rms_normalization_takes_the_type_of_its_scale() {
    let (mut g, [x]) = graph([shape!["batch", "sequence", 8]]);
    let scale = g.input::<F16>("scale", [8]);
    let y: Value<F16> = g.rms_normalization(x, scale, 1e-6, -1);
    assert_eq!(g.shape(y), g.shape(x));
    let wrong = problem([shape!["n", 8], shape![4]], |g, [x, scale]| g.rms_normalization(x, scale, 1e-6, -1));
    assert!(matches!(wrong, OpProblem::Broadcast { .. }), "{wrong}");
    let wide = problem([shape!["n", 1], shape![4]], |g, [x, scale]| g.rms_normalization(x, scale, 1e-6, -1));
    assert!(matches!(wide, OpProblem::Shape { .. }), "{wide}");
}

#[test]
fn rotary_tables_cover_half_of_the_rotated_features() {
    let x = || shape!["batch", 2, "sequence", 8];
    let (mut g, [x4, cos, per_step]) = graph([x(), shape![4096, 4], shape!["batch", "sequence", 3]]);
    let ids = g.input::<I64>("ids", shape!["batch", "sequence"]);
    let y = g.rotary_embedding(x4, cos, cos, Some(ids), RotaryOptions::default());
    assert_eq!(g.shape(y), &x());
    let partial = RotaryOptions { rotary_dim: Some(6), ..RotaryOptions::default() };
    g.rotary_embedding(x4, per_step, per_step, None, partial);
    assert_eq!(g.error(), None);

    let narrow = problem([x(), shape!["batch", "sequence", 8]], |g, [x, table]| {
        g.rotary_embedding(x, table, table, None, RotaryOptions::default())
    });
    assert!(matches!(narrow, OpProblem::Shape { what: "the cosines", .. }), "{narrow}");
    let odd = problem([x(), x()], |g, [x, table]| {
        let odd = RotaryOptions { rotary_dim: Some(3), ..RotaryOptions::default() };
        g.rotary_embedding(x, table, table, None, odd)
    });
    assert_eq!(odd.to_string(), "the number of rotated features is 3, expected even");
    let flat = problem([shape!["batch", "sequence", 16], x()], |g, [x, table]| {
        g.rotary_embedding(x, table, table, None, RotaryOptions::default())
    });
    assert!(flat.to_string().contains("number of heads is not given"), "{flat}");
}

#[test]
fn attention_appends_to_its_cache() {
    let (mut g, [q, k, past]) = graph([
        shape!["batch", "sequence", 32],
        shape!["batch", "sequence", 16],
        shape!["batch", 2, "past", 8],
    ]);
    let mask = g
        .input::<Bool>("mask", shape!["batch", 1, "sequence", Dim::symbol("past") + Dim::symbol("sequence")]);
    let options =
        AttentionOptions { q_num_heads: Some(4), kv_num_heads: Some(2), ..AttentionOptions::default() };
    let cache = KvCache { key: past, value: past };
    let outputs = g.attention(q, k, k, Some(AttentionMask::Visible(mask)), Some(cache), options);
    assert_eq!(g.error(), None);
    assert_eq!(g.shape(outputs.y), g.shape(q));
    let present = outputs.present.unwrap();
    assert_eq!(g.shape(present.key).to_string(), "[batch, 2, past + sequence, 8]");
    assert_eq!(g.shape(present.value), g.shape(present.key));
}

#[test]
fn attention_refuses_what_does_not_fit() {
    let heads = |heads: i64| shape!["batch", heads, "sequence", 8];
    let attend = |q: Shape, k: Shape, v: Shape, mask: Option<Shape>| {
        problem([q, k, v], |g, [q, k, v]| {
            let mask = mask.map(|shape| AttentionMask::Visible(g.input::<Bool>("mask", shape)));
            g.attention(q, k, v, mask, None, AttentionOptions::default())
        })
        .to_string()
    };
    let multiple = attend(heads(3), heads(2), heads(2), None);
    assert!(multiple.contains("query heads is 3, expected a multiple of 2"), "{multiple}");
    let none = attend(heads(3), heads(0), heads(0), None);
    assert!(none.contains("expected a multiple of 0"), "{none}");
    let values = attend(heads(2), heads(2), shape!["batch", 2, "total", 8], None);
    assert!(values.contains("number of keys (sequence) and number of values (total)"), "{values}");
    let mask = attend(heads(2), heads(2), heads(2), Some(shape!["batch", 1, 1, "sequence"]));
    assert!(mask.contains("last two axes of the mask"), "{mask}");
    let rank = attend(shape![8], heads(2), heads(2), None);
    assert!(rank.contains("the queries has rank 1, expected 3 or 4"), "{rank}");

    let flat = problem([shape!["batch", "sequence", 10]], |g, [x]| {
        let options = AttentionOptions { q_num_heads: Some(3), ..AttentionOptions::default() };
        g.attention(x, x, x, None, None, options)
    });
    assert!(flat.to_string().contains("number of heads is 3, expected a divisor of 10"), "{flat}");
    let cache = problem([heads(2), shape!["batch", 1, "past", 8]], |g, [x, past]| {
        let cache = KvCache { key: past, value: past };
        // Callers take the cache apart: it is there whatever is wrong with it.
        assert!(g.attention(x, x, x, None, Some(cache), AttentionOptions::default()).present.is_some());
    });
    assert!(cache.to_string().contains("heads of the cached keys (1)"), "{cache}");
    let added = problem([heads(2)], |g, [x]| {
        let mask = g.input::<I64>("mask", shape!["sequence", "sequence"]);
        g.attention(x, x, x, Some(AttentionMask::Added(mask.any())), None, AttentionOptions::default())
    });
    assert_eq!(added.to_string(), "the mask has elements of type int64, expected float32, as the queries");
}

#[test]
fn operators_newer_than_the_graph_are_refused() {
    let refused = |opset, build: fn(&mut GraphBuilder, Value<F32>)| {
        let mut g = GraphBuilder::new("test", opset);
        let x = g.input::<F32>("x", shape![2, 2, 3, 4]);
        g.push("layer");
        build(&mut g, x);
        g.error().unwrap().to_string()
    };
    assert_eq!(
        refused(19, |g, x| {
            g.gelu(x, GeluApproximation::Tanh);
        }),
        "node /layer/Gelu: ai.onnx has Gelu since version 20, but the graph is written in version 19"
    );
    let attention = |g: &mut GraphBuilder, x| {
        g.attention(x, x, x, None, None, AttentionOptions::default());
    };
    assert!(refused(22, attention).contains("Attention since version 23"));
    let rotary = |g: &mut GraphBuilder, x| {
        let table = g.input::<F32>("table", shape![2, 3, 2]);
        g.rotary_embedding(x, table, table, None, RotaryOptions::default());
    };
    assert!(refused(22, rotary).contains("RotaryEmbedding since version 23"));
    let normalise = |g: &mut GraphBuilder, x| {
        let scale = g.input::<F32>("scale", shape![4]);
        g.rms_normalization(x, scale, 1e-6, -1);
    };
    assert!(refused(22, normalise).contains("RMSNormalization since version 23"));
    let scatter = |g: &mut GraphBuilder, x| {
        let zero = g.const_i64(&[0]);
        let places = g.unsqueeze(zero, &[0]);
        let first = g.gather_nd(x, places, 0);
        g.scatter_nd(x, places, first, Reduction::Max);
    };
    assert!(refused(17, scatter).contains("ScatterND with this reduction since version 18"));
}
