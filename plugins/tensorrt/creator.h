// Makes plugins of one operator, for one namespace.
#pragma once

#include <NvInferRuntime.h>

#include <memory>
#include <vector>

#include "operator.h"

namespace tmoe::tensorrt {

class Creator final : public nvinfer1::IPluginCreatorV3One {
public:
    Creator(const OperatorSpec &spec, const char *name_space);

    // Null, after an error in the log, where the fields are not those of the operator.
    nvinfer1::IPluginV3 *createPlugin(const char *name, const nvinfer1::PluginFieldCollection *fields, nvinfer1::TensorRTPhase phase) noexcept override;
    const nvinfer1::PluginFieldCollection *getFieldNames() noexcept override { return &collection_; }
    const char *getPluginName() const noexcept override { return spec_.name; }
    const char *getPluginVersion() const noexcept override;
    const char *getPluginNamespace() const noexcept override { return namespace_; }

private:
    const OperatorSpec &spec_;
    const char *const namespace_;
    std::vector<nvinfer1::PluginField> fields_;
    nvinfer1::PluginFieldCollection collection_;
};

// Every operator in the namespace "", where the ONNX parser looks unless a node says `plugin_namespace`, and in "tmoe".
const std::vector<std::unique_ptr<Creator>> &creators();

}  // namespace tmoe::tensorrt
