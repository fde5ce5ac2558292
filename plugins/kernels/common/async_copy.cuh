// Copies from global to shared memory that run beside computation (cp.async). On sm_75 they are plain copies, done at once.
//
// A thread sees its own copies after async_copy_wait; other threads see them after a barrier that follows it.
#pragma once

#include "arch.cuh"

#if defined(TMOE_EMULATOR)
#include "emulator/async_copy.h"
#endif

namespace tmoe {

// 16 bytes, both pointers aligned to 16. Where `valid` is false 16 zeros are written and `from` is not read.
__device__ __forceinline__ void async_copy_16(void *to, const void *from, bool valid = true) {
#if defined(TMOE_EMULATOR)
    ::emulator::async_copy_16(to, from, valid);
#elif TMOE_ARCH_AT_LEAST(80)
    const int bytes = valid ? 16 : 0;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from), "r"(bytes) : "memory");
#else
    *static_cast<uint4 *>(to) = valid ? *static_cast<const uint4 *>(from) : make_uint4(0, 0, 0, 0);
#endif
}

// Ends a group: the thread's copies since the last one.
__device__ __forceinline__ void async_copy_commit() {
#if defined(TMOE_EMULATOR)
    ::emulator::async_copy_commit();
#elif TMOE_ARCH_AT_LEAST(80)
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Waits until at most `Pending` of the thread's newest groups are unfinished.
template <int Pending>
__device__ __forceinline__ void async_copy_wait() {
#if defined(TMOE_EMULATOR)
    ::emulator::async_copy_wait(Pending);
#elif TMOE_ARCH_AT_LEAST(80)
    asm volatile("cp.async.wait_group %0;" ::"n"(Pending) : "memory");
#endif
}

}  // namespace tmoe
