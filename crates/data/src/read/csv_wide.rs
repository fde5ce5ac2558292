//! Wide tables in CSV. Every series ends in the last row, so that the whole table is held.

use std::io::BufRead;
use std::sync::Arc;

use crate::csv::{self, Records};
use crate::read::error::Problem;
use crate::read::source::{Axis, Raw, Shared, Source};
use crate::read::{Layout, ReadOptions, memory};
use crate::regular::Plan;
use crate::rows::Rows;
use crate::time::TimeColumnBuilder;

/// Hands out the columns of a table.
pub(super) struct WideCsv {
    columns: std::vec::IntoIter<(String, Vec<f64>)>,
    time: Option<Arc<Result<Shared, crate::SeriesError>>>,
    rows: Arc<Rows>,
}

impl WideCsv {
    /// Reads the table. `records` stands on the header, whose cells are `names`; `time` is the
    /// column that was named as the time axis.
    pub(super) fn read<R: BufRead>(
        mut records: Records<R>,
        names: &[String],
        time: Option<usize>,
        options: &ReadOptions,
    ) -> Result<Self, Problem> {
        csv::check_is_header(names)?;
        if !records.advance()? {
            return Err(csv::Problem::HeaderOnly.into());
        }
        let first = records.cells().next().transpose()?.unwrap_or_default();
        let time = time.or_else(|| names.first().filter(|name| csv::is_time_column(name, first)).map(|_| 0));
        csv::check_names(names, time == Some(0))?;
        let mut axis = time.and_then(|time| names.get(time)).map(TimeColumnBuilder::unordered);
        let mut columns: Vec<(String, Vec<f64>)> = Vec::new();
        for (position, name) in names.iter().enumerate() {
            if Some(position) != time {
                columns.push((name.clone(), Vec::new()));
            }
        }
        if columns.is_empty() {
            return Err(csv::Problem::NoNumericColumns { columns: names.join(", ") }.into());
        }
        let mut rows = Rows::default();
        loop {
            read_row(&records, names.len(), time, axis.as_mut(), &mut columns)?;
            rows.extend(records.row(), 1);
            if rows.len().is_power_of_two() {
                // The next row doubles the vectors.
                let bytes = memory::table(2 * rows.len(), columns.len());
                memory::check(bytes, options.memory, records.row(), "the wide table")?;
            }
            if !records.advance()? {
                break;
            }
        }
        let time = axis.map(|axis| {
            let plan = Plan::new(axis.finish(), &rows, options.frequency, options.gaps);
            Arc::new(plan.map(|plan| Shared::new(plan, &rows)))
        });
        Ok(Self { columns: columns.into_iter(), time, rows: Arc::new(rows) })
    }
}

fn read_row<R: BufRead>(
    records: &Records<R>,
    expected: usize,
    time: Option<usize>,
    axis: Option<&mut TimeColumnBuilder>,
    columns: &mut [(String, Vec<f64>)],
) -> Result<(), Problem> {
    let row = records.row();
    if records.len() != expected {
        return Err(csv::Problem::RaggedRow { row, found: records.len(), expected }.into());
    }
    if let (Some(axis), Some(time)) = (axis, time) {
        axis.push(records.cell(time)?).map_err(|error| Problem::time(row, axis.name(), error))?;
    }
    let cells = records.cells().enumerate().filter(|(position, _)| Some(*position) != time);
    for ((_, cell), (name, values)) in cells.zip(columns) {
        values.push(csv::parse_value(cell?, row, || name.clone())?);
    }
    Ok(())
}

impl Source for WideCsv {
    fn layout(&self) -> Layout {
        Layout::Wide
    }

    fn next(&mut self) -> Result<Option<Raw>, Problem> {
        Ok(self.columns.next().map(|(id, values)| {
            let axis = self.time.clone().map_or(Axis::None, Axis::Shared);
            Raw { id, axis, values, rows: Arc::clone(&self.rows) }
        }))
    }
}
