//! Four float32 at once, in plain Rust: what the compiler's target has (SSE2 on x86-64).

use super::Simd;

/// Every processor has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Portable;

const LANES: usize = 4;

#[inline(always)]
fn each(a: [f32; LANES], b: [f32; LANES], f: impl Fn(f32, f32) -> f32) -> [f32; LANES] {
    std::array::from_fn(|lane| f(a[lane], b[lane]))
}

impl Simd for Portable {
    type F32 = [f32; LANES];
    const LANES: usize = LANES;

    #[inline(always)]
    fn splat(self, value: f32) -> [f32; LANES] {
        [value; LANES]
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> [f32; LANES] {
        // SAFETY: the caller's.
        unsafe { from.cast::<[f32; LANES]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32, value: [f32; LANES]) {
        // SAFETY: the caller's.
        unsafe { to.cast::<[f32; LANES]>().write_unaligned(value) }
    }
    #[inline(always)]
    fn add(self, a: [f32; LANES], b: [f32; LANES]) -> [f32; LANES] {
        each(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, a: [f32; LANES], b: [f32; LANES]) -> [f32; LANES] {
        each(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, a: [f32; LANES], b: [f32; LANES]) -> [f32; LANES] {
        each(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, a: [f32; LANES], b: [f32; LANES]) -> [f32; LANES] {
        each(a, b, |a, b| a / b)
    }
    #[inline(always)]
    fn max(self, a: [f32; LANES], b: [f32; LANES]) -> [f32; LANES] {
        each(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn min(self, a: [f32; LANES], b: [f32; LANES]) -> [f32; LANES] {
        each(a, b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn mul_add(self, a: [f32; LANES], b: [f32; LANES], c: [f32; LANES]) -> [f32; LANES] {
        // Not `f32::mul_add`: without the instruction that is a slow library call.
        std::array::from_fn(|lane| a[lane] * b[lane] + c[lane])
    }
    #[inline(always)]
    fn round(self, a: [f32; LANES]) -> [f32; LANES] {
        // Adding 1.5 * 2^23 leaves no bits below one.
        const SHIFT: f32 = 12_582_912.0;
        a.map(|a| (a + SHIFT) - SHIFT)
    }
    #[inline(always)]
    fn exp2_integer(self, n: [f32; LANES]) -> [f32; LANES] {
        n.map(|n| f32::from_bits(((n as i32).wrapping_add(127) as u32) << 23))
    }
    #[inline(always)]
    unsafe fn load_bf16_even(self, from: *const u32) -> [f32; LANES] {
        // SAFETY: the caller's.
        let pairs = unsafe { from.cast::<[u32; LANES]>().read_unaligned() };
        pairs.map(|pair| f32::from_bits(pair << 16))
    }
    #[inline(always)]
    unsafe fn load_bf16_odd(self, from: *const u32) -> [f32; LANES] {
        // SAFETY: the caller's.
        let pairs = unsafe { from.cast::<[u32; LANES]>().read_unaligned() };
        pairs.map(|pair| f32::from_bits(pair & 0xffff_0000))
    }
}
