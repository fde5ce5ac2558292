//! Tables that cannot be read: the error says where and why, and nothing is written.

use std::fs;

use tempfile::tempdir;

use crate::outcome::{Outcome, entries};
use crate::shared::Shared;
use crate::{arguments, command, run};

pub(crate) const TESTS: &[(&str, crate::Test)] = crate::tests![
    a_table_that_does_not_exist_is_named,
    a_folder_is_no_table,
    an_empty_table_is_told_what_is_expected,
    a_table_without_numbers_names_its_columns,
    a_ragged_row_is_told_by_its_line_and_both_lengths,
    text_in_place_of_a_number_is_told_by_row_and_column,
    time_stamps_that_cannot_be_continued_are_told_by_their_row,
    bytes_that_are_no_text_are_refused,
];

/// Forecasts a table and expects that it is refused.
#[track_caller]
fn refused(shared: &Shared, contents: impl AsRef<[u8]>, facts: &[&str]) {
    let outcome = refused_with(shared, contents, &[], facts);
    outcome.failure(&["table.csv"]);
}

/// The same with more options.
#[track_caller]
fn refused_with(shared: &Shared, contents: impl AsRef<[u8]>, options: &[&str], facts: &[&str]) -> Outcome {
    let folder = tempdir().unwrap();
    let table = folder.path().join("table.csv");
    fs::write(&table, contents).unwrap();
    let (output, plot) = (folder.path().join("forecast.csv"), folder.path().join("plot.svg"));
    let arguments = arguments![
        "forecast",
        shared.package("dense"),
        "--input",
        table,
        "--horizon",
        "5",
        "--provider",
        "tract",
        "--output",
        output,
        "--plot",
        plot
    ];
    let outcome = Outcome::of(command(arguments).args(options));
    outcome.failure(facts);
    assert_eq!(entries(folder.path()), ["table.csv"]);
    outcome
}

fn a_table_that_does_not_exist_is_named(shared: &Shared) {
    let folder = tempdir().unwrap();
    let table = folder.path().join("no-such-table.csv");
    let outcome = run(arguments!["forecast", shared.package("dense"), "--input", table, "--horizon", "5"]);
    outcome.failure(&["no-such-table.csv", "cannot be read"]);
}

fn a_folder_is_no_table(shared: &Shared) {
    let folder = tempdir().unwrap();
    let outcome =
        run(arguments!["forecast", shared.package("dense"), "--input", folder.path(), "--horizon", "5"]);
    outcome.failure(&[folder.path().to_str().unwrap()]);
}

fn an_empty_table_is_told_what_is_expected(shared: &Shared) {
    refused(shared, "", &["the file is empty", "header row"]);
    refused(shared, "\n\r\n\n", &["the file is empty"]);
    refused(shared, "date,load\n", &["no rows of numbers"]);
}

fn a_table_without_numbers_names_its_columns(shared: &Shared) {
    refused(shared, "date\n2024-01-01\n2024-01-02\n", &["no column holds numbers", "date"]);
    refused(shared, "name,town\nAnna,Ulm\nBen,Bonn\n", &["row 2", "\"name\"", "\"Anna\"", "not a number"]);
    refused(shared, "5,7\n6,8\n", &["row 1", "header row"]);
}

fn a_ragged_row_is_told_by_its_line_and_both_lengths(shared: &Shared) {
    refused(shared, "a,b\n1,2\n3\n5,6\n", &["row 3 has 1 cells", "header has 2"]);
    refused(shared, "a,b\n1,2\n3,4,5\n", &["row 3 has 3 cells", "header has 2"]);
}

fn text_in_place_of_a_number_is_told_by_row_and_column(shared: &Shared) {
    refused(
        shared,
        "date,load\n2024-01-01,1\n2024-01-02,lots\n",
        &["row 3", "\"load\"", "\"lots\"", "not a number"],
    );
    refused(shared, "date;load\n2024-01-01;1,5\n2024-01-02;2,5\n", &["\"load\"", "\"1,5\"", "decimal"]);
    refused(shared, "load\n1\n1e999\n", &["row 3", "\"load\"", "1e999"]);
}

fn time_stamps_that_cannot_be_continued_are_told_by_their_row(shared: &Shared) {
    let in_order = ["--gaps", "error", "--strict"];
    let backwards = "date,load\n2024-01-02,1\n2024-01-01,2\n";
    refused_with(shared, backwards, &in_order, &["`load`", "row 3", "2024-01-01", "earlier"]);
    let twice = "date,load\n2024-01-01,1\n2024-01-01,2\n";
    refused_with(shared, twice, &["--strict"], &["`load`", "row 3", "2024-01-01", "row 2"]);
    refused(shared, "date,load\n2024-01-01,1\nsoon,2\n", &["row 3", "\"date\"", "soon"]);
}

fn bytes_that_are_no_text_are_refused(shared: &Shared) {
    refused(shared, b"load\n1\n\xff\xfe\n", &["row 3", "UTF-8"]);
    refused(shared, [0_u8; 5000], &[]);
}
