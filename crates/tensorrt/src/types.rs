//! Types of elements, kinds of layers, and choices.

use std::fmt;

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DataType {
    /// 32-bit float.
    Float,
    /// 16-bit float, IEEE.
    Half,
    /// 8-bit integer, quantised.
    Int8,
    /// 32-bit integer.
    Int32,
    /// One byte per truth value.
    Bool,
    /// 8-bit unsigned integer.
    UInt8,
    /// 8-bit float, e4m3.
    Fp8,
    /// 16-bit float, bfloat16.
    Bf16,
    /// 64-bit integer.
    Int64,
    /// 4-bit integer.
    Int4,
    /// 4-bit float, e2m1.
    Fp4,
    /// 8-bit exponent, for scales.
    E8M0,
    /// One that a newer TensorRT has.
    Other(i32),
}

impl DataType {
    const ALL: [Self; 12] = [
        Self::Float,
        Self::Half,
        Self::Int8,
        Self::Int32,
        Self::Bool,
        Self::UInt8,
        Self::Fp8,
        Self::Bf16,
        Self::Int64,
        Self::Int4,
        Self::Fp4,
        Self::E8M0,
    ];

    pub(crate) fn from_code(code: i32) -> Self {
        let known = usize::try_from(code).ok().and_then(|index| Self::ALL.get(index));
        known.copied().unwrap_or(Self::Other(code))
    }

    pub(crate) fn code(self) -> i32 {
        let known = Self::ALL.iter().position(|&known| known == self).and_then(|code| code.try_into().ok());
        match self {
            Self::Other(code) => code,
            _ => known.unwrap_or(-1),
        }
    }

    /// Bits per element; `None` for types that are not known.
    pub fn bits(self) -> Option<usize> {
        match self {
            Self::Int64 => Some(64),
            Self::Float | Self::Int32 => Some(32),
            Self::Half | Self::Bf16 => Some(16),
            Self::Int8 | Self::Bool | Self::UInt8 | Self::Fp8 | Self::E8M0 => Some(8),
            Self::Int4 | Self::Fp4 => Some(4),
            Self::Other(_) => None,
        }
    }
}

/// A kind of layer of a network, in TensorRT's words.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LayerKind(pub(crate) i32);

const LAYER_KINDS: [&str; 57] = [
    "CONVOLUTION",
    "CAST",
    "ACTIVATION",
    "POOLING",
    "LRN",
    "SCALE",
    "SOFTMAX",
    "DECONVOLUTION",
    "CONCATENATION",
    "ELEMENTWISE",
    "PLUGIN",
    "UNARY",
    "PADDING",
    "SHUFFLE",
    "REDUCE",
    "TOPK",
    "GATHER",
    "MATRIX_MULTIPLY",
    "RAGGED_SOFTMAX",
    "CONSTANT",
    "IDENTITY",
    "PLUGIN_V2",
    "SLICE",
    "SHAPE",
    "PARAMETRIC_RELU",
    "RESIZE",
    "TRIP_LIMIT",
    "RECURRENCE",
    "ITERATOR",
    "LOOP_OUTPUT",
    "SELECT",
    "FILL",
    "QUANTIZE",
    "DEQUANTIZE",
    "CONDITION",
    "CONDITIONAL_INPUT",
    "CONDITIONAL_OUTPUT",
    "SCATTER",
    "EINSUM",
    "ASSERTION",
    "ONE_HOT",
    "NON_ZERO",
    "GRID_SAMPLE",
    "NMS",
    "REVERSE_SEQUENCE",
    "NORMALIZATION",
    "PLUGIN_V3",
    "SQUEEZE",
    "UNSQUEEZE",
    "CUMULATIVE",
    "DYNAMIC_QUANTIZE",
    "ATTENTION_INPUT",
    "ATTENTION_OUTPUT",
    "ROTARY_EMBEDDING",
    "KVCACHE_UPDATE",
    "MOE",
    "DIST_COLLECTIVE",
];

impl LayerKind {
    /// Such as `MATRIX_MULTIPLY` or `PLUGIN_V3`; `None` for those of a newer TensorRT.
    pub fn name(self) -> Option<&'static str> {
        usize::try_from(self.0).ok().and_then(|index| LAYER_KINDS.get(index)).copied()
    }
}

impl fmt::Display for LayerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "layer kind {}", self.0),
        }
    }
}

impl fmt::Debug for LayerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a builder may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BuilderFlag {
    /// Layers may compute in float16. Not in TensorRT-RTX, nor with strongly typed networks.
    Fp16,
    /// Layers may compute in bfloat16. Not in TensorRT-RTX, nor with strongly typed networks.
    Bf16,
    /// Layers may compute in 8-bit integers. Not in TensorRT-RTX, nor with strongly typed networks.
    Int8,
    /// Layers may compute in 8-bit floats. Not in TensorRT-RTX, nor with strongly typed networks.
    Fp8,
    /// Layers must have the precision that they were given. Not in TensorRT-RTX.
    ObeyPrecisionConstraints,
    /// Layers should have the precision that they were given. Not in TensorRT-RTX.
    PreferPrecisionConstraints,
    /// Products of float32 may round their inputs to TF32; on unless it is cleared.
    Tf32,
    /// Synchronise after each layer.
    Debug,
    /// Inputs and outputs are not reformatted.
    DirectIo,
    /// The weights can be replaced later.
    Refit,
    /// The weights can be replaced later by the same ones.
    RefitIdentical,
    /// The weights that the network marks can be replaced later.
    RefitIndividual,
    /// The engine is written without the weights that can be replaced.
    StripPlan,
    /// Tactics are timed anew.
    DisableTimingCache,
    /// Timing something that is not in the cache is an error.
    ErrorOnTimingCacheMiss,
    /// The timing cache can be looked into and changed.
    EditableTimingCache,
    /// The timing cache keeps no code.
    DisableCompilationCache,
    /// Weights may be looked at for sparsity.
    SparseWeights,
    /// Newer versions of TensorRT can run the engine.
    VersionCompatible,
    /// A version compatible engine carries no runtime.
    ExcludeLeanRuntime,
    /// Weights can stay on the host.
    WeightStreaming,
    /// NaN is kept where it costs speed.
    StrictNans,
    /// Memory is reported.
    MonitorMemory,
}

impl BuilderFlag {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fp16 => "FP16",
            Self::Bf16 => "BF16",
            Self::Int8 => "INT8",
            Self::Fp8 => "FP8",
            Self::ObeyPrecisionConstraints => "OBEY_PRECISION_CONSTRAINTS",
            Self::PreferPrecisionConstraints => "PREFER_PRECISION_CONSTRAINTS",
            Self::Tf32 => "TF32",
            Self::Debug => "DEBUG",
            Self::DirectIo => "DIRECT_IO",
            Self::Refit => "REFIT",
            Self::RefitIdentical => "REFIT_IDENTICAL",
            Self::RefitIndividual => "REFIT_INDIVIDUAL",
            Self::StripPlan => "STRIP_PLAN",
            Self::DisableTimingCache => "DISABLE_TIMING_CACHE",
            Self::ErrorOnTimingCacheMiss => "ERROR_ON_TIMING_CACHE_MISS",
            Self::EditableTimingCache => "EDITABLE_TIMING_CACHE",
            Self::DisableCompilationCache => "DISABLE_COMPILATION_CACHE",
            Self::SparseWeights => "SPARSE_WEIGHTS",
            Self::VersionCompatible => "VERSION_COMPATIBLE",
            Self::ExcludeLeanRuntime => "EXCLUDE_LEAN_RUNTIME",
            Self::WeightStreaming => "WEIGHT_STREAMING",
            Self::StrictNans => "STRICT_NANS",
            Self::MonitorMemory => "MONITOR_MEMORY",
        }
    }
}

/// What TensorRT does not do by default yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PreviewFeature {
    /// An output of a plugin may be one of its inputs, changed in place.
    AliasedPluginIo,
    /// Device memory that the user manages can be sized for the shapes at hand.
    RuntimeActivationResize,
}

impl PreviewFeature {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::AliasedPluginIo => "ALIASED_PLUGIN_IO",
            Self::RuntimeActivationResize => "RUNTIME_ACTIVATION_RESIZE",
        }
    }
}

/// A kind of memory that a builder can be limited in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MemoryPool {
    /// Device memory that layers use while they run.
    Workspace = 0,
    /// The SRAM of a DLA core.
    DlaManagedSram = 1,
    /// A DLA's memory for tensors.
    DlaLocalDram = 2,
    /// A DLA's memory for weights.
    DlaGlobalDram = 3,
    /// Device memory while building.
    TacticDram = 4,
    /// Shared memory of a CUDA kernel.
    TacticSharedMemory = 5,
}

/// Which other GPUs an engine runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HardwareCompatibility {
    /// Those like the one that it was built for.
    #[default]
    None = 0,
    /// Ampere and newer.
    AmperePlus = 1,
    /// Those of the same compute capability.
    SameComputeCapability = 2,
}

impl HardwareCompatibility {
    pub(crate) fn from_code(code: i32) -> Option<Self> {
        [Self::None, Self::AmperePlus, Self::SameComputeCapability]
            .into_iter()
            .find(|&level| level as i32 == code)
    }
}

/// How much an engine tells of its layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Verbosity {
    /// Their names.
    #[default]
    LayerNamesOnly = 0,
    /// Nothing.
    None = 1,
    /// All, with tensors and tactics.
    Detailed = 2,
}

/// Who gives an execution context its device memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Allocation {
    /// TensorRT, once, enough for every profile.
    #[default]
    Static = 0,
    /// TensorRT, for the profile that is chosen.
    OnProfileChange = 1,
    /// The caller, with [`ExecutionContext::set_device_memory`](crate::ExecutionContext::set_device_memory).
    UserManaged = 2,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_keep_their_codes() {
        for code in -1..20 {
            assert_eq!(DataType::from_code(code).code(), code);
        }
        assert_eq!((DataType::from_code(7), DataType::from_code(8)), (DataType::Bf16, DataType::Int64));
        assert_eq!(DataType::from_code(99).bits(), None);
    }

    #[test]
    fn layers_of_a_newer_version_have_a_number() {
        assert_eq!(LayerKind(46).to_string(), "PLUGIN_V3");
        assert_eq!(LayerKind(99).to_string(), "layer kind 99");
    }
}
