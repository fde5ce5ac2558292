// Launching a kernel as a function call.
#pragma once

#include <cstddef>
#include <tuple>

#include "../tmoe_kernels.h"
#include "arch.cuh"
#include "device.cuh"

namespace tmoe {

// What a launch may use without opting in.
constexpr std::size_t kDefaultSharedBytes = 48 * 1024;

// Launches `kernel` and gives back the error of the launch. `args` are converted to the kernel's parameters; `shared_bytes` is
// dynamic shared memory.
template <class... Params, class... Args>
tmoe_status launch(void (*kernel)(Params...), dim3 grid, dim3 block, std::size_t shared_bytes, cudaStream_t stream,
                   const Args &...args) {
    static_assert(sizeof...(Params) == sizeof...(Args), "one argument for each parameter of the kernel");
    if (shared_bytes > kDefaultSharedBytes) {
        const cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(shared_bytes));
        if (error != cudaSuccess) {
            (void)cudaGetLastError();
            return tmoe_status(error);
        }
    }
    std::tuple<Params...> values(args...);
    void *pointers[sizeof...(Params) + 1] = {};
    std::apply([&](auto &...value) { int i = 0; ((pointers[i++] = const_cast<void *>(static_cast<const void *>(&value))), ...); },
               values);
    const cudaError_t error = cudaLaunchKernel(kernel, grid, block, pointers, shared_bytes, stream);
    if (error != cudaSuccess) (void)cudaGetLastError();
    return tmoe_status(error);
}

}  // namespace tmoe
