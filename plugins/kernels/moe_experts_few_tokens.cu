// A mixture of experts for up to eight tokens: what counts is to read the chosen experts' weights once, with few launches.
//
// Floor: 3 hidden x ffn x b bytes for each expert that is chosen. One token of Time-MoE 50M (hidden 384, ffn 768, two experts,
// bfloat16) reads 3.5 MB, 1.1 microseconds at 3.35 TB/s; its shared expert (ffn 1536) as much. So there are two launches only:
//
//   1. gate and up    every block routes for itself, and takes 16 columns of both of one expert that is used
//   2. down           every block routes again, and takes 32 columns of one expert, and a part of ffn; the block that comes last
//                     for its columns adds up all experts and parts, in order: the counter that tells it so decides nothing else
//
// What lies between the launches is float32. A row is a token of one expert; rows are sorted by expert, then by token.
//
// Compile and run alone: see plugins/tests/moe_experts_test.cpp.
#include "moe_experts_few_tokens.cuh"

#include "common/gemm_activation.cuh"
#include "common/gemm_few_rows.cuh"
#include "common/launch.cuh"
#include "common/workspace.cuh"
#include "moe_routing.cuh"

namespace tmoe {
namespace {

static_assert(kFewTokens == kFewRows, "an expert has no more rows than there are tokens");

constexpr int kThreads = 256;
constexpr int kGateColumns = kFewColumns / 2;
constexpr int kMostParts = 8;
// Rows of all parts, at most, unless there are more rows than that.
constexpr int kRowsOfParts = 256;

struct FewTokensMoe {
    std::int32_t tokens, hidden, ffn, experts, top_k, scoring, activation, io_type;
    bool normalize;
    std::int32_t parts, part_k;    // of ffn
    const void *x;
    const float *logits;
    const void *gate_up, *down;
    const void *addend;            // [tokens, hidden], or null
    void *y;
    float *inner;                  // [rows, ffn]
    float *outputs;                // [parts, tokens x top_k, hidden], weighted
    int *arrived;                  // [ceil(hidden / kFewColumns)]
};

// In shared memory.
struct Routes {
    float *weights;       // [tokens, experts], 0 for one that is not chosen
    unsigned *tokens;     // [experts]: bit t for token t
    int *first_rows;      // [experts]
    int *row_tokens;      // [kFewTokens] of the block's expert
    int *used;            // how many experts are
    int *own;             // the block's expert
    int *is_last;
};

__host__ __device__ constexpr std::size_t routes_bytes(int experts) { return (std::size_t(experts) * (kFewTokens + 2) + kFewTokens + 4) * 4 / 16 * 16 + 16; }

__device__ __forceinline__ Routes routes_in(unsigned char *shared, int experts) {
    float *const weights = reinterpret_cast<float *>(shared);
    unsigned *const tokens = reinterpret_cast<unsigned *>(weights + kFewTokens * experts);
    int *const first_rows = reinterpret_cast<int *>(tokens + experts);
    int *const row_tokens = first_rows + experts;
    int *const used = row_tokens + kFewTokens;
    return {weights, tokens, first_rows, row_tokens, used, used + 1, used + 2};
}

// Routes all tokens; the block's expert is the one of that number among those that are used.
__device__ void route_all(const FewTokensMoe &moe, int number, const Routes &routes) {
    for (int i = int(threadIdx.x); i < moe.tokens * moe.experts; i += kThreads) routes.weights[i] = 0.0f;
    __syncthreads();
    const int lanes = lanes_per_token(moe.experts), at_once = kWarpSize / lanes;
    for (int first = warp_id() * at_once; first < moe.tokens; first += kThreads / kWarpSize * at_once) {
        const int token = first + lane_id() / lanes;
        const float *logits = token < moe.tokens ? moe.logits + token * moe.experts : nullptr;
        choose_experts(logits, moe.experts, moe.top_k, moe.scoring, moe.normalize, lanes,
                       [&](int, int expert, float weight) { routes.weights[token * moe.experts + expert] = weight; });
    }
    __syncthreads();
    if (warp_id() == 0) {
        int rows_before = 0, used_before = 0;
        for (int base = 0; base < moe.experts; base += kWarpSize) {
            const int expert = base + lane_id();
            unsigned tokens = 0;
            if (expert < moe.experts)
                for (int token = 0; token < moe.tokens; ++token)
                    if (routes.weights[token * moe.experts + expert] != 0.0f) tokens |= 1u << token;
            const int rows = __popc(tokens);
            int sum = rows;
#pragma unroll
            for (int offset = 1; offset < kWarpSize; offset *= 2) {
                const int lower = shuffle_up(sum, offset);
                if (lane_id() >= offset) sum += lower;
            }
            const unsigned used = warp_ballot(tokens != 0);
            if (expert < moe.experts) {
                routes.tokens[expert] = tokens;
                routes.first_rows[expert] = rows_before + sum - rows;
            }
            if (tokens != 0 && used_before + __popc(used & ((1u << lane_id()) - 1)) == number) {
                *routes.own = expert;
                int row = 0;
                for (unsigned left = tokens; left != 0; left &= left - 1) routes.row_tokens[row++] = __ffs(int(left)) - 1;
            }
            rows_before += shuffle(sum, kWarpSize - 1);
            used_before += __popc(used);
        }
        if (lane_id() == 0) *routes.used = used_before;
    }
    __syncthreads();
}

template <class T>
__global__ void __launch_bounds__(kThreads, 1) gate_few_tokens(const FewTokensMoe moe) {
    using Few = FewRows<T, kThreads>;
    TMOE_DYNAMIC_SHARED(unsigned char, shared);
    if (blockIdx.x == 0 && blockIdx.y == 0)
        for (int i = int(threadIdx.x); i * kFewColumns < moe.hidden; i += kThreads) moe.arrived[i] = 0;
    const Routes routes = routes_in(shared, moe.experts);
    route_all(moe, int(blockIdx.y), routes);
    if (int(blockIdx.y) >= *routes.used) return;

    const int expert = *routes.own, rows = __popc(routes.tokens[expert]);
    constexpr int kHalf = Few::kChunks / 2;
    const int first_column = int(blockIdx.x) * kGateColumns, column = first_column + Few::chunk() % kHalf * Few::kVector;
    const std::int64_t row_length = 2 * std::int64_t(moe.ffn);
    const T *weight = nullptr;
    if (column < moe.ffn)
        weight = static_cast<const T *>(moe.gate_up) + expert * row_length * moe.hidden + column + (Few::chunk() < kHalf ? 0 : moe.ffn);
    const auto load = [&](int row, int k, float(&values)[4]) {
        if (row < rows) load_floats_of(moe.io_type, moe.x, std::int64_t(routes.row_tokens[row]) * moe.hidden + k, values);
    };
    float *const scratch = reinterpret_cast<float *>(shared + routes_bytes(moe.experts));
    const float *const sums =
        Few::template multiply_rows<false>(rows, weight, row_length, Few::kVector, 0, moe.hidden, load, scratch);
    for (int i = int(threadIdx.x); i < rows * kGateColumns; i += kThreads) {
        const int row = i / kGateColumns, place = i % kGateColumns;
        if (first_column + place >= moe.ffn) continue;
        const float *const pair = sums + row * kFewColumns + place;
        moe.inner[std::int64_t(routes.first_rows[expert] + row) * moe.ffn + first_column + place] =
            activate<false>(moe.activation, pair[0]) * pair[kGateColumns];
    }
}

// The addend and the sums over a block's columns, by the block that comes last.
__device__ void add_experts(const FewTokensMoe &moe, const Routes &routes, int first_column) {
    const std::int64_t part_stride = std::int64_t(moe.tokens) * moe.top_k * moe.hidden;
    for (int i = int(threadIdx.x); i < moe.tokens * kFewColumns; i += kThreads) {
        const int token = i / kFewColumns, column = first_column + i % kFewColumns;
        if (column >= moe.hidden) continue;
        float total = 0.0f;
        for (int expert = 0; expert < moe.experts; ++expert) {
            const unsigned tokens = routes.tokens[expert];
            if (!(tokens >> token & 1)) continue;
            const int row = routes.first_rows[expert] + __popc(tokens & ((1u << token) - 1));
            // Other blocks have written them: they must not come from a cache of this multiprocessor.
            const volatile float *const from = moe.outputs + std::int64_t(row) * moe.hidden + column;
            float parts[kMostParts];
#pragma unroll
            for (int part = 0; part < kMostParts; ++part) parts[part] = part < moe.parts ? from[part * part_stride] : 0.0f;
#pragma unroll
            for (int part = 0; part < kMostParts; ++part) total += parts[part];
        }
        const std::int64_t at = std::int64_t(token) * moe.hidden + column;
        float value[1] = {0.0f};
        if (moe.addend != nullptr) load_floats_of(moe.io_type, moe.addend, at, value);
        value[0] += total;
        store_floats_of(moe.io_type, moe.y, at, value);
    }
}

template <class T>
__global__ void __launch_bounds__(kThreads, 1) down_few_tokens(const FewTokensMoe moe) {
    using Few = FewRows<T, kThreads>;
    TMOE_DYNAMIC_SHARED(unsigned char, shared);
    const Routes routes = routes_in(shared, moe.experts);
    route_all(moe, int(blockIdx.y), routes);
    const int used = *routes.used, first_column = int(blockIdx.x) * kFewColumns;
    if (int(blockIdx.y) >= used) {
        // Nobody works for any token.
        if (used == 0 && blockIdx.y == 0 && blockIdx.z == 0) add_experts(moe, routes, first_column);
        return;
    }

    const int expert = *routes.own, rows = __popc(routes.tokens[expert]), first_row = routes.first_rows[expert];
    const int column = first_column + Few::chunk() * Few::kVector;
    const T *weight = nullptr;
    if (column < moe.hidden) weight = static_cast<const T *>(moe.down) + expert * std::int64_t(moe.ffn) * moe.hidden + column;
    const auto load = [&](int row, int k, float(&values)[4]) {
        if (row < rows) load_floats(moe.inner + std::int64_t(first_row + row) * moe.ffn + k, values);
    };
    float *const scratch = reinterpret_cast<float *>(shared + routes_bytes(moe.experts));
    const int k_begin = int(blockIdx.z) * moe.part_k, k_end = min(k_begin + moe.part_k, moe.ffn);
    const float *const sums =
        Few::template multiply_rows<false>(rows, weight, moe.hidden, Few::kVector, k_begin, k_end, load, scratch);
    const std::int64_t part_row = std::int64_t(blockIdx.z) * moe.tokens * moe.top_k + first_row;
    for (int i = int(threadIdx.x); i < rows * kFewColumns; i += kThreads) {
        const int row = i / kFewColumns, place = i % kFewColumns;
        if (first_column + place >= moe.hidden) continue;
        const float row_weight = routes.weights[routes.row_tokens[row] * moe.experts + expert];
        moe.outputs[(part_row + row) * moe.hidden + first_column + place] = row_weight * sums[i];
    }
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) *routes.is_last = atomicAdd(&moe.arrived[blockIdx.x], 1) == used * moe.parts - 1;
    __syncthreads();
    if (!*routes.is_last) return;
    __threadfence();
    add_experts(moe, routes, first_column);
}

int most_experts(const tmoe_moe_shape &shape) {
    const std::int64_t rows = shape.tokens * shape.top_k;
    return int(rows < shape.experts ? rows : shape.experts);
}

int most_parts(const tmoe_moe_shape &shape) {
    const std::int64_t parts = kRowsOfParts / (shape.tokens * shape.top_k);
    return int(parts < 1 ? 1 : parts > kMostParts ? kMostParts : parts);
}

struct Buffers {
    float *inner, *outputs;
    int *arrived;
    std::size_t bytes;
};

Buffers buffers_in(void *workspace, const tmoe_moe_shape &shape) {
    Workspace memory(workspace);
    const std::size_t rows = std::size_t(shape.tokens) * shape.top_k;
    Buffers buffers{};
    buffers.inner = memory.take<float>(rows * shape.ffn);
    buffers.outputs = memory.take<float>(most_parts(shape) * rows * shape.hidden);
    buffers.arrived = memory.take<int>(shape.hidden / kFewColumns + std::size_t(1));
    buffers.bytes = memory.used();
    return buffers;
}

}  // namespace

std::size_t few_tokens_workspace(const tmoe_moe_shape &shape) { return buffers_in(nullptr, shape).bytes; }

tmoe_status few_tokens_moe(const tmoe_moe_shape &shape, const void *x, const float *router_logits, const void *gate_up,
                           const void *down, const void *addend, void *y, void *workspace, const Device &device, tmoe_stream stream) {
    const Buffers buffers = buffers_in(workspace, shape);
    FewTokensMoe moe{};
    moe.tokens = std::int32_t(shape.tokens);
    moe.hidden = shape.hidden;
    moe.ffn = shape.ffn;
    moe.experts = shape.experts;
    moe.top_k = shape.top_k;
    moe.scoring = shape.scoring;
    moe.activation = shape.activation;
    moe.io_type = shape.io_type;
    moe.normalize = shape.normalize_top_k != 0;
    moe.x = x;
    moe.logits = router_logits;
    moe.gate_up = gate_up;
    moe.down = down;
    moe.addend = addend;
    moe.y = y;
    moe.inner = buffers.inner;
    moe.outputs = buffers.outputs;
    moe.arrived = buffers.arrived;
    return dispatch_type(shape.weight_type, [&](auto tag) {
        using T = typename decltype(tag)::type;
        using Few = FewRows<T, kThreads>;
        const int experts = most_experts(shape), tiles = (shape.hidden + kFewColumns - 1) / kFewColumns;
        const int steps = (shape.ffn + Few::kStep - 1) / Few::kStep;
        // Two blocks for each multiprocessor.
        int parts = 2 * device.multiprocessors / (tiles * experts);
        if (parts > most_parts(shape)) parts = most_parts(shape);
        if (parts < 1) parts = 1;
        const int steps_each = (steps + parts - 1) / parts;
        moe.part_k = steps_each * Few::kStep;
        moe.parts = (steps + steps_each - 1) / steps_each;
        const std::size_t shared = routes_bytes(shape.experts) + Few::kSharedBytes;
        const dim3 gate_grid(unsigned((shape.ffn + kGateColumns - 1) / kGateColumns), unsigned(experts));
        if (const tmoe_status status = launch(gate_few_tokens<T>, gate_grid, dim3(kThreads), shared, stream, moe)) return status;
        return launch(down_few_tokens<T>, dim3(unsigned(tiles), unsigned(experts), unsigned(moe.parts)), dim3(kThreads), shared, stream,
                      moe);
    });
}

}  // namespace tmoe
