//! The head of an engine's file, which says what can run it, without a GPU and before TensorRT sees it.

use thiserror::Error;

use crate::flavour::{Flavour, Version};
use crate::library::Library;

/// Why an engine's file cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PlanError {
    /// It does not begin as engines do.
    #[error("this is not an engine of TensorRT's: it begins with {found:02x?}")]
    NotAnEngine {
        /// Its first bytes.
        found: Vec<u8>,
    },
    /// It ends too early, or does not end where it says.
    #[error("the engine is damaged: it has {found} bytes and should have {expected}; copy or build it again")]
    Length {
        /// Bytes that are there.
        found: u64,
        /// Bytes that should be there, or at least that many.
        expected: u64,
    },
    /// Its form is of another time.
    #[error("the engine has serialization version {0}, which is not known; build it again")]
    Serialization(u32),
    /// It is for the other library.
    #[error("the engine is for {found}, and this is {library}; build it again with {library}")]
    OtherFlavour {
        /// The engine's.
        found: Flavour,
        /// The library's.
        library: Flavour,
    },
    /// Another version built it.
    #[error("the engine was built by {flavour} {found}, and this is {flavour} {library}; build it again")]
    OtherVersion {
        /// The flavour.
        flavour: Flavour,
        /// The version that built it.
        found: Version,
        /// The library's version.
        library: Version,
    },
}

/// The head of an engine's file.
///
/// ```no_run
/// use tmoe_tensorrt::{Flavour, Library, PlanHeader};
///
/// let library = Library::find(Flavour::TensorRtRtx)?;
/// let bytes = std::fs::read("model.engine")?;
/// PlanHeader::read(&bytes)?.check(&library)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanHeader {
    /// Which library it is for.
    pub flavour: Flavour,
    /// The version that built it.
    pub version: Version,
    /// The build of that version.
    pub build: u32,
}

/// Tag, serialization version, two more words, length (8 bytes), version (4 bytes).
const HEADER: usize = 28;

impl PlanHeader {
    /// Reads the head, and checks what it says of the length.
    ///
    /// # Errors
    /// This is not an engine, or not a whole one.
    pub fn read(plan: &[u8]) -> Result<Self, PlanError> {
        let tag = plan.get(..4);
        let Some(flavour) = Flavour::ALL.into_iter().find(|flavour| tag == Some(&flavour.plan_tag()[..]))
        else {
            return Err(PlanError::NotAnEngine { found: plan.iter().take(8).copied().collect() });
        };
        let found = plan.len() as u64;
        let Some(header) = plan.first_chunk::<HEADER>() else {
            return Err(PlanError::Length { found, expected: HEADER as u64 });
        };
        let word =
            |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        if word(4) != 0 {
            return Err(PlanError::Serialization(word(4)));
        }
        let expected = u64::from(word(16)) | u64::from(word(20)) << 32;
        // What follows the tag and the version is only known of this flavour.
        if flavour == Flavour::TensorRtRtx && found != expected {
            return Err(PlanError::Length { found, expected });
        }
        let [major, minor, patch, build] = word(24).to_le_bytes().map(u32::from);
        Ok(Self { flavour, version: Version { major, minor, patch }, build })
    }

    /// That the library built this engine, or one of the same version did.
    ///
    /// Engines that were built to be version compatible can be run by other versions as well.
    ///
    /// # Errors
    /// Another flavour or version did.
    pub fn check(&self, library: &Library) -> Result<(), PlanError> {
        self.check_flavour(library)?;
        if self.version != library.version() {
            let (flavour, found, library) = (self.flavour, self.version, library.version());
            return Err(PlanError::OtherVersion { flavour, found, library });
        }
        Ok(())
    }

    pub(crate) fn check_flavour(&self, library: &Library) -> Result<(), PlanError> {
        match self.flavour == library.flavour() {
            true => Ok(()),
            false => Err(PlanError::OtherFlavour { found: self.flavour, library: library.flavour() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(tag: &[u8], serialization: u8, length: u8, version: [u8; 4]) -> Vec<u8> {
        let mut plan = vec![0; 40];
        plan[..4].copy_from_slice(tag);
        (plan[4], plan[16]) = (serialization, length);
        plan[24..28].copy_from_slice(&version);
        plan
    }

    #[test]
    fn the_head_says_which_library_built_the_engine() {
        let header = PlanHeader::read(&plan(b"vtrt", 0, 40, [1, 7, 1, 116])).unwrap();
        assert_eq!((header.flavour, header.build), (Flavour::TensorRtRtx, 116));
        assert_eq!(header.version.to_string(), "1.7.1");
        let header = PlanHeader::read(&plan(b"ftrt", 0, 0, [10, 16, 0, 72])).unwrap();
        assert_eq!((header.flavour, header.version.to_string()), (Flavour::TensorRt, "10.16.0".to_owned()));
    }

    #[test]
    fn every_truncation_is_refused_with_both_lengths() {
        let plan = plan(b"vtrt", 0, 40, [1, 7, 1, 116]);
        for length in 0..plan.len() {
            let error = PlanHeader::read(&plan[..length]).unwrap_err();
            match error {
                PlanError::NotAnEngine { .. } => assert!(length < 4),
                PlanError::Length { found, .. } => assert_eq!(found, length as u64),
                other => panic!("{other}"),
            }
        }
    }

    #[test]
    fn other_files_and_other_forms_are_refused() {
        assert!(matches!(PlanHeader::read(b"\x08\x0aonnx"), Err(PlanError::NotAnEngine { .. })));
        let newer = plan(b"ftrt", 9, 40, [99, 0, 0, 0]);
        assert_eq!(PlanHeader::read(&newer), Err(PlanError::Serialization(9)));
    }
}
