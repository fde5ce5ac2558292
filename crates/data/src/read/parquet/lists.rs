//! Tables with a whole series in every row: a list of values, and perhaps an id, a start and a
//! frequency.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;

use crate::csv::TIME_NAMES;
use crate::frequency::Frequency;
use crate::read::ReadOptions;
use crate::read::columns::{self, ID_NAMES};
use crate::read::error::Problem;
use crate::read::parquet::batches::{Batches, place};
use crate::read::parquet::cells::{Scalars, numbers};
use crate::read::parquet::times::{Times, Zone};
use crate::read::parquet::{Table, wrong_type};
use crate::read::source::{Axis, Raw, Source};
use crate::rows::Rows;

/// The most rows decoded at a time.
const BATCH: usize = 256;

/// Hands out the rows of a table.
pub(super) struct Lists {
    table: Table,
    batches: Batches,
    read: Vec<usize>,
    list: usize,
    id: Option<usize>,
    start: Option<usize>,
    frequency: Option<usize>,
    zone: Option<Zone>,
    ready: VecDeque<Raw>,
}

impl Lists {
    pub(super) fn new(
        table: Table,
        names: &[String],
        list: usize,
        options: &ReadOptions,
    ) -> Result<Self, Problem> {
        let given = |name: &Option<String>| columns::given(names, name.as_deref());
        let id = given(&options.columns.id)?.or_else(|| columns::known(names, &ID_NAMES));
        let start = given(&options.columns.time)?;
        let start = start.or_else(|| columns::known(names, &["start"]));
        // A time column may hold a list too, of every stamp, which is not read.
        let start = start
            .or_else(|| columns::known(names, &TIME_NAMES))
            .filter(|column| table.field(*column).is_ok_and(|field| !field.data_type().is_nested()));
        let frequency = columns::known(names, &["freq", "frequency"])
            .filter(|column| table.field(*column).is_ok_and(|field| field.data_type().is_string()));
        let zone = match start {
            Some(start) => Zone::of(table.field(start)?)?,
            None => None,
        };
        let mut read: Vec<usize> = [Some(list), id, start, frequency].into_iter().flatten().collect();
        read.sort_unstable();
        read.dedup();
        let rows = rows_at_a_time(&table, list, options.memory);
        let batches = Batches::new(&table, &read, rows)?;
        Ok(Self { table, batches, read, list, id, start, frequency, zone, ready: VecDeque::new() })
    }

    fn advance(&mut self) -> Result<bool, Problem> {
        let Some((batch, first)) = self.batches.next()? else { return Ok(false) };
        let column = |column: usize| batch.columns().get(place(&self.read, column)).ok_or(Problem::Empty);
        let scalars = |position: Option<usize>| match position {
            None => Ok(None),
            Some(position) => Scalars::new(column(position)?.as_ref(), self.table.field(position)?).map(Some),
        };
        let (ids, frequencies) = (scalars(self.id)?, scalars(self.frequency)?);
        let mut starts = match self.start {
            None => None,
            Some(start) => {
                Some(Times::new(column(start)?.as_ref(), self.table.field(start)?, self.zone.as_ref())?)
            }
        };
        let field = self.table.field(self.list)?;
        let lists = column(self.list)?;
        let mut text = String::new();
        for position in 0..batch.num_rows() {
            let row = first.saturating_add(position as u64);
            let id = match &ids {
                None => (row - 1).to_string(),
                Some(ids) if ids.write(position, &mut text) => text.clone(),
                Some(_) => {
                    let column =
                        self.id.and_then(|id| self.table.field(id).ok()).map(|field| field.name().clone());
                    return Err(Problem::MissingId { row, column: column.unwrap_or_default() });
                }
            };
            let mut values = Vec::new();
            if let Some(list) = list_of(lists, position) {
                numbers(list.as_ref(), field, |_| row, &mut values)?;
            }
            let axis = match &mut starts {
                None => Axis::None,
                Some(starts) => {
                    let name = self.start.and_then(|start| self.table.field(start).ok());
                    let name = name.map_or("", |field| field.name().as_str());
                    let mut start = Zone::axis(self.zone.as_ref(), name);
                    starts.push(position, &mut start).map_err(|error| Problem::time(row, name, error))?;
                    let frequency = match &frequencies {
                        Some(frequencies) if frequencies.write(position, &mut text) => {
                            Some(text.parse::<Frequency>().map_err(|error| Problem::Parquet {
                                row: row - 1,
                                message: error.to_string(),
                            })?)
                        }
                        _ => None,
                    };
                    Axis::Start(start.finish(), frequency)
                }
            };
            let rows = Arc::new(Rows::within(row, values.len()));
            self.ready.push_back(Raw { id, axis, values, rows });
        }
        if lists.data_type().is_nested() { Ok(true) } else { Err(wrong_type(field, "lists of numbers")) }
    }
}

fn list_of(lists: &ArrayRef, row: usize) -> Option<ArrayRef> {
    if lists.is_null(row) {
        return None;
    }
    match lists.data_type() {
        DataType::List(_) => Some(lists.as_list::<i32>().value(row)),
        DataType::LargeList(_) => Some(lists.as_list::<i64>().value(row)),
        DataType::FixedSizeList(..) => Some(lists.as_fixed_size_list().value(row)),
        _ => None,
    }
}

/// As many rows as fit into an eighth of the memory, by the file's own account of its lists.
fn rows_at_a_time(table: &Table, list: usize, memory: usize) -> usize {
    let leaves = table.metadata.parquet_schema();
    let leaf = (0..leaves.num_columns()).find(|leaf| leaves.get_column_root_idx(*leaf) == list);
    let values = |group: &parquet::file::metadata::RowGroupMetaData| {
        let values = leaf.and_then(|leaf| group.columns().get(leaf)).map_or(0, |chunk| chunk.num_values());
        usize::try_from(values / group.num_rows().max(1)).unwrap_or(usize::MAX)
    };
    let longest = table.metadata.metadata().row_groups().iter().map(values).max().unwrap_or(0);
    (memory / 8 / longest.saturating_mul(size_of::<f64>()).max(1)).clamp(1, BATCH)
}

impl Source for Lists {
    fn next(&mut self) -> Result<Option<Raw>, Problem> {
        while self.ready.is_empty() {
            if !self.advance()? {
                return Ok(None);
            }
        }
        Ok(self.ready.pop_front())
    }

    fn progress(&self) -> Option<f64> {
        Some(self.batches.row() as f64 / self.table.rows().max(1) as f64)
    }
}
