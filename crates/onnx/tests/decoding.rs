//! Reading models, and bytes that are none.

use proptest::prelude::*;
use tmoe_onnx::proto::{DataLocation, GraphProto, ModelProto, StringStringEntryProto, TensorProto};
use tmoe_onnx::{
    Dim, ExternalRef, F32, GraphBuilder, Model, ModelError, ModelMetadata, Reduction, Shape, Value, shape,
};

/// Applies an operator, chosen by a number, to values [batch, sequence, width].
fn step(g: &mut GraphBuilder, values: &mut Vec<Value<F32>>, operator: usize, first: usize, second: usize) {
    let a = values[first % values.len()];
    let b = values[second % values.len()];
    let width = g.shape(a).dim(-1).and_then(Dim::as_fixed).unwrap();
    let same = g.shape(a) == g.shape(b);
    let y = match operator {
        0 if same => g.add(a, b),
        1 if same => g.mul(a, b),
        2 => g.scoped("activation", |g| {
            let gate = g.sigmoid(a);
            g.mul(a, gate)
        }),
        3 if width > 1 => g.split(a, -1, &[1, width - 1])[1],
        4 if width < 16 => g.concat(&[a, b], -1),
        5 => {
            let weight = g.const_tensor::<F32>(&[width, 3], &vec![0.5; width as usize * 3]);
            g.matmul(a, weight)
        }
        6 => {
            let (values, indices) = g.top_k(a, 1, -1, true, false);
            g.scatter_elements(a, indices, values, -1, Reduction::Add)
        }
        7 => {
            let place =
                ExternalRef { location: "w.bin".into(), offset: 64 * width as u64, length: 4 * width as u64 };
            let weight = g.external::<F32>(format!("weight.{width}"), &[width], place);
            g.sub(a, weight)
        }
        8 => {
            let tokens = Dim::symbol(format!("tokens.{}", values.len()));
            let flat = g.reshape(a, Shape::from([tokens, Dim::fixed(width)]));
            let sizes = g.shape_of(a, ..);
            let shape = g.shape(a).clone();
            g.reshape_to(flat, sizes, shape)
        }
        9 => g.softmax(a, -1),
        10 => {
            let total = g.reduce_sum(a, &[-1], true);
            g.div(a, total)
        }
        _ => g.transpose(a, &[0, 1, 2]),
    };
    values.push(y);
}

fn chain(steps: &[(usize, usize, usize)], batch: Dim, sequence: Dim) -> (Model, Vec<Shape>) {
    let mut g = GraphBuilder::new("chain", 23);
    let mut values = vec![g.input::<F32>("x", shape![batch, sequence, 4])];
    for &(operator, first, second) in steps {
        step(&mut g, &mut values, operator, first, second);
    }
    let shapes = values.iter().map(|&value| g.shape(value).clone()).collect();
    g.output("y", values[values.len() - 1]);
    let metadata = ModelMetadata {
        producer_name: "test".into(),
        properties: vec![("steps".into(), steps.len().to_string())],
        ..ModelMetadata::default()
    };
    (g.finish(metadata).unwrap(), shapes)
}

proptest! {
    #[test]
    fn random_chains_of_operators_survive_encoding(
        steps in proptest::collection::vec((0..12_usize, 0..50_usize, 0..50_usize), 0..25),
    ) {
        let (model, symbolic) = chain(&steps, Dim::symbol("batch"), Dim::symbol("sequence"));
        prop_assert_eq!(&Model::decode(&model.encode()).unwrap(), &model);

        // Shapes inferred from symbols are those inferred from the symbols' sizes.
        let (_, fixed) = chain(&steps, Dim::fixed(2), Dim::fixed(7));
        let size_of = |name: &str| match name {
            "batch" => Some(2),
            "sequence" => Some(7),
            _ => None,
        };
        let evaluated: Vec<Shape> =
            symbolic.iter().map(|shape| shape.iter().map(|dim| dim.eval(size_of).unwrap().into()).collect()).collect();
        prop_assert_eq!(evaluated, fixed);

        // Nodes come after what they read, and names are unique.
        let graph = model.graph();
        let mut known: std::collections::HashSet<&str> = std::collections::HashSet::new();
        for value in &graph.input {
            prop_assert!(known.insert(value.name()));
        }
        for tensor in &graph.initializer {
            prop_assert!(known.insert(tensor.name()));
        }
        for node in &graph.node {
            for input in &node.input {
                prop_assert!(known.contains(input.as_str()), "{} reads {input}", node.name());
            }
            for output in &node.output {
                prop_assert!(known.insert(output), "{output} is written twice");
            }
        }
        prop_assert!(graph.output.iter().all(|value| known.contains(value.name())));
    }

    #[test]
    fn arbitrary_bytes_are_an_error_or_a_model_but_never_a_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        if let Ok(model) = Model::decode(&bytes) {
            let _ = (model.stats(), model.external_tensors(), model.encode());
        }
    }

    #[test]
    fn damaged_models_are_an_error_or_a_model_but_never_a_panic(cut: usize, position: usize, byte: u8) {
        let steps: Vec<_> = (0..12).map(|operator| (operator, operator, operator / 2)).collect();
        let bytes = chain(&steps, Dim::symbol("batch"), Dim::symbol("sequence")).0.encode();
        let mut damaged = bytes.clone();
        damaged[position % bytes.len()] = byte;
        for bytes in [&bytes[..cut % bytes.len()], &damaged] {
            if let Ok(model) = Model::decode(bytes) {
                let _ = (model.stats(), model.external_tensors(), model.encode());
            }
        }
    }
}

fn with_initializer(tensor: TensorProto) -> Model {
    let graph = GraphProto { initializer: vec![tensor], ..GraphProto::default() };
    Model::try_from(ModelProto { graph: Some(graph), ..ModelProto::default() }).unwrap()
}

fn external(entries: &[(&str, &str)]) -> TensorProto {
    TensorProto {
        name: Some("w".into()),
        dims: vec![2, 3],
        data_type: Some(1),
        data_location: Some(DataLocation::External.into()),
        external_data: entries.iter().map(|&(key, value)| StringStringEntryProto::new(key, value)).collect(),
        ..TensorProto::default()
    }
}

#[test]
fn bytes_without_a_graph_are_no_model() {
    assert!(matches!(Model::decode(&[]), Err(ModelError::NoGraph)));
    let text = Model::decode(b"not a model").unwrap_err();
    assert!(text.to_string().starts_with("not an ONNX model: "), "{text}");
}

#[test]
fn deep_nesting_is_an_error_not_a_stack_overflow() {
    // GraphProto.node(1).attribute(5).g(6), over and over.
    let mut bytes: Vec<u8> = Vec::new();
    for _ in 0..20_000 {
        for tag in [6_u8, 5, 1] {
            let mut outer = vec![tag << 3 | 2];
            prost_varint(bytes.len(), &mut outer);
            outer.append(&mut bytes);
            bytes = outer;
        }
        if bytes.len() > 60_000 {
            break;
        }
    }
    let mut model = vec![7 << 3 | 2];
    prost_varint(bytes.len(), &mut model);
    model.append(&mut bytes);
    assert!(matches!(Model::decode(&model), Err(ModelError::Decode { .. })));
}

fn prost_varint(mut value: usize, bytes: &mut Vec<u8>) {
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

#[test]
fn external_data_without_length_has_that_of_its_shape() {
    let model = with_initializer(external(&[("location", "weights.bin")]));
    let expected = ExternalRef { location: "weights.bin".into(), offset: 0, length: 24 };
    assert_eq!(model.external_tensors().unwrap(), [("w".to_owned(), expected)]);
    assert_eq!(model.stats().unwrap().external_bytes, 24);
}

#[test]
fn external_data_that_leads_nowhere_is_an_error() {
    for (entries, text) in [
        (&[][..], "tensor \"w\": external data has location None"),
        (&[("location", "../secret")], "expected a relative path within the folder of the model"),
        (&[("location", "/etc/passwd")], "expected a relative path within the folder of the model"),
        (&[("location", "a"), ("offset", "-1")], "offset Some(\"-1\"), expected a number of bytes"),
        (&[("location", "a"), ("length", "9223372036854775808")], "expected a number of bytes"),
        (&[("location", "a"), ("length", "many")], "expected a number of bytes"),
    ] {
        let error = with_initializer(external(entries)).external_tensors().unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
    }
    let shapeless = TensorProto { dims: vec![i64::MAX, i64::MAX], ..external(&[("location", "a")]) };
    let error = with_initializer(shapeless).stats().unwrap_err();
    assert!(error.to_string().contains("length None"), "{error}");
}

#[test]
fn inline_data_is_counted_in_whatever_field_it_lies() {
    let tensor = TensorProto {
        raw_data: Some(vec![0; 3]),
        float_data: vec![0.0; 2],
        int64_data: vec![0; 2],
        string_data: vec![vec![0; 5]],
        ..TensorProto::default()
    };
    let stats = with_initializer(tensor).stats().unwrap();
    assert_eq!((stats.inline_initializers, stats.inline_bytes, stats.node_count()), (1, 3 + 8 + 16 + 5, 0));
}

#[test]
fn a_path_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing").join("model.onnx");
    let error = with_initializer(TensorProto::default()).write(&path).unwrap_err();
    assert!(error.to_string().starts_with(&format!("cannot write {}: ", path.display())), "{error}");
}
