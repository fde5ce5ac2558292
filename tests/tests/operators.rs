//! The operators of the domain `tmoe` in ONNX Runtime, one node at a time: what bad nodes and bad inputs get, and what is
//! defined at the edges.

#[path = "operators/packed_attention.rs"]
mod packed_attention;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use ndarray::{Array, ArrayD, IxDyn};
use tmoe_onnx::{
    AnyValue, Attribute, DataType, Dim, F32, GraphBuilder, I64, Model, ModelMetadata, Shape, shape,
};
use tmoe_runner::{NamedTensors, Provider, ProviderOptions, RawModel, Tensor};

use self::packed_attention::Form;

fn main() -> ExitCode {
    let is_ready = Provider::Cpu.availability().is_ready();
    let trial = |name: &str, test: fn() -> Result<(), Failed>| {
        let name = if is_ready { name.to_owned() } else { format!("{name} [no ONNX Runtime]") };
        Trial::test(name, test).with_ignored_flag(!is_ready)
    };
    let mut trials: Vec<Trial> = REFUSED.iter().map(|case| trial_of(case, is_ready)).collect();
    trials.extend([
        trial("weights that the graph computes are refused", computed_weights_are_refused),
        trial("another number of rows in the logits is refused when it is run", rows_must_agree),
        trial("a mask shorter than the sequence is refused when it is run", mask_must_cover_the_sequence),
        trial("no tokens give no outputs", no_tokens),
        trial("another number of rows in the addend is refused when it is run", addends_must_agree),
        trial("another number of rows in the residual is refused when it is run", residuals_must_agree),
        trial("the addend is added to what the experts give", addend_is_added),
        trial("one expert by sigmoid is its network times its gate", sigmoid_gates_one_expert),
        trial("a residual sum and its norm are what float64 says", sum_and_norm),
        trial("a query that sees no real point gives zeros", unseen_queries_are_zero),
        trial("a preallocated cache keeps its shape and grows in its rows", preallocated_cache),
        trial("the type of a present that no output declares follows from the past", inner_present),
        trial("attention on queries, keys and values apart is what float64 says", || {
            packed_attention::is_attention(Form::Apart)
        }),
        trial("attention on keys and values side by side is what float64 says", || {
            packed_attention::is_attention(Form::KeyValue)
        }),
        trial("attention on queries, keys and values side by side is what float64 says", || {
            packed_attention::is_attention(Form::All)
        }),
    ]);
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// A node that cannot be: its weights' shapes and attributes, and what the error names.
struct Refused {
    name: &'static str,
    build: fn(&mut GraphBuilder) -> AnyValue,
    says: &'static [&'static str],
}

const REFUSED: &[Refused] = &[
    Refused {
        name: "experts of different widths",
        build: |g| sparse_moe(g, [4, 8, 12], [4, 5, 8], &[("top_k", 2.into())]),
        says: &["SparseMoe", "gate_up", "[4, 8, 12]", "ffn = 5"],
    },
    Refused {
        name: "a down projection to another width",
        build: |g| sparse_moe(g, [4, 8, 12], [4, 6, 7], &[("top_k", 2.into())]),
        says: &["SparseMoe", "down", "[4, 6, 7]", "hidden = 8"],
    },
    Refused {
        name: "more experts chosen than there are",
        build: |g| sparse_moe(g, [4, 8, 12], [4, 6, 8], &[("top_k", 5.into())]),
        says: &["SparseMoe", "top_k", "5", "4"],
    },
    Refused {
        name: "no number of experts to choose",
        build: |g| sparse_moe(g, [4, 8, 12], [4, 6, 8], &[]),
        says: &["SparseMoe", "top_k", "missing"],
    },
    Refused {
        name: "an activation that does not exist",
        build: |g| {
            sparse_moe(g, [4, 8, 12], [4, 6, 8], &[("top_k", 2.into()), ("activation", "sine".into())])
        },
        says: &["SparseMoe", "activation", "sine", "silu"],
    },
    Refused {
        name: "a scoring that does not exist",
        build: |g| sparse_moe(g, [4, 8, 12], [4, 6, 8], &[("top_k", 2.into()), ("scoring", "tanh".into())]),
        says: &["SparseMoe", "scoring", "tanh", "softmax", "sigmoid"],
    },
    Refused {
        name: "an addend of another width",
        build: |g| sparse_moe_onto(g, [4, 8, 12], [4, 6, 8], &[("top_k", 2.into())], Some(7)),
        says: &["SparseMoe", "addend", "7]", "8]", "`x`"],
    },
    Refused {
        name: "a norm's weight of another length",
        build: |g| norm(g, 8, 8, 7, 1e-6),
        says: &["AddRmsNorm", "`x`", "8]", "hidden = 7"],
    },
    Refused {
        name: "a residual of another width",
        build: |g| norm(g, 8, 6, 8, 1e-6),
        says: &["AddRmsNorm", "residual", "6]", "`x`"],
    },
    Refused {
        name: "an epsilon below zero",
        build: |g| norm(g, 8, 8, 8, -1.0),
        says: &["AddRmsNorm", "epsilon", "-1", "at least 0"],
    },
    Refused {
        name: "a bias of another length",
        build: |g| {
            let x = g.input::<F32>("x", shape!["tokens", 8]);
            let inputs = [Some(x.any()), Some(weights(g, &[8, 6])), Some(weights(g, &[5]))];
            custom(g, "Linear", &inputs, &[], &[shape!["tokens", 6]])
        },
        says: &["Linear", "bias", "[5]", "out = 6"],
    },
    Refused {
        name: "scales with weights that are not int8",
        build: |g| {
            let x = g.input::<F32>("x", shape!["tokens", 8]);
            let inputs = [Some(x.any()), Some(weights(g, &[8, 6])), None, Some(weights(g, &[6]))];
            custom(g, "Linear", &inputs, &[], &[shape!["tokens", 6]])
        },
        says: &["Linear", "scale", "int8"],
    },
    Refused {
        name: "keys of another width",
        build: |g| attention(g, 8, 6, &[("num_heads", 2.into()), ("kv_num_heads", 2.into())]),
        says: &["FlashAttention", "`k`", "6]", "2 x 4"],
    },
    Refused {
        name: "query heads that are no multiple of key heads",
        build: |g| attention(g, 12, 8, &[("num_heads", 3.into()), ("kv_num_heads", 2.into())]),
        says: &["FlashAttention", "kv_num_heads", "divisor of num_heads, 3"],
    },
    Refused {
        name: "queries alone, where queries, keys and values belong side by side",
        build: |g| packed_attention::node(g, [Some(16), None, None], [4, 2, 4], [DataType::Float32; 2]),
        says: &["FlashAttention", "`q`", "16]", "8 x 4", "`k` and `v` are left out"],
    },
    Refused {
        name: "keys alone, where keys and values belong side by side",
        build: |g| packed_attention::node(g, [Some(16), Some(8), None], [4, 2, 4], [DataType::Float32; 2]),
        says: &["FlashAttention", "`k`", "8]", "4 x 4"],
    },
    Refused {
        name: "past keys and values of different types",
        build: |g| {
            let types = [DataType::Bfloat16, DataType::Float16];
            packed_attention::node(g, [Some(16), Some(8), Some(8)], [4, 2, 4], types)
        },
        says: &["FlashAttention", "`past_value`", "float16 elements", "expected bfloat16"],
    },
    Refused {
        name: "values without keys",
        build: |g| packed_attention::node(g, [Some(16), None, Some(8)], [4, 2, 4], [DataType::Float32; 2]),
        says: &["FlashAttention", "`k`", "missing"],
    },
];

fn trial_of(case: &'static Refused, is_ready: bool) -> Trial {
    let name = format!("refused at session creation: {}", case.name);
    let test = move || {
        let model = model(case.build);
        match load(&model) {
            Ok(_) => Err("the session was created".into()),
            Err(message) if case.says.iter().all(|part| message.contains(part)) => Ok(()),
            Err(message) => Err(format!("{message}\ndoes not contain all of {:?}", case.says).into()),
        }
    };
    Trial::test(if is_ready { name } else { format!("{name} [no ONNX Runtime]") }, test)
        .with_ignored_flag(!is_ready)
}

fn model(build: impl FnOnce(&mut GraphBuilder) -> AnyValue) -> Model {
    let mut g = GraphBuilder::new("one node", 23);
    g.import_opset("tmoe", 1);
    let y = build(&mut g);
    g.output("y", y);
    g.finish(ModelMetadata::default()).expect("the builder knows nothing of the operators' rules")
}

fn load(model: &Model) -> Result<RawModel, String> {
    RawModel::from_bytes(&model.encode(), None, Provider::Cpu, &ProviderOptions::default())
        .map_err(|error| error.to_string())
}

fn run(model: &Model, inputs: NamedTensors) -> Result<NamedTensors, String> {
    load(model)?.run(inputs).map_err(|error| error.to_string())
}

/// Small numbers, different ones for different places.
fn weights(g: &mut GraphBuilder, shape: &[i64]) -> AnyValue {
    let count = shape.iter().product::<i64>();
    let values: Vec<f32> = (0..count).map(|index| ((index * 7 + 3) % 11) as f32 * 0.1 - 0.5).collect();
    g.const_tensor::<F32>(shape, &values).any()
}

fn custom(
    g: &mut GraphBuilder,
    operator: &str,
    inputs: &[Option<AnyValue>],
    attributes: &[(&str, Attribute)],
    outputs: &[Shape],
) -> AnyValue {
    let outputs: Vec<_> = outputs.iter().map(|shape| (DataType::Float32, shape.clone())).collect();
    g.custom("tmoe", operator, inputs, attributes, &outputs)[0]
}

fn sparse_moe(
    g: &mut GraphBuilder,
    gate_up: [i64; 3],
    down: [i64; 3],
    attributes: &[(&str, Attribute)],
) -> AnyValue {
    sparse_moe_onto(g, gate_up, down, attributes, None)
}

/// With an addend of the given width.
fn sparse_moe_onto(
    g: &mut GraphBuilder,
    gate_up: [i64; 3],
    down: [i64; 3],
    attributes: &[(&str, Attribute)],
    addend: Option<i64>,
) -> AnyValue {
    let x = g.input::<F32>("x", [Dim::symbol("tokens"), Dim::fixed(gate_up[1])]);
    let logits = g.input::<F32>("router_logits", [Dim::symbol("rows"), Dim::fixed(gate_up[0])]);
    let addend =
        addend.map(|width| g.input::<F32>("addend", [Dim::symbol("summands"), Dim::fixed(width)]).any());
    let [x, logits, gate_up_weights, down] =
        [x.any(), logits.any(), weights(g, &gate_up), weights(g, &down)].map(Some);
    let inputs = [x, logits, gate_up_weights, down, None, None, addend];
    custom(g, "SparseMoe", &inputs, attributes, &[[Dim::symbol("tokens"), Dim::fixed(gate_up[1])].into()])
}

/// The second output is the graph's output `sum`.
fn norm(g: &mut GraphBuilder, x: i64, residual: i64, weight: i64, epsilon: f32) -> AnyValue {
    let shape = |width| [Dim::symbol("rows"), Dim::fixed(width)];
    let inputs = [
        g.input::<F32>("x", shape(x)).any(),
        g.input::<F32>("residual", [Dim::symbol("summands"), Dim::fixed(residual)]).any(),
        weights(g, &[weight]),
    ];
    let output = (DataType::Float32, Shape::from(shape(x)));
    let outputs = [output.clone(), output];
    let outputs = g.custom("tmoe", "AddRmsNorm", &inputs.map(Some), &[("epsilon", epsilon.into())], &outputs);
    g.output("sum", outputs[1]);
    outputs[0]
}

fn attention(g: &mut GraphBuilder, q: i64, kv: i64, attributes: &[(&str, Attribute)]) -> AnyValue {
    let outputs = attention_outputs(g, q, kv, attributes);
    g.output("present_key", outputs[1]);
    g.output("present_value", outputs[2]);
    outputs[0]
}

/// Two heads of keys and values, each 4 wide.
fn attention_outputs(
    g: &mut GraphBuilder,
    q: i64,
    kv: i64,
    attributes: &[(&str, Attribute)],
) -> Vec<AnyValue> {
    let points = |width| [Dim::symbol("batch"), Dim::symbol("sequence"), Dim::fixed(width)];
    let cache = || [Dim::symbol("batch"), Dim::fixed(2), Dim::symbol("past"), Dim::fixed(4)];
    let inputs = [
        g.input::<F32>("q", points(q)).any(),
        g.input::<F32>("k", points(kv)).any(),
        g.input::<F32>("v", points(kv)).any(),
        g.input::<F32>("past_key", cache()).any(),
        g.input::<F32>("past_value", cache()).any(),
        g.input::<I64>("attention_mask", [Dim::symbol("batch"), Dim::symbol("total")]).any(),
    ];
    let present: Shape = [Dim::symbol("batch"), Dim::fixed(2), Dim::symbol("rows"), Dim::fixed(4)].into();
    let outputs = [points(q).into(), present.clone(), present];
    let outputs: Vec<_> = outputs.iter().map(|shape| (DataType::Float32, Shape::clone(shape))).collect();
    g.custom("tmoe", "FlashAttention", &inputs.map(Some), attributes, &outputs)
}

fn moe() -> Model {
    model(|g| sparse_moe(g, [4, 8, 12], [4, 6, 8], &[("top_k", 2.into())]))
}

fn flash_attention() -> Model {
    model(|g| attention(g, 8, 8, &[("num_heads", 2.into()), ("kv_num_heads", 2.into())]))
}

fn float(shape: &[usize]) -> Tensor {
    let count = shape.iter().product();
    let values = Array::from_iter((0..count).map(|index: usize| (index as f32 * 0.37).sin()));
    Tensor::F32(values.into_shape_with_order(IxDyn(shape)).expect("as many values as the shape has"))
}

fn named<const N: usize>(tensors: [(&str, Tensor); N]) -> NamedTensors {
    tensors.map(|(name, tensor)| (name.to_owned(), tensor)).into()
}

fn computed_weights_are_refused() -> Result<(), Failed> {
    let model = model(|g| {
        let x = g.input::<F32>("x", shape!["tokens", 8]);
        let weight = g.input::<F32>("weight", shape![8, 6]);
        custom(g, "Linear", &[Some(x.any()), Some(weight.any())], &[], &[shape!["tokens", 6]])
    });
    match load(&model) {
        Err(message) if message.contains("`weight`") && message.contains("initializer") => Ok(()),
        Err(message) => Err(message.into()),
        Ok(_) => Err("the session was created".into()),
    }
}

fn rows_must_agree() -> Result<(), Failed> {
    let inputs = named([("x", float(&[3, 8])), ("router_logits", float(&[2, 4]))]);
    match run(&moe(), inputs) {
        Err(message) if message.contains("router_logits") && message.contains("3 rows") => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}

fn attention_inputs(mask: &[i64], sequence: usize, rows: usize) -> NamedTensors {
    let mask = ArrayD::from_shape_vec(IxDyn(&[1, mask.len()]), mask.to_vec()).expect("one row");
    named([
        ("q", float(&[1, sequence, 8])),
        ("k", float(&[1, sequence, 8])),
        ("v", float(&[1, sequence, 8])),
        ("past_key", float(&[1, 2, rows, 4])),
        ("past_value", float(&[1, 2, rows, 4])),
        ("attention_mask", Tensor::I64(mask)),
    ])
}

fn mask_must_cover_the_sequence() -> Result<(), Failed> {
    match run(&flash_attention(), attention_inputs(&[1, 1], 3, 0)) {
        Err(message) if message.contains("attention_mask") && message.contains("sequence = 3") => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}

fn no_tokens() -> Result<(), Failed> {
    let outputs = run(&moe(), named([("x", float(&[0, 8])), ("router_logits", float(&[0, 4]))]))?;
    match outputs["y"].shape() {
        [0, 8] => Ok(()),
        shape => Err(format!("{shape:?}").into()),
    }
}

fn unseen_queries_are_zero() -> Result<(), Failed> {
    let outputs = run(&flash_attention(), attention_inputs(&[0, 0, 1, 1], 4, 0))?;
    let Tensor::F32(y) = &outputs["y"] else { return Err("not float32".into()) };
    let is_zero = |point: usize| (0..8).all(|index| y[[0, point, index]] == 0.0);
    if is_zero(0) && is_zero(1) && !is_zero(2) && y.iter().all(|value| value.is_finite()) {
        Ok(())
    } else {
        Err(format!("{y:?}").into())
    }
}

/// Four experts of hidden 8 onto an addend.
fn moe_onto() -> Model {
    model(|g| sparse_moe_onto(g, [4, 8, 12], [4, 6, 8], &[("top_k", 2.into())], Some(8)))
}

fn addends_must_agree() -> Result<(), Failed> {
    let inputs =
        named([("x", float(&[3, 8])), ("router_logits", float(&[3, 4])), ("addend", float(&[2, 8]))]);
    match run(&moe_onto(), inputs) {
        Err(message) if message.contains("addend") && message.contains("[3, 8] as `x`") => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}

fn residuals_must_agree() -> Result<(), Failed> {
    let inputs = named([("x", float(&[3, 8])), ("residual", float(&[2, 8]))]);
    match run(&model(|g| norm(g, 8, 8, 8, 1e-6)), inputs) {
        Err(message) if message.contains("residual") && message.contains("[3, 8] as `x`") => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}

fn float32(outputs: &NamedTensors, name: &str) -> Result<Vec<f32>, Failed> {
    match outputs.get(name) {
        Some(Tensor::F32(values)) => Ok(values.iter().copied().collect()),
        other => Err(format!("{name}: {other:?}").into()),
    }
}

fn near(found: &[f32], expected: &[f64]) -> Result<(), Failed> {
    let is_near = |(found, expected): (&f32, &f64)| (f64::from(*found) - expected).abs() <= 1e-6;
    if found.len() == expected.len() && found.iter().zip(expected).all(is_near) {
        Ok(())
    } else {
        Err(format!("{found:?} rather than {expected:?}").into())
    }
}

fn addend_is_added() -> Result<(), Failed> {
    let inputs = || named([("x", float(&[3, 8])), ("router_logits", float(&[3, 4]))]);
    let alone = float32(&run(&moe(), inputs())?, "y")?;
    let mut with_addend = inputs();
    with_addend.insert("addend".to_owned(), float(&[3, 8]));
    let addend = float32(&with_addend, "addend")?;
    let together = float32(&run(&moe_onto(), with_addend)?, "y")?;
    let expected: Vec<f64> = alone.iter().zip(&addend).map(|(y, a)| f64::from(*y) + f64::from(*a)).collect();
    near(&together, &expected)
}

fn sigmoid_gates_one_expert() -> Result<(), Failed> {
    let one = |scoring: &str| {
        let model = model(|g| {
            sparse_moe(g, [1, 8, 12], [1, 6, 8], &[("top_k", 1.into()), ("scoring", scoring.into())])
        });
        run(&model, named([("x", float(&[3, 8])), ("router_logits", float(&[3, 1]))]))
    };
    let (whole, gated) = (float32(&one("softmax")?, "y")?, float32(&one("sigmoid")?, "y")?);
    let logits = [0.0f64, 0.37, 0.74].map(f64::sin);
    let gate = |row: usize| 1.0 / (1.0 + (-logits[row]).exp());
    let expected: Vec<f64> =
        whole.iter().enumerate().map(|(index, y)| f64::from(*y) * gate(index / 8)).collect();
    near(&gated, &expected)
}

fn sum_and_norm() -> Result<(), Failed> {
    let inputs = named([("x", float(&[3, 8])), ("residual", float(&[3, 8]))]);
    // Both inputs are the same numbers, and the weights those of `weights`.
    let sums: Vec<f64> = float32(&inputs, "x")?.iter().map(|x| 2.0 * f64::from(*x)).collect();
    let weight = |column: usize| ((column * 7 + 3) % 11) as f64 * 0.1 - 0.5;
    let mut expected = Vec::new();
    for row in sums.chunks(8) {
        let root = (row.iter().map(|sum| sum * sum).sum::<f64>() / 8.0 + 1e-3).sqrt();
        expected.extend(row.iter().enumerate().map(|(column, sum)| sum / root * weight(column)));
    }
    let outputs = run(&model(|g| norm(g, 8, 8, 8, 1e-3)), inputs)?;
    near(&float32(&outputs, "y")?, &expected)?;
    near(&float32(&outputs, "sum")?, &sums)
}

/// Nothing says the type of the present but the operator.
fn inner_present() -> Result<(), Failed> {
    for (data_type, element_type, _) in packed_attention::CACHES {
        let declared =
            model(|g| packed_attention::node(g, [Some(32), None, None], [4, 2, 4], [data_type; 2]));
        let mut proto = declared.proto();
        if let Some(graph) = &mut proto.graph {
            graph.output.retain(|output| output.name() == "y");
            graph.value_info.clear();
        }
        let inner = Model::try_from(proto).map_err(|error| error.to_string())?;
        let cache = || float(&[1, 2, 2, 4]).into_float(&element_type);
        let inputs = named([
            ("q", float(&[1, 3, 32])),
            ("past_key", cache()),
            ("past_value", cache()),
            ("attention_mask", Tensor::I64(ArrayD::from_elem(IxDyn(&[1, 5]), 1))),
        ]);
        let expected = float32(&run(&declared, inputs.clone())?, "y")?;
        let found = float32(&run(&inner, inputs)?, "y")?;
        if found != expected {
            return Err(format!("{data_type}: {found:?} rather than {expected:?}").into());
        }
    }
    Ok(())
}

/// With room for all points in the past's buffer, the present has its shape, and the same rows as without.
fn preallocated_cache() -> Result<(), Failed> {
    let model = flash_attention();
    let mask = [1; 5];
    let exact = run(&model, attention_inputs(&mask, 3, 2))?;
    let mut inputs = attention_inputs(&mask, 3, 2);
    for name in ["past_key", "past_value"] {
        let Some(Tensor::F32(past)) = inputs.get(name) else { return Err("not float32".into()) };
        let mut roomy = ArrayD::from_elem(IxDyn(&[1, 2, 7, 4]), f32::NAN);
        roomy.slice_mut(ndarray::s![.., .., ..2, ..]).assign(past);
        inputs.insert(name.to_owned(), Tensor::F32(roomy));
    }
    let roomy = run(&model, inputs)?;
    let same = |name: &str| match (&exact[name], &roomy[name]) {
        (Tensor::F32(exact), Tensor::F32(roomy)) if name == "y" => exact == roomy,
        (Tensor::F32(exact), Tensor::F32(roomy)) => {
            roomy.shape() == [1, 2, 7, 4] && roomy.slice(ndarray::s![.., .., ..5, ..]).into_dyn() == *exact
        }
        _ => false,
    };
    match ["y", "present_key", "present_value"].into_iter().find(|name| !same(name)) {
        None => Ok(()),
        Some(name) => Err(format!("{name}: {:?} and {:?}", exact[name], roomy[name]).into()),
    }
}
