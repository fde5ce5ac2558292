// __half and its conversions, with the names of CUDA's file of the same name.
#pragma once

#include "emulator/round16.h"
#include "emulator/vector_types.h"

struct __half {
    unsigned short bits;
};
struct alignas(4) __half2 {
    __half x, y;
};
using half = __half;
using half2 = __half2;

inline float __half2float(__half value) { return emulator::float_from_float16(value.bits); }
inline __half __float2half_rn(float value) { return {emulator::float16_from_float(value)}; }
inline __half __float2half(float value) { return __float2half_rn(value); }
inline __half __ushort_as_half(unsigned short bits) { return {bits}; }
inline unsigned short __half_as_ushort(__half value) { return value.bits; }
inline __half2 __halves2half2(__half x, __half y) { return {x, y}; }
inline __half2 __floats2half2_rn(float x, float y) { return {__float2half_rn(x), __float2half_rn(y)}; }
inline float2 __half22float2(__half2 value) { return {__half2float(value.x), __half2float(value.y)}; }
