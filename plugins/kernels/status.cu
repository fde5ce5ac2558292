// The version of the interface, and what a status means.
#include "common/arch.cuh"
#include "tmoe_kernels.h"

extern "C" int32_t tmoe_kernels_abi(void) { return TMOE_KERNELS_ABI; }

extern "C" const char *tmoe_status_text(tmoe_status status) {
    switch (status) {
        case TMOE_OK: return "done";
        case TMOE_INVALID_ARGUMENT: return "a size, a null pointer or an alignment is not allowed";
        case TMOE_UNSUPPORTED: return "the device has no instructions for these types, or a size is beyond the limits";
        case TMOE_WORKSPACE_TOO_SMALL: return "the workspace is too small";
        default: return status > 0 ? cudaGetErrorString(static_cast<cudaError_t>(status)) : "unknown status";
    }
}
