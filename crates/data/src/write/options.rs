//! What to write and how.

use std::io::{BufWriter, Write};
use std::path::Path;

use crate::atomic::AtomicFile;
use crate::write::error::OutputError;
use crate::write::target::Target;
use crate::write::writer::SeriesWriter;

/// The kinds of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputFormat {
    /// Comma-separated values with a header.
    Csv,
    /// Apache Parquet, compressed with zstd.
    Parquet,
    /// One JSON document.
    Json,
    /// One JSON object per line.
    JsonLines,
}

impl OutputFormat {
    /// The kind that a file's name ends in: `.csv`, `.parquet` (`.pq`), `.json`, `.jsonl`
    /// (`.ndjson`).
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "csv" => Some(Self::Csv),
            "parquet" | "pq" => Some(Self::Parquet),
            "json" => Some(Self::Json),
            "jsonl" | "ndjson" => Some(Self::JsonLines),
            _ => None,
        }
    }
}

/// How series lie in the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OutputLayout {
    /// A row (or an object) for every series and time stamp; written as it comes.
    #[default]
    Long,
    /// Columns for every series; held until it is complete.
    Wide,
}

/// Opens a file of results; see the [module](crate::write) for what it looks like.
#[derive(Debug, Clone)]
pub struct WriteOptions {
    pub(super) format: OutputFormat,
    pub(super) layout: OutputLayout,
    pub(super) columns: Vec<String>,
    pub(super) id: String,
    pub(super) time: String,
    pub(super) target: String,
    pub(super) history: bool,
    pub(super) errors: bool,
}

impl WriteOptions {
    /// A long table with these columns of results, without history.
    pub fn new<T: Into<String>>(format: OutputFormat, columns: impl IntoIterator<Item = T>) -> Self {
        Self {
            format,
            layout: OutputLayout::default(),
            columns: columns.into_iter().map(Into::into).collect(),
            id: "unique_id".to_owned(),
            time: "ds".to_owned(),
            target: "y".to_owned(),
            history: false,
            errors: false,
        }
    }

    /// Says how the series lie in the output.
    #[must_use]
    pub fn layout(self, layout: OutputLayout) -> Self {
        Self { layout, ..self }
    }

    /// Names the columns of ids, time stamps and known values: those of the input, for example.
    /// In a wide table with time stamps, the time column keeps the name it has.
    #[must_use]
    pub fn names(self, id: impl Into<String>, time: impl Into<String>, target: impl Into<String>) -> Self {
        Self { id: id.into(), time: time.into(), target: target.into(), ..self }
    }

    /// Writes the known points before the results.
    #[must_use]
    pub fn history(self, history: bool) -> Self {
        Self { history, ..self }
    }

    /// Gives long tables a column `error` for series without results; without it, these are left
    /// out of CSV and Parquet.
    #[must_use]
    pub fn errors(self, errors: bool) -> Self {
        Self { errors, ..self }
    }

    /// Starts a file, which appears at the path when it is finished. Existing files are replaced only
    /// with `force`.
    ///
    /// # Errors
    /// When the file exists or cannot be created.
    pub fn create(self, path: &Path, force: bool) -> Result<SeriesWriter, OutputError> {
        let file = AtomicFile::create(path, force)?;
        SeriesWriter::new(self, Target::File(file))
    }

    /// Writes to a stream such as standard output.
    ///
    /// # Errors
    /// When the first bytes cannot be written.
    pub fn to_stream(self, stream: impl Write + Send + 'static) -> Result<SeriesWriter, OutputError> {
        SeriesWriter::new(self, Target::Stream(Box::new(BufWriter::new(stream))))
    }
}
