//! Products of rows that are quantised as they come with int8 weights: exact sums in int32.
//!
//! ```text
//! quantize   a row of float32 -> int8 and a scale
//! dot        the multiply-and-add instructions of each instruction set
//! tile       the innermost loop
//! ```
//!
//! `y = (sum * row's scale) * column's scale`. The sums are the same integers on every instruction set.

mod dot;
#[cfg(target_arch = "aarch64")]
mod dot_neon;
#[cfg(target_arch = "x86_64")]
mod dot_x86;
mod quantize;
mod tile;

pub(crate) use self::dot::{Dot, Kind, with_dot};
pub(crate) use self::quantize::quantize;
pub(crate) use self::tile::{Int8Panel, int8_tile};
