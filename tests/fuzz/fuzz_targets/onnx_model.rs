//! ONNX models: decoding, counting, and encoding again without loss.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tmoe_onnx::Model;

fuzz_target!(|bytes: &[u8]| {
    let Ok(model) = Model::decode(bytes) else { return };
    let external = model.external_tensors();
    if let Ok(stats) = model.stats() {
        assert_eq!(stats.node_count(), model.graph().node.len());
        assert_eq!(stats.inline_initializers + stats.external_initializers, model.graph().initializer.len());
        assert_eq!(stats.external_initializers, external.expect("stats reads the same places").len());
    }
    // Compared as bytes, because NaN in an attribute is not equal to itself.
    let encoded = model.encode();
    let again = Model::decode(&encoded).expect("what was encoded is decoded");
    assert_eq!(again.encode(), encoded);
});
