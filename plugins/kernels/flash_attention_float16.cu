// Attention with products of float16.
#include "flash_attention_tensor16_launch.cuh"

namespace tmoe::attention {

tmoe_status launch_attend_float16(const AttendTask &task, cudaStream_t stream) {
    return launch_attend_16<float16>(task, TMOE_FLOAT16, stream);
}

}  // namespace tmoe::attention
