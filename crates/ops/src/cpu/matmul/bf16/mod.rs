//! Products with bfloat16 weights: sums in float32.
//!
//! ```text
//! a panel   [depth / 2, 2 vectors] pairs: rows k and k + 1 of a column side by side, as the dot product takes them
//! round     a row of float32 -> pairs of bfloat16
//! dot       the dot-product instructions
//! tile      the innermost loop where both sides are pairs
//! ```
//!
//! Where the processor has no such instruction, rows stay float32 and weights are widened in registers: a pair takes a
//! shift and a mask, no more than loading it twice.

mod dot;
#[cfg(target_arch = "aarch64")]
mod dot_neon;
#[cfg(target_arch = "x86_64")]
mod dot_x86;
mod round;
mod tile;

pub(crate) use self::dot::{Dot, Kind, with_dot};
pub(crate) use self::round::round;
pub(crate) use self::tile::pair_tile;

/// Two bfloat16 of one column: that of the even row in the low half. Above an odd depth there is a zero.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Pair(pub(crate) u32);

// SAFETY: a number.
unsafe impl super::aligned::Plain for Pair {}
