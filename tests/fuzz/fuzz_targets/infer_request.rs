//! Bodies of the Open Inference Protocol: JSON, and tensors as bytes behind it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tmoe_serve::parse;

fuzz_target!(|input: &[u8]| {
    // The first two bytes say where the JSON ends.
    let Some((length, body)) = input.split_first_chunk() else { return };
    let length = usize::from(u16::from_le_bytes(*length));
    let json_length = (length != usize::from(u16::MAX)).then_some(length);
    match parse::infer(body, json_length) {
        Ok(request) => {
            assert!(!request.series.is_empty());
            let points = request.series[0].values.len();
            assert!(points > 0 && request.series.iter().all(|series| series.values.len() == points));
            // A value takes at least a byte, or a digit.
            assert!(request.series.len() * points <= body.len());
        }
        Err(message) => assert!(!message.contains('\n'), "one line: {message}"),
    }
});
