// How exact a product has to be, by what it computes with.
#pragma once

#include <cstdint>

#include "support/test.h"

namespace tmoe::test {

inline Tolerance product_tolerance(std::int32_t type, bool tf32 = false) {
    if (type == TMOE_FLOAT32) return {tf32 ? 1e-3 : 1e-5};
    return {type == TMOE_FLOAT16 ? 2e-3 : 1e-2};
}

}  // namespace tmoe::test
