//! Series out of CSV and JSON lines: what is read, what is repaired, and what is refused and where.

mod support;

use std::io::{Read as _, Write as _};

use proptest::prelude::*;
use support::{entries, present, problem, problem_with, series, series_error, series_with, stamps};
use tmoe_data::csv;
use tmoe_data::read::{Columns, Format, Layout, MAX_LINE_BYTES, Problem, ReadOptions};
use tmoe_data::{GapPolicy, Missing, Repairs, SeriesError, TimeError};

#[test]
fn a_long_table_is_read_whatever_the_order_of_its_columns() {
    for text in [
        "unique_id,ds,y\nb,2024-01-01,1\nb,2024-01-02,2\na,2024-01-01,3\na,2024-01-02,\n",
        "y;note;item_id;timestamp\n1;x;b;2024-01-01\n2;;b;2024-01-02\n3;;a;2024-01-01\nNA;;a;2024-01-02\n",
        "unique_id,ds,y\nb,2024-01-01,1\na,2024-01-01,3\nb,2024-01-02,2\na,2024-01-02,\n",
    ] {
        let series = series(text);
        let ids: Vec<&str> = series.iter().map(|series| series.id.as_str()).collect();
        assert_eq!(ids, ["b", "a"], "{text}");
        assert_eq!(present(&series[0].values), [Some(1.0), Some(2.0)]);
        assert_eq!(present(&series[1].values), [Some(3.0), None]);
        assert_eq!(series[1].missing, 1);
        assert_eq!(stamps(&series[1]), ["2024-01-01", "2024-01-02"]);
        assert_eq!(series[0].frequency.map(|step| step.to_string()).as_deref(), Some("1 day"));
    }
}

#[test]
fn columns_can_be_named_and_time_can_be_absent() {
    let columns = |id: &str, target: &str| Columns {
        id: Some(id.to_owned()),
        time: None,
        target: Some(target.to_owned()),
    };
    let options = ReadOptions::new().columns(columns("shop", "sold"));
    let series = series_with(options, "shop,sold\n7,1\n7,2\n8,3\n8,4\n");
    assert_eq!(series.len(), 2);
    assert_eq!(series[1].id, "8");
    assert_eq!(series[1].time, None);
    assert_eq!(series[1].future(2).map(|time| time.texts()), Ok(vec!["1".to_owned(), "2".to_owned()]));

    let error = problem_with(ReadOptions::new().columns(columns("store", "sold")), "shop,sold\n7,1\n");
    assert_eq!(error.to_string(), "there is no column \"store\"; the columns are \"shop\", \"sold\"");
    let error = problem_with(ReadOptions::new().layout(Layout::Long), "a,b\n1,2\n");
    assert!(matches!(error, Problem::UnknownColumn { .. }));
}

#[test]
fn a_wide_table_is_read_with_one_axis_for_all() {
    let series = series("date,b,a\n2024-01-31,1,\n2024-02-29,2,5\n2024-04-30,4,6\n");
    assert_eq!(series.len(), 2);
    for series in &series {
        assert_eq!(stamps(series), ["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30"]);
        assert_eq!(series.future(1).map(|time| time.texts()), Ok(vec!["2024-05-31".to_owned()]));
        let rows: Vec<Option<u64>> = (0..4).map(|point| series.rows.get(point)).collect();
        assert_eq!(rows, [Some(2), Some(3), None, Some(4)]);
    }
    assert_eq!(present(&series[1].values), [None, Some(5.0), None, Some(6.0)]);
}

#[test]
fn a_time_column_anywhere_in_a_wide_table_can_be_named() {
    let columns = Columns { time: Some("day".to_owned()), ..Columns::default() };
    let series =
        series_with(ReadOptions::new().columns(columns), "a,day,b\n1,2024-01-01,2\n3,2024-01-02,4\n");
    assert_eq!((series[0].id.as_str(), series[1].id.as_str()), ("a", "b"));
    assert_eq!(series[1].values, [2.0, 4.0]);
    assert_eq!(stamps(&series[0]), ["2024-01-01", "2024-01-02"]);
}

#[test]
fn json_lines_are_read_in_the_form_of_time_moe_and_of_gluonts() {
    let text = "{\"sequence\": [1, 2.5, null, NaN]}\n\n\
                {\"item_id\": \"x\", \"start\": \"2024-01-31\", \"freq\": \"ME\", \"target\": [1, 2], \"feat\": {\"a\": []}}\n\
                {\"id\": 7, \"start\": \"2024-01-31\", \"sequence\": [1, 2]}";
    let series = series(text);
    let ids: Vec<&str> = series.iter().map(|series| series.id.as_str()).collect();
    assert_eq!(ids, ["0", "x", "7"]);
    assert_eq!(present(&series[0].values), [Some(1.0), Some(2.5), None, None]);
    assert_eq!(stamps(&series[1]), ["2024-01-31", "2024-02-29"]);
    assert_eq!(series[1].future(1).map(|time| time.texts()), Ok(vec!["2024-03-31".to_owned()]));
    assert_eq!(series[1].rows.get(1), Some(3));
    assert_eq!(series[2].time, None);
    let daily = ReadOptions::new().frequency("D".parse().expect("a frequency"));
    assert_eq!(stamps(&series_with(daily, text)[2]), ["2024-01-31", "2024-02-01"]);
}

#[test]
fn compressed_files_are_read_as_they_are() -> Result<(), Box<dyn std::error::Error>> {
    let text = "unique_id,ds,y\na,1,1\na,2,2\n";
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(text.as_bytes())?;
    for bytes in [gzip.finish()?, zstd::encode_all(text.as_bytes(), 3)?] {
        assert_eq!(series(bytes.clone()), series(text));
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), bytes)?;
        let read: Result<Vec<_>, _> = ReadOptions::new().open(file.path())?.in_background(2).collect();
        assert_eq!(read?.len(), 1);
    }
    Ok(())
}

#[test]
fn gaps_repeats_and_disorder_are_mended_and_counted() {
    let text =
        "unique_id,ds,y\na,2024-01-02,2\na,2024-01-01,1\na,2024-01-02,2\na,2024-01-05,5\na,2024-01-03,\n";
    let [a] = series(text).try_into().expect("one series");
    assert_eq!(stamps(&a), ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05"]);
    assert_eq!(present(&a.values), [Some(1.0), Some(2.0), None, None, Some(5.0)]);
    let rows: Vec<Option<u64>> = (0..5).map(|point| a.rows.get(point)).collect();
    assert_eq!(rows, [Some(3), Some(2), Some(6), None, Some(5)]);
    let expected = Repairs { filled: 1, repeated: 1, unsorted: 2, interpolated: 0, first_row: Some(3) };
    assert_eq!(a.repairs, expected);
}

#[test]
fn gaps_repeats_and_disorder_are_refused_with_their_row_where_asked() {
    let strict = || ReadOptions::new().gaps(GapPolicy::Error);
    let of = |rows: &str| series_error(strict(), format!("unique_id,ds,y\n{rows}"));
    assert_eq!(
        of("a,2024-01-01,1\na,2024-01-02,1\na,2024-01-05,1\n").to_string(),
        "row 4: 2024-01-05 follows 2024-01-02, so that 2 time stamp(s) of a step of 1 day are left out"
    );
    assert!(matches!(of("a,2,1\na,1,1\n"), SeriesError::Unsorted { row: 3, .. }));
    assert!(matches!(of("a,1,1\na,2,1\na,2,1\n"), SeriesError::Repeated { row: 4, first: 3, .. }));
    // A repeated stamp with another value is an error under either policy.
    let conflict = series_error(ReadOptions::new(), "unique_id,ds,y\na,1,1\na,2,1\na,2,5\n");
    assert!(matches!(conflict, SeriesError::Conflicting { row: 4, first: 3, .. }), "{conflict}");
    let thrice = series_error(ReadOptions::new(), "unique_id,ds,y\na,1,1\na,1,1\na,1,1\na,2,1\n");
    assert!(matches!(thrice, SeriesError::Repeated { row: 4, .. }), "{thrice}");
    let off = series_error(ReadOptions::new(), "unique_id,ds,y\na,0,1\na,10,1\na,20,1\na,25,1\n");
    assert_eq!(off.to_string(), "row 5: 25 is no multiple of 10 after 20; the time stamps are irregular");
    let long = "unique_id,ds,y\na,2024-01-01T00:00:00,1\na,2024-01-01T00:00:01,1\na,2034-01-01T00:00:00,1\n";
    assert!(matches!(series_error(ReadOptions::new(), long), SeriesError::GapTooLong { row: 4, .. }));
}

#[test]
fn rows_are_taken_as_they_stand_where_asked() {
    let as_they_stand = ReadOptions::new().gaps(GapPolicy::Ignore);
    for text in [
        "ds,a,b\n2024-01-02,2,1\n2024-01-01,1,\n2024-01-02,7,3\n2024-01-05,5,4\n",
        "unique_id,ds,y\na,2024-01-02,2\na,2024-01-01,1\na,2024-01-02,7\na,2024-01-05,5\n",
    ] {
        let series = series_with(as_they_stand.clone(), text);
        assert_eq!(series[0].values, [2.0, 1.0, 7.0, 5.0]);
        assert_eq!(stamps(&series[0]), ["2024-01-02", "2024-01-01", "2024-01-02", "2024-01-05"]);
        assert!(series[0].repairs.is_empty());
    }
}

#[test]
fn gaps_are_filled_along_the_calendar_and_across_clock_changes() {
    let filled = |rows: &[&str]| {
        let text: String = rows.iter().map(|stamp| format!("a,{stamp},1\n")).collect();
        let [a] = series(format!("unique_id,ds,y\n{text}")).try_into().expect("one series");
        stamps(&a)
    };
    // A holiday on Wednesday among business days.
    assert_eq!(
        filled(&["2024-04-29", "2024-04-30", "2024-05-02", "2024-05-03", "2024-05-06"]),
        ["2024-04-29", "2024-04-30", "2024-05-01", "2024-05-02", "2024-05-03", "2024-05-06"]
    );
    assert_eq!(
        filled(&["2023-09-30", "2023-12-31", "2024-03-31", "2024-09-30"]),
        ["2023-09-30", "2023-12-31", "2024-03-31", "2024-06-30", "2024-09-30"]
    );
    // Local midnights, 25 hours apart where the clock is set back.
    assert_eq!(
        filled(&[
            "2016-10-28T00:00+02:00",
            "2016-10-29T00:00+02:00",
            "2016-10-31T00:00+01:00",
            "2016-11-01T00:00+01:00"
        ]),
        [
            "2016-10-28T00:00+02:00",
            "2016-10-29T00:00+02:00",
            "2016-10-30T00:00+02:00",
            "2016-10-31T00:00+01:00",
            "2016-11-01T00:00+01:00"
        ]
    );
    // Hours in absolute time: the second 02:00 is left out.
    let autumn = [
        "2016-10-30T01:00+02:00",
        "2016-10-30T02:00+02:00",
        "2016-10-30T03:00+01:00",
        "2016-10-30T04:00+01:00",
    ];
    assert_eq!(filled(&autumn).len(), 5);
}

#[test]
fn a_given_frequency_is_kept_to() {
    let rows = "unique_id,ds,y\na,2024-01-01,1\na,2024-01-03,1\na,2024-01-05,1\n";
    assert_eq!(series(rows)[0].values.len(), 3);
    let daily = ReadOptions::new().frequency("D".parse().expect("a frequency"));
    assert_eq!(series_with(daily.clone(), rows)[0].values.len(), 5);
    let error = series_error(daily, "unique_id,ds,y\na,1,1\na,2,1\n");
    assert!(matches!(error, SeriesError::Frequency(_)), "{error}");
}

#[test]
fn missing_points_are_masked_interpolated_or_refused() {
    let text = "unique_id,ds,y\na,1,1\na,2,\na,4,4\na,5,\n";
    let [masked] = series(text).try_into().expect("one series");
    assert_eq!(masked.missing, 3);
    let [whole] =
        series_with(ReadOptions::new().missing(Missing::Interpolate), text).try_into().expect("one series");
    assert!(whole.values.iter().zip([1.0, 2.0, 3.0, 4.0, 4.0]).all(|(a, b)| (a - b).abs() < 1e-12));
    assert_eq!((whole.missing, whole.repairs.interpolated), (0, 3));
    let error = series_error(ReadOptions::new().missing(Missing::Error), text);
    assert_eq!(error, SeriesError::Missing { row: 3 });
}

#[test]
fn a_series_that_cannot_be_used_does_not_end_the_file() {
    let text = "unique_id,ds,y\na,1,\na,2,\nb,1,1\nc,1,1\nc,2,2\n";
    let entries = entries(ReadOptions::new(), text).expect("a sound file");
    let errors: Vec<Option<SeriesError>> = entries.iter().map(|entry| entry.series.clone().err()).collect();
    assert_eq!(
        errors,
        [Some(SeriesError::AllMissing { points: 2 }), Some(SeriesError::TooShort { points: 1 }), None]
    );
    assert_eq!(
        entries.iter().map(|entry| (entry.index, entry.first_row)).collect::<Vec<_>>(),
        [(0, Some(2)), (1, Some(4)), (2, Some(5))]
    );
    let none = support::entries(ReadOptions::new(), "{\"sequence\": []}").expect("a sound file");
    assert_eq!(none[0].series, Err(SeriesError::TooShort { points: 0 }));
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_row_and_column() {
    for (text, expected) in [
        ("unique_id,ds,y\na,1,1\na,2,x\n", "row 3, column \"y\": \"x\" is not a number"),
        ("unique_id,ds,y\na,1,1\n,2,1\n", "row 3, column \"unique_id\": the id is missing"),
        ("unique_id,ds,y\na,1,1\na,2\n", "row 3 has 2 cells where the header has 3"),
        (
            "unique_id,ds,y\na,2024-01-01T00:00Z,1\na,2024-01-01T01:00,1\n",
            "is not written like the first one",
        ),
        ("unique_id,ds,y\na,2024-01-01T00:00Z,1\nb,2024-01-01T01:00,1\n", "row 3, column \"ds\": time stamp"),
        ("unique_id,ds,y\n\"a\n", "row 2 has 1 cells"),
        ("unique_id,ds,y\n", "holds no series"),
        ("date,a\n2024-01-01,1\n2024-01-02,inf\n", "row 3, column \"a\": \"inf\" is infinite"),
        (
            "{\"sequence\": [1, 2]}\n{\"sequence\": [1, \"2\"]}\n",
            "line 2, column 20: invalid type: string \"2\"",
        ),
        ("{\"sequences\": [1, 2]}\n", "line 1, column 21: missing field `sequence`"),
        ("{\"sequence\": [1e999]}\n", "line 1, column "),
        (
            "{\"sequence\": [1, 2], \"start\": \"soon\", \"freq\": \"D\"}\n",
            "row 1, column \"start\": \"soon\" is not a time stamp",
        ),
        ("{\"sequence\": [1, 2], \"freq\": \"often\"}\n", "\"often\" is no frequency"),
    ] {
        let found = problem(text).to_string();
        assert!(found.contains(expected), "{text:?}: {found}");
    }
    assert!(matches!(
        problem(&b"unique_id,ds,y\na,1,\xff\n"[..]),
        Problem::Table(csv::Problem::NotUtf8 { row: 2, column: 3 })
    ));
    assert!(matches!(problem(&b"{\"sequence\": [1, \xff]}"[..]), Problem::NotUtf8 { row: 1, column: 18 }));
    let csv = problem_with(ReadOptions::new().format(Format::Parquet), "a,b\n1,2\n");
    assert_eq!(csv.to_string(), "the file is CSV, not Parquet");
}

#[test]
fn a_column_that_changes_its_type_at_row_one_million_is_an_error_there() {
    let rows = (1..1_000_000).map(|row| format!("a,{row},1\n")).collect::<String>();
    let error = problem(format!("unique_id,ds,y\n{rows}a,1000000,high\n"));
    assert!(matches!(error, Problem::Table(csv::Problem::NotANumber { row: 1_000_001, .. })), "{error}");
    let error = problem(format!("unique_id,ds,y\n{rows}a,2024-01-01,1\n"));
    let other = |error: &TimeError| matches!(error, TimeError::OtherFormat { .. });
    assert!(
        matches!(&error, Problem::Table(csv::Problem::Time { row: 1_000_001, error, .. }) if other(error)),
        "{error}"
    );
}

#[test]
fn endless_lines_are_refused_in_bounded_memory() {
    let endless = |start: &'static [u8]| start.chain(std::io::repeat(b'1'));
    let ended = |start: &'static [u8]| {
        let reader = ReadOptions::new().read(endless(start), "endless");
        reader.and_then(|reader| reader.collect::<Result<Vec<_>, _>>()).expect_err("refused").problem
    };
    assert!(matches!(ended(b"{\"sequence\": ["), Problem::LineTooLong { row: 1 }));
    assert!(matches!(ended(b"unique_id,ds,y\na,1,"), Problem::Table(csv::Problem::RowTooLong { row: 2 })));
    assert!(matches!(ended(b"unique_id,"), Problem::Table(csv::Problem::RowTooLong { row: 1 })));
    assert_eq!(MAX_LINE_BYTES, 64 << 20);
}

#[test]
fn as_many_columns_as_are_read_are_read_and_one_more_is_an_error() {
    let header = |count: usize| (0..count).map(|column| format!("c{column}")).collect::<Vec<_>>().join(",");
    let row = |count: usize| vec!["1"; count].join(",");
    let table = |count: usize| format!("{}\n{}\n{}\n", header(count), row(count), row(count));
    assert_eq!(series(table(csv::MAX_COLUMNS)).len(), csv::MAX_COLUMNS);
    let error = problem(table(csv::MAX_COLUMNS + 1));
    assert!(matches!(error, Problem::Table(csv::Problem::TooManyColumns { row: 1 })), "{error}");
}

#[test]
fn a_long_file_larger_than_the_memory_is_streamed_when_sorted_and_refused_when_not() {
    const SERIES: usize = 2000;
    const POINTS: usize = 50;
    let small = || ReadOptions::new().memory(1 << 20);
    let row = |series: usize, point: usize| format!("s{series},{point},{}\n", series + point);
    let sorted: String =
        (0..SERIES).flat_map(|series| (0..POINTS).map(move |point| row(series, point))).collect();
    let mut reader =
        small().read(std::io::Cursor::new(format!("unique_id,ds,y\n{sorted}")), "sorted").expect("a header");
    for series in 0..SERIES {
        let read = reader.next().expect("a series").expect("a sound file").series.expect("a sound series");
        assert_eq!(read.id, format!("s{series}"));
        assert!(read.values.iter().enumerate().all(|(point, value)| *value == (series + point) as f64));
    }
    assert!(reader.next().is_none());

    let mixed: String =
        (0..POINTS).flat_map(|point| (0..SERIES).map(move |series| row(series, point))).collect();
    let error = problem_with(small(), format!("unique_id,ds,y\n{mixed}"));
    assert!(matches!(error, Problem::Interleaved { .. }), "{error}");
    assert_eq!(series(format!("unique_id,ds,y\n{mixed}")).len(), SERIES);

    let wide: String = std::iter::repeat_n(format!("{}\n", vec!["1"; 100].join(",")), 10_000).collect();
    let header = (0..100).map(|column| format!("c{column}")).collect::<Vec<_>>().join(",");
    let error = problem_with(small(), format!("{header}\n{wide}"));
    assert!(matches!(error, Problem::TooLarge { .. }) && error.to_string().contains("long form"), "{error}");
}

/// Series with their rows, to be written in any order.
fn long_tables() -> impl Strategy<Value = Vec<Vec<Option<i32>>>> {
    prop::collection::vec(prop::collection::vec(prop::option::of(-1000..1000_i32), 2..20), 1..8)
}

proptest! {
    #[test]
    fn a_long_table_is_read_the_same_in_any_order_of_its_rows(
        table in long_tables(),
        order in prop::collection::vec(any::<u32>(), 160),
    ) {
        let mut rows: Vec<(u32, String, usize)> = Vec::new();
        for (series, values) in table.iter().enumerate() {
            for (point, value) in values.iter().enumerate() {
                let value = value.map(|value| value.to_string()).unwrap_or_default();
                let key = order.get(rows.len()).copied().unwrap_or_default();
                rows.push((key, format!("s{series},{},{value}\n", 10 + point), series));
            }
        }
        let text = |rows: &[(u32, String, usize)]| {
            rows.iter().fold("unique_id,ds,y\n".to_owned(), |text, (_, row, _)| text + row)
        };
        let sorted = entries(ReadOptions::new(), text(&rows)).expect("sound");
        rows.sort();
        let shuffled = entries(ReadOptions::new(), text(&rows)).expect("sound");
        prop_assert_eq!(sorted.len(), table.len());
        for (index, values) in table.iter().enumerate() {
            let expected: Vec<Option<f64>> = values.iter().map(|value| value.map(f64::from)).collect();
            let id = format!("s{index}");
            for read in [&sorted, &shuffled] {
                let entry = read.iter().find(|entry| entry.id == id).expect("every series");
                match &entry.series {
                    Ok(series) => prop_assert_eq!(present(&series.values), expected.clone()),
                    Err(error) => {
                        prop_assert_eq!(error, &SeriesError::AllMissing { points: expected.len() });
                        prop_assert!(expected.iter().all(Option::is_none));
                    }
                }
            }
        }
    }

    #[test]
    fn any_text_is_read_or_refused_without_a_panic(text in "(unique_id,ds,y\n)?([a-c]?[,;][-0-9:TZ]{0,12},[0-9.eNa]{0,4}\n){0,6}") {
        if let Err(error) = entries(ReadOptions::new(), text) {
            prop_assert!(!error.to_string().contains('\n'));
        }
    }

    #[test]
    fn any_json_is_read_or_refused_without_a_panic(text in "\\{\"(sequence|y)\": ?\\[([0-9],?|null,|NaN,){0,5}\\]?(, ?\"(id|start|freq)\": ?\"[-0-9DMEh]{0,10}\")?\\}") {
        if let Err(error) = entries(ReadOptions::new(), text) {
            prop_assert!(!error.to_string().contains('\n'));
        }
    }
}
