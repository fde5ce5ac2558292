// Values of the element types that the kernels know, chosen at run time.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "support/device_buffer.h"
#include "tmoe_kernels.h"

namespace tmoe::test {

inline double to_double(__half value) { return double(__half2float(value)); }
inline double to_double(__nv_bfloat16 value) { return double(__bfloat162float(value)); }
template <class T>
double to_double(T value) {
    return double(value);
}

template <class T>
std::vector<double> doubles(const std::vector<T> &values) {
    std::vector<double> result;
    result.reserve(values.size());
    for (const T &value : values) result.push_back(to_double(value));
    return result;
}

inline const char *type_name(tmoe_type type) {
    return type == TMOE_FLOAT32 ? "float32" : type == TMOE_FLOAT16 ? "float16" : "bfloat16";
}

inline std::size_t type_bytes(tmoe_type type) { return type == TMOE_FLOAT32 ? 4 : 2; }

// Half the distance of 1 to its next neighbour: the largest relative error of one rounding.
inline double unit_roundoff(tmoe_type type) { return type == TMOE_FLOAT32 ? 0x1p-24 : type == TMOE_FLOAT16 ? 0x1p-11 : 0x1p-8; }

// The nearest value of the type.
inline float rounded(tmoe_type type, float value) {
    switch (type) {
        case TMOE_FLOAT16: return __half2float(__float2half_rn(value));
        case TMOE_BFLOAT16: return __bfloat162float(__float2bfloat16_rn(value));
        default: return value;
    }
}

// What a kernel reads when `values` are given in the type: what a reference should compute with.
inline std::vector<float> rounded(tmoe_type type, std::vector<float> values) {
    for (float &value : values) value = rounded(type, value);
    return values;
}

// Device memory of a type chosen at run time, read and written as floats.
class TypedBuffer {
public:
    TypedBuffer() = default;
    // All bits ones: NaN.
    TypedBuffer(tmoe_type type, std::size_t size) : type_(type), size_(size), bytes_(size * type_bytes(type)) {}
    // Rounded to the type.
    TypedBuffer(tmoe_type type, const std::vector<float> &values) : TypedBuffer(type, values.size()) { upload(values); }

    void *data() const { return bytes_.data(); }
    tmoe_type type() const { return type_; }
    std::size_t size() const { return size_; }

    void upload(const std::vector<float> &values) {
        std::vector<unsigned char> bytes(bytes_.size());
        for (std::size_t i = 0; i < values.size(); ++i) {
            if (type_ == TMOE_FLOAT32) {
                std::memcpy(&bytes[4 * i], &values[i], 4);
            } else {
                const std::uint16_t bits = type_ == TMOE_FLOAT16 ? __half_as_ushort(__float2half_rn(values[i]))
                                                                 : __bfloat16_as_ushort(__float2bfloat16_rn(values[i]));
                std::memcpy(&bytes[2 * i], &bits, 2);
            }
        }
        bytes_.upload(bytes);
    }
    std::vector<float> download() const {
        const std::vector<unsigned char> bytes = bytes_.download();
        std::vector<float> values(size_);
        for (std::size_t i = 0; i < size_; ++i) {
            if (type_ == TMOE_FLOAT32) {
                std::memcpy(&values[i], &bytes[4 * i], 4);
            } else {
                std::uint16_t bits;
                std::memcpy(&bits, &bytes[2 * i], 2);
                values[i] = type_ == TMOE_FLOAT16 ? __half2float(__ushort_as_half(bits)) : __bfloat162float(__ushort_as_bfloat16(bits));
            }
        }
        return values;
    }

private:
    tmoe_type type_ = TMOE_FLOAT32;
    std::size_t size_ = 0;
    DeviceBuffer<unsigned char> bytes_;
};

}  // namespace tmoe::test
