// Device memory that a test owns; on the emulator its ends are watched.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <utility>
#include <vector>

namespace tmoe::test {

// Ends the process with a message: without memory no test makes sense.
inline void require_cuda(cudaError_t error, const char *what) {
    if (error == cudaSuccess) return;
    std::fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(error));
    std::exit(1);
}

// `size` values of T. Without given values all bits are ones: NaN, or -1.
template <class T>
class DeviceBuffer {
public:
    DeviceBuffer() = default;
    explicit DeviceBuffer(std::size_t size) : size_(size) {
        if (size == 0) return;
        void *pointer = nullptr;
        require_cuda(cudaMalloc(&pointer, bytes()), "cudaMalloc");
        data_ = static_cast<T *>(pointer);
        require_cuda(cudaMemset(data_, 0xff, bytes()), "cudaMemset");
    }
    explicit DeviceBuffer(const std::vector<T> &values) : DeviceBuffer(values.size()) { upload(values); }
    ~DeviceBuffer() { (void)cudaFree(data_); }
    DeviceBuffer(DeviceBuffer &&other) noexcept { *this = std::move(other); }
    DeviceBuffer &operator=(DeviceBuffer &&other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        return *this;
    }

    // Null for an empty buffer.
    T *data() const { return data_; }
    std::size_t size() const { return size_; }
    std::size_t bytes() const { return size_ * sizeof(T); }

    // As many values as the buffer has.
    void upload(const std::vector<T> &values) {
        if (values.size() != size_) require_cuda(cudaErrorInvalidValue, "upload");
        if (size_) require_cuda(cudaMemcpy(data_, values.data(), bytes(), cudaMemcpyHostToDevice), "cudaMemcpy");
    }
    // Waits for the work that was launched before.
    std::vector<T> download() const {
        std::vector<T> values(size_);
        require_cuda(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
        if (size_) require_cuda(cudaMemcpy(values.data(), data_, bytes(), cudaMemcpyDeviceToHost), "cudaMemcpy");
        return values;
    }

private:
    T *data_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace tmoe::test
