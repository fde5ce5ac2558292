//! Wide CSV: what is read, what is refused and where, and that writing and reading agree.

use std::io::Read as _;

use proptest::prelude::*;
use tmoe_data::csv::{self, Problem};
use tmoe_data::{Series, Table, TimeColumn, TimeError, TimeValues};

fn read(text: &str) -> Table {
    csv::read(text.as_bytes(), "test.csv").unwrap_or_else(|error| panic!("{text:?} is read: {error}"))
}

fn problem(bytes: impl AsRef<[u8]>) -> Problem {
    csv::read(bytes.as_ref(), "test.csv").expect_err("the table is refused").problem
}

fn written<T: tmoe_data::number::Number>(table: &Table<T>) -> String {
    let mut out = Vec::new();
    csv::write(&mut out, table).expect("writing to memory");
    String::from_utf8(out).expect("cells are UTF-8")
}

#[test]
fn a_table_with_time_stamps_and_missing_cells_is_read() {
    let table = read("date,a,b\n2016-07-01 00:00:00,1.5,\n2016-07-01 01:00:00,NaN,-2e-3\n");
    let time = table.time.expect("a time axis");
    assert_eq!(time.name(), "date");
    assert_eq!(time.texts(), ["2016-07-01 00:00:00", "2016-07-01 01:00:00"]);
    let [a, b] = table.series.as_slice() else { panic!("two series") };
    assert_eq!((a.name.as_str(), b.name.as_str()), ("a", "b"));
    assert!(a.values[0] == 1.5 && a.values[1].is_nan());
    assert!(b.values[0].is_nan() && b.values[1] == -0.002);
}

#[test]
fn a_table_without_time_stamps_has_only_series() {
    let table = read("load,temperature\n1,2\n3,4\n");
    assert_eq!(table.time, None);
    assert_eq!(
        table.series,
        [Series::new("load", vec![1.0, 3.0]), Series::new("temperature", vec![2.0, 4.0])]
    );
}

#[test]
fn an_index_column_of_whole_numbers_is_the_time_axis() {
    for header in ["", "step", "Index", "t", "time", "ds"] {
        let table = read(&format!("{header},y\n10,1\n20,2\n"));
        let time = table.time.unwrap_or_else(|| panic!("{header:?} is a time axis"));
        assert_eq!(time.values(), &TimeValues::Integer(vec![10, 20]));
    }
    assert_eq!(read("count,y\n10,1\n20,2\n").time, None);
}

#[test]
fn byte_order_marks_line_ends_and_separators_of_other_programs_are_read() {
    let expected = read("date,a,b\n2016-07-01,1,2\n2016-07-02,3,\n");
    for text in [
        "\u{feff}date,a,b\r\n2016-07-01,1,2\r\n2016-07-02,3,\r\n",
        "date;a;b\n2016-07-01;1;2\n2016-07-02;3;",
        "date\ta\tb\n2016-07-01\t1\t2\n2016-07-02\t3\t\n",
        "\n\n\"date\", a ,\"b\"\n\n\"2016-07-01\", 1 ,\"2\"\n\n2016-07-02,3,\"\"\n\n",
    ] {
        assert_eq!(written(&read(text)), written(&expected), "{text:?}");
    }
}

#[test]
fn missing_points_at_the_end_of_a_column_are_kept() {
    let table = read("a,b\n1,2\n,3\n,\n");
    assert_eq!(table.rows(), 3);
    assert_eq!(table.series[0].present(), 1);
}

#[test]
fn empty_tables_are_told_apart() {
    assert!(matches!(problem(""), Problem::Empty));
    assert!(matches!(problem("\r\n\n"), Problem::Empty));
    assert!(matches!(problem("\u{feff}"), Problem::Empty));
    assert!(matches!(problem("date,a\n"), Problem::HeaderOnly));
    assert!(matches!(problem("date,a"), Problem::HeaderOnly));
}

#[test]
fn tables_without_numbers_are_refused() {
    assert!(matches!(problem("date\n2016-07-01\n"), Problem::NoNumericColumns { .. }));
    let text = problem("date,name,city\n2016-07-01,x,y\n").to_string();
    assert_eq!(
        text,
        "no column holds numbers (columns: name, city); expected one column of numbers per series"
    );
}

#[test]
fn headers_that_name_no_series_are_refused() {
    assert!(matches!(problem("2016-07-01,1.5\n2016-07-02,2.5\n"), Problem::NoHeader { .. }));
    assert!(matches!(problem("date,a,\n2016-07-01,1,2\n"), Problem::UnnamedColumn { position: 3 }));
    assert_eq!(
        problem("date,a,b,a\n2016-07-01,1,2,3\n").to_string(),
        "row 1: column name \"a\" occurs twice (columns 2 and 4); rename one"
    );
}

#[test]
fn a_ragged_row_is_reported_with_its_line() {
    assert!(matches!(problem("a,b\n1,2\n\n3\n"), Problem::RaggedRow { row: 4, found: 1, expected: 2 }));
    assert!(matches!(problem("a,b\r\n1,2,3\r\n"), Problem::RaggedRow { row: 2, found: 3, expected: 2 }));
}

#[test]
fn a_cell_that_is_no_number_is_reported_with_its_row_and_column() {
    let error = csv::read("date,a,b\n2016-07-01,1,2\n2016-07-02,3,high\n".as_bytes(), "load.csv");
    assert_eq!(
        error.expect_err("text in a number").to_string(),
        "load.csv: row 3, column \"b\": \"high\" is not a number (a missing point is an empty cell)"
    );
    assert!(matches!(problem("a\n1\ninf\n"), Problem::Infinite { row: 3, .. }));
    assert!(matches!(problem("a;b\n1;1,5\n"), Problem::DecimalComma { row: 2, .. }));
    let long = problem(format!("a,b\n1,{}\n", "é".repeat(1000))).to_string();
    assert!(long.len() < 300, "{long}");
}

#[test]
fn time_stamps_that_do_not_increase_are_reported_with_their_row() {
    let time_problem = |cells: [&str; 2]| match problem(format!("date,y\n{},1\n{},2\n", cells[0], cells[1])) {
        Problem::Time { row, column, error } => {
            assert_eq!(column, "date");
            (row, error)
        }
        other => panic!("{other}"),
    };
    assert!(matches!(time_problem(["2016-07-01", "2016-07-01"]), (3, TimeError::Duplicate { .. })));
    assert!(matches!(time_problem(["2016-07-02", "2016-07-01"]), (3, TimeError::Unsorted { .. })));
    assert!(matches!(time_problem(["2016-07-02", "tomorrow"]), (3, TimeError::NotATimeStamp { .. })));
    assert!(matches!(time_problem(["01/02/2016", "02/02/2016"]), (2, TimeError::NotATimeStamp { .. })));
    assert!(matches!(time_problem(["2016-07-02", ""]), (3, TimeError::Missing)));
    assert!(matches!(time_problem(["2016-07-02", "2016-07-03 00:00"]), (3, TimeError::OtherFormat { .. })));
}

#[test]
fn text_that_is_not_utf8_is_reported_with_its_place() {
    assert!(matches!(problem(b"a,b\n1,\xff\n"), Problem::NotUtf8 { row: 2, column: 2 }));
    assert!(matches!(problem(b"\xff\xfea\0,\0b\0\n\0"), Problem::NotUtf8 { row: 1, column: 1 }));
}

#[test]
fn a_file_that_does_not_exist_is_named() {
    let error = csv::open(std::path::Path::new("no/such/file.csv")).expect_err("no such file");
    assert!(error.to_string().starts_with("no/such/file.csv: cannot be read: "), "{error}");
}

#[test]
fn a_row_without_end_is_refused_in_bounded_memory() {
    let endless = b"a,b\n1,".chain(std::io::repeat(b'7'));
    let error = csv::read(endless, "endless.csv").expect_err("no end");
    assert!(matches!(error.problem, Problem::RowTooLong { row: 2 }));
}

#[test]
fn forecasts_are_written_with_short_numbers_and_empty_cells() {
    let time = TimeColumn::from_texts("date", ["2016-07-01", "2016-07-02"]).expect("valid");
    let series = vec![Series::new("a", vec![0.1_f32, f32::NAN]), Series::new("b, c", vec![1e30, -2.0])];
    let table = Table { time: Some(time), series };
    assert_eq!(written(&table), "date,a,\"b, c\"\n2016-07-01,0.1,1e30\n2016-07-02,,-2.0\n");
}

#[test]
fn names_that_hold_separators_of_other_programs_or_a_byte_order_mark_read_back() {
    for name in ["a;b;c", "a\tb\tc", "\u{feff}a"] {
        let table = Table { time: None, series: vec![Series::new(name, vec![1.5])] };
        assert_eq!(read(&written(&table)), table, "{name:?}");
    }
}

#[test]
fn a_table_whose_columns_differ_in_length_is_not_written() {
    let table =
        Table { time: None, series: vec![Series::new("a", vec![1.0]), Series::new("b", vec![1.0, 2.0])] };
    let error = csv::write(Vec::new(), &table).expect_err("lengths differ");
    assert_eq!(error.to_string(), "column \"a\" has 1 rows where the table has 2");
}

fn tables() -> impl Strategy<Value = Table> {
    let finite = prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO;
    let value = prop_oneof![4 => finite, 1 => Just(f64::NAN)];
    // A name may hold anything but spaces at its ends, which readers drop.
    let name = "[a-z]([ -~é☃\n]{0,8}[a-z])?";
    (1_usize..5, 1_usize..20, any::<bool>(), any::<i32>(), 1_i64..1000).prop_flat_map(
        move |(columns, rows, with_time, start, step)| {
            let series =
                prop::collection::btree_map(name, prop::collection::vec(value.clone(), rows), columns);
            series.prop_map(move |series| {
                let texts: Vec<String> =
                    (0_i64..).take(rows).map(|row| (i64::from(start) + row * step).to_string()).collect();
                let time =
                    TimeColumn::from_texts("step", texts.iter().map(String::as_str)).expect("increasing");
                let series = series.into_iter().map(|(name, values)| Series { name, values }).collect();
                Table { time: with_time.then_some(time), series }
            })
        },
    )
}

proptest! {
    #[test]
    fn a_table_that_was_written_reads_back_equal(table in tables()) {
        let text = written(&table);
        let again = csv::read(text.as_bytes(), "again.csv");
        // A name such as "time" turns the first series into a time axis, and rightly so.
        prop_assume!(table.time.is_some() || again.as_ref().is_ok_and(|again| again.time.is_none()));
        let again = again.map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        prop_assert_eq!(&again.time, &table.time);
        prop_assert_eq!(again.series.len(), table.series.len());
        for (found, expected) in again.series.iter().zip(&table.series) {
            prop_assert_eq!(&found.name, &expected.name);
            let bits = |series: &Series| series.values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(found), bits(expected));
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = csv::read(bytes.as_slice(), "bytes");
    }

    #[test]
    fn any_nearly_valid_table_is_read_or_refused_without_a_panic(text in "(date|t|a)?[,;\t]b\r?\n([-0-9.,;:TZ \"\t]{0,12}[,;\t\n]){0,30}") {
        if let Ok(table) = csv::read(text.as_bytes(), "text") {
            prop_assert!(table.check_lengths().is_ok());
        }
    }
}
