//! The writer of results, whatever the kind of file.

use crate::write::block::Block;
use crate::write::error::OutputError;
use crate::write::json::Json;
use crate::write::long_csv::LongCsv;
use crate::write::options::{OutputFormat, OutputLayout, WriteOptions};
use crate::write::parquet::LongParquet;
use crate::write::target::Target;
use crate::write::wide::Wide;

/// Writes the results of one series after the other.
pub struct SeriesWriter {
    kind: Kind,
    columns: usize,
}

enum Kind {
    LongCsv(Box<LongCsv>),
    LongParquet(Box<LongParquet>),
    Json(Box<Json>),
    Wide(Box<Wide>),
}

impl std::fmt::Debug for SeriesWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SeriesWriter").field("columns", &self.columns).finish_non_exhaustive()
    }
}

impl SeriesWriter {
    pub(super) fn new(options: WriteOptions, target: Target) -> Result<Self, OutputError> {
        let columns = options.columns.len();
        let kind = match (options.layout, options.format) {
            (OutputLayout::Wide, OutputFormat::JsonLines) => return Err(OutputError::NoWideForm),
            (OutputLayout::Wide, _) => Kind::Wide(Box::new(Wide::new(options, target))),
            (OutputLayout::Long, OutputFormat::Csv) => {
                Kind::LongCsv(Box::new(LongCsv::new(options, target)?))
            }
            (OutputLayout::Long, OutputFormat::Parquet) => {
                Kind::LongParquet(Box::new(LongParquet::new(options, target)))
            }
            (OutputLayout::Long, OutputFormat::Json | OutputFormat::JsonLines) => {
                Kind::Json(Box::new(Json::new(options, target)))
            }
        };
        Ok(Self { kind, columns })
    }

    /// Appends the results of a series.
    ///
    /// # Errors
    /// When they do not fit together or to those before, or cannot be written. The output is then
    /// incomplete and should be dropped.
    pub fn append(&mut self, block: &Block<'_>) -> Result<(), OutputError> {
        block.check(self.columns)?;
        match &mut self.kind {
            Kind::LongCsv(csv) => csv.append(block),
            Kind::LongParquet(parquet) => parquet.append(block),
            Kind::Json(json) => json.append(block),
            Kind::Wide(wide) => wide.append(block),
        }
    }

    /// Says why a series has no results. Long CSV and Parquet hold it with
    /// [`WriteOptions::errors`], JSON always; a wide table has empty columns for the series.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn append_error(&mut self, id: &str, message: &str) -> Result<(), OutputError> {
        match &mut self.kind {
            Kind::LongCsv(csv) => csv.append_error(id, message),
            Kind::LongParquet(parquet) => parquet.append_error(id, message),
            Kind::Json(json) => json.append_error(id, message),
            Kind::Wide(wide) => wide.append_error(id),
        }
    }

    /// Ends the output; a file takes its place.
    ///
    /// # Errors
    /// When the rest cannot be written.
    pub fn finish(self) -> Result<(), OutputError> {
        match self.kind {
            Kind::LongCsv(csv) => csv.finish()?.commit(),
            Kind::LongParquet(parquet) => parquet.finish()?.commit(),
            Kind::Json(json) => json.finish()?.commit(),
            Kind::Wide(wide) => wide.finish()?.commit(),
        }
    }
}
