// An operator's node as TensorRT sees it: core, build and runtime capabilities in one object.
#pragma once

#include <NvInferRuntime.h>

#include <memory>
#include <string>
#include <vector>

#include "operator.h"

namespace tmoe::tensorrt {

constexpr const char *kPluginVersion = "1";

// Changes with every change of what is written into engines, or of what it means: an engine says which one it was built with.
constexpr std::int32_t kRevision = 1;
constexpr const char *kRevisionField = "library_revision";

class Plugin final : public nvinfer1::IPluginV3,
                     public nvinfer1::IPluginV3OneCore,
                     public nvinfer1::IPluginV3OneBuildV2,
                     public nvinfer1::IPluginV3OneRuntime {
public:
    // `spec` and `name_space` live as long as the library. Throws a Refusal where an attribute has no such value.
    Plugin(const OperatorSpec &spec, const char *name_space, const Attributes &attributes);

    nvinfer1::IPluginCapability *getCapabilityInterface(nvinfer1::PluginCapabilityType type) noexcept override;
    nvinfer1::IPluginV3 *clone() noexcept override;

    const char *getPluginName() const noexcept override { return spec_.name; }
    const char *getPluginVersion() const noexcept override { return kPluginVersion; }
    const char *getPluginNamespace() const noexcept override { return namespace_; }

    std::int32_t getNbOutputs() const noexcept override { return std::int32_t(spec_.outputs.size()); }
    std::int32_t getOutputDataTypes(nvinfer1::DataType *outputs, std::int32_t output_count, const nvinfer1::DataType *inputs,
                                    std::int32_t input_count) const noexcept override;
    std::int32_t getOutputShapes(const nvinfer1::DimsExprs *inputs, std::int32_t input_count, const nvinfer1::DimsExprs *shape_inputs,
                                 std::int32_t shape_input_count, nvinfer1::DimsExprs *outputs, std::int32_t output_count,
                                 nvinfer1::IExprBuilder &builder) noexcept override;
    bool supportsFormatCombination(std::int32_t position, const nvinfer1::DynamicPluginTensorDesc *tensors, std::int32_t input_count,
                                   std::int32_t output_count) noexcept override;
    std::int32_t configurePlugin(const nvinfer1::DynamicPluginTensorDesc *inputs, std::int32_t input_count,
                                 const nvinfer1::DynamicPluginTensorDesc *outputs, std::int32_t output_count) noexcept override;
    std::size_t getWorkspaceSize(const nvinfer1::DynamicPluginTensorDesc *inputs, std::int32_t input_count,
                                 const nvinfer1::DynamicPluginTensorDesc *outputs, std::int32_t output_count) const noexcept override;
    std::int32_t getAliasedInput(std::int32_t output) noexcept override;
    const char *getTimingCacheID() noexcept override { return text_.c_str(); }
    const char *getMetadataString() noexcept override { return text_.c_str(); }

    std::int32_t onShapeChange(const nvinfer1::PluginTensorDesc *inputs, std::int32_t input_count, const nvinfer1::PluginTensorDesc *outputs,
                               std::int32_t output_count) noexcept override;
    std::int32_t enqueue(const nvinfer1::PluginTensorDesc *input_descs, const nvinfer1::PluginTensorDesc *output_descs, const void *const *inputs,
                         void *const *outputs, void *workspace, cudaStream_t stream) noexcept override;
    nvinfer1::IPluginV3 *attachToContext(nvinfer1::IPluginResourceContext *context) noexcept override;
    const nvinfer1::PluginFieldCollection *getFieldsToSerialize() noexcept override;

private:
    // Which inputs are there, by the number of axes of each: -1 where one is left out.
    template <class RankOf>
    Places places_of(const void *inputs, std::int32_t count, RankOf rank_of) const;
    void require_outputs(const void *outputs, std::int32_t count) const;
    void remember(std::int32_t input_count, const Places &places);
    void require_type(std::size_t input, nvinfer1::DataType type) const;
    // The inputs, of types and ranks that the operator takes and without unknown sizes.
    Tensors checked(const nvinfer1::PluginTensorDesc *inputs, std::int32_t count) const;
    // The same at their upper bounds; the descriptions go to `bounds`.
    Tensors upper_bounds(const nvinfer1::DynamicPluginTensorDesc *inputs, std::int32_t count, std::vector<nvinfer1::PluginTensorDesc> *bounds) const;

    const OperatorSpec &spec_;
    const char *const namespace_;
    const Attributes attributes_;
    const std::unique_ptr<const Operator> operator_;
    const std::string text_;
    std::vector<const char *> input_names_;
    std::vector<nvinfer1::PluginField> fields_;
    nvinfer1::PluginFieldCollection collection_{};
    // Of the node, once TensorRT has told them: enqueue and getAliasedInput are not told.
    std::int32_t input_count_ = 0;
    Places places_{};
};

}  // namespace tmoe::tensorrt
