//! The two flavours of TensorRT.

use std::fmt;
use std::sync::OnceLock;

use crate::bridge::ffi;

/// A flavour of TensorRT. Their interfaces are alike; their engines and libraries are not interchangeable.
///
/// ```
/// use tmoe_tensorrt::Flavour;
///
/// for flavour in Flavour::ALL {
///     println!("{flavour} {}: pip install {}", flavour.header_version(), flavour.package());
/// }
/// assert!(Flavour::TensorRt.accepts(Flavour::TensorRt.header_version()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Flavour {
    /// TensorRT 10, `libnvinfer`: for all GPUs, with plugins; builds for the GPU at hand.
    TensorRt,
    /// TensorRT-RTX, `libtensorrt_rtx`: for RTX GPUs, without plugins, strongly typed; builds for any of them without one.
    TensorRtRtx,
}

impl fmt::Display for Flavour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TensorRt => "TensorRT",
            Self::TensorRtRtx => "TensorRT-RTX",
        })
    }
}

impl Flavour {
    /// Both.
    pub const ALL: [Self; 2] = [Self::TensorRt, Self::TensorRtRtx];

    /// The variable that names the library's file or folder.
    pub fn environment_variable(self) -> &'static str {
        match self {
            Self::TensorRt => "TMOE_TENSORRT",
            Self::TensorRtRtx => "TMOE_TENSORRT_RTX",
        }
    }

    /// The package that pip installs the library from.
    pub fn package(self) -> &'static str {
        match self {
            Self::TensorRt => "tensorrt-cu13",
            Self::TensorRtRtx => "tensorrt-rtx-cu13",
        }
    }

    /// The version of the headers that this crate was compiled with.
    pub fn header_version(self) -> Version {
        static VERSIONS: OnceLock<[Version; 2]> = OnceLock::new();
        let versions = VERSIONS.get_or_init(|| {
            [ffi::header_version_tensorrt(), ffi::header_version_tensorrt_rtx()].map(Version::from_number)
        });
        match self {
            Self::TensorRt => versions[0],
            Self::TensorRtRtx => versions[1],
        }
    }

    /// Whether a library of this version has the interface of [`Self::header_version`].
    ///
    /// TensorRT keeps its interface within a major version and only adds to it. TensorRT-RTX has removed virtual functions
    /// from one minor version to the next (1.3 to 1.7 did), which moves all that follow: it has to be the same one.
    pub fn accepts(self, library: Version) -> bool {
        let headers = self.header_version();
        library.major == headers.major
            && match self {
                Self::TensorRt => library.minor >= headers.minor,
                Self::TensorRtRtx => library.minor == headers.minor,
            }
    }

    /// The versions that [`Self::accepts`] accepts, for people.
    pub(crate) fn accepted(self) -> String {
        let Version { major, minor, .. } = self.header_version();
        match self {
            Self::TensorRt => format!("{major}.{minor} or newer, below {}", major + 1),
            Self::TensorRtRtx => format!("{major}.{minor}"),
        }
    }

    /// What the file of an engine begins with.
    pub(crate) fn plan_tag(self) -> &'static [u8; 4] {
        match self {
            Self::TensorRt => b"ftrt",
            Self::TensorRtRtx => b"vtrt",
        }
    }
}

/// A version of TensorRT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version {
    /// Interfaces of different ones differ.
    pub major: u32,
    /// Newer ones add to the interface.
    pub minor: u32,
    /// Newer ones have the same interface.
    pub patch: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl Version {
    /// From TensorRT's form: 10000 x major + 100 x minor + patch.
    pub(crate) fn from_number(number: i32) -> Self {
        let number = u32::try_from(number).unwrap_or(0);
        Self { major: number / 10_000, minor: number / 100 % 100, patch: number % 100 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_tensorrts_numbers() {
        assert_eq!(Version::from_number(101_602).to_string(), "10.16.2");
        assert_eq!(Version::from_number(10_701).to_string(), "1.7.1");
        assert_eq!(Version::from_number(-1).to_string(), "0.0.0");
    }

    #[test]
    fn a_newer_minor_version_will_do_for_tensorrt_and_none_other_for_tensorrt_rtx() {
        for (flavour, older, newer) in
            [(Flavour::TensorRt, false, true), (Flavour::TensorRtRtx, false, false)]
        {
            let Version { major, minor, .. } = flavour.header_version();
            let version = |major, minor| Version { major, minor, patch: 0 };
            assert!(flavour.accepts(version(major, minor)), "{flavour}");
            assert_eq!(flavour.accepts(version(major, minor - 1)), older, "{flavour}");
            assert_eq!(flavour.accepts(version(major, minor + 1)), newer, "{flavour}");
            assert!(!flavour.accepts(version(major + 1, minor)) && !flavour.accepts(version(0, minor)));
        }
    }
}
