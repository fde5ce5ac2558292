//! Results into every kind of file: what they look like, that they read back, and that nothing is left
//! half written.

mod support;

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use support::{present, series, stamps};
use tmoe_data::read::ReadOptions;
use tmoe_data::write::{Block, History, OutputError, OutputFormat, OutputLayout, WriteOptions};
use tmoe_data::{TimeColumn, WriteError};

/// A stream whose contents can be looked at afterwards.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    fn contents(&self) -> Vec<u8> {
        self.0.lock().expect("not poisoned").clone()
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("not poisoned").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn time(texts: &[&str]) -> TimeColumn {
    TimeColumn::from_texts("date", texts.iter().copied()).expect("valid")
}

/// What a writer writes of two series and one that failed.
fn written(options: WriteOptions) -> Vec<u8> {
    let out = Shared::default();
    let mut writer = options.to_stream(out.clone()).expect("memory");
    let (past, future) = (time(&["2024-01-30", "2024-01-31"]), time(&["2024-02-01", "2024-02-02"]));
    let known = [Some(0.1), None].map(|value| value.unwrap_or(f64::NAN));
    for (id, columns) in [("a", [&[0.1_f32, 2.0][..], &[3.0, f32::NAN]]), ("b,c", [&[5.0, 6.0], &[7.0, 8.0]])]
    {
        let history = Some(History { time: Some(&past), values: &known });
        let block = Block { id, time: Some(&future), columns: &columns, history };
        writer.append(&block).unwrap_or_else(|error| panic!("{error}"));
    }
    writer.append_error("d", "too short").expect("memory");
    writer.finish().unwrap_or_else(|error| panic!("{error}"));
    out.contents()
}

fn text(options: WriteOptions) -> String {
    String::from_utf8(written(options)).expect("UTF-8")
}

fn options(format: OutputFormat) -> WriteOptions {
    WriteOptions::new(format, ["forecast", "hi"])
}

#[test]
fn a_long_table_has_a_row_for_each_series_and_time_stamp() {
    assert_eq!(
        text(options(OutputFormat::Csv)),
        "unique_id,ds,forecast,hi\n\
         a,2024-02-01,0.1,3.0\na,2024-02-02,2.0,\n\"b,c\",2024-02-01,5.0,7.0\n\"b,c\",2024-02-02,6.0,8.0\n"
    );
    assert_eq!(
        text(options(OutputFormat::Csv).names("item_id", "timestamp", "target").history(true).errors(true)),
        "item_id,timestamp,target,forecast,hi,error\n\
         a,2024-01-30,0.1,,,\na,2024-01-31,,,,\na,2024-02-01,,0.1,3.0,\na,2024-02-02,,2.0,,\n\
         \"b,c\",2024-01-30,0.1,,,\n\"b,c\",2024-01-31,,,,\n\"b,c\",2024-02-01,,5.0,7.0,\n\"b,c\",2024-02-02,,6.0,8.0,\n\
         d,,,,,too short\n"
    );
}

#[test]
fn a_wide_table_has_columns_for_each_series() {
    let wide = |format| options(format).layout(OutputLayout::Wide).history(true);
    let expected = "date,a,a-hi,\"b,c\",\"b,c-hi\",d,d-hi\n\
                    2024-01-30,0.1,,0.1,,,\n2024-01-31,,,,,,\n2024-02-01,0.1,3.0,5.0,7.0,,\n2024-02-02,2.0,,6.0,8.0,,\n";
    assert_eq!(text(wide(OutputFormat::Csv)), expected);
    let json: serde_json::Value = serde_json::from_slice(&written(wide(OutputFormat::Json))).expect("JSON");
    assert_eq!(json["series"]["b,c-hi"], serde_json::json!([null, null, 7.0, 8.0]));
    assert_eq!(json["time"][3], "2024-02-02");

    let series = support::entries(ReadOptions::new(), written(wide(OutputFormat::Parquet))).expect("sound");
    let a = series[0].series.as_ref().expect("sound");
    assert_eq!(stamps(a), ["2024-01-30", "2024-01-31", "2024-02-01", "2024-02-02"]);
    assert_eq!(present(&a.values), [Some(0.1), None, Some(f64::from(0.1_f32)), Some(2.0)]);
    assert!(matches!(wide(OutputFormat::JsonLines).to_stream(io::sink()), Err(OutputError::NoWideForm)));
}

#[test]
fn json_has_an_object_for_each_series() {
    let lines = text(options(OutputFormat::JsonLines).history(true));
    assert_eq!(
        lines,
        "{\"unique_id\":\"a\",\"ds\":[\"2024-02-01\",\"2024-02-02\"],\"forecast\":[0.1,2.0],\"hi\":[3.0,null],\
         \"history\":{\"ds\":[\"2024-01-30\",\"2024-01-31\"],\"y\":[0.1,null]}}\n\
         {\"unique_id\":\"b,c\",\"ds\":[\"2024-02-01\",\"2024-02-02\"],\"forecast\":[5.0,6.0],\"hi\":[7.0,8.0],\
         \"history\":{\"ds\":[\"2024-01-30\",\"2024-01-31\"],\"y\":[0.1,null]}}\n\
         {\"unique_id\":\"d\",\"error\":\"too short\"}\n"
    );
    let list: Vec<serde_json::Value> =
        serde_json::from_slice(&written(options(OutputFormat::Json).history(true))).expect("JSON");
    let each: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(list, each);
}

#[test]
fn long_parquet_reads_back_with_dates_and_nulls() {
    let bytes =
        written(options(OutputFormat::Parquet).names("unique_id", "ds", "y").history(true).errors(true));
    let target = |name: &str| {
        let columns = tmoe_data::read::Columns { target: Some(name.to_owned()), ..Default::default() };
        // The row of the error has no time stamp.
        ReadOptions::new().columns(columns)
    };
    let error = support::problem_with(target("forecast"), bytes);
    assert!(error.to_string().contains("row 9, column \"ds\": the time stamp is missing"), "{error}");
    let bytes = written(options(OutputFormat::Parquet).history(true));
    let series = support::series_with(target("forecast"), bytes.clone());
    assert_eq!(series[1].id, "b,c");
    assert_eq!(present(&series[1].values), [None, None, Some(5.0), Some(6.0)]);
    assert_eq!(stamps(&series[1])[2..], ["2024-02-01", "2024-02-02"]);
    let known = support::series_with(target("y"), bytes);
    assert_eq!(present(&known[0].values), [Some(0.1), None, None, None]);
}

#[test]
fn time_stamps_of_every_kind_survive_parquet() {
    for texts in [
        ["2024-02-01 00:00:00", "2024-02-01 01:00:00"],
        ["2024-02-01T00:00:00Z", "2024-02-01T01:00:00Z"],
        ["1", "2"],
        ["2024-02-01", "2024-02-02"],
    ] {
        let out = Shared::default();
        let options = WriteOptions::new(OutputFormat::Parquet, ["y"]);
        let mut writer = options.to_stream(out.clone()).expect("memory");
        let axis = time(&texts);
        writer
            .append(&Block { id: "a", time: Some(&axis), columns: &[&[1.0, 2.0]], history: None })
            .expect("memory");
        writer.finish().expect("memory");
        let bytes = out.contents();
        assert_eq!(stamps(&series(bytes)[0]), texts);
    }
}

#[test]
fn a_file_appears_when_it_is_finished_and_not_before() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    for format in [OutputFormat::Csv, OutputFormat::Parquet, OutputFormat::Json, OutputFormat::JsonLines] {
        let path = folder.path().join("out");
        std::fs::write(&path, "old")?;
        let create = |force| WriteOptions::new(format, ["y"]).create(&path, force);
        assert!(matches!(create(false), Err(OutputError::File(WriteError::Exists { .. }))));
        let block = Block { id: "a", time: None, columns: &[&[1.0, 2.0]], history: None };
        let mut writer = create(true)?;
        writer.append(&block)?;
        drop(writer);
        assert_eq!(std::fs::read_to_string(&path)?, "old");
        assert_eq!(std::fs::read_dir(folder.path())?.count(), 1);
        let mut writer = create(true)?;
        writer.append(&block)?;
        assert_eq!(std::fs::read_to_string(&path)?, "old");
        writer.finish()?;
        assert_ne!(std::fs::read(&path)?, b"old");
    }
    Ok(())
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() -> Result<(), Box<dyn std::error::Error>> {
    for format in [OutputFormat::Csv, OutputFormat::Parquet, OutputFormat::Json] {
        let mut writer = WriteOptions::new(format, ["y"]).create(std::path::Path::new("/dev/full"), true)?;
        let block = Block { id: "a", time: None, columns: &[&[1.0, 2.0]], history: None };
        let appended = writer.append(&block);
        assert!(appended.and_then(|()| writer.finish()).is_err(), "{format:?}");
    }
    Ok(())
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let writer = |options: WriteOptions| options.to_stream(io::sink()).expect("a sink");
    let axis = time(&["2024-02-01", "2024-02-02"]);
    let other = time(&["2024-02-03", "2024-02-04"]);
    let numbers = time(&["1", "2"]);
    let block = |id: &'static str, time, columns| Block { id, time, columns, history: None };
    let one: &[&[f32]] = &[&[1.0, 2.0]];

    let mut csv = writer(WriteOptions::new(OutputFormat::Csv, ["y"]));
    let shape = |result| matches!(result, Err(OutputError::Shape { .. }));
    assert!(shape(csv.append(&block("a", Some(&axis), &[]))));
    assert!(shape(csv.append(&block("a", Some(&axis), &[&[1.0]]))));
    let mut parquet = writer(WriteOptions::new(OutputFormat::Parquet, ["y"]));
    assert!(parquet.append(&block("a", Some(&axis), one)).is_ok());
    assert!(matches!(parquet.append(&block("b", Some(&numbers), one)), Err(OutputError::TimeKind { .. })));
    let mut wide = writer(WriteOptions::new(OutputFormat::Csv, ["y"]).layout(OutputLayout::Wide));
    assert!(wide.append(&block("a", Some(&axis), one)).is_ok());
    assert!(matches!(wide.append(&block("b", Some(&other), one)), Err(OutputError::OtherAxis { .. })));
    assert!(matches!(wide.append(&block("a", Some(&axis), one)), Err(OutputError::ColumnTwice { .. })));
}

proptest! {
    #[test]
    fn long_tables_read_back_as_they_were_written(
        table in prop::collection::vec(prop::collection::vec(prop::option::of(any::<i16>()), 2..12), 1..6),
        start in 0_i64..1_000_000_000,
    ) {
        for format in [OutputFormat::Csv, OutputFormat::Parquet] {
            let out = Shared::default();
            let mut writer = WriteOptions::new(format, ["y"]).to_stream(out.clone()).expect("memory");
            for (index, values) in table.iter().enumerate() {
                let values: Vec<f32> =
                    values.iter().map(|value| value.map_or(f32::NAN, |value| f32::from(value) / 8.0)).collect();
                let stamp = |row: usize| jiff::Timestamp::from_second(start + row as i64).expect("in range").to_string();
                let texts: Vec<String> = (0..values.len()).map(stamp).collect();
                let axis = TimeColumn::from_texts("ds", texts.iter().map(String::as_str)).expect("valid");
                let id = format!("series \"{index}\",;");
                let block = Block { id: &id, time: Some(&axis), columns: &[&values], history: None };
                writer.append(&block).expect("memory");
            }
            writer.finish().expect("memory");
            let bytes = out.contents();
            let read = support::entries(ReadOptions::new(), bytes).expect("sound");
            prop_assert_eq!(read.len(), table.len());
            for (index, (entry, values)) in read.iter().zip(&table).enumerate() {
                prop_assert_eq!(&entry.id, &format!("series \"{index}\",;"));
                let expected: Vec<Option<f64>> = values.iter().map(|value| value.map(|value| f64::from(value) / 8.0)).collect();
                if let Ok(series) = &entry.series {
                    prop_assert_eq!(present(&series.values), expected);
                    prop_assert_eq!(series.time.as_ref().map(|time| time.len()), Some(values.len()));
                } else {
                    prop_assert!(expected.iter().all(Option::is_none));
                }
            }
        }
    }
}
