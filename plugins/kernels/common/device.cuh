// The current device's facts, asked for once per device and process.
#pragma once

#include <atomic>
#include <cstdint>

#include "arch.cuh"

namespace tmoe {

struct Device {
    int capability = 0;         // 75, 80, 86 ...
    int multiprocessors = 0;
    int max_shared_bytes = 0;   // of one block, opted in
};

// Fills `device`, or gives back a cudaError_t. Touches no stream, so it may be called during a capture.
inline cudaError_t current_device(Device *device) {
    constexpr int kCached = 64;
    static std::atomic<std::uint64_t> cache[kCached];

    int id = 0;
    if (cudaError_t error = cudaGetDevice(&id)) return error;
    std::uint64_t packed = id < kCached ? cache[id].load(std::memory_order_relaxed) : 0;
    if (packed == 0) {
        int major = 0, minor = 0, multiprocessors = 0, shared = 0;
        if (cudaError_t error = cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, id)) return error;
        if (cudaError_t error = cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, id)) return error;
        if (cudaError_t error = cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, id)) return error;
        if (cudaError_t error = cudaDeviceGetAttribute(&shared, cudaDevAttrMaxSharedMemoryPerBlockOptin, id)) return error;
        packed = std::uint64_t(shared) << 32 | std::uint64_t(multiprocessors) << 16 | std::uint64_t(major * 10 + minor);
        if (id < kCached) cache[id].store(packed, std::memory_order_relaxed);
    }
    device->capability = int(packed & 0xffff);
    device->multiprocessors = int(packed >> 16 & 0xffff);
    device->max_shared_bytes = int(packed >> 32);
    return cudaSuccess;
}

}  // namespace tmoe
