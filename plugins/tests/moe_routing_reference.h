// Routing in float64, one token after another.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "tmoe_kernels.h"

namespace tmoe::test {

struct Slot {
    int expert;       // -1 where the weight is zero in float32
    double weight;
};

// The slots of one token, in order. A rank goes to what a scan over the experts that are left finds: the first of them, until
// something larger comes.
inline std::vector<Slot> choose_slots(const float *logits, int experts, int top_k, std::int32_t scoring, bool normalize) {
    double largest = -INFINITY, total = 0.0;
    for (int e = 0; e < experts; ++e) largest = logits[e] > largest ? double(logits[e]) : largest;
    const auto exponential = [&](double logit) { return logit == largest ? 1.0 : std::exp(logit - largest); };
    for (int e = 0; e < experts; ++e) total += exponential(logits[e]);

    std::vector<bool> taken(std::size_t(experts), false);
    std::vector<Slot> slots;
    double chosen = 0.0;
    for (int rank = 0; rank < top_k; ++rank) {
        int best = -1;
        for (int e = 0; e < experts; ++e)
            if (!taken[std::size_t(e)] && (best < 0 || logits[e] > logits[best])) best = e;
        taken[std::size_t(best)] = true;
        double weight = logits[best] == -INFINITY ? 0.0 : exponential(logits[best]) / total;
        if (scoring == TMOE_SIGMOID) weight = 1.0 / (1.0 + std::exp(-double(logits[best])));
        slots.push_back({best, weight});
        chosen += weight;
    }
    for (Slot &slot : slots) {
        if (normalize && chosen != 0.0) slot.weight /= chosen;
        if (float(slot.weight) == 0.0f) slot.expert = -1;
    }
    return slots;
}

struct Routes {
    std::vector<std::int32_t> expert_offsets, row_token, slot_row;
    std::vector<double> row_weight;
};

inline Routes route_tokens(const std::vector<float> &logits, const tmoe_routing_shape &shape) {
    const int experts = shape.experts, top_k = shape.top_k;
    std::vector<Slot> slots;
    for (std::int64_t token = 0; token < shape.tokens; ++token)
        for (const Slot &slot : choose_slots(&logits[std::size_t(token * experts)], experts, top_k, shape.scoring, shape.normalize_top_k != 0))
            slots.push_back(slot);

    Routes routes;
    routes.slot_row.assign(slots.size(), -1);
    for (int expert = 0; expert < experts; ++expert) {
        routes.expert_offsets.push_back(std::int32_t(routes.row_token.size()));
        for (std::size_t i = 0; i < slots.size(); ++i) {
            if (slots[i].expert != expert) continue;
            routes.slot_row[i] = std::int32_t(routes.row_token.size());
            routes.row_token.push_back(std::int32_t(i / std::size_t(top_k)));
            routes.row_weight.push_back(slots[i].weight);
        }
    }
    routes.expert_offsets.push_back(std::int32_t(routes.row_token.size()));
    return routes;
}

}  // namespace tmoe::test
