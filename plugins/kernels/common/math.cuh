// Functions that the device computes in one instruction.
#pragma once

#include <cmath>

#include "arch.cuh"

namespace tmoe {

// 2^x with a relative error of up to 2^-22; results below 2^-126 are zero.
__device__ __forceinline__ float exp2_approximate(float x) {
#if defined(TMOE_EMULATOR)
    const float y = std::exp2(x);
    return y < 0x1p-126f ? 0.0f : y;
#else
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
#endif
}

}  // namespace tmoe
