// Tensor-core products and the loads of their operands, on registers, in the layouts of the PTX ISA ("Matrix Fragments for
// mma.m16n8k16" and so on). With lane = 4 x group + place (group 0..7, place 0..3):
//
//   accumulator [16 x 8], float d[4]   d[0], d[1]: row group,     columns 2 x place, + 1
//                                      d[2], d[3]: row group + 8, the same columns
//   16 bits, A [16 x 16], a[4]         a[0]: row group, k = 2 x place, + 1    a[1]: row group + 8     a[2], a[3]: the same, k + 8
//   16 bits, B [16 x 8], b[2]          b[0]: k = 2 x place, + 1, column group                         b[1]: k + 8
//   16 bits, k = 8                     A: a[0], a[1] of the above; B: b[0]
//   TF32, A [16 x 8], a[4]             a[0]: row group, k = place             a[1]: row group + 8     a[2], a[3]: the same, k + 4
//   TF32, B [8 x 8], b[2]              b[0]: k = place, column group                                  b[1]: k + 4
//
// All 32 lanes take part in every function.
#pragma once

#include <cstdint>
#include <type_traits>

#include "arch.cuh"
#include "numeric.cuh"

#if defined(TMOE_EMULATOR)
#include "emulator/mma.h"
#endif

namespace tmoe {

// d += a b, k = 8, float16. sm_75.
__device__ __forceinline__ void mma_m16n8k8_f16(float (&d)[4], std::uint32_t a0, std::uint32_t a1, std::uint32_t b0) {
#if defined(TMOE_EMULATOR)
    const std::uint32_t a[4] = {a0, a1, 0, 0}, b[2] = {b0, 0};
    ::emulator::mma<::emulator::MmaF16K8>(d, a, b, "mma.m16n8k8.f16");
#else
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a0), "r"(a1), "r"(b0));
#endif
}

// d += a b, k = 16, T float16 (sm_75, where it is two products of k = 8) or bfloat16 (sm_80).
template <class T>
__device__ __forceinline__ void mma_m16n8k16(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
    static_assert(std::is_same_v<T, float16> || std::is_same_v<T, bfloat16>, "float16 or bfloat16");
#if defined(TMOE_EMULATOR)
    if constexpr (std::is_same_v<T, float16>) {
        ::emulator::mma<::emulator::MmaF16K16>(d, a, b, "mma.m16n8k16.f16");
    } else {
        require_capability(80, "mma.m16n8k16.bf16");
        ::emulator::mma<::emulator::MmaBf16K16>(d, a, b, "mma.m16n8k16.bf16");
    }
#elif TMOE_ARCH_AT_LEAST(80)
    if constexpr (std::is_same_v<T, float16>) {
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                     : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
    } else {
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                     : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
    }
#else
    if constexpr (std::is_same_v<T, float16>) {
        mma_m16n8k8_f16(d, a[0], a[1], b[0]);
        mma_m16n8k8_f16(d, a[2], a[3], b[1]);
    } else {
        __trap();
    }
#endif
}

// d += a b, k = 8, TF32: floats whose lowest 13 bits are ignored; to_tf32 rounds. sm_80.
__device__ __forceinline__ void mma_m16n8k8_tf32(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
#if defined(TMOE_EMULATOR)
    require_capability(80, "mma.m16n8k8.tf32");
    ::emulator::mma<::emulator::MmaTf32K8>(d, a, b, "mma.m16n8k8.tf32");
#elif TMOE_ARCH_AT_LEAST(80)
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
    __trap();
#endif
}

// Loads N (1, 2, 4) matrices [8 x 8] of 16-bit values from shared memory. Lane 8 x i + r says where row r of matrix i lies
// (16 bytes, aligned to 16); sm_75 needs a valid address from the lanes above 8 x N too. d[i] is the lane's part of matrix i:
// row group, columns 2 x place, + 1; transposed: rows 2 x place, + 1, column group. sm_75.
template <int N, bool Transposed = false>
__device__ __forceinline__ void ldmatrix(std::uint32_t (&d)[N], const void *row) {
    static_assert(N == 1 || N == 2 || N == 4, "1, 2 or 4 matrices");
#if defined(TMOE_EMULATOR)
    ::emulator::ldmatrix<N, Transposed>(d, row);
#else
    const unsigned address = shared_address(row);
    if constexpr (N == 1 && !Transposed) {
        asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];" : "=r"(d[0]) : "r"(address) : "memory");
    } else if constexpr (N == 1) {
        asm volatile("ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%0}, [%1];" : "=r"(d[0]) : "r"(address) : "memory");
    } else if constexpr (N == 2 && !Transposed) {
        asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1}, [%2];" : "=r"(d[0]), "=r"(d[1]) : "r"(address) : "memory");
    } else if constexpr (N == 2) {
        asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];"
                     : "=r"(d[0]), "=r"(d[1])
                     : "r"(address)
                     : "memory");
    } else if constexpr (!Transposed) {
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                     : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
                     : "r"(address)
                     : "memory");
    } else {
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                     : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
                     : "r"(address)
                     : "memory");
    }
#endif
}

}  // namespace tmoe
