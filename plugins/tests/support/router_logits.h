// Router logits as they come, and as they should never come.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "support/random.h"

namespace tmoe::test {

enum class Logits { Ordinary, Equal, Awkward, NoExpert, Infinite, WithNan, NanOnly };

constexpr Logits kAllLogits[] = {Logits::Ordinary, Logits::Equal,   Logits::Awkward, Logits::NoExpert,
                                 Logits::Infinite, Logits::WithNan, Logits::NanOnly};

inline const char *logits_name(Logits kind) {
    switch (kind) {
        case Logits::Ordinary: return "ordinary";
        case Logits::Equal: return "equal";
        case Logits::Awkward: return "awkward";
        case Logits::NoExpert: return "minus infinity";
        case Logits::Infinite: return "infinite";
        case Logits::WithNan: return "NaN among them";
        default: return "NaN only";
    }
}

// One token's logits of the kind; of Awkward ones every value is of another kind.
inline float random_logit(Random &random, Logits kind) {
    switch (kind) {
        case Logits::Ordinary: return float(2.0 * random.normal());
        case Logits::Equal: return 0.5f;
        case Logits::NoExpert: return -INFINITY;
        case Logits::Infinite: return random.below(3) == 0 ? INFINITY : float(random.normal());
        case Logits::WithNan: return random.below(3) == 0 ? NAN : random.below(3) == 0 ? -INFINITY : float(random.normal());
        case Logits::NanOnly: return NAN;
        default: break;
    }
    const float values[] = {-INFINITY, 1e-40f, 0.0f, -0.0f, -1e30f, 1.0f, 1.0f, 0.0f};
    const std::int64_t which = random.below(16);
    return which < 8 ? values[which] : float(4.0 * random.normal());
}

// Tokens of one kind, or of all kinds in turn.
inline std::vector<float> router_logits(Random &random, std::int64_t tokens, int experts, Logits kind) {
    std::vector<float> logits;
    for (std::int64_t i = 0; i < tokens * experts; ++i) logits.push_back(random_logit(random, kind));
    return logits;
}
inline std::vector<float> mixed_router_logits(Random &random, std::int64_t tokens, int experts) {
    std::vector<float> logits;
    for (std::int64_t token = 0; token < tokens; ++token) {
        const Logits kind = kAllLogits[token % std::int64_t(sizeof kAllLogits / sizeof *kAllLogits)];
        for (int e = 0; e < experts; ++e) logits.push_back(random_logit(random, kind));
    }
    return logits;
}

}  // namespace tmoe::test
