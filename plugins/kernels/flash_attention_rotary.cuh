// Rotary position embedding (Su et al. 2021), half-rotation form: element j of a head is paired with element j + head_dim / 2.
#pragma once

#include <cmath>

#include "common/numeric.cuh"
#include "flash_attention_task.cuh"

namespace tmoe::attention {

// Each step in float32, as the original does: at large positions the last bit shows.
inline Frequencies make_frequencies(float theta, int head_dim) {
    Frequencies frequencies{};
    for (int j = 0; j < head_dim / 2; ++j) {
        const float exponent = float(2 * j) / float(head_dim);
        frequencies.of_pair[j] = 1.0f / float(std::pow(double(theta), double(exponent)));
    }
    return frequencies;
}

// cos and sin of an angle between 0 and 2^22, to 1e-7. The library's sincosf is as exact, but keeps a table of 2 / pi on the stack for
// angles beyond 1e5.
__host__ __device__ __forceinline__ float2 cos_sin(float angle) {
    // Multiples of pi / 2 in three parts: taking the first one away is exact.
    const float quadrant = rintf(angle * 0.636619772f);
    float r = fmaf(quadrant, -1.57079637e+0f, angle);
    r = fmaf(quadrant, 4.37113883e-8f, r);
    r = fmaf(quadrant, 1.71512451e-15f, r);
    // Taylor's series: |r| <= pi / 4.
    const float r2 = r * r;
    const float sine = fmaf(r * r2, fmaf(r2, fmaf(r2, fmaf(r2, 2.75573192e-6f, -1.98412698e-4f), 8.33333333e-3f), -1.66666667e-1f), r);
    const float cosine = fmaf(
        r2, fmaf(r2, fmaf(r2, fmaf(r2, fmaf(r2, -2.75573192e-7f, 2.48015873e-5f), -1.38888889e-3f), 4.16666667e-2f), -0.5f), 1.0f);

    const int turns = int(quadrant);
    const float x = turns & 1 ? sine : cosine;
    const float y = turns & 1 ? cosine : sine;
    return make_float2((turns + 1) & 2 ? -x : x, turns & 2 ? -y : y);
}

// cos and sin as a model keeps them.
__device__ __forceinline__ float round_rotary(float value, std::int32_t rounding) {
    return rounding == TMOE_BFLOAT16  ? round_to<bfloat16>(value)
           : rounding == TMOE_FLOAT16 ? round_to<float16>(value)
                                      : value;
}

// `first` and `second`: elements j and j + head_dim / 2 of a head, rotated in place.
__device__ __forceinline__ void rotate(float position, float frequency, std::int32_t rounding, float &first, float &second) {
    const float2 turn = cos_sin(position * frequency);
    const float c = round_rotary(turn.x, rounding), s = round_rotary(turn.y, rounding);
    const float a = first, b = second;
    first = a * c - b * s;
    second = b * c + a * s;
}

}  // namespace tmoe::attention
