// What TensorRT has to know of an operator. Each one is a file of its own; plugin.cpp and creator.cpp are the same for all.
#pragma once

#include <NvInferRuntime.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "attributes.h"
#include "tensors.h"
#include "tmoe_kernels.h"

namespace tmoe::tensorrt {

// Which element types a tensor may have: one of float32, float16 and bfloat16; one type; or that of an input before it.
struct TypeRule {
    enum Kind { AnyFloat, Exactly, As } kind;
    nvinfer1::DataType type;
    std::int32_t input;

    static constexpr TypeRule any_float() { return {AnyFloat, nvinfer1::DataType::kFLOAT, 0}; }
    static constexpr TypeRule exactly(nvinfer1::DataType type) { return {Exactly, type, 0}; }
    static constexpr TypeRule as(std::int32_t input) { return {As, nvinfer1::DataType::kFLOAT, input}; }
};

// Whether a node has an input. Of several that are optional, the first ones are given.
enum class Presence { Required, Optional, Never };

struct Port {
    const char *name;
    TypeRule rule;
    const char *layout;              // in messages
    std::int32_t rank;               // or kAnyRank: 1 or more
    Presence presence = Presence::Required;

    static constexpr std::int32_t kAnyRank = 0;
    bool takes_rank(std::int32_t axes) const {
        return axes <= nvinfer1::Dims::MAX_DIMS && (rank == kAnyRank ? axes >= 1 : axes == rank);
    }
};

class Operator;

struct OperatorSpec {
    const char *name;
    std::vector<AttributeSpec> attributes;
    std::vector<Port> inputs, outputs;
    // Throws a Refusal where an attribute has no such value.
    std::unique_ptr<Operator> (*make)(const Attributes &attributes);
};

// A node's attributes, and what is done with its tensors. All that throws, throws a Refusal. Inputs are told by their numbers in the
// operator; pointers to those that are left out are null.
class Operator {
public:
    virtual ~Operator() = default;
    virtual std::unique_ptr<Operator> clone() const = 0;

    // The input whose memory the output shares, or -1.
    virtual std::int32_t aliased_input(std::int32_t) const { return -1; }

    // Sizes of outputs as expressions of the inputs'. Types and ranks of inputs are checked before this and the following.
    virtual void output_shapes(const nvinfer1::DimsExprs *const *inputs, nvinfer1::DimsExprs *outputs, nvinfer1::IExprBuilder &builder) const = 0;

    // Throws where sizes do not fit together. `bounds`: they are upper bounds, where a cache and a mask need not.
    virtual void check(const Tensors &inputs, bool bounds) const = 0;

    // Bytes that suffice for problems of these sizes and for all smaller ones.
    virtual std::size_t largest_workspace(const Tensors &inputs) const = 0;

    virtual tmoe_status launch(const Tensors &inputs, const void *const *input, void *const *output, void *workspace, tmoe_stream stream) const = 0;
};

const OperatorSpec &sparse_moe_spec();
const OperatorSpec &flash_attention_spec();
const OperatorSpec &linear_spec();
const OperatorSpec &add_rms_norm_spec();

// The largest value of `bytes` for 1 to `rows` rows. A kernel that divides its work where there is little needs more memory for few
// rows than for some more; beyond this many rows memory only grows.
template <class Bytes>
std::size_t largest_of_rows(std::int64_t rows, Bytes bytes) {
    constexpr std::int64_t kManyRows = 65536;
    std::size_t largest = rows > 0 ? bytes(rows) : 0;
    for (std::int64_t fewer = 1; fewer < rows && fewer <= kManyRows; ++fewer) {
        const std::size_t needed = bytes(fewer);
        if (needed > largest) largest = needed;
    }
    return largest;
}

}  // namespace tmoe::tensorrt
