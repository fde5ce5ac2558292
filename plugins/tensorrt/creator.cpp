#include "creator.h"

#include <cstring>
#include <string>

#include "log.h"
#include "plugin.h"

namespace tmoe::tensorrt {
namespace {

nvinfer1::PluginFieldType field_type(AttributeKind kind) {
    return kind == AttributeKind::Int     ? nvinfer1::PluginFieldType::kINT32
           : kind == AttributeKind::Float ? nvinfer1::PluginFieldType::kFLOAT32
                                          : nvinfer1::PluginFieldType::kCHAR;
}

// The fields of an engine without the revision that it was built with, which has to be this one.
std::vector<nvinfer1::PluginField> of_this_revision(const nvinfer1::PluginFieldCollection &fields) {
    std::vector<nvinfer1::PluginField> others;
    std::string found = "an unknown revision";
    for (std::int32_t i = 0; i < fields.nbFields; ++i) {
        const nvinfer1::PluginField &field = fields.fields[i];
        if (field.name == nullptr || std::strcmp(field.name, kRevisionField) != 0) {
            others.push_back(field);
        } else if (field.type == nvinfer1::PluginFieldType::kINT32 && field.length == 1 && field.data != nullptr) {
            std::int32_t revision;
            std::memcpy(&revision, field.data, sizeof revision);
            found = "revision " + std::to_string(revision);
        }
    }
    const std::string own = "revision " + std::to_string(kRevision);
    if (found != own)
        throw Refusal("the engine was built with " + found + " of libtmoe_trt_plugins.so, expected " + own +
                      ": build the engine again with this library, or load the one that it was built with");
    return others;
}

}  // namespace

Creator::Creator(const OperatorSpec &spec, const char *name_space) : spec_(spec), namespace_(name_space) {
    for (const AttributeSpec &attribute : spec_.attributes) fields_.emplace_back(attribute.name, nullptr, field_type(attribute.kind), 1);
    collection_ = {std::int32_t(fields_.size()), fields_.data()};
}

nvinfer1::IPluginV3 *Creator::createPlugin(const char *name, const nvinfer1::PluginFieldCollection *fields, nvinfer1::TensorRTPhase phase) noexcept {
    return guarded<nvinfer1::IPluginV3 *>(spec_.name, nullptr, [&]() -> nvinfer1::IPluginV3 * {
        try {
            const bool readable = fields != nullptr && fields->nbFields >= 0 && (fields->nbFields == 0 || fields->fields != nullptr);
            if (phase != nvinfer1::TensorRTPhase::kRUNTIME || !readable)
                return std::make_unique<Plugin>(spec_, namespace_, Attributes(spec_.attributes, fields)).release();
            const std::vector<nvinfer1::PluginField> attributes = of_this_revision(*fields);
            const nvinfer1::PluginFieldCollection collection{std::int32_t(attributes.size()), attributes.data()};
            return std::make_unique<Plugin>(spec_, namespace_, Attributes(spec_.attributes, &collection)).release();
        } catch (const Refusal &refusal) {
            throw Refusal((name != nullptr && *name != 0 ? "node " + std::string(name) + ": " : "") + refusal.what());
        }
    });
}

const char *Creator::getPluginVersion() const noexcept { return kPluginVersion; }

const std::vector<std::unique_ptr<Creator>> &creators() {
    // Registries hold pointers to them until the process has ended.
    static const auto *const all = [] {
        auto *const list = new std::vector<std::unique_ptr<Creator>>;
        for (const char *name_space : {"", "tmoe"})
            for (const OperatorSpec *spec : {&sparse_moe_spec(), &flash_attention_spec(), &linear_spec(), &add_rms_norm_spec()})
                list->push_back(std::make_unique<Creator>(*spec, name_space));
        return list;
    }();
    return *all;
}

}  // namespace tmoe::tensorrt
