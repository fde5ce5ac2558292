//! Wide tables in Parquet. Columns lie apart in the file, so that only a few are held at a time.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::csv;
use crate::read::error::Problem;
use crate::read::parquet::batches::{Batches, place};
use crate::read::parquet::cells::{is_number, numbers};
use crate::read::parquet::times::{Times, Zone};
use crate::read::parquet::{Table, wrong_type};
use crate::read::source::{Axis, Raw, Shared, Source};
use crate::read::{Layout, ReadOptions, memory};
use crate::regular::Plan;
use crate::rows::Rows;

const BATCH: usize = 8192;

/// The most columns read together: each is decoded into a buffer of its own.
const COLUMNS: usize = 256;

/// Hands out the columns of a table.
pub(super) struct Wide {
    table: Table,
    names: Vec<String>,
    /// Columns that are still to be read.
    columns: VecDeque<usize>,
    ready: VecDeque<(usize, Vec<f64>)>,
    axis: Option<Arc<Result<Shared, crate::SeriesError>>>,
    rows: Arc<Rows>,
    together: usize,
    total: usize,
}

impl Wide {
    pub(super) fn new(
        table: Table,
        names: Vec<String>,
        time: Option<usize>,
        options: &ReadOptions,
    ) -> Result<Self, Problem> {
        csv::check_names(&names, time == Some(0))?;
        let columns: VecDeque<usize> = (0..names.len()).filter(|column| Some(*column) != time).collect();
        for column in &columns {
            let field = table.field(*column)?;
            if !is_number(field.data_type()) {
                return Err(wrong_type(field, "numbers, one series per column"));
            }
        }
        if columns.is_empty() || table.rows() == 0 {
            return Err(Problem::Empty);
        }
        let count = usize::try_from(table.rows()).unwrap_or(usize::MAX);
        // The axis as it stands, as planned, and where its points come from.
        let axis = memory::table(count, 4);
        memory::check(axis, options.memory, table.rows(), "one column of the wide table")?;
        let room = (options.memory - axis) / count.saturating_mul(size_of::<f64>()).max(1);
        let rows = Rows::consecutive(1, count);
        let axis = match time {
            None => None,
            Some(time) => {
                let axis = read_axis(&table, time, &names)?;
                let plan = Plan::new(axis, &rows, options.frequency, options.gaps);
                Some(Arc::new(plan.map(|plan| Shared::new(plan, &rows))))
            }
        };
        Ok(Self {
            total: columns.len(),
            table,
            names,
            columns,
            ready: VecDeque::new(),
            axis,
            rows: Arc::new(rows),
            together: (room / 2).clamp(1, COLUMNS),
        })
    }

    fn read_some(&mut self) -> Result<(), Problem> {
        let columns: Vec<usize> = self.columns.drain(..self.together.min(self.columns.len())).collect();
        let mut values: Vec<Vec<f64>> = vec![Vec::new(); columns.len()];
        let mut batches = Batches::new(&self.table, &columns, BATCH)?;
        while let Some((batch, first)) = batches.next()? {
            let row_of = |row: usize| first.saturating_add(row as u64);
            for (column, values) in columns.iter().zip(&mut values) {
                let array = batch.columns().get(place(&columns, *column)).ok_or(Problem::Empty)?;
                numbers(array.as_ref(), self.table.field(*column)?, row_of, values)?;
            }
        }
        self.ready.extend(columns.into_iter().zip(values));
        Ok(())
    }
}

fn read_axis(table: &Table, time: usize, names: &[String]) -> Result<crate::TimeColumn, Problem> {
    let field = table.field(time)?;
    let zone = Zone::of(field)?;
    let name = names.get(time).map_or("", String::as_str);
    let mut axis = Zone::axis(zone.as_ref(), name);
    let mut batches = Batches::new(table, &[time], BATCH)?;
    while let Some((batch, first)) = batches.next()? {
        let array = batch.columns().first().ok_or(Problem::Empty)?;
        let mut times = Times::new(array.as_ref(), field, zone.as_ref())?;
        for row in 0..batch.num_rows() {
            let pushed = times.push(row, &mut axis);
            pushed.map_err(|error| Problem::time(first.saturating_add(row as u64), name, error))?;
        }
    }
    Ok(axis.finish())
}

impl Source for Wide {
    fn layout(&self) -> Layout {
        Layout::Wide
    }

    fn next(&mut self) -> Result<Option<Raw>, Problem> {
        if self.ready.is_empty() && !self.columns.is_empty() {
            self.read_some()?;
        }
        let Some((column, values)) = self.ready.pop_front() else { return Ok(None) };
        let id = self.names.get(column).cloned().unwrap_or_default();
        let axis = self.axis.clone().map_or(Axis::None, Axis::Shared);
        Ok(Some(Raw { id, axis, values, rows: Arc::clone(&self.rows) }))
    }

    fn progress(&self) -> Option<f64> {
        let left = self.columns.len() + self.ready.len();
        Some((self.total - left) as f64 / self.total.max(1) as f64)
    }
}
