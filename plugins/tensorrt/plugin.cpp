#include "plugin.h"

#include "log.h"

namespace tmoe::tensorrt {

using nvinfer1::DataType;
using nvinfer1::PluginTensorDesc;

namespace {

constexpr std::int32_t kDone = 0, kFailed = 1;

std::string rule_text(const OperatorSpec &spec, const TypeRule &rule) {
    switch (rule.kind) {
        case TypeRule::AnyFloat: return "float32, float16 or bfloat16";
        case TypeRule::Exactly: return type_name(rule.type);
        default: return std::string("the type of ") + spec.inputs[std::size_t(rule.input)].name;
    }
}

// `types` of the inputs before it.
template <class TypeOf>
bool allows(const TypeRule &rule, DataType type, TypeOf type_of) {
    switch (rule.kind) {
        case TypeRule::AnyFloat: return is_float(type);
        case TypeRule::Exactly: return type == rule.type;
        default: return type == type_of(rule.input);
    }
}

}  // namespace

Plugin::Plugin(const OperatorSpec &spec, const char *name_space, const Attributes &attributes)
    : spec_(spec), namespace_(name_space), attributes_(attributes), operator_(spec.make(attributes_)), text_(attributes_.text()) {
    for (const Port &input : spec_.inputs) input_names_.push_back(input.name);
    fields_ = attributes_.fields();
    collection_ = {std::int32_t(fields_.size()), fields_.data()};
}

nvinfer1::IPluginCapability *Plugin::getCapabilityInterface(nvinfer1::PluginCapabilityType type) noexcept {
    switch (type) {
        case nvinfer1::PluginCapabilityType::kCORE: return static_cast<nvinfer1::IPluginV3OneCore *>(this);
        case nvinfer1::PluginCapabilityType::kBUILD: return static_cast<nvinfer1::IPluginV3OneBuildV2 *>(this);
        case nvinfer1::PluginCapabilityType::kRUNTIME: return static_cast<nvinfer1::IPluginV3OneRuntime *>(this);
        default: return nullptr;
    }
}

nvinfer1::IPluginV3 *Plugin::clone() noexcept {
    return guarded<nvinfer1::IPluginV3 *>(spec_.name, nullptr, [&] {
        auto copy = std::make_unique<Plugin>(spec_, namespace_, attributes_);
        copy->input_count_ = input_count_;
        return copy.release();
    });
}

void Plugin::require_counts(const void *inputs, std::int32_t input_count, const void *outputs, std::int32_t output_count) const {
    std::size_t least = 0;
    for (const Port &input : spec_.inputs) least += input.optional ? 0 : 1;
    if (inputs == nullptr || input_count < std::int32_t(least) || input_count > std::int32_t(spec_.inputs.size())) {
        std::string names;
        for (const Port &input : spec_.inputs) names += (names.empty() ? "" : ", ") + std::string(input.name) + (input.optional ? " (optional)" : "");
        throw Refusal(std::to_string(inputs == nullptr ? 0 : input_count) + " inputs were given, expected " + names);
    }
    if (outputs == nullptr || output_count != getNbOutputs())
        throw Refusal(std::to_string(outputs == nullptr ? 0 : output_count) + " outputs were asked for, expected " + std::to_string(getNbOutputs()));
}

void Plugin::require_type(std::size_t input, DataType type) const {
    // Which of the types of floats comes in the end is a matter of supportsFormatCombination: TensorRT converts.
    const Port &port = spec_.inputs[input];
    const bool takes_floats = port.rule.kind != TypeRule::Exactly || is_float(port.rule.type);
    if (takes_floats ? !is_float(type) : type != port.rule.type)
        throw Refusal(std::string(port.name) + " is " + type_name(type) + ", expected " + rule_text(spec_, port.rule));
}

std::int32_t Plugin::getOutputDataTypes(DataType *outputs, std::int32_t output_count, const DataType *inputs, std::int32_t input_count) const noexcept {
    return guarded(spec_.name, kFailed, [&] {
        require_counts(inputs, input_count, outputs, output_count);
        for (std::size_t i = 0; i < std::size_t(input_count); ++i) require_type(i, inputs[i]);
        for (std::size_t i = 0; i < spec_.outputs.size(); ++i) {
            const TypeRule &rule = spec_.outputs[i].rule;
            outputs[i] = rule.kind == TypeRule::As ? inputs[rule.input] : rule.type;
        }
        return kDone;
    });
}

std::int32_t Plugin::getOutputShapes(const nvinfer1::DimsExprs *inputs, std::int32_t input_count, const nvinfer1::DimsExprs *, std::int32_t,
                                     nvinfer1::DimsExprs *outputs, std::int32_t output_count, nvinfer1::IExprBuilder &builder) noexcept {
    return guarded(spec_.name, kFailed, [&] {
        require_counts(inputs, input_count, outputs, output_count);
        for (std::int32_t i = 0; i < input_count; ++i) {
            const Port &port = spec_.inputs[std::size_t(i)];
            if (!port.takes_rank(inputs[i].nbDims))
                throw Refusal(std::string(port.name) + " has " + std::to_string(inputs[i].nbDims) + " axes, expected " + port.layout);
        }
        operator_->output_shapes(inputs, outputs, builder);
        return kDone;
    });
}

bool Plugin::supportsFormatCombination(std::int32_t position, const nvinfer1::DynamicPluginTensorDesc *tensors, std::int32_t input_count,
                                       std::int32_t output_count) noexcept {
    return guarded(spec_.name, false, [&] {
        require_counts(tensors, input_count, tensors, output_count);
        if (position < 0 || position >= input_count + output_count) throw Refusal("tensor " + std::to_string(position) + " does not exist");
        const Port &port = position < input_count ? spec_.inputs[std::size_t(position)] : spec_.outputs[std::size_t(position - input_count)];
        const PluginTensorDesc &desc = tensors[position].desc;
        return desc.format == nvinfer1::TensorFormat::kLINEAR &&
               allows(port.rule, desc.type, [&](std::int32_t input) { return tensors[input].desc.type; });
    });
}

Tensors Plugin::checked(const PluginTensorDesc *inputs, std::int32_t count) const {
    const Tensors tensors(inputs, input_names_.data(), count);
    for (std::int32_t i = 0; i < count; ++i) {
        const Port &port = spec_.inputs[std::size_t(i)];
        const nvinfer1::Dims &dims = inputs[i].dims;
        require_type(std::size_t(i), inputs[i].type);
        tensors.require(port.takes_rank(dims.nbDims), i, port.layout);
        for (std::int32_t axis = 0; axis < dims.nbDims; ++axis) tensors.require(dims.d[axis] >= 0, i, port.layout);
    }
    return tensors;
}

Tensors Plugin::upper_bounds(const nvinfer1::DynamicPluginTensorDesc *inputs, std::int32_t count, std::vector<PluginTensorDesc> *bounds) const {
    for (std::int32_t i = 0; i < count; ++i) {
        bounds->push_back(inputs[i].desc);
        bounds->back().dims = inputs[i].max;
    }
    return checked(bounds->data(), count);
}

std::int32_t Plugin::configurePlugin(const nvinfer1::DynamicPluginTensorDesc *inputs, std::int32_t input_count,
                                     const nvinfer1::DynamicPluginTensorDesc *outputs, std::int32_t output_count) noexcept {
    return guarded(spec_.name, kFailed, [&] {
        require_counts(inputs, input_count, outputs, output_count);
        std::vector<PluginTensorDesc> bounds;
        operator_->check(upper_bounds(inputs, input_count, &bounds), true);
        input_count_ = input_count;
        return kDone;
    });
}

std::size_t Plugin::getWorkspaceSize(const nvinfer1::DynamicPluginTensorDesc *inputs, std::int32_t input_count,
                                     const nvinfer1::DynamicPluginTensorDesc *outputs, std::int32_t output_count) const noexcept {
    return guarded(spec_.name, std::size_t(0), [&] {
        require_counts(inputs, input_count, outputs, output_count);
        std::vector<PluginTensorDesc> bounds;
        return operator_->largest_workspace(upper_bounds(inputs, input_count, &bounds));
    });
}

std::int32_t Plugin::getAliasedInput(std::int32_t output) noexcept { return operator_->aliased_input(output); }

std::int32_t Plugin::onShapeChange(const PluginTensorDesc *inputs, std::int32_t input_count, const PluginTensorDesc *outputs,
                                   std::int32_t output_count) noexcept {
    return guarded(spec_.name, kFailed, [&] {
        require_counts(inputs, input_count, outputs, output_count);
        operator_->check(checked(inputs, input_count), false);
        input_count_ = input_count;
        return kDone;
    });
}

std::int32_t Plugin::enqueue(const PluginTensorDesc *input_descs, const PluginTensorDesc *output_descs, const void *const *inputs, void *const *outputs,
                             void *workspace, cudaStream_t stream) noexcept {
    return guarded(spec_.name, kFailed, [&] {
        if (input_descs == nullptr || output_descs == nullptr || inputs == nullptr || outputs == nullptr)
            throw Refusal("tensors without descriptions or addresses were given");
        if (input_count_ == 0) throw Refusal("enqueue was called before onShapeChange, which says how many inputs there are");
        const tmoe_status status = operator_->launch(checked(input_descs, input_count_), inputs, outputs, workspace, stream);
        if (status != TMOE_OK) throw Refusal(std::string("the kernel was not launched: ") + tmoe_status_text(status));
        return kDone;
    });
}

nvinfer1::IPluginV3 *Plugin::attachToContext(nvinfer1::IPluginResourceContext *) noexcept { return clone(); }

const nvinfer1::PluginFieldCollection *Plugin::getFieldsToSerialize() noexcept { return &collection_; }

}  // namespace tmoe::tensorrt
