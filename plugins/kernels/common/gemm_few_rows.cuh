// The product of a few rows with 32 columns of a matrix, made to be as fast as memory gives the matrix: each element is read once, in
// vectors of 16 bytes, straight into registers, for up to eight rows. Products and sums are float32, whatever the weights are.
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
    static constexpr int kGroups = kVector / 4;    // of eight rows

    // Floats between one k / 4 and the next: the padding keeps a warp's reads in different banks.
    __host__ __device__ static constexpr int stride(int rows) { return rows == 1 ? 4 : rows * 4 + 4; }
    static constexpr int kInputFloats = kLanes * (kGroups == 1 ? stride(8) : stride(4));
    static constexpr int kSumFloats = (kWarps + 1) * kFewRows * kFewColumns;
    static constexpr std::size_t kSharedBytes = 4 * std::size_t(2 * kInputFloats > kSumFloats ? 2 * kInputFloats : kSumFloats);

    __device__ __forceinline__ static int chunk() { return int(threadIdx.x) % kChunks; }

    // `weight`: the first row's vector of this lane's columns, null if there are none; `columns`: how many of them exist, where
    // rows are not aligned to vectors (else kVector). `load(row, k, values)` gives input[row][k .. k + 3], zeros beyond the rows.
    // Gives back the sums, [rows, 32] floats in shared memory, which every thread may read.
    //
    // A lane has sums of `Rows` rows. So that they stay in registers, many rows belong to two halves of the block, which read the
    // same weights: the second one's come from the multiprocessor's cache.
    template <int Rows, int Groups, bool Ragged, class Load>
    __device__ __forceinline__ static const float *multiply(const T *weight, std::int64_t row_length, int columns, int k_begin,
                                                            int k_end, Load load, float *shared) {
        constexpr int kAllRows = Rows * Groups, kOwnLanes = kLanes / Groups, kOwnStep = kOwnLanes * 4;
        static_assert(Rows * kVector <= 32 && kOwnLanes * stride(kAllRows) <= kInputFloats, "registers and shared memory");
        const int lane = int(threadIdx.x) / kChunks % kOwnLanes, group = int(threadIdx.x) / (Threads / Groups);
        float sums[Rows][kVector] = {};

        Vector<T, kVector> now[4], next[4];
        const auto fetch = [&](int k) {
#pragma unroll
            for (int u = 0; u < 4; ++u) {
                const bool valid = weight != nullptr && k + u < k_end;
                const T *const from = valid ? weight + (k + u) * row_length : nullptr;
                if (Ragged) {
#pragma unroll
                    for (int v = 0; v < kVector; ++v) next[u][v] = valid && v < columns ? from[v] : from_float<T>(0.0f);
                } else {
                    next[u] = valid ? load_vector<kVector>(from) : Vector<T, kVector>{};
                }
            }
        };
        fetch(k_begin + lane * 4);
        float *inputs = shared;
        for (int k = k_begin; k < k_end; k += kOwnStep) {
            for (int i = int(threadIdx.x); i < kAllRows * kOwnLanes; i += Threads) {
                const int row = i / kOwnLanes, quad = i % kOwnLanes;
                Vector<float, 4> values{};
                if (k + quad * 4 < k_end) load(row, k + quad * 4, values.values);
                store_vector(inputs + quad * stride(kAllRows) + row * 4, values);
            }
#pragma unroll
            for (int u = 0; u < 4; ++u) now[u] = next[u];
            if (k + kOwnStep < k_end) fetch(k + kOwnStep + lane * 4);
            // One barrier is enough: the inputs of two steps lie in different places.
            __syncthreads();
            multiply_step(sums, now, inputs + lane * stride(kAllRows) + group * Rows * 4);
            inputs = inputs == shared ? shared + kInputFloats : shared;
        }
        __syncthreads();
        return add_up<Groups>(sums, shared);
    }

    // The same for 1 to kFewRows rows.
    template <bool Ragged, class Load>
    __device__ __forceinline__ static const float *multiply_rows(int rows, const T *weight, std::int64_t row_length, int columns,
                                                                 int k_begin, int k_end, Load load, float *shared) {
        if (rows == 1) return multiply<1, 1, Ragged>(weight, row_length, columns, k_begin, k_end, load, shared);
        if (rows == 2) return multiply<2, 1, Ragged>(weight, row_length, columns, k_begin, k_end, load, shared);
        if (rows <= 4) return multiply<4, 1, Ragged>(weight, row_length, columns, k_begin, k_end, load, shared);
        return multiply<8 / kGroups, kGroups, Ragged>(weight, row_length, columns, k_begin, k_end, load, shared);
    }

private:
    // sums[row][v] += x[row][u] vectors[u][v].
    template <int Rows>
    __device__ __forceinline__ static void multiply_step(float (&sums)[Rows][kVector], const Vector<T, kVector> (&vectors)[4],
                                                         const float *x) {
        float inputs[Rows][4];
#pragma unroll
        for (int row = 0; row < Rows; ++row) load_floats(x + row * 4, inputs[row]);
#pragma unroll
        for (int u = 0; u < 4; ++u) {
            float elements[kVector];
#pragma unroll
            for (int v = 0; v < kVector; ++v) elements[v] = to_float(vectors[u][v]);
#pragma unroll
            for (int row = 0; row < Rows; ++row)
#pragma unroll
                for (int v = 0; v < kVector; ++v) sums[row][v] = fmaf(inputs[row][u], elements[v], sums[row][v]);
        }
    }

    // Adds up the first `Count` of a lane's sums over the lanes of the warp that hold the same columns. Each lane keeps one of
    // `Count` x kChunks / 32, which begin at `first`.
    template <int Offset, int Count>
    __device__ __forceinline__ static void halve(float *sums, int &first) {
        if constexpr (Offset >= kChunks) {
            constexpr int kHalf = Count / 2;
            const bool upper = lane_id() & Offset;
#pragma unroll
            for (int i = 0; i < kHalf; ++i) {
                const float given = upper ? sums[i] : sums[i + kHalf], kept = upper ? sums[i + kHalf] : sums[i];
                sums[i] = kept + shuffle_xor(given, Offset);
            }
            first += upper ? kHalf : 0;
            halve<Offset / 2, kHalf>(sums, first);
        }
    }

    template <int Groups, int Rows>
    __device__ __forceinline__ static const float *add_up(float (&sums)[Rows][kVector], float *shared) {
        float flat[Rows * kVector];
#pragma unroll
        for (int i = 0; i < Rows * kVector; ++i) flat[i] = sums[i / kVector][i % kVector];
        int first = 0;
        halve<kWarpSize / 2, Rows * kVector>(flat, first);
        static_assert(kVector * kChunks == kWarpSize, "every lane keeps as many sums as there are rows");
#pragma unroll
        for (int i = 0; i < Rows; ++i) {
            const int row = (first + i) / kVector, column = chunk() * kVector + (first + i) % kVector;
            shared[(warp_id() * Rows + row) * kFewColumns + column] = flat[i];
        }
        __syncthreads();
        float *const totals = shared + kWarps * Rows * kFewColumns;
        for (int i = int(threadIdx.x); i < Groups * Rows * kFewColumns; i += Threads) {
            constexpr int kGroupWarps = kWarps / Groups, kOfAWarp = Rows * kFewColumns;
            const float *const own = shared + i / kOfAWarp * kGroupWarps * kOfAWarp + i % kOfAWarp;
            float total = 0.0f;
#pragma unroll
            for (int warp = 0; warp < kGroupWarps; ++warp) total += own[warp * kOfAWarp];
            totals[i] = total;
        }
        __syncthreads();
        return totals;
    }
};

}  // namespace tmoe
