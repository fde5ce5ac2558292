// Which tokens go to which experts: their weights, top-k, and the rows sorted by expert, then by token.
//
// Floors, for T tokens, E experts and top-k of them: 4 T E bytes are read and about 20 T k are written, 8 T k of them read again
// (the slots' experts and weights lie in global memory between the two passes): 2 MB at T = 16384, E = 8, k = 2, which is a
// microsecond on an H100. What counts is the number of launches: one for up to kTokensOfOneBlock tokens, two for more.
//
//   1. choose     lanes_per_token lanes a token; the experts go to slot_row, the weights to the workspace
//   2. count      each warp counts the experts of its own range of tokens
//   3. place      a warp's first row of an expert: rows of lower experts, of lower blocks, of lower warps; within 32 tokens a
//                 slot's row follows from the bits of the lower tokens that chose the same expert
//
// Atomics only add integers and set bits, so that results do not depend on any order.
//
// Compile and run alone: see plugins/tests/moe_routing_test.cpp.
#include "moe_routing.cuh"

#include "common/launch.cuh"
#include "common/workspace.cuh"

namespace tmoe {
namespace {

constexpr int kThreads = 512;
constexpr int kWarps = kThreads / kWarpSize;
constexpr int kTokensOfOneBlock = 2048;
constexpr int kTokensOfABlock = 256;
constexpr int kMaxBlocks = 128;

struct Routing {
    std::int32_t tokens, experts, top_k, scoring;
    bool normalize;
    const float *logits;
    std::int32_t *expert_offsets, *row_token, *slot_row;
    float *row_weight;
    float *slot_weight;               // [tokens, top_k]
    std::int32_t *block_counts;       // [blocks, experts]
    std::int32_t tokens_of_a_block;
    RoutingErrands errands;
};

struct Range {
    std::int32_t first, end;
};

__device__ __forceinline__ Range block_range(const Routing &routing, int block) {
    const int first = block * routing.tokens_of_a_block;
    return {first, min(first + routing.tokens_of_a_block, routing.tokens)};
}

// Multiples of 32 tokens, but for the last ones.
__device__ __forceinline__ Range warp_range(Range block) {
    const int groups = (block.end - block.first + kWarpSize - 1) / kWarpSize;
    const int each = (groups + kWarps - 1) / kWarps * kWarpSize;
    const int first = min(block.first + warp_id() * each, block.end);
    return {first, min(first + each, block.end)};
}

// In shared memory.
struct Counts {
    int *warps;         // [kWarps, experts]: a warp's rows, then its next row
    unsigned *bits;     // [kWarps, experts]: which of 32 tokens chose it
    int *totals;        // [experts]
    int *firsts;        // [experts]
};

constexpr std::size_t shared_bytes(int experts) { return std::size_t(2 * kWarps + 2) * experts * 4; }

__device__ __forceinline__ Counts counts_in(int *shared, int experts) {
    int *const totals = shared + 2 * kWarps * experts;
    return {shared, reinterpret_cast<unsigned *>(shared + kWarps * experts), totals, totals + experts};
}

__device__ void choose(const Routing &routing, Range range) {
    const int lanes = lanes_per_token(routing.experts), at_once = kWarpSize / lanes;
    for (int first = range.first + warp_id() * at_once; first < range.end; first += kWarps * at_once) {
        const int token = first + lane_id() / lanes;
        const float *logits = token < range.end ? routing.logits + std::int64_t(token) * routing.experts : nullptr;
        const std::int32_t slot = token * routing.top_k;
        choose_experts(logits, routing.experts, routing.top_k, routing.scoring, routing.normalize, lanes,
                       [&](int rank, int expert, float weight) {
                           routing.slot_row[slot + rank] = weight == 0.0f ? -1 : expert;
                           routing.slot_weight[slot + rank] = weight;
                       });
    }
}

// Fills counts.warps and counts.totals.
__device__ void count(const Routing &routing, Range block, const Counts &counts) {
    for (int i = int(threadIdx.x); i < kWarps * routing.experts; i += kThreads) counts.warps[i] = 0;
    __syncthreads();
    const Range range = warp_range(block);
    for (int slot = range.first * routing.top_k + lane_id(); slot < range.end * routing.top_k; slot += kWarpSize) {
        const int expert = routing.slot_row[slot];
        if (expert >= 0) atomicAdd(&counts.warps[warp_id() * routing.experts + expert], 1);
    }
    __syncthreads();
    for (int expert = int(threadIdx.x); expert < routing.experts; expert += kThreads) {
        int total = 0;
        for (int warp = 0; warp < kWarps; ++warp) total += counts.warps[warp * routing.experts + expert];
        counts.totals[expert] = total;
    }
}

// firsts[e] += totals of lower experts. The first warp writes the offsets of all experts too, where they are wanted.
__device__ void add_lower_experts(int experts, const int *totals, int *firsts, std::int32_t *expert_offsets) {
    if (warp_id() != 0) return;
    int before = 0;
    for (int base = 0; base < experts; base += kWarpSize) {
        const int expert = base + lane_id();
        const int own = expert < experts ? totals[expert] : 0;
        int sum = own;
        for (int offset = 1; offset < kWarpSize; offset *= 2) {
            const int lower = shuffle_up(sum, offset);
            if (lane_id() >= offset) sum += lower;
        }
        if (expert < experts) {
            firsts[expert] += before + sum - own;
            if (expert_offsets != nullptr) expert_offsets[expert + 1] = before + sum;
        }
        before += shuffle(sum, kWarpSize - 1);
    }
    if (expert_offsets != nullptr && lane_id() == 0) expert_offsets[0] = 0;
}

// Turns counts.warps into each warp's first rows, from the block's in counts.firsts.
__device__ void add_lower_warps(int experts, const Counts &counts) {
    for (int expert = int(threadIdx.x); expert < experts; expert += kThreads) {
        int next = counts.firsts[expert];
        for (int warp = 0; warp < kWarps; ++warp) {
            int &rows = counts.warps[warp * experts + expert];
            const int own = rows;
            rows = next;
            next += own;
        }
    }
}

__device__ void overwrite_unused_row(const RoutingErrands &errands, int token) {
    const int vectors = int(errands.unused_row_bytes / 16);
    const std::int64_t first = std::int64_t(token) * vectors;
    uint4 *const to = static_cast<uint4 *>(errands.unused_rows) + first;
    const uint4 *const from = static_cast<const uint4 *>(errands.unused_from) + first;
    // Unrolled it would take the registers of four vectors, for rows that hardly ever come.
#pragma unroll 1
    for (int i = lane_id(); i < vectors; i += kWarpSize) to[i] = errands.unused_from != nullptr ? from[i] : make_uint4(0, 0, 0, 0);
}

__device__ void place(const Routing &routing, Range block, const Counts &counts) {
    const int experts = routing.experts, top_k = routing.top_k;
    const Range range = warp_range(block);
    unsigned *const bits = counts.bits + warp_id() * experts;
    int *const next = counts.warps + warp_id() * experts;
    const unsigned own_bit = 1u << lane_id();
    for (int first = range.first; first < range.end; first += kWarpSize) {
        const int token = first + lane_id();
        const std::int32_t slots = token * top_k, end = token < range.end ? slots + top_k : slots;
        for (int expert = lane_id(); expert < experts; expert += kWarpSize) bits[expert] = 0;
        __syncwarp();
        bool used = token >= range.end;
        for (std::int32_t slot = slots; slot < end; ++slot) {
            const int expert = routing.slot_row[slot];
            if (expert >= 0) atomicOr(&bits[expert], own_bit);
            used |= expert >= 0;
        }
        __syncwarp();
        for (std::int32_t slot = slots; slot < end; ++slot) {
            const int expert = routing.slot_row[slot];
            if (expert < 0) continue;
            const int row = next[expert] + __popc(bits[expert] & (own_bit - 1));
            routing.row_token[row] = token;
            routing.row_weight[row] = routing.slot_weight[slot];
            routing.slot_row[slot] = row;
        }
        __syncwarp();
        for (int expert = lane_id(); expert < experts; expert += kWarpSize) next[expert] += __popc(bits[expert]);
        __syncwarp();
        if (routing.errands.unused_rows != nullptr)
            for (unsigned unused = warp_ballot(!used); unused != 0; unused &= unused - 1)
                overwrite_unused_row(routing.errands, first + __ffs(int(unused)) - 1);
    }
}

__global__ void __launch_bounds__(kThreads) route_in_one_block(const Routing routing) {
    if (blockIdx.x > 0) {
        convert(routing.errands.conversion, blockIdx.x - 1, gridDim.x - 1);
        return;
    }
    TMOE_DYNAMIC_SHARED(int, shared);
    const Counts counts = counts_in(shared, routing.experts);
    const Range all = {0, routing.tokens};
    choose(routing, all);
    __syncthreads();
    count(routing, all, counts);
    for (int expert = int(threadIdx.x); expert < routing.experts; expert += kThreads) counts.firsts[expert] = 0;
    __syncthreads();
    add_lower_experts(routing.experts, counts.totals, counts.firsts, routing.expert_offsets);
    __syncthreads();
    add_lower_warps(routing.experts, counts);
    __syncthreads();
    place(routing, all, counts);
}

__global__ void __launch_bounds__(kThreads) choose_and_count(const Routing routing, int blocks) {
    if (int(blockIdx.x) >= blocks) {
        convert(routing.errands.conversion, int(blockIdx.x) - blocks, int(gridDim.x) - blocks);
        return;
    }
    TMOE_DYNAMIC_SHARED(int, shared);
    const Counts counts = counts_in(shared, routing.experts);
    const Range range = block_range(routing, int(blockIdx.x));
    choose(routing, range);
    __syncthreads();
    count(routing, range, counts);
    for (int expert = int(threadIdx.x); expert < routing.experts; expert += kThreads)
        routing.block_counts[int(blockIdx.x) * routing.experts + expert] = counts.totals[expert];
}

__global__ void __launch_bounds__(kThreads) place_rows(const Routing routing) {
    TMOE_DYNAMIC_SHARED(int, shared);
    const Counts counts = counts_in(shared, routing.experts);
    const Range range = block_range(routing, int(blockIdx.x));
    count(routing, range, counts);
    __syncthreads();
    for (int expert = int(threadIdx.x); expert < routing.experts; expert += kThreads) counts.totals[expert] = counts.firsts[expert] = 0;
    __syncthreads();
    for (int i = int(threadIdx.x); i < int(gridDim.x) * routing.experts; i += kThreads) {
        const int rows = routing.block_counts[i], block = i / routing.experts, expert = i - block * routing.experts;
        atomicAdd(&counts.totals[expert], rows);
        if (block < int(blockIdx.x)) atomicAdd(&counts.firsts[expert], rows);
    }
    __syncthreads();
    add_lower_experts(routing.experts, counts.totals, counts.firsts, blockIdx.x == 0 ? routing.expert_offsets : nullptr);
    __syncthreads();
    add_lower_warps(routing.experts, counts);
    __syncthreads();
    place(routing, range, counts);
}

struct Scratch {
    float *slot_weight;
    std::int32_t *block_counts;
    std::size_t bytes;
};

Scratch scratch_in(void *workspace, const tmoe_routing_shape &shape) {
    Workspace memory(workspace);
    Scratch scratch{};
    scratch.slot_weight = memory.take<float>(std::size_t(shape.tokens) * shape.top_k);
    scratch.block_counts = memory.take<std::int32_t>(std::size_t(kMaxBlocks) * shape.experts);
    scratch.bytes = memory.used();
    return scratch;
}

}  // namespace

tmoe_status route(const tmoe_routing_shape &shape, const float *router_logits, std::int32_t *expert_offsets, std::int32_t *row_token,
                  float *row_weight, std::int32_t *slot_row, void *workspace, const RoutingErrands &errands, tmoe_stream stream) {
    Device device;
    if (const cudaError_t error = current_device(&device)) return error;
    const std::int32_t tokens = std::int32_t(shape.tokens);
    const Scratch scratch = scratch_in(workspace, shape);
    Routing routing{};
    routing.tokens = tokens;
    routing.experts = shape.experts;
    routing.top_k = shape.top_k;
    routing.scoring = shape.scoring;
    routing.normalize = shape.normalize_top_k != 0;
    routing.logits = router_logits;
    routing.expert_offsets = expert_offsets;
    routing.row_token = row_token;
    routing.row_weight = row_weight;
    routing.slot_row = slot_row;
    routing.slot_weight = scratch.slot_weight;
    routing.block_counts = scratch.block_counts;
    routing.errands = errands;

    const int converting = conversion_blocks(errands.conversion.count, kThreads, device.multiprocessors);
    const std::size_t shared = shared_bytes(shape.experts);
    if (tokens * std::int64_t(lanes_per_token(shape.experts)) <= kTokensOfOneBlock)
        return launch(route_in_one_block, dim3(unsigned(1 + converting)), dim3(kThreads), shared, stream, routing);

    const int even = (tokens + kMaxBlocks - 1) / kMaxBlocks;
    routing.tokens_of_a_block = even > kTokensOfABlock ? even : kTokensOfABlock;
    const int blocks = (tokens + routing.tokens_of_a_block - 1) / routing.tokens_of_a_block;
    if (const tmoe_status status =
            launch(choose_and_count, dim3(unsigned(blocks + converting)), dim3(kThreads), shared, stream, routing, blocks))
        return status;
    return launch(place_rows, dim3(unsigned(blocks)), dim3(kThreads), shared, stream, routing);
}

}  // namespace tmoe

using namespace tmoe;

extern "C" size_t tmoe_moe_routing_workspace(const tmoe_routing_shape *shape) {
    if (shape == nullptr || !is_valid_routing(*shape) || !is_supported_routing(*shape)) return 0;
    return scratch_in(nullptr, *shape).bytes;
}

extern "C" tmoe_status tmoe_moe_routing(const tmoe_routing_shape *shape, const float *router_logits, int32_t *expert_offsets,
                                        int32_t *row_token, float *row_weight, int32_t *slot_row, void *workspace,
                                        size_t workspace_bytes, tmoe_stream stream) {
    if (shape == nullptr || !is_valid_routing(*shape)) return TMOE_INVALID_ARGUMENT;
    if (!is_supported_routing(*shape)) return TMOE_UNSUPPORTED;
    if (shape->tokens == 0) return TMOE_OK;
    if (!router_logits || !expert_offsets || !row_token || !row_weight || !slot_row || !workspace) return TMOE_INVALID_ARGUMENT;
    if (workspace_bytes < tmoe_moe_routing_workspace(shape)) return TMOE_WORKSPACE_TOO_SMALL;
    return route(*shape, router_logits, expert_offsets, row_token, row_weight, slot_row, workspace, RoutingErrands{}, stream);
}
