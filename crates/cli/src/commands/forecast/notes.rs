//! What a user should know of a run besides its result: series without a forecast, and what was mended.

use tmoe_data::Repairs;
use tmoe_forecast::{SeriesForecast, Summary};

/// Notes of a kind that are printed; the rest is counted.
const SHOWN: usize = 5;

/// Collects notes and prints them, on standard error.
#[derive(Default)]
pub(super) struct Notes {
    problems: Vec<String>,
    repairs: Vec<String>,
    repaired: u64,
}

impl Notes {
    pub(super) fn add(&mut self, series: &SeriesForecast) {
        match &series.result {
            Err(problem) if self.problems.len() < SHOWN => {
                self.problems.push(format!("no forecast of the series `{}`: {problem}", series.id));
            }
            Err(_) => {}
            Ok(forecasted) if !forecasted.series.repairs.is_empty() => {
                self.repaired += 1;
                if self.repairs.len() < SHOWN {
                    let repairs = in_words(&forecasted.series.repairs);
                    self.repairs.push(format!("the series `{}`: {repairs}", series.id));
                }
            }
            Ok(_) => {}
        }
    }

    pub(super) fn print(&self, summary: Summary) {
        for (notes, all) in [(&self.repairs, self.repaired), (&self.problems, summary.failed)] {
            for note in notes {
                eprintln!("note: {note}");
            }
            if all > notes.len() as u64 {
                eprintln!("note: (and {} more such series)", all - notes.len() as u64);
            }
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
