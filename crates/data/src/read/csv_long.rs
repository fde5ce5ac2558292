//! Long tables in CSV.

use std::io::BufRead;

use crate::csv::{self, Records};
use crate::read::Columns;
use crate::read::assembler::Assembler;
use crate::read::columns::Long;
use crate::read::error::Problem;
use crate::read::source::{Raw, Source};
use crate::time::{TimeColumnBuilder, TimeError};

/// How many rows are read between two looks at the memory.
const ROWS_PER_LOOK: u64 = 1024;

/// Reads the rows below the header.
pub(super) struct LongCsv<R> {
    records: Records<R>,
    names: Vec<String>,
    columns: Long,
    assembler: Assembler,
    /// The file's first time stamp, which says how all are written.
    form: Option<TimeColumnBuilder>,
    rows: u64,
    ended: bool,
}

impl<R: BufRead> LongCsv<R> {
    /// `records` stands on the header, whose cells are `names`.
    pub(super) fn new(records: Records<R>, names: Vec<String>, columns: Long, memory: usize) -> Self {
        let time = columns.time.and_then(|time| names.get(time)).map(TimeColumnBuilder::unordered);
        let assembler = Assembler::new(time.clone(), memory);
        Self { records, names, columns, assembler, form: time, rows: 0, ended: false }
    }

    fn read_row(&mut self) -> Result<(), Problem> {
        let row = self.records.row();
        if self.records.len() != self.names.len() {
            let (found, expected) = (self.records.len(), self.names.len());
            return Err(csv::Problem::RaggedRow { row, found, expected }.into());
        }
        let name = |column: usize| self.names.get(column).cloned().unwrap_or_default();
        let id = self.records.cell(self.columns.id)?;
        if id.is_empty() {
            return Err(Problem::MissingId { row, column: name(self.columns.id) });
        }
        let text = self.records.cell(self.columns.target)?;
        let value = csv::parse_value(text, row, || name(self.columns.target))?;
        let open = self.assembler.series(id, row)?;
        if let (Some(column), Some(time)) = (self.columns.time, &mut open.time) {
            let text = self.records.cell(column)?;
            let starts = time.values().is_none();
            time.push(text).map_err(|error| Problem::time(row, &name(column), error))?;
            if let Some(form) = self.form.as_mut().filter(|_| starts) {
                check_form(form, text).map_err(|error| Problem::time(row, &name(column), error))?;
            }
        }
        open.values.push(value);
        open.rows.extend(row, 1);
        Ok(())
    }
}

/// Checks that a series writes its time stamps as the file's first does: the formats within a series
/// are compared as it is read. Keeps no more than a few stamps.
fn check_form(form: &mut TimeColumnBuilder, text: &str) -> Result<(), TimeError> {
    let mut next = form.clone();
    next.push(text)?;
    if form.values().is_none() {
        *form = next;
    }
    Ok(())
}

impl<R: BufRead + Send> Source for LongCsv<R> {
    fn columns(&self) -> Columns {
        self.columns.named(&self.names)
    }

    fn next(&mut self) -> Result<Option<Raw>, Problem> {
        loop {
            if self.ended || self.rows.is_multiple_of(ROWS_PER_LOOK) {
                let open = self.assembler.take(self.records.row())?;
                if open.is_some() || self.ended {
                    return Ok(open.map(Raw::from));
                }
            }
            self.rows += 1;
            if self.records.advance()? {
                self.read_row()?;
            } else {
                self.assembler.finish();
                self.ended = true;
            }
        }
    }
}
