// What the emulator says about kernels that are wrong.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <string>

#include "common/async_copy.cuh"
#include "common/launch.cuh"
#include "common/mma.cuh"
#include "common/warp.cuh"
#include "support/test.h"

using namespace tmoe;
using namespace tmoe::test;

namespace {

// AddressSanitizer finds writes outside of memory itself, says where, and exits with 1.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kAddressSanitizer = true;
#else
constexpr bool kAddressSanitizer = false;
#endif
// A sanitizer turns a signal into an exit.
#if defined(__SANITIZE_ADDRESS__) || defined(EMULATOR_RACES)
constexpr bool kSanitizer = true;
#else
constexpr bool kSanitizer = false;
#endif
constexpr int kExit = 0;

// How a process ended.
struct Ending {
    int status;
    std::string output;
};

// Runs `body` in a process of its own and collects what it writes to standard error.
template <class Body>
Ending run_apart(Run &run, Body &&body) {
    int ends[2];
    if (!run.expect(pipe(ends) == 0, "no pipe")) return {};
    std::fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        body();
        _exit(0);
    }
    close(ends[1]);
    Ending ending{};
    char chunk[4096];
    for (ssize_t got; (got = read(ends[0], chunk, sizeof chunk)) > 0;) ending.output.append(chunk, std::size_t(got));
    close(ends[0]);
    waitpid(child, &ending.status, 0);
    return ending;
}

// `body` must end its process by `signal` (kExit: with a status other than 0) after writing `text` to standard error.
template <class Body>
void expect_death(Run &run, int signal, const std::string &text, Body &&body) {
    const auto [status, output] = run_apart(run, body);
    const bool expected =
        signal == kExit ? WIFEXITED(status) && WEXITSTATUS(status) != 0 : WIFSIGNALED(status) && WTERMSIG(status) == signal;
    run.expect(expected, "the process ended with status %d", status);
    run.expect(output.find(text) != std::string::npos, "the message lacks '%s': %s", text.c_str(), output.c_str());
}

__global__ void divergent_barrier_kernel() {
    if (threadIdx.x < 40) {
        __syncthreads();
    } else {
        __syncwarp();
    }
}

TMOE_CASE("a barrier that not all threads reach is reported with who waits where") {
    expect_death(run, SIGABRT, "threads 0-39: wait in __syncthreads\n  threads 40-63: wait in __syncwarp for lanes ffffffff",
                 [] { launch(divergent_barrier_kernel, dim3(1), dim3(64), 0, nullptr); });
}

__global__ void different_barriers_kernel(int *y) {
    if (threadIdx.x < 32) {
        __syncthreads();
    } else {
        *y = __syncthreads_or(1);
    }
}

TMOE_CASE("threads that meet in different barriers are reported") {
    DeviceBuffer<int> y(1);
    expect_death(run, SIGABRT, "different barriers",
                 [&] { launch(different_barriers_kernel, dim3(1), dim3(64), 0, nullptr, y.data()); });
}

__global__ void shuffle_without_lane_kernel(int *y) {
    if (threadIdx.x % 2 == 0) y[threadIdx.x] = __shfl_sync(0x55555555u, int(threadIdx.x), 1);
}

TMOE_CASE("a shuffle from a lane that takes no part is reported") {
    DeviceBuffer<int> y(32);
    expect_death(run, SIGABRT, "lane 1, which is not in the mask 55555555",
                 [&] { launch(shuffle_without_lane_kernel, dim3(1), dim3(32), 0, nullptr, y.data()); });
}

__global__ void ended_lane_kernel() {
    if (threadIdx.x == 31) return;
    __syncwarp();
}

TMOE_CASE("a function of the warp that waits for an ended lane is reported") {
    expect_death(run, SIGABRT, "thread 31: ended", [] { launch(ended_lane_kernel, dim3(1), dim3(32), 0, nullptr); });
}

__global__ void ended_warp_kernel(int *y) {
    if (threadIdx.x >= 32) return;
    __syncthreads();
    y[threadIdx.x] = 1;
}

TMOE_CASE("a barrier does not wait for threads that have ended") {
    DeviceBuffer<int> y(32);
    run.expect_ok("launch", launch(ended_warp_kernel, dim3(1), dim3(64), 0, nullptr, y.data()));
    run.expect_equal("y", y.download(), std::vector<int>(32, 1));
}

__global__ void unwaited_copy_kernel(const float *x, float *y) {
    __shared__ __align__(16) float values[4];
    async_copy_16(values, x);
    async_copy_commit();
    async_copy_wait<1>();
    *y = values[0];
}

TMOE_CASE_NEEDS(80, "an asynchronous copy that was not waited for has not happened, or has") {
    DeviceBuffer<float> x(std::vector<float>(4, 2.0f)), y(1);
    run.expect_ok("launch", launch(unwaited_copy_kernel, dim3(1), dim3(1), 0, nullptr, x.data(), y.data()));
    const float actual = y.download()[0];
    if (emulator::order() == emulator::Order::Forward) run.expect(!(actual == 2.0f), "the copy has happened");
    if (emulator::order() == emulator::Order::Reverse) run.expect(actual == 2.0f, "%g instead of 2", double(actual));
}

#if defined(EMULATOR_RACES)

template <class Body>
void expect_race(Run &run, Body &&body) {
    run.expect(run_apart(run, body).output.find("data race") != std::string::npos, "ThreadSanitizer reports no race");
}

__global__ void missing_barrier_kernel(int *y) {
    __shared__ int values[64];
    values[threadIdx.x] = int(threadIdx.x);
    __syncwarp();
    y[threadIdx.x] = values[63 - threadIdx.x];
}

TMOE_CASE("a missing barrier is a race") {
    DeviceBuffer<int> y(64);
    expect_race(run, [&] { launch(missing_barrier_kernel, dim3(1), dim3(64), 0, nullptr, y.data()); });
}

__global__ void missing_warp_barrier_kernel(int *y) {
    TMOE_DYNAMIC_SHARED(int, values);
    values[threadIdx.x] = int(threadIdx.x);
    y[threadIdx.x] = values[31 - threadIdx.x];
}

TMOE_CASE("a missing barrier of a warp is a race") {
    DeviceBuffer<int> y(32);
    expect_race(run, [&] { launch(missing_warp_barrier_kernel, dim3(1), dim3(32), 128, nullptr, y.data()); });
}

// The barrier before the second copy is missing, so others may still be reading what it overwrites.
__global__ void early_copy_kernel(const int *x, int *y) {
    __shared__ __align__(16) int values[32 * 4];
    for (int i = 0; i < 2; ++i) {
        async_copy_16(&values[threadIdx.x * 4], &x[threadIdx.x * 4]);
        async_copy_commit();
        async_copy_wait<0>();
        __syncthreads();
        y[threadIdx.x] = values[31 - threadIdx.x];
    }
}

TMOE_CASE("an asynchronous copy over values that are still read is a race") {
    DeviceBuffer<int> x(128), y(32);
    expect_race(run, [&] { launch(early_copy_kernel, dim3(1), dim3(32), 0, nullptr, x.data(), y.data()); });
}

__global__ void unordered_ldmatrix_kernel(std::uint32_t *y) {
    __shared__ __align__(16) std::uint32_t values[32];
    values[threadIdx.x] = threadIdx.x;
    std::uint32_t d[1];
    ldmatrix<1>(d, &values[lane_id() % 8 * 4]);
    y[lane_id()] = d[0];
}

TMOE_CASE("ldmatrix without a barrier after the writes is a race") {
    DeviceBuffer<std::uint32_t> y(32);
    expect_race(run, [&] { launch(unordered_ldmatrix_kernel, dim3(1), dim3(32), 0, nullptr, y.data()); });
}

__global__ void atomic_kernel(int *y, bool plain) {
    __shared__ int sum;
    if (threadIdx.x == 0) sum = 0;
    __syncthreads();
    if (plain && threadIdx.x == 5) {
        sum += 1;
    } else {
        atomicAdd(&sum, 1);
    }
    __syncthreads();
    if (threadIdx.x == 0) *y = sum;
}

TMOE_CASE("a plain change beside atomic ones is a race, atomic ones are none") {
    DeviceBuffer<int> y(1);
    run.expect_ok("launch", launch(atomic_kernel, dim3(2), dim3(96), 0, nullptr, y.data(), false));
    run.expect_equal("y", y.download(), std::vector<int>{96});
    expect_race(run, [&] { launch(atomic_kernel, dim3(1), dim3(96), 0, nullptr, y.data(), true); });
}

#else

__global__ void missing_barrier_kernel(int *y) {
    __shared__ int values[64];
    values[threadIdx.x] = int(threadIdx.x);
    y[threadIdx.x] = values[63 - threadIdx.x];
}

TMOE_CASE("a missing barrier shows in the numbers") {
    DeviceBuffer<int> y(64);
    run.expect_ok("launch", launch(missing_barrier_kernel, dim3(1), dim3(64), 0, nullptr, y.data()));
    int wrong = 0;
    const std::vector<int> actual = y.download();
    for (int i = 0; i < 64; ++i) wrong += actual[std::size_t(i)] != 63 - i;
    run.expect(wrong > 0, "all values are right");
}

// Every block reads its shared memory before writing it.
template <int N>
__global__ void uninitialised_kernel(float *y) {
    __shared__ float values[N];
    TMOE_DYNAMIC_SHARED(float, more);
    y[blockIdx.x * 2] = values[N - 1];
    y[blockIdx.x * 2 + 1] = more[15];
    values[N - 1] = 1.0f;
    more[15] = 1.0f;
}

TMOE_CASE("shared memory that nobody wrote is NaN in every block") {
    DeviceBuffer<float> y(std::vector<float>(6, 0.0f));
    run.expect_ok("launch", launch(uninitialised_kernel<5>, dim3(3), dim3(1), 64, nullptr, y.data()));
    run.expect_equal("y", y.download(), std::vector<float>(6, NAN));
}

#endif

__global__ void write_kernel(float *y, int i) { y[i] = 0.0f; }

// The end of 100 values is not the end of the 256 bytes that allocations are aligned to; the next page cannot be touched.
TMOE_CASE("a write behind device memory is reported at once, one just behind it when the memory is freed") {
    const auto write = [](int i) {
        return [i] {
            DeviceBuffer<float> y(100);
            launch(write_kernel, dim3(1), dim3(1), 0, nullptr, y.data(), i);
        };
    };
    expect_death(run, kAddressSanitizer ? kExit : SIGABRT, kAddressSanitizer ? "write_kernel" : "outside an allocation of 400 bytes",
                 write(100));
    expect_death(run, kSanitizer ? kExit : SIGABRT, kSanitizer ? "" : "112 bytes behind an allocation of 400 bytes", write(128));
}

__global__ void dynamic_overrun_kernel() {
    TMOE_DYNAMIC_SHARED(char, values);
    values[100] = 0;
}

TMOE_CASE("a write behind dynamic shared memory is reported") {
    expect_death(run, kAddressSanitizer ? kExit : SIGABRT,
                 kAddressSanitizer ? "dynamic_overrun_kernel" : "beyond the dynamic shared memory of 100 bytes",
                 [] { launch(dynamic_overrun_kernel, dim3(1), dim3(1), 100, nullptr); });
}

__global__ void misaligned_ldmatrix_kernel(std::uint32_t *y) {
    __shared__ __align__(16) std::uint16_t values[72];
    std::uint32_t d[1];
    ldmatrix<1>(d, &values[lane_id() % 8 * 8 + 4]);
    y[lane_id()] = d[0];
}

TMOE_CASE("ldmatrix from a misaligned row is reported") {
    DeviceBuffer<std::uint32_t> y(32);
    expect_death(run, SIGABRT, "ldmatrix: the row",
                 [&] { launch(misaligned_ldmatrix_kernel, dim3(1), dim3(32), 0, nullptr, y.data()); });
}

__global__ void bfloat16_product_kernel(float *y) {
    float d[4] = {};
    const std::uint32_t a[4] = {}, b[2] = {};
    mma_m16n8k16<bfloat16>(d, a, b);
    y[lane_id()] = d[0];
}

TMOE_CASE("an instruction that the emulated device lacks is reported") {
    DeviceBuffer<float> y(32);
    const auto body = [&] { launch(bfloat16_product_kernel, dim3(1), dim3(32), 0, nullptr, y.data()); };
    if (run.capability < 80) {
        expect_death(run, SIGABRT, "mma.m16n8k16.bf16 needs sm_80, the emulated device is sm_75", body);
    } else {
        body();
        run.expect_equal("y", y.download(), std::vector<float>(32, 0.0f));
    }
}

__global__ void grid_kernel(int *y) {
    const int thread = int(threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z));
    const int block = int(blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z));
    atomicAdd(&y[block * 24 + thread], block * 24 + thread);
}

TMOE_CASE("every thread of a grid of three dimensions runs once") {
    std::vector<int> expected(24 * 30);
    for (int i = 0; i < 24 * 30; ++i) expected[std::size_t(i)] = i;
    DeviceBuffer<int> y(std::vector<int>(expected.size(), 0));
    run.expect_ok("launch", launch(grid_kernel, dim3(2, 3, 5), dim3(2, 3, 4), 0, nullptr, y.data()));
    run.expect_equal("y", y.download(), expected);
}

}  // namespace
