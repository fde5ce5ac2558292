// How long attention takes on a GPU, beside the time that its bytes alone take at the speed of a copy.
//
//   nvcc -O3 -std=c++17 -arch=native -I plugins/kernels -I plugins/tests -o bench_attention plugins/tests/bench_attention.cpp
//       plugins/kernels/flash_attention*.cu
//   ./bench_attention [--json] [REPEATS]
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
#include "support/measurement.h"
#include "tmoe_kernels.h"

using namespace tmoe::test;

namespace {

std::size_t size_of(std::int32_t type) { return type == TMOE_FLOAT32 ? 4 : 2; }

const char *name_of(std::int32_t type) { return type == TMOE_FLOAT32 ? "fp32" : type == TMOE_FLOAT16 ? "fp16" : "bf16"; }

// `sequence` new points, all of them queries, on a cache of `past`, appended in place.
void bench(const Clock &clock, const Ceilings &ceilings, bool json, int heads, int head_dim, std::int32_t io, std::int32_t compute,
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
    std::snprintf(what, sizeof what, "batch=%lld heads=%d head_dim=%d queries=%lld past=%lld", (long long)batch, heads, head_dim,
                  (long long)sequence, (long long)past);
    const std::string dtype = std::string(name_of(compute)) + (io == compute ? "" : std::string(" (io ") + name_of(io) + ")");
    if (run(nullptr) == TMOE_UNSUPPORTED) {
        print_unsupported("flash_attention", what, dtype, json);
        return;
    }
    const double seconds = clock.seconds([&](cudaStream_t stream) { require(run(stream), what); });
    // New keys and values are written and read again; the mask is read.
    const double bytes = 4.0 * double(new_bytes) + 2.0 * double(cache_bytes) + 8.0 * double(batch * total) +
                         2.0 * width * double(sequence) * double(size_of(compute));
    const double pairs = double(sequence) * (double(past) + 0.5 * double(sequence + 1));
    print({"flash_attention", what, dtype, seconds, bytes, 4.0 * width * pairs}, ceilings, json);
}

}  // namespace

int main(int argc, char **argv) {
    const cudaDeviceProp properties = gpu_or_skip();
    const BenchmarkOptions options = options_of(argc, argv);
    const Clock clock(options.repeats);
    const Ceilings ceilings{copy_bandwidth(clock), 0.0};
    print_device(properties.name, properties.major, properties.minor, properties.multiProcessorCount, ceilings, options.json);

    // Those that are compared with other libraries, whose inputs have the type of their products.
    for (const int head_dim : {32, 64}) {
        bench(clock, ceilings, options.json, 12, head_dim, TMOE_BFLOAT16, TMOE_BFLOAT16, 8, 4096, 0);
        for (const std::int64_t batch : {1, 32})
            bench(clock, ceilings, options.json, 12, head_dim, TMOE_BFLOAT16, TMOE_BFLOAT16, batch, 64, 4032);
    }
    struct Model {
        int heads, head_dim;
    };
    // The released sizes: 50M, 200M, ultra.
    for (const Model model : {Model{12, 32}, Model{12, 64}, Model{16, 64}}) {
        for (const std::int32_t compute : {TMOE_BFLOAT16, TMOE_FLOAT16, TMOE_FLOAT32}) {
            for (const std::int64_t batch : {1, 32}) {
                for (const std::int64_t sequence : {512, 2048, 4096}) {
                    bench(clock, ceilings, options.json, model.heads, model.head_dim, TMOE_FLOAT32, compute, batch, sequence, 0);
                }
                for (const std::int64_t sequence : {1, 8, 64}) {
                    for (const std::int64_t past : {512, 4032}) {
                        bench(clock, ceilings, options.json, model.heads, model.head_dim, TMOE_FLOAT32, compute, batch, sequence, past);
                    }
                }
            }
        }
    }
    return 0;
}
