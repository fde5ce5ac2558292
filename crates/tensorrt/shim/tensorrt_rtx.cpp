// The classes of interface.h over TensorRT-RTX.

// Both flavours declare the namespaces nvinfer1 and nvonnxparser, with classes of the same names and other virtual
// functions: in one program one of them has to have other names. The library's own functions have C names and take
// pointers only, so that it does not notice.
#define nvinfer1 nvinfer1_rtx
#define nvonnxparser nvonnxparser_rtx
#define TMOE_TENSORRT_RTX 1

#include "flavour.h"

namespace tmoe::trt {

int32_t header_version_tensorrt_rtx() { return NV_TENSORRT_VERSION; }

std::unique_ptr<Library> open_tensorrt_rtx(Symbols const& symbols, rust::Box<LogSink> log) {
    return std::make_unique<FlavourLibrary>(symbols, std::move(log));
}

}  // namespace tmoe::trt
