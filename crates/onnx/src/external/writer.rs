//! The external data file, written as a stream.

use std::io::{self, Write};

use super::{ExternalError, ExternalLayout, ExternalRef};

/// Writes blobs one after another, padded with zeros to their offsets.
///
/// [`ExternalWriter::new`] lays the blobs out as they come; [`ExternalWriter::planned`] holds them to a plan: same names,
/// same order, same lengths.
///
/// ```
/// use tmoe_onnx::ExternalWriter;
///
/// let mut writer = ExternalWriter::new("weights.bin", Vec::new());
/// writer.write("a", &[1, 2, 3])?;
/// let b = writer.write("b", &[4])?;
/// let (layout, bytes) = writer.finish()?;
/// assert_eq!((b.offset, layout.total_len(), bytes.len()), (64, 65, 65));
/// # Ok::<(), tmoe_onnx::ExternalError>(())
/// ```
#[derive(Debug)]
pub struct ExternalWriter<W> {
    writer: W,
    layout: ExternalLayout,
    planned: bool,
    /// Blobs begun so far.
    begun: usize,
    /// Bytes written so far.
    position: u64,
    /// A blob that was begun and not finished.
    unfinished: Option<String>,
}

impl<W: Write> ExternalWriter<W> {
    /// A writer that lays blobs out in the order in which they come.
    pub fn new(location: impl Into<String>, writer: W) -> Self {
        Self::with_layout(ExternalLayout::new(location), writer, false)
    }

    /// A writer that follows a plan.
    pub fn planned(layout: ExternalLayout, writer: W) -> Self {
        Self::with_layout(layout, writer, true)
    }

    fn with_layout(layout: ExternalLayout, writer: W, planned: bool) -> Self {
        Self { writer, layout, planned, begun: 0, position: 0, unfinished: None }
    }

    /// Writes a whole blob and returns where it lies.
    ///
    /// # Errors
    /// As [`ExternalWriter::begin`] and [`BlobWriter::finish`].
    pub fn write(&mut self, name: &str, bytes: &[u8]) -> Result<ExternalRef, ExternalError> {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let mut blob = self.begin(name, length)?;
        blob.append(bytes)?;
        blob.finish()
    }

    /// Begins a blob of `length` bytes that is written in parts.
    ///
    /// # Errors
    /// [`ExternalError::Order`], [`ExternalError::Unplanned`] and [`ExternalError::Length`] when the blob is not the next
    /// planned one, [`ExternalError::DuplicateBlob`] and [`ExternalError::TooLong`] without a plan,
    /// [`ExternalError::Unfinished`] after a blob that was not written to its end, [`ExternalError::Io`].
    pub fn begin(&mut self, name: &str, length: u64) -> Result<BlobWriter<'_, W>, ExternalError> {
        self.check_finished()?;
        let place = if self.planned {
            self.next_planned(name, length)?
        } else {
            self.layout.reserve(name, length)?
        };
        self.begun += 1;
        self.unfinished = Some(name.to_owned());
        self.pad_to(place.offset)?;
        Ok(BlobWriter { remaining: length, name: name.to_owned(), place, file: self })
    }

    /// Flushes, and returns the layout and the underlying writer.
    ///
    /// # Errors
    /// [`ExternalError::Missing`] when planned blobs were not written, [`ExternalError::Unfinished`],
    /// [`ExternalError::Io`].
    pub fn finish(mut self) -> Result<(ExternalLayout, W), ExternalError> {
        self.check_finished()?;
        if let Some((name, _)) = self.layout.at(self.begun) {
            return Err(ExternalError::Missing {
                location: self.layout.location().to_owned(),
                name: name.to_owned(),
                missing: self.layout.len() - self.begun,
            });
        }
        match self.writer.flush() {
            Ok(()) => Ok((self.layout, self.writer)),
            Err(source) => Err(ExternalError::Io { location: self.layout.location().to_owned(), source }),
        }
    }

    fn next_planned(&self, name: &str, length: u64) -> Result<ExternalRef, ExternalError> {
        let location = || self.layout.location().to_owned();
        match self.layout.at(self.begun) {
            None => Err(ExternalError::Unplanned { location: location(), name: name.to_owned() }),
            Some((expected, _)) if expected != name => Err(ExternalError::Order {
                location: location(),
                expected: expected.to_owned(),
                found: name.to_owned(),
            }),
            Some((_, place)) if place.length != length => Err(ExternalError::Length {
                location: location(),
                name: name.to_owned(),
                expected: place.length,
                found: length,
            }),
            Some((_, place)) => Ok(place),
        }
    }

    fn check_finished(&self) -> Result<(), ExternalError> {
        match &self.unfinished {
            None => Ok(()),
            Some(name) => Err(ExternalError::Unfinished {
                location: self.layout.location().to_owned(),
                name: name.clone(),
            }),
        }
    }

    fn pad_to(&mut self, offset: u64) -> Result<(), ExternalError> {
        const ZEROS: [u8; 4096] = [0; 4096];
        let gap = offset.saturating_sub(self.position);
        let zeros = usize::try_from(gap).ok().and_then(|gap| ZEROS.get(..gap));
        // Padding is shorter than the largest alignment by construction of the layout.
        self.write_raw(zeros.unwrap_or(&ZEROS))
    }

    fn write_raw(&mut self, bytes: &[u8]) -> Result<(), ExternalError> {
        self.writer
            .write_all(bytes)
            .map_err(|source| ExternalError::Io { location: self.layout.location().to_owned(), source })?;
        self.position += bytes.len() as u64;
        Ok(())
    }
}

/// One blob being written in parts; nothing can follow it until [`BlobWriter::finish`].
#[derive(Debug)]
pub struct BlobWriter<'a, W> {
    file: &'a mut ExternalWriter<W>,
    name: String,
    place: ExternalRef,
    remaining: u64,
}

impl<W: Write> BlobWriter<'_, W> {
    /// Writes the next bytes of the blob.
    ///
    /// # Errors
    /// [`ExternalError::Length`] when they would go beyond the announced length (nothing is written then),
    /// [`ExternalError::Io`].
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), ExternalError> {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let Some(remaining) = self.remaining.checked_sub(length) else {
            let written = self.place.length - self.remaining;
            return Err(self.wrong_length(written.saturating_add(length)));
        };
        self.file.write_raw(bytes)?;
        self.remaining = remaining;
        Ok(())
    }

    /// Ends the blob and returns where it lies.
    ///
    /// # Errors
    /// [`ExternalError::Length`] when bytes are missing.
    pub fn finish(self) -> Result<ExternalRef, ExternalError> {
        if self.remaining > 0 {
            return Err(self.wrong_length(self.place.length - self.remaining));
        }
        self.file.unfinished = None;
        Ok(self.place)
    }

    fn wrong_length(&self, found: u64) -> ExternalError {
        ExternalError::Length {
            location: self.place.location.clone(),
            name: self.name.clone(),
            expected: self.place.length,
            found,
        }
    }
}

impl<W: Write> Write for BlobWriter<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.append(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(ExternalError::Io { source, .. }) => Err(source),
            Err(other) => Err(io::Error::new(io::ErrorKind::InvalidInput, other)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.writer.flush()
    }
}
