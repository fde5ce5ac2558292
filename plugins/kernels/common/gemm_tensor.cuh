// The part of a tile that one warp multiplies on tensor cores: its accumulators, one stage of the main loop, and the way out.
//
// Rows in shared memory are padded by 16 bytes (float: 32), so that the eight rows of an ldmatrix, and the 4 x 8 places of single
// loads, lie in different banks.
#pragma once

#include <cstdint>
#include <type_traits>

#include "gemm_tile.cuh"
#include "mma.cuh"
#include "numeric.cuh"
#include "warp.cuh"

namespace tmoe {

// Accumulators of mma [16 x 8], and what the products below have in common.
template <class Tile_, class Input_, class Weight_>
struct TensorSums {
    using Tile = Tile_;
    using Input = Input_;      // of the left matrix in shared memory
    using Weight = Weight_;
    static constexpr int kInputStride = Tile::K + 8;
    static constexpr int kWeightStride = Tile::N + 8;
    static constexpr int kRowTiles = Tile::kWarpM / 16;
    static constexpr int kColumnTiles = Tile::kWarpN / 8;
    static_assert(Tile::kWarpM % 16 == 0 && Tile::kWarpN % 16 == 0 && Tile::K % 16 == 0, "whole instructions");

    float sums[kRowTiles][kColumnTiles][4];

    // Starts every row with the values of `start(column)`, columns counted from the warp's first.
    template <class Start>
    __device__ __forceinline__ void start(Start start_value) {
        const int place = lane_id() % 4 * 2;
#pragma unroll
        for (int j = 0; j < kColumnTiles; ++j) {
            const float first = start_value(j * 8 + place), second = start_value(j * 8 + place + 1);
#pragma unroll
            for (int i = 0; i < kRowTiles; ++i) {
                sums[i][j][0] = sums[i][j][2] = first;
                sums[i][j][1] = sums[i][j][3] = second;
            }
        }
    }

    // Of the warp's rows 16 x slab to 16 x slab + 15, what this lane holds: `row(r)` gives what is known of row r of 16, and
    // `pair(that, column, first, second)` takes two neighbouring columns.
    template <class Row, class Pair>
    __device__ __forceinline__ void pairs(int slab, Row row, Pair pair) const {
        each_pair<kColumnTiles>(row, [&](auto known, int j, int half) {
            pair(known, j * 8 + lane_id() % 4 * 2, sums[slab][j][half * 2], sums[slab][j][half * 2 + 1]);
        });
    }

    // The same where the warp's first half of columns is `gate` and its second half `up`: pairs of combine(gate, up).
    template <class Combine, class Row, class Pair>
    __device__ __forceinline__ void gated_pairs(int slab, Combine combine, Row row, Pair pair) const {
        each_pair<kColumnTiles / 2>(row, [&](auto known, int j, int half) {
            const float *gate = &sums[slab][j][half * 2], *up = &sums[slab][j + kColumnTiles / 2][half * 2];
            pair(known, j * 8 + lane_id() % 4 * 2, combine(gate[0], up[0]), combine(gate[1], up[1]));
        });
    }

private:
    template <int Columns, class Row, class Use>
    __device__ __forceinline__ static void each_pair(Row row, Use use) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const auto known = row(lane_id() / 4 + half * 8);
#pragma unroll
            for (int j = 0; j < Columns; ++j) use(known, j, half);
        }
    }
};

// 16-bit products. The left matrix may lie there in float32: it is rounded when fragments are made.
template <class T, class X, class Tile_>
struct TensorProduct16 : TensorSums<Tile_, X, T> {
    using Base = TensorSums<Tile_, X, T>;
    using Tile = Tile_;
    static constexpr bool kCompiled = TMOE_ARCH_AT_LEAST(80) || std::is_same_v<T, float16>;

    __device__ __forceinline__ void multiply(const X *input, const T *weight, int warp_row, int warp_column) {
        const int lane = lane_id();
        weight += (lane & 15) * Base::kWeightStride + warp_column * Tile::kWarpN + lane / 16 * 8;
        input += warp_row * Tile::kWarpM * Base::kInputStride;
#pragma unroll
        for (int k = 0; k < Tile::K; k += 16) {
            std::uint32_t b[Base::kColumnTiles][2];
#pragma unroll
            for (int j = 0; j < Base::kColumnTiles; j += 2) {
                std::uint32_t quad[4];
                ldmatrix<4, true>(quad, weight + k * Base::kWeightStride + j * 8);
                b[j][0] = quad[0];
                b[j][1] = quad[1];
                b[j + 1][0] = quad[2];
                b[j + 1][1] = quad[3];
            }
#pragma unroll
            for (int i = 0; i < Base::kRowTiles; ++i) {
                std::uint32_t a[4];
                load(a, input + i * 16 * Base::kInputStride + k);
#pragma unroll
                for (int j = 0; j < Base::kColumnTiles; ++j) mma_m16n8k16<T>(this->sums[i][j], a, b[j]);
            }
        }
    }

private:
    // `corner`: row 0, k 0 of the fragment.
    __device__ __forceinline__ static void load(std::uint32_t (&a)[4], const X *corner) {
        const int lane = lane_id();
        if constexpr (std::is_same_v<X, T>) {
            ldmatrix<4>(a, corner + (lane & 15) * Base::kInputStride + lane / 16 * 8);
        } else {
            corner += lane / 4 * Base::kInputStride + lane % 4 * 2;
#pragma unroll
            for (int part = 0; part < 4; ++part) {
                const Vector<float, 2> pair = load_vector<2>(corner + part % 2 * 8 * Base::kInputStride + part / 2 * 8);
                a[part] = pack_floats<T>(pair[0], pair[1]);
            }
        }
    }
};

// Products of float32, rounded to TF32.
template <class Tile_>
struct TensorProductTf32 : TensorSums<Tile_, float, float> {
    using Base = TensorSums<Tile_, float, float>;
    using Tile = Tile_;
    // Padding by four keeps the rows of an ldmatrix apart.
    static constexpr int kInputStride = Tile::K + 4;
    static constexpr bool kCompiled = TMOE_ARCH_AT_LEAST(80);

    __device__ __forceinline__ void multiply(const float *input, const float *weight, int warp_row, int warp_column) {
        const int lane = lane_id();
        weight += lane % 4 * Base::kWeightStride + warp_column * Tile::kWarpN + lane / 4;
        // ldmatrix moves words, whatever they are: a matrix of 8 rows of 16 bytes is one of 8 x 4 floats.
        input += (warp_row * Tile::kWarpM + (lane & 15)) * kInputStride + lane / 16 * 4;
#pragma unroll
        for (int k = 0; k < Tile::K; k += 8) {
            std::uint32_t b[Base::kColumnTiles][2];
#pragma unroll
            for (int j = 0; j < Base::kColumnTiles; ++j) {
                b[j][0] = to_tf32(weight[k * Base::kWeightStride + j * 8]);
                b[j][1] = to_tf32(weight[(k + 4) * Base::kWeightStride + j * 8]);
            }
#pragma unroll
            for (int i = 0; i < Base::kRowTiles; ++i) {
                std::uint32_t a[4];
                ldmatrix<4>(a, input + i * 16 * kInputStride + k);
#pragma unroll
                for (int part = 0; part < 4; ++part) a[part] = to_tf32(__uint_as_float(a[part]));
#pragma unroll
                for (int j = 0; j < Base::kColumnTiles; ++j) mma_m16n8k8_tf32(this->sums[i][j], a, b[j]);
            }
        }
    }
};

}  // namespace tmoe
