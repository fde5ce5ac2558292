#include "plugin.h"

#include <algorithm>
#include <array>

#include "log.h"
#include "places.h"

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
    fields_.emplace_back(kRevisionField, &kRevision, nvinfer1::PluginFieldType::kINT32, 1);
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
        copy->places_ = places_;
        return copy.release();
    });
}

template <class RankOf>
Places Plugin::places_of(const void *inputs, std::int32_t count, RankOf rank_of) const {
    std::uint32_t absent = 0;
    const std::int32_t known = std::min(count, std::int32_t(spec_.inputs.size()));
    if (inputs != nullptr)
        for (std::int32_t i = 0; i < known; ++i) absent |= std::uint32_t(rank_of(i) < 0) << i;
    return find_places(spec_, inputs != nullptr ? count : 0, absent);
}

void Plugin::require_outputs(const void *outputs, std::int32_t count) const {
    if (outputs == nullptr || count != getNbOutputs())
        throw Refusal(std::to_string(outputs == nullptr ? 0 : count) + " outputs were asked for, expected " + std::to_string(getNbOutputs()));
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
        // Where all are listed, some may be left out, and have no type: their ranks will tell, when they are known.
        const bool all = input_count == std::int32_t(spec_.inputs.size());
        const auto presence = [&](std::int32_t input) { return spec_.inputs[std::size_t(input)].presence; };
        const Places places = places_of(inputs, input_count, [&](std::int32_t input) { return all && presence(input) == Presence::Never ? -1 : 0; });
        require_outputs(outputs, output_count);
        for (std::size_t i = 0; i < spec_.inputs.size(); ++i) {
            const bool known = places[i] != kLeftOut && (!all || spec_.inputs[i].presence == Presence::Required);
            if (known) require_type(i, inputs[places[i]]);
        }
        for (std::size_t i = 0; i < spec_.outputs.size(); ++i) {
            const TypeRule &rule = spec_.outputs[i].rule;
            outputs[i] = rule.kind == TypeRule::As ? inputs[places[std::size_t(rule.input)]] : rule.type;
        }
        return kDone;
    });
}

std::int32_t Plugin::getOutputShapes(const nvinfer1::DimsExprs *inputs, std::int32_t input_count, const nvinfer1::DimsExprs *, std::int32_t,
                                     nvinfer1::DimsExprs *outputs, std::int32_t output_count, nvinfer1::IExprBuilder &builder) noexcept {
    return guarded(spec_.name, kFailed, [&] {
        const Places places = places_of(inputs, input_count, [&](std::int32_t input) { return inputs[input].nbDims; });
        require_outputs(outputs, output_count);
        std::array<const nvinfer1::DimsExprs *, kMaxInputs> shapes{};
        for (std::size_t i = 0; i < spec_.inputs.size(); ++i) {
            if (places[i] == kLeftOut) continue;
            const Port &port = spec_.inputs[i];
            shapes[i] = &inputs[places[i]];
            if (!port.takes_rank(shapes[i]->nbDims))
                throw Refusal(std::string(port.name) + " has " + std::to_string(shapes[i]->nbDims) + " axes, expected " + port.layout);
        }
        operator_->output_shapes(shapes.data(), outputs, builder);
        remember(input_count, places);
        return kDone;
    });
}

bool Plugin::supportsFormatCombination(std::int32_t position, const nvinfer1::DynamicPluginTensorDesc *tensors, std::int32_t input_count,
                                       std::int32_t output_count) noexcept {
    return guarded(spec_.name, false, [&] {
        const Places places = places_of(tensors, input_count, [&](std::int32_t input) { return tensors[input].desc.dims.nbDims; });
        require_outputs(tensors, output_count);
        if (position < 0 || position >= input_count + output_count) throw Refusal("tensor " + std::to_string(position) + " does not exist");
        const PluginTensorDesc &desc = tensors[position].desc;
        if (desc.format != nvinfer1::TensorFormat::kLINEAR) return false;
        const std::size_t number = std::size_t(std::find(places.begin(), places.end(), position) - places.begin());
        if (position < input_count && number == places.size()) return true;    // one that is left out
        const Port &port = position < input_count ? spec_.inputs[number] : spec_.outputs[std::size_t(position - input_count)];
        return allows(port.rule, desc.type, [&](std::int32_t input) { return tensors[places[std::size_t(input)]].desc.type; });
    });
}

void Plugin::remember(std::int32_t input_count, const Places &places) {
    input_count_ = input_count;
    places_ = places;
}

Tensors Plugin::checked(const PluginTensorDesc *inputs, std::int32_t count) const {
    const Tensors tensors(inputs, places_of(inputs, count, [&](std::int32_t input) { return inputs[input].dims.nbDims; }), input_names_.data());
    for (std::int32_t i = 0; i < std::int32_t(spec_.inputs.size()); ++i) {
        if (!tensors.has(i)) continue;
        const Port &port = spec_.inputs[std::size_t(i)];
        const nvinfer1::Dims &dims = tensors[i].dims;
        require_type(std::size_t(i), tensors[i].type);
        tensors.require(port.takes_rank(dims.nbDims), i, port.layout);
        for (std::int32_t axis = 0; axis < dims.nbDims; ++axis) tensors.require(dims.d[axis] >= 0, i, port.layout);
    }
    return tensors;
}

Tensors Plugin::upper_bounds(const nvinfer1::DynamicPluginTensorDesc *inputs, std::int32_t count, std::vector<PluginTensorDesc> *bounds) const {
    for (std::int32_t i = 0; inputs != nullptr && i < count && i < std::int32_t(spec_.inputs.size()); ++i) {
        bounds->push_back(inputs[i].desc);
        bounds->back().dims = inputs[i].max;
    }
    return checked(inputs != nullptr ? bounds->data() : nullptr, count);
}

std::int32_t Plugin::configurePlugin(const nvinfer1::DynamicPluginTensorDesc *inputs, std::int32_t input_count,
                                     const nvinfer1::DynamicPluginTensorDesc *outputs, std::int32_t output_count) noexcept {
    return guarded(spec_.name, kFailed, [&] {
        std::vector<PluginTensorDesc> bounds;
        const Tensors tensors = upper_bounds(inputs, input_count, &bounds);
        require_outputs(outputs, output_count);
        operator_->check(tensors, true);
        remember(input_count, tensors.places());
        return kDone;
    });
}

std::size_t Plugin::getWorkspaceSize(const nvinfer1::DynamicPluginTensorDesc *inputs, std::int32_t input_count,
                                     const nvinfer1::DynamicPluginTensorDesc *outputs, std::int32_t output_count) const noexcept {
    return guarded(spec_.name, std::size_t(0), [&] {
        std::vector<PluginTensorDesc> bounds;
        const Tensors tensors = upper_bounds(inputs, input_count, &bounds);
        require_outputs(outputs, output_count);
        return operator_->largest_workspace(tensors);
    });
}

std::int32_t Plugin::getAliasedInput(std::int32_t output) noexcept {
    // Until TensorRT has told which inputs there are, nothing is shared: then the cache is copied, and results are the same.
    const std::int32_t input = operator_->aliased_input(output);
    return input < 0 || input_count_ == 0 ? -1 : places_[std::size_t(input)];
}

std::int32_t Plugin::onShapeChange(const PluginTensorDesc *inputs, std::int32_t input_count, const PluginTensorDesc *outputs,
                                   std::int32_t output_count) noexcept {
    return guarded(spec_.name, kFailed, [&] {
        const Tensors tensors = checked(inputs, input_count);
        require_outputs(outputs, output_count);
        operator_->check(tensors, false);
        remember(input_count, tensors.places());
        return kDone;
    });
}

std::int32_t Plugin::enqueue(const PluginTensorDesc *input_descs, const PluginTensorDesc *output_descs, const void *const *inputs, void *const *outputs,
                             void *workspace, cudaStream_t stream) noexcept {
    return guarded(spec_.name, kFailed, [&] {
        if (input_descs == nullptr || output_descs == nullptr || inputs == nullptr || outputs == nullptr)
            throw Refusal("tensors without descriptions or addresses were given");
        if (input_count_ == 0) throw Refusal("enqueue was called before onShapeChange, which says how many inputs there are");
        const Tensors tensors = checked(input_descs, input_count_);
        std::array<const void *, kMaxInputs> addresses{};
        for (std::size_t i = 0; i < spec_.inputs.size(); ++i)
            if (tensors.has(std::int32_t(i))) addresses[i] = inputs[tensors.places()[i]];
        const tmoe_status status = operator_->launch(tensors, addresses.data(), outputs, workspace, stream);
        if (status != TMOE_OK) throw Refusal(std::string("the kernel was not launched: ") + tmoe_status_text(status));
        return kDone;
    });
}

nvinfer1::IPluginV3 *Plugin::attachToContext(nvinfer1::IPluginResourceContext *) noexcept { return clone(); }

const nvinfer1::PluginFieldCollection *Plugin::getFieldsToSerialize() noexcept { return &collection_; }

}  // namespace tmoe::tensorrt
