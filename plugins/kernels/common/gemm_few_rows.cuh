// The product of a few rows with 32 columns of a matrix, as fast as memory gives the matrix: each element is read once, in vectors of
// 16 bytes, straight into registers, for up to eight rows at a time. Products and sums are float32, whatever the weights are.
//
//   k goes over the block's lanes:  lane = (k / 4) x chunks + chunk;  a lane takes four k's of one vector of columns
//   the next four vectors are under way while these are multiplied
//   rows lie in shared memory, float32, [k / 4, row, 4]
//   in the end the lanes of a warp add up by halving (each keeps a part of the sums), then the warps, in order
#pragma once

#include <cstdint>

#include "gemm_types.cuh"
#include "numeric.cuh"
#include "warp.cuh"

namespace tmoe {

constexpr int kFewRows = 8;
constexpr int kFewColumns = 32;

template <class T, int Threads>
struct FewRows {
    static constexpr int kVector = kVectorSize<T>;
    static constexpr int kChunks = kFewColumns / kVector;
    static constexpr int kLanes = Threads / kChunks;
    static constexpr int kWarps = Threads / kWarpSize;
    static constexpr int kStep = kLanes * 4;    // k at a time

    // Floats between one k / 4 and the next: the padding keeps a warp's reads in different banks.
    static constexpr int stride(int rows) { return rows == 1 ? 4 : rows * 4 + 4; }
    static constexpr int kInputFloats = kStep / 4 * stride(kFewRows);
    static constexpr int kSumFloats = (kWarps + 1) * kFewRows * kFewColumns;
    static constexpr std::size_t kSharedBytes = 4 * std::size_t(2 * kInputFloats > kSumFloats ? 2 * kInputFloats : kSumFloats);

    __device__ __forceinline__ static int chunk() { return int(threadIdx.x) % kChunks; }

    // `weight`: the first row's vector of this lane's columns, null if there are none; `columns`: how many of them exist, where
    // rows are not aligned to vectors (else kVector). `load(row, k, values)` gives input[row][k .. k + 3], zeros beyond the rows.
    // Gives back the sums, [Rows, 32] floats in shared memory, which every thread may read.
    template <int Rows, bool Ragged, class Load>
    __device__ static const float *multiply(const T *weight, std::int64_t row_length, int columns, int k_begin, int k_end, Load load,
                                            float *shared) {
        const int lane = int(threadIdx.x) / kChunks;
        float sums[Rows * kVector];
#pragma unroll
        for (int i = 0; i < Rows * kVector; ++i) sums[i] = 0.0f;

        Vector<T, kVector> now[4], next[4];
        const auto fetch = [&](int k, Vector<T, kVector>(&to)[4]) {
#pragma unroll
            for (int u = 0; u < 4; ++u) {
                const bool valid = weight != nullptr && k + u < k_end;
                const T *const from = valid ? weight + (k + u) * row_length : nullptr;
                if (Ragged) {
#pragma unroll
                    for (int v = 0; v < kVector; ++v) to[u][v] = valid && v < columns ? from[v] : from_float<T>(0.0f);
                } else {
                    to[u] = valid ? load_vector<kVector>(from) : Vector<T, kVector>{};
                }
            }
        };
        fetch(k_begin + lane * 4, next);
        float *inputs = shared;
        for (int k = k_begin; k < k_end; k += kStep) {
            for (int i = int(threadIdx.x); i < Rows * (kStep / 4); i += Threads) {
                const int row = i / (kStep / 4), quad = i % (kStep / 4);
                Vector<float, 4> values{};
                if (k + quad * 4 < k_end) load(row, k + quad * 4, values.values);
                store_vector(inputs + quad * stride(Rows) + row * 4, values);
            }
#pragma unroll
            for (int u = 0; u < 4; ++u) now[u] = next[u];
            if (k + kStep < k_end) fetch(k + kStep + lane * 4, next);
            // One barrier is enough: the inputs of two steps lie in different places.
            __syncthreads();
            const float *const own = inputs + lane * stride(Rows);
            float x[Rows][4];
#pragma unroll
            for (int row = 0; row < Rows; ++row) load_floats(own + row * 4, x[row]);
#pragma unroll
            for (int u = 0; u < 4; ++u)
#pragma unroll
                for (int v = 0; v < kVector; ++v) {
                    const float element = to_float(now[u][v]);
#pragma unroll
                    for (int row = 0; row < Rows; ++row) sums[row * kVector + v] = fmaf(x[row][u], element, sums[row * kVector + v]);
                }
            inputs = inputs == shared ? shared + kInputFloats : shared;
        }
        __syncthreads();
        return add_up<Rows>(sums, shared);
    }

    // The same for 1 to kFewRows rows.
    template <bool Ragged, class Load>
    __device__ __forceinline__ static const float *multiply_rows(int rows, const T *weight, std::int64_t row_length, int columns,
                                                                 int k_begin, int k_end, Load load, float *shared) {
        if (rows == 1) return multiply<1, Ragged>(weight, row_length, columns, k_begin, k_end, load, shared);
        if (rows == 2) return multiply<2, Ragged>(weight, row_length, columns, k_begin, k_end, load, shared);
        if (rows <= 4) return multiply<4, Ragged>(weight, row_length, columns, k_begin, k_end, load, shared);
        return multiply<8, Ragged>(weight, row_length, columns, k_begin, k_end, load, shared);
    }

private:
    template <int Rows>
    __device__ __forceinline__ static const float *add_up(float (&sums)[Rows * kVector], float *shared) {
        int first = 0, left = Rows * kVector;
#pragma unroll
        for (int offset = kWarpSize / 2; offset >= kChunks; offset /= 2) {
            const bool upper = lane_id() & offset;
            left /= 2;
#pragma unroll
            for (int i = 0; i < left; ++i) {
                const float given = upper ? sums[i] : sums[i + left], kept = upper ? sums[i + left] : sums[i];
                sums[i] = kept + shuffle_xor(given, offset);
            }
            if (upper) first += left;
        }
        // Every lane holds as many sums as there are rows.
        static_assert(kVector * kChunks == kWarpSize, "a warp holds a row of sums");
#pragma unroll
        for (int i = 0; i < Rows; ++i) {
            const int row = (first + i) / kVector, column = chunk() * kVector + (first + i) % kVector;
            shared[(warp_id() * Rows + row) * kFewColumns + column] = sums[i];
        }
        __syncthreads();
        float *const totals = shared + kWarps * Rows * kFewColumns;
        for (int i = int(threadIdx.x); i < Rows * kFewColumns; i += Threads) {
            float total = 0.0f;
#pragma unroll
            for (int warp = 0; warp < kWarps; ++warp) total += shared[warp * Rows * kFewColumns + i];
            totals[i] = total;
        }
        __syncthreads();
        return totals;
    }
};

}  // namespace tmoe
