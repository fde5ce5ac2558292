// Tensor-core instructions, computed from the fragment layouts of the PTX ISA.
#pragma once

#include <cstdint>
#include <cstring>

#include "emulator/block.h"
#include "emulator/race.h"
#include "emulator/round16.h"

namespace emulator {

// Operands of 16 bits, two per register, the lower half first.
template <float (*FromBits)(std::uint16_t), int K>
struct Mma16 {
    static constexpr int kK = K;
    // Register and half of the element at (row, k) of A [16 x K], and the lane that holds it.
    static float a(const std::uint32_t (*const *lanes)[4], int row, int k) {
        const int lane = row % 8 * 4 + k % 8 / 2, reg = row / 8 + k / 8 * 2;
        return half((*lanes[lane])[reg], k % 2);
    }
    static float b(const std::uint32_t (*const *lanes)[2], int k, int column) {
        const int lane = column * 4 + k % 8 / 2, reg = k / 8;
        return half((*lanes[lane])[reg], k % 2);
    }

private:
    static float half(std::uint32_t word, int upper) { return FromBits(std::uint16_t(word >> 16 * upper)); }
};

using MmaF16K8 = Mma16<float_from_float16, 8>;
using MmaF16K16 = Mma16<float_from_float16, 16>;
using MmaBf16K16 = Mma16<float_from_bfloat16, 16>;

struct MmaTf32K8 {
    static constexpr int kK = 8;
    static float a(const std::uint32_t (*const *lanes)[4], int row, int k) {
        return tf32((*lanes[row % 8 * 4 + k % 4])[row / 8 + k / 4 * 2]);
    }
    static float b(const std::uint32_t (*const *lanes)[2], int k, int column) { return tf32((*lanes[column * 4 + k % 4])[k / 4]); }

private:
    static float tf32(std::uint32_t word) { return bits_float(word & ~0x1fffu); }
};

struct MmaArguments {
    float (*d)[4];
    const std::uint32_t (*a)[4];
    const std::uint32_t (*b)[2];
};

// d += a b. The products of one instruction are summed exactly, or nearly so, and rounded once.
template <class Layout>
void perform_mma(void **arguments, std::uint32_t) {
    float(*d[kWarpSize])[4];
    const std::uint32_t(*a[kWarpSize])[4];
    const std::uint32_t(*b[kWarpSize])[2];
    for (int lane = 0; lane < kWarpSize; ++lane) {
        const auto *lane_arguments = static_cast<const MmaArguments *>(arguments[lane]);
        d[lane] = lane_arguments->d;
        a[lane] = lane_arguments->a;
        b[lane] = lane_arguments->b;
    }
    float left[16][Layout::kK], right[Layout::kK][8];
    for (int row = 0; row < 16; ++row)
        for (int k = 0; k < Layout::kK; ++k) left[row][k] = Layout::a(a, row, k);
    for (int k = 0; k < Layout::kK; ++k)
        for (int column = 0; column < 8; ++column) right[k][column] = Layout::b(b, k, column);
    for (int row = 0; row < 16; ++row) {
        double sums[8] = {};
        for (int k = 0; k < Layout::kK; ++k)
            for (int column = 0; column < 8; ++column) sums[column] += double(left[row][k]) * double(right[k][column]);
        for (int column = 0; column < 8; ++column) {
            float &sum = (*d[row % 8 * 4 + column / 2])[row / 8 * 2 + column % 2];
            sum = float(double(sum) + sums[column]);
        }
    }
}

template <class Layout>
void mma(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2], const char *name) {
    MmaArguments arguments{&d, &a, &b};
    warp_collective(0xffffffffu, name, perform_mma<Layout>, &arguments);
}

struct LdmatrixArguments {
    std::uint32_t *d;
    const void *row;
};

template <int N, bool Transposed>
void perform_ldmatrix(void **arguments, std::uint32_t) {
    for (int matrix = 0; matrix < N; ++matrix) {
        std::uint16_t values[8][8];
        for (int row = 0; row < 8; ++row)
            std::memcpy(values[row], static_cast<LdmatrixArguments *>(arguments[matrix * 8 + row])->row, 16);
        for (int lane = 0; lane < kWarpSize; ++lane) {
            const int group = lane / 4, place = lane % 4 * 2;
            const std::uint32_t low = Transposed ? values[place][group] : values[group][place];
            const std::uint32_t high = Transposed ? values[place + 1][group] : values[group][place + 1];
            static_cast<LdmatrixArguments *>(arguments[lane])->d[matrix] = low | high << 16;
        }
    }
}

template <int N, bool Transposed>
void ldmatrix(std::uint32_t (&d)[N], const void *row) {
    if (reinterpret_cast<std::uintptr_t>(row) % 16 || !is_shared(row, 16))
        fail("ldmatrix: the row %p is not shared memory aligned to 16 bytes", row);
    if (lane() < 8 * N) race::read_16(row);
    LdmatrixArguments arguments{d, row};
    warp_collective(0xffffffffu, "ldmatrix", perform_ldmatrix<N, Transposed>, &arguments);
}

}  // namespace emulator
