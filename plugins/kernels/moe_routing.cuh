// Routing as the other kernels use it: the choice of one token's experts, and the launch with what goes along with it.
#pragma once

#include <cstdint>

#include "common/gemm_activation.cuh"
#include "common/gemm_types.cuh"
#include "common/warp.cuh"
#include "tmoe_kernels.h"

namespace tmoe {

constexpr int kMaxExperts = 256;

constexpr bool is_valid_routing(const tmoe_routing_shape &shape) {
    return shape.tokens >= 0 && shape.experts >= 1 && shape.experts <= kMaxExperts && shape.top_k >= 1 && shape.top_k <= shape.experts &&
           (shape.scoring == TMOE_SOFTMAX || shape.scoring == TMOE_SIGMOID);
}

// Slots are counted in int32, and the last warp looks a few tokens further.
constexpr bool is_supported_routing(const tmoe_routing_shape &shape) { return shape.tokens <= INT32_MAX / shape.top_k - 2 * kWarpSize; }

// How many neighbouring logits of a token one lane holds.
constexpr int kLaneExperts = 8;

// How many lanes work on one token: a power of two, at most 32.
__host__ __device__ constexpr int lanes_per_token(int experts) {
    int lanes = 1;
    while (lanes * kLaneExperts < experts) lanes *= 2;
    return lanes;
}

// Chooses the experts of as many tokens as the warp has groups of `lanes` lanes. `logits` are the own group's token's, null for
// a group without one. Calls `emit(rank, expert, weight)` for every rank, in one of the group's lanes.
//
// A rank goes to the largest logit that is left, the lowest expert among equals. Where NaN is among them the rule is that of a
// scan for something larger: a NaN is taken if it is the first one left, and is passed over otherwise.
template <class Emit>
__device__ __forceinline__ void choose_experts(const float *logits, int experts, int top_k, std::int32_t scoring, bool normalize, int lanes,
                                               Emit emit) {
    const float kNone = -INFINITY;
    const int first = (lane_id() & (lanes - 1)) * kLaneExperts;

    float own[kLaneExperts];
    unsigned left = 0;
    if (logits != nullptr) {
        if (experts % kLaneExperts == 0 && first < experts) {
            load_floats_of(TMOE_FLOAT32, logits, first, own);
            left = (1u << kLaneExperts) - 1;
        } else {
#pragma unroll
            for (int i = 0; i < kLaneExperts; ++i)
                if (first + i < experts) {
                    own[i] = logits[first + i];
                    left |= 1u << i;
                }
        }
    }

    float largest = kNone;
    bool odd = false;
#pragma unroll
    for (int i = 0; i < kLaneExperts; ++i) {
        if (!(left >> i & 1)) own[i] = kNone;
        largest = fmaxf(largest, own[i]);
        odd |= own[i] != own[i];
    }
    for (int offset = lanes / 2; offset > 0; offset /= 2) largest = fmaxf(largest, shuffle_xor(largest, offset));
    const bool any_odd = warp_ballot(odd) != 0;

    // Infinity minus infinity is no number, but an infinite logit is as good as the other infinite ones.
    const auto exponential = [&](float logit) { return logit == largest ? 1.0f : expf(logit - largest); };
    float total = 0.0f;
#pragma unroll
    for (int i = 0; i < kLaneExperts; ++i)
        if (left >> i & 1) total += exponential(own[i]);
    for (int offset = lanes / 2; offset > 0; offset /= 2) total += shuffle_xor(total, offset);
    const auto weight_of = [&](float logit) {
        if (scoring == TMOE_SIGMOID) return sigmoid(logit);
        return logit == kNone ? 0.0f : exponential(logit) / total;
    };

    int ranks[kLaneExperts];
#pragma unroll
    for (int i = 0; i < kLaneExperts; ++i) ranks[i] = -1;
    float chosen = 0.0f;
    for (int rank = 0; rank < top_k; ++rank) {
        float best = kNone;
        int best_expert = kMaxExperts;
#pragma unroll
        for (int i = 0; i < kLaneExperts; ++i)
            if ((left >> i & 1) && (own[i] > best || (own[i] == best && best_expert == kMaxExperts))) {
                best = own[i];
                best_expert = first + i;
            }
        for (int offset = lanes / 2; offset > 0; offset /= 2) {
            const float other = shuffle_xor(best, offset);
            const int other_expert = shuffle_xor(best_expert, offset);
            if (other > best || (other == best && other_expert < best_expert)) {
                best = other;
                best_expert = other_expert;
            }
        }
        if (any_odd) {
            int lowest = 2 * kMaxExperts;
#pragma unroll
            for (int i = kLaneExperts - 1; i >= 0; --i)
                if (left >> i & 1) lowest = 2 * (first + i) + (own[i] != own[i]);
            for (int offset = lanes / 2; offset > 0; offset /= 2) lowest = min(lowest, shuffle_xor(lowest, offset));
            if (lowest & 1) {
                best = NAN;
                best_expert = lowest / 2;
            }
        }
        if (normalize) chosen += weight_of(best);
#pragma unroll
        for (int i = 0; i < kLaneExperts; ++i)
            if (best_expert == first + i) {
                ranks[i] = rank;
                left &= ~(1u << i);
            }
    }
#pragma unroll
    for (int i = 0; i < kLaneExperts; ++i)
        if (ranks[i] >= 0) {
            float weight = weight_of(own[i]);
            if (normalize && chosen != 0.0f) weight /= chosen;
            emit(ranks[i], first + i, weight);
        }
}

// What else a launch of the routing does. Rows have `unused_row_bytes`, a multiple of 16.
struct RoutingErrands {
    Conversion conversion;     // blocks of their own convert
    void *unused_rows;         // [tokens]: those of tokens that no expert works for are overwritten; may be null
    const void *unused_from;   // [tokens]: by these; null: by zeros
    std::int64_t unused_row_bytes;
};

tmoe_status route(const tmoe_routing_shape &shape, const float *router_logits, std::int32_t *expert_offsets, std::int32_t *row_token,
                  float *row_weight, std::int32_t *slot_row, void *workspace, const RoutingErrands &errands, tmoe_stream stream);

}  // namespace tmoe
