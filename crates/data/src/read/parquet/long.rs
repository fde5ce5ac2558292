//! Long tables in Parquet.

use crate::read::assembler::Assembler;
use crate::read::columns;
use crate::read::error::Problem;
use crate::read::parquet::Table;
use crate::read::parquet::batches::{Batches, place};
use crate::read::parquet::cells::{Scalars, numbers};
use crate::read::parquet::times::{Times, Zone};
use crate::read::source::{Raw, Source};
use crate::read::{Columns, ReadOptions};

/// Rows decoded at a time: enough to spread what a batch costs, few enough to stay in the cache.
const BATCH: usize = 8192;

/// Reads rows and puts them together.
pub(super) struct Long {
    table: Table,
    batches: Batches,
    columns: columns::Long,
    /// The columns that are read, as positions in the file.
    read: Vec<usize>,
    zone: Option<Zone>,
    assembler: Assembler,
    ended: bool,
}

impl Long {
    pub(super) fn new(
        table: Table,
        names: &[String],
        columns: columns::Long,
        options: &ReadOptions,
    ) -> Result<Self, Problem> {
        let read: Vec<usize> = columns.time.into_iter().chain([columns.id, columns.target]).collect();
        let batches = Batches::new(&table, &read, BATCH)?;
        let (mut zone, mut time) = (None, None);
        if let Some(column) = columns.time {
            zone = Zone::of(table.field(column)?)?;
            time = names.get(column).map(|name| Zone::axis(zone.as_ref(), name));
        }
        let assembler = Assembler::new(time, options.memory);
        Ok(Self { table, batches, columns, read, zone, assembler, ended: false })
    }

    /// Reads a batch; `false` at the end of the file.
    fn advance(&mut self) -> Result<bool, Problem> {
        let Some((batch, first_row)) = self.batches.next()? else { return Ok(false) };
        let column = |column: usize| batch.columns().get(place(&self.read, column)).ok_or(Problem::Empty);
        let row_of = |row: usize| first_row.saturating_add(row as u64);
        let id_field = self.table.field(self.columns.id)?;
        let ids = Scalars::new(column(self.columns.id)?.as_ref(), id_field)?;
        let mut values = Vec::with_capacity(batch.num_rows());
        let target = self.table.field(self.columns.target)?;
        numbers(column(self.columns.target)?.as_ref(), target, row_of, &mut values)?;
        let mut times = match self.columns.time {
            None => None,
            Some(time) => {
                Some(Times::new(column(time)?.as_ref(), self.table.field(time)?, self.zone.as_ref())?)
            }
        };
        let mut id = String::new();
        let mut start = 0;
        while start < batch.num_rows() {
            let end = ids.run_end(start);
            if !ids.write(start, &mut id) {
                let column = id_field.name().clone();
                return Err(Problem::MissingId { row: row_of(start), column });
            }
            let open = self.assembler.series(&id, row_of(start))?;
            if let (Some(times), Some(axis)) = (&mut times, &mut open.time) {
                for row in start..end {
                    let pushed = times.push(row, axis);
                    pushed.map_err(|error| Problem::time(row_of(row), axis.name(), error))?;
                }
            }
            open.values.extend_from_slice(values.get(start..end).unwrap_or_default());
            open.rows.extend(row_of(start), end - start);
            start = end;
        }
        Ok(true)
    }
}

impl Source for Long {
    fn columns(&self) -> Columns {
        self.columns.named(&self.table.names())
    }

    fn next(&mut self) -> Result<Option<Raw>, Problem> {
        loop {
            let open = self.assembler.take(self.batches.row())?;
            if open.is_some() || self.ended {
                return Ok(open.map(Raw::from));
            }
            if !self.advance()? {
                self.assembler.finish();
                self.ended = true;
            }
        }
    }

    fn progress(&self) -> Option<f64> {
        Some(self.batches.row() as f64 / self.table.rows().max(1) as f64)
    }
}
