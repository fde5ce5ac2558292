// How hosts load the library. A host is a process of its own, because what is registered stays: this program runs itself with the
// steps of one, which prints what it sees. libtmoe_trt_plugins.so and stand_in/libnvinfer.so.10 lie beside the program.
#include <NvInferRuntime.h>
#include <dlfcn.h>
#include <errno.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "support/test.h"

namespace tmoe::test {
namespace {

std::string folder() {
    char path[4096];
    const ssize_t length = readlink("/proc/self/exe", path, sizeof path);
    const std::string program(path, length > 0 ? std::size_t(length) : 0);
    return program.substr(0, program.rfind('/'));
}

std::string plugins() { return folder() + "/libtmoe_trt_plugins.so"; }
std::string tensorrt() { return folder() + "/stand_in/libnvinfer.so." + std::to_string(NV_TENSORRT_MAJOR); }

// Each letter is a step: n and N load TensorRT for itself and for all, p opens the plugins, c closes them, l is loadLibrary.
void host(const char *steps) {
    void *library = nullptr, *trt = nullptr;
    for (const char *step = steps; *step != 0; ++step) {
        switch (*step) {
            case 'n': trt = dlopen(tensorrt().c_str(), RTLD_LAZY | RTLD_LOCAL); break;
            case 'N': trt = dlopen(tensorrt().c_str(), RTLD_LAZY | RTLD_GLOBAL); break;
            case 'p':
                library = dlopen(plugins().c_str(), RTLD_NOW | RTLD_LOCAL);
                if (library == nullptr) std::printf("not loaded: %s\n", dlerror());
                break;
            case 'c': dlclose(library); break;
            case 'l': {
                const auto registry = reinterpret_cast<nvinfer1::IPluginRegistry *(*)()>(dlsym(trt, "getPluginRegistry"));
                std::printf("loadLibrary: %s\n", registry()->loadLibrary(plugins().c_str()) != nullptr ? "done" : "failed");
                break;
            }
            case 's':
                for (const char *name : {"getCreators", "setLoggerFinder", "tmoe_sparse_moe", "tmoe_kernels_abi", "getPluginCreators"})
                    std::printf("%s: %s\n", name, dlsym(library, name) != nullptr ? "exported" : "hidden");
                break;
            default: break;
        }
    }
    if (trt == nullptr) trt = dlopen(tensorrt().c_str(), RTLD_LAZY | RTLD_NOLOAD);
    if (trt != nullptr) {
        const auto registry = reinterpret_cast<nvinfer1::IPluginRegistry *(*)()>(dlsym(trt, "getPluginRegistry"));
        std::int32_t count = 0;
        nvinfer1::IPluginCreatorInterface *const *const list = registry()->getAllCreators(&count);
        for (std::int32_t i = 0; i < count; ++i) {
            auto &creator = static_cast<nvinfer1::IPluginCreatorV3One &>(*list[i]);
            // It is still in memory, and answers.
            std::printf("creator %s %s::%s with", creator.getPluginVersion(), creator.getPluginNamespace(), creator.getPluginName());
            const nvinfer1::PluginFieldCollection &fields = *creator.getFieldNames();
            for (std::int32_t field = 0; field < fields.nbFields; ++field) {
                const nvinfer1::PluginFieldType type = fields.fields[field].type;
                const char *const kind = type == nvinfer1::PluginFieldType::kINT32 ? "integer" : type == nvinfer1::PluginFieldType::kFLOAT32 ? "number" : "word";
                std::printf(" %s:%s", fields.fields[field].name, kind);
            }
            std::printf("\n");
        }
    }
    std::printf("alive\n");
    std::fflush(stdout);
    _exit(0);
}

// Before main, which knows no such option.
[[maybe_unused]] const bool is_host = [] {
    if (const char *const steps = std::getenv("TMOE_HOST_STEPS")) host(steps);
    return true;
}();

// What a host with these steps and variables prints.
std::string output_of(const std::string &steps, const std::string &variables = "") {
    const std::string command = variables + " TMOE_HOST_STEPS=" + steps + " '" + folder() + "/" + program_invocation_short_name + "' 2>&1";
    std::FILE *const pipe = popen(command.c_str(), "r");
    std::string text;
    char buffer[512];
    while (pipe != nullptr && std::fgets(buffer, sizeof buffer, pipe) != nullptr) text += buffer;
    if (pipe != nullptr) pclose(pipe);
    return text;
}

const char *const kNoLeaks = "ASAN_OPTIONS=detect_leaks=0 LD_LIBRARY_PATH=";

void expect_all_once(Run &run, const std::string &printed) {
    for (const char *name_space : {"", "tmoe"})
        for (const char *name : {"SparseMoe", "FlashAttention", "Linear", "AddRmsNorm"}) {
            const std::string line = std::string("creator 1 ") + name_space + "::" + name + " ";
            const std::size_t first = printed.find(line);
            run.expect(first != std::string::npos && printed.find(line, first + 1) == std::string::npos, "%s is not there once:\n%s", line.c_str(), printed.c_str());
        }
    run.expect(printed.find("alive\n") != std::string::npos, "the host ended:\n%s", printed.c_str());
}

void expect_none(Run &run, const std::string &printed, const std::string &words) {
    run.expect(printed.find("creator 1") == std::string::npos, "something is registered:\n%s", printed.c_str());
    run.expect(printed.find(words) != std::string::npos, "`%s` is missing:\n%s", words.c_str(), printed.c_str());
    run.expect(printed.find("alive\n") != std::string::npos, "the host ended:\n%s", printed.c_str());
}

TMOE_CASE("a host that has TensorRT opens the library: all creators are registered, each once") {
    for (const char *steps : {"np", "Np", "npp", "Npcp"}) expect_all_once(run, output_of(steps, kNoLeaks));
}

TMOE_CASE("creators stay when the library is closed") { expect_all_once(run, output_of("npc", kNoLeaks)); }

TMOE_CASE("loadLibrary registers nothing twice, before and after the library was opened") {
    for (const char *steps : {"nl", "npl", "Nlp", "nll"}) {
        const std::string printed = output_of(steps, kNoLeaks);
        expect_all_once(run, printed);
        run.expect(printed.find("loadLibrary: done") != std::string::npos, "%s", printed.c_str());
    }
}

TMOE_CASE("a host that loads TensorRT later finds the creators of the library that was preloaded") {
    const std::string variables = kNoLeaks + folder() + "/stand_in";
    expect_all_once(run, output_of("pn", variables));
}

TMOE_CASE("another version of TensorRT is refused, whoever loads the library") {
    for (const char *version : {"8601", "100200", "110400"})
        for (const char *steps : {"np", "nl", "Npl"}) {
            const std::string printed = output_of(steps, std::string("TMOE_STAND_IN_VERSION=") + version + " " + kNoLeaks);
            const std::string name = std::string(version) == "8601" ? "TensorRT 8.6.1" : std::string(version) == "100200" ? "TensorRT 10.2.0" : "TensorRT 11.4.0";
            expect_none(run, printed, "logger 1: libtmoe_trt_plugins.so: no plugins are registered: this is " + name);
        }
    expect_all_once(run, output_of("np", std::string("TMOE_STAND_IN_VERSION=100300 ") + kNoLeaks));
}

TMOE_CASE("a host without TensorRT lives, and is told") {
    if (void *const installed = dlopen(("libnvinfer.so." + std::to_string(NV_TENSORRT_MAJOR)).c_str(), RTLD_LAZY)) {
        dlclose(installed);
        std::printf("        not checked: this machine has TensorRT\n");
        return;
    }
    expect_none(run, output_of("p", kNoLeaks), "libnvinfer.so." + std::to_string(NV_TENSORRT_MAJOR) + " was not found. Install TensorRT");
    // Once TensorRT is there, loadLibrary is given what was not registered.
    expect_all_once(run, output_of("pnl", kNoLeaks));
}

TMOE_CASE("the library exports what TensorRT looks for and nothing else") {
    const std::string printed = output_of("nps", kNoLeaks);
    for (const char *line : {"getCreators: exported", "setLoggerFinder: exported", "tmoe_sparse_moe: hidden", "tmoe_kernels_abi: hidden", "getPluginCreators: hidden"})
        run.expect(printed.find(line) != std::string::npos, "`%s` is missing:\n%s", line, printed.c_str());
}

}  // namespace
}  // namespace tmoe::test
