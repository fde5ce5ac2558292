//! Messages `ModelInferRequest` of the Open Inference Protocol over gRPC, with tensors in fields or as bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tmoe_serve::parse;

fuzz_target!(|message: &[u8]| {
    match parse::infer_message(message) {
        Ok(request) => {
            let points = request.series.first().expect("a request has a series").values.len();
            assert!(points > 0 && request.series.iter().all(|series| series.values.len() == points));
            // A value takes at least a byte.
            assert!(request.series.len() * points + request.quantiles.len() <= message.len());
            assert!(request.horizon <= 1 << 53 && request.context.is_none_or(|context| context <= 1 << 53));
            // No text of a message is empty: what is not there is not asked for.
            assert!(request.model.as_deref() != Some("") && request.version.as_deref() != Some(""));
        }
        Err(error) => assert!(!error.to_string().contains('\n'), "one line: {error}"),
    }
});
