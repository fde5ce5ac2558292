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

void check_moe(Run &run, tmoe_type io, tmoe_type type, std::int64_t series, std::int64_t points, const char *name_space) {
    const std::int32_t top_k = 2, normalize = 1;
    const tmoe_moe_shape shape = {series * points, 24, 16, 4, top_k, normalize, TMOE_GELU_TANH, io, type, 0};
    const std::size_t tokens = std::size_t(shape.tokens);
    const std::vector<float> x = rounded(io, run.random.normals(tokens * 24)), logits = router_logits(run.random, shape.tokens, 4, Logits::Ordinary);
    const std::vector<float> gate_up = rounded(type, run.random.normals(4 * 24 * 32, 0.2)), down = rounded(type, run.random.normals(4 * 16 * 24, 0.25));
    const TypedBuffer device_x(io, x), device_gate_up(type, gate_up), device_down(type, down), y(io, x.size());
    const DeviceBuffer<float> device_logits(logits);
    Node node(run, "SparseMoe", {int_field("top_k", top_k), word_field("activation", "gelu_pytorch_tanh"), int_field("normalize_top_k", normalize)},
              {{data_type(io), {series, points, 24}, device_x.data(), {8, 40, 24}},
               {DataType::kFLOAT, {series, points, 4}, device_logits.data(), {8, 40, 4}},
               {data_type(type), {4, 24, 32}, device_gate_up.data()},
               {data_type(type), {4, 16, 24}, device_down.data()}},
              name_space);
    if (!node.enqueue({y.data()})) return;
    expect_sizes(run, node.outputs()[0], data_type(io), {series, points, 24});
    run.expect_close("y", y.download(), sparse_moe(shape, x, logits, gate_up, down), with_rounding(product_tolerance(type), io));
}

void check_linear(Run &run, tmoe_type io, tmoe_type type, std::int64_t rows, bool has_bias) {
    const std::vector<float> x = rounded(io, run.random.normals(std::size_t(rows) * 16)), weight = rounded(type, run.random.normals(16 * 12, 0.25));
    const std::vector<float> bias = run.random.normals(has_bias ? 12 : 0);
    const TypedBuffer device_x(io, x), device_weight(type, weight), y(io, std::size_t(rows) * 12);
    const DeviceBuffer<float> device_bias(bias);
    std::vector<HostTensor> inputs = {{data_type(io), {rows, 1, 16}, device_x.data(), {200, 2, 16}}, {data_type(type), {16, 12}, device_weight.data()}};
    if (has_bias) inputs.push_back({DataType::kFLOAT, {12}, device_bias.data()});
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
                check_moe(run, io, type, 1, 3, "");
                check_moe(run, io, type, 2, 17, "tmoe");
            });
            cases.add("Linear, " + types, 0, [=](Run &run) {
                check_linear(run, io, type, 3, true);
                check_linear(run, io, type, 40, false);
                check_linear(run, io, type, 40, true);
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

void check_attention(Run &run, tmoe_type io, tmoe_type cache, tmoe_type compute, Cache kind, std::int64_t queries, std::int64_t sequence, std::int64_t past) {
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
    shape.compute_type = compute;
    shape.rotary_rounding = TMOE_BFLOAT16;
    shape.rope_theta = 1000.0f;
    shape.scale = 0.25f;    // 1 / sqrt(16)
    const AttentionProblem problem = make_attention_problem(shape, Masking::Nothing, run.random);
    const std::int64_t heads = 4, total = past + sequence, capacity = kind == Cache::Growing ? past : total + 3, present = kind == Cache::Growing ? total : capacity;
    const TypedBuffer q(io, problem.q), k(io, problem.k), v(io, problem.v), y(io, problem.q.size());
    const TypedBuffer past_key(cache, with_room(problem.past_key, heads, past, capacity, 16)), past_value(cache, with_room(problem.past_value, heads, past, capacity, 16));
    const TypedBuffer present_key(cache, std::size_t(heads * present * 16)), present_value(cache, std::size_t(heads * present * 16));
    const DeviceBuffer<std::int64_t> mask(problem.mask);

    const std::int32_t num_heads = 4, kv_num_heads = 2, preallocated = kind == Cache::Aliased || kind == Cache::Separate;
    const char *const compute_name = type_name(compute);
    Node node(run, "FlashAttention",
              {int_field("num_heads", num_heads), int_field("kv_num_heads", kv_num_heads), float_field("rope_theta", shape.rope_theta),
               word_field("rotary_type", "bfloat16"), word_field("compute_type", compute_name), int_field("preallocated_cache", preallocated)},
              {{data_type(io), {2, queries, 64}, q.data(), {4, 90, 64}},
               {data_type(io), {2, sequence, 32}, k.data(), {4, 90, 32}},
               {data_type(io), {2, sequence, 32}, v.data(), {4, 90, 32}},
               {data_type(cache), {2, 2, capacity, 16}, past_key.data(), {4, 2, 900, 16}},
               {data_type(cache), {2, 2, capacity, 16}, past_value.data(), {4, 2, 900, 16}},
               {DataType::kINT64, {2, total}, mask.data(), {4, 1000}}});
    const bool aliased = kind == Cache::Aliased;
    const std::vector<std::int32_t> expected_aliases = preallocated ? std::vector<std::int32_t>{-1, 3, 4} : std::vector<std::int32_t>{-1, -1, -1};
    run.expect_equal("aliased inputs", node.aliases(), expected_aliases);
    const TypedBuffer &to_key = aliased ? past_key : present_key, &to_value = aliased ? past_value : present_value;
    if (!node.enqueue({y.data(), to_key.data(), to_value.data()})) return;
    expect_sizes(run, node.outputs()[0], data_type(io), {2, queries, 64});
    for (const int i : {1, 2}) expect_sizes(run, node.outputs()[std::size_t(i)], data_type(cache), {2, 2, present, 16});

    const AttentionSolution solution = solve(problem);
    run.expect_close("y", y.download(), solution.y, {(compute == TMOE_FLOAT32 ? 3e-6 : compute == TMOE_FLOAT16 ? 1e-3 : 7e-3) + unit_roundoff(io)});
    const double rounding = cache == TMOE_FLOAT32 ? 1e-6 : unit_roundoff(cache);
    run.expect_close("present_key", first_rows(to_key.download(), heads, total, present, 16), solution.present_key, {rounding});
    run.expect_close("present_value", first_rows(to_value.download(), heads, total, present, 16), solution.present_value, {rounding});
}

TMOE_CASES(cases) {
    for (const tmoe_type io : kTypes)
        for (const tmoe_type cache : kTypes)
            for (const tmoe_type compute : kTypes) {
                const std::string name = std::string("FlashAttention, ") + type_name(io) + ", cache " + type_name(cache) + ", computes in " + type_name(compute);
                cases.add(name, compute == TMOE_BFLOAT16 ? 80 : 0, [=](Run &run) {
                    check_attention(run, io, cache, compute, Cache::Growing, 6, 6, 0);
                    check_attention(run, io, cache, compute, Cache::Aliased, 1, 1, 21);
                });
            }
}

TMOE_CASE("FlashAttention takes every kind of cache") {
    for (const Cache kind : {Cache::Growing, Cache::WithRoom, Cache::Aliased, Cache::Separate})
        for (const std::int64_t past : {0, 40})
            for (const std::int64_t queries : {1, 5}) check_attention(run, TMOE_FLOAT32, TMOE_FLOAT32, TMOE_FLOAT32, kind, queries, 5, past);
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
        shape.heads = shape.kv_heads = 2;
        shape.head_dim = 32;
        shape.rope_theta = 10000.0f;
        shape.scale = 1.0f;
        const tmoe_moe_shape moe_shape = {rows, 64, 32, 8, 2, 0, TMOE_SILU, TMOE_FLOAT32, TMOE_FLOAT32, 0};
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
        // q, k, v, past_key, past_value, attention_mask -> y, present_key, present_value
        {"FlashAttention", {int_field("num_heads", heads), int_field("kv_num_heads", heads)}, 6, 3,
         {"FFFFFLFFF", "FFFHHLFHH", "FFFBBLFBB", "HHHFFLHFF", "HHHHHLHHH", "HHHBBLHBB", "BBBFFLBFF", "BBBHHLBHH", "BBBBBLBBB"}},
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
    run.expect(moe == "top_k=3, activation=silu, normalize_top_k=0", "%s", moe.c_str());
    run.expect(attention == "num_heads=4, kv_num_heads=2, rope_theta=10000, scale=0, rotary_type=float32, compute_type=float32, preallocated_cache=0", "%s", attention.c_str());
}

TMOE_CASE("integers of 64 bits and words with a null at their end are read") {
    const std::int64_t top_k = 2;
    const PluginPointer plugin = create("SparseMoe", {{"top_k", &top_k, PluginFieldType::kINT64, 1}, {"activation", "relu", PluginFieldType::kCHAR, 5}});
    run.expect(plugin != nullptr && std::string(build(plugin)->getMetadataString()) == "top_k=2, activation=relu, normalize_top_k=0", "%s", recorder().errors.c_str());
}

}  // namespace
}  // namespace tmoe::test
