//! The iterator over a file's series.

use crate::read::background::Background;
use crate::read::error::{Problem, ReadError};
use crate::read::input::Counter;
use crate::read::prepare::prepare;
use crate::read::source::Source;
use crate::read::{Columns, Format, Layout, ReadOptions};
use crate::time_series::{SeriesError, TimeSeries};

/// A series of a file, or why it cannot be used.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// What the file calls it.
    pub id: String,
    /// Its position among the series, from 0: of columns in a wide file, of first rows in a long one.
    pub index: u64,
    /// The row in which it begins; `None` when it has no points.
    pub first_row: Option<u64>,
    /// The series, ready for a model.
    pub series: Result<TimeSeries, SeriesError>,
}

/// Reads the series of a file one after the other. After an error there are no more.
pub struct SeriesReader {
    source: Box<dyn Source>,
    options: ReadOptions,
    label: String,
    format: Format,
    counter: Counter,
    total: Option<u64>,
    given: u64,
    ended: bool,
}

impl std::fmt::Debug for SeriesReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SeriesReader").field("file", &self.label).field("given", &self.given).finish()
    }
}

impl SeriesReader {
    pub(super) fn new(
        source: Box<dyn Source>,
        options: ReadOptions,
        label: String,
        format: Format,
        counter: Counter,
        total: Option<u64>,
    ) -> Self {
        Self { source, options, label, format, counter, total, given: 0, ended: false }
    }

    /// The kind of file.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// How the series lie in the file: [`Layout::Wide`], or [`Layout::Long`] for tables with ids and for lists.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.source.layout()
    }

    /// The columns of a long table by name, as they were given or recognised; none of a file without.
    #[must_use]
    pub fn columns(&self) -> Columns {
        self.source.columns()
    }

    /// The share of the file that was read, from 0 to 1; `None` for streams of unknown length. Series
    /// that are still held count as read.
    #[must_use]
    pub fn progress(&self) -> Option<f64> {
        let of_bytes = || self.total.map(|total| self.counter.get() as f64 / total.max(1) as f64);
        self.source.progress().or_else(of_bytes).map(|share| share.min(1.0))
    }

    /// Reads on a thread of its own, at most `ahead` series ahead of whoever takes them, so that
    /// reading and computing overlap.
    #[must_use]
    pub fn in_background(self, ahead: usize) -> Background {
        Background::start(self, ahead)
    }

    fn entry(&mut self) -> Result<Option<Entry>, Problem> {
        let Some(raw) = self.source.next()? else {
            return if self.given == 0 { Err(Problem::Empty) } else { Ok(None) };
        };
        let index = self.given;
        self.given += 1;
        let (id, first_row) = (raw.id.clone(), raw.rows.get(0));
        Ok(Some(Entry { id, index, first_row, series: prepare(raw, &self.options) }))
    }
}

impl Iterator for SeriesReader {
    type Item = Result<Entry, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let entry = self.entry();
        self.ended = !matches!(entry, Ok(Some(_)));
        entry.map_err(|problem| ReadError { file: self.label.clone(), problem }).transpose()
    }
}
