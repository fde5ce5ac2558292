//! The two kinds of TensorRT.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::manifest::Precision;

/// Which TensorRT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Flavour {
    /// TensorRT 10: data-centre, workstation and Jetson devices.
    #[serde(rename = "tensorrt")]
    TensorRt,
    /// TensorRT-RTX: devices with RTX; engines are finished on the device where they run.
    #[serde(rename = "tensorrt-rtx")]
    TensorRtRtx,
}

impl Flavour {
    /// Both.
    pub const ALL: [Flavour; 2] = [Flavour::TensorRt, Flavour::TensorRtRtx];

    /// The name in manifests, folders and on command lines.
    pub fn name(self) -> &'static str {
        match self {
            Flavour::TensorRt => "tensorrt",
            Flavour::TensorRtRtx => "tensorrt-rtx",
        }
    }

    /// The compute capabilities, times ten, for which it builds engines where no such GPU is at hand: for Turing (7.5)
    /// TensorRT-RTX only has products of float16.
    pub fn builds_for(self, precision: Precision) -> &'static [u32] {
        match (self, precision) {
            (Flavour::TensorRt, _) => &[],
            (Flavour::TensorRtRtx, Precision::Fp16) => &[75, 80, 86, 89, 120],
            (Flavour::TensorRtRtx, _) => &[80, 86, 89, 120],
        }
    }
}

/// The text names no flavour.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("there is no flavour `{found}`; choose one of tensorrt, tensorrt-rtx")]
pub struct UnknownFlavour {
    /// The text.
    pub found: String,
}

impl FromStr for Flavour {
    type Err = UnknownFlavour;

    fn from_str(text: &str) -> Result<Self, UnknownFlavour> {
        let named = Flavour::ALL.into_iter().find(|flavour| flavour.name() == text);
        named.ok_or_else(|| UnknownFlavour { found: text.to_owned() })
    }
}

impl fmt::Display for Flavour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
