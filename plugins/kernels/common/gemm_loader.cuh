// How a block's operands come to shared memory: by asynchronous copies, a few steps ahead; on devices without them through registers,
// which a computation lies between. Nothing is read beyond a group's rows, the matrix's columns, or k: zeros stand in.
#pragma once

#include <cstdint>

#include "arch.cuh"
#include "async_copy.cuh"
#include "gemm_groups.cuh"
#include "numeric.cuh"

namespace tmoe {

#if defined(TMOE_EMULATOR)
inline bool copies_are_asynchronous() { return ::emulator::current_capability() >= 80; }
#else
__device__ constexpr bool copies_are_asynchronous() { return TMOE_ARCH_AT_LEAST(80); }
#endif

// Brings a block's steps of both operands to shared memory.
template <class Product, bool Gated>
class Loader {
    using Tile = typename Product::Tile;
    using X = typename Product::Input;
    using T = typename Product::Weight;
    static constexpr int kInputVector = kVectorSize<X>, kWeightVector = kVectorSize<T>;
    static constexpr int kInputPerRow = Tile::K / kInputVector, kWeightPerRow = Tile::N / kWeightVector;
    static constexpr int kInputRowStep = Tile::kThreads / kInputPerRow, kWeightRowStep = Tile::kThreads / kWeightPerRow;
    static constexpr int kInputs = Tile::M / kInputRowStep, kWeights = Tile::K / kWeightRowStep;
    static_assert(kInputs * kInputRowStep == Tile::M && kInputRowStep * kInputPerRow == Tile::kThreads, "every thread copies as much");
    static_assert(kWeights * kWeightRowStep == Tile::K && kWeightRowStep * kWeightPerRow == Tile::kThreads, "every thread copies as much");

public:
    // Of one step: the left matrix [M, K], then the right one [K, N], both with padded rows.
    static constexpr int kInputBytes = Tile::M * Product::kInputStride * int(sizeof(X));
    static constexpr int kStepBytes = kInputBytes + Tile::K * Product::kWeightStride * int(sizeof(T));
    static_assert(kInputBytes % 16 == 0 && kStepBytes % 16 == 0, "aligned to vectors");
    // Matrices whose rows are not aligned to vectors are copied one by one, by the smallest tiles only.
    static constexpr bool kTakesRagged = Tile::M <= 32;

    // What is under way in registers where copies are not asynchronous.
    struct Staged {
        uint4 input[kInputs], weight[kWeights];
    };

    __device__ __forceinline__ Loader(const GroupedProduct &product, const RowTile &rows, std::int64_t column_tile, int k_begin,
                                      int k_end)
        : k_(k_begin), k_end_(k_end), columns_(product.columns), row_length_(Gated ? 2 * product.columns : product.columns) {
        const int thread = int(threadIdx.x);
        input_place_ = thread % kInputPerRow * kInputVector;
        input_row_ = thread / kInputPerRow;
        base_ = static_cast<const X *>(product.input);
#pragma unroll
        for (int i = 0; i < kInputs; ++i) {
            const std::int64_t row = rows.first + input_row_ + i * kInputRowStep;
            input_[i] = nullptr;
            if (row < rows.end) {
                const std::int64_t from = product.input_rows != nullptr ? product.input_rows[row] : row;
                input_[i] = base_ + from * product.k + k_begin + input_place_;
            }
        }

        weight_row_ = thread / kWeightPerRow;
        weight_place_ = thread % kWeightPerRow * kWeightVector;
        // Of a warp's columns the first half is the gate's.
        const int warp = weight_place_ / Tile::kWarpN, place = weight_place_ % Tile::kWarpN;
        constexpr int kHalf = Tile::kWarpN / 2;
        std::int64_t column = column_tile * Tile::N + weight_place_;
        if (Gated) column = column_tile * (Tile::N / 2) + warp * kHalf + place % kHalf;
        const bool up = Gated && place >= kHalf;
        column_ = column < columns_ ? std::int32_t(column) : columns_;
        weight_ = static_cast<const T *>(product.weight) + rows.group * std::int64_t(product.k) * row_length_ +
                  std::int64_t(k_begin + weight_row_) * row_length_ + column_ + (up ? columns_ : 0);
    }

    // Begins to bring the next step to `to`. `finish` ends it, a computation later, where copies are not asynchronous.
    __device__ __forceinline__ void start(unsigned char *to, Staged *staged) {
        X *const input_to = reinterpret_cast<X *>(to) + input_row_ * Product::kInputStride + input_place_;
        T *const weight_to = reinterpret_cast<T *>(to + kInputBytes) + weight_row_ * Product::kWeightStride + weight_place_;
        const bool has_input_k = k_ + input_place_ < k_end_;
        const bool has_column = column_ < columns_;
        const bool ragged = kTakesRagged && columns_ % kWeightVector != 0;
#pragma unroll
        for (int i = 0; i < kInputs; ++i) {
            const bool valid = has_input_k && input_[i] != nullptr;
            const X *const from = valid ? input_[i] : base_;
            if (copies_are_asynchronous()) {
                async_copy_16(input_to + i * kInputRowStep * Product::kInputStride, from, valid);
            } else {
                staged->input[i] = valid ? *reinterpret_cast<const uint4 *>(from) : make_uint4(0, 0, 0, 0);
            }
            if (input_[i] != nullptr) input_[i] += Tile::K;
        }
#pragma unroll
        for (int i = 0; i < kWeights; ++i) {
            const bool valid = has_column && k_ + weight_row_ + i * kWeightRowStep < k_end_;
            const T *const from = weight_ + i * kWeightRowStep * std::int64_t(row_length_);
            if (kTakesRagged && ragged) {
                Vector<T, kWeightVector> vector;
#pragma unroll
                for (int j = 0; j < kWeightVector; ++j)
                    vector[j] = valid && column_ + j < columns_ ? from[j] : from_float<T>(0.0f);
                store_vector(weight_to + i * kWeightRowStep * Product::kWeightStride, vector);
            } else if (copies_are_asynchronous()) {
                async_copy_16(weight_to + i * kWeightRowStep * Product::kWeightStride, valid ? from : weight_, valid);
            } else {
                staged->weight[i] = valid ? *reinterpret_cast<const uint4 *>(from) : make_uint4(0, 0, 0, 0);
            }
        }
        k_ += Tile::K;
        weight_ += Tile::K * std::int64_t(row_length_);
    }

    __device__ __forceinline__ void finish(unsigned char *to, const Staged &staged) const {
        if (copies_are_asynchronous()) return;
        X *const input_to = reinterpret_cast<X *>(to) + input_row_ * Product::kInputStride + input_place_;
        T *const weight_to = reinterpret_cast<T *>(to + kInputBytes) + weight_row_ * Product::kWeightStride + weight_place_;
        const bool ragged = kTakesRagged && columns_ % kWeightVector != 0;
#pragma unroll
        for (int i = 0; i < kInputs; ++i)
            *reinterpret_cast<uint4 *>(input_to + i * kInputRowStep * Product::kInputStride) = staged.input[i];
        if (kTakesRagged && ragged) return;
#pragma unroll
        for (int i = 0; i < kWeights; ++i)
            *reinterpret_cast<uint4 *>(weight_to + i * kWeightRowStep * Product::kWeightStride) = staged.weight[i];
    }

private:
    const X *base_;
    const X *input_[kInputs];    // null where there is no row
    const T *weight_;
    std::int32_t k_, k_end_, columns_, row_length_, column_;
    int input_row_, input_place_, weight_row_, weight_place_;
};

}  // namespace tmoe
