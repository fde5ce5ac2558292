// Messages to TensorRT's logger, and the border that no exception crosses.
#pragma once

#include <NvInferRuntime.h>

#include <stdexcept>
#include <string>

namespace tmoe::tensorrt {

// Why something is not done: what was wrong and what was expected.
struct Refusal : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// Where messages go from now on; without a source, or where it gives null, to standard error.
void set_logger_source(nvinfer1::ILogger *(*source)()) noexcept;

void log(nvinfer1::ILogger::Severity severity, const std::string &message) noexcept;

// What `body` returns; if it throws, the reason is logged as an error of `who`, and `failure` returned.
template <class T, class Body>
T guarded(const char *who, T failure, Body body) noexcept {
    try {
        return body();
    } catch (const std::exception &error) {
        try {
            log(nvinfer1::ILogger::Severity::kERROR, std::string("tmoe::") + who + ": " + error.what());
        } catch (...) {
        }
    } catch (...) {
    }
    return failure;
}

}  // namespace tmoe::tensorrt
