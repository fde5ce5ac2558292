// The part of a tile that one warp multiplies without tensor cores, in float32: 4 x 8 lanes, each with rows and columns of its own.
#pragma once

#include <type_traits>

#include "gemm_tile.cuh"
#include "numeric.cuh"
#include "warp.cuh"

namespace tmoe {

// Lane 8 y + x holds the rows y + 4 i and the columns 4 x + 32 j to 4 x + 32 j + 3 of the warp's part.
template <class T, class X, class Tile_>
struct FmaProduct {
    using Tile = Tile_;
    using Input = X;
    using Weight = T;
    // float32 on every device; 16 bits where tensor cores do not take them.
    static constexpr bool kCompiled = sizeof(T) == 4 || TMOE_ARCH_BEFORE(80);
    static constexpr int kInputStride = Tile::K + kVectorSize<X>;
    static constexpr int kWeightStride = Tile::N;
    static constexpr int kRows = Tile::kWarpM / 4;
    static constexpr int kQuads = Tile::kWarpN / 32;
    static_assert(Tile::kWarpM % 16 == 0 && Tile::kWarpN % 32 == 0 && Tile::K % 4 == 0, "whole lanes");

    float sums[kRows][kQuads][4];

    template <class Start>
    __device__ __forceinline__ void start(Start start_value) {
#pragma unroll
        for (int j = 0; j < kQuads; ++j)
#pragma unroll
            for (int c = 0; c < 4; ++c) {
                const float value = start_value(j * 32 + x() * 4 + c);
#pragma unroll
                for (int i = 0; i < kRows; ++i) sums[i][j][c] = value;
            }
    }

    __device__ __forceinline__ void multiply(const X *input, const T *weight, int warp_row, int warp_column) {
        input += (warp_row * Tile::kWarpM + y()) * kInputStride;
        weight += warp_column * Tile::kWarpN + x() * 4;
#pragma unroll
        for (int k = 0; k < Tile::K; k += 4) {
            float a[kRows][4];
#pragma unroll
            for (int i = 0; i < kRows; ++i) load_floats(input + i * 4 * kInputStride + k, a[i]);
#pragma unroll
            for (int l = 0; l < 4; ++l) {
                float b[kQuads][4];
#pragma unroll
                for (int j = 0; j < kQuads; ++j) load_floats(weight + (k + l) * kWeightStride + j * 32, b[j]);
#pragma unroll
                for (int i = 0; i < kRows; ++i)
#pragma unroll
                    for (int j = 0; j < kQuads; ++j)
#pragma unroll
                        for (int c = 0; c < 4; ++c) sums[i][j][c] = fmaf(a[i][l], b[j][c], sums[i][j][c]);
            }
        }
    }

    // As those of TensorSums.
    template <class Row, class Pair>
    __device__ __forceinline__ void pairs(int slab, Row row, Pair pair) const {
        each_pair<kQuads>(slab, row, [&](auto known, int i, int j, int c) {
            pair(known, j * 32 + x() * 4 + c, sums[i][j][c], sums[i][j][c + 1]);
        });
    }

    template <class Combine, class Row, class Pair>
    __device__ __forceinline__ void gated_pairs(int slab, Combine combine, Row row, Pair pair) const {
        static_assert(kQuads % 2 == 0, "gate and up in one lane");
        each_pair<kQuads / 2>(slab, row, [&](auto known, int i, int j, int c) {
            const float *gate = &sums[i][j][c], *up = &sums[i][j + kQuads / 2][c];
            pair(known, j * 32 + x() * 4 + c, combine(gate[0], up[0]), combine(gate[1], up[1]));
        });
    }

private:
    __device__ __forceinline__ static int x() { return lane_id() % 8; }
    __device__ __forceinline__ static int y() { return lane_id() / 8; }

    template <int Quads, class Row, class Use>
    __device__ __forceinline__ static void each_pair(int slab, Row row, Use use) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const auto known = row(y() + 4 * i);
#pragma unroll
            for (int j = 0; j < Quads; ++j)
#pragma unroll
                for (int c = 0; c < 4; c += 2) use(known, slab * 4 + i, j, c);
        }
    }
};

}  // namespace tmoe
