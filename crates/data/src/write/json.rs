//! JSON: an object for every series, in a list or one per line.

use std::io::Write as _;

use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};

use crate::json::TimeAsJson;
use crate::time::TimeColumn;
use crate::write::block::{Block, History};
use crate::write::error::OutputError;
use crate::write::options::{OutputFormat, WriteOptions};
use crate::write::target::Target;

pub(super) struct Json {
    options: WriteOptions,
    target: Target,
    line: Vec<u8>,
    written: bool,
}

impl Json {
    pub(super) fn new(options: WriteOptions, target: Target) -> Self {
        Self { options, target, line: Vec::new(), written: false }
    }

    pub(super) fn append(&mut self, block: &Block<'_>) -> Result<(), OutputError> {
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        serde_json::to_writer(&mut line, &BlockAsJson { block, options: &self.options })
            .map_err(std::io::Error::from)?;
        self.put(line)
    }

    pub(super) fn append_error(&mut self, id: &str, message: &str) -> Result<(), OutputError> {
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        let error = ErrorAsJson { id: &self.options.id, series: id, message };
        serde_json::to_writer(&mut line, &error).map_err(std::io::Error::from)?;
        self.put(line)
    }

    pub(super) fn finish(mut self) -> Result<Target, OutputError> {
        if self.options.format == OutputFormat::Json {
            let end: &[u8] = if self.written { b"\n]\n" } else { b"[]\n" };
            self.target.write_all(end).map_err(|error| self.target.error(error))?;
        }
        Ok(self.target)
    }

    fn put(&mut self, mut line: Vec<u8>) -> Result<(), OutputError> {
        let before: &[u8] = match (self.options.format, self.written) {
            (OutputFormat::Json, false) => b"[\n",
            (OutputFormat::Json, true) => b",\n",
            _ => b"",
        };
        if self.options.format == OutputFormat::JsonLines {
            line.push(b'\n');
        }
        self.written = true;
        let written = self.target.write_all(before).and_then(|()| self.target.write_all(&line));
        self.line = line;
        written.map_err(|error| self.target.error(error))
    }
}

struct BlockAsJson<'a> {
    block: &'a Block<'a>,
    options: &'a WriteOptions,
}

impl Serialize for BlockAsJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { block, options } = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(&options.id, block.id)?;
        let steps = TimeColumn::steps(1, if block.time.is_none() { block.len() } else { 0 });
        map.serialize_entry(&options.time, &TimeAsJson(block.time.unwrap_or(&steps)))?;
        for (name, column) in options.columns.iter().zip(block.columns) {
            map.serialize_entry(name, column)?;
        }
        if let Some(history) = block.history.filter(|_| options.history) {
            map.serialize_entry("history", &HistoryAsJson { history, options })?;
        }
        map.end()
    }
}

struct HistoryAsJson<'a> {
    history: History<'a>,
    options: &'a WriteOptions,
}

impl Serialize for HistoryAsJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry(&self.options.time, &TimeAsJson(&self.history.axis()))?;
        map.serialize_entry(&self.options.target, self.history.values)?;
        map.end()
    }
}

struct ErrorAsJson<'a> {
    id: &'a str,
    series: &'a str,
    message: &'a str,
}

impl Serialize for ErrorAsJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry(self.id, self.series)?;
        map.serialize_entry("error", self.message)?;
        map.end()
    }
}
