//! The plan of an external data file, made before any data is read.

use std::collections::HashMap;

use super::{ExternalError, ExternalRef};

/// Blobs of at least this many bytes begin at a page, smaller ones at a cache line.
pub const LARGE_BLOB: u64 = 1 << 20;

/// Page size: what a runtime needs to map a tensor from the file.
const PAGE: u64 = 4096;

/// Cache line, and the widest vector register.
const LINE: u64 = 64;

/// Where each blob of an external data file lies.
///
/// ```
/// use tmoe_onnx::ExternalLayout;
///
/// let mut layout = ExternalLayout::new("weights.bin");
/// let experts = layout.reserve("experts", 4 * 1000)?;
/// let second = experts.slice(1000, 1000)?;
/// let norm = layout.reserve("norm", 12)?;
/// assert_eq!((second.offset, norm.offset, layout.total_len()), (1000, 4032, 4044));
/// # Ok::<(), tmoe_onnx::ExternalError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalLayout {
    location: String,
    blobs: Vec<Blob>,
    by_name: HashMap<String, usize>,
    end: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Blob {
    name: String,
    offset: u64,
    length: u64,
}

impl ExternalLayout {
    /// An empty file; `location` is its path relative to the folder of the model.
    pub fn new(location: impl Into<String>) -> Self {
        Self { location: location.into(), blobs: Vec::new(), by_name: HashMap::new(), end: 0 }
    }

    /// Reserves `length` bytes at the next aligned offset: a multiple of 4096 from [`LARGE_BLOB`] on, of 64 below.
    ///
    /// # Errors
    /// [`ExternalError::DuplicateBlob`], or [`ExternalError::TooLong`] when offsets would not fit in `i64`.
    pub fn reserve(&mut self, name: impl Into<String>, length: u64) -> Result<ExternalRef, ExternalError> {
        let name = name.into();
        if self.by_name.contains_key(&name) {
            return Err(ExternalError::DuplicateBlob { location: self.location.clone(), name });
        }
        let alignment = if length >= LARGE_BLOB { PAGE } else { LINE };
        let place = self.end.checked_next_multiple_of(alignment).and_then(|offset| {
            let end = offset.checked_add(length)?;
            i64::try_from(end).is_ok().then_some((offset, end))
        });
        let Some((offset, end)) = place else {
            return Err(ExternalError::TooLong {
                location: self.location.clone(),
                name,
                offset: self.end,
                length,
            });
        };
        self.end = end;
        self.by_name.insert(name.clone(), self.blobs.len());
        self.blobs.push(Blob { name, offset, length });
        Ok(self.reference(offset, length))
    }

    /// The file, relative to the folder of the model.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// Length of the file in bytes.
    pub fn total_len(&self) -> u64 {
        self.end
    }

    /// Where a blob lies, by name.
    pub fn get(&self, name: &str) -> Option<ExternalRef> {
        let blob = self.blobs.get(*self.by_name.get(name)?)?;
        Some(self.reference(blob.offset, blob.length))
    }

    /// Names and places of all blobs, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = (&str, ExternalRef)> {
        self.blobs.iter().map(|blob| (blob.name.as_str(), self.reference(blob.offset, blob.length)))
    }

    /// Number of blobs.
    pub fn len(&self) -> usize {
        self.blobs.len()
    }

    /// Whether there are no blobs.
    pub fn is_empty(&self) -> bool {
        self.blobs.is_empty()
    }

    /// Name and place of the blob at a position in the order of the file.
    pub(super) fn at(&self, position: usize) -> Option<(&str, ExternalRef)> {
        self.blobs.get(position).map(|blob| (blob.name.as_str(), self.reference(blob.offset, blob.length)))
    }

    fn reference(&self, offset: u64, length: u64) -> ExternalRef {
        ExternalRef { location: self.location.clone(), offset, length }
    }
}
