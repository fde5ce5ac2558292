// Products of groups of rows with a matrix each: what is given, and which tile is whose.
//
//   output[r] = input[r] weight[group of r]        plain
//   output[r] = act(input[r] gate) * (input[r] up) gated: weight is [k, 2 x columns], the gate's columns first
//
// A block computes one tile of one group. How many rows a group has is known on the device only, so that the grid is as large as
// the most tiles there can be (most_row_tiles), every block looks its tile up in `offsets`, and those without one end.
// Neighbouring blocks share rows of the input, then matrices, which so stay in L2.
#pragma once

#include <cstdint>

#include "arch.cuh"
#include "warp.cuh"

namespace tmoe {

// What one expert's logit gives: all or nothing, its sigmoid, or all or nothing of that.
enum class RowScoring : std::int32_t { Softmax, Sigmoid, NormalizedSigmoid };

// The matrices and sizes of a grouped product, as a kernel takes them.
struct GroupedProduct {
    const void *input;                 // [.., k]
    const std::int32_t *input_rows;    // [rows]: which row of the input; null: row r
    const void *weight;                // [groups, k, columns], gated [groups, k, 2 x columns]
    const float *bias;                 // [columns] or null; plain only
    const std::int32_t *offsets;       // [groups + 1]: the groups' rows; null: one group of all rows
    std::int64_t rows;
    std::int32_t groups;
    std::int32_t k;                    // a multiple of 8
    std::int32_t columns;              // of the output
    std::int32_t activation;           // gated only

    void *output;                      // [.., columns]
    std::int32_t output_type;
    RowScoring row_scoring;            // of row_logits
    const std::int32_t *output_rows;   // [rows]: which row of the output; null: row r
    // These three only where the input has the weight's type.
    const float *row_weights;          // [rows], or null: what rows are multiplied by
    const float *row_logits;           // [rows], or null: rows are multiplied by what this one logit gives
    const void *addend;                // as the output, or null: added to it; plain only, columns a multiple of 8, k in one part

    std::int32_t column_tiles;         // set when launched
    std::int32_t split_k;              // k of one of gridDim.y parts, whose sums are separate outputs
    std::int64_t split_stride;         // elements from one to the next
};

// How many tiles of so many rows there can be.
inline std::int64_t most_row_tiles(const GroupedProduct &product, int tile_rows) {
    if (product.offsets == nullptr) return (product.rows + tile_rows - 1) / tile_rows;
    const std::int64_t started = product.rows < product.groups ? product.rows : product.groups;
    return product.rows / tile_rows + started;
}

// Rows of one group.
struct RowTile {
    std::int32_t group;
    std::int64_t first, end;    // to the group's end: a tile may be shorter
};

// Finds the tile of that number; false if there are fewer. All lanes of a warp take part.
__device__ __forceinline__ bool find_row_tile(const GroupedProduct &product, std::int64_t number, int tile_rows, RowTile *tile) {
    if (product.offsets == nullptr) {
        *tile = {0, number * tile_rows, product.rows};
        return tile->first < product.rows;
    }
    int before = 0;
    for (int base = 0; base < product.groups; base += kWarpSize) {
        const int group = base + lane_id();
        const bool exists = group < product.groups;
        const int first = exists ? product.offsets[group] : 0, end = exists ? product.offsets[group + 1] : 0;
        const int tiles = (end - first + tile_rows - 1) / tile_rows;
        int sum = tiles;
#pragma unroll
        for (int offset = 1; offset < kWarpSize; offset *= 2) {
            const int lower = shuffle_up(sum, offset);
            if (lane_id() >= offset) sum += lower;
        }
        const int all = shuffle(sum, kWarpSize - 1);
        if (number < before + all) {
            const int lane = __ffs(int(warp_ballot(number < before + sum))) - 1;
            const int skipped = before + shuffle(sum - tiles, lane);
            const int group_first = shuffle(first, lane), group_end = shuffle(end, lane);
            *tile = {base + lane, group_first + (number - skipped) * tile_rows, group_end};
            return true;
        }
        before += all;
    }
    return false;
}

}  // namespace tmoe
