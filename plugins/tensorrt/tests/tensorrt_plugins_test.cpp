// Every plugin from its fields to results, which are compared with float64.
#include "host.h"

#include <cmath>
#include <string>

#include "flash_attention_reference.h"
#include "linear_reference.h"
#include "moe_experts_reference.h"
#include "rms_norm_reference.h"
#include "support/router_logits.h"
#include "support/tolerance.h"

namespace tmoe::test {
namespace {

constexpr tmoe_type kTypes[] = {TMOE_FLOAT32, TMOE_FLOAT16, TMOE_BFLOAT16};

Tolerance with_rounding(Tolerance tolerance, tmoe_type io) {
    if (unit_roundoff(io) > tolerance.relative) tolerance.relative = unit_roundoff(io);
    return tolerance;
}

void expect_sizes(Run &run, const HostTensor &tensor, DataType type, const std::vector<std::int64_t> &sizes) {
    run.expect(tensor.type == type, "an output has type %d, expected %d", int(tensor.type), int(type));
    run.expect_equal("sizes of an output", tensor.sizes, sizes);
}

// How a host lists the inputs that a node leaves out: not at all, or by a mark.
enum class LeftOut { Dropped, Marked };

// The inputs of a node: all of the operator's, or those that are given.
std::vector<HostTensor> listed(std::vector<HostTensor> inputs, LeftOut how) {
    if (how == LeftOut::Marked) return inputs;
    std::vector<HostTensor> given;
    for (const HostTensor &input : inputs)
        if (!input.left_out) given.push_back(input);
    return given;
}

struct Moe {
    tmoe_type io = TMOE_FLOAT32, weights = TMOE_FLOAT32;
    std::int64_t series = 2, points = 5;
    tmoe_activation activation = TMOE_SILU;
    tmoe_scoring scoring = TMOE_SOFTMAX;
    std::int32_t normalize_top_k = 0;
    bool addend = false;
    LeftOut left_out = LeftOut::Dropped;
    const char *name_space = "";
};

void check_moe(Run &run, const Moe &moe) {
    constexpr const char *kActivations[] = {"silu", "gelu", "gelu_pytorch_tanh", "relu"}, *kScorings[] = {"softmax", "sigmoid"};
    const tmoe_type io = moe.io, type = moe.weights;
    const std::int32_t top_k = 2;
    tmoe_moe_shape shape{};
    shape.tokens = moe.series * moe.points;
    shape.hidden = 24;
    shape.ffn = 16;
    shape.experts = 4;
    shape.top_k = top_k;
    shape.normalize_top_k = moe.normalize_top_k;
    shape.scoring = moe.scoring;
    shape.activation = moe.activation;
    const std::size_t tokens = std::size_t(shape.tokens);
    const std::vector<float> x = rounded(io, run.random.normals(tokens * 24)), logits = router_logits(run.random, shape.tokens, 4, Logits::Ordinary);
    const std::vector<float> gate_up = rounded(type, run.random.normals(4 * 24 * 32, 0.2)), down = rounded(type, run.random.normals(4 * 16 * 24, 0.25));
    const std::vector<float> addend = rounded(io, run.random.normals(moe.addend ? tokens * 24 : 0));
    const TypedBuffer device_x(io, x), device_gate_up(type, gate_up), device_down(type, down), device_addend(io, addend), y(io, x.size());
    const DeviceBuffer<float> device_logits(logits);
    const HostTensor like_x{data_type(io), {moe.series, moe.points, 24}, device_x.data(), {8, 40, 24}};
    HostTensor added = left_out();
    if (moe.addend) {
        added = like_x;
        added.data = device_addend.data();
    }
    Node node(run, "SparseMoe",
              {int_field("top_k", top_k), word_field("activation", kActivations[moe.activation]), word_field("scoring", kScorings[moe.scoring]),
               int_field("normalize_top_k", moe.normalize_top_k)},
              listed({like_x,
                      {DataType::kFLOAT, {moe.series, moe.points, 4}, device_logits.data(), {8, 40, 4}},
                      {data_type(type), {4, 24, 32}, device_gate_up.data()},
                      {data_type(type), {4, 16, 24}, device_down.data()},
                      left_out(),
                      left_out(),
                      added},
                     moe.left_out),
              moe.name_space);
    if (!node.enqueue({y.data()})) return;
    expect_sizes(run, node.outputs()[0], data_type(io), {moe.series, moe.points, 24});
    run.expect_close("y", y.download(), sparse_moe(shape, x, logits, gate_up, down, addend), with_rounding(product_tolerance(type), io));
}

TMOE_CASE("SparseMoe knows every activation and scoring, with and without normalisation and addend") {
    for (const tmoe_activation activation : {TMOE_SILU, TMOE_GELU, TMOE_GELU_TANH, TMOE_RELU})
        for (const tmoe_scoring scoring : {TMOE_SOFTMAX, TMOE_SIGMOID})
            for (const std::int32_t normalize : {0, 1})
                for (const bool addend : {false, true})
                    for (const LeftOut how : {LeftOut::Dropped, LeftOut::Marked}) {
                        Moe moe;
                        moe.activation = activation;
                        moe.scoring = scoring;
                        moe.normalize_top_k = normalize;
                        moe.addend = addend;
                        moe.left_out = how;
                        check_moe(run, moe);
                    }
}

void check_linear(Run &run, tmoe_type io, tmoe_type type, std::int64_t rows, bool has_bias, LeftOut how = LeftOut::Dropped) {
    const std::vector<float> x = rounded(io, run.random.normals(std::size_t(rows) * 16)), weight = rounded(type, run.random.normals(16 * 12, 0.25));
    const std::vector<float> bias = run.random.normals(has_bias ? 12 : 0);
    const TypedBuffer device_x(io, x), device_weight(type, weight), y(io, std::size_t(rows) * 12);
    const DeviceBuffer<float> device_bias(bias);
    const HostTensor bias_tensor = has_bias ? HostTensor{DataType::kFLOAT, {12}, device_bias.data()} : left_out();
    const std::vector<HostTensor> inputs = listed(
        {{data_type(io), {rows, 1, 16}, device_x.data(), {200, 2, 16}}, {data_type(type), {16, 12}, device_weight.data()}, bias_tensor, left_out()}, how);
    Node node(run, "Linear", {}, inputs);
    if (!node.enqueue({y.data()})) return;
    expect_sizes(run, node.outputs()[0], data_type(io), {rows, 1, 12});
    run.expect_close("y", y.download(), linear(x, weight, bias, rows, 16, 12), with_rounding(product_tolerance(type), io));
}

TMOE_CASES(cases) {
    for (const tmoe_type io : kTypes)
        for (const tmoe_type type : kTypes) {
            const std::string types = std::string(type_name(io)) + " with " + type_name(type);
            cases.add("SparseMoe, " + types, 0, [=](Run &run) {
                Moe moe;
                moe.io = io;
                moe.weights = type;
                moe.addend = true;
                check_moe(run, moe);
                moe.points = 17;
                moe.name_space = "tmoe";
                check_moe(run, moe);
            });
            cases.add("Linear, " + types, 0, [=](Run &run) {
                check_linear(run, io, type, 3, true);
                check_linear(run, io, type, 40, false);
                check_linear(run, io, type, 40, true, LeftOut::Marked);
                check_linear(run, io, type, 3, false, LeftOut::Marked);
            });
        }
}

TMOE_CASES(cases) {
    for (const tmoe_type io : kTypes)
        cases.add(std::string("AddRmsNorm, ") + type_name(io), 0, [=](Run &run) {
            const float epsilon = 1e-4f;
            const std::vector<float> x = rounded(io, run.random.normals(6 * 20)), residual = rounded(io, run.random.normals(6 * 20)), weight = run.random.normals(20);
            const TypedBuffer device_x(io, x), device_residual(io, residual), y(io, x.size()), sum(io, x.size());
            const DeviceBuffer<float> device_weight(weight);
            Node node(run, "AddRmsNorm", {float_field("epsilon", epsilon)},
                      {{data_type(io), {2, 3, 20}, device_x.data(), {4, 9, 20}},
                       {data_type(io), {2, 3, 20}, device_residual.data(), {4, 9, 20}},
                       {DataType::kFLOAT, {20}, device_weight.data()}});
            if (!node.enqueue({y.data(), sum.data()})) return;
            expect_sizes(run, node.outputs()[0], data_type(io), {2, 3, 20});
            expect_sizes(run, node.outputs()[1], data_type(io), {2, 3, 20});
            run.expect(node.workspace() == 0, "a workspace of %zu bytes", node.workspace());
            const RmsNormSolution solution = add_rms_norm(6, 20, double(epsilon), x, residual, weight);
            run.expect_close("y", y.download(), solution.y, {2e-6 + unit_roundoff(io)});
            run.expect_close("sum", sum.download(), solution.sum, {1e-7 + unit_roundoff(io)});
        });
}

enum class Cache {
    Growing,      // the present has one row more for each new point
    WithRoom,     // the past has room, without the attribute
    Aliased,      // the attribute, and one buffer
    Separate,     // the attribute, and TensorRT without its preview feature
};

// Where queries, keys and values lie.
enum class Packing { None, KeyValue, All };

// Rows of several tensors side by side: [rows, widths[0] + widths[1] ..].
std::vector<float> side_by_side(std::vector<const std::vector<float> *> parts, std::vector<std::int64_t> widths) {
    std::vector<float> result;
    const std::size_t rows = parts[0]->size() / std::size_t(widths[0]);
    for (std::size_t row = 0; row < rows; ++row)
        for (std::size_t part = 0; part < parts.size(); ++part) {
            const auto from = parts[part]->begin() + std::ptrdiff_t(row) * widths[part];
            result.insert(result.end(), from, from + widths[part]);
        }
    return result;
}

// [heads, rows, head_dim] in [heads, capacity, head_dim].
std::vector<float> with_room(const std::vector<float> &values, std::int64_t heads, std::int64_t rows, std::int64_t capacity, std::int64_t head_dim) {
    std::vector<float> result;
    for (std::int64_t head = 0; head < heads; ++head) {
        const auto from = values.begin() + head * rows * head_dim;
        result.insert(result.end(), from, from + rows * head_dim);
        result.insert(result.end(), std::size_t((capacity - rows) * head_dim), 7.0f);
    }
    return result;
}

std::vector<double> first_rows(const std::vector<float> &values, std::int64_t heads, std::int64_t rows, std::int64_t capacity, std::int64_t head_dim) {
    std::vector<double> result;
    for (std::int64_t head = 0; head < heads; ++head)
        for (std::int64_t i = 0; i < rows * head_dim; ++i) result.push_back(double(values[std::size_t(head * capacity * head_dim + i)]));
    return result;
}

struct Attention {
    tmoe_type io = TMOE_FLOAT32, cache = TMOE_FLOAT32, compute = TMOE_FLOAT32, rotary = TMOE_BFLOAT16;
    Cache kind = Cache::Growing;
    Packing packing = Packing::None;
    LeftOut left_out = LeftOut::Dropped;
    std::int64_t queries = 5, sequence = 5, past = 12;
    float scale = 0.0f;                          // of the attribute
    Masking masking = Masking::LeftPadding;
};

void check_attention(Run &run, const Attention &attention) {
    const tmoe_type io = attention.io, cache = attention.cache;
    const std::int64_t queries = attention.queries, sequence = attention.sequence, past = attention.past;
    tmoe_attention_shape shape{};
    shape.batch = 2;
    shape.queries = queries;
    shape.sequence = sequence;
    shape.past = past;
    shape.heads = 4;
    shape.kv_heads = 2;
    shape.head_dim = 16;
    shape.io_type = io;
    shape.cache_type = cache;
    shape.rotary_rounding = attention.rotary;
    shape.rope_theta = 1000.0f;
    shape.scale = attention.scale != 0.0f ? attention.scale : 0.25f;    // 1 / sqrt(16)
    const AttentionProblem problem = make_attention_problem(shape, attention.masking, run.random);
    const bool all = attention.packing == Packing::All, apart = attention.packing == Packing::None;
    const std::int64_t heads = 4, total = past + sequence, capacity = attention.kind == Cache::Growing ? past : total + 3;
    const std::int64_t present = attention.kind == Cache::Growing ? total : capacity;
    const std::vector<float> key_value = side_by_side({&problem.k, &problem.v}, {32, 32});
    const TypedBuffer q(io, all ? side_by_side({&problem.q, &problem.k, &problem.v}, {64, 32, 32}) : problem.q);
    const TypedBuffer k(io, apart ? problem.k : key_value), v(io, problem.v), y(io, problem.q.size());
    const TypedBuffer past_key(cache, with_room(problem.past_key, heads, past, capacity, 16)), past_value(cache, with_room(problem.past_value, heads, past, capacity, 16));
    const TypedBuffer present_key(cache, std::size_t(heads * present * 16)), present_value(cache, std::size_t(heads * present * 16));
    const DeviceBuffer<std::int64_t> mask(problem.mask);

    const bool one_buffer = attention.kind == Cache::Aliased;
    const std::int32_t num_heads = 4, kv_num_heads = 2, preallocated = one_buffer || attention.kind == Cache::Separate;
    const std::int64_t q_width = all ? 128 : 64, k_width = apart ? 32 : 64;
    const std::vector<HostTensor> inputs = listed(
        {{data_type(io), {2, queries, q_width}, q.data(), {4, 90, q_width}},
         all ? left_out() : HostTensor{data_type(io), {2, sequence, k_width}, k.data(), {4, 90, k_width}},
         !apart ? left_out() : HostTensor{data_type(io), {2, sequence, 32}, v.data(), {4, 90, 32}},
         {data_type(cache), {2, 2, capacity, 16}, past_key.data(), {4, 2, 900, 16}},
         {data_type(cache), {2, 2, capacity, 16}, past_value.data(), {4, 2, 900, 16}},
         {DataType::kINT64, {2, total}, mask.data(), {4, 1000}}},
        attention.left_out);
    Node node(run, "FlashAttention",
              {int_field("num_heads", num_heads), int_field("kv_num_heads", kv_num_heads), float_field("rope_theta", shape.rope_theta),
               float_field("scale", attention.scale), word_field("rotary_type", type_name(attention.rotary)),
               word_field("compute_type", type_name(attention.compute)), int_field("preallocated_cache", preallocated)},
              inputs);
    const std::int32_t key_at = std::int32_t(inputs.size()) - 3;
    const std::vector<std::int32_t> expected_aliases =
        preallocated ? std::vector<std::int32_t>{-1, key_at, key_at + 1} : std::vector<std::int32_t>{-1, -1, -1};
    run.expect_equal("aliased inputs", node.aliases(), expected_aliases);
    const TypedBuffer &to_key = one_buffer ? past_key : present_key, &to_value = one_buffer ? past_value : present_value;
    if (!node.enqueue({y.data(), to_key.data(), to_value.data()})) return;
    expect_sizes(run, node.outputs()[0], data_type(io), {2, queries, 64});
    for (const int i : {1, 2}) expect_sizes(run, node.outputs()[std::size_t(i)], data_type(cache), {2, 2, present, 16});

    const AttentionSolution solution = solve(problem);
    // A device that does not multiply bfloat16 rounds less.
    const bool exact = attention.compute == TMOE_FLOAT32 || (attention.compute == TMOE_BFLOAT16 && run.capability < 80);
    run.expect_close("y", y.download(), solution.y, {(exact ? 3e-6 : attention.compute == TMOE_FLOAT16 ? 1e-3 : 7e-3) + unit_roundoff(io)});
    // Points that the mask hides hold anything.
    const std::vector<double> keys = first_rows(to_key.download(), heads, total, present, 16), values = first_rows(to_value.download(), heads, total, present, 16);
    std::vector<double> real[4];
    for (std::int64_t head = 0; head < heads; ++head)
        for (std::int64_t point = 0; point < total; ++point) {
            if (!problem.real(head / 2, point)) continue;
            for (std::int64_t i = 0; i < 16; ++i) {
                const std::size_t at = std::size_t((head * total + point) * 16 + i);
                const double row[] = {keys[at], solution.present_key[at], values[at], solution.present_value[at]};
                for (int n = 0; n < 4; ++n) real[n].push_back(row[n]);
            }
        }
    const double rounding = cache == TMOE_FLOAT32 ? 1e-6 : unit_roundoff(cache);
    run.expect_close("present_key", real[0], real[1], {rounding});
    run.expect_close("present_value", real[2], real[3], {rounding});
}

TMOE_CASES(cases) {
    for (const tmoe_type io : kTypes)
        for (const tmoe_type cache : kTypes)
            for (const tmoe_type compute : kTypes) {
                const std::string name = std::string("FlashAttention, ") + type_name(io) + ", cache " + type_name(cache) + ", computes in " + type_name(compute);
                cases.add(name, 0, [=](Run &run) {
                    Attention attention;
                    attention.io = io;
                    attention.cache = cache;
                    attention.compute = compute;
                    attention.packing = Packing::All;
                    attention.past = 0;
                    check_attention(run, attention);
                    attention.kind = Cache::Aliased;
                    attention.packing = Packing::None;
                    attention.queries = attention.sequence = 1;
                    attention.past = 21;
                    check_attention(run, attention);
                });
            }
}

TMOE_CASE("FlashAttention takes every kind of cache") {
    for (const Cache kind : {Cache::Growing, Cache::WithRoom, Cache::Aliased, Cache::Separate})
        for (const std::int64_t past : {0, 40})
            for (const std::int64_t queries : {1, 5}) {
                Attention attention;
                attention.kind = kind;
                attention.past = past;
                attention.queries = queries;
                check_attention(run, attention);
            }
}

TMOE_CASES(cases) {
    for (const tmoe_type io : kTypes)
        cases.add(std::string("FlashAttention takes queries, keys and values apart and side by side, ") + type_name(io), 0, [=](Run &run) {
            for (const Packing packing : {Packing::None, Packing::KeyValue, Packing::All})
                for (const LeftOut how : {LeftOut::Dropped, LeftOut::Marked})
                    for (const Cache kind : {Cache::Growing, Cache::Aliased})
                        for (const std::int64_t queries : {1, 5}) {
                            if (packing == Packing::All && queries != 5) continue;
                            Attention attention;
                            attention.io = io;
                            attention.packing = packing;
                            attention.left_out = how;
                            attention.kind = kind;
                            attention.queries = queries;
                            check_attention(run, attention);
                        }
        });
}

TMOE_CASE("FlashAttention heeds its scale, its rotary type and the mask") {
    for (const tmoe_type rotary : kTypes)
        for (const Masking masking : {Masking::Nothing, Masking::Holes, Masking::Everything}) {
            Attention attention;
            attention.rotary = rotary;
            attention.masking = masking;
            attention.scale = 0.7f;
            attention.packing = Packing::All;
            check_attention(run, attention);
        }
}

TMOE_CASE("nothing is aliased before a plugin knows its inputs") {
    const std::int32_t heads = 2, one = 1;
    const PluginPointer plugin = create("FlashAttention", {int_field("num_heads", heads), int_field("kv_num_heads", heads), int_field("preallocated_cache", one)});
    if (!run.expect(plugin != nullptr, "%s", recorder().errors.c_str())) return;
    for (const std::int32_t output : {0, 1, 2}) run.expect(build(plugin)->getAliasedInput(output) == -1, "output %d", output);
}

TMOE_CASE("the workspace of the largest sizes suffices for all smaller ones") {
    const std::int32_t heads = 2, top_k = 2;
    const HostTensor cache{DataType::kFLOAT, {16, 2, 3000, 32}};
    const Node attention(run, "FlashAttention", {int_field("num_heads", heads), int_field("kv_num_heads", heads)},
                         {{DataType::kFLOAT, {16, 200, 64}}, {DataType::kFLOAT, {16, 200, 64}}, {DataType::kFLOAT, {16, 200, 64}}, cache, cache,
                          {DataType::kINT64, {16, 3000}}});
    const Node moe(run, "SparseMoe", {int_field("top_k", top_k)},
                   {{DataType::kFLOAT, {16, 200, 64}}, {DataType::kFLOAT, {16, 200, 8}}, {DataType::kFLOAT, {8, 64, 64}}, {DataType::kFLOAT, {8, 32, 64}}});
    const Node linear(run, "Linear", {}, {{DataType::kHALF, {16, 200, 64}}, {DataType::kFLOAT, {64, 48}}});
    run.expect(attention.workspace() > 0 && moe.workspace() > 0 && linear.workspace() > 0, "no workspace");
    for (int i = 0; i < 4000; ++i) {
        // Small sizes are more than their share: what is small is divided.
        const std::int64_t batch = 1 + run.random.below(16), queries = 1 + run.random.below(run.random.below(2) ? 200 : 8), rows = batch * queries;
        tmoe_attention_shape shape{};
        shape.batch = batch;
        shape.queries = shape.sequence = queries;
        shape.past = run.random.below(3001 - queries);
        shape.past_capacity = shape.present_capacity = 3000;
        shape.q_stride = shape.k_stride = shape.v_stride = 64;
        shape.heads = shape.kv_heads = 2;
        shape.head_dim = 32;
        shape.rope_theta = 10000.0f;
        shape.scale = 1.0f;
        const tmoe_moe_shape moe_shape = {rows, 64, 32, 8, 2, 0, TMOE_SOFTMAX, TMOE_SILU, TMOE_FLOAT32, TMOE_FLOAT32, 0};
        const tmoe_linear_shape linear_shape = {rows, 64, 48, TMOE_FLOAT16, TMOE_FLOAT32, 0};
        const bool enough = tmoe_flash_attention_workspace(&shape) <= attention.workspace() && tmoe_sparse_moe_workspace(&moe_shape) <= moe.workspace() &&
                            tmoe_linear_workspace(&linear_shape) <= linear.workspace();
        if (!run.expect(enough, "%lld x %lld need more", (long long)batch, (long long)queries)) return;
    }
}

TMOE_CASE("so it does where the largest batch alone fills a device") {
    // Few series have fewer blocks than a device takes: their keys are divided.
    const std::int32_t heads = 2;
    const HostTensor q{DataType::kFLOAT, {600, 64, 256}}, cache{DataType::kFLOAT, {600, 2, 536, 128}};
    const Node attention(run, "FlashAttention", {int_field("num_heads", heads), int_field("kv_num_heads", heads)}, {q, q, q, cache, cache, {DataType::kINT64, {600, 600}}});
    tmoe_attention_shape shape{};
    shape.past_capacity = shape.present_capacity = 600;
    shape.q_stride = shape.k_stride = shape.v_stride = 256;
    shape.heads = shape.kv_heads = 2;
    shape.head_dim = 128;
    shape.rope_theta = 10000.0f;
    shape.scale = 1.0f;
    std::size_t largest = 0;
    for (shape.batch = 1; shape.batch <= 600; ++shape.batch)
        for (shape.queries = 1; shape.queries <= 64; ++shape.queries) {
            shape.sequence = shape.queries;
            shape.past = 600 - shape.sequence;
            const std::size_t needed = tmoe_flash_attention_workspace(&shape);
            if (needed > largest) largest = needed;
        }
    shape.batch = 600;
    shape.queries = shape.sequence = 64;
    shape.past = 536;
    run.expect(largest > tmoe_flash_attention_workspace(&shape), "this case shows nothing: the largest problem needs the most");
    run.expect(attention.workspace() == largest, "%zu bytes, expected %zu", attention.workspace(), largest);
}

TMOE_CASE("no points launch nothing") {
    const std::int32_t heads = 2, top_k = 1;
    const float epsilon = 0.0f;
    const DeviceBuffer<float> some(4096);
    const HostTensor x{DataType::kFLOAT, {0, 16}, some.data()};
    Node moe(run, "SparseMoe", {int_field("top_k", top_k)}, {x, {DataType::kFLOAT, {0, 1}, some.data()}, {DataType::kFLOAT, {1, 16, 16}, some.data()}, {DataType::kFLOAT, {1, 8, 16}, some.data()}});
    moe.enqueue({some.data()});
    Node linear(run, "Linear", {}, {x, {DataType::kFLOAT, {16, 4}, some.data()}});
    linear.enqueue({some.data()});
    Node norm(run, "AddRmsNorm", {float_field("epsilon", epsilon)}, {x, x, {DataType::kFLOAT, {16}, some.data()}});
    norm.enqueue({some.data(), some.data()});
    const HostTensor q{DataType::kFLOAT, {0, 1, 16}, some.data()}, cache{DataType::kFLOAT, {0, 2, 3, 8}, some.data()};
    Node attention(run, "FlashAttention", {int_field("num_heads", heads), int_field("kv_num_heads", heads)}, {q, q, q, cache, cache, {DataType::kINT64, {0, 4}, some.data()}});
    attention.enqueue({some.data(), some.data(), some.data()});
}

// All complete combinations, found as TensorRT finds them: a tensor after the other, each given those before it.
void combine(nvinfer1::IPluginV3OneBuildV2 &plugin, std::vector<nvinfer1::DynamicPluginTensorDesc> &tensors, std::size_t at, std::int32_t inputs,
             const std::string &before, std::vector<std::string> *found) {
    if (at == tensors.size()) {
        found->push_back(before);
        return;
    }
    constexpr std::pair<DataType, const char *> kAllTypes[] = {{DataType::kFLOAT, "F"}, {DataType::kHALF, "H"}, {DataType::kBF16, "B"}, {DataType::kINT8, "8"},
                                                               {DataType::kINT32, "I"}, {DataType::kINT64, "L"}, {DataType::kBOOL, "?"}, {DataType::kFP8, "f"}};
    for (const auto &[type, letter] : kAllTypes)
        for (const auto format : {nvinfer1::TensorFormat::kLINEAR, nvinfer1::TensorFormat::kCHW2, nvinfer1::TensorFormat::kHWC8}) {
            tensors[at].desc.type = type;
            tensors[at].desc.format = format;
            const bool linear = format == nvinfer1::TensorFormat::kLINEAR;
            if (plugin.supportsFormatCombination(std::int32_t(at), tensors.data(), inputs, std::int32_t(tensors.size()) - inputs))
                combine(plugin, tensors, at + 1, inputs, before + (linear ? "" : "vectorised ") + letter, found);
        }
}

TMOE_CASE("exactly the combinations of types in the documentation are supported") {
    const std::int32_t heads = 2, top_k = 2;
    const float epsilon = 1e-6f;
    struct Row {
        const char *name;
        std::vector<PluginField> fields;
        std::int32_t inputs, outputs;
        std::vector<std::string> expected;
    };
    const std::vector<Row> rows = {
        // x, router_logits, gate_up, down -> y
        {"SparseMoe", {int_field("top_k", top_k)}, 4, 1, {"FFFFF", "FFHHF", "FFBBF", "HFFFH", "HFHHH", "HFBBH", "BFFFB", "BFHHB", "BFBBB"}},
        // the same with addend
        {"SparseMoe", {int_field("top_k", top_k)}, 5, 1, {"FFFFFF", "FFHHFF", "FFBBFF", "HFFFHH", "HFHHHH", "HFBBHH", "BFFFBB", "BFHHBB", "BFBBBB"}},
        // q, k, v, past_key, past_value, attention_mask -> y, present_key, present_value
        {"FlashAttention", {int_field("num_heads", heads), int_field("kv_num_heads", heads)}, 6, 3,
         {"FFFFFLFFF", "FFFHHLFHH", "FFFBBLFBB", "HHHFFLHFF", "HHHHHLHHH", "HHHBBLHBB", "BBBFFLBFF", "BBBHHLBHH", "BBBBBLBBB"}},
        // the same without v, and without k
        {"FlashAttention", {int_field("num_heads", heads), int_field("kv_num_heads", heads)}, 5, 3,
         {"FFFFLFFF", "FFHHLFHH", "FFBBLFBB", "HHFFLHFF", "HHHHLHHH", "HHBBLHBB", "BBFFLBFF", "BBHHLBHH", "BBBBLBBB"}},
        {"FlashAttention", {int_field("num_heads", heads), int_field("kv_num_heads", heads)}, 4, 3,
         {"FFFLFFF", "FHHLFHH", "FBBLFBB", "HFFLHFF", "HHHLHHH", "HBBLHBB", "BFFLBFF", "BHHLBHH", "BBBLBBB"}},
        // x, weight, bias -> y
        {"Linear", {}, 3, 1, {"FFFF", "FHFF", "FBFF", "HFFH", "HHFH", "HBFH", "BFFB", "BHFB", "BBFB"}},
        {"Linear", {}, 2, 1, {"FFF", "FHF", "FBF", "HFH", "HHH", "HBH", "BFB", "BHB", "BBB"}},
        // x, residual, weight -> y, sum
        {"AddRmsNorm", {float_field("epsilon", epsilon)}, 3, 2, {"FFFFF", "HHFHH", "BBFBB"}},
    };
    recorder().errors.clear();
    for (const Row &row : rows) {
        const PluginPointer plugin = create(row.name, row.fields);
        if (!run.expect(plugin != nullptr, "%s: %s", row.name, recorder().errors.c_str())) continue;
        std::vector<nvinfer1::DynamicPluginTensorDesc> tensors(std::size_t(row.inputs + row.outputs));
        std::vector<std::string> found;
        combine(*build(plugin), tensors, 0, row.inputs, "", &found);
        std::string list;
        for (const std::string &combination : found) list += " " + combination;
        run.expect(found == row.expected, "%s supports%s", row.name, list.c_str());
    }
}

TMOE_CASE("attributes that are not given have the operators' defaults") {
    const std::int32_t heads = 4, kv_heads = 2, top_k = 3;
    const auto text = [&](const char *name, const std::vector<PluginField> &fields) {
        const PluginPointer plugin = create(name, fields);
        return plugin == nullptr ? std::string("none") : std::string(build(plugin)->getTimingCacheID());
    };
    const std::string moe = text("SparseMoe", {int_field("top_k", top_k)}), attention = text("FlashAttention", {int_field("num_heads", heads), int_field("kv_num_heads", kv_heads)});
    const std::string norm = text("AddRmsNorm", {});
    run.expect(norm == "epsilon=9.99999997e-07", "%s", norm.c_str());
    run.expect(moe == "top_k=3, activation=silu, scoring=softmax, normalize_top_k=0", "%s", moe.c_str());
    run.expect(attention == "num_heads=4, kv_num_heads=2, rope_theta=10000, scale=0, rotary_type=float32, compute_type=float32, preallocated_cache=0", "%s", attention.c_str());
}

TMOE_CASE("integers of 64 bits and words with a null at their end are read") {
    const std::int64_t top_k = 2;
    const PluginPointer plugin = create("SparseMoe", {{"top_k", &top_k, PluginFieldType::kINT64, 1}, {"activation", "relu", PluginFieldType::kCHAR, 5}});
    run.expect(plugin != nullptr && std::string(build(plugin)->getMetadataString()) == "top_k=2, activation=relu, scoring=softmax, normalize_top_k=0", "%s", recorder().errors.c_str());
}

}  // namespace
}  // namespace tmoe::test
