//! Decodes the rows of some columns, a batch at a time.

use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow_array::RecordBatch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use crate::read::error::Problem;
use crate::read::parquet::Table;
use crate::read::parquet::bytes::Bytes;

/// The rows of a file, in the projection that was asked for.
pub(super) struct Batches {
    reader: ParquetRecordBatchReader,
    row: u64,
}

impl Batches {
    /// Decodes these columns; a batch has them in the order of the file, which [`place`] gives.
    pub(super) fn new(table: &Table, columns: &[usize], rows: usize) -> Result<Self, Problem> {
        let file = Bytes(table.file.try_clone()?);
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, table.metadata.clone());
        let mask = ProjectionMask::roots(builder.parquet_schema(), columns.iter().copied());
        let reader = guard(0, || builder.with_projection(mask).with_batch_size(rows).build())?;
        Ok(Self { reader, row: 0 })
    }

    /// The next rows, and the number of the first of them, from 1.
    pub(super) fn next(&mut self) -> Result<Option<(RecordBatch, u64)>, Problem> {
        let batch = guard(self.row, || self.reader.next().transpose())?;
        let first = self.row + 1;
        self.row += batch.as_ref().map_or(0, |batch| batch.num_rows() as u64);
        Ok(batch.map(|batch| (batch, first)))
    }

    /// How many rows were decoded.
    pub(super) fn row(&self) -> u64 {
        self.row
    }
}

/// Where a column stands in a batch of these columns.
pub(super) fn place(columns: &[usize], column: usize) -> usize {
    columns.iter().filter(|other| **other < column).count()
}

/// Runs the decoder. Damaged files make it panic in places; that is an error of the file.
pub(super) fn guard<T, E: std::fmt::Display>(
    row: u64,
    decode: impl FnOnce() -> Result<T, E>,
) -> Result<T, Problem> {
    // What a panic leaves half done is never looked at again: the reader ends with the error.
    let message = match catch_unwind(AssertUnwindSafe(decode)) {
        Ok(Ok(decoded)) => return Ok(decoded),
        Ok(Err(error)) => error.to_string().split_whitespace().collect::<Vec<_>>().join(" "),
        Err(_) => "its structure is damaged".to_owned(),
    };
    Err(Problem::Parquet { row, message })
}
