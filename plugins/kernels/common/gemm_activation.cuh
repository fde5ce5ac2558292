// The activation functions of the gate, and the sigmoid of a logit.
#pragma once

#include "arch.cuh"
#include "../tmoe_kernels.h"

namespace tmoe {

// `Fast` functions are exact to about 1e-5, enough for results that are rounded to 16 bits.
template <bool Fast>
__device__ __forceinline__ float times_sigmoid(float x, float of) {
    if constexpr (Fast) return __fdividef(x, 1.0f + __expf(-of));
    return x / (1.0f + expf(-of));
}

// 1 / (1 + e^-x), without an exponential that overflows where the result is small.
__device__ __forceinline__ float sigmoid(float x) {
    const float e = expf(-fabsf(x));
    return x < 0.0f ? e / (1.0f + e) : 1.0f / (1.0f + e);
}

template <bool Fast>
__device__ __forceinline__ float activate(std::int32_t activation, float x) {
    switch (activation) {
        case TMOE_SILU: return times_sigmoid<Fast>(x, x);
        case TMOE_GELU: return 0.5f * x * (1.0f + erff(0.70710678f * x));
        case TMOE_GELU_TANH:
            // 1 + tanh(u) = 2 sigmoid(2 u) saves the cancellation; 1.5957691 = 2 sqrt(2 / pi).
            return times_sigmoid<Fast>(x, 1.5957691f * x * (1.0f + 0.044715f * x * x));
        // NaN stays NaN.
        default: return x < 0.0f ? 0.0f : x;
    }
}

}  // namespace tmoe
