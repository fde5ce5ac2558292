//! What a user should know of a run besides its result: series that were left out, and what was mended.

use std::fmt::Display;

use tmoe_data::Repairs;

use crate::text::tell;

/// Notes of a kind that are printed; the rest is counted.
const SHOWN: usize = 5;

/// Collects notes and prints them, on standard error.
pub(crate) struct Notes {
    left_out: &'static str,
    problems: Kind,
    repairs: Kind,
    without_intervals: Kind,
}

/// The first notes of a kind, and how many there are.
#[derive(Default)]
struct Kind {
    notes: Vec<String>,
    all: u64,
}

impl Notes {
    /// `left_out` says what became of a series with a problem, as `no forecast of`.
    pub(crate) fn new(left_out: &'static str) -> Self {
        Self {
            left_out,
            problems: Kind::default(),
            repairs: Kind::default(),
            without_intervals: Kind::default(),
        }
    }

    /// A series is left out.
    pub(crate) fn problem(&mut self, id: &str, problem: &dyn Display) {
        let left_out = self.left_out;
        self.problems.add(|| format!("{left_out} the series `{id}`: {problem}"));
    }

    /// A series is used, and its rows were mended.
    pub(crate) fn repairs(&mut self, id: &str, repairs: &Repairs) {
        if !repairs.is_empty() {
            self.repairs.add(|| format!("the series `{id}`: {}", in_words(repairs)));
        }
    }

    /// A series of so many points has a forecast and not the intervals that were asked for.
    pub(crate) fn without_intervals(&mut self, id: &str, points: usize) {
        self.without_intervals.add(|| {
            format!(
                "no intervals for the series `{id}`: its {points} points, and the series read with it, are too few to \
                 forecast them from an earlier origin"
            )
        });
    }

    pub(crate) fn print(&self) {
        for Kind { notes, all } in [&self.repairs, &self.without_intervals, &self.problems] {
            for note in notes {
                tell(format_args!("note: {note}"));
            }
            if *all > notes.len() as u64 {
                tell(format_args!("note: (and {} more such series)", all - notes.len() as u64));
            }
        }
    }
}

impl Kind {
    fn add(&mut self, note: impl FnOnce() -> String) {
        self.all += 1;
        if self.notes.len() < SHOWN {
            self.notes.push(note());
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
    fn the_first_notes_are_kept_and_all_are_counted() {
        let mut notes = Notes::new("no forecast of");
        for number in 0..SHOWN + 3 {
            notes.problem(&number.to_string(), &"too short");
        }
        notes.repairs("whole", &Repairs::default());
        assert_eq!((notes.problems.notes.len(), notes.problems.all, notes.repairs.all), (SHOWN, 8, 0));
        assert_eq!(notes.problems.notes[1], "no forecast of the series `1`: too short");
    }

    #[test]
    fn repairs_are_told_with_their_first_row() {
        let repairs = Repairs { filled: 3, unsorted: 1, first_row: Some(17), ..Repairs::default() };
        assert_eq!(
            in_words(&repairs),
            "3 time stamps that were left out are missing points, 1 rows were out of order and were sorted, first at row 17"
        );
    }
}
