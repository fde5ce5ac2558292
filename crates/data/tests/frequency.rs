//! Frequencies: inferred from time stamps, continued in their format.

use proptest::prelude::*;
use tmoe_data::frequency::DayOfMonth;
use tmoe_data::{Frequency, FrequencyError, TimeColumn};

fn column(texts: &[&str]) -> TimeColumn {
    TimeColumn::from_texts("date", texts.iter().copied()).expect("the test's time stamps are valid")
}

/// What a column's step is called, and its next three time stamps.
fn continued(texts: &[&str]) -> (String, Vec<String>) {
    let time = column(texts);
    let frequency = Frequency::infer(&time).expect("the test's time stamps are regular");
    (frequency.to_string(), time.continue_by(frequency, 3).expect("in range").texts())
}

#[track_caller]
fn check(texts: &[&str], step: &str, next: [&str; 3]) {
    let (found, continuation) = continued(texts);
    assert_eq!(found, step);
    assert_eq!(continuation, next);
}

#[test]
fn constant_steps_from_seconds_to_weeks_continue_in_the_inputs_format() {
    check(
        &["2016-06-30 22:00:00", "2016-06-30 23:00:00"],
        "1 hour",
        ["2016-07-01 00:00:00", "2016-07-01 01:00:00", "2016-07-01 02:00:00"],
    );
    check(
        &["2016/12/31 23:30", "2016/12/31 23:45"],
        "15 minutes",
        ["2017/01/01 00:00", "2017/01/01 00:15", "2017/01/01 00:30"],
    );
    check(
        &["2016/7/1 8:00", "2016/7/1 9:00"],
        "1 hour",
        ["2016/7/1 10:00", "2016/7/1 11:00", "2016/7/1 12:00"],
    );
    check(
        &["2016-07-01T00:00:00Z", "2016-07-01T00:00:01Z"],
        "1 second",
        ["2016-07-01T00:00:02Z", "2016-07-01T00:00:03Z", "2016-07-01T00:00:04Z"],
    );
    check(
        &["2016-07-01T00:00:00.000", "2016-07-01T00:00:00.250"],
        "250 milliseconds",
        ["2016-07-01T00:00:00.500", "2016-07-01T00:00:00.750", "2016-07-01T00:00:01.000"],
    );
    check(&["2024-02-26", "2024-02-27"], "1 day", ["2024-02-28", "2024-02-29", "2024-03-01"]);
    check(&["20240226", "20240227"], "1 day", ["20240228", "20240229", "20240301"]);
    check(&["2024-01-01", "2024-01-08", "2024-01-15"], "1 week", ["2024-01-22", "2024-01-29", "2024-02-05"]);
    check(&["2024-01-01", "2024-01-29", "2024-02-26"], "4 weeks", ["2024-03-25", "2024-04-22", "2024-05-20"]);
}

#[test]
fn calendar_steps_are_recognised() {
    check(
        &["2024-02-26", "2024-02-27", "2024-02-28", "2024-02-29", "2024-03-01", "2024-03-04", "2024-03-05"],
        "1 business day",
        ["2024-03-06", "2024-03-07", "2024-03-08"],
    );
    check(&["2024-01-01", "2024-02-01"], "1 month", ["2024-03-01", "2024-04-01", "2024-05-01"]);
    check(&["2024-07-01", "2024-08-01", "2024-09-01"], "1 month", ["2024-10-01", "2024-11-01", "2024-12-01"]);
    check(&["1949-11", "1949-12"], "1 month", ["1950-01", "1950-02", "1950-03"]);
    check(
        &["2023-11-30", "2023-12-31", "2024-01-31"],
        "1 month (on its last day)",
        ["2024-02-29", "2024-03-31", "2024-04-30"],
    );
    check(
        &["2023-01-30", "2023-02-28", "2023-03-30"],
        "1 month (on day 30)",
        ["2023-04-30", "2023-05-30", "2023-06-30"],
    );
    check(&["2023-01-15", "2023-02-15"], "1 month (on day 15)", ["2023-03-15", "2023-04-15", "2023-05-15"]);
    check(&["2023-07-01", "2023-10-01"], "3 months", ["2024-01-01", "2024-04-01", "2024-07-01"]);
    check(
        &["2023-06-30", "2023-09-30", "2023-12-31"],
        "3 months (on its last day)",
        ["2024-03-31", "2024-06-30", "2024-09-30"],
    );
    check(&["2019-01-01", "2020-01-01", "2021-01-01"], "1 year", ["2022-01-01", "2023-01-01", "2024-01-01"]);
    check(
        &["2019-12-31", "2020-12-31"],
        "1 year (on its last day)",
        ["2021-12-31", "2022-12-31", "2023-12-31"],
    );
    // Only one of the two is an end of month: 44 days.
    check(&["2023-01-15", "2023-02-28"], "44 days", ["2023-04-13", "2023-05-27", "2023-07-10"]);
    check(
        &["2024-01-01 06:00", "2024-02-01 06:00"],
        "1 month",
        ["2024-03-01 06:00", "2024-04-01 06:00", "2024-05-01 06:00"],
    );
}

#[test]
fn integers_continue_with_their_difference() {
    check(&["1990", "1991"], "1", ["1992", "1993", "1994"]);
    check(&["0", "900", "1800"], "900", ["2700", "3600", "4500"]);
    assert_eq!(TimeColumn::steps(1, 3).texts(), ["1", "2", "3"]);
}

#[test]
fn stamps_with_offsets_step_in_absolute_time_and_keep_the_last_offset() {
    check(
        &["2016-10-30T01:00:00+02:00", "2016-10-30T02:00:00+02:00", "2016-10-30T02:00:00+01:00"],
        "1 hour",
        ["2016-10-30T03:00:00+01:00", "2016-10-30T04:00:00+01:00", "2016-10-30T05:00:00+01:00"],
    );
    // Daily at local midnight: 25 absolute hours on the day the clock changes.
    check(
        &["2016-10-29T00:00+02:00", "2016-10-30T00:00+02:00", "2016-10-31T00:00+01:00"],
        "1 day",
        ["2016-11-01T00:00+01:00", "2016-11-02T00:00+01:00", "2016-11-03T00:00+01:00"],
    );
    check(
        &["2016-09-01T00:00+02:00", "2016-10-01T00:00+02:00", "2016-11-01T00:00+01:00"],
        "1 month",
        ["2016-12-01T00:00+01:00", "2017-01-01T00:00+01:00", "2017-02-01T00:00+01:00"],
    );
}

#[test]
fn a_clock_set_back_between_the_only_rows_does_not_stop_or_turn_the_axis() {
    check(
        &["2016-10-30T02:00+02:00", "2016-10-30T02:00+01:00"],
        "1 hour",
        ["2016-10-30T03:00+01:00", "2016-10-30T04:00+01:00", "2016-10-30T05:00+01:00"],
    );
    check(
        &["2016-10-30T02:30+02:00", "2016-10-30T02:00+01:00"],
        "30 minutes",
        ["2016-10-30T02:30+01:00", "2016-10-30T03:00+01:00", "2016-10-30T03:30+01:00"],
    );
}

#[test]
fn an_irregular_row_is_reported_with_the_step_that_was_expected() {
    let infer = |texts: &[&str]| Frequency::infer(&column(texts)).expect_err("irregular").to_string();
    assert_eq!(
        infer(&[
            "2016-07-01 00:00",
            "2016-07-01 01:00",
            "2016-07-01 02:00",
            "2016-07-01 05:00",
            "2016-07-01 06:00"
        ]),
        "time column \"date\" is irregular: 2016-07-01 05:00 (data row 4) follows 2016-07-01 02:00, expected a step \
         of 1 hour"
    );
    assert_eq!(
        infer(&["2016-01-01", "2016-02-01", "2016-03-01", "2016-05-01"]),
        "time column \"date\" is irregular: 2016-05-01 (data row 4) follows 2016-03-01, expected a step of 1 month"
    );
    assert!(infer(&["1", "2", "3", "5"]).contains("expected a step of 1"));
}

#[test]
fn too_few_rows_have_no_frequency() {
    let too_few = |rows| FrequencyError::TooFewRows { column: "date".to_owned(), rows };
    assert_eq!(Frequency::infer(&column(&["2016-07-01"])), Err(too_few(1)));
    assert_eq!(Frequency::infer(&column(&[])), Err(too_few(0)));
    assert_eq!(column(&[]).continue_by(Frequency::Integer(1), 1), Err(too_few(0)));
}

#[test]
fn a_frequency_that_does_not_fit_the_column_is_refused() {
    let hour = Frequency::Elapsed(jiff::SignedDuration::from_hours(1));
    for (time, frequency) in [
        (column(&["2016-07-01"]), hour),
        (column(&["2016-07"]), Frequency::BusinessDays),
        (column(&["2016-07-01"]), Frequency::Integer(1)),
        (column(&["7"]), hour),
    ] {
        assert!(
            matches!(time.continue_by(frequency, 1), Err(FrequencyError::Mismatch { .. })),
            "{frequency}"
        );
    }
}

#[test]
fn a_continuation_beyond_the_calendar_is_an_error() {
    let year = Frequency::Months { count: 12, day: DayOfMonth::Day(1) };
    let error = column(&["9998-01-01"]).continue_by(year, usize::MAX).expect_err("beyond 9999");
    assert_eq!(error.to_string(), "time column \"date\" cannot be continued by 1 year beyond 9999-01-01");
    let error = TimeColumn::steps(i64::MAX, 1).continue_by(Frequency::Integer(1), 1);
    assert!(matches!(error, Err(FrequencyError::OutOfRange { .. })));
}

proptest! {
    #[test]
    fn a_regular_axis_is_inferred_and_continued_for_any_step(
        start in -1_000_000_i64..1_000_000_000,
        step in 1_i64..4_000_000,
        rows in 3_usize..40,
    ) {
        let stamp = |row: usize| {
            let seconds = start + step * i64::try_from(row).unwrap_or(0);
            jiff::Timestamp::from_second(seconds).expect("in range").to_string()
        };
        let texts: Vec<String> = (0..rows + 5).map(stamp).collect();
        let known = texts.iter().take(rows).map(String::as_str);
        let time = TimeColumn::from_texts("ds", known).expect("valid");
        let frequency = Frequency::infer(&time).expect("regular");
        prop_assert_eq!(time.continue_by(frequency, 5).expect("in range").texts(), &texts[rows..]);
    }

    #[test]
    fn any_text_is_read_as_a_time_stamp_or_refused_without_a_panic(texts in prop::collection::vec("[-+0-9:./TZ ]{0,30}", 1..6)) {
        if let Ok(time) = TimeColumn::from_texts("t", texts.iter().map(String::as_str))
            && let Ok(frequency) = Frequency::infer(&time)
        {
            // Whatever was read must be continued, or refused, without a panic.
            let _ = time.continue_by(frequency, 10);
        }
    }
}
