// FlashAttention, last launch where the keys were divided: the parts of each row are put together in their order, so that results
// are the same in every run.
//
//   compile and run alone: see plugins/tests/flash_attention_test.cpp
//
// Floor, for R rows of D elements in N parts: 4 N (D + 2) R bytes read, D R values of io_type written; they lie in L2.
#include "common/launch.cuh"
#include "common/warp.cuh"
#include "flash_attention_tile.cuh"

namespace tmoe::attention {
namespace {

constexpr int kThreads = 128;
constexpr int kRowsPerBlock = kThreads / kWarpSize;

// A warp for each row: lane i knows the sums of part i, and has a pair of columns of every 64.
__global__ void __launch_bounds__(kThreads) combine_kernel(const AttendTask task) {
    const std::int64_t rows = task.shape.batch * task.shape.kv_heads * task.rows;
    const std::int64_t row = std::int64_t(blockIdx.x) * kRowsPerBlock + warp_id();
    if (row >= rows) return;
    const int head_dim = task.shape.head_dim, parts = task.parts;

    const float2 own = lane_id() < parts ? task.sums[row * parts + lane_id()] : make_float2(-INFINITY, 0.0f);
    const float top = warp_max(own.x);
    // Parts that saw no key have a sum of zero.
    const float weight = lane_id() < parts ? exp2f(own.x - top) : 0.0f;
    const float sum = warp_sum(weight * own.y);
    const float factor = sum == 0.0f ? 0.0f : 1.0f / sum;

    const std::int64_t head = row / task.rows;
    const int series = int(head / task.shape.kv_heads), key_head = int(head % task.shape.kv_heads);
    const std::int64_t to = offset_in_y(task, series, key_head, int(row % task.rows));
    for (int first = 0; first < head_dim; first += 2 * kWarpSize) {
        const int column = first + 2 * lane_id();
        float total[2] = {};
#pragma unroll 4
        for (int part = 0; part < parts; ++part) {
            const float part_weight = shuffle(weight, part);
            if (column < head_dim) {
                float pair[2];
                load_floats(task.weighted + (row * parts + part) * head_dim + column, pair);
                total[0] = fmaf(part_weight, pair[0], total[0]);
                total[1] = fmaf(part_weight, pair[1], total[1]);
            }
        }
        if (column < head_dim) store_typed(task.y, task.shape.io_type, to + column, total[0] * factor, total[1] * factor);
    }
}

}  // namespace

tmoe_status launch_combine(const AttendTask &task, cudaStream_t stream) {
    const std::int64_t blocks = ceil_divide(task.shape.batch * task.shape.kv_heads * task.rows, kRowsPerBlock);
    if (blocks > INT32_MAX) return TMOE_UNSUPPORTED;
    return launch(combine_kernel, dim3(unsigned(blocks)), dim3(kThreads), 0, stream, task);
}

}  // namespace tmoe::attention
