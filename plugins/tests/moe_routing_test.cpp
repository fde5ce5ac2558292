// Routing against routing in float64.
//
// On the emulator, from plugins/:
//   g++ -std=c++17 -O2 -I tests/emulator -I tests -I kernels -o moe_routing_test -x c++ tests/moe_routing_test.cpp
//       kernels/moe_routing.cu kernels/status.cu tests/emulator/emulator/*.cpp tests/support/*.cpp
// On a GPU: nvcc -std=c++17 -O3 -arch=native -I tests -I kernels -x cu, and the same files without the emulator's.
#include "moe_routing_reference.h"

#include <string>

#include "support/router_logits.h"
#include "support/test.h"

namespace tmoe::test {
namespace {

void expect_routes(Run &run, const tmoe_routing_shape &shape, const std::vector<float> &logits) {
    const std::size_t slots = std::size_t(shape.tokens * shape.top_k);
    const DeviceBuffer<float> device_logits(logits), row_weight(slots);
    const DeviceBuffer<std::int32_t> offsets(std::size_t(shape.experts) + 1), row_token(slots), slot_row(slots);
    const DeviceBuffer<unsigned char> workspace(tmoe_moe_routing_workspace(&shape));
    const auto launch = [&](std::size_t workspace_bytes) {
        return tmoe_moe_routing(&shape, device_logits.data(), offsets.data(), row_token.data(), row_weight.data(), slot_row.data(),
                                workspace.data(), workspace_bytes, nullptr);
    };
    if (shape.tokens > 0) run.expect_status("too small a workspace", launch(workspace.size() - 1), TMOE_WORKSPACE_TOO_SMALL);
    if (!run.expect_ok("tmoe_moe_routing", launch(workspace.size())) || shape.tokens == 0) return;

    const Routes expected = route_tokens(logits, shape);
    if (!run.expect_equal("expert_offsets", offsets.download(), expected.expert_offsets)) return;
    const std::size_t rows = expected.row_token.size();
    std::vector<std::int32_t> tokens = row_token.download();
    std::vector<float> weights = row_weight.download();
    for (std::size_t i = rows; i < slots; ++i)
        run.expect(tokens[i] == -1 && std::isnan(weights[i]), "row %zu of %zu was written", i, rows);
    tokens.resize(rows);
    weights.resize(rows);
    run.expect_equal("row_token", tokens, expected.row_token);
    run.expect_equal("slot_row", slot_row.download(), expected.slot_row);
    for (std::size_t i = 0; i < rows; ++i) {
        const double found = weights[i], wanted = expected.row_weight[i];
        const bool near = std::isnan(wanted) ? std::isnan(found) : std::fabs(found - wanted) <= 1e-5 * wanted + 2e-45;
        if (!run.expect(near, "row_weight[%zu] is %.9g, expected %.9g", i, found, wanted)) return;
    }
}

TMOE_CASES(cases) {
    for (const int experts : {1, 2, 3, 8, 9, 16, 60, 64, 100, 256})
        for (const Logits kind : kAllLogits)
            cases.add("one block, " + std::to_string(experts) + " experts, " + logits_name(kind), 0, [=](Run &run) {
                for (int repeat = 0; repeat < 4; ++repeat) {
                    const int tokens = int(run.random.below(repeat == 0 ? 4 : 64)) + 1;
                    const int top_k = repeat == 1 ? experts : int(run.random.below(experts < 6 ? experts : 6)) + 1;
                    const tmoe_routing_shape shape = {tokens, experts, top_k, std::int32_t(run.random.below(2)),
                                                      std::int32_t(run.random.below(2))};
                    expect_routes(run, shape, router_logits(run.random, tokens, experts, kind));
                }
            });
    // Tokens beyond what one block takes, and ones that fill 128 blocks unevenly.
    for (const auto &[experts, tokens] : {std::pair{8, 2049}, {8, 2800}, {3, 3000}, {20, 700}, {64, 400}, {256, 300}})
        for (const int top_k : {1, 2})
            cases.add("many blocks, " + std::to_string(tokens) + " tokens, top " + std::to_string(top_k) + " of " + std::to_string(experts), 0,
                      [=](Run &run) {
                          const tmoe_routing_shape shape = {tokens, experts, top_k, top_k == 2, experts % 3 == 0};
                          expect_routes(run, shape, mixed_router_logits(run.random, tokens, experts));
                      });
    cases.add("all 128 blocks, 33000 tokens", 0, [](Run &run) {
        expect_routes(run, {33000, 4, 2, 0, TMOE_SOFTMAX}, router_logits(run.random, 33000, 4, Logits::Ordinary));
    });
}

TMOE_CASE("a full block of 2048 tokens, and none") {
    expect_routes(run, {2048, 8, 2, 0, TMOE_SIGMOID}, mixed_router_logits(run.random, 2048, 8));
    expect_routes(run, {0, 8, 2, 0, TMOE_SOFTMAX}, {});
}

TMOE_CASE("everybody may go to one expert") {
    std::vector<float> logits;
    for (int token = 0; token < 500; ++token)
        for (int expert = 0; expert < 8; ++expert) logits.push_back(expert == 5 ? 3.0f : -INFINITY);
    expect_routes(run, {500, 8, 2, 1, TMOE_SOFTMAX}, logits);
}

TMOE_CASE("sizes that make no sense are refused") {
    const DeviceBuffer<float> floats(64);
    const DeviceBuffer<std::int32_t> ints(64);
    const auto status = [&](tmoe_routing_shape shape) {
        return tmoe_moe_routing(&shape, floats.data(), ints.data(), ints.data(), floats.data(), ints.data(), floats.data(), 1 << 30, nullptr);
    };
    for (const tmoe_routing_shape shape : {tmoe_routing_shape{-1, 8, 2, 0, 0}, {1, 0, 0, 0, 0}, {1, 257, 1, 0, 0}, {1, 8, 9, 0, 0}, {1, 8, 0, 0, 0}, {1, 8, 2, 0, 2}}) {
        run.expect_status("a size", status(shape), TMOE_INVALID_ARGUMENT);
        run.expect(tmoe_moe_routing_workspace(&shape) == 0, "a workspace for %lld tokens, top %d of %d", (long long)shape.tokens, shape.top_k,
                   shape.experts);
    }
    run.expect_status("too many slots", status({INT32_MAX / 2, 8, 2, 0, TMOE_SOFTMAX}), TMOE_UNSUPPORTED);
    const tmoe_routing_shape shape = {1, 8, 2, 0, TMOE_SOFTMAX};
    run.expect_status("null", tmoe_moe_routing(&shape, nullptr, ints.data(), ints.data(), floats.data(), ints.data(), floats.data(), 1 << 30, nullptr),
                      TMOE_INVALID_ARGUMENT);
    run.expect_status("null", tmoe_moe_routing(nullptr, floats.data(), ints.data(), ints.data(), floats.data(), ints.data(), floats.data(), 1 << 30, nullptr),
                      TMOE_INVALID_ARGUMENT);
}

}  // namespace
}  // namespace tmoe::test
