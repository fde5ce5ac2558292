// Element types that are known at run time only: what a product reads and writes at its edges.
#pragma once

#include <cstdint>

#include "numeric.cuh"

namespace tmoe {

constexpr int bytes_of_type(std::int32_t type) { return type == TMOE_FLOAT32 ? 4 : 2; }

constexpr bool is_type(std::int32_t type) { return type == TMOE_FLOAT32 || type == TMOE_FLOAT16 || type == TMOE_BFLOAT16; }

template <class T>
constexpr std::int32_t kTypeOf = std::is_same_v<T, float32> ? TMOE_FLOAT32 : std::is_same_v<T, float16> ? TMOE_FLOAT16 : TMOE_BFLOAT16;

// N elements from `index` on, a multiple of N, as floats.
template <int N>
__device__ __forceinline__ void load_floats_of(std::int32_t type, const void *from, std::int64_t index, float (&values)[N]) {
    if (type == TMOE_FLOAT32) {
        constexpr int kPart = N < 4 ? N : 4;
#pragma unroll
        for (int i = 0; i < N; i += kPart) {
            const auto part = load_vector<kPart>(static_cast<const float32 *>(from) + index + i);
#pragma unroll
            for (int j = 0; j < kPart; ++j) values[i + j] = part[j];
        }
    } else if (type == TMOE_FLOAT16) {
        load_floats(static_cast<const float16 *>(from) + index, values);
    } else {
        load_floats(static_cast<const bfloat16 *>(from) + index, values);
    }
}

// The same, the other way round.
template <int N>
__device__ __forceinline__ void store_floats_of(std::int32_t type, void *to, std::int64_t index, const float (&values)[N]) {
    if (type == TMOE_FLOAT32) {
        constexpr int kPart = N < 4 ? N : 4;
#pragma unroll
        for (int i = 0; i < N; i += kPart) {
            Vector<float32, kPart> part;
#pragma unroll
            for (int j = 0; j < kPart; ++j) part[j] = values[i + j];
            store_vector(static_cast<float32 *>(to) + index + i, part);
        }
    } else if (type == TMOE_FLOAT16) {
        store_floats(static_cast<float16 *>(to) + index, values);
    } else {
        store_floats(static_cast<bfloat16 *>(to) + index, values);
    }
}

// Elements of one type that are wanted in another.
struct Conversion {
    const void *from;
    void *to;
    std::int64_t count;        // a multiple of 8; 0: nothing is to be done
    std::int32_t from_type;
    std::int32_t to_type;
};

constexpr int kConvertedAtOnce = 8;

// One block's share of a conversion, `part` of `parts`.
__device__ __forceinline__ void convert(const Conversion &conversion, std::int64_t part, std::int64_t parts) {
    const std::int64_t step = parts * blockDim.x * kConvertedAtOnce;
    for (std::int64_t i = (part * blockDim.x + threadIdx.x) * kConvertedAtOnce; i < conversion.count; i += step) {
        float values[kConvertedAtOnce];
        load_floats_of(conversion.from_type, conversion.from, i, values);
        store_floats_of(conversion.to_type, conversion.to, i, values);
    }
}

// How many blocks of so many threads a conversion is worth.
inline int conversion_blocks(std::int64_t count, int threads, int multiprocessors) {
    const std::int64_t each = std::int64_t(threads) * kConvertedAtOnce;
    const std::int64_t blocks = (count + each - 1) / each, most = std::int64_t(multiprocessors) * 4;
    return int(blocks < most ? blocks : most);
}

}  // namespace tmoe
