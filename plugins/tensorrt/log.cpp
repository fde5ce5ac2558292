#include "log.h"

#include <atomic>
#include <cstdio>

namespace tmoe::tensorrt {
namespace {

std::atomic<nvinfer1::ILogger *(*)()> logger_source{nullptr};

nvinfer1::ILogger *find_logger() noexcept {
    // A host's logger finder may throw.
    try {
        const auto source = logger_source.load();
        return source != nullptr ? source() : nullptr;
    } catch (...) {
        return nullptr;
    }
}

}  // namespace

void set_logger_source(nvinfer1::ILogger *(*source)()) noexcept { logger_source = source; }

void log(nvinfer1::ILogger::Severity severity, const std::string &message) noexcept {
    if (nvinfer1::ILogger *const logger = find_logger()) {
        logger->log(severity, message.c_str());
    } else {
        std::fprintf(stderr, "%s\n", message.c_str());
    }
}

}  // namespace tmoe::tensorrt
