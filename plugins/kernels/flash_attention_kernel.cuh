// The kernel that attends: FlashAttention-2 (Dao 2023) over ranks, for any products.
//
//   block    kRows rows of one key head, all of their keys or one part of them; the last rows, which see most, come first
//   loop     a tile of keys and values at a time: the next one is copied to shared memory while this one is worked on
//   a tile   scores; weights relative to the largest score so far; values added to the output, which shrinks when a larger score
//            comes (the online softmax, Milakov and Gimelshein 2018)
//
// Keys that a query does not see have no influence, not even if they or their values hold infinities or NaN: masked ones are not
// read, and where some rows of a tile see a key and others do not, products with values that are not finite take a slower way.
#pragma once

#include <cfloat>
#include <cmath>

#include "common/launch.cuh"
#include "common/math.cuh"
#include "common/warp.cuh"
#include "flash_attention_tile.cuh"

namespace tmoe::attention {

// Where scores of products start: low enough for any score, and its difference to one that is minus infinity is no NaN.
constexpr float kNoTop = -FLT_MAX;

constexpr float kLog2E = 1.44269504f;

// Tiles of keys and values, two of each, and the queries where they stay. Queries that do not stay are laid into the second tiles.
template <class P>
constexpr std::size_t shared_bytes() {
    constexpr std::size_t kElements = (4 * P::kKeys + (P::kQueriesStayShared ? P::kRows : 0)) * P::kStride;
    static_assert(P::kQueriesStayShared || P::kRows <= 2 * P::kKeys, "queries fit into the second tiles");
    constexpr std::size_t kPartial = (P::kKeyWarps - 1) * P::kRowWarps * 32 * P::kRowsPerThread * (P::kColumnsPerThread + 2);
    static_assert(kPartial * sizeof(float) <= kElements * sizeof(typename P::Element), "warps' outputs fit over the tiles");
    return kElements * sizeof(typename P::Element);
}

// What a warp knows of its rows so far.
template <class P>
struct Outputs {
    float top[P::kRowsPerThread];     // the largest score, as an exponent of two
    float sum[P::kRowsPerThread];     // of the weights 2^(score - top): the lane's own keys
    float weighted[P::kRowsPerThread][P::kColumnsPerThread];

    __device__ __forceinline__ void clear() {
#pragma unroll
        for (int i = 0; i < P::kRowsPerThread; ++i) {
            top[i] = kNoTop;
            sum[i] = 0.0f;
#pragma unroll
            for (int j = 0; j < P::kColumnsPerThread; ++j) weighted[i][j] = 0.0f;
        }
    }

    // Row i sees only the first visible[i] of the warp's keys, if `masked`; `guarded`: and there are others.
    __device__ __forceinline__ void add_tile(const P &products, const typename P::Element *keys, const typename P::Element *values,
                                             const int (&visible)[P::kRowsPerThread], bool masked, bool guarded) {
        float s[P::kRowsPerThread][P::kKeysPerThread];
        products.scores(keys, s);
        if (masked) {
#pragma unroll
            for (int i = 0; i < P::kRowsPerThread; ++i) {
#pragma unroll
                for (int j = 0; j < P::kKeysPerThread; ++j) s[i][j] = P::key(j) < visible[i] ? s[i][j] : -INFINITY;
            }
        }
#pragma unroll
        for (int i = 0; i < P::kRowsPerThread; ++i) {
            float largest = top[i];
#pragma unroll
            for (int j = 0; j < P::kKeysPerThread; ++j) largest = fmaxf(largest, s[i][j]);
            largest = warp_max<P::kLanesPerRow>(largest);
            const float shrink = exp2_approximate(top[i] - largest);
            top[i] = largest;
            float weights = 0.0f;
#pragma unroll
            for (int j = 0; j < P::kKeysPerThread; ++j) {
                s[i][j] = exp2_approximate(s[i][j] - largest);
                weights += s[i][j];
            }
            sum[i] = fmaf(sum[i], shrink, weights);
#pragma unroll
            for (int j = 0; j < P::kColumnsPerThread; ++j) weighted[i][j] *= shrink;
        }
        products.add_values(s, values, visible, guarded, weighted);
    }

    // Adds what another warp has found for the same rows with other keys; `from` as `put` left it.
    __device__ __forceinline__ void add(const float *from) {
#pragma unroll
        for (int i = 0; i < P::kRowsPerThread; ++i) {
            const float *row = from + i * (P::kColumnsPerThread + 2) * kWarpSize + lane_id();
            const float other_top = row[0], other_sum = row[kWarpSize];
            const float largest = fmaxf(top[i], other_top);
            const float shrink = exp2_approximate(top[i] - largest), other_shrink = exp2_approximate(other_top - largest);
            top[i] = largest;
            sum[i] = sum[i] * shrink + other_sum * other_shrink;
#pragma unroll
            for (int j = 0; j < P::kColumnsPerThread; ++j) {
                weighted[i][j] = weighted[i][j] * shrink + row[(j + 2) * kWarpSize] * other_shrink;
            }
        }
    }

    __device__ __forceinline__ void put(float *to) const {
#pragma unroll
        for (int i = 0; i < P::kRowsPerThread; ++i) {
            float *row = to + i * (P::kColumnsPerThread + 2) * kWarpSize + lane_id();
            row[0] = top[i];
            row[kWarpSize] = sum[i];
#pragma unroll
            for (int j = 0; j < P::kColumnsPerThread; ++j) row[(j + 2) * kWarpSize] = weighted[i][j];
        }
    }
};

// The warps that share rows put their outputs together, first keys first; the first of them has the result.
template <class P>
__device__ __forceinline__ void merge_key_warps(Outputs<P> &outputs, int row_warp, int key_warp, float *shared) {
    constexpr int kFloats = kWarpSize * P::kRowsPerThread * (P::kColumnsPerThread + 2);
    __syncthreads();
    if (key_warp > 0) outputs.put(shared + ((key_warp - 1) * P::kRowWarps + row_warp) * kFloats);
    __syncthreads();
    if (key_warp == 0) {
#pragma unroll 1
        for (int other = 1; other < P::kKeyWarps; ++other) outputs.add(shared + ((other - 1) * P::kRowWarps + row_warp) * kFloats);
    }
}

// Of the warp's rows from `first_row` on: to y where the keys are whole, else to the workspace.
template <class P>
__device__ __forceinline__ void store_outputs(const AttendTask &task, const Outputs<P> &outputs, int series, int head, int first_row,
                                              int part) {
    const int head_dim = task.shape.head_dim;
#pragma unroll
    for (int i = 0; i < P::kRowsPerThread; ++i) {
        const float sum = warp_sum<P::kLanesPerRow>(outputs.sum[i]);
        const int row = first_row + P::row(i);
        if (row >= task.rows) continue;
        if (task.parts == 1) {
            const float factor = sum == 0.0f ? 0.0f : __fdividef(1.0f, sum);
            const std::int64_t to = offset_in_y(task, series, head % task.shape.kv_heads, row);
#pragma unroll
            for (int j = 0; j < P::kColumnsPerThread; j += 2) {
                const int column = P::column(j);
                if (column < head_dim) {
                    store_typed(task.y, task.shape.io_type, to + column, outputs.weighted[i][j] * factor,
                                outputs.weighted[i][j + 1] * factor);
                }
            }
        } else {
            const std::int64_t at = (std::int64_t(head) * task.rows + row) * task.parts + part;
            if (lane_id() % P::kLanesPerRow == 0) task.sums[at] = make_float2(outputs.top[i], sum);
#pragma unroll
            for (int j = 0; j < P::kColumnsPerThread; j += 2) {
                const int column = P::column(j);
                const float pair[2] = {outputs.weighted[i][j], outputs.weighted[i][j + 1]};
                if (column < head_dim) store_floats(task.weighted + at * head_dim + column, pair);
            }
        }
    }
}

template <class P, bool Direct>
__global__ void __launch_bounds__(P::kThreads, P::kBlocks) attend_kernel(const AttendTask task) {
    using Element = typename P::Element;
    constexpr int kTile = P::kKeys * P::kStride;
    TMOE_DYNAMIC_SHARED(Element, shared);

    const int part = int(blockIdx.x % task.parts);
    const int row_block = task.row_blocks - 1 - int(blockIdx.x / task.parts % task.row_blocks);
    const int head = int(blockIdx.x / task.parts / task.row_blocks);
    const int series = head / task.shape.kv_heads;

    // Ranks of the part: each row block divides what its last row sees.
    const int block_row = row_block * P::kRows;
    const int block_count = count_of_row(task, series, min(block_row + P::kRows, task.rows) - 1);
    const int part_keys = ceil_divide(ceil_divide(block_count, task.parts), P::kKeys) * P::kKeys;
    const int begin = min(part * part_keys, block_count), end = min(begin + part_keys, block_count);

    Tiles<P, Direct> tiles(task, series, head);
    tiles.find(begin, end);
    if (begin < end) tiles.load(shared, shared + kTile);
    async_copy_commit();
    Element *queries = shared + (P::kQueriesStayShared ? 4 : 2) * kTile;
    load_queries<P>(task, series, head % task.shape.kv_heads, block_row, task.shape.scale * kLog2E, queries);
    tiles.find(begin + P::kKeys, end);

    const int row_warp = warp_id() % P::kRowWarps, key_warp = warp_id() / P::kRowWarps;
    const int first_row = block_row + row_warp * P::kWarpRows;
    int limit[P::kRowsPerThread];
#pragma unroll
    for (int i = 0; i < P::kRowsPerThread; ++i) {
        const int row = first_row + P::row(i);
        limit[i] = row < task.rows ? min(count_of_row(task, series, row), end) : end;
    }
    // Ranks that all of the warp's rows see, and those that any of them sees.
    const bool has_rows = first_row < task.rows;
    const int all_see = has_rows ? min(count_of_row(task, series, first_row), end) : 0;
    const int any_sees = has_rows ? min(count_of_row(task, series, min(first_row + P::kWarpRows, task.rows) - 1), end) : 0;

    P products;
    Outputs<P> outputs;
    outputs.clear();
    __syncthreads();
    products.take_queries(queries + row_warp * P::kWarpRows * P::kStride);

    int stage = 0;
    for (int tile = begin; tile < end; tile += P::kKeys, stage ^= 1) {
        // This tile has come, and nobody needs the other one any more.
        async_copy_wait<0>();
        __syncthreads();
        if (tile + P::kKeys < end) {
            tiles.load(shared + 2 * (stage ^ 1) * kTile, shared + (2 * (stage ^ 1) + 1) * kTile);
            async_copy_commit();
            tiles.find(tile + 2 * P::kKeys, end);
        }
        const int first_key = tile + key_warp * P::kWarpKeys;
        if (first_key < any_sees) {
            int visible[P::kRowsPerThread];
#pragma unroll
            for (int i = 0; i < P::kRowsPerThread; ++i) visible[i] = limit[i] - first_key;
            const Element *keys = shared + 2 * stage * kTile + key_warp * P::kWarpKeys * P::kStride;
            // Of keys beyond the end there are zeros.
            const int last_key = first_key + P::kWarpKeys;
            outputs.add_tile(products, keys, keys + kTile, visible, last_key > all_see, min(last_key, end) > all_see);
        }
    }

    if constexpr (P::kKeyWarps > 1) merge_key_warps<P>(outputs, row_warp, key_warp, reinterpret_cast<float *>(shared));
    if (key_warp == 0 && has_rows) store_outputs<P>(task, outputs, series, head, first_row, part);
}

template <class P, bool Direct>
tmoe_status launch_attend(AttendTask task, cudaStream_t stream) {
    task.row_blocks = int(ceil_divide(task.rows, P::kRows));
    const std::int64_t blocks = task.shape.batch * task.shape.kv_heads * task.row_blocks * task.parts;
    if (blocks > INT32_MAX) return TMOE_UNSUPPORTED;
    return launch(attend_kernel<P, Direct>, dim3(unsigned(blocks)), dim3(P::kThreads), shared_bytes<P>(), stream, task);
}

// Whether rows of the cache can be copied as they are to where products read them.
inline bool is_direct(const AttendTask &task, std::int32_t element_type) {
    const int size = element_type == TMOE_FLOAT32 ? 4 : 2;
    return task.shape.cache_type == element_type && task.shape.head_dim * size % 16 == 0;
}

// Calls `function` with the smallest head size that kernels are made for and `head_dim` fits into.
template <class Function>
tmoe_status dispatch_head_dim(std::int32_t head_dim, Function &&function) {
    if (head_dim <= 32) return function(std::integral_constant<int, 32>{});
    if (head_dim <= 64) return function(std::integral_constant<int, 64>{});
    return function(std::integral_constant<int, 128>{});
}

}  // namespace tmoe::attention
