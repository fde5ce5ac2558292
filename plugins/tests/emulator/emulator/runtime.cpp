#include "emulator/runtime.h"

#include <cstring>
#include <map>

#include "emulator/device.h"
#include "emulator/device_memory.h"

namespace emulator {
namespace {

constexpr DeviceFacts kDevices[] = {
    {90, 132, 227 * 1024}, {75, 40, 64 * 1024}, {80, 108, 163 * 1024},
    {86, 84, 99 * 1024},   {89, 142, 99 * 1024}, {120, 170, 99 * 1024},
};
constexpr int kDeviceCount = int(sizeof kDevices / sizeof *kDevices);
constexpr std::size_t kDefaultSharedBytes = 48 * 1024;

int the_device = 0;

// What kernels have opted in to.
std::map<const void *, std::size_t> &opted_in() {
    static std::map<const void *, std::size_t> bytes;
    return bytes;
}

}  // namespace

int device_count() { return kDeviceCount; }
const DeviceFacts &device_facts(int device) { return kDevices[device]; }
int current_device() { return the_device; }
void set_current_device(int device) { the_device = device; }

void require_capability(int capability, const char *instruction) {
    if (current_capability() < capability)
        fail("%s needs sm_%d, the emulated device is sm_%d", instruction, capability, current_capability());
}

cudaError_t set_function_attribute(const void *kernel, cudaFuncAttribute attribute, int value) {
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
    if (value < 0 || value > device_facts(the_device).max_shared_bytes) return cudaErrorInvalidValue;
    opted_in()[kernel] = std::size_t(value);
    return cudaSuccess;
}

cudaError_t check_launch(const void *kernel, dim3 grid, dim3 block, std::size_t shared_bytes) {
    if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535)
        return cudaErrorInvalidConfiguration;
    if (block.x == 0 || block.y == 0 || block.z == 0 || block.x > 1024 || block.y > 1024 || block.z > 64 ||
        block.x * block.y * block.z > 1024)
        return cudaErrorInvalidConfiguration;
    const auto opted = opted_in().find(kernel);
    const std::size_t allowed = opted == opted_in().end() || opted->second < kDefaultSharedBytes ? kDefaultSharedBytes : opted->second;
    if (shared_bytes > allowed || shared_bytes > std::size_t(device_facts(the_device).max_shared_bytes)) return cudaErrorInvalidValue;
    return cudaSuccess;
}

}  // namespace emulator

using namespace emulator;

cudaError_t cudaGetDeviceCount(int *count) {
    *count = device_count();
    return cudaSuccess;
}

cudaError_t cudaGetDevice(int *device) {
    *device = current_device();
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
    if (device < 0 || device >= device_count()) return cudaErrorInvalidDevice;
    set_current_device(device);
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int device) {
    if (device < 0 || device >= device_count()) return cudaErrorInvalidDevice;
    const DeviceFacts &facts = device_facts(device);
    switch (attribute) {
        case cudaDevAttrMultiProcessorCount: *value = facts.multiprocessors; break;
        case cudaDevAttrComputeCapabilityMajor: *value = facts.capability / 10; break;
        case cudaDevAttrComputeCapabilityMinor: *value = facts.capability % 10; break;
        case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = facts.max_shared_bytes; break;
        default: return cudaErrorInvalidValue;
    }
    return cudaSuccess;
}

cudaError_t cudaMalloc(void **pointer, std::size_t bytes) {
    *pointer = bytes ? device_allocate(bytes) : nullptr;
    return cudaSuccess;
}

cudaError_t cudaFree(void *pointer) { return !pointer || device_free(pointer) ? cudaSuccess : cudaErrorInvalidDevicePointer; }

cudaError_t cudaMemcpy(void *to, const void *from, std::size_t bytes, cudaMemcpyKind kind) {
    if (kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice) require_device_memory(to, bytes, "cudaMemcpy, destination");
    if (kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice) require_device_memory(from, bytes, "cudaMemcpy, source");
    if (bytes) std::memcpy(to, from, bytes);
    return cudaSuccess;
}

cudaError_t cudaMemset(void *to, int value, std::size_t bytes) {
    require_device_memory(to, bytes, "cudaMemset");
    if (bytes) std::memset(to, value, bytes);
    return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t) {
    return cudaMemcpy(to, from, bytes, kind);
}

cudaError_t cudaMemsetAsync(void *to, int value, std::size_t bytes, cudaStream_t) { return cudaMemset(to, value, bytes); }

const char *cudaGetErrorString(cudaError_t error) {
    switch (error) {
        case cudaSuccess: return "no error";
        case cudaErrorInvalidValue: return "invalid argument";
        case cudaErrorMemoryAllocation: return "out of memory";
        case cudaErrorInvalidConfiguration: return "invalid configuration argument";
        case cudaErrorInvalidDevicePointer: return "invalid device pointer";
        case cudaErrorNoDevice: return "no CUDA-capable device is detected";
        case cudaErrorInvalidDevice: return "invalid device ordinal";
    }
    return "unrecognized error code";
}
