// Which of an operator's inputs the inputs of a node are: some may be left out.
//
// TensorRT's ONNX parser hands a null tensor to the network for an input that a node names "" (since TensorRT 10.0). What plugins then
// see is not documented, so both ways are read: only the inputs that are given, in their order, or all of them, those that are left out
// with the rank -1, TensorRT's mark for dimensions that there are not. Inputs can be told apart by their number alone because what is
// left out is always the last of the optional ones.
#pragma once

#include <cstdint>

#include "operator.h"

namespace tmoe::tensorrt {

// Throws a Refusal unless `count` inputs can be the operator's. Bit i of `absent`: the node's input i is one that is left out.
Places find_places(const OperatorSpec &spec, std::int32_t count, std::uint32_t absent);
}  // namespace tmoe::tensorrt
