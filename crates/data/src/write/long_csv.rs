//! Long tables in CSV.

use std::io::{self, Write as _};

use ::csv::{ByteRecord, Writer, WriterBuilder};

use crate::csv::header_style;
use crate::number::Number;
use crate::time::TimeColumn;
use crate::write::block::Block;
use crate::write::error::OutputError;
use crate::write::options::WriteOptions;
use crate::write::target::Target;

pub(super) struct LongCsv {
    options: WriteOptions,
    /// Writes into memory, block by block, so that the target stays at hand for its errors.
    writer: Writer<Vec<u8>>,
    target: Target,
}

impl LongCsv {
    pub(super) fn new(options: WriteOptions, target: Target) -> Result<Self, OutputError> {
        let mut names = vec![options.id.as_str(), options.time.as_str()];
        names.extend(options.history.then_some(options.target.as_str()));
        names.extend(options.columns.iter().map(String::as_str));
        names.extend(options.errors.then_some("error"));
        let mut header =
            WriterBuilder::new().quote_style(header_style(names.iter().copied())).from_writer(Vec::new());
        header.write_record(&names).map_err(io::Error::from)?;
        let header = header.into_inner().map_err(|error| error.into_error())?;
        let mut csv = Self { options, writer: Writer::from_writer(Vec::new()), target };
        csv.target.write_all(&header).map_err(|error| csv.target.error(error))?;
        Ok(csv)
    }

    pub(super) fn append(&mut self, block: &Block<'_>) -> Result<(), OutputError> {
        if let Some(history) = block.history.filter(|_| self.options.history) {
            let axis = history.axis();
            for (row, value) in history.values.iter().enumerate() {
                self.row(block.id, &axis, row, Some(*value), &[])?;
            }
        }
        let steps = TimeColumn::steps(1, if block.time.is_none() { block.len() } else { 0 });
        let axis = block.time.unwrap_or(&steps);
        for row in 0..block.len() {
            self.row(block.id, axis, row, None, block.columns)?;
        }
        self.drain()
    }

    pub(super) fn append_error(&mut self, id: &str, message: &str) -> Result<(), OutputError> {
        if !self.options.errors {
            return Ok(());
        }
        let mut record = ByteRecord::new();
        record.push_field(id.as_bytes());
        let empty = 1 + usize::from(self.options.history) + self.options.columns.len();
        (0..empty).for_each(|_| record.push_field(b""));
        record.push_field(message.as_bytes());
        self.writer.write_byte_record(&record).map_err(io::Error::from)?;
        self.drain()
    }

    pub(super) fn finish(mut self) -> Result<Target, OutputError> {
        self.drain()?;
        Ok(self.target)
    }

    /// Writes a row of known (`history`) or of predicted values.
    fn row(
        &mut self,
        id: &str,
        axis: &TimeColumn,
        row: usize,
        history: Option<f64>,
        columns: &[&[f32]],
    ) -> io::Result<()> {
        let text = |value: Option<f32>| {
            value.filter(|value| !value.is_missing()).map(Number::to_text).unwrap_or_default()
        };
        self.writer.write_field(id)?;
        self.writer.write_field(axis.text(row).unwrap_or_default())?;
        if self.options.history {
            let known = history.filter(|value| !value.is_missing());
            self.writer.write_field(known.map(Number::to_text).unwrap_or_default())?;
        }
        for column in 0..self.options.columns.len() {
            let value = columns.get(column).and_then(|column| column.get(row)).copied();
            self.writer.write_field(text(value))?;
        }
        if self.options.errors {
            self.writer.write_field("")?;
        }
        Ok(self.writer.write_record(None::<&[u8]>)?)
    }

    /// Hands what was written into memory to the target.
    fn drain(&mut self) -> Result<(), OutputError> {
        self.writer.flush()?;
        let full = std::mem::replace(&mut self.writer, Writer::from_writer(Vec::new()));
        let bytes = full.into_inner().map_err(|error| error.into_error())?;
        self.target.write_all(&bytes).map_err(|error| self.target.error(error))
    }
}
