//! The bridge to the shim: one set of abstract classes, which each flavour of TensorRT implements.
//!
//! The functions that take addresses are unsafe. Of the others, those that give a `Result` fail when TensorRT refuses,
//! and none of them takes a name or a number that it does not check.

#![allow(unreachable_pub, reason = "the macro makes everything public within this module")]

use crate::logger::LogSink;
use crate::progress::ProgressSink;

#[cxx::bridge(namespace = "tmoe::trt")]
pub(crate) mod ffi {
    /// Addresses of functions in the libraries; 0: the library does not export it.
    struct Symbols {
        create_builder: usize,
        create_runtime: usize,
        create_refitter: usize,
        plugin_registry: usize,
        create_parser: usize,
        create_parser_refitter: usize,
    }

    /// A tensor of a network.
    struct NetworkTensor {
        name: String,
        data_type: i32,
        /// -1: not known before run time.
        shape: Vec<i64>,
    }

    /// A layer of a network.
    struct NetworkLayer {
        name: String,
        kind: i32,
        metadata: String,
        inputs: Vec<String>,
        outputs: Vec<String>,
    }

    /// Shapes that one profile allows an input; empty for outputs.
    struct ProfileShapes {
        min: Vec<i64>,
        opt: Vec<i64>,
        max: Vec<i64>,
    }

    /// An input or output of an engine.
    struct EngineTensor {
        name: String,
        is_input: bool,
        data_type: i32,
        shape: Vec<i64>,
        on_host: bool,
        is_shape: bool,
        aliased_input: String,
        profiles: Vec<ProfileShapes>,
    }

    /// What the parser says of one error.
    struct ParserError {
        code: i32,
        description: String,
        file: String,
        line: i32,
        function: String,
        node: i32,
        node_name: String,
        node_operator: String,
        local_functions: Vec<String>,
    }

    /// A plugin that can be created.
    struct PluginCreator {
        name: String,
        version: String,
        plugin_namespace: String,
        kind: String,
    }

    extern "Rust" {
        type LogSink;
        fn log(self: &LogSink, severity: i32, message: String);

        type ProgressSink;
        fn phase_start(self: &ProgressSink, phase: String, parent: String, steps: i32);
        fn step_complete(self: &ProgressSink, phase: String, step: i32) -> bool;
        fn phase_finish(self: &ProgressSink, phase: String);
    }

    unsafe extern "C++" {
        include!("interface.h");

        /// TensorRT's version as a number: 10000 x major + 100 x minor + patch.
        fn header_version_tensorrt() -> i32;
        fn header_version_tensorrt_rtx() -> i32;

        /// # Safety
        /// The addresses are 0, or of functions of TensorRT's, of the version of the headers, that stay loaded.
        unsafe fn open_tensorrt(symbols: &Symbols, log: Box<LogSink>) -> UniquePtr<Library>;
        /// # Safety
        /// As [`open_tensorrt`], of TensorRT-RTX's.
        unsafe fn open_tensorrt_rtx(symbols: &Symbols, log: Box<LogSink>) -> UniquePtr<Library>;

        type Library;
        fn builder(self: &Library) -> Result<UniquePtr<Builder>>;
        fn runtime(self: &Library) -> Result<UniquePtr<Runtime>>;
        fn load_plugins(self: &Library, path: &CxxString) -> Result<()>;
        fn plugins(self: &Library) -> Result<Vec<PluginCreator>>;

        type Builder;
        fn network(self: Pin<&mut Builder>, strongly_typed: bool) -> Result<UniquePtr<Network>>;
        fn config(self: Pin<&mut Builder>) -> Result<UniquePtr<Config>>;
        fn profile(self: Pin<&mut Builder>) -> Result<UniquePtr<Profile>>;
        fn set_max_threads(self: Pin<&mut Builder>, threads: i32) -> bool;
        fn build(
            self: Pin<&mut Builder>,
            network: Pin<&mut Network>,
            config: Pin<&mut Config>,
        ) -> Result<UniquePtr<HostMemory>>;

        type Profile;
        fn set_shape(
            self: Pin<&mut Profile>,
            input: &CxxString,
            selector: i32,
            shape: &[i64],
        ) -> Result<bool>;
        fn set_values(
            self: Pin<&mut Profile>,
            input: &CxxString,
            selector: i32,
            values: &[i64],
        ) -> Result<bool>;
        fn is_valid(self: &Profile) -> bool;

        type Config;
        /// False: this flavour has no such flag.
        fn set_flag(self: Pin<&mut Config>, name: &str, on: bool) -> bool;
        fn flag(self: &Config, name: &str) -> bool;
        fn set_preview_feature(self: Pin<&mut Config>, name: &str, on: bool) -> bool;
        fn set_pool_limit(self: Pin<&mut Config>, pool: i32, bytes: usize) -> bool;
        fn pool_limit(self: &Config, pool: i32) -> usize;
        fn set_optimization_level(self: Pin<&mut Config>, level: i32) -> bool;
        fn set_hardware_compatibility(self: Pin<&mut Config>, level: i32) -> bool;
        fn set_verbosity(self: Pin<&mut Config>, verbosity: i32) -> bool;
        fn set_max_aux_streams(self: Pin<&mut Config>, streams: i32) -> bool;
        fn add_profile(self: Pin<&mut Config>, profile: Pin<&mut Profile>) -> i32;
        /// False: this flavour builds for the GPU at hand only.
        fn set_compute_capabilities(self: Pin<&mut Config>, capabilities: &[i32]) -> Result<bool>;
        fn set_progress(self: Pin<&mut Config>, progress: Box<ProgressSink>);
        fn set_timing_cache(self: Pin<&mut Config>, bytes: &[u8], ignore_mismatch: bool) -> Result<()>;
        fn timing_cache(self: &Config) -> Result<UniquePtr<HostMemory>>;

        type Network;
        fn name(self: &Network) -> String;
        fn set_name(self: Pin<&mut Network>, name: &CxxString);
        fn is_strongly_typed(self: &Network) -> bool;
        fn inputs(self: &Network) -> Result<Vec<NetworkTensor>>;
        fn outputs(self: &Network) -> Result<Vec<NetworkTensor>>;
        fn layers(self: &Network) -> Result<Vec<NetworkLayer>>;
        fn mark_weights_refittable(self: Pin<&mut Network>, name: &CxxString) -> bool;
        fn parser(self: Pin<&mut Network>) -> Result<UniquePtr<Parser>>;

        type Parser;
        fn parse_file(self: Pin<&mut Parser>, path: &CxxString, verbosity: i32) -> bool;
        fn parse(self: Pin<&mut Parser>, model: &[u8], path: &CxxString) -> bool;
        fn errors(self: &Parser) -> Result<Vec<ParserError>>;
        fn supports_operator(self: &Parser, name: &CxxString) -> bool;

        type Runtime;
        fn deserialize(self: Pin<&mut Runtime>, plan: &[u8]) -> Result<UniquePtr<Engine>>;
        fn set_max_threads(self: Pin<&mut Runtime>, threads: i32) -> bool;
        fn set_host_code_allowed(self: Pin<&mut Runtime>, allowed: bool);

        type Engine;
        fn name(self: &Engine) -> String;
        fn tensors(self: &Engine) -> Result<Vec<EngineTensor>>;
        fn layer_count(self: &Engine) -> i32;
        fn profile_count(self: &Engine) -> i32;
        fn aux_stream_count(self: &Engine) -> i32;
        fn device_memory(self: &Engine) -> i64;
        fn device_memory_of_profile(self: &Engine, profile: i32) -> i64;
        fn is_refittable(self: &Engine) -> bool;
        fn hardware_compatibility(self: &Engine) -> i32;
        fn information(self: &Engine, json: bool) -> Result<String>;
        fn layer_information(self: &Engine, layer: i32, json: bool) -> Result<String>;
        fn serialize(self: &Engine, exclude_weights: bool) -> Result<UniquePtr<HostMemory>>;
        fn context(self: Pin<&mut Engine>, allocation: i32) -> Result<UniquePtr<Context>>;
        fn refitter(self: Pin<&mut Engine>) -> Result<UniquePtr<Refitter>>;

        type Refitter;
        fn weights(self: Pin<&mut Refitter>, missing: bool) -> Result<Vec<String>>;
        /// # Safety
        /// `address` is that of `count` elements of `data_type`, and stays so until the refitter is dropped.
        unsafe fn set_weights(
            self: Pin<&mut Refitter>,
            name: &CxxString,
            data_type: i32,
            address: usize,
            count: i64,
        ) -> bool;
        fn refit(self: Pin<&mut Refitter>) -> bool;
        /// Empty when all went well.
        fn refit_from_file(self: Pin<&mut Refitter>, path: &CxxString) -> Result<Vec<ParserError>>;

        type Context;
        fn set_input_shape(self: Pin<&mut Context>, name: &CxxString, shape: &[i64]) -> Result<bool>;
        fn tensor_shape(self: &Context, name: &CxxString) -> Vec<i64>;
        fn max_output_size(self: &Context, name: &CxxString) -> i64;
        fn infer_shapes(self: Pin<&mut Context>) -> Result<Vec<String>>;
        fn update_device_memory(self: Pin<&mut Context>) -> usize;
        fn profile(self: &Context) -> i32;
        fn set_debug_sync(self: Pin<&mut Context>, on: bool);
        /// # Safety
        /// `stream` is a CUDA stream of this device that is alive.
        unsafe fn set_profile(self: Pin<&mut Context>, profile: i32, stream: usize) -> bool;
        /// # Safety
        /// `address` is device memory (host memory for shape tensors) that outlives all work of the context.
        unsafe fn set_address(self: Pin<&mut Context>, name: &CxxString, address: usize) -> bool;
        /// # Safety
        /// `address` is that of `bytes` of device memory that outlive all work of the context.
        unsafe fn set_device_memory(self: Pin<&mut Context>, address: usize, bytes: i64);
        /// # Safety
        /// `stream` as in [`set_profile`], and the addresses are as in [`set_address`].
        unsafe fn enqueue(self: Pin<&mut Context>, stream: usize) -> bool;

        type HostMemory;
        fn bytes(self: &HostMemory) -> &[u8];
    }
}
