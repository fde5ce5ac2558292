//! Rows of a long table put together to series, in bounded memory.
//!
//! A series is complete when the file ends. When the rows of every series stand together, as in a
//! file sorted by id, it is also complete once another has begun, but that the file is such cannot be
//! known before its end. So series are held until they take as much memory as is allowed; then the
//! complete ones are given out, oldest first, provided that so far no series had its rows apart. A
//! row of a series that is gone already is an error, never a second series of that name.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher as _, RandomState};

use crate::read::error::Problem;
use crate::read::source::{Axis, Raw};
use crate::rows::Rows;
use crate::time::{TimeColumnBuilder, TimeValues};

/// Memory of an open series beside its points: names, map entries, allocations.
const SERIES_BYTES: usize = 512;

/// A series whose rows are being collected.
pub(super) struct Open {
    id: String,
    pub(super) time: Option<TimeColumnBuilder>,
    pub(super) values: Vec<f64>,
    pub(super) rows: Rows,
    /// What it was last counted as.
    bytes: usize,
}

impl Open {
    fn measure(&self) -> usize {
        let stamp = match self.time.as_ref().and_then(TimeColumnBuilder::values) {
            None => 0,
            Some(TimeValues::Integer(values)) => values.capacity() * 8,
            Some(TimeValues::Civil { values, .. }) => values.capacity() * size_of::<jiff::civil::DateTime>(),
            Some(TimeValues::Instant { values, .. }) => values.capacity() * size_of::<crate::time::Instant>(),
        };
        SERIES_BYTES + 2 * self.id.len() + stamp + self.values.capacity() * 8 + self.rows.bytes()
    }
}

impl From<Open> for Raw {
    fn from(open: Open) -> Self {
        let axis = open.time.map_or(Axis::None, |time| Axis::Own(time.finish()));
        Self { id: open.id, axis, values: open.values, rows: open.rows.into() }
    }
}

/// Holds the series whose rows are being read.
pub(super) struct Assembler {
    /// Name of the time column, if there is one; every series starts an axis of that name.
    time: Option<TimeColumnBuilder>,
    limit: usize,
    /// In order of appearance; the first has number `given`.
    open: VecDeque<Open>,
    given: usize,
    numbers: HashMap<String, usize>,
    current: Option<usize>,
    bytes: usize,
    /// Two independent hashes of the ids of series that were given out.
    gone: HashSet<(u64, u64)>,
    hashers: (RandomState, RandomState),
    /// The first series whose rows stood apart, and where.
    apart: Option<(String, u64)>,
    finished: bool,
}

impl Assembler {
    /// An assembler that holds at most `limit` bytes. `time` is the empty axis of every series.
    pub(super) fn new(time: Option<TimeColumnBuilder>, limit: usize) -> Self {
        Self {
            time,
            limit,
            open: VecDeque::new(),
            given: 0,
            numbers: HashMap::new(),
            current: None,
            bytes: 0,
            gone: HashSet::new(),
            hashers: (RandomState::new(), RandomState::new()),
            apart: None,
            finished: false,
        }
    }

    /// The series that a row belongs to.
    pub(super) fn series(&mut self, id: &str, row: u64) -> Result<&mut Open, Problem> {
        let current = self.current.and_then(|number| number.checked_sub(self.given));
        let index = match current {
            Some(index) if self.open.get(index).is_some_and(|open| open.id == id) => index,
            _ => self.enter(id, row)?,
        };
        let limit = self.limit >> 20;
        // `enter` returns the place of a series that is open.
        self.open.get_mut(index).ok_or_else(|| Problem::Interleaved { row, id: id.to_owned(), limit })
    }

    /// Another series than that of the row before.
    fn enter(&mut self, id: &str, row: u64) -> Result<usize, Problem> {
        self.count_current();
        if let Some(&number) = self.numbers.get(id) {
            self.apart.get_or_insert_with(|| (id.to_owned(), row));
            self.current = Some(number);
            return Ok(number - self.given);
        }
        if !self.gone.is_empty() && self.gone.contains(&self.hashes(id)) {
            return Err(Problem::Interleaved { row, id: id.to_owned(), limit: self.limit >> 20 });
        }
        let number = self.given + self.open.len();
        self.numbers.insert(id.to_owned(), number);
        self.current = Some(number);
        self.open.push_back(Open {
            id: id.to_owned(),
            time: self.time.clone(),
            values: Vec::new(),
            rows: Rows::default(),
            bytes: 0,
        });
        Ok(number - self.given)
    }

    fn hashes(&self, id: &str) -> (u64, u64) {
        (self.hashers.0.hash_one(id), self.hashers.1.hash_one(id))
    }

    fn count_current(&mut self) {
        let index = self.current.and_then(|number| number.checked_sub(self.given));
        if let Some(open) = index.and_then(|index| self.open.get_mut(index)) {
            let bytes = open.measure();
            self.bytes = self.bytes + bytes - open.bytes;
            open.bytes = bytes;
        }
    }

    /// No rows follow: every series is complete.
    pub(super) fn finish(&mut self) {
        self.finished = true;
    }

    /// A series that is complete, when the file has ended or memory is short; called between rows,
    /// `row` being the last one read.
    pub(super) fn take(&mut self, row: u64) -> Result<Option<Open>, Problem> {
        if !self.finished {
            self.count_current();
            if self.bytes <= self.limit {
                return Ok(None);
            }
            let limit = self.limit >> 20;
            if let Some((id, row)) = &self.apart {
                return Err(Problem::Interleaved { row: *row, id: id.clone(), limit });
            }
            if self.open.len() < 2 {
                let (what, advice) = ("one series", "cut its past");
                return Err(Problem::TooLarge { row, what, limit, advice });
            }
        }
        let Some(open) = self.open.pop_front() else { return Ok(None) };
        self.given += 1;
        self.bytes = self.bytes.saturating_sub(open.bytes);
        self.numbers.remove(&open.id);
        if !self.finished {
            self.gone.insert(self.hashes(&open.id));
        }
        Ok(Some(open))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads ids, one row each, and returns the series in the order they are given out.
    fn assembled(ids: &[&str], limit: usize) -> Result<Vec<(String, Vec<f64>)>, Problem> {
        let mut assembler = Assembler::new(None, limit);
        let mut series = Vec::new();
        let mut keep = |open: Open| series.push((open.id, open.values));
        for (row, id) in (1..).zip(ids) {
            let open = assembler.series(id, row)?;
            open.values.push(row as f64);
            open.rows.extend(row, 1);
            while let Some(open) = assembler.take(row)? {
                keep(open);
            }
        }
        assembler.finish();
        while let Some(open) = assembler.take(0)? {
            keep(open);
        }
        Ok(series)
    }

    #[test]
    fn series_come_in_order_of_appearance_whether_their_rows_stand_together_or_not() {
        let expected = vec![
            ("b".to_owned(), vec![1.0, 3.0, 4.0]),
            ("a".to_owned(), vec![2.0]),
            ("c".to_owned(), vec![5.0]),
        ];
        assert_eq!(assembled(&["b", "a", "b", "b", "c"], 1 << 20).ok(), Some(expected));
    }

    #[test]
    fn when_memory_is_short_complete_series_are_given_out_before_the_end() {
        let ids: Vec<String> = (0..100).flat_map(|id| [id.to_string(), id.to_string()]).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let series = assembled(&ids, 3 * SERIES_BYTES).unwrap_or_default();
        assert_eq!(series.len(), 100);
        assert!(series.iter().all(|(_, values)| values.len() == 2));
    }

    #[test]
    fn a_series_that_comes_back_after_it_was_given_out_is_an_error_with_its_row() {
        let error = assembled(&["a", "b", "c", "d", "a"], 2 * SERIES_BYTES);
        assert!(matches!(error, Err(Problem::Interleaved { row: 5, ref id, .. }) if id == "a"), "{error:?}");
    }

    #[test]
    fn interleaved_series_that_do_not_fit_are_an_error_with_the_row_that_shows_it() {
        let error = assembled(&["a", "b", "a", "c", "d", "e"], 3 * SERIES_BYTES + 200);
        assert!(matches!(error, Err(Problem::Interleaved { row: 3, ref id, .. }) if id == "a"), "{error:?}");
    }

    #[test]
    fn one_series_that_does_not_fit_is_an_error() {
        let error = assembled(&["a"; 2000], 4096);
        assert!(matches!(error, Err(Problem::TooLarge { .. })), "{error:?}");
    }
}
