// Sum of two tensors and RMSNorm of it (Zhang and Sennrich 2019), in one pass over memory.
//
//   compile and run alone: see plugins/tests/rms_norm_test.cpp
//
// Floor, for R rows of H elements: x and residual read, sum and y written, 4 R H values of io_type (2 R H without a residual); the
// weights stay in L2. About 6 R H operations.
//
// Rows of up to 1024 elements belong to a warp, longer ones (and those that are no whole vectors) to a block; either way a row is in registers between its two uses, so
// that `sum` may be x or residual, and y may be x.
#include "common/launch.cuh"
#include "common/numeric.cuh"
#include "common/warp.cuh"

namespace tmoe {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarpSize;
constexpr int kPerThread = 32;
constexpr int kMaxHidden = kThreads * kPerThread;
constexpr int kMaxWarpHidden = kWarpSize * kPerThread;

// A row belongs to `Lanes` threads, in vectors of `Count` neighbouring values: a thread has every Lanes-th vector.
template <class T, int Count, int Lanes>
__global__ void __launch_bounds__(kThreads, 2) add_rms_norm_kernel(std::int64_t rows, int hidden, float epsilon, const T *x, const T *residual,
                                                                const float *__restrict__ weight, T *sum, T *y) {
    __shared__ float scratch[kWarps];
    constexpr int kVectors = kPerThread / Count;
    const std::int64_t row = std::int64_t(blockIdx.x) * (kThreads / Lanes) + int(threadIdx.x) / Lanes;
    if (Lanes == kWarpSize && row >= rows) return;
    const int first = int(threadIdx.x) % Lanes * Count;
    const std::int64_t at = row * hidden + first;
    const int vectors = (hidden - first + Lanes * Count - 1) / (Lanes * Count);

    float values[kVectors][Count] = {};
    float squares = 0.0f;
#pragma unroll
    for (int i = 0; i < kVectors; ++i) {
        const int offset = i * Lanes * Count;
        if (i < vectors) load_floats(x + at + offset, values[i]);
    }
    if (residual != nullptr) {
#pragma unroll
        for (int i = 0; i < kVectors; ++i) {
            const int offset = i * Lanes * Count;
            if (i < vectors) {
                float added[Count];
                load_floats(residual + at + offset, added);
#pragma unroll
                for (int e = 0; e < Count; ++e) values[i][e] += added[e];
                store_floats(sum + at + offset, values[i]);
            }
        }
    }
#pragma unroll
    for (int i = 0; i < kVectors; ++i) {
#pragma unroll
        for (int e = 0; e < Count; ++e) squares = fmaf(values[i][e], values[i][e], squares);
    }
    squares = Lanes == kWarpSize ? warp_sum(squares) : block_sum(squares, scratch);
    const float factor = 1.0f / sqrtf(squares / float(hidden) + epsilon);
#pragma unroll
    for (int i = 0; i < kVectors; ++i) {
        const int offset = i * Lanes * Count;
        if (i < vectors) {
            constexpr int kStep = Count < 4 ? Count : 4;
#pragma unroll
            for (int e = 0; e < Count; e += kStep) {
                const auto weights = load_vector<kStep>(weight + first + offset + e);
#pragma unroll
                for (int n = 0; n < kStep; ++n) values[i][e + n] *= factor * weights[n];
            }
            store_floats(y + at + offset, values[i]);
        }
    }
}

template <class T, int Count, int Lanes>
tmoe_status launch_rows(const tmoe_rms_norm_shape &shape, const T *x, const T *residual, const float *weight, T *sum, T *y,
                        cudaStream_t stream) {
    constexpr int kRows = kThreads / Lanes;
    const std::int64_t blocks = (shape.rows + kRows - 1) / kRows;
    if (blocks > INT32_MAX) return TMOE_UNSUPPORTED;
    return launch(add_rms_norm_kernel<T, Count, Lanes>, dim3(unsigned(blocks)), dim3(kThreads), 0, stream, shape.rows, shape.hidden,
                  shape.epsilon, x, residual, weight, sum, y);
}

bool is_aligned(const void *pointer) { return reinterpret_cast<std::uintptr_t>(pointer) % 16 == 0; }

}  // namespace
}  // namespace tmoe

extern "C" tmoe_status tmoe_add_rms_norm(const tmoe_rms_norm_shape *shape, const void *x, const void *residual, const float *weight,
                                         void *sum, void *y, tmoe_stream stream) {
    using namespace tmoe;
    if (shape == nullptr || shape->rows < 0 || shape->hidden < 1 || !(shape->epsilon >= 0.0f)) return TMOE_INVALID_ARGUMENT;
    if (shape->hidden > kMaxHidden) return TMOE_UNSUPPORTED;
    if (shape->rows == 0) return TMOE_OK;
    if (x == nullptr || weight == nullptr || y == nullptr || (residual != nullptr && sum == nullptr)) return TMOE_INVALID_ARGUMENT;
    if (!is_aligned(x) || !is_aligned(residual) || !is_aligned(weight) || !is_aligned(sum) || !is_aligned(y)) return TMOE_INVALID_ARGUMENT;
    return dispatch_type(shape->io_type, [&](auto tag) {
        using T = typename decltype(tag)::type;
        const T *typed_x = static_cast<const T *>(x), *typed_residual = static_cast<const T *>(residual);
        T *typed_sum = static_cast<T *>(sum), *typed_y = static_cast<T *>(y);
        const auto launcher = shape->hidden % kVectorSize<T> != 0    ? launch_rows<T, 1, kThreads>
                              : shape->hidden > kMaxWarpHidden ? launch_rows<T, kVectorSize<T>, kThreads>
                                                               : launch_rows<T, kVectorSize<T>, kWarpSize>;
        return launcher(*shape, typed_x, typed_residual, weight, typed_sum, typed_y, stream);
    });
}
