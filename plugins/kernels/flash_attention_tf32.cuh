// Attention's products of float32 on tensor cores, inputs rounded to TF32 (sm_80 and newer).
#pragma once

#include "common/mma.cuh"
#include "common/warp.cuh"

namespace tmoe::attention {

// As TensorProducts16, for one tile of rows.
template <int HeadDim, int RowWarps, int KeyWarps>
class TensorProductsTf32 {
public:
    using Element = float;
    static constexpr int kHeadDim = HeadDim;
    static constexpr int kKeys = 2048 / HeadDim;
    // Eight rows at four columns, and four pairs of rows at eight columns, lie in different banks.
    static constexpr int kStride = HeadDim + 4;
    static constexpr int kKeyWarps = KeyWarps;
    static constexpr int kRowWarps = RowWarps;
    static constexpr int kThreads = 32 * RowWarps * KeyWarps;
    // On a multiprocessor, at least: leaves each thread the registers that it needs.
    static constexpr int kBlocks = HeadDim == 128 ? 4 : 3;
    static constexpr int kWarpRows = 16;
    static constexpr int kWarpKeys = kKeys / KeyWarps;
    static constexpr int kRows = kWarpRows * RowWarps;
    static constexpr int kRowsPerThread = 2;
    static constexpr int kKeysPerThread = kWarpKeys / 4;
    static constexpr int kColumnsPerThread = HeadDim / 4;
    static constexpr int kLanesPerRow = 4;
    static constexpr bool kQueriesStayShared = false;
    static_assert(kWarpKeys % 8 == 0, "the second product takes 8 keys at a time");

    static __device__ __forceinline__ int row(int i) { return lane_id() / 4 + 8 * i; }
    static __device__ __forceinline__ int key(int j) { return 2 * (lane_id() % 4) + j % 2 + 8 * (j / 2); }
    static __device__ __forceinline__ int column(int j) { return key(j); }

    __device__ __forceinline__ void take_queries(const float *queries) {
        const float *row = queries + lane_id() / 4 * kStride + lane_id() % 4;
#pragma unroll
        for (int step = 0; step < HeadDim / 8; ++step) {
#pragma unroll
            for (int i = 0; i < 4; ++i) queries_[step][i] = to_tf32(row[i % 2 * 8 * kStride + step * 8 + i / 2 * 4]);
        }
    }

    __device__ __forceinline__ void scores(const float *keys, float (&s)[2][kKeysPerThread]) const {
        const float *row = keys + lane_id() / 4 * kStride + lane_id() % 4;
#pragma unroll
        for (int block = 0; block < kWarpKeys / 8; ++block) {
            float sums[4] = {};
#pragma unroll
            for (int step = 0; step < HeadDim / 8; ++step) {
                const float *at = row + block * 8 * kStride + step * 8;
                const std::uint32_t b[2] = {to_tf32(at[0]), to_tf32(at[4])};
                mma_m16n8k8_tf32(sums, queries_[step], b);
            }
#pragma unroll
            for (int i = 0; i < 4; ++i) s[i / 2][2 * block + i % 2] = sums[i];
        }
    }

    __device__ __forceinline__ void add_values(const float (&p)[2][kKeysPerThread], const float *values, const int (&visible)[2],
                                               bool guarded, float (&o)[2][kColumnsPerThread]) const {
        // A sum's order is free: key 2 x place is the instruction's key `place`, key 2 x place + 1 its key place + 4, so that the
        // weights are where the scores were.
        std::uint32_t a[kWarpKeys / 8][4];
#pragma unroll
        for (int step = 0; step < kWarpKeys / 8; ++step) {
#pragma unroll
            for (int i = 0; i < 4; ++i) a[step][i] = to_tf32(p[i % 2][2 * step + i / 2]);
        }
        const float *row = values + lane_id() % 4 * 2 * kStride + lane_id() / 4;
        if (guarded && any_not_finite(row)) {
            add_key_by_key(a, row, visible, o);
            return;
        }
#pragma unroll
        for (int step = 0; step < kWarpKeys / 8; ++step) {
#pragma unroll
            for (int block = 0; block < HeadDim / 8; ++block) {
                const float *at = row + step * 8 * kStride + block * 8;
                const std::uint32_t b[2] = {to_tf32(at[0]), to_tf32(at[kStride])};
                float sums[4] = {o[0][2 * block], o[0][2 * block + 1], o[1][2 * block], o[1][2 * block + 1]};
                mma_m16n8k8_tf32(sums, a[step], b);
#pragma unroll
                for (int i = 0; i < 4; ++i) o[i / 2][2 * block + i % 2] = sums[i];
            }
        }
    }

private:
    // Whether any lane finds an infinity or NaN among the warp's values.
    static __device__ __forceinline__ bool any_not_finite(const float *row) {
        bool found = false;
#pragma unroll
        for (int step = 0; step < kWarpKeys / 8; ++step) {
#pragma unroll
            for (int block = 0; block < HeadDim / 8; ++block) {
                const float *at = row + step * 8 * kStride + block * 8;
                found |= !isfinite(at[0]) || !isfinite(at[kStride]);
            }
        }
        return warp_ballot(found) != 0;
    }

    // The product one key at a time, kept only in rows that see it.
    static __device__ __forceinline__ void add_key_by_key(const std::uint32_t (&a)[kWarpKeys / 8][4], const float *row,
                                                          const int (&visible)[2], float (&o)[2][kColumnsPerThread]) {
#pragma unroll
        for (int step = 0; step < kWarpKeys / 8; ++step) {
#pragma unroll 1
            for (int key = 0; key < 8; ++key) {
                // Registers 0 and 1 hold even keys, 2 and 3 odd ones.
                const bool own = lane_id() % 4 == key / 2;
                const bool even = own && key % 2 == 0, odd = own && key % 2 == 1;
                const std::uint32_t one_a[4] = {even ? a[step][0] : 0u, even ? a[step][1] : 0u, odd ? a[step][2] : 0u, odd ? a[step][3] : 0u};
#pragma unroll
                for (int block = 0; block < HeadDim / 8; ++block) {
                    const float *at = row + step * 8 * kStride + block * 8;
                    const std::uint32_t one_b[2] = {even ? to_tf32(at[0]) : 0u, odd ? to_tf32(at[kStride]) : 0u};
                    float sums[4] = {o[0][2 * block], o[0][2 * block + 1], o[1][2 * block], o[1][2 * block + 1]};
                    mma_m16n8k8_tf32(sums, one_a, one_b);
#pragma unroll
                    for (int i = 0; i < 4; ++i) {
                        float &sum = o[i / 2][2 * block + i % 2];
                        sum = 8 * step + key < visible[i / 2] ? sums[i] : sum;
                    }
                }
            }
        }
    }

    std::uint32_t queries_[HeadDim / 8][4];
};

}  // namespace tmoe::attention
