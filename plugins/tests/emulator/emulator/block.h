// Runs the blocks of a grid one after another, the threads of a block as fibers that change places at barriers and at functions
// of the whole warp.
#pragma once

#include <cstddef>
#include <cstdint>

#include "emulator/vector_types.h"

extern uint3 threadIdx;
extern uint3 blockIdx;
extern dim3 blockDim;
extern dim3 gridDim;
constexpr int warpSize = 32;

namespace emulator {

constexpr int kWarpSize = 32;
constexpr int kMaxThreads = 1024;

// In which order threads and blocks run where CUDA leaves it open. A kernel that lacks a barrier gives other numbers in another
// order.
enum class Order {
    Forward,    // ascending; asynchronous copies happen as late as allowed
    Reverse,    // descending; asynchronous copies happen at once
    Shuffled,   // random, the same in every run; asynchronous copies happen at once or late, at random
};
void set_order(Order order);
Order order();

// A number below `bound`, from the emulator's own sequence.
std::uint32_t random_below(std::uint32_t bound);

// Runs `body(closure)` in every thread of every block.
void run_grid(dim3 grid, dim3 block, std::size_t shared_bytes, void (*body)(void *), void *closure);

// Whether a kernel is running.
bool in_kernel();

// The block's dynamic shared memory, filled with NaN before every block.
void *dynamic_shared();

// Whether [pointer, pointer + bytes) is shared memory.
bool is_shared(const void *pointer, std::size_t bytes);

// What a group of threads does when all of its members have arrived: `arguments[i]` is what member i came with, null for
// lanes outside the mask. It runs once.
using Perform = void (*)(void **arguments, std::uint32_t mask);

// Waits until all lanes in `mask` have called with the same mask and `perform`; one of them then performs it.
void warp_collective(std::uint32_t mask, const char *name, Perform perform, void *argument);

// Waits until all threads of the block that have not ended have called with the same `perform`; one of them then performs it,
// with as many arguments as the block has threads (null for ended ones). `perform` may be null: a barrier.
void block_collective(const char *name, Perform perform, void *argument);

// The thread's own number in its block, and its lane.
int thread_number();
inline int lane() { return thread_number() % kWarpSize; }

// Ends the process with a message that says in which thread of which block it happened.
[[noreturn]] __attribute__((format(printf, 1, 2))) void fail(const char *format, ...);

}  // namespace emulator

inline void __syncthreads() { emulator::block_collective("__syncthreads", nullptr, nullptr); }
