//! Which of a package's graphs a session runs.

use std::fmt;
use std::str::FromStr;

use tmoe_package::{Manifest, OpSet, UnknownOpSet};

/// Which graph is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GraphChoice {
    /// The fastest that the package has for the provider.
    #[default]
    Auto,
    /// This one, or an error.
    Only(OpSet),
}

impl GraphChoice {
    /// Comes to an op set. Where a package has none that suits, the one that it lacks most: opening it says so.
    pub(crate) fn select(self, manifest: &Manifest, runs: impl Fn(OpSet) -> bool) -> OpSet {
        match self {
            Self::Only(op_set) => op_set,
            Self::Auto => {
                let has = |op_set: &OpSet| manifest.graphs.iter().any(|graph| graph.op_set == *op_set);
                let preferred = [OpSet::Plugin, OpSet::Standard, OpSet::Dense];
                let suitable = preferred.into_iter().filter(|&op_set| runs(op_set));
                suitable.into_iter().find(has).unwrap_or(OpSet::Standard)
            }
        }
    }
}

impl From<OpSet> for GraphChoice {
    fn from(op_set: OpSet) -> Self {
        Self::Only(op_set)
    }
}

impl fmt::Display for GraphChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.pad("auto"),
            Self::Only(op_set) => op_set.fmt(f),
        }
    }
}

impl FromStr for GraphChoice {
    type Err = UnknownOpSet;

    fn from_str(text: &str) -> Result<Self, UnknownOpSet> {
        if text == "auto" { Ok(Self::Auto) } else { text.parse().map(Self::Only) }
    }
}
