// Attention with products of TF32. sm_80 and newer; the cache is float32.
#include "flash_attention_kernel.cuh"
#include "flash_attention_tf32.cuh"

namespace tmoe::attention {

tmoe_status launch_attend_tf32(const AttendTask &task, cudaStream_t stream) {
    if (!is_direct(task, TMOE_FLOAT32)) return launch_attend_float32(task, stream);
    return dispatch_head_dim(task.shape.head_dim, [&](auto head_dim) {
        constexpr int kHeadDim = decltype(head_dim)::value;
        using Few = TensorProductsTf32<kHeadDim, 1, kHeadDim <= 64 ? 4 : 2>;
        if (task.rows <= Few::kRows) return launch_attend<Few, true>(task, stream);
        return launch_attend<TensorProductsTf32<kHeadDim, kHeadDim <= 64 ? 4 : 2, 1>, true>(task, stream);
    });
}

}  // namespace tmoe::attention
