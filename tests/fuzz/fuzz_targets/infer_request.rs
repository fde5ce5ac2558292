//! Bodies of the Open Inference Protocol: JSON, and tensors as bytes behind it. What was understood, written again with all
//! tensors as bytes, is understood as the same, to the bit.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use tmoe_serve::core::Request;
use tmoe_serve::parse;

fuzz_target!(|input: &[u8]| {
    // The first two bytes say where the JSON ends.
    let Some((length, body)) = input.split_first_chunk() else { return };
    let length = usize::from(u16::from_le_bytes(*length));
    let json_length = (length != usize::from(u16::MAX)).then_some(length);
    match parse::infer(body, json_length) {
        Ok(request) => {
            check(&request, body.len());
            let (json, bytes) = written(&request);
            let again = parse::infer(&[json.as_bytes(), &bytes].concat(), Some(json.len()));
            let again = again.expect("what was understood is written so that it is understood");
            assert_eq!(written(&again), (json, bytes));
        }
        Err(error) => assert!(!error.to_string().contains('\n'), "one line: {error}"),
    }
});

fn check(request: &Request, length: usize) {
    let points = request.series.first().expect("a request has a series").values.len();
    assert!(points > 0 && request.series.iter().all(|series| series.values.len() == points));
    // A value takes at least a byte, or a digit.
    assert!(request.series.len() * points + request.quantiles.len() <= length);
    // Counts travel as numbers that floats have exactly.
    assert!(request.horizon <= 1 << 53 && request.context.is_none_or(|context| context <= 1 << 53));
    assert!(request.timeout.is_none_or(|timeout| !timeout.is_zero()));
}

/// The request as JSON, and the bytes of its tensors.
fn written(request: &Request) -> (String, Vec<u8>) {
    let (mut inputs, mut bytes) = (Vec::new(), Vec::new());
    let mut input = |name: &str, shape: &[usize], values: &[f64]| {
        inputs.push(json!({ "name": name, "shape": shape, "datatype": "FP64",
                            "parameters": { "binary_data_size": size_of_val(values) } }));
        bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    };
    let points = request.series.first().map_or(0, |series| series.values.len());
    let values: Vec<f64> = request.series.iter().flat_map(|series| series.values.iter().copied()).collect();
    input("series", &[request.series.len(), points], &values);
    input("horizon", &[1], &[request.horizon as f64]);
    if let Some(context) = request.context {
        input("context", &[1], &[context as f64]);
    }
    input("quantiles", &[request.quantiles.len()], &request.quantiles);
    let timeout =
        request.timeout.map_or(0, |timeout| u64::try_from(timeout.as_micros()).expect("it came as i64"));
    let json: Value = json!({ "inputs": inputs, "parameters": { "timeout": timeout } });
    (json.to_string(), bytes)
}
