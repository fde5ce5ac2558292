//! Parquet: a long table row group by row group, or a wide one at once.

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{
    ArrayRef, Date32Array, Float32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use jiff::civil::DateTime;
use jiff::tz::Offset;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use crate::time::{TimeColumn, TimeValues};
use crate::write::block::Block;
use crate::write::error::OutputError;
use crate::write::options::WriteOptions;
use crate::write::target::Target;

/// Rows that are encoded together.
const BATCH: usize = 1 << 14;

/// Rows of a row group, whose encoded form is held until it is written.
const ROW_GROUP: usize = 1 << 17;

/// What a column of time stamps holds.
#[derive(Debug, Clone, PartialEq, Eq)]
enum TimeKind {
    Integer,
    Date,
    /// Local times.
    Civil,
    /// Absolute times, shown in this zone.
    Instant(String),
}

impl TimeKind {
    fn of(time: &TimeColumn) -> Self {
        match time.values() {
            TimeValues::Integer(_) => Self::Integer,
            TimeValues::Civil { format, .. } if format.is_date() => Self::Date,
            TimeValues::Civil { .. } => Self::Civil,
            TimeValues::Instant { .. } => {
                let zone = time.zone().and_then(|zone| zone.iana_name());
                Self::Instant(zone.unwrap_or("UTC").to_owned())
            }
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Integer => "whole numbers",
            Self::Date => "dates",
            Self::Civil => "local times",
            Self::Instant(_) => "times with an offset",
        }
    }

    fn array(&self, stamps: Vec<Option<i64>>) -> ArrayRef {
        match self {
            Self::Integer => Arc::new(Int64Array::from(stamps)),
            Self::Date => {
                let days = stamps.into_iter().map(|stamp| stamp.and_then(|days| i32::try_from(days).ok()));
                Arc::new(days.collect::<Date32Array>())
            }
            Self::Civil => Arc::new(TimestampMicrosecondArray::from(stamps)),
            Self::Instant(zone) => {
                Arc::new(TimestampMicrosecondArray::from(stamps).with_timezone(zone.as_str()))
            }
        }
    }
}

/// The time stamps as numbers: themselves, days or microseconds since 1970.
fn stamps(time: &TimeColumn) -> Vec<Option<i64>> {
    let micros =
        |civil: DateTime| Offset::UTC.to_timestamp(civil).ok().map(|timestamp| timestamp.as_microsecond());
    match time.values() {
        TimeValues::Integer(values) => values.iter().copied().map(Some).collect(),
        TimeValues::Civil { values, format } if format.is_date() => {
            let days = |civil: &DateTime| micros(*civil).map(|micros| micros.div_euclid(86_400_000_000));
            values.iter().map(days).collect()
        }
        TimeValues::Civil { values, .. } => values.iter().map(|civil| micros(*civil)).collect(),
        TimeValues::Instant { values, .. } => {
            values.iter().map(|value| Some(value.timestamp.as_microsecond())).collect()
        }
    }
}

/// Writes a long table.
pub(super) struct LongParquet {
    options: WriteOptions,
    sink: Sink,
    /// Known from the first series with time stamps on.
    kind: Option<TimeKind>,
    ids: StringBuilder,
    rows: usize,
    stamps: Vec<Option<i64>>,
    history: Vec<Option<f64>>,
    columns: Vec<Vec<Option<f32>>>,
    errors: Vec<Option<String>>,
}

/// A target, until the columns are known, and then a writer.
enum Sink {
    Target(Option<Target>),
    Writer(Box<ArrowWriter<Target>>),
}

impl LongParquet {
    pub(super) fn new(options: WriteOptions, target: Target) -> Self {
        Self {
            sink: Sink::Target(Some(target)),
            kind: None,
            ids: StringBuilder::new(),
            rows: 0,
            stamps: Vec::new(),
            history: Vec::new(),
            columns: vec![Vec::new(); options.columns.len()],
            errors: Vec::new(),
            options,
        }
    }

    pub(super) fn append(&mut self, block: &Block<'_>) -> Result<(), OutputError> {
        if let Some(history) = block.history.filter(|_| self.options.history) {
            self.times(block.id, &history.axis())?;
            let count = history.values.len();
            self.history.extend(history.values.iter().map(|value| (!value.is_nan()).then_some(*value)));
            self.columns.iter_mut().for_each(|column| column.resize(column.len() + count, None));
            self.errors.resize(self.errors.len() + count, None);
        }
        match block.time {
            Some(time) => self.times(block.id, time)?,
            None => self.times(block.id, &TimeColumn::steps(1, block.len()))?,
        }
        self.history.resize(self.history.len() + block.len(), None);
        for (column, values) in self.columns.iter_mut().zip(block.columns) {
            column.extend(values.iter().map(|value| (!value.is_nan()).then_some(*value)));
        }
        self.errors.resize(self.errors.len() + block.len(), None);
        if self.rows >= BATCH { self.flush() } else { Ok(()) }
    }

    pub(super) fn append_error(&mut self, id: &str, message: &str) -> Result<(), OutputError> {
        if !self.options.errors {
            return Ok(());
        }
        self.ids.append_value(id);
        self.rows += 1;
        self.stamps.push(None);
        self.history.push(None);
        self.columns.iter_mut().for_each(|column| column.push(None));
        self.errors.push(Some(message.to_owned()));
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<Target, OutputError> {
        self.flush()?;
        match self.sink {
            Sink::Writer(writer) => writer.into_inner().map_err(failed),
            // `flush` has replaced it by a writer.
            Sink::Target(target) => target.ok_or_else(|| failed(ParquetError::EOF("no target".to_owned()))),
        }
    }

    fn times(&mut self, id: &str, time: &TimeColumn) -> Result<(), OutputError> {
        let found = TimeKind::of(time);
        let kind = self.kind.get_or_insert_with(|| found.clone());
        if kind.name() != found.name() {
            return Err(OutputError::TimeKind {
                id: id.to_owned(),
                found: found.name(),
                expected: kind.name(),
            });
        }
        self.stamps.extend(stamps(time));
        (0..time.len()).for_each(|_| self.ids.append_value(id));
        self.rows += time.len();
        Ok(())
    }

    /// Hands the rows to the encoder.
    fn flush(&mut self) -> Result<(), OutputError> {
        let kind = self.kind.get_or_insert(TimeKind::Integer);
        let ids: ArrayRef = Arc::new(self.ids.finish());
        let times = kind.array(std::mem::take(&mut self.stamps));
        let mut columns = vec![(self.options.id.as_str(), ids), (self.options.time.as_str(), times)];
        let history = std::mem::take(&mut self.history);
        if self.options.history {
            columns.push((self.options.target.as_str(), Arc::new(Float64Array::from(history))));
        }
        for (name, values) in self.options.columns.iter().zip(&mut self.columns) {
            columns.push((name.as_str(), Arc::new(Float32Array::from(std::mem::take(values)))));
        }
        let errors = std::mem::take(&mut self.errors);
        if self.options.errors {
            columns.push(("error", Arc::new(StringArray::from(errors))));
        }
        self.rows = 0;
        let batch = batch(columns)?;
        if let Sink::Target(target) = &mut self.sink
            && let Some(target) = target.take()
        {
            self.sink = Sink::Writer(Box::new(writer(target, &batch)?));
        }
        match &mut self.sink {
            Sink::Writer(writer) => writer.write(&batch).map_err(failed),
            Sink::Target(_) => Err(failed(ParquetError::EOF("no target".to_owned()))),
        }
    }
}

/// Writes a wide table: a time axis and columns of its length.
pub(super) fn write_wide(
    target: Target,
    time: Option<&TimeColumn>,
    columns: impl Iterator<Item = (String, Vec<Option<f64>>)>,
) -> Result<Target, OutputError> {
    let columns: Vec<(String, ArrayRef)> =
        columns.map(|(name, values)| (name, Arc::new(Float64Array::from(values)) as ArrayRef)).collect();
    let time = time.map(|time| (time.name(), TimeKind::of(time).array(stamps(time))));
    let series = columns.iter().map(|(name, array)| (name.as_str(), Arc::clone(array)));
    let batch = batch(time.into_iter().chain(series).collect())?;
    let mut writer = writer(target, &batch)?;
    writer.write(&batch).map_err(failed)?;
    writer.into_inner().map_err(failed)
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> Result<RecordBatch, OutputError> {
    let columns = columns.into_iter().map(|(name, array)| (name, array, true));
    RecordBatch::try_from_iter_with_nullable(columns).map_err(|error| failed(error.into()))
}

fn writer(target: Target, batch: &RecordBatch) -> Result<ArrowWriter<Target>, OutputError> {
    let level = ZstdLevel::try_new(1).map_err(failed)?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(ROW_GROUP))
        .build();
    ArrowWriter::try_new(target, batch.schema(), Some(properties)).map_err(failed)
}

fn failed(error: ParquetError) -> OutputError {
    OutputError::Parquet { message: error.to_string() }
}
