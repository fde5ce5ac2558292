// Attributes of an operator: read from plugin fields, and written to them.
//
// TensorRT's ONNX parser asks a creator which attributes there are, passes those that a node has, and makes INT32 of integers, FLOAT32
// of numbers and CHAR of words. INT64 and FLOAT64, which other callers may pass, are read too.
#pragma once

#include <NvInferRuntime.h>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

namespace tmoe::tensorrt {

enum class AttributeKind { Int, Float, Word };

struct AttributeSpec {
    const char *name;
    AttributeKind kind;
    bool required;
    std::int32_t integer;     // defaults of those that are not required
    float number;
    const char *word;

    static constexpr AttributeSpec required_int(const char *name) { return {name, AttributeKind::Int, true, 0, 0.0f, ""}; }
    static constexpr AttributeSpec required_number(const char *name) { return {name, AttributeKind::Float, true, 0, 0.0f, ""}; }
    static constexpr AttributeSpec optional_int(const char *name, std::int32_t value) { return {name, AttributeKind::Int, false, value, 0.0f, ""}; }
    static constexpr AttributeSpec optional_number(const char *name, float value) { return {name, AttributeKind::Float, false, 0, value, ""}; }
    static constexpr AttributeSpec optional_word(const char *name, const char *value) { return {name, AttributeKind::Word, false, 0, 0.0f, value}; }
};

class Attributes {
public:
    // Throws a Refusal where a field is unknown, given twice, of another type or length, or missing.
    Attributes(const std::vector<AttributeSpec> &specs, const nvinfer1::PluginFieldCollection *fields);

    // Throw a Refusal where the value is out of bounds. The name is one of the specs'.
    std::int32_t integer(const char *name, std::int32_t least, std::int32_t most) const;
    float number(const char *name) const;
    std::int32_t choice(const char *name, std::initializer_list<std::pair<const char *, std::int32_t>> words) const;

    // All of them; they point into this object.
    std::vector<nvinfer1::PluginField> fields() const;
    // `top_k=2, activation=silu`.
    std::string text() const;

private:
    struct Value {
        const AttributeSpec *spec;
        bool given;
        std::int32_t integer;
        float number;
        std::string word;
    };

    Value &find(const char *name);
    const Value &find(const char *name) const;
    std::string names() const;

    std::vector<Value> values_;
};

}  // namespace tmoe::tensorrt
