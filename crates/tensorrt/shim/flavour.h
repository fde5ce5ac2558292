// The classes of interface.h over one flavour of TensorRT: compiled once per flavour, everything in it local to that file.
#pragma once

#include <NvInfer.h>
#include <NvOnnxParser.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include "tmoe-tensorrt/src/bridge.rs.h"

namespace tmoe::trt {
namespace {

namespace nv = nvinfer1;
namespace onnx = nvonnxparser;

// The numbers that the Rust side uses for both flavours.
static_assert(int(nv::DataType::kFLOAT) == 0 && int(nv::DataType::kBF16) == 7 && int(nv::DataType::kE8M0) == 11);
static_assert(int(nv::MemoryPoolType::kWORKSPACE) == 0 && int(nv::MemoryPoolType::kTACTIC_SHARED_MEMORY) == 5);
static_assert(int(nv::HardwareCompatibilityLevel::kAMPERE_PLUS) == 1 &&
              int(nv::HardwareCompatibilityLevel::kSAME_COMPUTE_CAPABILITY) == 2);
static_assert(int(nv::ProfilingVerbosity::kNONE) == 1 && int(nv::ProfilingVerbosity::kDETAILED) == 2);
static_assert(int(nv::OptProfileSelector::kMIN) == 0 && int(nv::OptProfileSelector::kMAX) == 2);
static_assert(int(nv::ExecutionContextAllocationStrategy::kUSER_MANAGED) == 2);
static_assert(int(nv::LayerType::kCONVOLUTION) == 0 && int(nv::LayerType::kDIST_COLLECTIVE) == 56);
static_assert(int(nv::ILogger::Severity::kINTERNAL_ERROR) == 0 && int(nv::ILogger::Severity::kVERBOSE) == 4);

rust::String text(char const* chars) {
    return chars == nullptr ? rust::String() : rust::String::lossy(chars);
}

template <typename T>
std::unique_ptr<T> not_null(T* pointer, char const* what) {
    if (pointer == nullptr) {
        throw std::runtime_error(std::string(what) + " returned nothing");
    }
    return std::unique_ptr<T>(pointer);
}

nv::Dims dims(rust::Slice<int64_t const> shape) {
    nv::Dims out{};
    if (shape.size() > size_t(nv::Dims::MAX_DIMS)) {
        throw std::invalid_argument("a shape of more than 8 dimensions");
    }
    out.nbDims = int32_t(shape.size());
    std::copy(shape.begin(), shape.end(), out.d);
    return out;
}

rust::Vec<int64_t> shape(nv::Dims const& dims) {
    rust::Vec<int64_t> out;
    for (int32_t i = 0; i < std::min(dims.nbDims, nv::Dims::MAX_DIMS); ++i) {
        out.push_back(int64_t(dims.d[i]));
    }
    return out;
}

cudaStream_t stream_at(size_t address) { return reinterpret_cast<cudaStream_t>(address); }

class Logger final : public nv::ILogger {
public:
    explicit Logger(rust::Box<LogSink> sink) : sink_(std::move(sink)) {}
    void log(Severity severity, nv::AsciiChar const* message) noexcept override {
        sink_->log(int32_t(severity), text(message));
    }

private:
    rust::Box<LogSink> sink_;
};

class Progress final : public nv::IProgressMonitor {
public:
    explicit Progress(rust::Box<ProgressSink> sink) : sink_(std::move(sink)) {}
    void phaseStart(char const* phase, char const* parent, int32_t steps) noexcept override {
        sink_->phase_start(text(phase), text(parent), steps);
    }
    bool stepComplete(char const* phase, int32_t step) noexcept override {
        return sink_->step_complete(text(phase), step);
    }
    void phaseFinish(char const* phase) noexcept override { sink_->phase_finish(text(phase)); }

private:
    rust::Box<ProgressSink> sink_;
};

class FlavourMemory final : public HostMemory {
public:
    explicit FlavourMemory(nv::IHostMemory* memory, char const* what) : memory_(not_null(memory, what)) {
        if (memory_->data() == nullptr && memory_->size() != 0) {
            throw std::runtime_error(std::string(what) + " returned memory without an address");
        }
    }
    rust::Slice<uint8_t const> bytes() const override {
        if (memory_->size() == 0) {
            return {};
        }
        return {static_cast<uint8_t const*>(memory_->data()), memory_->size()};
    }

private:
    std::unique_ptr<nv::IHostMemory> memory_;
};

/// Of a parser, or of a parser that refits.
template <typename P>
rust::Vec<ParserError> errors_of(P const& parser) {
    rust::Vec<ParserError> out;
    for (int32_t i = 0; i < parser.getNbErrors(); ++i) {
        onnx::IParserError const* error = parser.getError(i);
        if (error == nullptr) {
            continue;
        }
        rust::Vec<rust::String> functions;
        for (int32_t f = 0; error->localFunctionStack() != nullptr && f < error->localFunctionStackSize(); ++f) {
            functions.push_back(text(error->localFunctionStack()[f]));
        }
        out.push_back(ParserError{int32_t(error->code()), text(error->desc()), text(error->file()), error->line(),
                                  text(error->func()), error->node(), text(error->nodeName()),
                                  text(error->nodeOperator()), std::move(functions)});
    }
    return out;
}

class FlavourParser final : public Parser {
public:
    explicit FlavourParser(onnx::IParser* parser) : parser_(not_null(parser, "createNvOnnxParser")) {}
    bool parse_file(std::string const& path, int32_t verbosity) override {
        return parser_->parseFromFile(path.c_str(), verbosity);
    }
    bool parse(rust::Slice<uint8_t const> model, std::string const& path) override {
        return parser_->parse(model.data(), model.size(), path.empty() ? nullptr : path.c_str());
    }
    rust::Vec<ParserError> errors() const override { return errors_of(*parser_); }
    bool supports_operator(std::string const& name) const override {
        return parser_->supportsOperator(name.c_str());
    }

private:
    std::unique_ptr<onnx::IParser> parser_;
};

class FlavourNetwork final : public Network {
public:
    FlavourNetwork(nv::INetworkDefinition* network, Logger& logger, Symbols const& symbols)
        : logger_(logger), symbols_(symbols), network_(not_null(network, "createNetworkV2")) {}

    rust::String name() const override { return text(network_->getName()); }
    void set_name(std::string const& name) override { network_->setName(name.c_str()); }
    bool is_strongly_typed() const override {
#ifdef TMOE_TENSORRT_RTX
        return true;
#else
        return network_->getFlag(nv::NetworkDefinitionCreationFlag::kSTRONGLY_TYPED);
#endif
    }
    rust::Vec<NetworkTensor> inputs() const override {
        rust::Vec<NetworkTensor> out;
        for (int32_t i = 0; i < network_->getNbInputs(); ++i) {
            add(out, network_->getInput(i));
        }
        return out;
    }
    rust::Vec<NetworkTensor> outputs() const override {
        rust::Vec<NetworkTensor> out;
        for (int32_t i = 0; i < network_->getNbOutputs(); ++i) {
            add(out, network_->getOutput(i));
        }
        return out;
    }
    rust::Vec<NetworkLayer> layers() const override {
        rust::Vec<NetworkLayer> out;
        for (int32_t i = 0; i < network_->getNbLayers(); ++i) {
            nv::ILayer const* layer = network_->getLayer(i);
            if (layer == nullptr) {
                throw std::runtime_error("getLayer returned nothing");
            }
            rust::Vec<rust::String> inputs;
            // An optional input that is not given is null.
            for (int32_t n = 0; n < layer->getNbInputs(); ++n) {
                nv::ITensor const* tensor = layer->getInput(n);
                inputs.push_back(tensor == nullptr ? rust::String() : text(tensor->getName()));
            }
            rust::Vec<rust::String> outputs;
            for (int32_t n = 0; n < layer->getNbOutputs(); ++n) {
                nv::ITensor const* tensor = layer->getOutput(n);
                outputs.push_back(tensor == nullptr ? rust::String() : text(tensor->getName()));
            }
            out.push_back(NetworkLayer{text(layer->getName()), int32_t(layer->getType()), text(layer->getMetadata()),
                                       std::move(inputs), std::move(outputs)});
        }
        return out;
    }
    bool mark_weights_refittable(std::string const& name) override {
        return network_->markWeightsRefittable(name.c_str());
    }
    std::unique_ptr<Parser> parser() override {
        using Create = void* (*)(void*, void*, int) noexcept;
        auto const create = reinterpret_cast<Create>(symbols_.create_parser);
        if (create == nullptr) {
            throw std::logic_error("there is no parser library");
        }
        nv::ILogger& logger = logger_;
        void* const parser = create(network_.get(), &logger, NV_ONNX_PARSER_VERSION);
        return std::make_unique<FlavourParser>(static_cast<onnx::IParser*>(parser));
    }
    nv::INetworkDefinition& get() { return *network_; }

private:
    static void add(rust::Vec<NetworkTensor>& out, nv::ITensor const* tensor) {
        if (tensor == nullptr) {
            throw std::runtime_error("the network has an empty place among its tensors");
        }
        out.push_back(NetworkTensor{text(tensor->getName()), int32_t(tensor->getType()), shape(tensor->getDimensions())});
    }

    Logger& logger_;
    Symbols const& symbols_;
    std::unique_ptr<nv::INetworkDefinition> network_;
};

class FlavourProfile final : public Profile {
public:
    explicit FlavourProfile(nv::IOptimizationProfile* profile) : profile_(profile) {
        if (profile == nullptr) {
            throw std::runtime_error("createOptimizationProfile returned nothing");
        }
    }
    bool set_shape(std::string const& input, int32_t selector, rust::Slice<int64_t const> shape) override {
        return profile_->setDimensions(input.c_str(), nv::OptProfileSelector(selector), dims(shape));
    }
    bool set_values(std::string const& input, int32_t selector, rust::Slice<int64_t const> values) override {
        return profile_->setShapeValuesV2(input.c_str(), nv::OptProfileSelector(selector), values.data(),
                                          int32_t(values.size()));
    }
    bool is_valid() const override { return profile_->isValid(); }
    nv::IOptimizationProfile const* get() const { return profile_; }

private:
    // The builder's: it destroys it with itself.
    nv::IOptimizationProfile* profile_;
};

template <typename E>
struct Named {
    std::string_view name;
    E value;
};

constexpr Named<nv::BuilderFlag> FLAGS[] = {
#ifndef TMOE_TENSORRT_RTX
    {"FP16", nv::BuilderFlag::kFP16},
    {"BF16", nv::BuilderFlag::kBF16},
    {"INT8", nv::BuilderFlag::kINT8},
    {"FP8", nv::BuilderFlag::kFP8},
    {"OBEY_PRECISION_CONSTRAINTS", nv::BuilderFlag::kOBEY_PRECISION_CONSTRAINTS},
    {"PREFER_PRECISION_CONSTRAINTS", nv::BuilderFlag::kPREFER_PRECISION_CONSTRAINTS},
#endif
    {"TF32", nv::BuilderFlag::kTF32},
    {"DEBUG", nv::BuilderFlag::kDEBUG},
    {"DIRECT_IO", nv::BuilderFlag::kDIRECT_IO},
    {"REFIT", nv::BuilderFlag::kREFIT},
    {"REFIT_IDENTICAL", nv::BuilderFlag::kREFIT_IDENTICAL},
    {"REFIT_INDIVIDUAL", nv::BuilderFlag::kREFIT_INDIVIDUAL},
    {"STRIP_PLAN", nv::BuilderFlag::kSTRIP_PLAN},
    {"DISABLE_TIMING_CACHE", nv::BuilderFlag::kDISABLE_TIMING_CACHE},
    {"ERROR_ON_TIMING_CACHE_MISS", nv::BuilderFlag::kERROR_ON_TIMING_CACHE_MISS},
    {"EDITABLE_TIMING_CACHE", nv::BuilderFlag::kEDITABLE_TIMING_CACHE},
    {"DISABLE_COMPILATION_CACHE", nv::BuilderFlag::kDISABLE_COMPILATION_CACHE},
    {"SPARSE_WEIGHTS", nv::BuilderFlag::kSPARSE_WEIGHTS},
    {"VERSION_COMPATIBLE", nv::BuilderFlag::kVERSION_COMPATIBLE},
    {"EXCLUDE_LEAN_RUNTIME", nv::BuilderFlag::kEXCLUDE_LEAN_RUNTIME},
    {"WEIGHT_STREAMING", nv::BuilderFlag::kWEIGHT_STREAMING},
    {"STRICT_NANS", nv::BuilderFlag::kSTRICT_NANS},
    {"MONITOR_MEMORY", nv::BuilderFlag::kMONITOR_MEMORY},
};

constexpr Named<nv::PreviewFeature> PREVIEW_FEATURES[] = {
    {"ALIASED_PLUGIN_IO", nv::PreviewFeature::kALIASED_PLUGIN_IO_10_03},
    {"RUNTIME_ACTIVATION_RESIZE", nv::PreviewFeature::kRUNTIME_ACTIVATION_RESIZE_10_10},
};

template <typename E, size_t N>
std::optional<E> find(Named<E> const (&table)[N], rust::Str name) {
    for (auto const& entry : table) {
        if (entry.name == std::string_view(name.data(), name.size())) {
            return entry.value;
        }
    }
    return std::nullopt;
}

class FlavourConfig final : public Config {
public:
    explicit FlavourConfig(nv::IBuilderConfig* config) : config_(not_null(config, "createBuilderConfig")) {}

    bool set_flag(rust::Str name, bool on) override {
        auto const flag = find(FLAGS, name);
        if (!flag) {
            return false;
        }
        on ? config_->setFlag(*flag) : config_->clearFlag(*flag);
        return true;
    }
    bool flag(rust::Str name) const override {
        auto const flag = find(FLAGS, name);
        return flag && config_->getFlag(*flag);
    }
    bool set_preview_feature(rust::Str name, bool on) override {
        auto const feature = find(PREVIEW_FEATURES, name);
        if (!feature) {
            return false;
        }
        config_->setPreviewFeature(*feature, on);
        return true;
    }
    // TensorRT says only in its log that it refuses one of these.
    bool set_pool_limit(int32_t pool, size_t bytes) override {
        config_->setMemoryPoolLimit(nv::MemoryPoolType(pool), bytes);
        return pool_limit(pool) == bytes;
    }
    size_t pool_limit(int32_t pool) const override {
        return config_->getMemoryPoolLimit(nv::MemoryPoolType(pool));
    }
    bool set_optimization_level(int32_t level) override {
        config_->setBuilderOptimizationLevel(level);
        return config_->getBuilderOptimizationLevel() == level;
    }
    bool set_hardware_compatibility(int32_t level) override {
        config_->setHardwareCompatibilityLevel(nv::HardwareCompatibilityLevel(level));
        return int32_t(config_->getHardwareCompatibilityLevel()) == level;
    }
    bool set_verbosity(int32_t verbosity) override {
        config_->setProfilingVerbosity(nv::ProfilingVerbosity(verbosity));
        return int32_t(config_->getProfilingVerbosity()) == verbosity;
    }
    bool set_max_aux_streams(int32_t streams) override {
        config_->setMaxAuxStreams(streams);
        return config_->getMaxAuxStreams() == streams;
    }
    int32_t add_profile(Profile& profile) override {
        return config_->addOptimizationProfile(static_cast<FlavourProfile&>(profile).get());
    }
    bool set_compute_capabilities(rust::Slice<int32_t const> capabilities) override {
#ifdef TMOE_TENSORRT_RTX
        if (!config_->setNbComputeCapabilities(int32_t(capabilities.size()))) {
            throw std::runtime_error("setNbComputeCapabilities refused");
        }
        for (size_t i = 0; i < capabilities.size(); ++i) {
            if (!config_->setComputeCapability(nv::ComputeCapability(capabilities[i]), int32_t(i))) {
                throw std::runtime_error("setComputeCapability refused");
            }
        }
        return true;
#else
        static_cast<void>(capabilities);
        return false;
#endif
    }
    void set_progress(rust::Box<ProgressSink> progress) override {
        auto monitor = std::make_unique<Progress>(std::move(progress));
        config_->setProgressMonitor(monitor.get());
        progress_ = std::move(monitor);
    }
    void set_timing_cache(rust::Slice<uint8_t const> bytes, bool ignore_mismatch) override {
        void const* const data = bytes.empty() ? nullptr : bytes.data();
        auto cache = not_null(config_->createTimingCache(data, bytes.size()), "createTimingCache");
        if (!config_->setTimingCache(*cache, ignore_mismatch)) {
            throw std::runtime_error("setTimingCache refused");
        }
        cache_ = std::move(cache);
    }
    std::unique_ptr<HostMemory> timing_cache() const override {
        nv::ITimingCache const* const cache = config_->getTimingCache();
        if (cache == nullptr) {
            throw std::runtime_error("there is no timing cache");
        }
        return std::make_unique<FlavourMemory>(cache->serialize(), "ITimingCache::serialize");
    }
    nv::IBuilderConfig& get() { return *config_; }

private:
    // What the configuration points to is declared before it, and so destroyed after it.
    std::unique_ptr<Progress> progress_;
    std::unique_ptr<nv::ITimingCache> cache_;
    std::unique_ptr<nv::IBuilderConfig> config_;
};

class FlavourBuilder final : public Builder {
public:
    FlavourBuilder(nv::IBuilder* builder, Logger& logger, Symbols const& symbols)
        : logger_(logger), symbols_(symbols), builder_(not_null(builder, "createInferBuilder")) {}

    std::unique_ptr<Network> network(bool strongly_typed) override {
        nv::NetworkDefinitionCreationFlags flags = 0;
        if (strongly_typed) {
            flags |= 1U << uint32_t(nv::NetworkDefinitionCreationFlag::kSTRONGLY_TYPED);
        }
        return std::make_unique<FlavourNetwork>(builder_->createNetworkV2(flags), logger_, symbols_);
    }
    std::unique_ptr<Config> config() override {
        return std::make_unique<FlavourConfig>(builder_->createBuilderConfig());
    }
    std::unique_ptr<Profile> profile() override {
        return std::make_unique<FlavourProfile>(builder_->createOptimizationProfile());
    }
    bool set_max_threads(int32_t threads) override { return builder_->setMaxThreads(threads); }
    std::unique_ptr<HostMemory> build(Network& network, Config& config) override {
        nv::IHostMemory* const plan = builder_->buildSerializedNetwork(static_cast<FlavourNetwork&>(network).get(),
                                                                       static_cast<FlavourConfig&>(config).get());
        return std::make_unique<FlavourMemory>(plan, "buildSerializedNetwork");
    }

private:
    Logger& logger_;
    Symbols const& symbols_;
    std::unique_ptr<nv::IBuilder> builder_;
};

class FlavourContext final : public Context {
public:
    explicit FlavourContext(nv::IExecutionContext* context) : context_(not_null(context, "createExecutionContext")) {}

    bool set_input_shape(std::string const& name, rust::Slice<int64_t const> shape) override {
        return context_->setInputShape(name.c_str(), dims(shape));
    }
    rust::Vec<int64_t> tensor_shape(std::string const& name) const override {
        return shape(context_->getTensorShape(name.c_str()));
    }
    int64_t max_output_size(std::string const& name) const override {
        return context_->getMaxOutputSize(name.c_str());
    }
    rust::Vec<rust::String> infer_shapes() override {
        std::array<char const*, 64> names{};
        int32_t const missing = context_->inferShapes(int32_t(names.size()), names.data());
        if (missing < 0) {
            throw std::runtime_error("inferShapes failed");
        }
        rust::Vec<rust::String> out;
        for (size_t i = 0; i < std::min(size_t(missing), names.size()); ++i) {
            out.push_back(text(names[i]));
        }
        return out;
    }
    size_t update_device_memory() override { return context_->updateDeviceMemorySizeForShapes(); }
    int32_t profile() const override { return context_->getOptimizationProfile(); }
    void set_debug_sync(bool on) override { context_->setDebugSync(on); }
    bool set_profile(int32_t profile, size_t stream) override {
        return context_->setOptimizationProfileAsync(profile, stream_at(stream));
    }
    bool set_address(std::string const& name, size_t address) override {
        return context_->setTensorAddress(name.c_str(), reinterpret_cast<void*>(address));
    }
    void set_device_memory(size_t address, int64_t bytes) override {
        context_->setDeviceMemoryV2(reinterpret_cast<void*>(address), bytes);
    }
    bool enqueue(size_t stream) override { return context_->enqueueV3(stream_at(stream)); }

private:
    std::unique_ptr<nv::IExecutionContext> context_;
};

class FlavourRefitter final : public Refitter {
public:
    FlavourRefitter(nv::IRefitter* refitter, Logger& logger, Symbols const& symbols)
        : logger_(logger), symbols_(symbols), refitter_(not_null(refitter, "createInferRefitter")) {}

    rust::Vec<rust::String> weights(bool missing) override {
        auto const list = [&](int32_t size, char const** names) {
            return missing ? refitter_->getMissingWeights(size, names) : refitter_->getAllWeights(size, names);
        };
        std::vector<char const*> names(size_t(std::max(list(0, nullptr), 0)));
        int32_t const count = list(int32_t(names.size()), names.data());
        names.resize(std::min(names.size(), size_t(std::max(count, 0))));
        rust::Vec<rust::String> out;
        for (char const* name : names) {
            out.push_back(text(name));
        }
        return out;
    }
    bool set_weights(std::string const& name, int32_t data_type, size_t address, int64_t count) override {
        nv::Weights const weights{nv::DataType(data_type), reinterpret_cast<void const*>(address), count};
        return refitter_->setNamedWeights(name.c_str(), weights);
    }
    bool refit() override { return refitter_->refitCudaEngine(); }
    rust::Vec<ParserError> refit_from_file(std::string const& path) override {
        using Create = void* (*)(void*, void*, int32_t) noexcept;
        auto const create = reinterpret_cast<Create>(symbols_.create_parser_refitter);
        if (create == nullptr) {
            throw std::logic_error("there is no parser library");
        }
        nv::ILogger& logger = logger_;
        void* const made = create(refitter_.get(), &logger, NV_ONNX_PARSER_VERSION);
        parsers_.push_back(not_null(static_cast<onnx::IParserRefitter*>(made), "createNvOnnxParserRefitter"));
        onnx::IParserRefitter& parser = *parsers_.back();
        if (parser.refitFromFile(path.c_str())) {
            return {};
        }
        auto errors = errors_of(parser);
        if (errors.empty()) {
            throw std::runtime_error("refitFromFile failed");
        }
        return errors;
    }

private:
    Logger& logger_;
    Symbols const& symbols_;
    std::unique_ptr<nv::IRefitter> refitter_;
    // They own the weights that the refitter points to until it has refitted.
    std::vector<std::unique_ptr<onnx::IParserRefitter>> parsers_;
};

class FlavourEngine final : public Engine {
public:
    FlavourEngine(nv::ICudaEngine* engine, Logger& logger, Symbols const& symbols)
        : logger_(logger), symbols_(symbols), engine_(not_null(engine, "deserializeCudaEngine")) {}

    rust::String name() const override { return text(engine_->getName()); }
    rust::Vec<EngineTensor> tensors() const override {
        rust::Vec<EngineTensor> out;
        for (int32_t i = 0; i < engine_->getNbIOTensors(); ++i) {
            char const* const name = engine_->getIOTensorName(i);
            if (name == nullptr) {
                throw std::runtime_error("getIOTensorName returned nothing");
            }
            bool const is_input = engine_->getTensorIOMode(name) == nv::TensorIOMode::kINPUT;
            rust::Vec<ProfileShapes> profiles;
            for (int32_t p = 0; is_input && p < engine_->getNbOptimizationProfiles(); ++p) {
                auto const of = [&](nv::OptProfileSelector selector) {
                    return shape(engine_->getProfileShape(name, p, selector));
                };
                profiles.push_back(ProfileShapes{of(nv::OptProfileSelector::kMIN), of(nv::OptProfileSelector::kOPT),
                                                 of(nv::OptProfileSelector::kMAX)});
            }
            out.push_back(EngineTensor{text(name), is_input, int32_t(engine_->getTensorDataType(name)),
                                       shape(engine_->getTensorShape(name)),
                                       engine_->getTensorLocation(name) == nv::TensorLocation::kHOST,
                                       engine_->isShapeInferenceIO(name), text(engine_->getAliasedInputTensor(name)),
                                       std::move(profiles)});
        }
        return out;
    }
    int32_t layer_count() const override { return engine_->getNbLayers(); }
    int32_t profile_count() const override { return engine_->getNbOptimizationProfiles(); }
    int32_t aux_stream_count() const override { return engine_->getNbAuxStreams(); }
    int64_t device_memory() const override { return engine_->getDeviceMemorySizeV2(); }
    int64_t device_memory_of_profile(int32_t profile) const override {
        return engine_->getDeviceMemorySizeForProfileV2(profile);
    }
    bool is_refittable() const override { return engine_->isRefittable(); }
    int32_t hardware_compatibility() const override { return int32_t(engine_->getHardwareCompatibilityLevel()); }
    rust::String information(bool json) const override {
        auto const inspector = not_null(engine_->createEngineInspector(), "createEngineInspector");
        return checked(inspector->getEngineInformation(format(json)), "getEngineInformation");
    }
    rust::String layer_information(int32_t layer, bool json) const override {
        auto const inspector = not_null(engine_->createEngineInspector(), "createEngineInspector");
        return checked(inspector->getLayerInformation(layer, format(json)), "getLayerInformation");
    }
    std::unique_ptr<HostMemory> serialize(bool exclude_weights) const override {
        auto const config = not_null(engine_->createSerializationConfig(), "createSerializationConfig");
        if (exclude_weights && !config->setFlag(nv::SerializationFlag::kEXCLUDE_WEIGHTS)) {
            throw std::runtime_error("the engine cannot be written without its weights");
        }
        return std::make_unique<FlavourMemory>(engine_->serializeWithConfig(*config), "serializeWithConfig");
    }
    std::unique_ptr<Context> context(int32_t allocation) override {
        return std::make_unique<FlavourContext>(
            engine_->createExecutionContext(nv::ExecutionContextAllocationStrategy(allocation)));
    }
    std::unique_ptr<Refitter> refitter() override {
        using Create = void* (*)(void*, void*, int32_t) noexcept;
        auto const create = reinterpret_cast<Create>(symbols_.create_refitter);
        if (create == nullptr) {
            throw std::logic_error("the library has no refitter");
        }
        nv::ILogger& logger = logger_;
        void* const refitter = create(engine_.get(), &logger, NV_TENSORRT_VERSION);
        return std::make_unique<FlavourRefitter>(static_cast<nv::IRefitter*>(refitter), logger_, symbols_);
    }

private:
    static nv::LayerInformationFormat format(bool json) {
        return json ? nv::LayerInformationFormat::kJSON : nv::LayerInformationFormat::kONELINE;
    }
    static rust::String checked(char const* chars, char const* what) {
        if (chars == nullptr) {
            throw std::runtime_error(std::string(what) + " returned nothing");
        }
        return text(chars);
    }

    Logger& logger_;
    Symbols const& symbols_;
    std::unique_ptr<nv::ICudaEngine> engine_;
};

class FlavourRuntime final : public Runtime {
public:
    FlavourRuntime(nv::IRuntime* runtime, Logger& logger, Symbols const& symbols)
        : logger_(logger), symbols_(symbols), runtime_(not_null(runtime, "createInferRuntime")) {}

    std::unique_ptr<Engine> deserialize(rust::Slice<uint8_t const> plan) override {
        return std::make_unique<FlavourEngine>(runtime_->deserializeCudaEngine(plan.data(), plan.size()), logger_,
                                               symbols_);
    }
    bool set_max_threads(int32_t threads) override { return runtime_->setMaxThreads(threads); }
    void set_host_code_allowed(bool allowed) override { runtime_->setEngineHostCodeAllowed(allowed); }

private:
    Logger& logger_;
    Symbols const& symbols_;
    std::unique_ptr<nv::IRuntime> runtime_;
};

class FlavourLibrary final : public Library {
public:
    FlavourLibrary(Symbols const& symbols, rust::Box<LogSink> log) : symbols_(symbols), logger_(std::move(log)) {}

    std::unique_ptr<Builder> builder() const override {
        void* const builder = create(symbols_.create_builder, "builder");
        return std::make_unique<FlavourBuilder>(static_cast<nv::IBuilder*>(builder), logger_, symbols_);
    }
    std::unique_ptr<Runtime> runtime() const override {
        void* const runtime = create(symbols_.create_runtime, "runtime");
        return std::make_unique<FlavourRuntime>(static_cast<nv::IRuntime*>(runtime), logger_, symbols_);
    }
    void load_plugins(std::string const& path) const override {
        if (registry().loadLibrary(path.c_str()) == nullptr) {
            throw std::runtime_error("loadLibrary returned nothing");
        }
    }
    rust::Vec<PluginCreator> plugins() const override {
        int32_t count = 0;
        nv::IPluginCreatorInterface* const* const creators = registry().getAllCreatorsRecursive(&count);
        rust::Vec<PluginCreator> out;
        for (int32_t i = 0; creators != nullptr && i < count; ++i) {
            if (creators[i] == nullptr) {
                continue;
            }
            char const* const kind = creators[i]->getInterfaceInfo().kind;
            PluginCreator creator{};
            creator.kind = text(kind);
            // Of other kinds there is no telling what class they have.
            if (kind != nullptr && std::strcmp(kind, "PLUGIN CREATOR_V3ONE") == 0) {
                auto& known = static_cast<nv::IPluginCreatorV3One&>(*creators[i]);
                creator.name = text(known.getPluginName());
                creator.version = text(known.getPluginVersion());
                creator.plugin_namespace = text(known.getPluginNamespace());
            }
            out.push_back(std::move(creator));
        }
        return out;
    }

private:
    void* create(size_t address, char const* what) const {
        using Create = void* (*)(void*, int32_t);
        auto const function = reinterpret_cast<Create>(address);
        if (function == nullptr) {
            throw std::logic_error(std::string("the library has no ") + what);
        }
        nv::ILogger& logger = logger_;
        return function(&logger, NV_TENSORRT_VERSION);
    }
    nv::IPluginRegistry& registry() const {
        using Get = nv::IPluginRegistry* (*)();
        auto const function = reinterpret_cast<Get>(symbols_.plugin_registry);
        nv::IPluginRegistry* const registry = function == nullptr ? nullptr : function();
        if (registry == nullptr) {
            throw std::logic_error("the library has no plugin registry");
        }
        return *registry;
    }

    Symbols const symbols_;
    // Everything that is made points to it. Logging changes nothing of the library.
    mutable Logger logger_;
};

}  // namespace
}  // namespace tmoe::trt
