//! Tables as JSON.
//!
//! One object holds the name of the time axis, its time stamps as written in CSV (whole numbers as
//! numbers), and every series by name; a missing point is `null`:
//!
//! ```json
//! {"time_column":"date","time":["2016-07-01","2016-07-02"],"series":{"load":[1.5,null]}}
//! ```

use std::io::{self, Write};

use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};

use crate::number::Number;
use crate::table::{Series, Table};
use crate::time::{TimeColumn, TimeValues};

/// Writes a table as one line of JSON, numbers with the fewest digits that read back.
///
/// A table without a time axis has neither `time_column` nor `time`.
///
/// # Errors
/// When a column's length differs from the table's, or the writer fails.
pub fn write<T: Number>(mut writer: impl Write, table: &Table<T>) -> io::Result<()> {
    table.check_lengths().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    serde_json::to_writer(&mut writer, &TableAsJson(table))?;
    writer.write_all(b"\n")?;
    writer.flush()
}

struct TableAsJson<'a, T>(&'a Table<T>);

impl<T: Number> Serialize for TableAsJson<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(time) = &self.0.time {
            map.serialize_entry("time_column", time.name())?;
            map.serialize_entry("time", &TimeAsJson(time))?;
        }
        map.serialize_entry("series", &SeriesAsJson(&self.0.series))?;
        map.end()
    }
}

/// Whole numbers as numbers, all else as text.
pub(crate) struct TimeAsJson<'a>(pub(crate) &'a TimeColumn);

impl Serialize for TimeAsJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.values() {
            TimeValues::Integer(values) => serializer.collect_seq(values),
            _ => serializer.collect_seq((0..self.0.len()).filter_map(|row| self.0.text(row))),
        }
    }
}

struct SeriesAsJson<'a, T>(&'a [Series<T>]);

impl<T: Number> Serialize for SeriesAsJson<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|series| (&series.name, &series.values)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text<T: Number>(table: &Table<T>) -> String {
        let mut out = Vec::new();
        write(&mut out, table).expect("writing to memory");
        String::from_utf8(out).expect("JSON is UTF-8")
    }

    #[test]
    fn a_table_is_written_with_its_time_axis_and_missing_points_as_null() {
        let time = TimeColumn::from_texts("date", ["2016-07-01", "2016-07-02"]).expect("valid");
        let series =
            vec![Series::new("b", vec![0.1_f32, f32::NAN]), Series::new("a \"x\"", vec![1e30, -1.0])];
        assert_eq!(
            text(&Table { time: Some(time), series }),
            "{\"time_column\":\"date\",\"time\":[\"2016-07-01\",\"2016-07-02\"],\
             \"series\":{\"b\":[0.1,null],\"a \\\"x\\\"\":[1e+30,-1.0]}}\n"
        );
    }

    #[test]
    fn integer_time_stamps_are_numbers_and_an_absent_axis_is_left_out() {
        let series = || vec![Series::new("y", vec![1.0_f64])];
        let with_steps = Table { time: Some(TimeColumn::steps(5, 1)), series: series() };
        assert_eq!(text(&with_steps), "{\"time_column\":\"step\",\"time\":[5],\"series\":{\"y\":[1.0]}}\n");
        assert_eq!(text(&Table { time: None, series: series() }), "{\"series\":{\"y\":[1.0]}}\n");
    }

    #[test]
    fn columns_of_different_lengths_are_refused() {
        let table =
            Table { time: Some(TimeColumn::steps(1, 2)), series: vec![Series::new("y", vec![1.0_f64])] };
        assert_eq!(write(Vec::new(), &table).map_err(|error| error.kind()), Err(io::ErrorKind::InvalidInput));
    }
}
