//! What the tests of reading and writing share.
#![allow(dead_code, reason = "every test crate uses its own part")]

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use tmoe_data::read::{Entry, Problem, ReadError, ReadOptions};
use tmoe_data::{SeriesError, TimeSeries};

/// Everything in a file, or the error that ended it.
pub(crate) fn entries(options: ReadOptions, bytes: impl Into<Vec<u8>>) -> Result<Vec<Entry>, ReadError> {
    options.read(std::io::Cursor::new(bytes.into()), "test")?.collect()
}

/// The series of a sound file, all of them usable.
pub(crate) fn series(bytes: impl Into<Vec<u8>>) -> Vec<TimeSeries> {
    series_with(ReadOptions::new(), bytes)
}

pub(crate) fn series_with(options: ReadOptions, bytes: impl Into<Vec<u8>>) -> Vec<TimeSeries> {
    let entries = entries(options, bytes).unwrap_or_else(|error| panic!("{error}"));
    entries
        .into_iter()
        .map(|entry| entry.series.unwrap_or_else(|error| panic!("{}: {error}", entry.id)))
        .collect()
}

/// What is wrong with a file.
pub(crate) fn problem(bytes: impl Into<Vec<u8>>) -> Problem {
    problem_with(ReadOptions::new(), bytes)
}

pub(crate) fn problem_with(options: ReadOptions, bytes: impl Into<Vec<u8>>) -> Problem {
    let error = entries(options, bytes).expect_err("the file is refused");
    assert!(!error.to_string().contains('\n'), "one line: {error}");
    error.problem
}

/// What is wrong with the only series of a file.
pub(crate) fn series_error(options: ReadOptions, bytes: impl Into<Vec<u8>>) -> SeriesError {
    let mut entries = entries(options, bytes).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(entries.len(), 1);
    entries.remove(0).series.expect_err("the series is refused")
}

/// The time stamps of a series as text.
pub(crate) fn stamps(series: &TimeSeries) -> Vec<String> {
    series.time.as_ref().map(|time| time.texts()).unwrap_or_default()
}

/// Values with every NaN as `None`, so that they can be compared.
pub(crate) fn present(values: &[f64]) -> Vec<Option<f64>> {
    values.iter().map(|value| (!value.is_nan()).then_some(*value)).collect()
}

/// A file of Parquet with these columns.
pub(crate) fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    parquet_with(Compression::SNAPPY, 1 << 16, columns)
}

/// A file of Parquet with row groups of so many rows.
pub(crate) fn parquet_with(
    compression: Compression,
    group: usize,
    columns: Vec<(&str, ArrayRef)>,
) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, column)| (name, column, true)),
    )
    .expect("columns of one length");
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_max_row_group_row_count(Some(group))
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).expect("a writer");
    writer.write(&batch).expect("writing to memory");
    writer.close().expect("writing to memory");
    bytes
}

/// A column.
pub(crate) fn column(array: impl arrow_array::Array + 'static) -> ArrayRef {
    Arc::new(array)
}
