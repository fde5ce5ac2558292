//! Tables in CSV: reading, writing and reading again, and continuing their time axis.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tmoe_data::{Frequency, Table, TimeColumn, TimeValues, csv};

fuzz_target!(|bytes: &[u8]| {
    match csv::read(bytes, "input.csv") {
        Ok(table) => {
            table.check_lengths().expect("every column has a cell in every row");
            check_that_it_survives_being_written(&table);
            if let Some(time) = &table.time {
                check_continuation(time);
            }
        }
        Err(error) => assert!(!error.to_string().contains('\n'), "one line: {error}"),
    }
});

fn check_that_it_survives_being_written(table: &Table) {
    if is_counter(table.time.as_ref()) {
        return;
    }
    let mut written = Vec::new();
    csv::write(&mut written, table).expect("writing to memory");
    let again = csv::read(written.as_slice(), "again.csv").expect("what was written is read");
    assert_eq!(again.time, table.time);
    assert_eq!(again.series.len(), table.series.len());
    for (found, expected) in again.series.iter().zip(&table.series) {
        assert_eq!(found.name, expected.name);
        // Texts have no NaN payloads, but -0.0 and every other bit must come back.
        let same = |(a, b): (&f64, &f64)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
        assert_eq!(found.values.len(), expected.values.len());
        assert!(found.values.iter().zip(&expected.values).all(same), "{found:?} {expected:?}");
    }
}

fn check_continuation(time: &TimeColumn) {
    const COUNT: usize = 5;
    let Ok(frequency) = Frequency::infer(time) else { return };
    let Ok(next) = time.continue_by(frequency, COUNT) else { return };
    assert_eq!(next.len(), COUNT);
    if !is_counter(Some(time)) {
        let texts: Vec<String> = time.texts().into_iter().chain(next.texts()).collect();
        let joined = TimeColumn::from_texts(time.name(), texts.iter().map(String::as_str));
        let joined = joined.expect("a continued axis is a time axis");
        assert_eq!(joined.slice(0..time.len()), *time);
        assert_eq!(joined.slice(time.len()..texts.len()), next);
    }
}

/// Whole numbers may be written as eight digits, which are then read as a date.
fn is_counter(time: Option<&TimeColumn>) -> bool {
    time.is_some_and(|time| matches!(time.values(), TimeValues::Integer(_)))
}
