//! Puts rows in order on a regular time axis: sorts them, drops repeated ones and fills gaps, or
//! says where they break the axis.
//!
//! The work on the axis is done once, as a [`Plan`], which then rearranges the values of every
//! series that has the axis.

use std::sync::Arc;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::frequency::{Frequency, FrequencyError, follows_instant};
use crate::rows::Rows;
use crate::time::{Instant, TimeColumn, TimeValues};
use crate::time_series::{Repairs, SeriesError};

/// The most time stamps that are filled in within one series: a step of a second and a gap of years
/// is an error in the data, and must not fill the memory.
pub const MAX_FILLED_POINTS: usize = 1 << 20;

/// What to do with rows that break a regular axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GapPolicy {
    /// Fill gaps with missing points, sort rows that are out of order, and keep one of the rows
    /// that repeat a time stamp with the same value.
    #[default]
    FillMissing,
    /// Refuse the series.
    Error,
    /// Take the rows as they stand, one step apart whatever their time stamps say: for benchmarks that are defined on rows.
    Ignore,
}

/// How the rows of a file become the points of an axis.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) time: Arc<TimeColumn>,
    /// `None` with a single point.
    pub(crate) frequency: Option<Frequency>,
    pub(crate) repairs: Repairs,
    /// Which row (from 0) every point takes its value from; `None` where all are taken in order.
    sources: Option<Vec<Source>>,
}

/// Where a point of the axis comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Row(usize),
    /// A row and one that repeats its time stamp.
    Repeated(usize, usize),
    Filled,
}

impl Plan {
    /// Plans an axis from time stamps in file order; `rows` says where they stand.
    pub(crate) fn new(
        time: TimeColumn,
        rows: &Rows,
        frequency: Option<Frequency>,
        policy: GapPolicy,
    ) -> Result<Self, SeriesError> {
        if let Some(frequency) = frequency.filter(|frequency| !frequency.fits(time.values())) {
            return Err(SeriesError::Frequency(FrequencyError::Mismatch {
                column: time.name().to_owned(),
                frequency: frequency.to_string(),
                example: time.text(0).unwrap_or_default(),
            }));
        }
        if policy == GapPolicy::Ignore {
            let frequency = frequency.or_else(|| Frequency::most_common(&time));
            return Ok(Self { time: Arc::new(time), frequency, repairs: Repairs::default(), sources: None });
        }
        let (order, mut repairs) = sort(&time, rows, policy)?;
        let (sorted, merged) = match order {
            None => (time, None),
            Some(order) => {
                let merged = merge(&time, &order, rows, policy, &mut repairs)?;
                let kept: Vec<usize> = merged.iter().filter_map(|source| source.row()).collect();
                (time.pick(&kept), Some(merged))
            }
        };
        let Some(frequency) = frequency.or_else(|| Frequency::most_common(&sorted)) else {
            return Ok(Self { time: Arc::new(sorted), frequency: None, repairs, sources: merged });
        };
        let filler = Filler { time: &sorted, rows, merged: merged.as_deref(), frequency, policy };
        Ok(match filler.fill(&mut repairs)? {
            Some((values, sources)) => {
                let time =
                    TimeColumn::from_values(sorted.name().to_owned(), values).in_zone(sorted.zone().cloned());
                Self { time: Arc::new(time), frequency: Some(frequency), repairs, sources: Some(sources) }
            }
            None => Self { time: Arc::new(sorted), frequency: Some(frequency), repairs, sources: merged },
        })
    }

    /// Where the points stand in the file.
    pub(crate) fn rows(&self, rows: Rows) -> Rows {
        let Some(sources) = &self.sources else { return rows };
        let mut placed = Rows::default();
        for source in sources {
            match source.row().and_then(|row| rows.get(row)) {
                Some(row) => placed.extend(row, 1),
                None => placed.extend_unplaced(),
            }
        }
        placed
    }

    /// Brings values in file order into the order of the axis.
    pub(crate) fn values(&self, values: Vec<f64>, rows: &Rows) -> Result<Vec<f64>, SeriesError> {
        let Some(sources) = &self.sources else { return Ok(values) };
        let value = |row: usize| values.get(row).copied().unwrap_or(f64::NAN);
        let mut arranged = Vec::with_capacity(sources.len());
        for (point, source) in sources.iter().enumerate() {
            arranged.push(match *source {
                Source::Filled => f64::NAN,
                Source::Row(row) => value(row),
                Source::Repeated(first, again) => match (value(first), value(again)) {
                    (a, b) if a.is_nan() => b,
                    (a, b) if b.is_nan() || a == b => a,
                    _ => {
                        return Err(SeriesError::Conflicting {
                            row: rows.get(again).unwrap_or_default(),
                            found: self.time.text(point).unwrap_or_default(),
                            first: rows.get(first).unwrap_or_default(),
                        });
                    }
                },
            });
        }
        Ok(arranged)
    }
}

impl Source {
    fn row(self) -> Option<usize> {
        match self {
            Self::Row(row) | Self::Repeated(row, _) => Some(row),
            Self::Filled => None,
        }
    }
}

/// The order of the time stamps; `None` when they increase strictly as they stand.
fn sort(
    time: &TimeColumn,
    rows: &Rows,
    policy: GapPolicy,
) -> Result<(Option<Vec<usize>>, Repairs), SeriesError> {
    match time.values() {
        TimeValues::Integer(values) => sort_by(values, |value| *value, time, rows, policy),
        TimeValues::Civil { values, .. } => sort_by(values, |value| *value, time, rows, policy),
        TimeValues::Instant { values, .. } => sort_by(values, |value| value.timestamp, time, rows, policy),
    }
}

fn sort_by<T, K: Ord>(
    values: &[T],
    key: impl Fn(&T) -> K,
    time: &TimeColumn,
    rows: &Rows,
    policy: GapPolicy,
) -> Result<(Option<Vec<usize>>, Repairs), SeriesError> {
    let mut repairs = Repairs::default();
    let mut strictly = true;
    for (point, (a, b)) in values.iter().zip(values.iter().skip(1)).enumerate() {
        let (a, b) = (key(a), key(b));
        strictly &= a < b;
        if a > b {
            let row = rows.get(point + 1);
            if policy == GapPolicy::Error {
                return Err(SeriesError::Unsorted {
                    row: row.unwrap_or_default(),
                    found: time.text(point + 1).unwrap_or_default(),
                    previous: time.text(point).unwrap_or_default(),
                });
            }
            repairs.unsorted += 1;
            repairs.at(row);
        }
    }
    if strictly {
        return Ok((None, repairs));
    }
    let mut keyed: Vec<(K, usize)> = values.iter().map(key).zip(0..).collect();
    keyed.sort_unstable();
    Ok((Some(keyed.into_iter().map(|(_, row)| row).collect()), repairs))
}

/// One source for each distinct time stamp.
fn merge(
    time: &TimeColumn,
    order: &[usize],
    rows: &Rows,
    policy: GapPolicy,
    repairs: &mut Repairs,
) -> Result<Vec<Source>, SeriesError> {
    let mut sources: Vec<Source> = Vec::with_capacity(order.len());
    for &row in order {
        let first = sources.last().and_then(|source| source.row()).filter(|first| time.same(*first, row));
        let Some(first) = first else {
            sources.push(Source::Row(row));
            continue;
        };
        let again = matches!(sources.last(), Some(Source::Repeated(..)));
        // A third row of one time stamp is refused too: two are a slip, more are another table.
        if policy == GapPolicy::Error || again {
            let found = time.text(row).unwrap_or_default();
            let (row, first) = (rows.get(row).unwrap_or_default(), rows.get(first).unwrap_or_default());
            return Err(SeriesError::Repeated { row, found, first });
        }
        repairs.repeated += 1;
        repairs.at(rows.get(row));
        sources.pop();
        sources.push(Source::Repeated(first, row));
    }
    Ok(sources)
}

/// Time stamps without gaps, and where each comes from.
type Filled<T> = (T, Vec<Source>);

/// Walks over a sorted axis without repeated stamps and fills what is left out.
struct Filler<'a> {
    time: &'a TimeColumn,
    rows: &'a Rows,
    merged: Option<&'a [Source]>,
    frequency: Frequency,
    policy: GapPolicy,
}

impl Filler<'_> {
    /// The axis with its gaps filled and where its points come from; `None` when there are none.
    fn fill(&self, repairs: &mut Repairs) -> Result<Option<Filled<TimeValues>>, SeriesError> {
        let frequency = self.frequency;
        let zone = self.time.zone();
        Ok(match self.time.values() {
            TimeValues::Integer(values) => self
                .walk(
                    values,
                    |a, b| frequency.after_integer(*a) == Some(*b),
                    |a, b| between_integers(frequency, a, b),
                    repairs,
                )?
                .map(|(values, sources)| (TimeValues::Integer(values), sources)),
            TimeValues::Civil { values, format } => self
                .walk(values, |a, b| frequency.leads(*a, *b), |a, b| between_civil(frequency, a, b), repairs)?
                .map(|(values, sources)| (TimeValues::Civil { values, format: *format }, sources)),
            TimeValues::Instant { values, format } => self
                .walk(
                    values,
                    |a, b| follows(frequency, a, b),
                    |a, b| between_instants(frequency, a, b, zone),
                    repairs,
                )?
                .map(|(values, sources)| (TimeValues::Instant { values, format: *format }, sources)),
        })
    }

    fn walk<T: Copy>(
        &self,
        values: &[T],
        follows: impl Fn(&T, &T) -> bool,
        between: impl Fn(T, T) -> Between<T>,
        repairs: &mut Repairs,
    ) -> Result<Option<Filled<Vec<T>>>, SeriesError> {
        let mut neighbours = values.iter().zip(values.iter().skip(1));
        if neighbours.all(|(a, b)| follows(a, b)) {
            return Ok(None);
        }
        let mut filled = Vec::with_capacity(values.len());
        let mut sources = Vec::with_capacity(values.len());
        for (point, value) in values.iter().enumerate() {
            let previous = point.checked_sub(1).and_then(|point| values.get(point));
            if let Some(previous) = previous.filter(|previous| !follows(previous, value)) {
                let inserted = match between(*previous, *value) {
                    Between::Steps(inserted) => inserted,
                    Between::OffStep => return Err(self.off_step(point)),
                    Between::TooMany => return Err(self.too_long(point)),
                };
                if self.policy == GapPolicy::Error {
                    return Err(self.gap(point, inserted.len()));
                }
                repairs.filled += inserted.len();
                repairs.at(self.row(point));
                if repairs.filled > MAX_FILLED_POINTS {
                    return Err(self.too_long(point));
                }
                sources.extend(inserted.iter().map(|_| Source::Filled));
                filled.extend(inserted);
            }
            filled.push(*value);
            sources.push(match self.merged {
                Some(merged) => merged.get(point).copied().unwrap_or(Source::Filled),
                None => Source::Row(point),
            });
        }
        Ok(Some((filled, sources)))
    }

    fn row(&self, point: usize) -> Option<u64> {
        match self.merged {
            Some(merged) => {
                merged.get(point).and_then(|source| source.row()).and_then(|row| self.rows.get(row))
            }
            None => self.rows.get(point),
        }
    }

    /// The row, its time stamp and the one before.
    fn place(&self, point: usize) -> (u64, String, String) {
        let text = |point: usize| self.time.text(point).unwrap_or_default();
        (self.row(point).unwrap_or_default(), text(point), text(point.saturating_sub(1)))
    }

    fn gap(&self, point: usize, points: usize) -> SeriesError {
        let (row, found, previous) = self.place(point);
        SeriesError::Gap { row, found, previous, points, step: self.frequency.to_string() }
    }

    fn off_step(&self, point: usize) -> SeriesError {
        let (row, found, previous) = self.place(point);
        SeriesError::OffStep { row, found, previous, step: self.frequency.to_string() }
    }

    fn too_long(&self, point: usize) -> SeriesError {
        let (row, found, previous) = self.place(point);
        let step = self.frequency.to_string();
        SeriesError::GapTooLong { row, found, previous, limit: MAX_FILLED_POINTS, step }
    }
}

/// The steps strictly between two time stamps.
enum Between<T> {
    Steps(Vec<T>),
    /// No number of steps leads from the one to the other.
    OffStep,
    /// Too many to fill in.
    TooMany,
}

/// Steps shorter than a day are steps in absolute time: local time leaves hours out and repeats them.
fn follows(frequency: Frequency, a: &Instant, b: &Instant) -> bool {
    match frequency {
        Frequency::Elapsed(step) if step.as_hours() < 24 => b.timestamp.duration_since(a.timestamp) == step,
        _ => follows_instant(frequency, a, b),
    }
}

fn between_integers(frequency: Frequency, a: i64, b: i64) -> Between<i64> {
    let Frequency::Integer(step) = frequency else { return Between::OffStep };
    // An axis of saturated differences may have any step.
    if step < 1 || (i128::from(b) - i128::from(a)) % i128::from(step) != 0 {
        return Between::OffStep;
    }
    walk(a, |value| value.checked_add(step), |value| b.cmp(value))
}

fn between_civil(frequency: Frequency, a: DateTime, b: DateTime) -> Between<DateTime> {
    if let Frequency::Elapsed(step) = frequency
        && !divides(step, b.duration_since(a))
    {
        return Between::OffStep;
    }
    // A first stamp that no step falls on, such as a Saturday among business days, is off it.
    if !on_step(frequency, a) {
        return Between::OffStep;
    }
    walk(a, |value| frequency.after_civil(value), |value| b.cmp(value))
}

fn between_instants(
    frequency: Frequency,
    a: Instant,
    b: Instant,
    zone: Option<&TimeZone>,
) -> Between<Instant> {
    let cmp = |value: &Instant| b.timestamp.cmp(&value.timestamp);
    if let Frequency::Elapsed(step) = frequency
        && divides(step, b.timestamp.duration_since(a.timestamp))
    {
        let next = |value: Instant| {
            let timestamp = value.timestamp.checked_add(step).ok()?;
            Some(Instant { timestamp, offset: zone.map_or(value.offset, |zone| zone.to_offset(timestamp)) })
        };
        return walk(a, next, cmp);
    }
    // Across a clock change, steps of the calendar lead there in local time only.
    match between_civil(frequency, a.civil(), b.civil()) {
        Between::Steps(steps) => {
            let placed = steps.into_iter().map(|civil| match zone {
                Some(zone) => {
                    let timestamp = zone.to_ambiguous_timestamp(civil).compatible().ok()?;
                    Some(Instant { timestamp, offset: zone.to_offset(timestamp) })
                }
                None => Some(Instant { timestamp: a.offset.to_timestamp(civil).ok()?, offset: a.offset }),
            });
            placed.collect::<Option<_>>().map_or(Between::OffStep, Between::Steps)
        }
        Between::OffStep => Between::OffStep,
        Between::TooMany => Between::TooMany,
    }
}

fn on_step(frequency: Frequency, a: DateTime) -> bool {
    // Every step leads from a stamp that is on it to another; one step ahead shows whether `a` is.
    frequency.after_civil(a).is_some_and(|next| frequency.leads(a, next))
}

fn divides(step: jiff::SignedDuration, whole: jiff::SignedDuration) -> bool {
    step.is_positive() && whole.as_nanos() % step.as_nanos() == 0
}

/// Steps from `a` until the step that is no longer before the goal; `goal` compares the goal with
/// a step.
fn walk<T: Copy>(a: T, next: impl Fn(T) -> Option<T>, goal: impl Fn(&T) -> std::cmp::Ordering) -> Between<T> {
    let mut steps = Vec::new();
    let mut value = a;
    loop {
        let Some(stepped) = next(value) else { return Between::OffStep };
        match goal(&stepped) {
            std::cmp::Ordering::Equal => return Between::Steps(steps),
            std::cmp::Ordering::Less => return Between::OffStep,
            std::cmp::Ordering::Greater if steps.len() >= MAX_FILLED_POINTS => return Between::TooMany,
            std::cmp::Ordering::Greater => {
                steps.push(stepped);
                value = stepped;
            }
        }
    }
}
