// How long mixtures of experts take on a GPU, beside the floor of their bytes and operations.
//
//   nvcc -O3 -std=c++17 -arch=native -I plugins/kernels -I plugins/tests -o bench_moe plugins/tests/bench_moe.cu
//       plugins/kernels/moe_*.cu plugins/kernels/grouped_product*.cu plugins/kernels/status.cu
//   ./bench_moe [REPEATS]
//
// One JSON object a line. Seconds are medians over the repeats, of all launches of a call; L2 is overwritten before each, so that
// weights come from memory. The floor is the larger of bytes over the speed of a copy and operations over that of mma.sync with
// bfloat16 (for float32 too, where it is lower than could ever be reached), both measured by the same run; of the weights only
// those of experts that are chosen count. Without a GPU it ends with 77.
#include <cstdint>
#include <random>
#include <string>

#include "common/mma.cuh"
#include "support/device_clock.h"
#include "tmoe_kernels.h"

using namespace tmoe::test;

namespace {

constexpr int kProducts = 8, kRounds = 4096, kThreads = 256;

// Products of bfloat16 on registers, eight sums in flight for each warp.
__global__ void __launch_bounds__(kThreads) multiply_registers(float *out, int rounds) {
    float sums[kProducts][4] = {};
    const std::uint32_t a[4] = {threadIdx.x, 0, 0, 0}, b[2] = {threadIdx.x, 0};
    for (int round = 0; round < rounds; ++round) {
#pragma unroll
        for (auto &sum : sums) tmoe::mma_m16n8k16<tmoe::bfloat16>(sum, a, b);
    }
    float total = 0.0f;
    for (const auto &sum : sums) total += sum[0] + sum[1] + sum[2] + sum[3];
    out[blockIdx.x * kThreads + threadIdx.x] = total;
}

// Operations per second.
double matrix_peak(const Clock &clock, int multiprocessors) {
    const int blocks = 4 * multiprocessors;
    const Buffer out(std::size_t(blocks) * kThreads * 4);
    const double seconds = clock.seconds([&](cudaStream_t stream) {
        multiply_registers<<<blocks, kThreads, 0, stream>>>(static_cast<float *>(out.data()), kRounds);
        require(cudaGetLastError(), "multiply_registers");
    });
    return 2.0 * 16 * 8 * 16 * kProducts * kRounds * (kThreads / 32) * blocks / seconds;
}

void bench(const Clock &clock, double bandwidth, double peak, std::int64_t tokens, int ffn, int experts, int top_k, std::int32_t type,
           std::uint32_t options) {
    tmoe_moe_shape shape{};
    shape.tokens = tokens;
    shape.hidden = 384;
    shape.ffn = ffn;
    shape.experts = experts;
    shape.top_k = top_k;
    shape.activation = TMOE_SILU;
    shape.io_type = shape.weight_type = type;
    shape.options = options;
    const double width = type == TMOE_FLOAT32 ? 4.0 : 2.0, hidden = shape.hidden;

    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    std::vector<float> logits(std::size_t(tokens) * std::size_t(experts));
    for (float &logit : logits) logit = normal(random);
    std::vector<bool> used(std::size_t(experts), false);
    for (std::size_t token = 0; token < std::size_t(tokens); ++token) {
        const float *const row = logits.data() + token * std::size_t(experts);
        for (int e = 0; e < experts; ++e) {
            if (std::count_if(row, row + experts, [&](float other) { return other > row[e]; }) < top_k) used[std::size_t(e)] = true;
        }
    }
    const double chosen = double(std::count(used.begin(), used.end(), true));

    const std::size_t matrix = std::size_t(hidden * ffn * experts * width), io = std::size_t(double(tokens) * hidden * width);
    const Buffer x(io), y(io), gate_up(2 * matrix), down(matrix), device_logits(logits.size() * 4);
    const Buffer workspace(tmoe_sparse_moe_workspace(&shape));
    require(cudaMemcpy(device_logits.data(), logits.data(), logits.size() * 4, cudaMemcpyHostToDevice), "cudaMemcpy");
    const double seconds = clock.seconds([&](cudaStream_t stream) {
        require(tmoe_sparse_moe(&shape, x.data(), static_cast<const float *>(device_logits.data()), gate_up.data(), down.data(), nullptr, y.data(),
                                workspace.data(), workspace.bytes(), stream),
                "tmoe_sparse_moe");
    });
    const double bytes = 3.0 * hidden * ffn * chosen * width + 2.0 * double(io);
    const double operations = 6.0 * double(tokens) * top_k * hidden * ffn;
    const double floor = std::max(bytes / bandwidth, operations / peak);
    const char *const name = type == TMOE_BFLOAT16 ? "bf16" : type == TMOE_FLOAT16 ? "fp16" : options ? "tf32" : "fp32";
    std::printf("{\"what\": \"%s\", \"type\": \"%s\", \"tokens\": %lld, \"seconds\": %.4e, \"floor\": %.4e, \"ratio\": %.3f, "
                "\"bytes\": %.0f, \"operations\": %.0f}\n",
                experts > 1 ? "sparse_moe" : "shared_expert", name, (long long)tokens, seconds, floor, seconds / floor, bytes, operations);
}

}  // namespace

int main(int argc, char **argv) {
    const cudaDeviceProp properties = gpu_or_skip();
    if (properties.major < 8) {
        std::fprintf(stderr, "skipped: %s has no tensor cores for bfloat16, sm_80 and newer do\n", properties.name);
        return 77;
    }
    const Clock clock(repeats_of(argc, argv));
    const double bandwidth = copy_bandwidth(clock), peak = matrix_peak(clock, properties.multiProcessorCount);
    std::printf("{\"what\": \"device\", \"name\": \"%s\", \"copy_bytes_per_second\": %.4e, \"mma_bf16_per_second\": %.4e}\n",
                properties.name, bandwidth, peak);
    struct Type {
        std::int32_t type;
        std::uint32_t options;
    };
    for (const Type type : {Type{TMOE_BFLOAT16, 0}, Type{TMOE_FLOAT16, 0}, Type{TMOE_FLOAT32, 0}, Type{TMOE_FLOAT32, TMOE_ALLOW_TF32}}) {
        for (const std::int64_t tokens : {16384, 4096, 512, 64, 8, 1}) {
            bench(clock, bandwidth, peak, tokens, 768, 8, 2, type.type, type.options);
            bench(clock, bandwidth, peak, tokens, 1536, 1, 1, type.type, type.options);
        }
    }
    return 0;
}
