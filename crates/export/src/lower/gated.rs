//! The gated feed-forward network `down(act(gate(x)) * up(x))` (Shazeer 2020), gate and up in one product.

use tmoe_model::Activation;
use tmoe_onnx::GraphBuilder;

use super::Tensor;
use super::activation::activation;

/// `[.., hidden]` to `[.., hidden]`, with `gate_up` `[hidden, 2 x ffn]` and `down` `[ffn, hidden]`.
pub(crate) fn gated(
    g: &mut GraphBuilder,
    act: Activation,
    ffn: i64,
    x: Tensor,
    gate_up: Tensor,
    down: Tensor,
) -> Tensor {
    let inner = gated_inner(g, act, ffn, x, gate_up);
    g.scoped("down_proj", |g| g.matmul(inner, down))
}

/// `act(gate(x)) * up(x)`: `[.., hidden]` to `[.., ffn]`.
pub(crate) fn gated_inner(
    g: &mut GraphBuilder,
    act: Activation,
    ffn: i64,
    x: Tensor,
    gate_up: Tensor,
) -> Tensor {
    let both = g.scoped("gate_up_proj", |g| g.matmul(x, gate_up));
    let halves = g.split(both, -1, &[ffn, ffn]);
    let gate = activation(g, act, halves[0]);
    g.mul(gate, halves[1])
}
