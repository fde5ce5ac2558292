//! `tmoe_kernels.h` in Rust: the same names, the same order.

use std::ffi::{c_char, c_void};

/// A `tmoe_status`: 0, a positive `cudaError_t`, or a negative `tmoe_error`.
pub(super) type Status = i32;

pub(super) const INVALID_ARGUMENT: Status = -1;
pub(super) const UNSUPPORTED: Status = -2;
pub(super) const WORKSPACE_TOO_SMALL: Status = -3;

pub(super) const ALLOW_TF32: u32 = 1;

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct MoeShape {
    pub(super) tokens: i64,
    pub(super) hidden: i32,
    pub(super) ffn: i32,
    pub(super) experts: i32,
    pub(super) top_k: i32,
    pub(super) normalize_top_k: i32,
    pub(super) scoring: i32,
    pub(super) activation: i32,
    pub(super) io_type: i32,
    pub(super) weight_type: i32,
    pub(super) options: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct LinearShape {
    pub(super) rows: i64,
    pub(super) input: i32,
    pub(super) output: i32,
    pub(super) io_type: i32,
    pub(super) weight_type: i32,
    pub(super) options: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct AttentionShape {
    pub(super) batch: i64,
    pub(super) queries: i64,
    pub(super) sequence: i64,
    pub(super) past: i64,
    pub(super) past_capacity: i64,
    pub(super) present_capacity: i64,
    pub(super) q_stride: i64,
    pub(super) k_stride: i64,
    pub(super) v_stride: i64,
    pub(super) heads: i32,
    pub(super) kv_heads: i32,
    pub(super) head_dim: i32,
    pub(super) io_type: i32,
    pub(super) cache_type: i32,
    pub(super) compute_type: i32,
    pub(super) rotary_rounding: i32,
    pub(super) rope_theta: f32,
    pub(super) scale: f32,
    pub(super) options: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct RmsNormShape {
    pub(super) rows: i64,
    pub(super) hidden: i32,
    pub(super) io_type: i32,
    pub(super) epsilon: f32,
}

unsafe extern "C" {
    pub(super) fn tmoe_status_text(status: Status) -> *const c_char;

    pub(super) fn tmoe_sparse_moe_workspace(shape: *const MoeShape) -> usize;
    pub(super) fn tmoe_sparse_moe(
        shape: *const MoeShape,
        x: *const c_void,
        router_logits: *const f32,
        gate_up: *const c_void,
        down: *const c_void,
        addend: *const c_void,
        y: *mut c_void,
        workspace: *mut c_void,
        workspace_bytes: usize,
        stream: *mut c_void,
    ) -> Status;

    pub(super) fn tmoe_linear_workspace(shape: *const LinearShape) -> usize;
    pub(super) fn tmoe_linear(
        shape: *const LinearShape,
        x: *const c_void,
        weight: *const c_void,
        bias: *const f32,
        y: *mut c_void,
        workspace: *mut c_void,
        workspace_bytes: usize,
        stream: *mut c_void,
    ) -> Status;

    pub(super) fn tmoe_attention_compute_type(wanted: i32, compute_type: *mut i32) -> Status;
    pub(super) fn tmoe_flash_attention_workspace(shape: *const AttentionShape) -> usize;
    pub(super) fn tmoe_flash_attention(
        shape: *const AttentionShape,
        q: *const c_void,
        k: *const c_void,
        v: *const c_void,
        past_key: *const c_void,
        past_value: *const c_void,
        attention_mask: *const i64,
        y: *mut c_void,
        present_key: *mut c_void,
        present_value: *mut c_void,
        workspace: *mut c_void,
        workspace_bytes: usize,
        stream: *mut c_void,
    ) -> Status;

    pub(super) fn tmoe_add_rms_norm(
        shape: *const RmsNormShape,
        x: *const c_void,
        residual: *const c_void,
        weight: *const f32,
        sum: *mut c_void,
        y: *mut c_void,
        stream: *mut c_void,
    ) -> Status;
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::ffi::OsString;
    use std::fs;
    use std::mem::offset_of;
    use std::path::Path;
    use std::process::Command;

    use super::*;

    /// What a C program that includes the header prints of it.
    fn printed_by_c(program: &str) -> String {
        let kernels = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/kernels");
        let folder = env::temp_dir().join(format!("tmoe-layout-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (source, executable) = (folder.join("layout.c"), folder.join("layout"));
        fs::write(&source, program).unwrap();
        let compiler = env::var_os("CC").unwrap_or_else(|| OsString::from("cc"));
        let mut compile = Command::new(compiler);
        compile.arg("-I").arg(kernels).arg(&source).arg("-o").arg(&executable);
        assert!(compile.status().unwrap().success(), "{compile:?}");
        let output = Command::new(&executable).output().unwrap();
        fs::remove_dir_all(&folder).unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn structures_and_numbers_are_those_of_the_header() {
        let mut program = String::from(
            "#include <stdio.h>\n#include \"tmoe_kernels.h\"\nint main(void) {\n  #define SIZE(s) printf(#s \" %zu\\n\", sizeof(s))\n  \
             #define FIELD(s, f) printf(#s \".\" #f \" %zu\\n\", offsetof(s, f))\n  #define NUMBER(n) printf(#n \" %d\\n\", (int)(n))\n",
        );
        let mut expected = String::new();
        macro_rules! structure {
            ($c:literal, $rust:ty, $($field:ident)*) => {
                program += concat!("  SIZE(", $c, ");\n");
                expected += &format!("{} {}\n", $c, size_of::<$rust>());
                $(
                    program += concat!("  FIELD(", $c, ", ", stringify!($field), ");\n");
                    expected += &format!("{}.{} {}\n", $c, stringify!($field), offset_of!($rust, $field));
                )*
            };
        }
        structure!("tmoe_moe_shape", MoeShape, tokens hidden ffn experts top_k normalize_top_k scoring activation io_type
            weight_type options);
        structure!("tmoe_linear_shape", LinearShape, rows input output io_type weight_type options);
        structure!("tmoe_attention_shape", AttentionShape, batch queries sequence past past_capacity present_capacity q_stride k_stride
            v_stride heads kv_heads head_dim io_type cache_type compute_type rotary_rounding rope_theta scale options);
        structure!("tmoe_rms_norm_shape", RmsNormShape, rows hidden io_type epsilon);
        use crate::cpu::{Activation, RotaryRounding, Scoring};
        use crate::cuda::FloatType;
        for (name, number) in [
            ("TMOE_KERNELS_ABI", 3),
            ("TMOE_INVALID_ARGUMENT", INVALID_ARGUMENT),
            ("TMOE_UNSUPPORTED", UNSUPPORTED),
            ("TMOE_WORKSPACE_TOO_SMALL", WORKSPACE_TOO_SMALL),
            ("TMOE_ALLOW_TF32", ALLOW_TF32.cast_signed()),
            ("TMOE_FLOAT32", FloatType::Float32.number()),
            ("TMOE_FLOAT16", FloatType::Float16.number()),
            ("TMOE_BFLOAT16", FloatType::BFloat16.number()),
            ("TMOE_FLOAT32", FloatType::of_rounding(RotaryRounding::Float32).number()),
            ("TMOE_FLOAT16", FloatType::of_rounding(RotaryRounding::Float16).number()),
            ("TMOE_BFLOAT16", FloatType::of_rounding(RotaryRounding::BFloat16).number()),
            ("TMOE_SOFTMAX", super::super::sparse_moe::scoring_number(Scoring::Softmax)),
            ("TMOE_SIGMOID", super::super::sparse_moe::scoring_number(Scoring::Sigmoid)),
            ("TMOE_SILU", super::super::sparse_moe::activation_number(Activation::Silu)),
            ("TMOE_GELU", super::super::sparse_moe::activation_number(Activation::Gelu)),
            ("TMOE_GELU_TANH", super::super::sparse_moe::activation_number(Activation::GeluTanh)),
            ("TMOE_RELU", super::super::sparse_moe::activation_number(Activation::Relu)),
        ] {
            program += &format!("  NUMBER({name});\n");
            expected += &format!("{name} {number}\n");
        }
        program += "  return 0;\n}\n";
        assert_eq!(printed_by_c(&program), expected);
    }
}
