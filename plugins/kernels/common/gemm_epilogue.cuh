// What happens to a block's sums: activation or weight, rounding, and the way to their rows.
//
// float32 goes to memory as the lanes hold it: four lanes have 32 neighbouring bytes. 16-bit results take the way through shared
// memory, 16 rows at a time, so that 16 bytes go at once.
#pragma once

#include <cstdint>
#include <type_traits>

#include "gemm_activation.cuh"
#include "gemm_groups.cuh"
#include "gemm_loader.cuh"
#include "gemm_types.cuh"
#include "numeric.cuh"
#include "warp.cuh"

namespace tmoe {

// Where a row goes, and what it is multiplied by.
struct RowTarget {
    std::int64_t element;    // index of its first column; negative: there is no such row
    float weight;
};

// All or nothing is NaN for NaN.
__device__ __forceinline__ float weight_of_one(RowScoring scoring, float logit) {
    const auto all_or_nothing = [](bool nothing, float value) { return nothing ? 0.0f : value != value ? value : 1.0f; };
    if (scoring == RowScoring::Softmax) return all_or_nothing(logit == -INFINITY, logit);
    const float weight = sigmoid(logit);
    return scoring == RowScoring::Sigmoid ? weight : all_or_nothing(weight == 0.0f, weight);
}

template <bool Weighted>
__device__ __forceinline__ RowTarget row_target(const GroupedProduct &product, const RowTile &rows, std::int64_t row) {
    if (row >= rows.end) return {-1, 0.0f};
    const std::int64_t to = product.output_rows != nullptr ? product.output_rows[row] : row;
    float weight = 1.0f;
    if constexpr (Weighted) {
        if (product.row_weights != nullptr) weight = product.row_weights[row];
        if (product.row_logits != nullptr) weight = weight_of_one(product.row_scoring, product.row_logits[row]);
    }
    return {to * product.columns, weight};
}

// The warp's share of `sums`. `shared` is free for all warps.
template <class Product, bool Gated>
__device__ __forceinline__ void store_tile(const GroupedProduct &product, const Product &sums, const RowTile &rows,
                                           std::int64_t column_tile, unsigned char *shared) {
    using Tile = typename Product::Tile;
    constexpr int kColumns = Gated ? Tile::kWarpN / 2 : Tile::kWarpN;
    // Words of a row of 16-bit pairs: the padding keeps eight rows in different banks, and rows aligned.
    constexpr int kStride = kColumns / 2 + 4;
    constexpr bool kFast = sizeof(typename Product::Weight) == 2;
    // Float32 rows by 16-bit weights are those of linear layers, which are short of registers without what only experts need.
    constexpr bool kWeighted = !Gated && std::is_same_v<typename Product::Input, typename Product::Weight>;
    static_assert(Tile::kWarpsM * Tile::kWarpsN * 16 * kStride * 4 <= Tile::kStages * Loader<Product, Gated>::kStepBytes, "it fits");

    const int warp_row = warp_id() / Tile::kWarpsN, warp_column = warp_id() % Tile::kWarpsN;
    const std::int64_t first_row = rows.first + warp_row * Tile::kWarpM;
    const std::int64_t first_column = column_tile * (Gated ? Tile::N / 2 : Tile::N) + warp_column * kColumns;
    const std::int64_t part = blockIdx.y * product.split_stride;
    std::uint32_t *const words = reinterpret_cast<std::uint32_t *>(shared) + warp_id() * 16 * kStride;

    const auto each_pair = [&](int slab, auto row, auto pair) {
        if constexpr (Gated) {
            const auto combine = [&](float gate, float up) { return activate<kFast>(product.activation, gate) * up; };
            sums.gated_pairs(slab, combine, row, pair);
        } else {
            sums.pairs(slab, row, pair);
        }
    };
    // Two neighbouring sums, weighted, plus the addend. A weight of zero is zero, whatever the row holds.
    const auto finish = [&](const RowTarget &target, std::int64_t at, float &first, float &second) {
        if constexpr (kWeighted) {
            first = target.weight == 0.0f ? 0.0f : target.weight * first;
            second = target.weight == 0.0f ? 0.0f : target.weight * second;
            if (product.addend != nullptr && target.element >= 0 && at < product.columns) {
                float added[2];
                load_floats_of(product.output_type, product.addend, target.element + at, added);
                first += added[0];
                second += added[1];
            }
        }
    };

#pragma unroll
    for (int slab = 0; slab < Tile::kWarpM / 16; ++slab) {
        const std::int64_t slab_row = first_row + slab * 16;
        if (product.output_type == TMOE_FLOAT32) {
            float *const output = static_cast<float *>(product.output) + part;
            const bool whole = product.columns % 2 == 0;
            each_pair(
                slab, [&](int r) { return row_target<kWeighted>(product, rows, slab_row + r); },
                [&](const RowTarget &target, int column, float first, float second) {
                    const std::int64_t at = first_column + column;
                    if (target.element < 0 || at >= product.columns) return;
                    float *const to = output + target.element + at;
                    finish(target, at, first, second);
                    if (whole) {
                        store_vector(to, Vector<float, 2>{{first, second}});
                    } else {
                        to[0] = first;
                        if (at + 1 < product.columns) to[1] = second;
                    }
                });
            continue;
        }
        struct OwnRow {
            int row;
            RowTarget target;
        };
        each_pair(
            slab,
            [&](int r) {
                return OwnRow{r, kWeighted ? row_target<true>(product, rows, slab_row + r) : RowTarget{}};
            },
            [&](const OwnRow &own, int column, float first, float second) {
                finish(own.target, first_column + column, first, second);
                words[own.row * kStride + column / 2] =
                    product.output_type == TMOE_FLOAT16 ? pack_floats<float16>(first, second) : pack_floats<bfloat16>(first, second);
            });
        __syncwarp();
        std::uint16_t *const output = static_cast<std::uint16_t *>(product.output) + part;
        for (int i = lane_id(); i < 16 * kColumns / 8; i += kWarpSize) {
            const int row = i / (kColumns / 8), column = i % (kColumns / 8) * 8;
            const Vector<std::uint16_t, 8> vector =
                load_vector<8>(reinterpret_cast<const std::uint16_t *>(words + row * kStride) + column);
            const std::int64_t target = row_target<false>(product, rows, slab_row + row).element, at = first_column + column;
            if (target < 0 || at >= product.columns) continue;
            if (product.columns % 8 == 0) {
                store_vector(output + target + at, vector);
            } else {
#pragma unroll
                for (int j = 0; j < 8; ++j)
                    if (at + j < product.columns) output[target + at + j] = vector[j];
            }
        }
        __syncwarp();
    }
}

}  // namespace tmoe
