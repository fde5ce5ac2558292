// What the launches of one attention call share: how the work is divided, where things lie in the workspace.
#pragma once

#include "common/arch.cuh"
#include "common/numeric.cuh"
#include "tmoe_kernels.h"

namespace tmoe::attention {

constexpr int kMaxHeadDim = 128;

// Positions are floats, and so is the quadrant of an angle: both are exact up to here.
constexpr std::int64_t kMaxPoints = std::int64_t(1) << 22;

// Blocks from which on there are enough to share without dividing the keys: two for each multiprocessor of a large device. Fixed,
// so that every device divides the same call in the same way.
constexpr std::int64_t kEnoughBlocks = 256;

// Keys of a part where the keys are divided, at least: a shorter one would not pay for putting the parts together.
constexpr std::int64_t kMinPartKeysFewRows = 256;
constexpr std::int64_t kMinPartKeys = 512;

// One lane of a warp reads a part's sums.
constexpr int kMaxParts = kWarpSize;

// A *row* is one query of one of the query heads that share a key head: row = query x group + head in the group, so that rows are
// ordered by how far they see. A *rank* is the index of a real point among the real points of its series: a query sees the ranks
// below the count of real points up to itself, which is the causal rule and the mask in one number, and a masked key is never read.
struct Plan {
    std::int64_t total;       // past + sequence
    std::int64_t key_heads;   // batch x kv_heads
    std::int64_t rows;        // of a key head
    int group;                // query heads of a key head
    int parts;                // into which the keys are divided
    std::size_t count_at;     // offsets into the workspace
    std::size_t weighted_at;
    std::size_t sums_at;
    std::size_t bytes;
};

template <class A, class B>
__host__ __device__ constexpr auto ceil_divide(A value, B by) {
    return (value + by - 1) / by;
}

// Depends on sizes alone.
inline Plan make_plan(const tmoe_attention_shape &shape) {
    Plan plan{};
    plan.total = shape.past + shape.sequence;
    plan.key_heads = shape.batch * shape.kv_heads;
    plan.group = shape.heads / shape.kv_heads;
    plan.rows = shape.queries * plan.group;

    constexpr std::int64_t kUsualRows = 64;
    const std::int64_t blocks = plan.key_heads * ceil_divide(plan.rows, kUsualRows);
    const std::int64_t part_keys = plan.rows <= kUsualRows ? kMinPartKeysFewRows : kMinPartKeys;
    std::int64_t parts = blocks > 0 ? kEnoughBlocks / blocks : 1;
    if (parts > plan.total / part_keys) parts = plan.total / part_keys;
    if (parts > kMaxParts) parts = kMaxParts;
    plan.parts = parts < 1 ? 1 : int(parts);

    const auto aligned = [](std::int64_t words) { return std::size_t(ceil_divide(words * 4, 256) * 256); };
    const std::int64_t partial_rows = plan.parts > 1 ? plan.key_heads * plan.rows * plan.parts : 0;
    plan.count_at = aligned(shape.batch * plan.total);
    plan.weighted_at = plan.count_at + aligned(shape.batch * shape.queries);
    plan.sums_at = plan.weighted_at + aligned(partial_rows * shape.head_dim);
    plan.bytes = plan.sums_at + aligned(partial_rows * 2);
    return plan;
}

// theta^(-2j / head_dim) for each pair j: a parameter of the kernels, made on the host, where a power is exact to the last bit.
struct Frequencies {
    float of_pair[kMaxHeadDim / 2];
};

// For the launch that looks at the mask and writes the cache.
struct AppendTask {
    tmoe_attention_shape shape;
    Frequencies frequencies;
    const void *k;
    const void *v;
    const void *past_key;             // null: the past lies in the present's buffers
    const void *past_value;
    const std::int64_t *mask;
    void *present_key;
    void *present_value;
    std::int32_t *index;              // [batch, total]: points of the ranks
    std::int32_t *count;              // [batch, queries]: ranks that a query sees
    int chunks;                       // of a series
    int slices;                       // blocks that share the rows of a chunk
};

// For the launches that attend and put parts together.
struct AttendTask {
    tmoe_attention_shape shape;
    Frequencies frequencies;
    const void *q;
    const void *key;                  // [batch, kv_heads, present_capacity, head_dim]
    const void *value;
    void *y;
    const std::int32_t *index;
    const std::int32_t *count;
    float *weighted;                  // [batch, kv_heads, rows, parts, head_dim]: values weighted by 2^(score - top)
    float2 *sums;                     // [batch, kv_heads, rows, parts]: top, the weights' sum
    int total;
    int rows;
    int group;
    int parts;
    int row_blocks;
};

// Mask to ranks and counts, past to present, new keys rotated and new values appended. One launch, or none without points.
tmoe_status launch_append(const AppendTask &task, cudaStream_t stream);

// Scores, softmax, weighted values: into y, or into the workspace where the keys are divided. One launch each.
tmoe_status launch_attend_float16(const AttendTask &task, cudaStream_t stream);
tmoe_status launch_attend_bfloat16(const AttendTask &task, cudaStream_t stream);
tmoe_status launch_attend_float32(const AttendTask &task, cudaStream_t stream);
tmoe_status launch_attend_tf32(const AttendTask &task, cudaStream_t stream);

// Parts to y, first part first. One launch.
tmoe_status launch_combine(const AttendTask &task, cudaStream_t stream);

}  // namespace tmoe::attention
