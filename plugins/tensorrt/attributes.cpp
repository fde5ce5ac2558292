#include "attributes.h"

#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <utility>

#include "log.h"

namespace tmoe::tensorrt {

using nvinfer1::PluginField;
using nvinfer1::PluginFieldType;

namespace {

constexpr std::int32_t kLongestWord = 256;

const char *kind_name(AttributeKind kind) {
    return kind == AttributeKind::Int ? "one INT32 or INT64" : kind == AttributeKind::Float ? "one FLOAT32 or FLOAT64" : "CHAR";
}

[[noreturn]] void refuse(const char *name, const std::string &expected, const std::string &found) {
    throw Refusal(std::string("attribute ") + name + " is " + found + ", expected " + expected);
}

template <class T>
T load(const PluginField &field) {
    T value;
    std::memcpy(&value, field.data, sizeof value);
    return value;
}

std::int32_t read_int(const PluginField &field) {
    if (field.type == PluginFieldType::kINT32) return load<std::int32_t>(field);
    const std::int64_t value = load<std::int64_t>(field);
    if (value < std::numeric_limits<std::int32_t>::min() || value > std::numeric_limits<std::int32_t>::max())
        refuse(field.name, "a number of 32 bits", std::to_string(value));
    return std::int32_t(value);
}

// With or without a terminating null.
std::string read_word(const PluginField &field) {
    const char *const first = static_cast<const char *>(field.data);
    return {first, strnlen(first, std::size_t(field.length))};
}

bool has_type(AttributeKind kind, const PluginField &field) {
    switch (kind) {
        case AttributeKind::Int: return field.length == 1 && (field.type == PluginFieldType::kINT32 || field.type == PluginFieldType::kINT64);
        case AttributeKind::Float: return field.length == 1 && (field.type == PluginFieldType::kFLOAT32 || field.type == PluginFieldType::kFLOAT64);
        default: return field.length >= 0 && field.length <= kLongestWord && field.type == PluginFieldType::kCHAR;
    }
}

}  // namespace

Attributes::Attributes(const std::vector<AttributeSpec> &specs, const nvinfer1::PluginFieldCollection *fields) {
    for (const AttributeSpec &spec : specs) values_.push_back({&spec, false, spec.integer, spec.number, spec.word});
    if (fields == nullptr || fields->nbFields < 0 || (fields->nbFields > 0 && fields->fields == nullptr))
        throw Refusal("no plugin fields were given, expected a collection with " + names());
    for (std::int32_t i = 0; i < fields->nbFields; ++i) {
        const PluginField &field = fields->fields[i];
        if (field.name == nullptr) throw Refusal("plugin field " + std::to_string(i) + " has no name, expected one of " + names());
        Value &value = find(field.name);
        if (value.given) refuse(field.name, "one value", "given twice");
        const AttributeKind kind = value.spec->kind;
        if (!has_type(kind, field) || (field.data == nullptr && field.length > 0))
            refuse(field.name, kind_name(kind),
                   field.data == nullptr ? "a field without data"
                                         : "a field of type " + std::to_string(std::int32_t(field.type)) + " and length " + std::to_string(field.length));
        value.given = true;
        switch (kind) {
            case AttributeKind::Int: value.integer = read_int(field); break;
            case AttributeKind::Float: value.number = field.type == PluginFieldType::kFLOAT32 ? load<float>(field) : float(load<double>(field)); break;
            case AttributeKind::Word: value.word = field.length > 0 ? read_word(field) : ""; break;
        }
    }
    for (const Value &value : values_)
        if (value.spec->required && !value.given) refuse(value.spec->name, kind_name(value.spec->kind), "missing");
}

Attributes::Value &Attributes::find(const char *name) { return const_cast<Value &>(std::as_const(*this).find(name)); }

const Attributes::Value &Attributes::find(const char *name) const {
    for (const Value &value : values_)
        if (std::strcmp(value.spec->name, name) == 0) return value;
    throw Refusal(std::string("attribute ") + name + " is not known, expected " + names());
}

std::string Attributes::names() const {
    std::string text;
    for (const Value &value : values_) text += (text.empty() ? "" : ", ") + std::string(value.spec->name);
    return text.empty() ? "none" : text;
}

std::int32_t Attributes::integer(const char *name, std::int32_t least, std::int32_t most) const {
    const std::int32_t value = find(name).integer;
    if (value < least || value > most) refuse(name, std::to_string(least) + " to " + std::to_string(most), std::to_string(value));
    return value;
}

float Attributes::number(const char *name) const {
    const float value = find(name).number;
    if (!std::isfinite(value)) refuse(name, "a finite number", std::to_string(value));
    return value;
}

std::int32_t Attributes::choice(const char *name, std::initializer_list<std::pair<const char *, std::int32_t>> words) const {
    const std::string &word = find(name).word;
    std::string expected;
    for (const auto &[text, value] : words) {
        if (word == text) return value;
        expected += (expected.empty() ? "" : ", ") + std::string(text);
    }
    refuse(name, "one of " + expected, "`" + word + "`");
}

std::vector<PluginField> Attributes::fields() const {
    std::vector<PluginField> fields;
    for (const Value &value : values_) {
        switch (value.spec->kind) {
            case AttributeKind::Int: fields.emplace_back(value.spec->name, &value.integer, PluginFieldType::kINT32, 1); break;
            case AttributeKind::Float: fields.emplace_back(value.spec->name, &value.number, PluginFieldType::kFLOAT32, 1); break;
            case AttributeKind::Word: fields.emplace_back(value.spec->name, value.word.data(), PluginFieldType::kCHAR, std::int32_t(value.word.size())); break;
        }
    }
    return fields;
}

std::string Attributes::text() const {
    std::string text;
    for (const Value &value : values_) {
        char number[32];
        std::snprintf(number, sizeof number, "%.9g", double(value.number));
        text += (text.empty() ? "" : ", ") + std::string(value.spec->name) + "=" +
                (value.spec->kind == AttributeKind::Int ? std::to_string(value.integer) : value.spec->kind == AttributeKind::Float ? number : value.word);
    }
    return text;
}

}  // namespace tmoe::tensorrt
