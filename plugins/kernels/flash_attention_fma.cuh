// Attention's products of float32 without tensor cores, exact to float32.
#pragma once

#include "common/numeric.cuh"
#include "common/warp.cuh"

namespace tmoe::attention {

// As TensorProducts16, for warps of 4 x RowsPerThread rows: eight lanes share a row, and each has every eighth key and four
// neighbouring columns of 32.
template <int HeadDim, int RowsPerThread, int RowWarps, int KeyWarps>
class FmaProducts {
public:
    using Element = float;
    static constexpr int kHeadDim = HeadDim;
    static constexpr int kKeys = HeadDim <= 64 ? 32 : 16;
    // Eight rows at the same four columns lie in different banks.
    static constexpr int kStride = HeadDim + 4;
    static constexpr int kKeyWarps = KeyWarps;
    static constexpr int kRowWarps = RowWarps;
    static constexpr int kThreads = 32 * RowWarps * KeyWarps;
    // On a multiprocessor, at least: leaves each thread the registers that it needs.
    static constexpr int kBlocks = HeadDim == 128 || KeyWarps > 1 ? 4 : 3;
    static constexpr int kWarpRows = 4 * RowsPerThread;
    static constexpr int kWarpKeys = kKeys / KeyWarps;
    static constexpr int kRows = kWarpRows * RowWarps;
    static constexpr int kRowsPerThread = RowsPerThread;
    static constexpr int kKeysPerThread = kWarpKeys / 8;
    static constexpr int kColumnsPerThread = HeadDim / 8;
    static constexpr int kLanesPerRow = 8;
    static constexpr bool kQueriesStayShared = true;
    static_assert(kWarpKeys % 8 == 0, "eight lanes share a row");

    static __device__ __forceinline__ int row(int i) { return lane_id() / 8 + 4 * i; }
    static __device__ __forceinline__ int key(int j) { return lane_id() % 8 + 8 * j; }
    static __device__ __forceinline__ int column(int j) { return 4 * (lane_id() % 8) + j % 4 + j / 4 * 32; }

    __device__ __forceinline__ void take_queries(const float *queries) { queries_ = queries + lane_id() / 8 * kStride; }

    __device__ __forceinline__ void scores(const float *keys, float (&s)[RowsPerThread][kKeysPerThread]) const {
        const float *row = keys + lane_id() % 8 * kStride;
#pragma unroll
        for (int i = 0; i < RowsPerThread; ++i) {
#pragma unroll
            for (int j = 0; j < kKeysPerThread; ++j) s[i][j] = 0.0f;
        }
#pragma unroll 4
        for (int column = 0; column < HeadDim; column += 4) {
            Vector<float, 4> q[RowsPerThread];
#pragma unroll
            for (int i = 0; i < RowsPerThread; ++i) q[i] = load_vector<4>(queries_ + i * 4 * kStride + column);
#pragma unroll
            for (int j = 0; j < kKeysPerThread; ++j) {
                const Vector<float, 4> k = load_vector<4>(row + j * 8 * kStride + column);
#pragma unroll
                for (int i = 0; i < RowsPerThread; ++i) {
#pragma unroll
                    for (int e = 0; e < 4; ++e) s[i][j] = fmaf(q[i][e], k[e], s[i][j]);
                }
            }
        }
    }

    __device__ __forceinline__ void add_values(const float (&p)[RowsPerThread][kKeysPerThread], const float *values,
                                               const int (&)[RowsPerThread], bool guarded,
                                               float (&o)[RowsPerThread][kColumnsPerThread]) const {
        if (guarded) {
            add_weighted<true>(p, values, o);
        } else {
            add_weighted<false>(p, values, o);
        }
    }

private:
    // Guarded: weights of zero leave the sum as it is, whatever the value.
    template <bool Guarded>
    static __device__ __forceinline__ void add_weighted(const float (&p)[RowsPerThread][kKeysPerThread], const float *values,
                                                        float (&o)[RowsPerThread][kColumnsPerThread]) {
        const float *at = values + 4 * (lane_id() % 8);
#pragma unroll
        for (int j = 0; j < kKeysPerThread; ++j) {
            // More keys at once would not fit into the registers.
#pragma unroll 2
            for (int lane = 0; lane < 8; ++lane) {
                float weight[RowsPerThread];
#pragma unroll
                for (int i = 0; i < RowsPerThread; ++i) weight[i] = shuffle(p[i][j], (lane_id() & ~7) + lane);
#pragma unroll
                for (int block = 0; block < HeadDim / 32; ++block) {
                    const Vector<float, 4> v = load_vector<4>(at + (8 * j + lane) * kStride + block * 32);
#pragma unroll
                    for (int i = 0; i < RowsPerThread; ++i) {
#pragma unroll
                        for (int e = 0; e < 4; ++e) {
                            float &sum = o[i][4 * block + e];
                            const float with = fmaf(weight[i], v[e], sum);
                            sum = Guarded && weight[i] == 0.0f ? sum : with;
                        }
                    }
                }
            }
        }
    }

    const float *queries_;
};

}  // namespace tmoe::attention
