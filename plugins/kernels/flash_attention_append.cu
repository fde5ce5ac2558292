// FlashAttention, first launch: the mask becomes ranks and counts, the past is copied, new keys are rotated and appended with their
// values. In one launch, because each block can count for itself the real points before its own, which are a few KiB in L2.
//
//   compile and run alone: see plugins/tests/flash_attention_test.cpp
//
// Floor, with B series, T = past + S points of which S are new, H key heads of D elements:
//   bytes       8 B T for the mask, 4 B T for the ranks, and for each element of k and v: io_type read, cache_type written
//               (2 B S H D of them), and where the past is copied twice cache_type for each of 2 B past H D elements
//   operations  about 30 for each pair of a key's elements: far below what the bytes take
#include "common/launch.cuh"
#include "common/warp.cuh"
#include "flash_attention_rotary.cuh"

namespace tmoe::attention {
namespace {

constexpr int kThreads = 256;

// Points of a block: the bits of two warps.
constexpr int kChunk = 64;

// Which of a chunk's points are real, and how many of the series are real before it.
struct Chunk {
    int before;
    std::uint64_t real;

    // Real points up to and with one of the chunk.
    __device__ __forceinline__ int count(int point) const { return before + __popcll(real & (~std::uint64_t(0) >> (kChunk - 1 - point))); }
};

__device__ __forceinline__ Chunk look_at_mask(const std::int64_t *mask, int first, int points) {
    __shared__ int scratch[kThreads / kWarpSize];
    __shared__ unsigned bits[2];
    int before = 0;
#pragma unroll 4
    for (int i = int(threadIdx.x); i < first; i += kThreads) before += mask[i] > 0;
    if (threadIdx.x < kChunk) {
        const int point = int(threadIdx.x);
        const unsigned real = warp_ballot(point < points && mask[first + point] > 0);
        if (lane_id() == 0) bits[warp_id()] = real;
    }
    // Its barriers show the bits too.
    before = block_sum(before, scratch);
    return {before, std::uint64_t(bits[1]) << 32 | bits[0]};
}

// `Pairs` neighbouring pairs of one new key rotated, and the same elements of its value.
template <class Io, class Cache, int Pairs>
__device__ __forceinline__ void append_pairs(const AppendTask &task, std::int64_t k_from, std::int64_t v_from, std::int64_t to, int pair,
                                             int position) {
    const int half = task.shape.head_dim / 2;
    const Io *k = static_cast<const Io *>(task.k) + k_from + pair, *v = static_cast<const Io *>(task.v) + v_from + pair;
    Cache *key = static_cast<Cache *>(task.present_key) + to + pair, *value = static_cast<Cache *>(task.present_value) + to + pair;

    // Vectors of at most 16 bytes of either type.
    constexpr int kStep = Pairs * int(sizeof(Io)) <= 16 ? Pairs : 16 / int(sizeof(Io));
    float k_values[2][Pairs], v_values[2][Pairs];
#pragma unroll
    for (int side = 0; side < 2; ++side) {
#pragma unroll
        for (int i = 0; i < Pairs; i += kStep) {
            float k_part[kStep], v_part[kStep];
            load_floats(k + side * half + i, k_part);
            load_floats(v + side * half + i, v_part);
#pragma unroll
            for (int e = 0; e < kStep; ++e) {
                k_values[side][i + e] = k_part[e];
                v_values[side][i + e] = v_part[e];
            }
        }
    }
#pragma unroll
    for (int i = 0; i < Pairs; ++i) {
        rotate(float(position), task.frequencies.of_pair[pair + i], task.shape.rotary_rounding, k_values[0][i], k_values[1][i]);
    }
    constexpr int kStoreStep = Pairs * int(sizeof(Cache)) <= 16 ? Pairs : 16 / int(sizeof(Cache));
#pragma unroll
    for (int side = 0; side < 2; ++side) {
#pragma unroll
        for (int i = 0; i < Pairs; i += kStoreStep) {
            float k_part[kStoreStep], v_part[kStoreStep];
#pragma unroll
            for (int e = 0; e < kStoreStep; ++e) {
                k_part[e] = k_values[side][i + e];
                v_part[e] = v_values[side][i + e];
            }
            store_floats(key + side * half + i, k_part);
            store_floats(value + side * half + i, v_part);
        }
    }
}

// Rows [first, first + points) of all key heads of a series from the past to the present, by `Word`s.
template <class Word>
__device__ __forceinline__ void copy_past(const AppendTask &task, int series, int first, int points, int slice) {
    const auto &shape = task.shape;
    const int size = shape.cache_type == TMOE_FLOAT32 ? 4 : 2;
    const int row_words = shape.head_dim * size / int(sizeof(Word));
    const int head_words = points * row_words;
    const Word *past_key = static_cast<const Word *>(task.past_key), *past_value = static_cast<const Word *>(task.past_value);
    Word *key = static_cast<Word *>(task.present_key), *value = static_cast<Word *>(task.present_value);
    for (int item = slice * kThreads + int(threadIdx.x); item < shape.kv_heads * head_words; item += task.slices * kThreads) {
        const int head = item / head_words, word = item % head_words;
        const std::int64_t of_all = std::int64_t(series) * shape.kv_heads + head;
        const std::int64_t from = (of_all * shape.past_capacity + first) * row_words + word;
        const std::int64_t to = (of_all * shape.present_capacity + first) * row_words + word;
        const Word k = past_key[from], v = past_value[from];
        key[to] = k;
        value[to] = v;
    }
}

template <class Io, class Cache, int Pairs>
__global__ void __launch_bounds__(kThreads) append_kernel(const AppendTask task) {
    const auto &shape = task.shape;
    const int total = int(shape.past + shape.sequence), past = int(shape.past), queries = int(shape.queries);
    const int slice = int(blockIdx.x % task.slices);
    const int chunk_of_series = int(blockIdx.x / task.slices % task.chunks);
    const int series = int(blockIdx.x / task.slices / task.chunks);
    const int first = chunk_of_series * kChunk;
    const int points = min(kChunk, total - first);

    const Chunk chunk = look_at_mask(task.mask + std::int64_t(series) * total, first, points);
    if (slice == 0 && int(threadIdx.x) < points) {
        const int place = int(threadIdx.x), point = first + place;
        const int count = chunk.count(place);
        if (chunk.real >> place & 1) task.index[std::int64_t(series) * total + count - 1] = point;
        if (point >= total - queries) task.count[std::int64_t(series) * queries + point - (total - queries)] = count;
    }

    const int old_points = min(max(past - first, 0), points);
    if (task.past_key != nullptr && old_points > 0) {
        const bool whole = shape.head_dim * (shape.cache_type == TMOE_FLOAT32 ? 4 : 2) % 16 == 0;
        if (whole) {
            copy_past<uint4>(task, series, first, old_points, slice);
        } else {
            copy_past<std::uint32_t>(task, series, first, old_points, slice);
        }
    }

    const int groups = shape.head_dim / 2 / Pairs;
    const int items = (points - old_points) * shape.kv_heads * groups;
    for (int item = slice * kThreads + int(threadIdx.x); item < items; item += task.slices * kThreads) {
        const int group = item % groups, head = item / groups % shape.kv_heads;
        const int place = old_points + item / groups / shape.kv_heads, point = first + place;
        const std::int64_t row = std::int64_t(series) * shape.sequence + point - past, column = std::int64_t(head) * shape.head_dim;
        const std::int64_t to = ((std::int64_t(series) * shape.kv_heads + head) * shape.present_capacity + point) * shape.head_dim;
        append_pairs<Io, Cache, Pairs>(task, row * shape.k_stride + column, row * shape.v_stride + column, to, group * Pairs,
                                       max(chunk.count(place) - 1, 0));
    }
}

}  // namespace

tmoe_status launch_append(const AppendTask &given, cudaStream_t stream) {
    const auto &shape = given.shape;
    const std::int64_t total = shape.past + shape.sequence;
    if (shape.batch * total == 0) return TMOE_OK;
    AppendTask task = given;

    // Enough blocks for every multiprocessor, but each thread should have something to do.
    const int pairs = shape.head_dim % 16 == 0 ? 8 : 1;
    const std::int64_t chunks = ceil_divide(total, kChunk);
    const std::int64_t written = task.past_key != nullptr ? total : shape.sequence;
    const std::int64_t items = (written < kChunk ? written : kChunk) * shape.kv_heads * (shape.head_dim / 2 / pairs);
    std::int64_t slices = 2 * kEnoughBlocks / (shape.batch * chunks);
    if (slices > ceil_divide(items, kThreads)) slices = ceil_divide(items, kThreads);
    if (slices < 1) slices = 1;
    task.chunks = int(chunks);
    task.slices = int(slices);
    if (shape.batch * chunks * slices > INT32_MAX) return TMOE_UNSUPPORTED;
    const dim3 grid(unsigned(shape.batch * chunks * slices));

    return dispatch_type(shape.io_type, [&](auto io) {
        return dispatch_type(shape.cache_type, [&](auto cache) {
            using Io = typename decltype(io)::type;
            using Cache = typename decltype(cache)::type;
            return pairs == 8 ? launch(append_kernel<Io, Cache, 8>, grid, dim3(kThreads), 0, stream, task)
                              : launch(append_kernel<Io, Cache, 1>, grid, dim3(kThreads), 0, stream, task);
        });
    });
}

}  // namespace tmoe::attention
