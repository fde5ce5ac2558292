//! Wide tables, held until every series has its columns.

use std::collections::HashSet;

use serde::{Serialize, Serializer};

use crate::number::{Number, private};
use crate::table::{Series, Table};
use crate::time::TimeColumn;
use crate::write::block::Block;
use crate::write::error::OutputError;
use crate::write::options::{OutputFormat, WriteOptions};
use crate::write::parquet::write_wide;
use crate::write::target::Target;
use crate::{csv, json};

pub(super) struct Wide {
    options: WriteOptions,
    target: Target,
    table: Table<Value>,
    names: HashSet<String>,
}

/// A known or a predicted value; each is written with its own digits.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Value {
    Known(f64),
    Predicted(f32),
}

impl private::Sealed for Value {}

impl Number for Value {
    fn is_missing(self) -> bool {
        match self {
            Self::Known(value) => value.is_nan(),
            Self::Predicted(value) => value.is_nan(),
        }
    }

    fn to_text(self) -> String {
        match self {
            Self::Known(value) => value.to_text(),
            Self::Predicted(value) => value.to_text(),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Known(value) => value.serialize(serializer),
            Self::Predicted(value) => value.serialize(serializer),
        }
    }
}

impl Value {
    fn number(self) -> Option<f64> {
        match self {
            _ if self.is_missing() => None,
            Self::Known(value) => Some(value),
            Self::Predicted(value) => Some(f64::from(value)),
        }
    }
}

impl Wide {
    pub(super) fn new(options: WriteOptions, target: Target) -> Self {
        let table = Table { time: None, series: Vec::new() };
        Self { options, target, table, names: HashSet::new() }
    }

    pub(super) fn append(&mut self, block: &Block<'_>) -> Result<(), OutputError> {
        let history = block.history.filter(|_| self.options.history);
        let future = block.time.cloned().unwrap_or_else(|| TimeColumn::steps(1, block.len()));
        let axis = match history {
            None => future,
            Some(history) => {
                let mut axis = history.axis();
                axis.append(future);
                axis
            }
        };
        match &self.table.time {
            None => self.table.time = Some(axis),
            Some(first) if *first == axis => {}
            Some(_) => return Err(OutputError::OtherAxis { id: block.id.to_owned() }),
        }
        let known = history.map_or(&[][..], |history| history.values);
        for (position, column) in block.columns.iter().enumerate() {
            // Known values belong to the first column alone, the forecast's.
            let past = known.iter().map(|value| Value::Known(if position == 0 { *value } else { f64::NAN }));
            let values = past.chain(column.iter().map(|value| Value::Predicted(*value))).collect();
            self.add(block.id, position, values)?;
        }
        Ok(())
    }

    pub(super) fn append_error(&mut self, id: &str) -> Result<(), OutputError> {
        (0..self.options.columns.len()).try_for_each(|position| self.add(id, position, Vec::new()))
    }

    fn add(&mut self, id: &str, position: usize, values: Vec<Value>) -> Result<(), OutputError> {
        let name = match position {
            0 => id.to_owned(),
            _ => format!("{id}-{}", self.options.columns.get(position).map_or("", String::as_str)),
        };
        if !self.names.insert(name.clone()) {
            return Err(OutputError::ColumnTwice { name });
        }
        self.table.series.push(Series { name, values });
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Target, OutputError> {
        let Self { options, mut target, mut table, .. } = self;
        let rows = table.rows();
        for series in &mut table.series {
            series.values.resize(rows, Value::Known(f64::NAN));
        }
        let written = match options.format {
            OutputFormat::Csv => csv::write(&mut target, &table),
            OutputFormat::Parquet => {
                let columns = table
                    .series
                    .into_iter()
                    .map(|series| (series.name, series.values.into_iter().map(Value::number).collect()));
                return write_wide(target, table.time.as_ref(), columns);
            }
            OutputFormat::Json | OutputFormat::JsonLines => json::write(&mut target, &table),
        };
        match written {
            Ok(()) => Ok(target),
            Err(error) => Err(target.error(error)),
        }
    }
}
