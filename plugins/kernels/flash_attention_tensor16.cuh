// Attention's products on tensor cores, of float16 (sm_75 and newer) or bfloat16 (sm_80 and newer), summed in float32.
#pragma once

#include "common/mma.cuh"
#include "common/numeric.cuh"
#include "common/warp.cuh"

namespace tmoe::attention {

// A block of RowWarps x KeyWarps warps: each has 16 x RowTiles rows and a KeyWarps-th of the keys of a tile. Rows' numbers are spread
// over the lanes as tensor cores have them: a lane has kRowsPerThread rows, kKeysPerThread scores of each, kColumnsPerThread elements
// of each output; kLanesPerRow neighbouring lanes share a row.
template <class T, int HeadDim, int RowTiles, int RowWarps, int KeyWarps>
class TensorProducts16 {
public:
    using Element = T;
    static constexpr int kHeadDim = HeadDim;
    static constexpr int kKeys = HeadDim <= 64 ? 64 : 32;
    // Rows 16 bytes longer than a head: eight rows at the same column lie in different banks.
    static constexpr int kStride = HeadDim + 8;
    static constexpr int kKeyWarps = KeyWarps;
    static constexpr int kRowWarps = RowWarps;
    static constexpr int kThreads = 32 * RowWarps * KeyWarps;
    // On a multiprocessor, at least: leaves each thread the registers that it needs.
    static constexpr int kBlocks = HeadDim == 128 ? (KeyWarps > 1 ? 4 : 2) : RowTiles > 1 ? 2 : HeadDim == 64 && KeyWarps == 1 ? 3 : 4;
    static constexpr int kWarpRows = 16 * RowTiles;
    static constexpr int kWarpKeys = kKeys / KeyWarps;
    static constexpr int kRows = kWarpRows * RowWarps;
    static constexpr int kRowsPerThread = 2 * RowTiles;
    static constexpr int kKeysPerThread = kWarpKeys / 4;
    static constexpr int kColumnsPerThread = HeadDim / 4;
    static constexpr int kLanesPerRow = 4;
    static constexpr bool kQueriesStayShared = false;
    static_assert(kWarpKeys % 16 == 0, "the second product takes 16 keys at a time");

    static __device__ __forceinline__ int row(int i) { return lane_id() / 4 + 8 * i; }
    static __device__ __forceinline__ int key(int j) { return 2 * (lane_id() % 4) + j % 2 + 8 * (j / 2); }
    static __device__ __forceinline__ int column(int j) { return key(j); }

    // The warp's queries [kWarpRows][kStride].
    __device__ __forceinline__ void take_queries(const T *queries) {
        const T *row = queries + lane_id() % 16 * kStride + lane_id() / 16 * 8;
#pragma unroll
        for (int tile = 0; tile < RowTiles; ++tile) {
#pragma unroll
            for (int step = 0; step < HeadDim / 16; ++step) ldmatrix(queries_[tile][step], row + tile * 16 * kStride + step * 16);
        }
    }

    // Of the warp's keys [kWarpKeys][kStride].
    __device__ __forceinline__ void scores(const T *keys, float (&s)[kRowsPerThread][kKeysPerThread]) const {
        const T *row = keys + (lane_id() / 16 * 8 + lane_id() % 8) * kStride + lane_id() / 8 % 2 * 8;
#pragma unroll
        for (int block = 0; block < kWarpKeys / 16; ++block) {
            float sums[RowTiles][2][4] = {};
#pragma unroll
            for (int step = 0; step < HeadDim / 16; ++step) {
                std::uint32_t b[4];
                ldmatrix(b, row + block * 16 * kStride + step * 16);
                const std::uint32_t left[2] = {b[0], b[1]}, right[2] = {b[2], b[3]};
#pragma unroll
                for (int tile = 0; tile < RowTiles; ++tile) {
                    mma_m16n8k16<T>(sums[tile][0], queries_[tile][step], left);
                    mma_m16n8k16<T>(sums[tile][1], queries_[tile][step], right);
                }
            }
#pragma unroll
            for (int tile = 0; tile < RowTiles; ++tile) {
#pragma unroll
                for (int i = 0; i < 8; ++i) s[2 * tile + i % 4 / 2][4 * block + i / 4 * 2 + i % 2] = sums[tile][i / 4][i % 4];
            }
        }
    }

    // o += p v, of the warp's values [kWarpKeys][kStride]. Row i sees only the first visible[i] keys, and p is zero beyond; `guarded`:
    // there may be infinities and NaN, which must not touch it.
    __device__ __forceinline__ void add_values(const float (&p)[kRowsPerThread][kKeysPerThread], const T *values,
                                               const int (&visible)[kRowsPerThread], bool guarded,
                                               float (&o)[kRowsPerThread][kColumnsPerThread]) const {
        std::uint32_t a[kWarpKeys / 16][RowTiles][4];
#pragma unroll
        for (int step = 0; step < kWarpKeys / 16; ++step) {
#pragma unroll
            for (int tile = 0; tile < RowTiles; ++tile) {
#pragma unroll
                for (int i = 0; i < 4; ++i) {
                    const float(&weights)[kKeysPerThread] = p[2 * tile + i % 2];
                    a[step][tile][i] = pack_floats<T>(weights[4 * step + i / 2 * 2], weights[4 * step + i / 2 * 2 + 1]);
                }
            }
        }
        const T *row = values + (lane_id() / 8 % 2 * 8 + lane_id() % 8) * kStride + lane_id() / 16 * 8;
        if (guarded && any_not_finite(row)) {
            add_key_by_key(a, row, visible, o);
            return;
        }
#pragma unroll
        for (int step = 0; step < kWarpKeys / 16; ++step) {
#pragma unroll
            for (int block = 0; block < HeadDim / 16; ++block) {
                std::uint32_t b[4];
                ldmatrix<4, true>(b, row + step * 16 * kStride + block * 16);
#pragma unroll
                for (int tile = 0; tile < RowTiles; ++tile) {
#pragma unroll
                    for (int side = 0; side < 2; ++side) {
                        const std::uint32_t right[2] = {b[2 * side], b[2 * side + 1]};
                        const int column = 4 * block + 2 * side;
                        float(&upper)[kColumnsPerThread] = o[2 * tile], (&lower)[kColumnsPerThread] = o[2 * tile + 1];
                        float sums[4] = {upper[column], upper[column + 1], lower[column], lower[column + 1]};
                        mma_m16n8k16<T>(sums, a[step][tile], right);
                        upper[column] = sums[0];
                        upper[column + 1] = sums[1];
                        lower[column] = sums[2];
                        lower[column + 1] = sums[3];
                    }
                }
            }
        }
    }

private:
    // Whether any lane finds an infinity or NaN among the warp's values.
    static __device__ __forceinline__ bool any_not_finite(const T *row) {
        // Carries from an exponent of ones into the sign.
        constexpr std::uint32_t kCarry = std::is_same_v<T, float16> ? 0x04000400u : 0x00800080u;
        std::uint32_t found = 0;
#pragma unroll
        for (int step = 0; step < kWarpKeys / 16; ++step) {
#pragma unroll
            for (int block = 0; block < HeadDim / 16; ++block) {
                std::uint32_t b[4];
                ldmatrix<4, true>(b, row + step * 16 * kStride + block * 16);
#pragma unroll
                for (int i = 0; i < 4; ++i) found |= (b[i] & 0x7fff7fffu) + kCarry;
            }
        }
        return warp_ballot((found & 0x80008000u) != 0) != 0;
    }

    // The product one key at a time, kept only in rows that see it.
    static __device__ __forceinline__ void add_key_by_key(const std::uint32_t (&a)[kWarpKeys / 16][RowTiles][4], const T *row,
                                                          const int (&visible)[kRowsPerThread],
                                                          float (&o)[kRowsPerThread][kColumnsPerThread]) {
#pragma unroll
        for (int step = 0; step < kWarpKeys / 16; ++step) {
#pragma unroll 1
            for (int key = 0; key < 16; ++key) {
                // Registers that hold the key: the lower or the upper half of `first` or `second`.
                const std::uint32_t half = lane_id() % 4 == key % 8 / 2 ? (key % 2 ? 0xffff0000u : 0x0000ffffu) : 0u;
                const std::uint32_t first = key < 8 ? half : 0u, second = key < 8 ? 0u : half;
#pragma unroll
                for (int block = 0; block < HeadDim / 16; ++block) {
                    std::uint32_t b[4];
                    ldmatrix<4, true>(b, row + step * 16 * kStride + block * 16);
#pragma unroll
                    for (int tile = 0; tile < RowTiles; ++tile) {
                        const std::uint32_t one_a[4] = {a[step][tile][0] & first, a[step][tile][1] & first, a[step][tile][2] & second,
                                                        a[step][tile][3] & second};
#pragma unroll
                        for (int side = 0; side < 2; ++side) {
                            const std::uint32_t one_b[2] = {b[2 * side] & first, b[2 * side + 1] & second};
                            const int column = 4 * block + 2 * side;
                            float(&upper)[kColumnsPerThread] = o[2 * tile], (&lower)[kColumnsPerThread] = o[2 * tile + 1];
                            float sums[4] = {upper[column], upper[column + 1], lower[column], lower[column + 1]};
                            mma_m16n8k16<T>(sums, one_a, one_b);
#pragma unroll
                            for (int i = 0; i < 2; ++i) {
                                upper[column + i] = 16 * step + key < visible[2 * tile] ? sums[i] : upper[column + i];
                                lower[column + i] = 16 * step + key < visible[2 * tile + 1] ? sums[2 + i] : lower[column + i];
                            }
                        }
                    }
                }
            }
        }
    }

    std::uint32_t queries_[RowTiles][HeadDim / 16][4];
};

}  // namespace tmoe::attention
