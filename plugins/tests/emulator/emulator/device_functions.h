// Arithmetic, bits and atomics with CUDA's names. A device's fast functions are the exact ones here.
#pragma once

#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>

#include <type_traits>

#include "emulator/block.h"
#include "emulator/round16.h"

template <class A, class B>
constexpr std::common_type_t<A, B> min(A a, B b) {
    using T = std::common_type_t<A, B>;
    if constexpr (std::is_floating_point_v<T>) {
        return T(a) < T(b) || b != b ? T(a) : T(b);
    } else {
        return T(a) < T(b) ? T(a) : T(b);
    }
}
template <class A, class B>
constexpr std::common_type_t<A, B> max(A a, B b) {
    using T = std::common_type_t<A, B>;
    if constexpr (std::is_floating_point_v<T>) {
        return T(a) > T(b) || b != b ? T(a) : T(b);
    } else {
        return T(a) > T(b) ? T(a) : T(b);
    }
}

inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline float __frsqrt_rn(float x) { return float(1.0 / sqrt(double(x))); }
inline float __fsqrt_rn(float x) { return sqrtf(x); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
inline float __log2f(float x) { return log2f(x); }
inline float __sinf(float x) { return sinf(x); }
inline float __cosf(float x) { return cosf(x); }
inline float __powf(float x, float y) { return powf(x, y); }
inline float __fmaf_rn(float x, float y, float z) { return fmaf(x, y, z); }
inline float __fadd_rn(float x, float y) { return x + y; }
inline float __fsub_rn(float x, float y) { return x - y; }
inline float __fmul_rn(float x, float y) { return x * y; }
inline float __fdiv_rn(float x, float y) { return x / y; }
inline float __saturatef(float x) { return x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f; }
inline int __float2int_rn(float x) { return int(nearbyintf(x)); }
inline int __float2int_rd(float x) { return int(floorf(x)); }
inline float __int2float_rn(int x) { return float(x); }

inline unsigned __float_as_uint(float x) { return emulator::float_bits(x); }
inline int __float_as_int(float x) { return int(emulator::float_bits(x)); }
inline float __uint_as_float(unsigned x) { return emulator::bits_float(x); }
inline float __int_as_float(int x) { return emulator::bits_float(unsigned(x)); }

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline int __clz(int x) { return x ? __builtin_clz(unsigned(x)) : 32; }
inline int __clzll(long long x) { return x ? __builtin_clzll((unsigned long long)(x)) : 64; }

template <class T>
T __ldg(const T *from) {
    return *from;
}

inline void __threadfence() {}
inline void __threadfence_block() {}
[[noreturn]] inline void __trap() { emulator::fail("__trap"); }

// Threads change places only at barriers, so loading and storing is an atomic change. Both are atomic themselves so that a race
// with a plain access is one.
namespace emulator {
template <class T, class Change>
T atomic(T *address, Change &&change) {
    T old;
    __atomic_load(address, &old, __ATOMIC_RELAXED);
    T changed = change(old);
    __atomic_store(address, &changed, __ATOMIC_RELAXED);
    return old;
}
}  // namespace emulator

inline int atomicAdd(int *address, int value) {
    return emulator::atomic(address, [=](int old) { return int(unsigned(old) + unsigned(value)); });
}
inline unsigned atomicAdd(unsigned *address, unsigned value) {
    return emulator::atomic(address, [=](unsigned old) { return old + value; });
}
inline unsigned long long atomicAdd(unsigned long long *address, unsigned long long value) {
    return emulator::atomic(address, [=](unsigned long long old) { return old + value; });
}
inline float atomicAdd(float *address, float value) {
    return emulator::atomic(address, [=](float old) { return old + value; });
}
inline int atomicMax(int *address, int value) {
    return emulator::atomic(address, [=](int old) { return old > value ? old : value; });
}
inline unsigned atomicMax(unsigned *address, unsigned value) {
    return emulator::atomic(address, [=](unsigned old) { return old > value ? old : value; });
}
inline int atomicMin(int *address, int value) {
    return emulator::atomic(address, [=](int old) { return old < value ? old : value; });
}
inline unsigned atomicMin(unsigned *address, unsigned value) {
    return emulator::atomic(address, [=](unsigned old) { return old < value ? old : value; });
}
inline unsigned atomicOr(unsigned *address, unsigned value) {
    return emulator::atomic(address, [=](unsigned old) { return old | value; });
}
template <class T>
T atomicExch(T *address, T value) {
    return emulator::atomic(address, [=](T) { return value; });
}
template <class T>
T atomicCAS(T *address, T compare, T value) {
    return emulator::atomic(address, [=](T old) { return old == compare ? value : old; });
}
