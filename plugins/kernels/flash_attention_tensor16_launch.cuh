// Which kernel attends with products of 16 bits.
#pragma once

#include "flash_attention_kernel.cuh"
#include "flash_attention_tensor16.cuh"

namespace tmoe::attention {

template <class T>
tmoe_status launch_attend_16(const AttendTask &task, std::int32_t type, cudaStream_t stream) {
    return dispatch_head_dim(task.shape.head_dim, [&](auto head_dim) {
        constexpr int kHeadDim = decltype(head_dim)::value;
        using Usual = TensorProducts16<T, kHeadDim, 1, 4, 1>;
        if (!is_direct(task, type)) return launch_attend<Usual, false>(task, stream);

        // Few rows: warps share the keys instead.
        using Few = TensorProducts16<T, kHeadDim, 1, 1, kHeadDim <= 64 ? 4 : 2>;
        if (task.rows <= Few::kRows) return launch_attend<Few, true>(task, stream);

        // Many rows: each operand from shared memory is used twice, where registers suffice.
        if constexpr (kHeadDim <= 64) {
            using Many = TensorProducts16<T, kHeadDim, 2, 4, 1>;
            const std::int64_t blocks = task.shape.batch * task.shape.kv_heads * ceil_divide(task.rows, Many::kRows);
            if (task.rows > Usual::kRows && blocks >= kEnoughBlocks) return launch_attend<Many, true>(task, stream);
        }
        return launch_attend<Usual, true>(task, stream);
    });
}

}  // namespace tmoe::attention
