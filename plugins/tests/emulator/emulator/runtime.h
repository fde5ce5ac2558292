// The CUDA runtime's functions: everything happens at once, streams are only names.
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

#include "emulator/block.h"
#include "emulator/vector_types.h"

enum cudaError_t {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorInvalidConfiguration = 9,
    cudaErrorInvalidDevicePointer = 17,
    cudaErrorNoDevice = 100,
    cudaErrorInvalidDevice = 101,
};

enum cudaMemcpyKind {
    cudaMemcpyHostToHost = 0,
    cudaMemcpyHostToDevice = 1,
    cudaMemcpyDeviceToHost = 2,
    cudaMemcpyDeviceToDevice = 3,
    cudaMemcpyDefault = 4,
};

enum cudaDeviceAttr {
    cudaDevAttrMultiProcessorCount = 16,
    cudaDevAttrComputeCapabilityMajor = 75,
    cudaDevAttrComputeCapabilityMinor = 76,
    cudaDevAttrMaxSharedMemoryPerBlockOptin = 97,
};

enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8, cudaFuncAttributePreferredSharedMemoryCarveout = 9 };

typedef struct CUstream_st *cudaStream_t;

cudaError_t cudaGetDeviceCount(int *count);
cudaError_t cudaGetDevice(int *device);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int device);
cudaError_t cudaMalloc(void **pointer, std::size_t bytes);
cudaError_t cudaFree(void *pointer);
cudaError_t cudaMemcpy(void *to, const void *from, std::size_t bytes, cudaMemcpyKind kind);
cudaError_t cudaMemset(void *to, int value, std::size_t bytes);
cudaError_t cudaMemcpyAsync(void *to, const void *from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream = nullptr);
cudaError_t cudaMemsetAsync(void *to, int value, std::size_t bytes, cudaStream_t stream = nullptr);
const char *cudaGetErrorString(cudaError_t error);

template <class T>
cudaError_t cudaMalloc(T **pointer, std::size_t bytes) {
    return cudaMalloc(reinterpret_cast<void **>(pointer), bytes);
}
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline cudaError_t cudaDeviceSynchronize() { return cudaSuccess; }
inline cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }

namespace emulator {
cudaError_t set_function_attribute(const void *kernel, cudaFuncAttribute attribute, int value);
cudaError_t check_launch(const void *kernel, dim3 grid, dim3 block, std::size_t shared_bytes);

template <class... Params>
struct KernelCall {
    void (*kernel)(Params...);
    void **args;

    template <std::size_t... I>
    void run(std::index_sequence<I...>) {
        kernel(*static_cast<std::remove_reference_t<Params> *>(args[I])...);
    }
    static void run(void *call) { static_cast<KernelCall *>(call)->run(std::index_sequence_for<Params...>{}); }
};
}  // namespace emulator

template <class... Params>
cudaError_t cudaFuncSetAttribute(void (*kernel)(Params...), cudaFuncAttribute attribute, int value) {
    return emulator::set_function_attribute(reinterpret_cast<const void *>(kernel), attribute, value);
}

template <class... Params>
cudaError_t cudaLaunchKernel(void (*kernel)(Params...), dim3 grid, dim3 block, void **args, std::size_t shared_bytes, cudaStream_t) {
    if (cudaError_t error = emulator::check_launch(reinterpret_cast<const void *>(kernel), grid, block, shared_bytes)) return error;
    emulator::KernelCall<Params...> call{kernel, args};
    emulator::run_grid(grid, block, shared_bytes, emulator::KernelCall<Params...>::run, &call);
    return cudaSuccess;
}
