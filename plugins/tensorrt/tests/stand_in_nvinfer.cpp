// A libnvinfer.so with a registry and nothing else. TMOE_STAND_IN_VERSION is the version that it says it has.
#include <NvInferRuntime.h>
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

using nvinfer1::IPluginCreatorInterface;
using nvinfer1::IPluginCreatorV3One;

class Logger final : public nvinfer1::ILogger {
    void log(Severity severity, const char *message) noexcept override { std::printf("logger %d: %s\n", int(severity), message); }
};

class LoggerFinder final : public nvinfer1::ILoggerFinder {
    nvinfer1::ILogger *findLogger() override {
        static Logger logger;
        return &logger;
    }
};

// No name, version and namespace twice, as TensorRT's own.
class Registry final : public nvinfer1::IPluginRegistry {
    bool registerCreator(nvinfer1::IPluginCreator &, const char *const) noexcept override { return false; }
    nvinfer1::IPluginCreator *const *getPluginCreatorList(std::int32_t *const) const noexcept override { return nullptr; }
    nvinfer1::IPluginCreator *getPluginCreator(const char *const, const char *const, const char *const) noexcept override { return nullptr; }
    void setErrorRecorder(nvinfer1::IErrorRecorder *const) noexcept override {}
    nvinfer1::IErrorRecorder *getErrorRecorder() const noexcept override { return nullptr; }
    bool deregisterCreator(const nvinfer1::IPluginCreator &) noexcept override { return false; }
    bool isParentSearchEnabled() const override { return false; }
    void setParentSearchEnabled(bool const) override {}
    PluginLibraryHandle loadLibrary(const char *path) noexcept override {
        void *const library = dlopen(path, RTLD_LAZY);
        if (library == nullptr) return nullptr;
        const auto set_logger_finder = reinterpret_cast<void (*)(nvinfer1::ILoggerFinder *)>(dlsym(library, "setLoggerFinder"));
        const auto get_creators = reinterpret_cast<IPluginCreatorInterface *const *(*)(std::int32_t &)>(dlsym(library, "getCreators"));
        if (set_logger_finder == nullptr || get_creators == nullptr) return nullptr;
        static LoggerFinder finder;
        set_logger_finder(&finder);
        std::int32_t count = 0;
        IPluginCreatorInterface *const *const list = get_creators(count);
        for (std::int32_t i = 0; i < count; ++i)
            if (!registerCreator(*list[i], "")) return nullptr;
        return library;
    }
    void deregisterLibrary(PluginLibraryHandle) noexcept override {}
    bool registerCreator(IPluginCreatorInterface &creator, const char *const) noexcept override {
        for (IPluginCreatorInterface *const other : creators_)
            if (key(*other) == key(creator)) return false;
        creators_.push_back(&creator);
        return true;
    }
    IPluginCreatorInterface *const *getAllCreators(std::int32_t *const count) const noexcept override {
        *count = std::int32_t(creators_.size());
        return creators_.data();
    }
    IPluginCreatorInterface *getCreator(const char *const, const char *const, const char *const) noexcept override { return nullptr; }
    bool deregisterCreator(const IPluginCreatorInterface &) noexcept override { return false; }
    nvinfer1::IPluginResource *acquirePluginResource(const char *, nvinfer1::IPluginResource *) noexcept override { return nullptr; }
    std::int32_t releasePluginResource(const char *) noexcept override { return 1; }
    IPluginCreatorInterface *const *getAllCreatorsRecursive(std::int32_t *const count) noexcept override { return getAllCreators(count); }

    static std::string key(IPluginCreatorInterface &creator) {
        auto &one = static_cast<IPluginCreatorV3One &>(creator);
        return std::string(one.getPluginNamespace()) + "::" + one.getPluginName() + "/" + one.getPluginVersion();
    }

    std::vector<IPluginCreatorInterface *> creators_;
};

}  // namespace

extern "C" __attribute__((visibility("default"))) nvinfer1::IPluginRegistry *getPluginRegistry() noexcept {
    static Registry *const registry = new Registry;
    return registry;
}

extern "C" __attribute__((visibility("default"))) nvinfer1::ILogger *getLogger() noexcept {
    static Logger logger;
    return &logger;
}

extern "C" __attribute__((visibility("default"))) std::int32_t getInferLibVersion() noexcept {
    const char *const version = std::getenv("TMOE_STAND_IN_VERSION");
    return version != nullptr ? std::atoi(version) : std::int32_t(NV_TENSORRT_VERSION);
}
