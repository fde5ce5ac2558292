//! JSON lines: one series per line.
//!
//! ```json
//! {"sequence": [1.5, null, 2], "id": "a", "start": "2016-07-01", "freq": "D"}
//! ```
//!
//! Only the values are needed; their key is one of `sequence`, `target`, `values`, `value` and `y`,
//! that of the id one of `id`, `item_id`, `unique_id` and `series_id`. A series without an id is
//! called by its position, from 0. Missing points are `null`, or `NaN` as Python writes it. Other
//! keys are ignored.

use std::io::{BufRead, Read as _};
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

use crate::frequency::Frequency;
use crate::read::error::Problem;
use crate::read::source::{Axis, Raw, Source};
use crate::rows::Rows;
use crate::time::TimeColumn;

/// The most bytes that one line may have.
pub const MAX_LINE_BYTES: usize = 64 << 20;

/// The name of the time axis of series that give their start alone.
const TIME_NAME: &str = "time";

pub(super) struct JsonLines<R> {
    input: R,
    line: Vec<u8>,
    row: u64,
    given: u64,
}

impl<R: BufRead> JsonLines<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, line: Vec::new(), row: 0, given: 0 }
    }

    /// Reads a line; `false` at the end of the file.
    fn advance(&mut self) -> Result<bool, Problem> {
        self.line.clear();
        self.row += 1;
        let most = u64::try_from(MAX_LINE_BYTES).unwrap_or(u64::MAX);
        let count = self.input.by_ref().take(most + 1).read_until(b'\n', &mut self.line)?;
        if self.line.len() > MAX_LINE_BYTES {
            return Err(Problem::LineTooLong { row: self.row });
        }
        if self.row == 1 && self.line.starts_with(b"\xEF\xBB\xBF") {
            self.line.drain(..3);
        }
        Ok(count > 0)
    }

    fn series(&mut self) -> Result<Raw, Problem> {
        let row = self.row;
        let line = parse(&self.line, row)?;
        let error = |message: String| Problem::Json { row, column: 1, message };
        let frequency = match line.freq {
            None => None,
            Some(text) => Some(text.parse::<Frequency>().map_err(|unknown| error(unknown.to_string()))?),
        };
        let axis = match line.start.as_ref().map(Scalar::text) {
            None => Axis::None,
            Some(text) => {
                let start = TimeColumn::from_texts(TIME_NAME, [text.as_str()]);
                Axis::Start(start.map_err(|(_, error)| Problem::time(row, "start", error))?, frequency)
            }
        };
        let id = line.id.map_or_else(|| self.given.to_string(), |id| id.text());
        self.given += 1;
        let values = line.sequence.0;
        let rows = Arc::new(Rows::within(row, values.len()));
        Ok(Raw { id, axis, values, rows })
    }
}

impl<R: BufRead + Send> Source for JsonLines<R> {
    fn next(&mut self) -> Result<Option<Raw>, Problem> {
        while self.advance()? {
            if !self.line.iter().all(u8::is_ascii_whitespace) {
                return self.series().map(Some);
            }
        }
        Ok(None)
    }
}

#[derive(Deserialize)]
struct Line {
    #[serde(alias = "target", alias = "values", alias = "value", alias = "y")]
    sequence: Points,
    #[serde(alias = "item_id", alias = "unique_id", alias = "series_id")]
    id: Option<Scalar>,
    start: Option<Scalar>,
    #[serde(alias = "frequency")]
    freq: Option<String>,
}

/// An id or a time stamp.
#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Integer(i64),
    Text(String),
}

impl Scalar {
    fn text(&self) -> String {
        match self {
            Self::Integer(value) => value.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

/// A list of numbers and nulls; nulls are NaN.
struct Points(Vec<f64>);

impl<'de> Deserialize<'de> for Points {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Points;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a list of numbers and nulls")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Points, A::Error> {
                let mut points = Vec::new();
                while let Some(point) = list.next_element::<Option<f64>>()? {
                    points.push(point.unwrap_or(f64::NAN));
                }
                Ok(Points(points))
            }
        }
        deserializer.deserialize_seq(List)
    }
}

fn parse(line: &[u8], row: u64) -> Result<Line, Problem> {
    let text = std::str::from_utf8(line)
        .map_err(|error| Problem::NotUtf8 { row, column: error.valid_up_to() + 1 })?;
    match serde_json::from_str(text) {
        Ok(line) => Ok(line),
        Err(error) => match with_nulls(text).map(|text| serde_json::from_str(&text)) {
            Some(Ok(line)) => Ok(line),
            _ => {
                let message = error.to_string();
                let message = message.split(" at line ").next().unwrap_or_default().to_owned();
                Err(Problem::Json { row, column: error.column(), message })
            }
        },
    }
}

/// Writes `null` for every bare `NaN`, which is no JSON but what Python writes; `None` without any.
/// Positions in the line stay as they are for what follows a NaN on another line only.
fn with_nulls(text: &str) -> Option<String> {
    let mut out = String::new();
    let (mut quoted, mut escaped, mut copied) = (false, false, 0);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'N' if !quoted && text.get(at..).is_some_and(|rest| rest.starts_with("NaN")) => {
                out.push_str(text.get(copied..at)?);
                out.push_str("null");
                copied = at + 3;
            }
            _ => {}
        }
    }
    (copied > 0).then(|| out + text.get(copied..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_nans_of_python_are_nulls_and_those_in_strings_are_not() {
        assert_eq!(
            with_nulls("{\"id\": \"NaN\\\"NaN\", \"y\": [1, NaN, 2]}").as_deref(),
            Some("{\"id\": \"NaN\\\"NaN\", \"y\": [1, null, 2]}")
        );
        assert_eq!(with_nulls("{\"id\": \"NaN\"}"), None);
    }
}
