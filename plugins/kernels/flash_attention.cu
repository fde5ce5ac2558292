// FlashAttention: causal attention with rotary embedding, a mask and a cache, without a matrix of scores (FlashAttention-2, Dao 2023).
//
//   flash_attention.cu                       the C functions: what is allowed, which launches
//   flash_attention_task.cuh                 how the work is divided; what the launches share
//   flash_attention_rotary.cuh               rotary embedding
//   flash_attention_append.cu                launch 1: mask to ranks, past to present, new keys and values into the cache
//   flash_attention_kernel.cuh               launch 2: attention, for any products
//   flash_attention_tile.cuh                   queries, keys and values into shared memory
//   flash_attention_{tensor16,tf32,fma}.cuh    the products
//   flash_attention_{float16,bfloat16,tf32,float32}.cu    which kernel for which shape
//   flash_attention_combine.cu               launch 3, where keys were divided: parts put together
//
// Two launches, because every block of the second reads keys and values that blocks of the first wrote; and a third where there are
// too few rows to fill a device, so that blocks share the keys of a row. Their geometry depends on sizes alone.
//
//   compile and run alone: see plugins/tests/flash_attention_test.cpp
//
// Floor of launch 2, with R rows (queries x heads per key head) for each of B x H key heads of D elements, on T keys:
//   operations  4 B H R T D, half of them where all rows are new (causal), and B H R T powers of two
//   bytes       2 B H T D values of cache_type read once, 2 B H R D values of io_type for q and y
//   Many queries are bound by operations: a tile of 128 rows does 128 operations for each byte of a cache of 16 bits that it reads
//   from L2. Few queries are bound by bytes: each key and value is read once for all rows of its key head, up to 128 of them.
#include "common/device.cuh"
#include "common/numeric.cuh"
#include "flash_attention_rotary.cuh"
#include "flash_attention_task.cuh"

namespace tmoe::attention {
namespace {

bool is_type(std::int32_t type) { return type == TMOE_FLOAT32 || type == TMOE_FLOAT16 || type == TMOE_BFLOAT16; }

bool is_aligned(const void *pointer) { return reinterpret_cast<std::uintptr_t>(pointer) % 16 == 0; }

// Whether the rows of q, k or v begin where the kernels' vectors may: heads that are no multiple of 16 are read one by one.
bool are_rows_aligned(const tmoe_attention_shape &shape, const void *rows, std::int64_t stride) {
    const std::int64_t size = shape.io_type == TMOE_FLOAT32 ? 4 : 2;
    if (shape.head_dim % 16 != 0) return reinterpret_cast<std::uintptr_t>(rows) % std::uintptr_t(size) == 0;
    return is_aligned(rows) && stride * size % 16 == 0;
}

// 0, or why there is no such attention.
tmoe_status check_shape(const tmoe_attention_shape &shape) {
    const bool sizes = shape.batch >= 0 && shape.queries >= 0 && shape.queries <= shape.sequence && shape.past >= 0 &&
                       shape.past_capacity >= 0 && shape.heads > 0 && shape.kv_heads > 0 && shape.heads % shape.kv_heads == 0 &&
                       shape.head_dim > 0 && shape.head_dim % 2 == 0;
    const bool types = is_type(shape.io_type) && is_type(shape.cache_type) && is_type(shape.compute_type) &&
                       is_type(shape.rotary_rounding);
    if (!sizes || !types || !(shape.rope_theta > 0.0f) || !std::isfinite(shape.rope_theta) || !std::isfinite(shape.scale)) {
        return TMOE_INVALID_ARGUMENT;
    }
    if (shape.head_dim > kMaxHeadDim || shape.past > kMaxPoints || shape.sequence > kMaxPoints - shape.past) return TMOE_UNSUPPORTED;
    if (shape.present_capacity < shape.past + shape.sequence) return TMOE_INVALID_ARGUMENT;
    const std::int64_t width = std::int64_t(shape.heads) * shape.head_dim, kv_width = std::int64_t(shape.kv_heads) * shape.head_dim;
    if (shape.q_stride < width || shape.k_stride < kv_width || shape.v_stride < kv_width) return TMOE_INVALID_ARGUMENT;
    const std::int64_t rows = shape.queries * (shape.heads / shape.kv_heads);
    if (rows > INT32_MAX / 2 || shape.batch > INT32_MAX / shape.kv_heads) return TMOE_UNSUPPORTED;
    return TMOE_OK;
}

bool multiplies(const Device &device, std::int32_t type) { return type != TMOE_BFLOAT16 || device.capability >= 80; }

tmoe_status launch_attend(const AttendTask &task, const Device &device, cudaStream_t stream) {
    switch (task.shape.compute_type) {
        case TMOE_FLOAT16: return launch_attend_float16(task, stream);
        case TMOE_BFLOAT16: return launch_attend_bfloat16(task, stream);
        default: break;
    }
    const bool tf32 = (task.shape.options & TMOE_ALLOW_TF32) != 0 && device.capability >= 80;
    return tf32 ? launch_attend_tf32(task, stream) : launch_attend_float32(task, stream);
}

}  // namespace
}  // namespace tmoe::attention

using namespace tmoe;
using namespace tmoe::attention;

extern "C" tmoe_status tmoe_attention_compute_type(int32_t wanted, int32_t *compute_type) {
    if (compute_type == nullptr || !is_type(wanted)) return TMOE_INVALID_ARGUMENT;
    Device device;
    if (const cudaError_t error = current_device(&device)) return tmoe_status(error);
    *compute_type = multiplies(device, wanted) ? wanted : TMOE_FLOAT32;
    return TMOE_OK;
}

extern "C" size_t tmoe_flash_attention_workspace(const tmoe_attention_shape *shape) {
    return shape != nullptr && check_shape(*shape) == TMOE_OK ? make_plan(*shape).bytes : 0;
}

extern "C" tmoe_status tmoe_flash_attention(const tmoe_attention_shape *shape, const void *q, const void *k, const void *v,
                                            const void *past_key, const void *past_value, const int64_t *attention_mask, void *y,
                                            void *present_key, void *present_value, void *workspace, size_t workspace_bytes,
                                            tmoe_stream stream) {
    if (shape == nullptr) return TMOE_INVALID_ARGUMENT;
    if (const tmoe_status status = check_shape(*shape)) return status;
    Device device;
    if (const cudaError_t error = current_device(&device)) return tmoe_status(error);
    if (!multiplies(device, shape->compute_type)) return TMOE_UNSUPPORTED;

    const Plan plan = make_plan(*shape);
    if (shape->batch * plan.total == 0) return TMOE_OK;

    const bool in_place = shape->past == 0 || ((past_key == nullptr || past_key == present_key) &&
                                               (past_value == nullptr || past_value == present_value));
    const bool complete = (shape->sequence == 0 || (k != nullptr && v != nullptr)) &&
                          (shape->queries == 0 || (q != nullptr && y != nullptr)) && attention_mask != nullptr &&
                          present_key != nullptr && present_value != nullptr && workspace != nullptr;
    const bool copied = in_place || (past_key != nullptr && past_value != nullptr && past_key != present_key &&
                                     past_value != present_value && shape->past_capacity >= shape->past &&
                                     is_aligned(past_key) && is_aligned(past_value));
    const bool aligned = are_rows_aligned(*shape, q, shape->q_stride) && are_rows_aligned(*shape, k, shape->k_stride) &&
                         are_rows_aligned(*shape, v, shape->v_stride) && is_aligned(y) && is_aligned(present_key) &&
                         is_aligned(present_value) && is_aligned(workspace);
    if (!complete || !copied || !aligned) return TMOE_INVALID_ARGUMENT;
    if (workspace_bytes < plan.bytes) return TMOE_WORKSPACE_TOO_SMALL;

    unsigned char *const scratch = static_cast<unsigned char *>(workspace);
    std::int32_t *const index = reinterpret_cast<std::int32_t *>(scratch);
    std::int32_t *const count = reinterpret_cast<std::int32_t *>(scratch + plan.count_at);
    const Frequencies frequencies = make_frequencies(shape->rope_theta, shape->head_dim);

    AppendTask append{};
    append.shape = *shape;
    append.frequencies = frequencies;
    append.k = k;
    append.v = v;
    append.past_key = in_place ? nullptr : past_key;
    append.past_value = in_place ? nullptr : past_value;
    append.mask = attention_mask;
    append.present_key = present_key;
    append.present_value = present_value;
    append.index = index;
    append.count = count;
    if (const tmoe_status status = launch_append(append, stream)) return status;
    if (plan.rows == 0) return TMOE_OK;

    AttendTask attend{};
    attend.shape = *shape;
    attend.frequencies = frequencies;
    attend.q = q;
    attend.key = present_key;
    attend.value = present_value;
    attend.y = y;
    attend.index = index;
    attend.count = count;
    attend.weighted = reinterpret_cast<float *>(scratch + plan.weighted_at);
    attend.sums = reinterpret_cast<float2 *>(scratch + plan.sums_at);
    attend.total = int(plan.total);
    attend.rows = int(plan.rows);
    attend.group = plan.group;
    attend.parts = plan.parts;
    if (const tmoe_status status = launch_attend(attend, device, stream)) return status;
    return plan.parts > 1 ? launch_combine(attend, stream) : TMOE_OK;
}
