//! The shapes that engines take.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::manifest::Manifest;

/// The smallest, the usual and the largest value of a dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Smallest.
    pub min: u32,
    /// What the engine is tuned for.
    pub opt: u32,
    /// Largest.
    pub max: u32,
}

impl Span {
    /// Whether a value lies between the smallest and the largest.
    pub fn covers(self, value: usize) -> bool {
        (self.min as usize..=self.max as usize).contains(&value)
    }

    pub(crate) fn is_ordered(self) -> bool {
        self.min <= self.opt && self.opt <= self.max
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.min, self.max)
    }
}

/// The shapes that one optimization profile of an engine takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// `prefill` or `decode`.
    pub name: String,
    /// Series.
    pub batch: Span,
    /// New points.
    pub sequence: Span,
    /// Points in the cache.
    pub past: Span,
}

impl Profile {
    /// The profiles of an engine, in its order: prefill over `context` new points, which has no past, and decode, of as many new
    /// points as the model's largest head gives (at least 64, as that of released models does), on a cache up to the model's
    /// positions.
    pub fn prefill_and_decode(manifest: &Manifest, batch: Span, context: Span) -> [Self; 2] {
        let number = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
        let most = number(manifest.model.max_positions()).saturating_sub(1).max(1);
        let largest = number(manifest.horizons.last().copied().unwrap_or(1));
        let prefill = Self {
            name: "prefill".to_owned(),
            batch,
            sequence: context,
            past: Span { min: 0, opt: 0, max: 0 },
        };
        let decode = Self {
            name: "decode".to_owned(),
            batch,
            sequence: Span { min: 1, opt: largest, max: largest.max(64) },
            past: Span { min: 1, opt: context.opt.min(most), max: most },
        };
        [prefill, decode]
    }

    /// The series of a profile that takes as many as are usual, and the points of context, for a model: one to eight series, tuned
    /// for one; up to 2048 points, tuned for 512, as far as the model goes.
    pub fn usual(manifest: &Manifest) -> (Span, Span) {
        let positions = u32::try_from(manifest.model.max_positions()).unwrap_or(u32::MAX);
        let batch = Span { min: 1, opt: 1, max: 8 };
        (batch, Span { min: 1, opt: positions.min(512), max: positions.min(2048) })
    }

    /// Whether a pass of this shape fits.
    pub fn covers(&self, batch: usize, sequence: usize, past: usize) -> bool {
        self.batch.covers(batch) && self.sequence.covers(sequence) && self.past.covers(past)
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, batch, sequence, past } = self;
        write!(f, "{name} (batch {batch}, sequence {sequence}, past {past})")
    }
}
