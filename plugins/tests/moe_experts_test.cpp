// Mixtures of experts against float64.
//
// On the emulator, from plugins/:
//   g++ -std=c++17 -O2 -I tests/emulator -I tests -I kernels -o moe_experts_test -x c++ tests/moe_experts_test.cpp
//       kernels/moe_*.cu kernels/grouped_product*.cu kernels/status.cu tests/emulator/emulator/*.cpp tests/support/*.cpp
// On a GPU: nvcc -std=c++17 -O3 -arch=native -I tests -I kernels -x cu, and the same files without the emulator's.
#include "moe_experts_reference.h"

#include <algorithm>
#include <string>

#include "support/router_logits.h"
#include "support/test.h"
#include "support/tolerance.h"

namespace tmoe::test {
namespace {

constexpr tmoe_type kTypes[] = {TMOE_FLOAT32, TMOE_FLOAT16, TMOE_BFLOAT16};

struct Weights {
    std::vector<float> gate_up, down;
};

Weights random_weights(Random &random, const tmoe_moe_shape &shape) {
    const tmoe_type type = tmoe_type(shape.weight_type);
    const std::size_t matrix = std::size_t(shape.experts) * std::size_t(shape.hidden) * std::size_t(shape.ffn);
    return {rounded(type, random.normals(2 * matrix, 1.0 / std::sqrt(double(shape.hidden)))),
            rounded(type, random.normals(matrix, 1.0 / std::sqrt(double(shape.ffn))))};
}

std::string describe(const tmoe_moe_shape &shape) {
    return std::to_string(shape.tokens) + " tokens, hidden " + std::to_string(shape.hidden) + ", ffn " + std::to_string(shape.ffn) + ", top " +
           std::to_string(shape.top_k) + " of " + std::to_string(shape.experts) + (shape.normalize_top_k ? " normalised" : "") +
           (shape.scoring == TMOE_SIGMOID ? " by sigmoid" : "") +
           ", activation " + std::to_string(shape.activation) + ", " + type_name(tmoe_type(shape.io_type)) + " with " +
           type_name(tmoe_type(shape.weight_type)) + (shape.options & TMOE_ALLOW_TF32 ? " (tf32)" : "");
}

// Empty if the kernel refuses; so may be the addend.
std::vector<float> compute(Run &run, const tmoe_moe_shape &shape, const std::vector<float> &x, const std::vector<float> &logits,
                           const Weights &weights, const std::vector<float> &addend = {}) {
    const tmoe_type io = tmoe_type(shape.io_type), type = tmoe_type(shape.weight_type);
    const TypedBuffer device_x(io, x), gate_up(type, weights.gate_up), down(type, weights.down), device_addend(io, addend), y(io, x.size());
    const DeviceBuffer<float> device_logits(logits);
    const DeviceBuffer<unsigned char> workspace(tmoe_sparse_moe_workspace(&shape));
    const auto launch = [&](std::size_t bytes) {
        return tmoe_sparse_moe(&shape, device_x.data(), device_logits.data(), gate_up.data(), down.data(), addend.empty() ? nullptr : device_addend.data(),
                               y.data(), workspace.data(), bytes, nullptr);
    };
    const std::string name = describe(shape);
    if (shape.tokens > 0) run.expect_status(name.c_str(), launch(workspace.size() - 1), TMOE_WORKSPACE_TOO_SMALL);
    if (!run.expect_ok(name.c_str(), launch(workspace.size()))) return {};
    return y.download();
}

void expect_moe(Run &run, const tmoe_moe_shape &shape, const std::vector<float> &logits) {
    const std::vector<float> x =
        rounded(tmoe_type(shape.io_type), run.random.normals(std::size_t(shape.tokens) * std::size_t(shape.hidden)));
    const Weights weights = random_weights(run.random, shape);
    std::vector<float> addend;
    if (run.random.below(2) == 0) addend = rounded(tmoe_type(shape.io_type), run.random.normals(x.size()));
    const std::vector<float> y = compute(run, shape, x, logits, weights, addend);
    Tolerance tolerance = product_tolerance(shape.weight_type, shape.options & TMOE_ALLOW_TF32);
    if (unit_roundoff(tmoe_type(shape.io_type)) > tolerance.relative) tolerance.relative = unit_roundoff(tmoe_type(shape.io_type));
    run.expect_close(describe(shape).c_str(), y, sparse_moe(shape, x, logits, weights.gate_up, weights.down, addend), tolerance);
}

// Small enough for the reference.
tmoe_moe_shape random_shape(Random &random, std::int64_t tokens, int most_experts, tmoe_type io, tmoe_type type) {
    tmoe_moe_shape shape{};
    shape.tokens = tokens;
    shape.experts = int(random.below(most_experts)) + 1;
    shape.top_k = int(random.below(std::min(shape.experts, 5))) + 1;
    shape.hidden = 8 * (int(random.below(14)) + 1);
    shape.ffn = 8 * (int(random.below(14)) + 1);
    shape.normalize_top_k = int(random.below(2));
    shape.scoring = std::int32_t(random.below(2));
    shape.activation = int(random.below(4));
    shape.io_type = io;
    shape.weight_type = type;
    return shape;
}

TMOE_CASES(cases) {
    for (const tmoe_type io : kTypes)
        for (const tmoe_type type : kTypes) {
            const std::string types = std::string(type_name(io)) + " with " + type_name(type);
            cases.add("few tokens, " + types, 0, [=](Run &run) {
                for (const int tokens : {1, 1, 2, 3, 5, 8, 8}) {
                    const tmoe_moe_shape shape = random_shape(run.random, tokens, 24, io, type);
                    expect_moe(run, shape, mixed_router_logits(run.random, tokens, shape.experts));
                }
                // Several steps of k, and ffn in parts.
                tmoe_moe_shape shape = {3, 40, 1032, 3, 2, 0, TMOE_SOFTMAX, TMOE_SILU, io, type, 0};
                expect_moe(run, shape, router_logits(run.random, 3, 3, Logits::Ordinary));
                shape = {2, 1032, 24, 2, 1, 0, TMOE_SOFTMAX, TMOE_GELU, io, type, 0};
                expect_moe(run, shape, router_logits(run.random, 2, 2, Logits::Ordinary));
            });
            cases.add("many tokens, " + types, 0, [=](Run &run) {
                for (const int tokens : {9, 20, 33, 64, 100, 150}) {
                    const tmoe_moe_shape shape = random_shape(run.random, tokens, 12, io, type);
                    expect_moe(run, shape, mixed_router_logits(run.random, tokens, shape.experts));
                }
            });
            cases.add("one expert, " + types, 0, [=](Run &run) {
                for (const int tokens : {1, 8, 9, 70}) {
                    const tmoe_moe_shape shape = random_shape(run.random, tokens, 1, io, type);
                    expect_moe(run, shape, mixed_router_logits(run.random, tokens, 1));
                }
            });
            cases.add("one expert for each token, " + types, 0, [=](Run &run) {
                for (const int tokens : {7, 12, 90}) {
                    tmoe_moe_shape shape = random_shape(run.random, tokens, 7, io, type);
                    shape.top_k = 1;
                    expect_moe(run, shape, mixed_router_logits(run.random, tokens, shape.experts));
                }
            });
        }
    for (const tmoe_type type : kTypes) {
        cases.add(std::string("all experts, ") + type_name(type), 0, [=](Run &run) {
            for (const int tokens : {4, 40})
                for (const int experts : {2, 8, 64}) {
                    tmoe_moe_shape shape = random_shape(run.random, tokens, 1, TMOE_FLOAT32, type);
                    shape.experts = shape.top_k = experts;
                    shape.hidden = shape.ffn = 24;
                    expect_moe(run, shape, mixed_router_logits(run.random, tokens, experts));
                }
        });
        // Few tiles, many steps.
        cases.add(std::string("ffn in parts, ") + type_name(type), 0, [=](Run &run) {
            for (const tmoe_type io : kTypes) {
                tmoe_moe_shape shape = {12, 40, 1032, 3, 2, 0, TMOE_SOFTMAX, TMOE_RELU, io, type, 0};
                expect_moe(run, shape, mixed_router_logits(run.random, 12, 3));
                shape.top_k = 1;
                expect_moe(run, shape, mixed_router_logits(run.random, 12, 3));
                shape.experts = 1;
                expect_moe(run, shape, mixed_router_logits(run.random, 12, 1));
            }
        });
        cases.add(std::string("256 experts, ") + type_name(type), 0, [=](Run &run) {
            for (const int tokens : {1, 8, 100}) {
                const tmoe_moe_shape shape = {tokens, 16, 16, 256, 6, 1, TMOE_SOFTMAX, TMOE_SILU, TMOE_FLOAT32, type, 0};
                expect_moe(run, shape, mixed_router_logits(run.random, tokens, 256));
            }
        });
    }
    for (const tmoe_type io : kTypes)
        cases.add(std::string("TF32, ") + type_name(io), 0, [=](Run &run) {
            for (const int tokens : {3, 40, 150}) {
                tmoe_moe_shape shape = random_shape(run.random, tokens, 8, io, TMOE_FLOAT32);
                shape.options = TMOE_ALLOW_TF32;
                expect_moe(run, shape, mixed_router_logits(run.random, tokens, shape.experts));
            }
        });
    for (int activation = TMOE_SILU; activation <= TMOE_RELU; ++activation)
        cases.add("activation " + std::to_string(activation), 0, [=](Run &run) {
            for (const int tokens : {2, 30})
                for (const tmoe_type type : kTypes)
                    expect_moe(run, {tokens, 64, 48, 4, 2, 0, TMOE_SOFTMAX, activation, TMOE_FLOAT32, type, 0},
                               router_logits(run.random, tokens, 4, Logits::Ordinary));
        });
}

TMOE_CASE("300 tokens, which are routed by many blocks where there are many experts") {
    for (const int experts : {8, 64})
        expect_moe(run, {300, 48, 40, experts, 2, 0, TMOE_SOFTMAX, TMOE_SILU, TMOE_FLOAT32, TMOE_BFLOAT16, 0}, mixed_router_logits(run.random, 300, experts));
}

TMOE_CASE("experts without weight do not work") {
    for (const tmoe_type type : kTypes)
        for (const int tokens : {3, 12})
            for (const int top_k : {1, 2, 4}) {
                const tmoe_moe_shape shape = {tokens, 16, 24, 4, top_k, 0, TMOE_SOFTMAX, TMOE_SILU, TMOE_FLOAT32, type, 0};
                // Whoever reads the weights of expert 2 gets no numbers.
                Weights weights = random_weights(run.random, shape);
                std::fill_n(weights.gate_up.begin() + 2 * 16 * 48, 16 * 48, NAN);
                std::fill_n(weights.down.begin() + 2 * 24 * 16, 24 * 16, NAN);
                const std::vector<float> x = run.random.normals(std::size_t(tokens) * 16);
                std::vector<float> logits;
                for (int token = 0; token < tokens; ++token)
                    for (int expert = 0; expert < 4; ++expert)
                        logits.push_back(token % 3 == 1 || expert == 2 ? -INFINITY : float(run.random.normal()));
                const std::vector<float> y = compute(run, shape, x, logits, weights);
                for (std::size_t i = 0; i < y.size(); ++i) {
                    const bool unused = i / 16 % 3 == 1;
                    if (!run.expect(std::isfinite(y[i]) && (!unused || y[i] == 0.0f), "%s: y[%zu] is %g", describe(shape).c_str(), i, double(y[i]))) break;
                }
            }
}

TMOE_CASE("a token that no expert works for gets the addend") {
    for (const tmoe_type io : kTypes)
        for (const int tokens : {3, 12, 40})
            for (const int experts : {1, 4})
                for (const int scoring : {TMOE_SOFTMAX, TMOE_SIGMOID})
                    for (const int top_k : {1, 2}) {
                        if (top_k > experts) continue;
                        const tmoe_moe_shape shape = {tokens, 16, 24, experts, top_k, 0, scoring, TMOE_SILU, io, TMOE_FLOAT32, 0};
                        const std::size_t size = std::size_t(tokens) * 16;
                        const std::vector<float> x = rounded(io, run.random.normals(size)), addend = rounded(io, run.random.normals(size));
                        const std::vector<float> logits(std::size_t(tokens) * std::size_t(experts), -INFINITY);
                        run.expect_equal(describe(shape).c_str(), compute(run, shape, x, logits, random_weights(run.random, shape), addend),
                                         addend);
                    }
}

TMOE_CASE("no row of a wrong number reaches another") {
    for (const tmoe_type type : kTypes)
        for (const int tokens : {5, 40})
            for (const bool in_logits : {false, true}) {
                const tmoe_moe_shape shape = {tokens, 32, 24, 5, 2, 0, TMOE_SOFTMAX, TMOE_GELU_TANH, TMOE_FLOAT32, type, 0};
                std::vector<float> x = run.random.normals(std::size_t(tokens) * 32), logits = router_logits(run.random, tokens, 5, Logits::Ordinary);
                (in_logits ? logits[3 * 5 + 2] : x[3 * 32 + 7]) = NAN;
                const std::vector<float> y = compute(run, shape, x, logits, random_weights(run.random, shape));
                for (std::size_t i = 0; i < y.size(); ++i)
                    if (!run.expect(std::isnan(y[i]) == (i / 32 == 3), "%s: y[%zu] is %g", describe(shape).c_str(), i, double(y[i]))) break;
            }
}

TMOE_CASE("results are the same bits each time, and do not depend on other tokens of a pass") {
    for (const tmoe_type type : kTypes) {
        const tmoe_moe_shape shape = {64, 40, 56, 6, 3, 0, TMOE_SOFTMAX, TMOE_SILU, TMOE_FLOAT32, type, 0};
        const std::vector<float> x = run.random.normals(64 * 40), logits = router_logits(run.random, 64, 6, Logits::Ordinary);
        const Weights weights = random_weights(run.random, shape);
        const std::vector<float> y = compute(run, shape, x, logits, weights);
        run.expect_equal("again", compute(run, shape, x, logits, weights), y);
        // Other tokens in other places: rows lie in other tiles.
        std::vector<float> turned_x(x), turned_logits(logits), turned_y(y);
        std::rotate(turned_x.begin(), turned_x.begin() + 11 * 40, turned_x.end());
        std::rotate(turned_logits.begin(), turned_logits.begin() + 11 * 6, turned_logits.end());
        std::rotate(turned_y.begin(), turned_y.begin() + 11 * 40, turned_y.end());
        run.expect_equal("turned", compute(run, shape, turned_x, turned_logits, weights), turned_y);
    }
}

TMOE_CASE("no tokens launch nothing, and sizes that make no sense are refused") {
    const DeviceBuffer<float> floats(64);
    const auto status = [&](tmoe_moe_shape shape) {
        return tmoe_sparse_moe(&shape, floats.data(), floats.data(), floats.data(), floats.data(), nullptr, floats.data(), floats.data(), 1 << 30,
                               nullptr);
    };
    const tmoe_moe_shape good = {1, 8, 8, 4, 2, 0, TMOE_SOFTMAX, TMOE_SILU, TMOE_FLOAT32, TMOE_FLOAT32, 0};
    tmoe_moe_shape shape = good;
    shape.tokens = 0;
    run.expect_ok("no tokens", status(shape));
    const auto refuses = [&](const char *what, auto change, int expected) {
        tmoe_moe_shape bad = good;
        change(bad);
        run.expect_status(what, status(bad), expected);
        run.expect(tmoe_sparse_moe_workspace(&bad) == 0, "%s: a workspace for what is refused", what);
    };
    refuses("tokens", [](auto &bad) { bad.tokens = -1; }, TMOE_INVALID_ARGUMENT);
    refuses("hidden", [](auto &bad) { bad.hidden = 12; }, TMOE_INVALID_ARGUMENT);
    refuses("ffn", [](auto &bad) { bad.ffn = 0; }, TMOE_INVALID_ARGUMENT);
    refuses("experts", [](auto &bad) { bad.experts = 257; }, TMOE_INVALID_ARGUMENT);
    refuses("top_k", [](auto &bad) { bad.top_k = 5; }, TMOE_INVALID_ARGUMENT);
    refuses("scoring", [](auto &bad) { bad.scoring = 2; }, TMOE_INVALID_ARGUMENT);
    refuses("activation", [](auto &bad) { bad.activation = 4; }, TMOE_INVALID_ARGUMENT);
    refuses("io_type", [](auto &bad) { bad.io_type = 3; }, TMOE_INVALID_ARGUMENT);
    refuses("weight_type", [](auto &bad) { bad.weight_type = -1; }, TMOE_INVALID_ARGUMENT);
    refuses("options", [](auto &bad) { bad.options = 2; }, TMOE_INVALID_ARGUMENT);
    refuses("rows", [](auto &bad) { bad.tokens = INT32_MAX; }, TMOE_UNSUPPORTED);
    run.expect_status("null", tmoe_sparse_moe(&good, nullptr, floats.data(), floats.data(), floats.data(), nullptr, floats.data(), floats.data(), 1 << 30,
                                              nullptr),
                      TMOE_INVALID_ARGUMENT);
}

}  // namespace
}  // namespace tmoe::test
