// Runs the process's cases and says how each went.
#include <cuda_runtime.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>
#include <vector>

#include "support/test.h"

namespace {

constexpr int kNoDevice = 77;

struct Options {
    bool list = false;
    std::string filter;
    // At most this many cases, spread over those that the filter leaves; 0: all of them.
    int sample = 0;
#if defined(TMOE_EMULATOR)
    int capability = 90;
#endif
};

[[noreturn]] void usage(const char *program) {
    std::fprintf(stderr,
                 "usage: %s [--list] [--filter TEXT] [--sample N]"
#if defined(TMOE_EMULATOR)
                 " [--device 75|80|86|89|90|120] [--order forward|reverse|shuffled]"
#endif
                 "\n",
                 program);
    std::exit(2);
}

Options parse(int count, char **arguments) {
    Options options;
    for (int i = 1; i < count; ++i) {
        const std::string name = arguments[i];
        if (name == "--list") {
            options.list = true;
            continue;
        }
        if (++i == count) usage(arguments[0]);
        const std::string value = arguments[i];
        if (name == "--filter") {
            options.filter = value;
        } else if (name == "--sample" && std::atoi(value.c_str()) > 0) {
            options.sample = std::atoi(value.c_str());
#if defined(TMOE_EMULATOR)
        } else if (name == "--device") {
            options.capability = std::atoi(value.c_str());
        } else if (name == "--order" && value == "forward") {
            emulator::set_order(emulator::Order::Forward);
        } else if (name == "--order" && value == "reverse") {
            emulator::set_order(emulator::Order::Reverse);
        } else if (name == "--order" && value == "shuffled") {
            emulator::set_order(emulator::Order::Shuffled);
#endif
        } else {
            usage(arguments[0]);
        }
    }
    return options;
}

// The compute capability of the device that the cases will use, or 0 if there is none.
int select_device([[maybe_unused]] const Options &options) {
    int count = 0;
    if (cudaGetDeviceCount(&count) != cudaSuccess || count == 0) return 0;
#if defined(TMOE_EMULATOR)
    int device = 0;
    while (device < count && emulator::device_facts(device).capability != options.capability) ++device;
    if (device == count) return 0;
    emulator::set_current_device(device);
#else
    const int device = 0;
#endif
    int major = 0, minor = 0;
    if (cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) != cudaSuccess) return 0;
    if (cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device) != cudaSuccess) return 0;
    return major * 10 + minor;
}

// The cases that the options ask for.
std::vector<tmoe::test::Case> selected(const Options &options) {
    std::vector<tmoe::test::Case> found;
    for (const tmoe::test::Case &one : tmoe::test::cases().all()) {
        if (one.name.find(options.filter) != std::string::npos) found.push_back(one);
    }
    const std::size_t wanted = std::size_t(options.sample);
    if (wanted == 0 || wanted >= found.size()) return found;
    std::vector<tmoe::test::Case> sample;
    for (std::size_t i = 0; i < wanted; ++i) sample.push_back(found[i * found.size() / wanted]);
    return sample;
}

// FNV-1a.
std::uint64_t seed_of(const std::string &name) {
    std::uint64_t hash = 0xcbf29ce484222325u;
    for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    return hash;
}

}  // namespace

int main(int count, char **arguments) {
    using namespace tmoe::test;
    const Options options = parse(count, arguments);
    const int capability = options.list ? 0 : select_device(options);
    if (!options.list && capability == 0) {
        std::fprintf(stderr, "no such device\n");
        return kNoDevice;
    }
    int passed = 0, failed = 0, skipped = 0;
    for (const Case &one : selected(options)) {
        if (options.list) {
            std::printf("%s\n", one.name.c_str());
            continue;
        }
        if (one.capability > capability) {
            std::printf("skipped %s: needs sm_%d, the device is sm_%d\n", one.name.c_str(), one.capability, capability);
            ++skipped;
            continue;
        }
        Run run(seed_of(one.name), capability);
        try {
            one.body(run);
        } catch (const std::exception &error) {
            run.expect(false, "%s", error.what());
        }
        const cudaError_t error = cudaDeviceSynchronize();
        run.expect(error == cudaSuccess, "the device reports: %s", cudaGetErrorString(error));
        std::printf("%s %s", run.failed() ? "FAILED " : "ok     ", one.name.c_str());
        if (run.compared()) std::printf(" (relative %.2g, largest %.2g)", run.worst_relative(), run.worst_maximum());
        std::printf("\n%s", run.messages().c_str());
        std::fflush(stdout);
        ++(run.failed() ? failed : passed);
    }
    if (options.list) return 0;
    std::printf("%d passed, %d failed, %d skipped (sm_%d)\n", passed, failed, skipped, capability);
    return failed ? 1 : 0;
}
