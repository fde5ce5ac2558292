// The classes of interface.h over TensorRT 10.

#include "flavour.h"

namespace tmoe::trt {

int32_t header_version_tensorrt() { return NV_TENSORRT_VERSION; }

std::unique_ptr<Library> open_tensorrt(Symbols const& symbols, rust::Box<LogSink> log) {
    return std::make_unique<FlavourLibrary>(symbols, std::move(log));
}

}  // namespace tmoe::trt
