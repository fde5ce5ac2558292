// float16 and bfloat16 as bits, rounded to nearest even.
#pragma once

#include <cstdint>
#include <cstring>

namespace emulator {

inline std::uint32_t float_bits(float value) {
    std::uint32_t bits;
    std::memcpy(&bits, &value, 4);
    return bits;
}

inline float bits_float(std::uint32_t bits) {
    float value;
    std::memcpy(&value, &bits, 4);
    return value;
}

inline std::uint16_t bfloat16_from_float(float value) {
    const std::uint32_t bits = float_bits(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fff;
    return std::uint16_t((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

inline float float_from_bfloat16(std::uint16_t bits) { return bits_float(std::uint32_t(bits) << 16); }

inline std::uint16_t float16_from_float(float value) {
    const std::uint32_t bits = float_bits(value);
    const std::uint16_t sign = std::uint16_t(bits >> 16 & 0x8000);
    const std::uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return 0x7fff;
    // 65520 and more round to infinity.
    if (magnitude >= 0x477ff000u) return std::uint16_t(sign | 0x7c00);
    const int exponent = int(magnitude >> 23) - 127;
    std::uint32_t mantissa = (magnitude & 0x7fffffu) | 0x800000u;
    int shift = 13;
    std::uint32_t base = std::uint32_t(exponent + 14) << 10;
    if (exponent < -14) {
        if (exponent < -25) return sign;
        shift = -1 - exponent;
        base = 0;
    }
    const std::uint32_t half = 1u << (shift - 1), rest = mantissa & ((1u << shift) - 1);
    mantissa >>= shift;
    if (rest > half || (rest == half && (mantissa & 1))) ++mantissa;
    // The mantissa's leading one, and a carry, add to the exponent.
    return std::uint16_t(sign | (base + mantissa));
}

inline float float_from_float16(std::uint16_t bits) {
    const std::uint32_t sign = std::uint32_t(bits & 0x8000) << 16;
    const std::uint32_t exponent = bits >> 10 & 31, mantissa = bits & 1023;
    if (exponent == 31) return bits_float(sign | 0x7f800000u | mantissa << 13);
    if (exponent == 0) {
        const float magnitude = float(mantissa) * 0x1p-24f;
        return sign ? -magnitude : magnitude;
    }
    return bits_float(sign | (exponent + 112) << 23 | mantissa << 13);
}

}  // namespace emulator
