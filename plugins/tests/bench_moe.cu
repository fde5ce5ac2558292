// How long mixtures of experts, linear layers and RMSNorm take on a GPU, beside the floor of their bytes and operations.
//
//   nvcc -O3 -std=c++17 -arch=native -I plugins/kernels -I plugins/tests -o bench_moe plugins/tests/bench_moe.cu
//       plugins/kernels/moe_*.cu plugins/kernels/grouped_product*.cu plugins/kernels/linear.cu plugins/kernels/rms_norm.cu
//       plugins/kernels/status.cu
//   ./bench_moe [--json] [REPEATS]
//
// Times are medians over the repeats, of all launches of a call; L2 is overwritten before each, so that weights come from memory. The
// floor is the larger of bytes over the speed of a copy and operations over that of mma.sync with bfloat16 (for float32 too, where
// it is lower than could ever be reached), both measured by the same run; of the weights only those of experts that are chosen
// count. mma.sync does not reach a Hopper's peak: whoever wants that measures a large matrix product of a library. Without a GPU it
// ends with 77.
#include <cstdint>
#include <cstdio>
#include <random>
#include <string>

#include "common/mma.cuh"
#include "support/device_clock.h"
#include "support/measurement.h"
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

struct Type {
    std::int32_t type;
    std::uint32_t options;

    const char *name() const {
        return type == TMOE_BFLOAT16 ? "bf16" : type == TMOE_FLOAT16 ? "fp16" : options ? "tf32" : "fp32";
    }
    double width() const { return type == TMOE_FLOAT32 ? 4.0 : 2.0; }
};

// Where measurements are taken and printed.
struct Bench {
    const Clock &clock;
    Ceilings ceilings;
    bool json;
};

void bench_moe(const Bench &bench, std::int64_t tokens, int ffn, int experts, int top_k, Type type) {
    tmoe_moe_shape shape{};
    shape.tokens = tokens;
    shape.hidden = 384;
    shape.ffn = ffn;
    shape.experts = experts;
    shape.top_k = top_k;
    shape.activation = TMOE_SILU;
    shape.io_type = shape.weight_type = type.type;
    shape.options = type.options;
    const double width = type.width(), hidden = shape.hidden;

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
    const double seconds = bench.clock.seconds([&](cudaStream_t stream) {
        require(tmoe_sparse_moe(&shape, x.data(), static_cast<const float *>(device_logits.data()), gate_up.data(), down.data(), nullptr, y.data(),
                                workspace.data(), workspace.bytes(), stream),
                "tmoe_sparse_moe");
    });
    const double bytes = 3.0 * hidden * ffn * chosen * width + 2.0 * double(io);
    const double operations = 6.0 * double(tokens) * top_k * hidden * ffn;
    char what[128];
    std::snprintf(what, sizeof what, "tokens=%lld hidden=%d ffn=%d experts=%d top_k=%d", (long long)tokens, shape.hidden, ffn, experts, top_k);
    print({experts > 1 ? "sparse_moe" : "shared_expert", what, type.name(), seconds, bytes, operations}, bench.ceilings, bench.json);
}

void bench_linear(const Bench &bench, std::int64_t rows, int input, int output, Type type) {
    tmoe_linear_shape shape{};
    shape.rows = rows;
    shape.input = input;
    shape.output = output;
    shape.io_type = shape.weight_type = type.type;
    shape.options = type.options;
    const double width = type.width();
    const auto bytes_of = [&](double values) { return std::size_t(values * width); };
    const Buffer x(bytes_of(double(rows) * input)), y(bytes_of(double(rows) * output)), weight(bytes_of(double(input) * output));
    const Buffer bias(std::size_t(output) * 4), workspace(tmoe_linear_workspace(&shape));
    const double seconds = bench.clock.seconds([&](cudaStream_t stream) {
        require(tmoe_linear(&shape, x.data(), weight.data(), static_cast<const float *>(bias.data()), y.data(), workspace.data(),
                            workspace.bytes(), stream),
                "tmoe_linear");
    });
    char what[128];
    std::snprintf(what, sizeof what, "rows=%lld input=%d output=%d", (long long)rows, input, output);
    const double bytes = double(x.bytes() + y.bytes() + weight.bytes() + bias.bytes());
    print({"linear", what, type.name(), seconds, bytes, 2.0 * double(rows) * input * output}, bench.ceilings, bench.json);
}

void bench_add_rms_norm(const Bench &bench, std::int64_t rows, int hidden, Type type) {
    const tmoe_rms_norm_shape shape{rows, hidden, type.type, 1e-6f};
    const std::size_t bytes = std::size_t(double(rows) * hidden * type.width());
    const Buffer x(bytes), residual(bytes), sum(bytes), y(bytes), weight(std::size_t(hidden) * 4);
    const double seconds = bench.clock.seconds([&](cudaStream_t stream) {
        require(tmoe_add_rms_norm(&shape, x.data(), residual.data(), static_cast<const float *>(weight.data()), sum.data(), y.data(), stream),
                "tmoe_add_rms_norm");
    });
    char what[128];
    std::snprintf(what, sizeof what, "rows=%lld hidden=%d", (long long)rows, hidden);
    print({"add_rms_norm", what, type.name(), seconds, 4.0 * double(bytes) + double(weight.bytes()), 0.0}, bench.ceilings, bench.json);
}

}  // namespace

int main(int argc, char **argv) {
    const cudaDeviceProp properties = gpu_or_skip();
    if (properties.major < 8) {
        std::fprintf(stderr, "skipped: %s has no tensor cores for bfloat16, sm_80 and newer do\n", properties.name);
        return 77;
    }
    const BenchmarkOptions options = options_of(argc, argv);
    const Clock clock(options.repeats);
    const Ceilings ceilings{copy_bandwidth(clock), matrix_peak(clock, properties.multiProcessorCount)};
    const Bench bench{clock, ceilings, options.json};
    print_device(properties.name, properties.major, properties.minor, properties.multiProcessorCount, ceilings, options.json);
    for (const Type type : {Type{TMOE_BFLOAT16, 0}, Type{TMOE_FLOAT16, 0}, Type{TMOE_FLOAT32, 0}, Type{TMOE_FLOAT32, TMOE_ALLOW_TF32}}) {
        for (const std::int64_t tokens : {16384, 4096, 512, 64, 8, 1}) {
            bench_moe(bench, tokens, 768, 8, 2, type);
            bench_moe(bench, tokens, 1536, 1, 1, type);
            // Queries, keys and values at once.
            bench_linear(bench, tokens, 384, 3 * 384, type);
        }
    }
    for (const std::int32_t type : {TMOE_BFLOAT16, TMOE_FLOAT16, TMOE_FLOAT32}) {
        for (const std::int64_t rows : {131072, 16384, 512, 64, 1}) {
            for (const int hidden : {384, 768, 1024, 4096}) bench_add_rms_norm(bench, rows, hidden, Type{type, 0});
        }
    }
    return 0;
}
