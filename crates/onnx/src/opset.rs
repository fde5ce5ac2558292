//! Versions of the ai.onnx operator set, and the file format versions that came with them.

use std::ops::RangeInclusive;

/// Versions of ai.onnx that [`GraphBuilder`](crate::GraphBuilder) writes.
pub const OPSETS: RangeInclusive<i64> = 17..=23;

/// Operator set and IR version of the ONNX releases 1.12 to 1.18 (`onnx.helper.VERSION_TABLE`).
const VERSIONS: [(i64, i64); 7] = [(17, 8), (18, 8), (19, 9), (20, 9), (21, 10), (22, 10), (23, 11)];

/// The IR version of the ONNX release that brought a version of ai.onnx; `None` outside [`OPSETS`].
///
/// A runtime that knows the operator set knows that IR version too, and none newer is needed.
pub fn ir_version_of_opset(opset: i64) -> Option<i64> {
    VERSIONS.iter().find_map(|&(version, ir)| (version == opset).then_some(ir))
}
