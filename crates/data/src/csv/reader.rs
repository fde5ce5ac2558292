//! Reads wide tables.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::Path;

use crate::csv::error::{Problem, ReadError};
use crate::csv::header::{check_is_header, check_names, is_time_column};
use crate::csv::records::{Records, sniff};
use crate::number::{self, NumberError};
use crate::table::{Series, Table};
use crate::time::TimeColumnBuilder;

/// Reads a wide table from a file; see the [module](crate::csv) for the format.
///
/// # Errors
/// When the file cannot be opened, and as [`read`].
pub fn open(path: &Path) -> Result<Table, ReadError> {
    let label = path.display().to_string();
    match File::open(path) {
        Ok(file) => read(file, &label),
        Err(error) => Err(ReadError { file: label, problem: error.into() }),
    }
}

/// Reads a wide table from a stream; `label` stands for the file's name in errors.
///
/// Memory is bounded by eight bytes per cell, and by [`MAX_RECORD_BYTES`](crate::csv::MAX_RECORD_BYTES)
/// for a single row, whatever the stream holds. Points missing at the end of a column are kept, as
/// NaN like any other.
///
/// # Errors
/// A [`Problem`] with the row and column where it was found.
pub fn read(reader: impl Read, label: &str) -> Result<Table, ReadError> {
    read_table(BufReader::with_capacity(1 << 16, reader))
        .map_err(|problem| ReadError { file: label.to_owned(), problem })
}

fn read_table(mut input: impl BufRead) -> Result<Table, Problem> {
    let (delimiter, start) = sniff(&mut input)?;
    let mut records = Records::new(Cursor::new(start).chain(input), delimiter);
    if !records.advance()? {
        return Err(Problem::Empty);
    }
    let names = records.cells().map(|cell| cell.map(str::to_owned)).collect::<Result<Vec<_>, _>>()?;
    check_is_header(&names)?;
    if !records.advance()? {
        return Err(Problem::HeaderOnly);
    }
    let first_cell = records.cells().next().transpose()?.unwrap_or_default();
    let mut time = match names.first() {
        Some(name) if is_time_column(name, first_cell) => Some(TimeColumnBuilder::new(name)),
        _ => None,
    };
    check_names(&names, time.is_some())?;
    let names = names.get(usize::from(time.is_some())..).unwrap_or_default();
    if names.is_empty() {
        let columns = time.as_ref().map(|time| time.name().to_owned()).unwrap_or_default();
        return Err(Problem::NoNumericColumns { columns });
    }
    let mut series: Vec<Series> =
        names.iter().map(|name| Series { name: name.clone(), values: Vec::new() }).collect();
    check_any_number(&records, time.is_some(), &series)?;
    loop {
        read_row(&records, time.as_mut(), &mut series)?;
        if !records.advance()? {
            return Ok(Table { time: time.map(TimeColumnBuilder::finish), series });
        }
    }
}

/// A first row of nothing but text is a table without numbers, not one with a typing error.
fn check_any_number<R: BufRead>(
    records: &Records<R>,
    has_time: bool,
    series: &[Series],
) -> Result<(), Problem> {
    for cell in records.cells().skip(usize::from(has_time)) {
        if number::parse_cell(cell?) != Err(NumberError::Text) {
            return Ok(());
        }
    }
    if records.len() != series.len() + usize::from(has_time) {
        return Ok(()); // `read_row` reports the ragged row
    }
    let mut columns: Vec<&str> = series.iter().take(8).map(|series| series.name.as_str()).collect();
    if series.len() > columns.len() {
        columns.push("...");
    }
    Err(Problem::NoNumericColumns { columns: columns.join(", ") })
}

fn read_row<R: BufRead>(
    records: &Records<R>,
    mut time: Option<&mut TimeColumnBuilder>,
    series: &mut [Series],
) -> Result<(), Problem> {
    let row = records.row();
    let expected = series.len() + usize::from(time.is_some());
    if records.len() != expected {
        return Err(Problem::RaggedRow { row, found: records.len(), expected });
    }
    let mut cells = records.cells();
    if let Some(time) = &mut time {
        let cell = cells.next().transpose()?.unwrap_or_default();
        time.push(cell).map_err(|error| Problem::Time { row, column: time.name().to_owned(), error })?;
    }
    for (cell, series) in cells.zip(series) {
        series.values.push(parse_value(cell?, row, || series.name.clone())?);
    }
    Ok(())
}

/// The number in a cell, NaN where it is missing; `column` names its column.
pub(crate) fn parse_value(cell: &str, row: u64, column: impl Fn() -> String) -> Result<f64, Problem> {
    number::parse_cell(cell).map_err(|error| {
        let (column, text) = (column(), shortened(cell));
        match error {
            NumberError::Text => Problem::NotANumber { row, column, text },
            NumberError::DecimalComma => Problem::DecimalComma { row, column, text },
            NumberError::Infinite => Problem::Infinite { row, column, text },
        }
    })
}

/// At most 60 characters of a cell, to show in an error.
fn shortened(cell: &str) -> String {
    const SHOWN: usize = 60;
    let mut text: String = cell.chars().take(SHOWN).collect();
    if text.len() < cell.len() {
        text.push_str("...");
    }
    text
}
