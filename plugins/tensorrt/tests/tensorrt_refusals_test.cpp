// What plugins do with what they cannot work with: an error that says why, and neither a crash nor an exception.
#include "host.h"

#include <cmath>

namespace tmoe::test {
namespace {

// The last thing that was refused has to have been explained with these words.
void expect_error(Run &run, bool refused, const char *what, std::initializer_list<const char *> words) {
    run.expect(refused, "%s: not refused", what);
    for (const char *word : words)
        run.expect(recorder().errors.find(word) != std::string::npos, "%s: the error lacks `%s`: %s", what, word, recorder().errors.c_str());
    recorder().errors.clear();
}

const std::int32_t kOne = 1, kTwo = 2, kThree = 3, kZero = 0, kMany = 257;
const std::int64_t kHuge = std::int64_t(1) << 40;
const float kEpsilon = 1e-6f, kNegative = -1.0f, kNan = NAN;

TMOE_CASE("fields that an operator does not know, misses or cannot read are refused") {
    recorder().errors.clear();
    const auto refuses = [&](const char *what, const char *name, const std::vector<PluginField> &fields, std::initializer_list<const char *> words) {
        for (const auto phase : {nvinfer1::TensorRTPhase::kBUILD, nvinfer1::TensorRTPhase::kRUNTIME}) {
            recorder().errors.clear();
            std::vector<PluginField> given = fields;
            if (phase == nvinfer1::TensorRTPhase::kRUNTIME) given.push_back(int_field("library_revision", kOne));
            const bool refused = create(name, given, phase) == nullptr;
            expect_error(run, refused, what, words);
        }
    };
    refuses("missing", "SparseMoe", {}, {"tmoe::SparseMoe", "/model/node", "top_k", "missing"});
    refuses("missing", "FlashAttention", {int_field("num_heads", kTwo)}, {"kv_num_heads", "missing"});
    refuses("unknown", "SparseMoe", {int_field("top_k", kTwo), int_field("experts", kTwo)}, {"experts", "not known", "normalize_top_k"});
    refuses("unknown", "Linear", {int_field("top_k", kTwo)}, {"top_k", "none"});
    refuses("no name", "SparseMoe", {int_field(nullptr, kTwo)}, {"no name"});
    refuses("twice", "SparseMoe", {int_field("top_k", kTwo), int_field("top_k", kTwo)}, {"top_k", "twice"});
    refuses("a number for an integer", "SparseMoe", {float_field("top_k", kEpsilon)}, {"top_k", "INT32"});
    refuses("a word for an integer", "SparseMoe", {word_field("top_k", "2")}, {"top_k", "INT32"});
    refuses("an integer for a number", "AddRmsNorm", {int_field("epsilon", kOne)}, {"epsilon", "FLOAT32"});
    refuses("an integer for a word", "SparseMoe", {int_field("top_k", kTwo), int_field("activation", kOne)}, {"activation", "CHAR"});
    refuses("no data", "SparseMoe", {{"top_k", nullptr, PluginFieldType::kINT32, 1}}, {"top_k", "without data"});
    refuses("no data", "SparseMoe", {int_field("top_k", kTwo), {"activation", nullptr, PluginFieldType::kCHAR, 4}}, {"activation", "without data"});
    refuses("two of them", "SparseMoe", {{"top_k", &kTwo, PluginFieldType::kINT32, 2}}, {"top_k", "length 2"});
    refuses("negative length", "SparseMoe", {int_field("top_k", kTwo), {"activation", "silu", PluginFieldType::kCHAR, -4}}, {"activation", "length -4"});
    refuses("too large for 32 bits", "SparseMoe", {{"top_k", &kHuge, PluginFieldType::kINT64, 1}}, {"top_k", "32 bits"});
    refuses("zero", "SparseMoe", {int_field("top_k", kZero)}, {"top_k is 0", "1 to 256"});
    refuses("too many", "SparseMoe", {int_field("top_k", kMany)}, {"top_k is 257", "1 to 256"});
    refuses("no such word", "SparseMoe", {int_field("top_k", kTwo), word_field("activation", "swish")}, {"`swish`", "silu, gelu, gelu_pytorch_tanh, relu"});
    refuses("no such word", "SparseMoe", {int_field("top_k", kTwo), word_field("scoring", "tanh")}, {"scoring", "`tanh`", "softmax, sigmoid"});
    refuses("no such word", "FlashAttention", {int_field("num_heads", kTwo), int_field("kv_num_heads", kTwo), word_field("compute_type", "tf32")},
            {"compute_type", "`tf32`", "float32, bfloat16, float16"});
    refuses("empty word", "SparseMoe", {int_field("top_k", kTwo), word_field("activation", "")}, {"``", "silu"});
    refuses("heads", "FlashAttention", {int_field("num_heads", kThree), int_field("kv_num_heads", kTwo)}, {"kv_num_heads is 2", "divisor of num_heads, 3"});
    refuses("theta", "FlashAttention", {int_field("num_heads", kTwo), int_field("kv_num_heads", kTwo), float_field("rope_theta", kNegative)}, {"rope_theta is -1"});
    refuses("scale", "FlashAttention", {int_field("num_heads", kTwo), int_field("kv_num_heads", kTwo), float_field("scale", kNan)}, {"scale", "finite"});
    refuses("epsilon", "AddRmsNorm", {float_field("epsilon", kNegative)}, {"epsilon is -1"});
}

TMOE_CASE("an engine that another revision of the library built is refused") {
    const auto refuses = [&](const char *what, const std::vector<PluginField> &fields, std::initializer_list<const char *> words) {
        recorder().errors.clear();
        const bool refused = create("SparseMoe", fields, nvinfer1::TensorRTPhase::kRUNTIME) == nullptr;
        expect_error(run, refused, what, words);
    };
    const std::initializer_list<const char *> words = {"tmoe::SparseMoe", "/model/node", "revision 2 of libtmoe_trt_plugins.so", "expected revision 1", "build the engine again"};
    refuses("newer", {int_field("top_k", kTwo), int_field("library_revision", kTwo)}, words);
    refuses("newer, with an attribute that is not known", {int_field("top_k", kTwo), int_field("blocks", kTwo), int_field("library_revision", kTwo)}, words);
    refuses("none", {int_field("top_k", kTwo)}, {"an unknown revision", "expected revision 1"});
    refuses("no number", {int_field("top_k", kTwo), word_field("library_revision", "1")}, {"an unknown revision"});
    recorder().errors.clear();
    const bool refused = create("SparseMoe", {int_field("top_k", kTwo), int_field("library_revision", kOne)}) == nullptr;
    expect_error(run, refused, "an attribute of a node", {"library_revision", "not known"});
}

TMOE_CASE("a collection of fields that is not there is refused") {
    recorder().errors.clear();
    for (const auto &creator : tensorrt::creators()) {
        expect_error(run, creator->createPlugin("node", nullptr, nvinfer1::TensorRTPhase::kBUILD) == nullptr, "null", {"no plugin fields", "node"});
        const nvinfer1::PluginFieldCollection empty{3, nullptr}, negative{-1, nullptr};
        expect_error(run, creator->createPlugin(nullptr, &empty, nvinfer1::TensorRTPhase::kBUILD) == nullptr, "null", {"no plugin fields"});
        expect_error(run, creator->createPlugin("node", nullptr, nvinfer1::TensorRTPhase::kRUNTIME) == nullptr, "null in an engine", {"no plugin fields", "node"});
        expect_error(run, creator->createPlugin("node", &empty, nvinfer1::TensorRTPhase::kRUNTIME) == nullptr, "null in an engine", {"no plugin fields", "node"});
        expect_error(run, creator->createPlugin(nullptr, &negative, nvinfer1::TensorRTPhase::kBUILD) == nullptr, "negative", {"no plugin fields"});
    }
}

struct Example {
    const char *name;
    std::vector<PluginField> fields;
    std::vector<HostTensor> inputs;
};

std::vector<Example> examples() {
    const HostTensor q{DataType::kFLOAT, {2, 3, 16}}, cache{DataType::kFLOAT, {2, 2, 5, 8}}, x{DataType::kFLOAT, {2, 3, 16}};
    return {{"SparseMoe", {int_field("top_k", kTwo)}, {x, {DataType::kFLOAT, {2, 3, 4}}, {DataType::kFLOAT, {4, 16, 16}}, {DataType::kFLOAT, {4, 8, 16}}}},
            {"FlashAttention", {int_field("num_heads", kTwo), int_field("kv_num_heads", kTwo)}, {q, q, q, cache, cache, {DataType::kINT64, {2, 8}}}},
            {"Linear", {}, {x, {DataType::kHALF, {16, 8}}, {DataType::kFLOAT, {8}}}},
            {"AddRmsNorm", {float_field("epsilon", kEpsilon)}, {x, x, {DataType::kFLOAT, {16}}}},
            {"FlashAttention", {int_field("num_heads", kTwo), int_field("kv_num_heads", kTwo)}, {q, {DataType::kFLOAT, {2, 3, 32}}, cache, cache, {DataType::kINT64, {2, 8}}}},
            {"FlashAttention", {int_field("num_heads", kTwo), int_field("kv_num_heads", kTwo)}, {{DataType::kFLOAT, {2, 3, 48}}, cache, cache, {DataType::kINT64, {2, 8}}}},
            {"SparseMoe", {int_field("top_k", kTwo)}, {x, {DataType::kFLOAT, {2, 3, 4}}, {DataType::kFLOAT, {4, 16, 16}}, {DataType::kFLOAT, {4, 8, 16}}, x}}};
}

// configurePlugin and onShapeChange with the inputs; whether each of them refuses.
std::pair<bool, bool> refusals(const PluginPointer &plugin, const std::vector<HostTensor> &inputs) {
    std::vector<nvinfer1::DynamicPluginTensorDesc> bounds, outputs(std::size_t(build(plugin)->getNbOutputs()));
    std::vector<nvinfer1::PluginTensorDesc> descs, output_descs(outputs.size());
    for (const HostTensor &input : inputs) bounds.push_back(input.bounds()), descs.push_back(input.desc());
    const std::int32_t count = std::int32_t(inputs.size()), output_count = std::int32_t(outputs.size());
    const bool configured = build(plugin)->configurePlugin(bounds.data(), count, outputs.data(), output_count) == 0;
    if (!configured && build(plugin)->getWorkspaceSize(bounds.data(), count, outputs.data(), output_count) != 0) return {false, false};
    const bool shaped = runtime(plugin)->onShapeChange(descs.data(), count, output_descs.data(), output_count) == 0;
    return {!configured, !shaped};
}

TMOE_CASE("wrong shapes are refused when a plugin is configured and when shapes change") {
    for (const Example &example : examples()) {
        recorder().errors.clear();
        const PluginPointer plugin = create(example.name, example.fields);
        if (!run.expect(plugin != nullptr, "%s", recorder().errors.c_str())) continue;
        run.expect(refusals(plugin, example.inputs) == std::make_pair(false, false), "%s: refused: %s", example.name, recorder().errors.c_str());
        for (std::size_t i = 0; i < example.inputs.size(); ++i) {
            const auto refuses = [&](const char *what, const std::vector<std::int64_t> &sizes) {
                recorder().errors.clear();
                std::vector<HostTensor> inputs = example.inputs;
                inputs[i].sizes = sizes;
                const std::string name = std::string(example.name) + ", input " + std::to_string(i) + ", " + what;
                expect_error(run, refusals(plugin, inputs) == std::make_pair(true, true), name.c_str(), {"tmoe::", "expected"});
            };
            const std::vector<std::int64_t> &good = example.inputs[i].sizes;
            refuses("a scalar", {});
            std::vector<std::int64_t> bad = good;
            bad.insert(bad.begin(), nvinfer1::Dims::MAX_DIMS, 1);
            refuses("more axes than there can be", bad);
            bad = good;
            bad.back() = -1;
            refuses("an unknown size", bad);
            // Another length of a mask, or other rows of a cache, are upper bounds of their own.
            const bool attention = std::string(example.name) == "FlashAttention";
            if (!(attention && i + 1 == example.inputs.size())) {
                bad = good;
                bad.back() += 3;
                refuses("another last size", bad);
            }
            bad = good;
            bad[0] += 1;
            const bool only_rows = std::string(example.name) == "Linear" && i == 0;
            if (!only_rows) refuses("another first size", bad);
        }
    }
}

TMOE_CASE("a mask that fits neither the cache nor the new points is refused when shapes change") {
    const Example attention = examples()[1];
    const PluginPointer plugin = create(attention.name, attention.fields);
    for (const std::int64_t length : {2, 4, 7, 9}) {
        std::vector<HostTensor> inputs = attention.inputs;
        inputs[5].sizes = {2, length};
        recorder().errors.clear();
        const bool refused = refusals(plugin, inputs).second;
        // 4 points: one of 5 rows is filled before, and there is room for 3.
        if (length == 4) {
            run.expect(!refused, "%s", recorder().errors.c_str());
        } else {
            expect_error(run, refused, "mask", {"attention_mask is int64 [2, ", "[batch, past + sequence]", "sequence = 3", "5 rows"});
        }
    }
    std::vector<PluginField> fields = attention.fields;
    fields.push_back(int_field("preallocated_cache", kOne));
    const PluginPointer preallocated = create(attention.name, fields);
    recorder().errors.clear();
    expect_error(run, refusals(preallocated, attention.inputs).second, "a full cache", {"attention_mask", "at most as long as the cache of 5 rows"});
}

TMOE_CASE("more experts per token than experts are refused") {
    Example moe = examples()[0];
    const std::int32_t top_k = 5;
    const PluginPointer plugin = create(moe.name, {int_field("top_k", top_k)});
    recorder().errors.clear();
    expect_error(run, refusals(plugin, moe.inputs) == std::make_pair(true, true), "top_k", {"top_k is 5", "number of experts, 4"});
}

TMOE_CASE("types that the kernels do not have are refused") {
    for (const Example &example : examples()) {
        const PluginPointer plugin = create(example.name, example.fields);
        std::vector<DataType> outputs(std::size_t(build(plugin)->getNbOutputs()));
        for (std::size_t i = 0; i < example.inputs.size(); ++i)
            for (const DataType type : {DataType::kINT8, DataType::kINT32, DataType::kBOOL, DataType::kFP8}) {
                std::vector<HostTensor> inputs = example.inputs;
                inputs[i].type = type;
                std::vector<DataType> types;
                for (const HostTensor &input : inputs) types.push_back(input.type);
                recorder().errors.clear();
                const bool refused = build(plugin)->getOutputDataTypes(outputs.data(), std::int32_t(outputs.size()), types.data(), std::int32_t(types.size())) != 0;
                // Where all inputs are listed, those that may be left out are known by their ranks only.
                const bool known = !(example.inputs.size() == 6 && (i == 1 || i == 2));
                if (known) expect_error(run, refused, example.name, {"tmoe::", "expected"});
                expect_error(run, refusals(plugin, inputs) == std::make_pair(true, true), example.name, {"tmoe::", "expected"});
            }
    }
    const Example linear = examples()[2];
    const PluginPointer plugin = create(linear.name, linear.fields);
    DataType output;
    const DataType types[] = {DataType::kFLOAT, DataType::kINT8};
    expect_error(run, build(plugin)->getOutputDataTypes(&output, 1, types, 2) != 0, "int8", {"tmoe::Linear: weight is int8, expected float32, float16 or bfloat16"});
}

TMOE_CASE("other numbers of inputs and outputs, and null pointers, are refused") {
    for (const Example &example : examples()) {
        const PluginPointer plugin = create(example.name, example.fields);
        nvinfer1::IPluginV3OneBuildV2 &built = *build(plugin);
        const std::int32_t count = std::int32_t(example.inputs.size()), outputs = built.getNbOutputs();
        SizeBuilder builder;
        std::vector<nvinfer1::DimsExprs> in(9), out(9);
        std::vector<DataType> types(9, DataType::kFLOAT);
        std::vector<nvinfer1::DynamicPluginTensorDesc> bounds(18);
        std::vector<nvinfer1::PluginTensorDesc> descs(9);
        const auto refuses = [&](const char *what, bool refused) { expect_error(run, refused, what, {"tmoe::", "expected"}); };
        recorder().errors.clear();
        for (const std::int32_t wrong : {-1, 0, 1, 8}) {
            refuses("types", built.getOutputDataTypes(types.data(), outputs, types.data(), wrong) != 0);
            refuses("shapes", built.getOutputShapes(in.data(), wrong, nullptr, 0, out.data(), outputs, builder) != 0);
            refuses("formats", !built.supportsFormatCombination(0, bounds.data(), wrong, outputs));
            refuses("configure", built.configurePlugin(bounds.data(), wrong, bounds.data(), outputs) != 0);
            refuses("workspace", built.getWorkspaceSize(bounds.data(), wrong, bounds.data(), outputs) == 0);
            refuses("shape change", runtime(plugin)->onShapeChange(descs.data(), wrong, descs.data(), outputs) != 0);
        }
        refuses("outputs", built.getOutputDataTypes(types.data(), outputs + 1, types.data(), count) != 0);
        refuses("no types", built.getOutputDataTypes(nullptr, outputs, nullptr, count) != 0);
        refuses("no sizes", built.getOutputShapes(nullptr, count, nullptr, 0, nullptr, outputs, builder) != 0);
        refuses("no formats", !built.supportsFormatCombination(0, nullptr, count, outputs));
        refuses("no descriptions", built.configurePlugin(nullptr, count, nullptr, outputs) != 0);
        refuses("no workspace", built.getWorkspaceSize(nullptr, count, nullptr, outputs) == 0);
        refuses("no shapes", runtime(plugin)->onShapeChange(nullptr, count, nullptr, outputs) != 0);
        for (const std::int32_t position : {-1, count + outputs})
            expect_error(run, !built.supportsFormatCombination(position, bounds.data(), count, outputs), "position", {"does not exist"});
        expect_error(run, runtime(plugin)->enqueue(nullptr, nullptr, nullptr, nullptr, nullptr, nullptr) != 0, "enqueue", {"without descriptions"});
        const void *const inputs[9] = {};
        void *const addresses[9] = {};
        expect_error(run, runtime(plugin)->enqueue(descs.data(), descs.data(), inputs, addresses, nullptr, nullptr) != 0, "enqueue", {"before onShapeChange"});
        run.expect(plugin->getCapabilityInterface(nvinfer1::PluginCapabilityType(7)) == nullptr, "a capability that does not exist");
        run.expect(built.getAliasedInput(-1) == -1 && built.getAliasedInput(99) == -1, "an alias of an output that does not exist");
    }
}

TMOE_CASE("inputs that must be given, or cannot be, are named") {
    const Example attention = examples()[1], moe = examples()[0], linear = examples()[2];
    const HostTensor scale{DataType::kFLOAT, {4, 16}};
    const auto refuses = [&](const Example &example, const std::vector<HostTensor> &inputs, std::initializer_list<const char *> words) {
        const PluginPointer plugin = create(example.name, example.fields);
        recorder().errors.clear();
        expect_error(run, refusals(plugin, inputs) == std::make_pair(true, true), example.name, words);
    };
    std::vector<HostTensor> inputs = attention.inputs;
    inputs[1] = left_out();
    refuses(attention, inputs, {"v is given without k", "k (optional), v (optional), past_key"});
    inputs = attention.inputs;
    inputs[3] = left_out();
    refuses(attention, inputs, {"past_key is left out"});
    inputs = moe.inputs;
    inputs.insert(inputs.end(), {scale, scale});
    refuses(moe, inputs, {"6 inputs were given", "addend (optional)", "int8 weights"});
    inputs.push_back(moe.inputs[0]);
    refuses(moe, inputs, {"gate_up_scale is given", "int8 weights"});
    inputs = linear.inputs;
    inputs.push_back({DataType::kFLOAT, {8}});
    refuses(linear, inputs, {"scale is given", "int8 weights"});
}

TMOE_CASE("keys and values that are not side by side where they should be are refused") {
    const auto refuses = [&](std::size_t example, std::initializer_list<const char *> words) {
        Example attention = examples()[example];
        const PluginPointer plugin = create(attention.name, attention.fields);
        const std::size_t packed = example == 4 ? 1 : 0;
        attention.inputs[packed].sizes[2] = 16;
        recorder().errors.clear();
        expect_error(run, refusals(plugin, attention.inputs) == std::make_pair(true, true), "packed", words);
    };
    refuses(4, {"k is float32 [2, 3, 16]", "[batch, sequence, 4 x head_dim]", "for v is left out"});
    refuses(5, {"q is float32 [2, 3, 16]", "[batch, queries, 6 x head_dim]", "for k and v are left out"});
}

TMOE_CASE("symbolic shapes of other ranks are refused") {
    for (const Example &example : examples()) {
        const PluginPointer plugin = create(example.name, example.fields);
        SizeBuilder builder;
        std::vector<nvinfer1::DimsExprs> in(example.inputs.size()), out(std::size_t(build(plugin)->getNbOutputs()));
        recorder().errors.clear();
        const bool refused = build(plugin)->getOutputShapes(in.data(), std::int32_t(in.size()), nullptr, 0, out.data(), std::int32_t(out.size()), builder) != 0;
        expect_error(run, refused, example.name, {"tmoe::", "expected"});
    }
}

TMOE_CASE("enqueue without memory says so") {
    for (const Example &example : examples()) {
        Node node(run, example.name, example.fields, example.inputs);
        if (node.context() == nullptr) continue;
        std::vector<nvinfer1::PluginTensorDesc> in, out;
        for (const HostTensor &input : example.inputs) in.push_back(input.desc());
        for (const HostTensor &output : node.outputs()) out.push_back(output.desc());
        const void *const inputs[9] = {};
        void *const addresses[9] = {};
        run.expect(runtime(node.context())->onShapeChange(in.data(), std::int32_t(in.size()), out.data(), std::int32_t(out.size())) == 0, "%s", recorder().errors.c_str());
        recorder().errors.clear();
        expect_error(run, runtime(node.context())->enqueue(in.data(), out.data(), inputs, addresses, nullptr, nullptr) != 0, example.name,
                     {"tmoe::", "the kernel was not launched"});
    }
}

}  // namespace
}  // namespace tmoe::test
