// Attention with products of float32.
#include "flash_attention_fma.cuh"
#include "flash_attention_kernel.cuh"

namespace tmoe::attention {

tmoe_status launch_attend_float32(const AttendTask &task, cudaStream_t stream) {
    return dispatch_head_dim(task.shape.head_dim, [&](auto head_dim) {
        constexpr int kHeadDim = decltype(head_dim)::value;
        // With heads of 128, the queries of more rows would not fit into the shared memory of an sm_75.
        using Usual = FmaProducts<kHeadDim, 4, kHeadDim <= 64 ? 4 : 2, 1>;
        if (!is_direct(task, TMOE_FLOAT32)) return launch_attend<Usual, false>(task, stream);

        // Few rows: warps share the keys instead.
        using Few = FmaProducts<kHeadDim, 1, 1, kHeadDim <= 64 ? 4 : 2>;
        if (task.rows <= Few::kRows) return launch_attend<Few, true>(task, stream);
        return launch_attend<Usual, true>(task, stream);
    });
}

}  // namespace tmoe::attention
