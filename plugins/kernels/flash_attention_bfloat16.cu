// Attention with products of bfloat16. sm_80 and newer.
#include "flash_attention_tensor16_launch.cuh"

namespace tmoe::attention {

tmoe_status launch_attend_bfloat16(const AttendTask &task, cudaStream_t stream) {
    return launch_attend_16<bfloat16>(task, TMOE_BFLOAT16, stream);
}

}  // namespace tmoe::attention
