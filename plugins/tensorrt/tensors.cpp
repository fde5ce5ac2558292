#include "tensors.h"

#include <algorithm>

#include "log.h"

namespace tmoe::tensorrt {

using nvinfer1::DataType;

bool is_float(DataType type) { return type == DataType::kFLOAT || type == DataType::kHALF || type == DataType::kBF16; }

tmoe_type float_type(DataType type) {
    return type == DataType::kFLOAT ? TMOE_FLOAT32 : type == DataType::kHALF ? TMOE_FLOAT16 : TMOE_BFLOAT16;
}

const char *type_name(DataType type) {
    switch (type) {
        case DataType::kFLOAT: return "float32";
        case DataType::kHALF: return "float16";
        case DataType::kBF16: return "bfloat16";
        case DataType::kINT8: return "int8";
        case DataType::kINT32: return "int32";
        case DataType::kINT64: return "int64";
        case DataType::kBOOL: return "bool";
        default: return "of another type";
    }
}

std::int64_t Tensors::rows(std::int32_t tensor) const {
    const nvinfer1::Dims &dims = (*this)[tensor].dims;
    std::int64_t rows = 1;
    for (std::int32_t axis = 0; axis + 1 < dims.nbDims; ++axis)
        require(!__builtin_mul_overflow(rows, dims.d[axis], &rows), tensor, "fewer rows");
    return rows;
}

bool Tensors::same_shape(std::int32_t tensor, std::int32_t other) const {
    const nvinfer1::Dims &a = (*this)[tensor].dims, &b = (*this)[other].dims;
    return a.nbDims == b.nbDims && std::equal(a.d, a.d + a.nbDims, b.d);
}

void Tensors::refuse(std::int32_t tensor, const std::string &expected) const {
    const nvinfer1::Dims &dims = (*this)[tensor].dims;
    std::string found;
    for (std::int32_t axis = 0; axis < dims.nbDims && axis < nvinfer1::Dims::MAX_DIMS; ++axis)
        found += (axis > 0 ? ", " : "") + std::to_string(dims.d[axis]);
    throw Refusal(std::string(names_[tensor]) + " is " + type_name((*this)[tensor].type) + " [" + found + "], expected " + expected);
}

std::int32_t narrow(const Tensors &tensors, std::int32_t tensor, std::int64_t size) {
    tensors.require(size <= INT32_MAX, tensor, "sizes below 2^31");
    return std::int32_t(size);
}

}  // namespace tmoe::tensorrt
