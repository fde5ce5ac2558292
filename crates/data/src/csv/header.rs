//! The header row: column names, and whether the first column is the time axis.

use std::collections::HashMap;

use crate::csv::error::Problem;
use crate::{number, time_format};

/// Headers (in any case) that make the first column the time axis whatever it holds.
pub const TIME_NAMES: [&str; 6] = ["date", "time", "datetime", "date_time", "timestamp", "ds"];

/// Headers (in any case; the last is the empty one, as pandas writes an index) that make the first
/// column the time axis when it holds whole numbers or time stamps.
pub const COUNTER_NAMES: [&str; 4] = ["step", "index", "t", ""];

/// Checks that the first row holds names rather than values.
///
/// Whole numbers are accepted as names when they count from 0 or 1, as array libraries write them.
pub(crate) fn check_is_header(cells: &[String]) -> Result<(), Problem> {
    let is_value = |cell: &String| {
        let is_number = number::parse_cell(cell).is_ok() && !number::is_missing_text(cell);
        is_number || time_format::parse(cell).is_some()
    };
    let counts_from =
        |first: usize| cells.iter().zip(first..).all(|(cell, count)| *cell == count.to_string());
    match cells.first() {
        Some(first) if cells.iter().all(is_value) && !counts_from(0) && !counts_from(1) => {
            Err(Problem::NoHeader { first: first.clone() })
        }
        _ => Ok(()),
    }
}

/// Whether the first column is the time axis, from its name and its first cell.
pub(crate) fn is_time_column(name: &str, first_cell: &str) -> bool {
    let named = |names: &[&str]| names.iter().any(|known| name.eq_ignore_ascii_case(known));
    let is_integer = first_cell.parse::<i64>().is_ok();
    if is_integer {
        return named(&TIME_NAMES) || named(&COUNTER_NAMES);
    }
    named(&TIME_NAMES) || time_format::parse(first_cell).is_some()
}

/// Checks that every series has a name of its own; `time` is the time axis, if there is one.
pub(crate) fn check_names(names: &[String], has_time: bool) -> Result<(), Problem> {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for (position, name) in (1..).zip(names) {
        if name.is_empty() && !(has_time && position == 1) {
            return Err(Problem::UnnamedColumn { position });
        }
        if let Some(first) = seen.insert(name, position) {
            return Err(Problem::DuplicateColumn { name: name.clone(), first, second: position });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_column_is_the_time_axis_by_name_or_by_content() {
        for (name, cell) in [
            ("date", "2016-07-01"),
            ("Date", "1"),
            ("ds", "20160701"),
            ("when", "2016-07-01T00:00Z"),
            ("", "0"),
            ("Index", "7"),
            ("time", "noon"),
        ] {
            assert!(is_time_column(name, cell), "{name:?} {cell:?}");
        }
        for (name, cell) in [("load", "1"), ("load", "20160701"), ("index", "101.5"), ("", "1.5"), ("t", "")]
        {
            assert!(!is_time_column(name, cell), "{name:?} {cell:?}");
        }
    }

    #[test]
    fn a_row_of_values_is_not_a_header_but_counted_columns_are() {
        let is_header = |cells: &[&str]| {
            check_is_header(&cells.iter().map(ToString::to_string).collect::<Vec<_>>()).is_ok()
        };
        assert!(is_header(&["date", "1"]));
        assert!(is_header(&["0", "1", "2"]));
        assert!(is_header(&["1"]));
        assert!(is_header(&["NaN"]));
        assert!(!is_header(&["5", "7"]));
        assert!(!is_header(&["0.5"]));
        assert!(!is_header(&["2016-07-01", "1.5"]));
    }
}
