// Times between two device events, with a cold L2 cache, for the benchmarks.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <vector>

namespace tmoe::test {

inline void require(int status, const char *what) {
    if (status == 0) return;
    std::fprintf(stderr, "%s: %s\n", what, status > 0 ? cudaGetErrorString(cudaError_t(status)) : "refused");
    std::exit(1);
}

// The first GPU; without one, ends with 77.
inline cudaDeviceProp gpu_or_skip() {
    int devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
        std::fprintf(stderr, "no GPU\n");
        std::exit(77);
    }
    cudaDeviceProp properties;
    require(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
    return properties;
}

struct BenchmarkOptions {
    int repeats = 50;
    bool json = false;
};

// [--json] [REPEATS]; ends with 2 on anything else.
inline BenchmarkOptions options_of(int argc, char **argv) {
    BenchmarkOptions options;
    for (int i = 1; i < argc; ++i) {
        if (std::strcmp(argv[i], "--json") == 0) {
            options.json = true;
            continue;
        }
        options.repeats = std::atoi(argv[i]);
        if (options.repeats < 1) {
            std::fprintf(stderr, "usage: %s [--json] [REPEATS]\n", argv[0]);
            std::exit(2);
        }
    }
    return options;
}

// Device memory with the bytes of small numbers in every type.
class Buffer {
public:
    explicit Buffer(std::size_t bytes) : bytes_(bytes) {
        require(cudaMalloc(&data_, std::max<std::size_t>(bytes, 1)), "cudaMalloc");
        require(cudaMemset(data_, 0x3c, bytes), "cudaMemset");
    }
    ~Buffer() { (void)cudaFree(data_); }
    Buffer(const Buffer &) = delete;
    Buffer &operator=(const Buffer &) = delete;

    void *data() const { return data_; }
    std::size_t bytes() const { return bytes_; }

private:
    void *data_ = nullptr;
    std::size_t bytes_;
};

class Clock {
public:
    explicit Clock(int repeats) : repeats_(repeats), evicted_(evicted_bytes()) {
        require(cudaStreamCreate(&stream_), "cudaStreamCreate");
        require(cudaEventCreate(&start_), "cudaEventCreate");
        require(cudaEventCreate(&stop_), "cudaEventCreate");
    }
    ~Clock() {
        (void)cudaEventDestroy(start_);
        (void)cudaEventDestroy(stop_);
        (void)cudaStreamDestroy(stream_);
    }
    Clock(const Clock &) = delete;
    Clock &operator=(const Clock &) = delete;

    // Median seconds of what `work` launches on the stream.
    double seconds(const std::function<void(cudaStream_t)> &work) const {
        std::vector<float> times;
        for (int repeat = -2; repeat < repeats_; ++repeat) {
            require(cudaMemsetAsync(evicted_.data(), 0, evicted_.bytes(), stream_), "cudaMemsetAsync");
            require(cudaEventRecord(start_, stream_), "cudaEventRecord");
            work(stream_);
            require(cudaEventRecord(stop_, stream_), "cudaEventRecord");
            require(cudaEventSynchronize(stop_), "cudaEventSynchronize");
            float milliseconds = 0.0f;
            require(cudaEventElapsedTime(&milliseconds, start_, stop_), "cudaEventElapsedTime");
            // The first two load code and raise clocks.
            if (repeat >= 0) times.push_back(milliseconds);
        }
        std::nth_element(times.begin(), times.begin() + std::ptrdiff_t(times.size() / 2), times.end());
        return 1e-3 * double(times[times.size() / 2]);
    }

private:
    static std::size_t evicted_bytes() {
        int device = 0, l2 = 0;
        require(cudaGetDevice(&device), "cudaGetDevice");
        require(cudaDeviceGetAttribute(&l2, cudaDevAttrL2CacheSize, device), "cudaDeviceGetAttribute");
        return 4 * std::size_t(l2) + (std::size_t(1) << 20);
    }

    int repeats_;
    Buffer evicted_;
    cudaStream_t stream_ = nullptr;
    cudaEvent_t start_ = nullptr, stop_ = nullptr;
};

// Bytes read and written per second by a copy.
inline double copy_bandwidth(const Clock &clock) {
    constexpr std::size_t kBytes = std::size_t(512) << 20;
    const Buffer from(kBytes), to(kBytes);
    const double seconds = clock.seconds([&](cudaStream_t stream) {
        require(cudaMemcpyAsync(to.data(), from.data(), kBytes, cudaMemcpyDeviceToDevice, stream), "cudaMemcpyAsync");
    });
    return 2.0 * double(kBytes) / seconds;
}

}  // namespace tmoe::test
