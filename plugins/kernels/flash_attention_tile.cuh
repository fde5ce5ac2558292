// What a block of attention brings into shared memory: its queries, rotated, and tiles of keys and values.
#pragma once

#include "common/async_copy.cuh"
#include "common/numeric.cuh"
#include "flash_attention_rotary.cuh"

namespace tmoe::attention {

// `Count` values of a tensor of `type` from element `offset` on. Vectors are aligned where the offset is a multiple of `Count`.
template <int Count>
__device__ __forceinline__ void load_typed(const void *tensor, std::int32_t type, std::int64_t offset, float (&values)[Count]) {
    if (type == TMOE_FLOAT32) {
        const float *from = static_cast<const float *>(tensor) + offset;
        constexpr int kStep = Count < 4 ? Count : 4;
#pragma unroll
        for (int i = 0; i < Count; i += kStep) {
            const auto part = load_vector<kStep>(from + i);
#pragma unroll
            for (int e = 0; e < kStep; ++e) values[i + e] = part[e];
        }
    } else if (type == TMOE_FLOAT16) {
        load_floats(static_cast<const float16 *>(tensor) + offset, values);
    } else {
        load_floats(static_cast<const bfloat16 *>(tensor) + offset, values);
    }
}

// Two neighbouring values; the offset is even.
__device__ __forceinline__ void store_typed(void *tensor, std::int32_t type, std::int64_t offset, float first, float second) {
    const float values[2] = {first, second};
    if (type == TMOE_FLOAT32) {
        store_floats(static_cast<float *>(tensor) + offset, values);
    } else if (type == TMOE_FLOAT16) {
        store_floats(static_cast<float16 *>(tensor) + offset, values);
    } else {
        store_floats(static_cast<bfloat16 *>(tensor) + offset, values);
    }
}

// `Count` values to shared memory, in stores of at most 16 bytes.
template <class T, int Count>
__device__ __forceinline__ void store_shared(T *to, const float (&values)[Count]) {
    constexpr int kStep = Count < kVectorSize<T> ? Count : kVectorSize<T>;
#pragma unroll
    for (int i = 0; i < Count; i += kStep) {
        float part[kStep];
#pragma unroll
        for (int e = 0; e < kStep; ++e) part[e] = values[i + e];
        store_floats(to + i, part);
    }
}

// Ranks that the query of a row sees.
__device__ __forceinline__ int count_of_row(const AttendTask &task, int series, int row) {
    return task.count[std::int64_t(series) * task.shape.queries + row / task.group];
}

// Where a row lies in q or y, whose points are `stride` elements apart.
__device__ __forceinline__ std::int64_t offset_of_row(const AttendTask &task, std::int64_t stride, int series, int key_head, int row) {
    const std::int64_t query = std::int64_t(series) * task.shape.queries + row / task.group;
    return query * stride + (std::int64_t(key_head) * task.group + row % task.group) * task.shape.head_dim;
}

__device__ __forceinline__ std::int64_t offset_in_q(const AttendTask &task, int series, int key_head, int row) {
    return offset_of_row(task, task.shape.q_stride, series, key_head, row);
}

__device__ __forceinline__ std::int64_t offset_in_y(const AttendTask &task, int series, int key_head, int row) {
    return offset_of_row(task, std::int64_t(task.shape.heads) * task.shape.head_dim, series, key_head, row);
}

// Queries of the block's rows to shared memory [kRows][kStride]: rotated, multiplied by `factor`, zeros in rows and columns that do not
// exist. `Pairs` neighbouring pairs at a time.
template <class P, int Pairs>
__device__ __forceinline__ void load_pairs_of_queries(const AttendTask &task, int series, int key_head, int first_row, float factor,
                                                      typename P::Element *to) {
    constexpr int kGroups = P::kHeadDim / 2 / Pairs;
    const int half = task.shape.head_dim / 2;
    for (int item = int(threadIdx.x); item < P::kRows * kGroups; item += P::kThreads) {
        const int row = first_row + item / kGroups, pair = item % kGroups * Pairs;
        typename P::Element *line = to + item / kGroups * P::kStride;
        float first[Pairs] = {}, second[Pairs] = {};
        if (pair >= half) {
            // As many columns are left as there are pairs that do not exist, twice.
            store_shared(line + 2 * pair, first);
            store_shared(line + 2 * pair + Pairs, second);
            continue;
        }
        if (row < task.rows) {
            const std::int64_t from = offset_in_q(task, series, key_head, row) + pair;
            load_typed(task.q, task.shape.io_type, from, first);
            load_typed(task.q, task.shape.io_type, from + half, second);
            const float position = float(max(count_of_row(task, series, row) - 1, 0));
#pragma unroll
            for (int i = 0; i < Pairs; ++i) {
                rotate(position, task.frequencies.of_pair[pair + i], task.shape.rotary_rounding, first[i], second[i]);
                first[i] *= factor;
                second[i] *= factor;
            }
        }
        store_shared(line + pair, first);
        store_shared(line + pair + half, second);
    }
}

template <class P>
__device__ __forceinline__ void load_queries(const AttendTask &task, int series, int key_head, int first_row, float factor,
                                             typename P::Element *to) {
    if (task.shape.head_dim % 16 == 0) {
        load_pairs_of_queries<P, 8>(task, series, key_head, first_row, factor, to);
    } else {
        load_pairs_of_queries<P, 1>(task, series, key_head, first_row, factor, to);
    }
}

// Brings tiles of kKeys keys and values, given by rank, to shared memory [kKeys][kStride] each, in chunks of 16 bytes; zeros where a
// rank or a column does not exist. Direct: the cache has the type of the products and its rows are aligned to 16 bytes, so that
// copies run beside computation; otherwise values are converted one by one.
template <class P, bool Direct>
class Tiles {
public:
    using Element = typename P::Element;

    __device__ __forceinline__ Tiles(const AttendTask &task, int series, int head)
        : task_(task), index_(task.index + std::int64_t(series) * task.total),
          head_at_(std::int64_t(head) * task.shape.present_capacity * task.shape.head_dim),
          column_(int(threadIdx.x) % kChunks * kChunk), line_(int(threadIdx.x) / kChunks) {}

    // Looks up the points of ranks [first, end), so that `load` need not wait for them.
    __device__ __forceinline__ void find(int first, int end) {
#pragma unroll
        for (int pass = 0; pass < kPasses; ++pass) {
            const int rank = first + line_ + pass * kLines;
            point_[pass] = rank < end ? index_[rank] : -1;
        }
    }

    // The tile last found.
    __device__ __forceinline__ void load(Element *keys, Element *values) const {
#pragma unroll
        for (int pass = 0; pass < kPasses; ++pass) {
            const int at = (line_ + pass * kLines) * P::kStride + column_;
            const std::int64_t from = head_at_ + std::int64_t(point_[pass]) * task_.shape.head_dim + column_;
            const bool exists = point_[pass] >= 0 && column_ < task_.shape.head_dim;
            if constexpr (Direct) {
                async_copy_16(keys + at, static_cast<const Element *>(task_.key) + (exists ? from : 0), exists);
                async_copy_16(values + at, static_cast<const Element *>(task_.value) + (exists ? from : 0), exists);
            } else {
                convert(task_.key, from, exists, keys + at);
                convert(task_.value, from, exists, values + at);
            }
        }
    }

private:
    static constexpr int kChunk = kVectorSize<Element>;
    static constexpr int kChunks = P::kHeadDim / kChunk;     // of a row
    static constexpr int kLines = P::kThreads / kChunks;     // rows at once
    static constexpr int kPasses = P::kKeys / kLines;
    static_assert(kLines * kChunks == P::kThreads && kPasses * kLines == P::kKeys, "every thread has the same column of every row");

    __device__ __forceinline__ void convert(const void *tensor, std::int64_t from, bool exists, Element *to) const {
        float values[kChunk];
#pragma unroll
        for (int i = 0; i < kChunk; i += 2) {
            float pair[2] = {};
            if (exists && column_ + i < task_.shape.head_dim) load_typed(tensor, task_.shape.cache_type, from + i, pair);
            values[i] = pair[0];
            values[i + 1] = pair[1];
        }
        store_floats(to, values);
    }

    const AttendTask &task_;
    const std::int32_t *index_;
    std::int64_t head_at_;
    int column_, line_;
    int point_[kPasses];
};

}  // namespace tmoe::attention
