// What the kernels are made of: barriers, functions of a warp, tensor-core products, asynchronous copies. On a GPU this tests
// kernels/common, on the emulator it tests the emulator.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "common/async_copy.cuh"
#include "common/launch.cuh"
#include "common/mma.cuh"
#include "common/numeric.cuh"
#include "common/warp.cuh"
#include "support/test.h"

using namespace tmoe;
using namespace tmoe::test;

namespace {

// y[i] = x[n - 1 - i] by way of shared memory.
__global__ void reverse_kernel(const float *x, float *y) {
    __shared__ float values[128];
    values[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = values[127 - threadIdx.x];
}

TMOE_CASE("a barrier shows every thread what the others wrote") {
    const std::vector<float> x = run.random.normals(128);
    DeviceBuffer<float> device_x(x), device_y(128);
    run.expect_ok("launch", launch(reverse_kernel, dim3(1), dim3(128), 0, nullptr, device_x.data(), device_y.data()));
    run.expect_equal("y", device_y.download(), std::vector<float>(x.rbegin(), x.rend()));
}

// Dynamic shared memory of more than 48 KiB: y[i] = x[(i + 1) % n].
__global__ void rotate_kernel(const float *x, float *y, int n) {
    TMOE_DYNAMIC_SHARED(float, values);
    for (int i = int(threadIdx.x); i < n; i += int(blockDim.x)) values[i] = x[i];
    __syncthreads();
    for (int i = int(threadIdx.x); i < n; i += int(blockDim.x)) y[i] = values[(i + 1) % n];
}

TMOE_CASE("a launch may use all of a block's shared memory, and no more") {
    Device device;
    run.expect_ok("current_device", current_device(&device));
    run.expect(device.capability == run.capability, "capability %d, expected %d", device.capability, run.capability);
    const int n = device.max_shared_bytes / 4;
    const std::vector<float> x = run.random.normals(std::size_t(n));
    std::vector<float> expected(x.begin() + 1, x.end());
    expected.push_back(x[0]);
    DeviceBuffer<float> device_x(x), device_y(x.size());
    run.expect_ok("launch", launch(rotate_kernel, dim3(1), dim3(256), std::size_t(n) * 4, nullptr, device_x.data(), device_y.data(), n));
    run.expect_equal("y", device_y.download(), expected);
    run.expect(launch(rotate_kernel, dim3(1), dim3(256), std::size_t(n) * 4 + 4, nullptr, device_x.data(), device_y.data(), n) > 0,
               "too much shared memory was not refused");
    run.expect(launch(rotate_kernel, dim3(1), dim3(2048), 16, nullptr, device_x.data(), device_y.data(), 4) > 0,
               "too many threads were not refused");
}

// Per thread: sum and maximum of the warp, of groups of 4, of the block, ballot, neighbours.
__global__ void warp_kernel(const float *x, float *y) {
    __shared__ float scratch[kWarpSize];
    const int i = int(threadIdx.x), n = int(blockDim.x);
    const float value = x[i];
    y[i] = warp_sum(value);
    y[n + i] = warp_max(value);
    y[2 * n + i] = warp_sum<4>(value);
    y[3 * n + i] = warp_max<4>(value);
    y[4 * n + i] = block_sum(value, scratch);
    y[5 * n + i] = block_max(value, scratch);
    y[6 * n + i] = float(__popc(warp_ballot(value > 0.0f) & ((1u << lane_id()) - 1)));
    y[7 * n + i] = shuffle_up(value, 1);
    y[8 * n + i] = shuffle_down(value, 3);
    y[9 * n + i] = shuffle(value, (i * 7) % kWarpSize);
}

TMOE_CASE("functions of a warp and a block agree with loops") {
    const int n = 96;
    const std::vector<float> x = run.random.normals(n);
    std::vector<double> expected(10 * n);
    for (int i = 0; i < n; ++i) {
        const int warp = i / 32 * 32, quad = i / 4 * 4;
        const auto sum = [&](int first, int last) {
            double s = 0;
            for (int j = first; j < last; ++j) s += x[std::size_t(j)];
            return s;
        };
        const auto maximum = [&](int first, int last) {
            double m = -INFINITY;
            for (int j = first; j < last; ++j) m = std::max(m, double(x[std::size_t(j)]));
            return m;
        };
        const auto positive = std::count_if(x.begin() + warp, x.begin() + i, [](float value) { return value > 0.0f; });
        const double row[10] = {sum(warp, warp + 32), maximum(warp, warp + 32), sum(quad, quad + 4), maximum(quad, quad + 4), sum(0, n),
                                maximum(0, n), double(positive), x[std::size_t(i == warp ? i : i - 1)],
                                x[std::size_t(i + 3 < warp + 32 ? i + 3 : i)], x[std::size_t(warp + i * 7 % 32)]};
        for (int j = 0; j < 10; ++j) expected[std::size_t(j * n + i)] = row[j];
    }
    DeviceBuffer<float> device_x(x), device_y(expected.size());
    run.expect_ok("launch", launch(warp_kernel, dim3(1), dim3(n), 0, nullptr, device_x.data(), device_y.data()));
    run.expect_close("y", device_y.download(), expected, {1e-6, 1e-5});
}

// C [16 x 8] = A [16 x K] B [K x 8], A and B row-major in memory, loaded as the layouts say.
template <class T, int K>
__global__ void mma_kernel(const T *a, const T *b, float *c) {
    const int group = lane_id() / 4, place = lane_id() % 4;
    float d[4];
    for (int i = 0; i < 4; ++i) d[i] = c[(group + i / 2 * 8) * 8 + place * 2 + i % 2];
    if constexpr (sizeof(T) == 4) {
        std::uint32_t left[4], right[2];
        for (int i = 0; i < 4; ++i) left[i] = to_tf32(a[(group + i % 2 * 8) * K + place + i / 2 * 4]);
        for (int i = 0; i < 2; ++i) right[i] = to_tf32(b[(place + i * 4) * 8 + group]);
        mma_m16n8k8_tf32(d, left, right);
    } else {
        std::uint32_t left[4] = {}, right[2] = {};
        for (int i = 0; i < K / 4; ++i) {
            const T *pair = &a[(group + i % 2 * 8) * K + place * 2 + i / 2 * 8];
            left[i] = pack(pair[0], pair[1]);
        }
        for (int i = 0; i < K / 8; ++i) right[i] = pack(b[(place * 2 + i * 8) * 8 + group], b[(place * 2 + 1 + i * 8) * 8 + group]);
        if constexpr (K == 8) {
            mma_m16n8k8_f16(d, left[0], left[1], right[0]);
        } else {
            mma_m16n8k16<T>(d, left, right);
        }
    }
    for (int i = 0; i < 4; ++i) c[(group + i / 2 * 8) * 8 + place * 2 + i % 2] = d[i];
}

template <class T, int K>
void check_mma(Run &run, tmoe_type type) {
    std::vector<float> a = run.random.normals(16 * K), b = run.random.normals(K * 8), c = run.random.normals(16 * 8);
    a = rounded(type, a);
    b = rounded(type, b);
    if (sizeof(T) == 4) {
        // Values that TF32 holds exactly.
        a = rounded(TMOE_BFLOAT16, a);
        b = rounded(TMOE_BFLOAT16, b);
    }
    std::vector<double> expected(c.begin(), c.end());
    for (int i = 0; i < 16; ++i)
        for (int j = 0; j < 8; ++j)
            for (int k = 0; k < K; ++k) expected[std::size_t(i * 8 + j)] += double(a[std::size_t(i * K + k)]) * b[std::size_t(k * 8 + j)];
    TypedBuffer device_a(type, a), device_b(type, b);
    DeviceBuffer<float> device_c(c);
    run.expect_ok("launch", launch(mma_kernel<T, K>, dim3(1), dim3(32), 0, nullptr, static_cast<const T *>(device_a.data()),
                                   static_cast<const T *>(device_b.data()), device_c.data()));
    run.expect_close("c", device_c.download(), expected, {1e-6, 1e-5});
}

TMOE_CASE("m16n8k8 float16 is a matrix product") { check_mma<float16, 8>(run, TMOE_FLOAT16); }
TMOE_CASE("m16n8k16 float16 is a matrix product") { check_mma<float16, 16>(run, TMOE_FLOAT16); }
TMOE_CASE_NEEDS(80, "m16n8k16 bfloat16 is a matrix product") { check_mma<bfloat16, 16>(run, TMOE_BFLOAT16); }
TMOE_CASE_NEEDS(80, "m16n8k8 TF32 is a matrix product") { check_mma<float32, 8>(run, TMOE_FLOAT32); }

// Every lane's registers after loading N matrices whose values are their own places in memory.
template <int N, bool Transposed>
__global__ void ldmatrix_kernel(std::uint32_t *y) {
    __shared__ __align__(16) std::uint16_t values[N * 64];
    for (int i = lane_id(); i < N * 64; i += kWarpSize) values[i] = std::uint16_t(i);
    __syncwarp();
    std::uint32_t d[N];
    ldmatrix<N, Transposed>(d, &values[lane_id() % (N * 8) * 8]);
    for (int i = 0; i < N; ++i) y[i * kWarpSize + lane_id()] = d[i];
}

template <int N, bool Transposed>
void check_ldmatrix(Run &run) {
    DeviceBuffer<std::uint32_t> y(N * 32);
    run.expect_ok("launch", launch(ldmatrix_kernel<N, Transposed>, dim3(1), dim3(32), 0, nullptr, y.data()));
    std::vector<std::uint32_t> expected;
    for (std::uint32_t matrix = 0; matrix < N; ++matrix)
        for (std::uint32_t lane = 0; lane < 32; ++lane) {
            const std::uint32_t first = lane / 4, second = lane % 4 * 2;
            const std::uint32_t low = Transposed ? second * 8 + first : first * 8 + second;
            const std::uint32_t high = Transposed ? low + 8 : low + 1;
            expected.push_back((matrix * 64 + low) | (matrix * 64 + high) << 16);
        }
    run.expect_equal("registers", y.download(), expected);
}

TMOE_CASE("ldmatrix gives every lane its part of 1 matrix") { check_ldmatrix<1, false>(run); }
TMOE_CASE("ldmatrix gives every lane its part of 2 matrices") { check_ldmatrix<2, false>(run); }
TMOE_CASE("ldmatrix gives every lane its part of 4 matrices") { check_ldmatrix<4, false>(run); }
TMOE_CASE("ldmatrix transposes 1 matrix") { check_ldmatrix<1, true>(run); }
TMOE_CASE("ldmatrix transposes 2 matrices") { check_ldmatrix<2, true>(run); }
TMOE_CASE("ldmatrix transposes 4 matrices") { check_ldmatrix<4, true>(run); }

// Two tiles in flight: y[i] = x[i] for i < n, 0 up to the end of the last tile.
__global__ void async_copy_kernel(const float *x, float *y, int n, int tiles) {
    __shared__ __align__(16) float buffer[2][128];
    const auto fetch = [&](int tile) {
        const int first = tile * 128 + int(threadIdx.x) * 4;
        if (tile < tiles) async_copy_16(&buffer[tile % 2][threadIdx.x * 4], x + (first < n ? first : 0), first < n);
        async_copy_commit();
    };
    fetch(0);
    for (int tile = 0; tile < tiles; ++tile) {
        fetch(tile + 1);
        async_copy_wait<1>();
        __syncthreads();
        for (int i = int(threadIdx.x); i < 128; i += int(blockDim.x)) y[tile * 128 + i] = buffer[tile % 2][127 - i];
        __syncthreads();
    }
}

TMOE_CASE("asynchronous copies arrive when they are waited for, with zeros beyond the end") {
    const int tiles = 5, n = 4 * 128 + 60;
    const std::vector<float> x = run.random.normals(n);
    std::vector<float> expected(tiles * 128, 0.0f);
    for (int i = 0; i < tiles * 128; ++i) {
        const int from = i / 128 * 128 + 127 - i % 128;
        if (from < n) expected[std::size_t(i)] = x[std::size_t(from)];
    }
    DeviceBuffer<float> device_x(x), device_y(expected.size());
    run.expect_ok("launch", launch(async_copy_kernel, dim3(1), dim3(32), 0, nullptr, device_x.data(), device_y.data(), n, tiles));
    run.expect_equal("y", device_y.download(), expected);
}

// Conversions on the device, bit by bit.
template <class T>
__global__ void round_kernel(const float *x, float *y, int n) {
    for (int i = int(threadIdx.x); i < n; i += int(blockDim.x)) y[i] = round_to<T>(x[i]);
}

// The nearest number with `digits` binary digits and exponents from `least` on; ties to even.
double nearest(double x, int digits, int least, double overflow) {
    if (x == 0.0 || !std::isfinite(x)) return x;
    const int exponent = std::max(std::ilogb(x), least);
    const double unit = std::ldexp(1.0, exponent - digits + 1);
    const double y = std::nearbyint(x / unit) * unit;
    return std::fabs(y) >= overflow ? std::copysign(INFINITY, x) : y;
}

template <class T>
void check_rounding(Run &run, int digits, int least, double overflow) {
    std::vector<float> x = {0.0f, -0.0f, 1.0f, 65504.0f, 65519.99f, 65520.0f, -65520.0f, 1e30f, 3.4e38f, INFINITY, -INFINITY, NAN,
                            0x1p-24f, 0x1p-25f, 0x1.8p-25f, 0x1.8p-24f, 0x1p-14f, 0x1.ffcp-15f, 0x1.ffep-15f, 0x1p-133f, 0x1p-149f,
                            1.0009765625f, 1.00048828125f, 1.00146484375f, 1.00390625f, 1.01171875f};
    for (int i = 0; i < 2000; ++i) x.push_back(float(std::ldexp(run.random.normal(), int(run.random.below(60)) - 40)));
    std::vector<double> expected;
    for (const float value : x) expected.push_back(nearest(value, digits, least, overflow));
    DeviceBuffer<float> device_x(x), device_y(x.size());
    run.expect_ok("launch", launch(round_kernel<T>, dim3(1), dim3(64), 0, nullptr, device_x.data(), device_y.data(), int(x.size())));
    run.expect_equal("y", device_y.download(), expected);
}

TMOE_CASE("float16 rounds to nearest even") { check_rounding<float16>(run, 11, -14, 65536.0); }
TMOE_CASE("bfloat16 rounds to nearest even") { check_rounding<bfloat16>(run, 8, -126, 0x1p128); }

}  // namespace
