// Experts for up to eight tokens.
#pragma once

#include <cstddef>

#include "common/device.cuh"
#include "tmoe_kernels.h"

namespace tmoe {

constexpr int kFewTokens = 8;

std::size_t few_tokens_workspace(const tmoe_moe_shape &shape);
tmoe_status few_tokens_moe(const tmoe_moe_shape &shape, const void *x, const float *router_logits, const void *gate_up,
                           const void *down, const void *addend, void *y, void *workspace, const Device &device, tmoe_stream stream);

}  // namespace tmoe
