//! Matrix products of float32 rows with packed weights.
//!
//! ```text
//! weights        what the caller has: float32, float16, bfloat16, int8
//! panels         the weights in the order in which the innermost loop reads them
//! pack           how they come into it, once
//! instructions   what the processor has for each type of weights
//! tile           the innermost loop: a few rows times a few panels, in registers
//! bf16           the same for rows that are rounded and bfloat16 weights
//! int8           the same for rows that are quantised and int8 weights
//! inputs         the rows, as they are or converted
//! product        many rows times many panels, and what is done with each sum
//! share          which part of a product each thread gets
//! ```
//!
//! Every sum runs over the depth in ascending order, so an output does not depend on the other rows, on the tiles, or
//! on how many threads share the work.

mod aligned;
mod bf16;
mod inputs;
mod instructions;
mod int8;
mod pack;
mod panels;
mod product;
mod share;
mod tile;
mod weights;

pub(crate) use self::inputs::{Inputs, Shared, as_words};
pub(crate) use self::instructions::Instructions;
pub(crate) use self::panels::Panels;
pub(crate) use self::product::{Finish, Output, Product, Rows};
pub(crate) use self::share::{BLOCK_ROWS, part, parts};
pub use self::weights::Weights;
