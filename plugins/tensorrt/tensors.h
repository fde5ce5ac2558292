// Types and shapes of a node's tensors.
#pragma once

#include <NvInferRuntime.h>

#include <array>
#include <cstdint>
#include <string>

#include "tmoe_kernels.h"

namespace tmoe::tensorrt {

bool is_float(nvinfer1::DataType type);
// Of a type that is_float.
tmoe_type float_type(nvinfer1::DataType type);
const char *type_name(nvinfer1::DataType type);

// Of any operator.
constexpr std::size_t kMaxInputs = 8;

// Where each of an operator's inputs is among those of a node.
using Places = std::array<std::int32_t, kMaxInputs>;
constexpr std::int32_t kLeftOut = -1;

// Inputs by their numbers in the operator, and what is expected of them.
class Tensors {
public:
    // `descs` are those of the node, `names` the operator's.
    Tensors(const nvinfer1::PluginTensorDesc *descs, const Places &places, const char *const *names) : descs_(descs), places_(places), names_(names) {}

    const Places &places() const { return places_; }
    bool has(std::int32_t tensor) const { return places_[std::size_t(tensor)] != kLeftOut; }
    const nvinfer1::PluginTensorDesc &operator[](std::int32_t tensor) const { return descs_[places_[std::size_t(tensor)]]; }
    std::int64_t size(std::int32_t tensor, std::int32_t axis) const { return (*this)[tensor].dims.d[axis]; }
    std::int64_t last(std::int32_t tensor) const { return (*this)[tensor].dims.d[(*this)[tensor].dims.nbDims - 1]; }
    bool same_shape(std::int32_t tensor, std::int32_t other) const;
    // The product of all sizes but the last.
    std::int64_t rows(std::int32_t tensor) const;

    // A Refusal that says what the tensor is, unless `holds`.
    void require(bool holds, std::int32_t tensor, const std::string &expected) const {
        if (!holds) refuse(tensor, expected);
    }

private:
    [[noreturn]] void refuse(std::int32_t tensor, const std::string &expected) const;

    const nvinfer1::PluginTensorDesc *descs_;
    Places places_;
    const char *const *names_;
};

// A size that the kernels count in 32 bits.
std::int32_t narrow(const Tensors &tensors, std::int32_t tensor, std::int64_t size);

}  // namespace tmoe::tensorrt
