// Types and shapes of a node's tensors.
#pragma once

#include <NvInferRuntime.h>

#include <cstdint>
#include <string>

#include "tmoe_kernels.h"

namespace tmoe::tensorrt {

bool is_float(nvinfer1::DataType type);
// Of a type that is_float.
tmoe_type float_type(nvinfer1::DataType type);
const char *type_name(nvinfer1::DataType type);

// Named tensors in their order, and what is expected of them.
class Tensors {
public:
    Tensors(const nvinfer1::PluginTensorDesc *descs, const char *const *names, std::int32_t count) : descs_(descs), names_(names), count_(count) {}

    std::int32_t count() const { return count_; }
    const nvinfer1::PluginTensorDesc &operator[](std::int32_t index) const { return descs_[index]; }
    std::int64_t size(std::int32_t tensor, std::int32_t axis) const { return descs_[tensor].dims.d[axis]; }
    std::int64_t last(std::int32_t tensor) const { return descs_[tensor].dims.d[descs_[tensor].dims.nbDims - 1]; }
    // The product of all sizes but the last.
    std::int64_t rows(std::int32_t tensor) const;

    // A Refusal that says what the tensor is, unless `holds`.
    void require(bool holds, std::int32_t tensor, const std::string &expected) const {
        if (!holds) refuse(tensor, expected);
    }

private:
    [[noreturn]] void refuse(std::int32_t tensor, const std::string &expected) const;

    const nvinfer1::PluginTensorDesc *descs_;
    const char *const *names_;
    std::int32_t count_;
};

// A size that the kernels count in 32 bits.
std::int32_t narrow(const Tensors &tensors, std::int32_t tensor, std::int64_t size);

}  // namespace tmoe::tensorrt
