// How long attention and RMSNorm take on a GPU, beside the time that their bytes alone take at the speed of a copy.
//
//   nvcc -O3 -std=c++17 -arch=native -I plugins/kernels -I plugins/tests -o bench_attention plugins/tests/bench_attention.cpp
//       plugins/kernels/flash_attention*.cu plugins/kernels/rms_norm.cu
//   ./bench_attention [REPEATS]
//
// Times are medians over the repeats, between two events, of all launches of a call; before each repeat a buffer larger than the L2
// cache is overwritten. Without a GPU it ends with 77.
#include <cuda_runtime.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "support/device_clock.h"
#include "tmoe_kernels.h"

using namespace tmoe::test;

namespace {

std::size_t size_of(std::int32_t type) { return type == TMOE_FLOAT32 ? 4 : 2; }

const char *name_of(std::int32_t type) { return type == TMOE_FLOAT32 ? "float32" : type == TMOE_FLOAT16 ? "float16" : "bfloat16"; }

void print(const std::string &what, double seconds, double bytes, double bandwidth, double operations) {
    const double floor = bytes / bandwidth;
    std::printf("%-64s %10.1f us   bytes' floor %8.1f us (x %5.2f)", what.c_str(), 1e6 * seconds, 1e6 * floor, seconds / floor);
    if (operations > 0.0) std::printf("   %7.1f TFLOP/s", 1e-12 * operations / seconds);
    std::printf("\n");
}

// `sequence` new points, all of them queries, on a cache of `past`, appended in place.
void bench_attention(const Clock &clock, double bandwidth, int heads, int head_dim, std::int32_t io, std::int32_t compute,
                     std::int64_t batch, std::int64_t sequence, std::int64_t past) {
    const std::int64_t total = past + sequence;
    tmoe_attention_shape shape{};
    shape.batch = batch;
    shape.queries = shape.sequence = sequence;
    shape.past = past;
    shape.past_capacity = shape.present_capacity = total;
    shape.heads = shape.kv_heads = heads;
    shape.head_dim = head_dim;
    shape.q_stride = shape.k_stride = shape.v_stride = std::int64_t(heads) * head_dim;
    shape.io_type = io;
    shape.cache_type = shape.compute_type = compute;
    shape.rotary_rounding = TMOE_FLOAT32;
    shape.rope_theta = 10000.0f;
    shape.scale = 1.0f / std::sqrt(float(head_dim));

    const double width = double(batch) * heads * head_dim;
    const std::size_t new_bytes = std::size_t(width * double(sequence)) * size_of(io);
    const std::size_t cache_bytes = std::size_t(width * double(total)) * size_of(compute);
    const Buffer q(new_bytes), k(new_bytes), v(new_bytes), y(new_bytes), key(cache_bytes), value(cache_bytes);
    const Buffer mask(std::size_t(batch * total) * 8), workspace(tmoe_flash_attention_workspace(&shape));
    const auto run = [&](cudaStream_t stream) {
        return tmoe_flash_attention(&shape, q.data(), k.data(), v.data(), nullptr, nullptr, static_cast<const std::int64_t *>(mask.data()),
                                    y.data(), key.data(), value.data(), workspace.data(), workspace.bytes(), stream);
    };
    char what[128];
    std::snprintf(what, sizeof what, "attention %2d x %3d, %s/%s, %2lld x %4lld points on %4lld", heads, head_dim, name_of(io),
                  name_of(compute), (long long)batch, (long long)sequence, (long long)past);
    if (run(nullptr) == TMOE_UNSUPPORTED) {
        std::printf("%-64s not on this device\n", what);
        return;
    }
    const double seconds = clock.seconds([&](cudaStream_t stream) { require(run(stream), what); });
    // New keys and values are written and read again; the mask is read.
    const double bytes = 4.0 * double(new_bytes) + 2.0 * double(cache_bytes) + 8.0 * double(batch * total) +
                         2.0 * width * double(sequence) * double(size_of(compute));
    const double pairs = double(sequence) * (double(past) + 0.5 * double(sequence + 1));
    print(what, seconds, bytes, bandwidth, 4.0 * width * pairs);
}

void bench_rms_norm(const Clock &clock, double bandwidth, std::int64_t rows, int hidden, std::int32_t type) {
    const tmoe_rms_norm_shape shape{rows, hidden, type, 1e-6f};
    const std::size_t bytes = std::size_t(rows * hidden) * size_of(type);
    const Buffer x(bytes), residual(bytes), sum(bytes), y(bytes), weight(std::size_t(hidden) * 4);
    const double seconds = clock.seconds([&](cudaStream_t stream) {
        require(tmoe_add_rms_norm(&shape, x.data(), residual.data(), static_cast<const float *>(weight.data()), sum.data(), y.data(), stream),
                "tmoe_add_rms_norm");
    });
    char what[128];
    std::snprintf(what, sizeof what, "sum and RMSNorm, %s, %6lld rows of %4d", name_of(type), (long long)rows, hidden);
    print(what, seconds, 4.0 * double(bytes), bandwidth, 0.0);
}

}  // namespace

int main(int argc, char **argv) {
    const cudaDeviceProp properties = gpu_or_skip();
    const Clock clock(repeats_of(argc, argv));
    const double bandwidth = copy_bandwidth(clock);
    std::printf("%s, sm_%d%d, %d multiprocessors; a copy moves %.0f GB/s\n", properties.name, properties.major, properties.minor,
                properties.multiProcessorCount, 1e-9 * bandwidth);

    struct Model {
        int heads, head_dim;
    };
    // The released sizes: 50M, 200M, ultra.
    for (const Model model : {Model{12, 32}, Model{12, 64}, Model{16, 64}}) {
        for (const std::int32_t compute : {TMOE_BFLOAT16, TMOE_FLOAT16, TMOE_FLOAT32}) {
            for (const std::int64_t batch : {1, 32}) {
                for (const std::int64_t sequence : {512, 2048, 4096}) {
                    bench_attention(clock, bandwidth, model.heads, model.head_dim, TMOE_FLOAT32, compute, batch, sequence, 0);
                }
                for (const std::int64_t sequence : {1, 8, 64}) {
                    for (const std::int64_t past : {512, 4032}) {
                        bench_attention(clock, bandwidth, model.heads, model.head_dim, TMOE_FLOAT32, compute, batch, sequence, past);
                    }
                }
            }
        }
    }
    for (const std::int32_t type : {TMOE_FLOAT32, TMOE_BFLOAT16}) {
        for (const std::int64_t rows : {1, 64, 512, 16384, 131072}) {
            for (const int hidden : {384, 768, 1024, 4096}) bench_rms_norm(clock, bandwidth, rows, hidden, type);
        }
    }
    return 0;
}
