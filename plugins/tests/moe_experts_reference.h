// A mixture of experts in float64.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "linear_reference.h"
#include "moe_routing_reference.h"
#include "tmoe_kernels.h"

namespace tmoe::test {

inline double activate_exactly(std::int32_t activation, double x) {
    switch (activation) {
        case TMOE_SILU: return x / (1.0 + std::exp(-x));
        case TMOE_GELU: return 0.5 * x * (1.0 + std::erf(x / std::sqrt(2.0)));
        case TMOE_GELU_TANH: return 0.5 * x * (1.0 + std::tanh(std::sqrt(2.0 / std::acos(-1.0)) * (x + 0.044715 * x * x * x)));
        default: return x < 0.0 ? 0.0 : x;
    }
}

// `x`, `gate_up`, `down` and `addend` as they are stored; the last may be empty.
inline std::vector<double> sparse_moe(const tmoe_moe_shape &shape, const std::vector<float> &x, const std::vector<float> &logits,
                                      const std::vector<float> &gate_up, const std::vector<float> &down, const std::vector<float> &addend) {
    const std::size_t hidden = std::size_t(shape.hidden), ffn = std::size_t(shape.ffn);
    std::vector<double> y;
    for (std::int64_t token = 0; token < shape.tokens; ++token) {
        std::vector<double> sum(hidden, 0.0);
        if (!addend.empty()) sum = row_of(addend, token, hidden);
        const float *own_logits = &logits[std::size_t(token) * std::size_t(shape.experts)];
        for (const Slot &slot : choose_slots(own_logits, shape.experts, shape.top_k, shape.scoring, shape.normalize_top_k != 0)) {
            if (slot.expert < 0) continue;
            const std::size_t expert = std::size_t(slot.expert);
            const std::vector<double> both = multiply_row(row_of(x, token, hidden), gate_up, expert * hidden * 2 * ffn, 2 * ffn);
            std::vector<double> inner(ffn);
            for (std::size_t i = 0; i < ffn; ++i) inner[i] = activate_exactly(shape.activation, both[i]) * both[ffn + i];
            const std::vector<double> output = multiply_row(inner, down, expert * ffn * hidden, hidden);
            for (std::size_t i = 0; i < hidden; ++i) sum[i] += slot.weight * output[i];
        }
        y.insert(y.end(), sum.begin(), sum.end());
    }
    return y;
}

}  // namespace tmoe::test
