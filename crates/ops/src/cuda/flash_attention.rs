//! `FlashAttention` on the device.

use std::ffi::c_void;

use super::CudaError;
use super::ffi::{self, AttentionShape};
use super::launch::{FloatType, Products, Stream, Workspace, require, rows, size_i32};
use crate::cpu::{AttentionSizes, FlashAttentionShape};

const OPERATOR: &str = "FlashAttention";

/// Causal attention with rotary embedding and cache; queries, keys, values and outputs are float32, the cache any type.
#[derive(Clone, Copy, Debug)]
pub struct FlashAttention {
    shape: AttentionShape,
}

/// Rows of points, which may be parts of longer rows.
#[derive(Clone, Copy, Debug)]
pub struct DeviceRows {
    /// Of the first row.
    pub address: *const c_void,
    /// Elements from one row to the next.
    pub stride: usize,
}

/// Inputs and outputs of a run, all in device memory; past and present are of the cache's type.
#[derive(Clone, Copy, Debug)]
pub struct DeviceAttention {
    /// [batch, queries, heads x head_dim]
    pub q: DeviceRows,
    /// [batch, sequence, kv_heads x head_dim]
    pub k: DeviceRows,
    /// [batch, sequence, kv_heads x head_dim]
    pub v: DeviceRows,
    /// [batch, kv_heads, past_capacity, head_dim]; null where the past lies in the present already
    pub past_key: *const c_void,
    /// as `past_key`
    pub past_value: *const c_void,
    /// [batch, past + sequence]
    pub mask: *const i64,
    /// [batch, queries, heads x head_dim], overwritten
    pub y: *mut c_void,
    /// [batch, kv_heads, present_capacity, head_dim]
    pub present_key: *mut c_void,
    /// as `present_key`
    pub present_value: *mut c_void,
}

impl FlashAttention {
    /// Attention of the given shape over a cache of `cache_type` on the current device. The inputs of products are rounded to `compute_type` if the device
    /// multiplies it, else they stay float32.
    ///
    /// # Errors
    ///
    /// [`CudaError::Size`] where the kernels are not made for the shape; [`CudaError::Launch`] without a device.
    pub fn new(
        shape: FlashAttentionShape,
        cache_type: FloatType,
        compute_type: FloatType,
        products: Products,
    ) -> Result<Self, CudaError> {
        let FlashAttentionShape { heads, kv_heads, head_dim, rope_theta, rounding, scale } = shape;
        let fits = head_dim.is_multiple_of(2) && (2..=128).contains(&head_dim);
        require(fits, OPERATOR, "head_dim", head_dim, "an even number up to 128")?;
        let float = FloatType::Float32.number();
        let mut computed = float;
        // SAFETY: the result goes to a place of its type.
        let status = unsafe { ffi::tmoe_attention_compute_type(compute_type.number(), &mut computed) };
        CudaError::check(OPERATOR, status)?;
        let shape = AttentionShape {
            batch: 0,
            queries: 0,
            sequence: 0,
            past: 0,
            past_capacity: 0,
            present_capacity: 0,
            q_stride: rows(heads * head_dim),
            k_stride: rows(kv_heads * head_dim),
            v_stride: rows(kv_heads * head_dim),
            heads: size_i32(OPERATOR, "num_heads", heads)?,
            kv_heads: size_i32(OPERATOR, "kv_num_heads", kv_heads)?,
            head_dim: size_i32(OPERATOR, "head_dim", head_dim)?,
            io_type: float,
            cache_type: cache_type.number(),
            compute_type: computed,
            rotary_rounding: FloatType::of_rounding(rounding).number(),
            rope_theta: rope_theta as f32,
            scale,
            options: products.options(),
        };
        Ok(Self { shape })
    }

    /// Bytes of scratch memory for a run of the given sizes.
    pub fn workspace(&self, sizes: AttentionSizes) -> usize {
        let shape = self.of(sizes);
        // SAFETY: a shape, which is only read.
        unsafe { ffi::tmoe_flash_attention_workspace(&shape) }
    }

    /// Launches the work.
    ///
    /// # Errors
    ///
    /// What the kernels or the CUDA runtime report; nothing waits for the work itself.
    ///
    /// # Safety
    ///
    /// Everything is memory of the current device, as long as its field says, until the stream has done the work. The past
    /// overlaps the present nowhere, or is null.
    pub unsafe fn run(
        &self,
        sizes: AttentionSizes,
        memory: DeviceAttention,
        workspace: Workspace,
        stream: Stream,
    ) -> Result<(), CudaError> {
        let mut shape = self.of(sizes);
        let DeviceAttention { q, k, v, past_key, past_value, mask, y, present_key, present_value } = memory;
        let Workspace { address, bytes } = workspace;
        [shape.q_stride, shape.k_stride, shape.v_stride] = [q, k, v].map(|part| rows(part.stride));
        // SAFETY: the caller's.
        let status = unsafe {
            ffi::tmoe_flash_attention(
                &shape,
                q.address,
                k.address,
                v.address,
                past_key,
                past_value,
                mask,
                y,
                present_key,
                present_value,
                address,
                bytes,
                stream.0,
            )
        };
        CudaError::check(OPERATOR, status)
    }

    fn of(&self, sizes: AttentionSizes) -> AttentionShape {
        let AttentionSizes { batch, queries, sequence, past, past_capacity, present_capacity } = sizes;
        AttentionShape {
            batch: rows(batch),
            queries: rows(queries),
            sequence: rows(sequence),
            past: rows(past),
            past_capacity: rows(past_capacity),
            present_capacity: rows(present_capacity),
            ..self.shape
        }
    }
}
