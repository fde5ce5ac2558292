// What happens when the library is loaded, and the two functions that it exports.
//
// Hosts load it in two ways. Those that only open it (trtexec --staticPlugins, Polygraphy, LD_PRELOAD, ONNX Runtime) expect that it
// registers its creators itself. IPluginRegistry::loadLibrary opens it too, then asks getCreators for what to register, and fails
// where something is registered already. So the library registers when it is opened, and getCreators gives only what it did not:
// nothing, unless TensorRT was not found then, or had plugins of the same names.
//
// libnvinfer is not linked. It is the one that the process has, or else the one that the system finds: a host that preloads this
// library loads TensorRT later. Registries keep pointers to the creators, therefore the library is never unloaded (-z nodelete) and
// the creators are never destroyed.
#include <NvInferRuntime.h>
#include <dlfcn.h>

#include <string>
#include <vector>

#include "creator.h"
#include "log.h"

namespace tmoe::tensorrt {
namespace {

using nvinfer1::ILogger;

constexpr std::int32_t kMajor = NV_TENSORRT_MAJOR;
// The first whose build capability knows aliased tensors.
constexpr std::int32_t kOldest = 100300;

#define TMOE_STRING_(x) #x
#define TMOE_STRING(x) TMOE_STRING_(x)
constexpr const char *kLibrary = "libnvinfer.so." TMOE_STRING(NV_TENSORRT_MAJOR);
constexpr const char *kLeanLibrary = "libnvinfer_lean.so." TMOE_STRING(NV_TENSORRT_MAJOR);

// The functions of a TensorRT, null where there is none.
struct TensorRt {
    std::int32_t (*version)() noexcept = nullptr;
    nvinfer1::IPluginRegistry *(*registry)() noexcept = nullptr;
    ILogger *(*logger)() noexcept = nullptr;

    TensorRt() = default;
    // As dlsym takes it: a library, or RTLD_DEFAULT.
    explicit TensorRt(void *library) {
        version = reinterpret_cast<decltype(version)>(dlsym(library, "getInferLibVersion"));
        registry = reinterpret_cast<decltype(registry)>(dlsym(library, "getPluginRegistry"));
        logger = reinterpret_cast<decltype(logger)>(dlsym(library, "getLogger"));
    }
    bool found() const { return version != nullptr && registry != nullptr; }
};

struct State {
    TensorRt tensorrt;
    nvinfer1::ILoggerFinder *logger_finder = nullptr;
    bool refused = false;                                        // TensorRT is of another version
    std::vector<nvinfer1::IPluginCreatorInterface *> left;       // not registered when the library was loaded
};

State &state() {
    static State *const only = new State;
    return *only;
}

ILogger *find_logger() {
    if (state().logger_finder != nullptr) {
        if (ILogger *const logger = state().logger_finder->findLogger()) return logger;
    }
    return state().tensorrt.logger != nullptr ? state().tensorrt.logger() : nullptr;
}

TensorRt find_tensorrt() {
    const TensorRt in_process(RTLD_DEFAULT);
    if (in_process.found()) return in_process;
    void *library = dlopen(kLibrary, RTLD_LAZY | RTLD_NOLOAD);
    if (library == nullptr) library = dlopen(kLeanLibrary, RTLD_LAZY | RTLD_NOLOAD);
    if (library == nullptr) library = dlopen(kLibrary, RTLD_LAZY);
    return library != nullptr ? TensorRt(library) : TensorRt();
}

void say(ILogger::Severity severity, const std::string &message) { log(severity, "libtmoe_trt_plugins.so: " + message); }

std::string version_text(std::int32_t version) {
    // Before TensorRT 10 a major version counted 1000.
    const std::int32_t major = version >= 100000 ? 10000 : 1000;
    return std::to_string(version / major) + "." + std::to_string(version % major / 100) + "." + std::to_string(version % 100);
}

bool version_fits() {
    const std::int32_t version = state().tensorrt.version();
    if (version >= kOldest && version / 10000 == kMajor) return true;
    state().refused = true;
    say(ILogger::Severity::kERROR, "no plugins are registered: this is TensorRT " + version_text(version) + ", they were built for " +
                                       version_text(NV_TENSORRT_VERSION) + " and work with " + version_text(kOldest) + " and later versions " +
                                       std::to_string(kMajor));
    return false;
}

void register_creators() {
    state().tensorrt = find_tensorrt();
    for (const std::unique_ptr<Creator> &creator : creators()) state().left.push_back(creator.get());
    if (!state().tensorrt.found()) {
        say(ILogger::Severity::kWARNING, std::string("no plugins are registered: ") + kLibrary + " was not found. Install TensorRT " +
                                             std::to_string(kMajor) + ", or add its folder to LD_LIBRARY_PATH");
        return;
    }
    if (!version_fits()) return;
    nvinfer1::IPluginRegistry *const registry = state().tensorrt.registry();
    if (registry == nullptr) return;
    state().left.clear();
    for (const std::unique_ptr<Creator> &creator : creators()) {
        nvinfer1::IPluginCreatorInterface &plain = *creator;
        if (registry->registerCreator(plain, creator->getPluginNamespace())) continue;
        state().left.push_back(&plain);
        say(ILogger::Severity::kWARNING, std::string("another plugin ") + creator->getPluginName() + ", version " + creator->getPluginVersion() +
                                             ", is registered in the namespace \"" + creator->getPluginNamespace() + "\" already, and is used");
    }
}

__attribute__((constructor)) void on_load() {
    guarded("load", 0, [] {
        set_logger_source(find_logger);
        register_creators();
        return 0;
    });
}

}  // namespace
}  // namespace tmoe::tensorrt

extern "C" __attribute__((visibility("default"))) void setLoggerFinder(nvinfer1::ILoggerFinder *finder) {
    tmoe::tensorrt::state().logger_finder = finder;
}

extern "C" __attribute__((visibility("default"))) nvinfer1::IPluginCreatorInterface *const *getCreators(std::int32_t &count) {
    const auto &left = tmoe::tensorrt::state().left;
    count = tmoe::tensorrt::state().refused ? 0 : std::int32_t(left.size());
    return left.data();
}
