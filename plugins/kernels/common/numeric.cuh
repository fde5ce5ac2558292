// Element types, conversions, vectors of 16 bytes.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <cstring>

#include "../tmoe_kernels.h"
#include "arch.cuh"

namespace tmoe {

using float32 = float;
using float16 = __half;
using bfloat16 = __nv_bfloat16;

__host__ __device__ __forceinline__ float to_float(float32 value) { return value; }
__host__ __device__ __forceinline__ float to_float(float16 value) { return __half2float(value); }
__host__ __device__ __forceinline__ float to_float(bfloat16 value) { return __bfloat162float(value); }

// Rounds to nearest even; float16 overflows to infinity.
template <class T>
__host__ __device__ T from_float(float value);
template <>
__host__ __device__ __forceinline__ float32 from_float<float32>(float value) {
    return value;
}
template <>
__host__ __device__ __forceinline__ float16 from_float<float16>(float value) {
    return __float2half_rn(value);
}
template <>
__host__ __device__ __forceinline__ bfloat16 from_float<bfloat16>(float value) {
    return __float2bfloat16_rn(value);
}

// Rounds to T and back.
template <class T>
__host__ __device__ __forceinline__ float round_to(float value) {
    return to_float(from_float<T>(value));
}

template <class T>
struct Pair;
template <>
struct Pair<float16> {
    using type = __half2;
};
template <>
struct Pair<bfloat16> {
    using type = __nv_bfloat162;
};

// Two values of 16 bits in one register, as tensor cores take them: the first in the lower half.
template <class T>
__device__ __forceinline__ std::uint32_t pack(T first, T second) {
    static_assert(sizeof(T) == 2, "two values fill one register");
    typename Pair<T>::type pair;
    pair.x = first;
    pair.y = second;
    std::uint32_t word;
    memcpy(&word, &pair, 4);
    return word;
}

// Two floats, rounded to nearest even, in one register.
template <class T>
__device__ std::uint32_t pack_floats(float first, float second);
template <>
__device__ __forceinline__ std::uint32_t pack_floats<float16>(float first, float second) {
    const __half2 pair = __floats2half2_rn(first, second);
    std::uint32_t word;
    memcpy(&word, &pair, 4);
    return word;
}
template <>
__device__ __forceinline__ std::uint32_t pack_floats<bfloat16>(float first, float second) {
    const __nv_bfloat162 pair = __floats2bfloat162_rn(first, second);
    std::uint32_t word;
    memcpy(&word, &pair, 4);
    return word;
}

template <class T>
__device__ __forceinline__ float2 unpack_floats(std::uint32_t word) {
    typename Pair<T>::type pair;
    memcpy(&pair, &word, 4);
    return make_float2(to_float(pair.x), to_float(pair.y));
}

// A float rounded to TF32 (nearest, ties away from zero), as the tensor core's operand. sm_80.
__device__ __forceinline__ std::uint32_t to_tf32(float value) {
#if defined(TMOE_EMULATOR)
    require_capability(80, "cvt.rna.tf32.f32");
    const std::uint32_t bits = __float_as_uint(value);
    return (bits & 0x7f800000u) == 0x7f800000u ? bits : (bits + 0x1000u) & ~0x1fffu;
#elif TMOE_ARCH_AT_LEAST(80)
    std::uint32_t bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(value));
    return bits;
#else
    return __float_as_uint(value);
#endif
}

// N values that are read and written in one instruction where N x sizeof(T) is 2, 4, 8 or 16 bytes; pointers are aligned to it.
template <class T, int N>
struct alignas(N * sizeof(T)) Vector {
    T values[N];

    __host__ __device__ __forceinline__ T &operator[](int i) { return values[i]; }
    __host__ __device__ __forceinline__ const T &operator[](int i) const { return values[i]; }
};

// How many values of T fill 16 bytes.
template <class T>
constexpr int kVectorSize = 16 / int(sizeof(T));

template <int N, class T>
__device__ __forceinline__ Vector<T, N> load_vector(const T *from) {
    return *reinterpret_cast<const Vector<T, N> *>(from);
}

template <class T, int N>
__device__ __forceinline__ void store_vector(T *to, const Vector<T, N> &vector) {
    *reinterpret_cast<Vector<T, N> *>(to) = vector;
}

// N values as floats, and back.
template <int N, class T>
__device__ __forceinline__ void load_floats(const T *from, float (&values)[N]) {
    const Vector<T, N> vector = load_vector<N>(from);
#pragma unroll
    for (int i = 0; i < N; ++i) values[i] = to_float(vector[i]);
}

template <class T, int N>
__device__ __forceinline__ void store_floats(T *to, const float (&values)[N]) {
    Vector<T, N> vector;
#pragma unroll
    for (int i = 0; i < N; ++i) vector[i] = from_float<T>(values[i]);
    store_vector(to, vector);
}

// A type as a value, for generic lambdas: `using T = typename decltype(tag)::type;`.
template <class T>
struct TypeTag {
    using type = T;
};

// Calls `function` with the TypeTag of `type` (a tmoe_type), or gives back TMOE_UNSUPPORTED.
template <class Function>
tmoe_status dispatch_type(std::int32_t type, Function &&function) {
    switch (type) {
        case TMOE_FLOAT32: return function(TypeTag<float32>{});
        case TMOE_FLOAT16: return function(TypeTag<float16>{});
        case TMOE_BFLOAT16: return function(TypeTag<bfloat16>{});
        default: return TMOE_UNSUPPORTED;
    }
}

}  // namespace tmoe
