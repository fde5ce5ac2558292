//! Names, sharing, pruning, and the mistakes that `finish` returns.

use tmoe_onnx::{
    Attribute, DataType, Dim, ExternalLayout, ExternalRef, F16, F32, GraphBuilder, GraphError, I64, Model,
    ModelMetadata, Shape, Value, shape,
};

fn finish(g: GraphBuilder) -> Model {
    g.finish(ModelMetadata::default()).unwrap()
}

/// The first mistake of a graph with one input, which is also its output.
fn mistake(build: impl FnOnce(&mut GraphBuilder, Value<F32>)) -> GraphError {
    let mut g = GraphBuilder::new("test", 23);
    let x = g.input::<F32>("x", shape!["batch", 4]);
    g.output("y", x);
    build(&mut g, x);
    g.finish(ModelMetadata::default()).unwrap_err()
}

fn place(length: u64) -> ExternalRef {
    ExternalRef { location: "weights.bin".into(), offset: 64, length }
}

fn nodes(model: &Model) -> Vec<&str> {
    model.graph().node.iter().map(|node| node.name()).collect()
}

fn initializers(model: &Model) -> Vec<&str> {
    model.graph().initializer.iter().map(|tensor| tensor.name()).collect()
}

#[test]
fn nodes_and_values_are_named_by_their_path() {
    let mut g = GraphBuilder::new("test", 23);
    let x = g.input::<F32>("x", shape!["batch", 4]);
    g.push("model");
    assert_eq!(g.path(), "/model");
    let parts = g.scoped("layers.0", |g| {
        let a = g.add(x, x);
        let b = g.add(a, x);
        assert_eq!(g.name(b), "/model/layers.0/Add_1/output_0");
        g.split(b, -1, &[1, 3])
    });
    assert_eq!(g.name(parts[1]), "/model/layers.0/Split/output_1");
    g.scoped("layers.1", |g| g.add(x, x));
    let again = g.scoped("layers.0", |g| g.add(x, x));
    g.pop();
    g.output("first", parts[0]);
    g.output("second", parts[1]);
    g.output("third", again);

    let model = finish(g);
    assert_eq!(
        nodes(&model),
        ["/model/layers.0/Add", "/model/layers.0/Add_1", "/model/layers.0/Split", "/model/layers.0/Add_2"]
    );
    assert_eq!(model.graph().node[2].output, ["first", "second"]);
    let between: Vec<&str> = model.graph().value_info.iter().map(|value| value.name()).collect();
    assert_eq!(between, ["/model/layers.0/Add/output_0", "/model/layers.0/Add_1/output_0"]);
}

#[test]
fn constants_are_shared_by_value_and_named_by_it() {
    let mut g = GraphBuilder::new("test", 23);
    let x = g.input::<F32>("x", shape!["batch", 4]);
    let one = g.const_scalar_f32(1.0);
    assert_eq!(g.const_float::<F32>(1.0), one);
    let vector = g.const_tensor::<F32>(&[1], &[1.0]);
    let matrix = g.const_tensor::<F32>(&[1, 1], &[1.0]);
    let zero = g.const_scalar_f32(0.0);
    let minus_zero = g.const_scalar_f32(-0.0);
    let long = g.const_tensor::<F32>(&[4, 4], &[0.5; 16]);
    let other = g.const_tensor::<F32>(&[4, 4], &[0.25; 16]);
    let half = g.const_float::<F16>(0.5);
    let sizes = g.const_i64(&[1, -1]);
    let mut y = x;
    for constant in [one, vector, matrix, zero, minus_zero] {
        y = g.add(y, constant);
    }
    y = g.matmul(y, long);
    y = g.matmul(y, other);
    g.output("y", y);
    g.output("half", half);
    g.output("sizes", sizes);
    assert_eq!(
        initializers(&finish(g)),
        [
            "/constants/float32/1.0",
            "/constants/float32/[1.0]",
            "/constants/float32/1x1[1.0]",
            "/constants/float32/0.0",
            "/constants/float32/-0.0",
            "/constants/float32/4x4",
            "/constants/float32/4x4_1",
            "/constants/float16/0.5",
            "/constants/int64/[1,-1]",
        ]
    );
}

#[test]
fn what_no_output_depends_on_is_left_out_but_inputs_stay() {
    let mut g = GraphBuilder::new("test", 23);
    g.import_opset("unused", 1);
    let x = g.input::<F32>("x", shape!["batch", 4]);
    g.input::<I64>("unused_input", shape!["batch"]);
    let y = g.relu(x);
    let two = g.const_scalar_f32(2.0);
    let dead = g.mul(y, two);
    g.exp(dead);
    g.external::<F32>("unused_weight", &[4], place(16));
    g.output("y", y);
    let model = finish(g);
    assert_eq!(nodes(&model), ["/Relu"]);
    assert!(initializers(&model).is_empty());
    assert_eq!(model.graph().input.len(), 2);
    assert_eq!(model.opset("unused"), None);
}

#[test]
fn outputs_have_exactly_their_names() {
    let mut g = GraphBuilder::new("test", 23);
    let x = g.input::<F32>("x", shape!["batch", 4]);
    let y = g.relu(x);
    g.output("present.0.key", y);
    assert_eq!(g.name(y), "present.0.key");
    g.output("again", y);
    g.output("input", x);
    let one = g.const_scalar_f32(1.0);
    g.output("constant", one);
    let model = finish(g);
    let outputs: Vec<&str> = model.graph().output.iter().map(|value| value.name()).collect();
    assert_eq!(outputs, ["present.0.key", "again", "input", "constant"]);
    assert_eq!(model.stats().unwrap().nodes["Identity"], 3);
}

#[test]
fn an_external_tensor_asked_for_twice_is_one_initializer() {
    let mut g = GraphBuilder::new("test", 23);
    let a = g.external::<F32>("w", &[2, 4], place(32));
    assert_eq!(g.external::<F32>("w", &[2, 4], place(32)), a);
    let b = g.external::<F32>("half of w", &[1, 4], place(32).slice(16, 16).unwrap());
    let y = g.add(a, b);
    g.output("y", y);
    let stats = finish(g).stats().unwrap();
    assert_eq!((stats.external_initializers, stats.external_bytes, stats.node_count()), (2, 48, 1));

    let moved = mistake(|g, _| {
        g.external::<F32>("w", &[4], place(16));
        g.external::<F32>("w", &[4], ExternalRef { offset: 128, ..place(16) });
    });
    assert_eq!(
        moved.to_string(),
        "initializer w is declared twice: float32[4] in \"weights.bin\" at 64+16, then float32[4] in \"weights.bin\" at 128+16"
    );
    let retyped = mistake(|g, _| {
        g.external::<F32>("w", &[4], place(16));
        g.external::<I64>("w", &[2], place(16));
    });
    assert!(matches!(retyped, GraphError::ExternalConflict { .. }), "{retyped}");
}

#[test]
fn external_lengths_must_be_those_of_the_shape() {
    let short = mistake(|g, _| {
        g.external::<F32>("w", &[2, 4], place(31));
    });
    assert_eq!(
        short.to_string(),
        "initializer w: float32[2, 4] takes 32 bytes, but its place in \"weights.bin\" has 31"
    );
    let huge = mistake(|g, _| {
        g.external::<F32>("w", &[i64::MAX, i64::MAX], place(16));
    });
    assert!(huge.to_string().contains("takes too many bytes"), "{huge}");
}

#[test]
fn weights_beyond_two_gibibytes_are_planned_without_being_read() {
    const GIB: u64 = 1 << 30;
    let mut layout = ExternalLayout::new("weights.bin");
    let mut g = GraphBuilder::new("test", 23);
    let x = g.input::<F32>("x", shape!["batch", 1]);
    let mut y = x;
    for layer in 0..5 {
        layout.reserve(format!("norm.{layer}"), 100).unwrap();
        let blob = layout.reserve(format!("experts.{layer}"), GIB).unwrap();
        assert_eq!(blob.offset % 4096, 0);
        let last = blob.slice(GIB - 4, 4).unwrap();
        let weight = g.external::<F32>(format!("layers.{layer}"), &[1, 1], last);
        y = g.matmul(y, weight);
    }
    g.output("y", y);
    let model = Model::decode(&finish(g).encode()).unwrap();
    assert!(layout.total_len() > 5 * GIB);
    let places = model.external_tensors().unwrap();
    assert_eq!(places.len(), 5);
    // Each layer: 100 bytes, then a page boundary, then a GiB.
    assert_eq!(places[4].1.offset, 5 * 4096 + 5 * GIB - 4);
    let entries: Vec<(&str, &str)> =
        model.graph().initializer[4].external_data.iter().map(|entry| (entry.key(), entry.value())).collect();
    assert_eq!(entries, [("location", "weights.bin"), ("offset", "5368729596"), ("length", "4")]);
}

#[test]
fn the_first_mistake_names_its_node_and_inputs() {
    let mut g = GraphBuilder::new("test", 23);
    let x = g.input::<F32>("x", shape!["batch", "sequence", 8]);
    let w = g.input::<F32>("w", shape![4, 2]);
    let y = g.scoped("layers.3", |g| g.scoped("q_proj", |g| g.matmul(x, w)));
    let z = g.transpose(y, &[5]);
    g.output("z", z);
    assert_eq!(
        g.finish(ModelMetadata::default()).unwrap_err().to_string(),
        "node /layers.3/q_proj/MatMul: columns of the first matrix (8) and rows of the second (4) must be equal \
         (inputs: x float32[batch, sequence, 8], w float32[4, 2])"
    );
}

#[test]
fn values_of_another_graph_are_refused() {
    let mut other = GraphBuilder::new("other", 23);
    let foreign = other.input::<F32>("x", shape![4]);
    let operator = mistake(|g, x| {
        g.add(x, foreign);
    });
    assert_eq!(operator.to_string(), "/Add uses a value of another graph");
    let output = mistake(|g, _| g.output("z", foreign));
    assert_eq!(output.to_string(), "output z uses a value of another graph");
    let g = GraphBuilder::new("empty", 23);
    assert_eq!((g.shape(foreign), g.name(foreign)), (&Shape::scalar(), ""));
}

#[test]
fn names_are_unique_and_not_empty() {
    let twice = mistake(|g, _| {
        g.input::<F32>("x", shape![1]);
    });
    assert_eq!(twice, GraphError::DuplicateName { name: "x".into() });
    assert_eq!(mistake(|g, x| g.output("x", x)), GraphError::DuplicateName { name: "x".into() });
    let taken = mistake(|g, _| {
        g.external::<F32>("x", &[4], place(16));
    });
    assert_eq!(taken, GraphError::DuplicateName { name: "x".into() });
    assert!(matches!(mistake(|g, x| g.output("", x)), GraphError::EmptyName { .. }));
    assert!(matches!(
        mistake(|g, _| {
            g.input::<F32>("", shape![1]);
        }),
        GraphError::EmptyName { .. }
    ));
}

#[test]
fn scopes_are_closed_as_often_as_they_are_opened() {
    assert_eq!(mistake(|g, _| g.pop()), GraphError::NoOpenScope);
    let open = mistake(|g, _| {
        g.push("model");
        g.push("layers.0");
    });
    assert_eq!(open.to_string(), "scope /model/layers.0 is still open at the end of the graph");
}

#[test]
fn declared_dimensions_are_sizes_or_named() {
    let negative = mistake(|g, _| {
        g.input::<F32>("z", shape![2, -1]);
    });
    assert_eq!(
        negative.to_string(),
        "value z: dimension -1 of shape [2, -1] is neither a size nor a named symbol"
    );
    let nameless = mistake(|g, _| {
        g.input::<F32>("z", shape![Dim::symbol("") + 1]);
    });
    assert!(matches!(nameless, GraphError::Dimension { .. }), "{nameless}");
}

#[test]
fn operators_on_impossible_dimensions_are_errors_not_panics() {
    let error = mistake(|g, _| {
        let z = g.input::<F32>("z", shape![-5]);
        g.slice(z, &[0], &[3], &[0], &[1]);
        g.slice(z, &[3], &[0], &[0], &[-1]);
        g.slice(z, &[i64::MIN], &[i64::MAX], &[0], &[i64::MIN]);
        g.reshape(z, shape![i64::MIN, i64::MIN]);
        g.tile(z, &[i64::MAX]);
        g.top_k(z, i64::MIN, i64::MIN, true, true);
    });
    assert!(matches!(error, GraphError::Dimension { .. }), "{error}");
}

#[test]
fn constants_have_as_many_elements_as_their_shape() {
    let short = mistake(|g, _| {
        g.const_tensor::<F32>(&[2, 2], &[1.0]);
    });
    assert_eq!(
        short.to_string(),
        "constant of type float32 and shape [2, 2] takes 4 elements, but 1 were given"
    );
    let impossible = mistake(|g, _| {
        g.const_tensor::<F32>(&[-1], &[1.0]);
    });
    assert!(matches!(impossible, GraphError::ConstantLength { .. }), "{impossible}");
}

#[test]
fn operator_sets_are_known_and_of_one_version() {
    for found in [16, 24] {
        let g = GraphBuilder::new("test", found);
        let error = g.finish(ModelMetadata::default()).unwrap_err();
        assert_eq!(error.to_string(), format!("ai.onnx version {found} is not supported: use 17 to 23"));
    }
    let conflict = mistake(|g, _| {
        g.import_opset("tmoe", 1);
        g.import_opset("tmoe", 1);
        g.import_opset("tmoe", 2);
    });
    assert_eq!(conflict.to_string(), "domain \"tmoe\" is imported in version 1 and in version 2");
    assert!(matches!(mistake(|g, _| g.import_opset("ai.onnx", 17)), GraphError::OpsetConflict { .. }));
    let unknown = mistake(|g, x| {
        g.custom("tmoe", "SparseMoe", &[Some(x.any())], &[], &[]);
    });
    assert_eq!(
        unknown.to_string(),
        "node /SparseMoe: domain \"tmoe\" is not imported: call import_opset(\"tmoe\", version) first"
    );
}

#[test]
fn custom_operators_keep_their_attributes_and_import_their_domain() {
    let mut g = GraphBuilder::new("test", 23);
    g.import_opset("tmoe", 1);
    g.import_opset("", 23);
    let x = g.input::<F32>("x", shape!["tokens", 4]);
    let attributes: [(&str, Attribute); 5] = [
        ("top_k", 2.into()),
        ("scale", 0.0_f32.into()),
        ("activation", "silu".into()),
        ("sizes", vec![1_i64, 2].into()),
        ("names", Attribute::Strings(vec!["a".into()])),
    ];
    let y = g.custom(
        "tmoe",
        "SparseMoe",
        &[Some(x.any())],
        &attributes,
        &[(DataType::Float32, shape!["tokens", 4])],
    );
    let z = g.custom("ai.onnx", "Softsign", &[Some(y[0])], &[], &[(DataType::Float32, shape!["tokens", 4])]);
    g.output("z", z[0]);
    let model = finish(g);
    assert_eq!(
        (model.opset("tmoe"), model.opset(""), model.proto().opset_import.len()),
        (Some(1), Some(23), 2)
    );
    let stats = model.stats().unwrap();
    assert_eq!(stats.nodes.keys().collect::<Vec<_>>(), ["Softsign", "tmoe::SparseMoe"]);
    let node = &model.graph().node[0];
    assert_eq!((node.domain(), node.op_type()), ("tmoe", "SparseMoe"));
    let scale = &node.attribute[1];
    // Zero is a value, not an absence.
    assert_eq!((scale.name(), scale.f, scale.i), ("scale", Some(0.0), None));
}

#[test]
fn handles_change_between_static_and_dynamic_types() {
    let mut g = GraphBuilder::new("test", 23);
    let x = g.input::<F32>("x", shape![1]);
    assert_eq!(x.any().data_type(), DataType::Float32);
    assert_eq!(x.any().typed::<F32>(), Ok(x));
    assert_eq!(g.cast::<F32>(x), x);
    let wrong = Value::<I64>::try_from(x.any()).unwrap_err();
    assert_eq!(wrong.to_string(), "a value has elements of type float32, expected int64");
}

#[test]
fn a_graph_has_outputs() {
    let error = GraphBuilder::new("empty", 23).finish(ModelMetadata::default()).unwrap_err();
    assert_eq!(error, GraphError::NoOutputs);
}
