#include "creator.h"

#include "log.h"
#include "plugin.h"

namespace tmoe::tensorrt {
namespace {

nvinfer1::PluginFieldType field_type(AttributeKind kind) {
    return kind == AttributeKind::Int     ? nvinfer1::PluginFieldType::kINT32
           : kind == AttributeKind::Float ? nvinfer1::PluginFieldType::kFLOAT32
                                          : nvinfer1::PluginFieldType::kCHAR;
}

}  // namespace

Creator::Creator(const OperatorSpec &spec, const char *name_space) : spec_(spec), namespace_(name_space) {
    for (const AttributeSpec &attribute : spec_.attributes) fields_.emplace_back(attribute.name, nullptr, field_type(attribute.kind), 1);
    collection_ = {std::int32_t(fields_.size()), fields_.data()};
}

nvinfer1::IPluginV3 *Creator::createPlugin(const char *name, const nvinfer1::PluginFieldCollection *fields, nvinfer1::TensorRTPhase) noexcept {
    return guarded<nvinfer1::IPluginV3 *>(spec_.name, nullptr, [&]() -> nvinfer1::IPluginV3 * {
        try {
            return std::make_unique<Plugin>(spec_, namespace_, Attributes(spec_.attributes, fields)).release();
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
