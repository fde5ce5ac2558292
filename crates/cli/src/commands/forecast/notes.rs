//! What a user should know of a run besides its result: series without a forecast, and what was mended.

use tmoe_data::Repairs;
use tmoe_forecast::SeriesForecast;

/// Notes of a kind that are printed; the rest is counted.
const SHOWN: usize = 5;

/// Collects notes and prints them, on standard error.
#[derive(Default)]
pub(super) struct Notes {
    repairs: Kind,
    without_intervals: Kind,
    problems: Kind,
}

/// Notes that say the same of several series.
#[derive(Default)]
struct Kind {
    shown: Vec<String>,
    all: u64,
}

impl Notes {
    /// Notes what came of a series, of which intervals may have been asked.
    pub(super) fn add(&mut self, series: &SeriesForecast, intervals: bool) {
        let id = &series.id;
        let forecasted = match &series.result {
            Ok(forecasted) => forecasted,
            Err(problem) => {
                return self.problems.add(|| format!("no forecast of the series `{id}`: {problem}"));
            }
        };
        let repairs = &forecasted.series.repairs;
        if !repairs.is_empty() {
            self.repairs.add(|| format!("the series `{id}`: {}", in_words(repairs)));
        }
        if intervals && forecasted.quantiles.is_none() {
            let points = forecasted.series.values.len();
            self.without_intervals.add(|| {
                format!(
                    "no intervals for the series `{id}`: its {points} points, and the series read with it, are too few \
                     to forecast them from an earlier origin"
                )
            });
        }
    }

    pub(super) fn print(&self) {
        for Kind { shown, all } in [&self.repairs, &self.without_intervals, &self.problems] {
            for note in shown {
                eprintln!("note: {note}");
            }
            if *all > shown.len() as u64 {
                eprintln!("note: (and {} more such series)", all - shown.len() as u64);
            }
        }
    }
}

impl Kind {
    fn add(&mut self, note: impl FnOnce() -> String) {
        self.all += 1;
        if self.shown.len() < SHOWN {
            self.shown.push(note());
        }
    }
}

fn in_words(repairs: &Repairs) -> String {
    let Repairs { filled, repeated, unsorted, interpolated, first_row } = *repairs;
    let counts = [
        (filled, "time stamps that were left out are missing points"),
        (repeated, "repeated rows were dropped"),
        (unsorted, "rows were out of order and were sorted"),
        (interpolated, "missing points were interpolated"),
    ];
    let mut parts: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    if let Some(row) = first_row {
        parts.push(format!("first at row {row}"));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repairs_are_told_with_their_first_row() {
        let repairs = Repairs { filled: 3, unsorted: 1, first_row: Some(17), ..Repairs::default() };
        assert_eq!(
            in_words(&repairs),
            "3 time stamps that were left out are missing points, 1 rows were out of order and were sorted, first at row 17"
        );
    }
}
