// What differs between the compilers of a kernel and between the architectures that it is compiled for.
#pragma once

#include <cuda_runtime.h>

#if !defined(TMOE_EMULATOR) && !defined(__CUDACC__)
#error "Kernels are compiled by nvcc, or by a C++ compiler with plugins/tests/emulator in the include path."
#endif

// 1 where code for `capability` (75, 80, 90 ...) may stand. The emulator has all instructions, and checks at run time that the
// emulated device has them too.
#if defined(__CUDA_ARCH__)
#define TMOE_ARCH_AT_LEAST(capability) (__CUDA_ARCH__ >= (capability) * 10)
#else
#define TMOE_ARCH_AT_LEAST(capability) 1
#endif

#if defined(TMOE_EMULATOR)
#define TMOE_DYNAMIC_SHARED(type, name) type *name = static_cast<type *>(::emulator::dynamic_shared())
#else
// The block's dynamic shared memory as `type *name`, aligned to 128 bytes.
#define TMOE_DYNAMIC_SHARED(type, name)                                                                                           \
    extern __shared__ __align__(128) unsigned char tmoe_dynamic_shared[];                                                         \
    type *name = reinterpret_cast<type *>(tmoe_dynamic_shared)
#endif

namespace tmoe {

constexpr int kWarpSize = 32;

#if defined(TMOE_EMULATOR)
// Ends the process with a message if the emulated device is older than `capability`.
inline void require_capability(int capability, const char *instruction) { ::emulator::require_capability(capability, instruction); }
#else
// The address of a pointer into shared memory, as PTX instructions take it.
__device__ __forceinline__ unsigned shared_address(const void *pointer) {
    return static_cast<unsigned>(__cvta_generic_to_shared(pointer));
}
#endif

}  // namespace tmoe
