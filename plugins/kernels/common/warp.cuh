// What the threads of a warp or a block find out together. All 32 lanes take part in every function.
#pragma once

#include <cstdint>

#include "arch.cuh"

namespace tmoe {

constexpr unsigned kFullWarp = 0xffffffffu;

// Of a block with one dimension.
__device__ __forceinline__ int lane_id() { return int(threadIdx.x) & (kWarpSize - 1); }
__device__ __forceinline__ int warp_id() { return int(threadIdx.x) / kWarpSize; }

template <class T>
__device__ __forceinline__ T shuffle(T value, int source_lane) {
    return __shfl_sync(kFullWarp, value, source_lane);
}
template <class T>
__device__ __forceinline__ T shuffle_xor(T value, int lane_mask) {
    return __shfl_xor_sync(kFullWarp, value, lane_mask);
}
// From the lane `delta` below; lanes without one keep their own.
template <class T>
__device__ __forceinline__ T shuffle_up(T value, int delta) {
    return __shfl_up_sync(kFullWarp, value, unsigned(delta));
}
// From the lane `delta` above; lanes without one keep their own.
template <class T>
__device__ __forceinline__ T shuffle_down(T value, int delta) {
    return __shfl_down_sync(kFullWarp, value, unsigned(delta));
}

// Bit i: lane i's predicate.
__device__ __forceinline__ unsigned warp_ballot(bool predicate) { return __ballot_sync(kFullWarp, predicate); }

// Sum over each group of `Width` neighbouring lanes (a power of two); every lane gets it, with the same bits.
template <int Width = kWarpSize, class T>
__device__ __forceinline__ T warp_sum(T value) {
#pragma unroll
    for (int offset = Width / 2; offset > 0; offset /= 2) value += shuffle_xor(value, offset);
    return value;
}

// The same for the maximum. NaN loses against numbers.
template <int Width = kWarpSize>
__device__ __forceinline__ float warp_max(float value) {
#pragma unroll
    for (int offset = Width / 2; offset > 0; offset /= 2) value = fmaxf(value, shuffle_xor(value, offset));
    return value;
}

// Sum over a block of one dimension whose size is a multiple of 32; every thread gets it. `scratch`: one value per warp in
// shared memory, which the next call may use at once.
template <class T>
__device__ __forceinline__ T block_sum(T value, T *scratch) {
    const int warps = int(blockDim.x) / kWarpSize;
    value = warp_sum(value);
    if (lane_id() == 0) scratch[warp_id()] = value;
    __syncthreads();
    value = warp_sum(lane_id() < warps ? scratch[lane_id()] : T(0));
    __syncthreads();
    return value;
}

// The same for the maximum.
__device__ __forceinline__ float block_max(float value, float *scratch) {
    const int warps = int(blockDim.x) / kWarpSize;
    value = warp_max(value);
    if (lane_id() == 0) scratch[warp_id()] = value;
    __syncthreads();
    value = warp_max(lane_id() < warps ? scratch[lane_id()] : scratch[0]);
    __syncthreads();
    return value;
}

}  // namespace tmoe
