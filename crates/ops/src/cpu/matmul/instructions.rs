//! Which instructions the products are made of.

use super::{bf16, int8};
use crate::cpu::simd::Level;

/// The vectors of float32, and what there is for narrower weights.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Instructions {
    pub(crate) level: Level,
    pub(crate) bf16: bf16::Kind,
    pub(crate) int8: int8::Kind,
}

impl Instructions {
    /// The fastest of this processor.
    pub(crate) fn best() -> Self {
        Self::of(Level::best())
    }

    /// The fastest for a level's vectors.
    fn of(level: Level) -> Self {
        Self { level, bf16: bf16::Kind::best(level), int8: int8::Kind::best(level) }
    }

    /// All that this processor has, and what others have, emulated.
    #[cfg(test)]
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Level::all().flat_map(|level| {
            let int8 = int8::Kind::Plain(level);
            let plain = Self { level, bf16: bf16::Kind::Widened, int8 };
            let emulated = Self { bf16: bf16::Kind::Emulated(level), ..plain };
            [Self::of(level), plain, emulated]
        })
    }
}
