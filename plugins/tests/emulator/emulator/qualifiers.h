// The words that CUDA C++ adds to the language.
#pragma once

#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __launch_bounds__(...)
#define __grid_constant__

// Blocks run one after another, so a block's shared memory may be static. As thread-local variables they lie in one segment,
// which the emulator finds and fills with NaN before every block, templates' variables too.
#if !defined(EMULATOR_RACES)
#define __shared__ static thread_local
#else
// ThreadSanitizer takes for granted that nobody shares thread-local variables.
#define __shared__ static
#endif
