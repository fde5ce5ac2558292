// The part of a host, without TensorRT: a logger, symbolic sizes, and a walk of one node through the whole interface of its plugin.
#pragma once

#include <NvInferRuntime.h>

#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "creator.h"
#include "log.h"
#include "support/test.h"

namespace tmoe::test {

using nvinfer1::DataType;
using nvinfer1::PluginField;
using nvinfer1::PluginFieldType;

// Keeps what plugins say.
class Recorder final : public nvinfer1::ILogger {
public:
    void log(Severity severity, const char *message) noexcept override {
        if (severity <= Severity::kERROR) errors += std::string(message) + "\n";
    }
    std::string errors;
};

inline Recorder &recorder() {
    static Recorder only;
    tensorrt::set_logger_source([]() -> nvinfer1::ILogger * { return &only; });
    return only;
}

// A constant, or a name with the value that it has in the end; or an operation on two of them.
class Size final : public nvinfer1::IDimensionExpr, private nvinfer1::apiv::VDimensionExpr {
public:
    Size(bool constant, std::int64_t value) : value(value), constant_(constant) { mImpl = this; }
    const std::int64_t value;

private:
    bool isConstant() const override { return constant_; }
    std::int64_t getConstantValue() const override { return constant_ ? value : INT64_MIN; }
    bool isSizeTensor() const override { return false; }
    bool constant_;
};

class SizeBuilder final : public nvinfer1::IExprBuilder, private nvinfer1::apiv::VExprBuilder {
public:
    SizeBuilder() { mImpl = this; }
    const Size *make(bool constant, std::int64_t value) {
        sizes_.push_back(std::make_unique<Size>(constant, value));
        return sizes_.back().get();
    }

private:
    const nvinfer1::IDimensionExpr *constant(std::int64_t value) override { return make(true, value); }
    const nvinfer1::IDimensionExpr *operation(nvinfer1::DimensionOperation operation, const nvinfer1::IDimensionExpr &first,
                                              const nvinfer1::IDimensionExpr &second) override {
        const std::int64_t a = static_cast<const Size &>(first).value, b = static_cast<const Size &>(second).value;
        const bool constant = first.isConstant() && second.isConstant();
        switch (operation) {
            case nvinfer1::DimensionOperation::kSUM: return make(constant, a + b);
            case nvinfer1::DimensionOperation::kPROD: return make(constant, a * b);
            case nvinfer1::DimensionOperation::kMAX: return make(constant, a > b ? a : b);
            case nvinfer1::DimensionOperation::kMIN: return make(constant, a < b ? a : b);
            case nvinfer1::DimensionOperation::kSUB: return make(constant, a - b);
            default: return nullptr;
        }
    }
    const nvinfer1::IDimensionExpr *declareSizeTensor(std::int32_t, const nvinfer1::IDimensionExpr &, const nvinfer1::IDimensionExpr &) override {
        return nullptr;
    }
    std::vector<std::unique_ptr<Size>> sizes_;
};

// Where there are more sizes than TensorRT has room for, only their number is told.
inline nvinfer1::Dims dims_of(const std::vector<std::int64_t> &sizes) {
    nvinfer1::Dims dims{};
    dims.nbDims = std::int32_t(sizes.size());
    for (std::size_t i = 0; i < sizes.size() && i < nvinfer1::Dims::MAX_DIMS; ++i) dims.d[i] = sizes[i];
    return dims;
}

struct HostTensor {
    DataType type;
    std::vector<std::int64_t> sizes;
    const void *data = nullptr;
    std::vector<std::int64_t> most = {};    // upper bounds, if they are not the sizes
    bool left_out = false;

    nvinfer1::PluginTensorDesc desc() const {
        nvinfer1::PluginTensorDesc desc{dims_of(sizes), type, nvinfer1::TensorFormat::kLINEAR, -1.0f};
        if (left_out) desc.dims.nbDims = -1;
        return desc;
    }
    nvinfer1::DynamicPluginTensorDesc bounds() const {
        nvinfer1::DynamicPluginTensorDesc bounds{};
        bounds.desc = desc();
        for (auto &size : bounds.desc.dims.d) size = -1;
        bounds.min = bounds.opt = dims_of(sizes);
        bounds.max = dims_of(most.empty() ? sizes : most);
        if (left_out) bounds.min.nbDims = bounds.opt.nbDims = bounds.max.nbDims = -1;
        return bounds;
    }
};

// An input that a node leaves out, where a host lists it all the same.
inline HostTensor left_out() {
    HostTensor tensor{DataType::kINT32, {}};
    tensor.left_out = true;
    return tensor;
}

inline DataType data_type(tmoe_type type) { return type == TMOE_FLOAT32 ? DataType::kFLOAT : type == TMOE_FLOAT16 ? DataType::kHALF : DataType::kBF16; }

inline PluginField int_field(const char *name, const std::int32_t &value) { return {name, &value, PluginFieldType::kINT32, 1}; }
inline PluginField float_field(const char *name, const float &value) { return {name, &value, PluginFieldType::kFLOAT32, 1}; }
inline PluginField word_field(const char *name, const char *word) { return {name, word, PluginFieldType::kCHAR, std::int32_t(std::strlen(word))}; }

using PluginPointer = std::unique_ptr<nvinfer1::IPluginV3>;

template <class Capability>
Capability *capability(const PluginPointer &plugin, nvinfer1::PluginCapabilityType type) {
    return static_cast<Capability *>(plugin->getCapabilityInterface(type));
}
inline nvinfer1::IPluginV3OneCore *core(const PluginPointer &plugin) {
    return capability<nvinfer1::IPluginV3OneCore>(plugin, nvinfer1::PluginCapabilityType::kCORE);
}
inline nvinfer1::IPluginV3OneBuildV2 *build(const PluginPointer &plugin) {
    return capability<nvinfer1::IPluginV3OneBuildV2>(plugin, nvinfer1::PluginCapabilityType::kBUILD);
}
inline nvinfer1::IPluginV3OneRuntime *runtime(const PluginPointer &plugin) {
    return capability<nvinfer1::IPluginV3OneRuntime>(plugin, nvinfer1::PluginCapabilityType::kRUNTIME);
}

inline nvinfer1::IPluginCreatorV3One *find_creator(const std::string &name, const std::string &name_space = "") {
    for (const auto &creator : tensorrt::creators())
        if (creator->getPluginName() == name && creator->getPluginNamespace() == name_space) return creator.get();
    return nullptr;
}

inline PluginPointer create(const char *name, const std::vector<PluginField> &fields, nvinfer1::TensorRTPhase phase = nvinfer1::TensorRTPhase::kBUILD,
                            const char *name_space = "") {
    const nvinfer1::PluginFieldCollection collection{std::int32_t(fields.size()), fields.data()};
    nvinfer1::IPluginCreatorV3One *const creator = find_creator(name, name_space);
    return PluginPointer(creator == nullptr ? nullptr : creator->createPlugin("/model/node", &collection, phase));
}

// A node from its fields to a context that can be enqueued, as an engine is built, written, read and run.
class Node {
public:
    Node(Run &run, const char *name, const std::vector<PluginField> &fields, std::vector<HostTensor> inputs, const char *name_space = "")
        : run_(run), inputs_(std::move(inputs)) {
        recorder().errors.clear();
        const PluginPointer made = create(name, fields, nvinfer1::TensorRTPhase::kBUILD, name_space);
        if (!run.expect(made != nullptr, "%s: no plugin: %s", name, recorder().errors.c_str())) return;
        const PluginPointer plugin(made->clone());
        run.expect(std::string(core(plugin)->getPluginName()) == name && std::string(core(plugin)->getPluginVersion()) == "1" &&
                       std::string(core(plugin)->getPluginNamespace()) == name_space,
                   "%s: the plugin is %s, version %s, namespace %s", name, core(plugin)->getPluginName(), core(plugin)->getPluginVersion(),
                   core(plugin)->getPluginNamespace());
        if (!infer(*build(plugin)) || !configure(*build(plugin))) return;
        // A clone knows what its original was told.
        const PluginPointer copy(plugin->clone());
        for (std::size_t i = 0; i < outputs_.size(); ++i) aliases_.push_back(build(copy)->getAliasedInput(std::int32_t(i)));
        deserialize(name, name_space, *runtime(plugin), build(plugin)->getMetadataString());
    }

    // Types and sizes; no data.
    const std::vector<HostTensor> &outputs() const { return outputs_; }
    const std::vector<std::int32_t> &aliases() const { return aliases_; }
    std::size_t workspace() const { return workspace_; }
    const PluginPointer &context() const { return context_; }

    bool enqueue(const std::vector<void *> &outputs) {
        if (context_ == nullptr) return false;
        std::vector<nvinfer1::PluginTensorDesc> in, out;
        std::vector<const void *> data;
        for (const HostTensor &input : inputs_) in.push_back(input.desc()), data.push_back(input.data);
        for (const HostTensor &output : outputs_) out.push_back(output.desc());
        const DeviceBuffer<unsigned char> workspace(workspace_);
        const bool shaped = runtime(context_)->onShapeChange(in.data(), std::int32_t(in.size()), out.data(), std::int32_t(out.size())) == 0;
        const bool done = shaped && runtime(context_)->enqueue(in.data(), out.data(), data.data(), outputs.data(), workspace.data(), nullptr) == 0;
        if (done) require_cuda(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
        return run_.expect(done, "enqueue: %s", recorder().errors.c_str());
    }

private:
    bool infer(nvinfer1::IPluginV3OneBuildV2 &plugin) {
        const std::size_t count = std::size_t(plugin.getNbOutputs());
        std::vector<DataType> in, out(count);
        SizeBuilder builder;
        std::vector<nvinfer1::DimsExprs> in_sizes, out_sizes(count);
        for (const HostTensor &input : inputs_) {
            in.push_back(input.type);
            nvinfer1::DimsExprs sizes{};
            sizes.nbDims = input.left_out ? -1 : std::int32_t(input.sizes.size());
            for (std::size_t axis = 0; axis < input.sizes.size(); ++axis) sizes.d[axis] = builder.make(false, input.sizes[axis]);
            in_sizes.push_back(sizes);
        }
        const std::int32_t inputs = std::int32_t(in.size()), outputs = std::int32_t(count);
        if (!run_.expect(plugin.getOutputDataTypes(out.data(), outputs, in.data(), inputs) == 0 &&
                             plugin.getOutputShapes(in_sizes.data(), inputs, nullptr, 0, out_sizes.data(), outputs, builder) == 0,
                         "outputs: %s", recorder().errors.c_str()))
            return false;
        for (std::size_t i = 0; i < count; ++i) {
            HostTensor output{out[i], {}};
            for (std::int32_t axis = 0; axis < out_sizes[i].nbDims; ++axis) output.sizes.push_back(static_cast<const Size *>(out_sizes[i].d[axis])->value);
            outputs_.push_back(output);
        }
        return true;
    }

    bool configure(nvinfer1::IPluginV3OneBuildV2 &plugin) {
        std::vector<nvinfer1::DynamicPluginTensorDesc> all;
        for (const HostTensor &input : inputs_) all.push_back(input.bounds());
        for (const HostTensor &output : outputs_) all.push_back(output.bounds());
        const std::int32_t inputs = std::int32_t(inputs_.size()), outputs = std::int32_t(outputs_.size());
        for (std::int32_t i = 0; i < inputs + outputs; ++i)
            run_.expect(plugin.supportsFormatCombination(i, all.data(), inputs, outputs), "format of tensor %d", i);
        const nvinfer1::DynamicPluginTensorDesc *const first_output = all.data() + inputs;
        if (!run_.expect(plugin.configurePlugin(all.data(), inputs, first_output, outputs) == 0, "configure: %s", recorder().errors.c_str())) return false;
        workspace_ = plugin.getWorkspaceSize(all.data(), inputs, first_output, outputs);
        return true;
    }

    // The fields are copied: an engine that is read has no plugin of the build phase.
    void deserialize(const char *name, const char *name_space, nvinfer1::IPluginV3OneRuntime &plugin, const std::string &text) {
        const nvinfer1::PluginFieldCollection &written = *plugin.getFieldsToSerialize();
        std::vector<std::vector<unsigned char>> bytes;
        std::vector<PluginField> fields;
        for (std::int32_t i = 0; i < written.nbFields; ++i) {
            const PluginField &field = written.fields[i];
            const std::size_t width = field.type == PluginFieldType::kCHAR ? 1 : 4;
            const unsigned char *const from = static_cast<const unsigned char *>(field.data);
            bytes.emplace_back(from, from + std::size_t(field.length) * width);
            fields.emplace_back(field.name, bytes.back().data(), field.type, field.length);
        }
        const PluginPointer read = create(name, fields, nvinfer1::TensorRTPhase::kRUNTIME, name_space);
        if (!run_.expect(read != nullptr, "deserialize: %s", recorder().errors.c_str())) return;
        run_.expect(build(read)->getMetadataString() == text, "%s became %s", text.c_str(), build(read)->getMetadataString());
        context_.reset(runtime(PluginPointer(read->clone()))->attachToContext(nullptr));
        run_.expect(context_ != nullptr, "attachToContext: %s", recorder().errors.c_str());
    }

    Run &run_;
    std::vector<HostTensor> inputs_, outputs_;
    std::vector<std::int32_t> aliases_;
    std::size_t workspace_ = 0;
    PluginPointer context_;
};

}  // namespace tmoe::test
