// What the Rust side sees of TensorRT: abstract classes, which flavour.h implements once per flavour.
//
// Objects must be destroyed before those that made them; the Rust side sees to it. A null pointer of TensorRT's
// becomes an exception here, and an exception a Result there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>

#include "rust/cxx.h"

// The handler that cxx uses when there is one: no exception whatever crosses into Rust.
namespace rust::behavior {
template <typename Try, typename Fail>
static void trycatch(Try&& attempt, Fail&& fail) noexcept {
    try {
        attempt();
    } catch (std::exception const& error) {
        fail(error.what());
    } catch (...) {
        fail("an exception of an unknown type");
    }
}
}  // namespace rust::behavior

namespace tmoe::trt {

struct Symbols;
struct NetworkTensor;
struct NetworkLayer;
struct ProfileShapes;
struct EngineTensor;
struct ParserError;
struct PluginCreator;
struct LogSink;
struct ProgressSink;

struct HostMemory {
    virtual ~HostMemory() = default;
    virtual rust::Slice<uint8_t const> bytes() const = 0;
};

struct Parser {
    virtual ~Parser() = default;
    virtual bool parse_file(std::string const& path, int32_t verbosity) = 0;
    virtual bool parse(rust::Slice<uint8_t const> model, std::string const& path) = 0;
    virtual rust::Vec<ParserError> errors() const = 0;
    virtual bool supports_operator(std::string const& name) const = 0;
};

struct Network {
    virtual ~Network() = default;
    virtual rust::String name() const = 0;
    virtual void set_name(std::string const& name) = 0;
    virtual bool is_strongly_typed() const = 0;
    virtual rust::Vec<NetworkTensor> inputs() const = 0;
    virtual rust::Vec<NetworkTensor> outputs() const = 0;
    virtual rust::Vec<NetworkLayer> layers() const = 0;
    virtual bool mark_weights_refittable(std::string const& name) = 0;
    virtual std::unique_ptr<Parser> parser() = 0;
};

struct Profile {
    virtual ~Profile() = default;
    virtual bool set_shape(std::string const& input, int32_t selector, rust::Slice<int64_t const> shape) = 0;
    virtual bool set_values(std::string const& input, int32_t selector, rust::Slice<int64_t const> values) = 0;
    virtual bool is_valid() const = 0;
};

struct Config {
    virtual ~Config() = default;
    virtual bool set_flag(rust::Str name, bool on) = 0;
    virtual bool flag(rust::Str name) const = 0;
    virtual bool set_preview_feature(rust::Str name, bool on) = 0;
    virtual bool set_pool_limit(int32_t pool, size_t bytes) = 0;
    virtual size_t pool_limit(int32_t pool) const = 0;
    virtual bool set_optimization_level(int32_t level) = 0;
    virtual bool set_hardware_compatibility(int32_t level) = 0;
    virtual bool set_verbosity(int32_t verbosity) = 0;
    virtual bool set_max_aux_streams(int32_t streams) = 0;
    virtual int32_t add_profile(Profile& profile) = 0;
    virtual bool set_compute_capabilities(rust::Slice<int32_t const> capabilities) = 0;
    virtual void set_progress(rust::Box<ProgressSink> progress) = 0;
    virtual void set_timing_cache(rust::Slice<uint8_t const> bytes, bool ignore_mismatch) = 0;
    virtual std::unique_ptr<HostMemory> timing_cache() const = 0;
};

struct Builder {
    virtual ~Builder() = default;
    virtual std::unique_ptr<Network> network(bool strongly_typed) = 0;
    virtual std::unique_ptr<Config> config() = 0;
    virtual std::unique_ptr<Profile> profile() = 0;
    virtual bool set_max_threads(int32_t threads) = 0;
    virtual std::unique_ptr<HostMemory> build(Network& network, Config& config) = 0;
};

struct Context {
    virtual ~Context() = default;
    virtual bool set_input_shape(std::string const& name, rust::Slice<int64_t const> shape) = 0;
    virtual rust::Vec<int64_t> tensor_shape(std::string const& name) const = 0;
    virtual int64_t max_output_size(std::string const& name) const = 0;
    virtual rust::Vec<rust::String> infer_shapes() = 0;
    virtual size_t update_device_memory() = 0;
    virtual int32_t profile() const = 0;
    virtual void set_debug_sync(bool on) = 0;
    virtual bool set_profile(int32_t profile, size_t stream) = 0;
    virtual bool set_address(std::string const& name, size_t address) = 0;
    virtual void set_device_memory(size_t address, int64_t bytes) = 0;
    virtual bool enqueue(size_t stream) = 0;
};

struct Refitter {
    virtual ~Refitter() = default;
    virtual rust::Vec<rust::String> weights(bool missing) = 0;
    virtual bool set_weights(std::string const& name, int32_t data_type, size_t address, int64_t count) = 0;
    virtual bool refit() = 0;
    virtual rust::Vec<ParserError> refit_from_file(std::string const& path) = 0;
};

struct Engine {
    virtual ~Engine() = default;
    virtual rust::String name() const = 0;
    virtual rust::Vec<EngineTensor> tensors() const = 0;
    virtual int32_t layer_count() const = 0;
    virtual int32_t profile_count() const = 0;
    virtual int32_t aux_stream_count() const = 0;
    virtual int64_t device_memory() const = 0;
    virtual int64_t device_memory_of_profile(int32_t profile) const = 0;
    virtual bool is_refittable() const = 0;
    virtual int32_t hardware_compatibility() const = 0;
    virtual rust::String information(bool json) const = 0;
    virtual rust::String layer_information(int32_t layer, bool json) const = 0;
    virtual std::unique_ptr<HostMemory> serialize(bool exclude_weights) const = 0;
    virtual std::unique_ptr<Context> context(int32_t allocation) = 0;
    virtual std::unique_ptr<Refitter> refitter() = 0;
};

struct Runtime {
    virtual ~Runtime() = default;
    virtual std::unique_ptr<Engine> deserialize(rust::Slice<uint8_t const> plan) = 0;
    virtual bool set_max_threads(int32_t threads) = 0;
    virtual void set_host_code_allowed(bool allowed) = 0;
};

struct Library {
    virtual ~Library() = default;
    virtual std::unique_ptr<Builder> builder() const = 0;
    virtual std::unique_ptr<Runtime> runtime() const = 0;
    virtual void load_plugins(std::string const& path) const = 0;
    virtual rust::Vec<PluginCreator> plugins() const = 0;
};

int32_t header_version_tensorrt();
int32_t header_version_tensorrt_rtx();
std::unique_ptr<Library> open_tensorrt(Symbols const& symbols, rust::Box<LogSink> log);
std::unique_ptr<Library> open_tensorrt_rtx(Symbols const& symbols, rust::Box<LogSink> log);

}  // namespace tmoe::trt
