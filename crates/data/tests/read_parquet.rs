//! Series out of Parquet: every layout and type, and damaged files.

mod support;

use std::io::Write as _;
use std::sync::Arc;

use arrow_array::builder::{Float64Builder, ListBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, Date32Array, DictionaryArray, Float32Array, Float64Array, Int32Array, Int64Array, StringArray,
    TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray,
};
use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use proptest::prelude::*;
use support::{
    column, entries, parquet, parquet_with, present, problem, problem_with, series, series_with, stamps,
};
use tmoe_data::read::{Columns, Problem, ReadOptions};
use tmoe_data::{SeriesError, csv};

/// Seconds since 1970 of 2016-10-28T22:00Z, midnight of the 29th in Berlin.
const MIDNIGHT: i64 = 1_477_692_000;
const DAY: i64 = 86_400;

fn long(ids: ArrayRef, times: ArrayRef, values: ArrayRef) -> Vec<u8> {
    parquet(vec![("unique_id", ids), ("ds", times), ("y", values)])
}

fn ids(ids: &[&str]) -> ArrayRef {
    column(StringArray::from(ids.to_vec()))
}

#[test]
fn a_long_table_is_read_with_any_type_of_id_and_value() {
    let times = || column(Int64Array::from(vec![1, 2, 1, 2]));
    let dictionary: DictionaryArray<Int32Type> = ["7", "7", "8", "8"].into_iter().collect();
    let id_columns: [ArrayRef; 3] =
        [ids(&["7", "7", "8", "8"]), column(Int32Array::from(vec![7, 7, 8, 8])), column(dictionary)];
    let value_columns: [ArrayRef; 3] = [
        column(Float64Array::from(vec![Some(1.0), None, Some(3.0), Some(4.0)])),
        column(Float32Array::from(vec![1.0, f32::NAN, 3.0, 4.0])),
        column(Int64Array::from(vec![Some(1), None, Some(3), Some(4)])),
    ];
    for id in &id_columns {
        for values in &value_columns {
            let series = series(long(Arc::clone(id), times(), Arc::clone(values)));
            assert_eq!(series.iter().map(|series| series.id.as_str()).collect::<Vec<_>>(), ["7", "8"]);
            assert_eq!(present(&series[0].values), [Some(1.0), None]);
            assert_eq!(present(&series[1].values), [Some(3.0), Some(4.0)]);
            assert_eq!(series[1].rows.get(0), Some(3));
        }
    }
}

#[test]
fn time_stamps_of_every_type_are_read() {
    let of = |times: ArrayRef| {
        let values = column(Float64Array::from(vec![1.0, 2.0]));
        let [series] = series(long(ids(&["a", "a"]), times, values)).try_into().expect("one series");
        (stamps(&series), series.future(1).map(|time| time.texts()).unwrap_or_default())
    };
    let days = ["2016-10-29 00:00:00", "2016-10-30 00:00:00"];
    let local = |unit: i64| [MIDNIGHT + 7200, MIDNIGHT + 7200 + DAY].map(|seconds| seconds * unit).to_vec();
    assert_eq!(of(column(TimestampSecondArray::from(local(1)))).0, days);
    assert_eq!(of(column(TimestampMillisecondArray::from(local(1_000)))).0, days);
    assert_eq!(of(column(TimestampMicrosecondArray::from(local(1_000_000)))).0, days);
    assert_eq!(of(column(TimestampNanosecondArray::from(local(1_000_000_000)))).0, days);
    assert_eq!(of(column(Date32Array::from(vec![17_103, 17_104]))).0, ["2016-10-29", "2016-10-30"]);
    assert_eq!(of(ids(&["2016-10", "2016-11"])).1, ["2016-12"]);
    assert_eq!(of(column(Int32Array::from(vec![5, 7]))).1, ["9"]);
    let fraction = TimestampMillisecondArray::from(vec![0, 250]).with_timezone("+02:00");
    assert_eq!(
        of(column(fraction)),
        (
            vec!["1970-01-01T02:00:00.000+02:00".to_owned(), "1970-01-01T02:00:00.250+02:00".to_owned()],
            vec!["1970-01-01T02:00:00.500+02:00".to_owned()]
        )
    );
}

#[test]
fn days_of_a_named_zone_follow_its_clock() {
    // Midnights in Berlin before the clock was set back at 03:00 of 30 October.
    let times = TimestampSecondArray::from(vec![MIDNIGHT - DAY, MIDNIGHT]).with_timezone("Europe/Berlin");
    let values = column(Float64Array::from(vec![1.0, 2.0]));
    let [series] = series(long(ids(&["a", "a"]), column(times), values)).try_into().expect("one series");
    assert_eq!(stamps(&series), ["2016-10-28T00:00:00+02:00", "2016-10-29T00:00:00+02:00"]);
    let future = series.future(3).expect("in range").texts();
    assert_eq!(
        future,
        ["2016-10-30T00:00:00+02:00", "2016-10-31T00:00:00+01:00", "2016-11-01T00:00:00+01:00"]
    );

    let times = TimestampSecondArray::from(vec![0, DAY]).with_timezone("Atlantis/Capital");
    let values = column(Float64Array::from(vec![1.0, 2.0]));
    assert!(matches!(problem(long(ids(&["a", "a"]), column(times), values)), Problem::UnknownZone { .. }));
}

#[test]
fn a_wide_table_is_read_column_by_column() {
    let file = parquet(vec![
        ("b", column(Float64Array::from(vec![1.0, 2.0, 4.0]))),
        ("__index_level_0__", column(TimestampSecondArray::from(vec![0, 3600, 3 * 3600]))),
        ("a", column(Int64Array::from(vec![Some(5), None, Some(7)]))),
    ]);
    // Even a memory limit below the table's size: columns are read one after the other.
    for options in [ReadOptions::new(), ReadOptions::new().memory(400)] {
        let series = series_with(options, file.clone());
        assert_eq!(series.iter().map(|series| series.id.as_str()).collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(present(&series[1].values), [Some(5.0), None, None, Some(7.0)]);
        assert_eq!(stamps(&series[0])[3], "1970-01-01 03:00:00");
        assert_eq!(series[0].rows.get(3), Some(3));
    }
    let error = problem_with(ReadOptions::new().memory(100), file);
    assert!(matches!(error, Problem::TooLarge { .. }), "{error}");
}

#[test]
fn a_list_in_every_row_is_a_series() {
    let mut lists = ListBuilder::new(Float64Builder::new());
    lists.append_value([Some(1.0), None, Some(3.0)]);
    lists.append_null();
    lists.append_value([Some(4.0), Some(5.0)]);
    let file = parquet(vec![
        ("start", column(Date32Array::from(vec![17_103, 17_103, 17_103]))),
        ("target", column(lists.finish())),
        ("item_id", ids(&["a", "b", "c"])),
        ("freq", ids(&["D", "D", "MS"])),
    ]);
    let entries = entries(ReadOptions::new(), file).expect("a sound file");
    let a = entries[0].series.as_ref().expect("a sound series");
    assert_eq!((a.id.as_str(), present(&a.values)), ("a", vec![Some(1.0), None, Some(3.0)]));
    assert_eq!(stamps(a), ["2016-10-29", "2016-10-30", "2016-10-31"]);
    assert_eq!(entries[1].series, Err(SeriesError::TooShort { points: 0 }));
    assert_eq!(entries[2].id, "c");
}

#[test]
fn every_compression_and_many_row_groups_are_read() -> Result<(), Box<dyn std::error::Error>> {
    let compressions = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::ZSTD(ZstdLevel::default()),
    ];
    for compression in compressions {
        let names: Vec<String> = (0..1000).map(|row| format!("s{}", row / 100)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let file = parquet_with(
            compression,
            64,
            vec![
                ("unique_id", ids(&names)),
                ("y", column((0..1000).map(f64::from).collect::<Float64Array>())),
            ],
        );
        let series = series(file.clone());
        assert_eq!(series.len(), 10);
        assert_eq!(series[9].values.last(), Some(&999.0));
        // As a whole file in gzip, and by its path.
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&file)?;
        assert_eq!(support::series(gzip.finish()?), series);
        let path = tempfile::NamedTempFile::new()?;
        std::fs::write(path.path(), &file)?;
        let mut reader = ReadOptions::new().open(path.path())?;
        assert_eq!(reader.by_ref().count(), 10);
        assert_eq!(reader.progress(), Some(1.0));
    }
    Ok(())
}

#[test]
fn what_is_wrong_is_said_with_row_and_column() {
    let times = || column(Int64Array::from(vec![1, 2]));
    let values = || column(Float64Array::from(vec![1.0, 2.0]));
    let infinite =
        problem(long(ids(&["a", "a"]), times(), column(Float64Array::from(vec![1.0, f64::INFINITY]))));
    assert!(matches!(infinite, Problem::Table(csv::Problem::Infinite { row: 2, .. })), "{infinite}");
    let null_id = problem(long(column(StringArray::from(vec![Some("a"), None])), times(), values()));
    assert!(matches!(null_id, Problem::MissingId { row: 2, .. }), "{null_id}");
    let null_time = problem(long(ids(&["a", "a"]), column(Int64Array::from(vec![Some(1), None])), values()));
    assert!(matches!(null_time, Problem::Table(csv::Problem::Time { row: 2, .. })), "{null_time}");
    let text = problem(long(ids(&["a", "a"]), times(), ids(&["1", "2"])));
    assert!(text.to_string().contains("column \"y\" holds Utf8"), "{text}");
    let wide = problem(parquet(vec![("ds", times()), ("note", ids(&["x", "y"])), ("a", values())]));
    assert!(matches!(&wide, Problem::ColumnType { column, .. } if column == "note"), "{wide}");
    let named = ReadOptions::new().columns(Columns { target: Some("sold".to_owned()), ..Columns::default() });
    assert!(matches!(problem_with(named, parquet(vec![("a", values())])), Problem::NoColumn { .. }));
    let empty =
        problem(parquet(vec![("unique_id", ids(&[])), ("y", column(Float64Array::from(Vec::<f64>::new())))]));
    assert!(matches!(empty, Problem::Empty), "{empty}");
}

fn small_file() -> Vec<u8> {
    let names: Vec<String> = (0..60).map(|row| format!("series {}", row / 20)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    parquet_with(
        Compression::SNAPPY,
        32,
        vec![
            ("unique_id", ids(&names)),
            ("ds", column((0..60).collect::<Int64Array>())),
            ("y", column((0..60).map(f64::from).collect::<Float64Array>())),
        ],
    )
}

#[test]
fn a_truncated_file_is_an_error_wherever_it_ends() {
    let whole = small_file();
    for end in 4..whole.len() {
        let error = problem(&whole[..end]);
        assert!(matches!(error, Problem::Parquet { .. }), "{end}: {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_file_is_read_or_refused_without_a_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = small_file();
        for (index, byte) in changes {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        if let Err(error) = entries(ReadOptions::new(), bytes) {
            prop_assert!(!error.to_string().contains('\n'));
        }
    }
}
