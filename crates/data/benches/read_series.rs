//! How fast series are read: a long table of hourly series in Parquet and in CSV, sorted by series,
//! from one time stamp, one id and one value in every row to series on regular axes.
//!
//! Files are in memory for CSV and in a temporary folder for Parquet, which the system then holds in
//! memory too: no disk is measured. Throughput is in values (elements).

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tmoe_data::TimeColumn;
use tmoe_data::read::{ReadOptions, SeriesReader};
use tmoe_data::write::{Block, OutputFormat, WriteOptions};

const SERIES: usize = 1000;
const POINTS: usize = 512;

/// Writes the table with the crate's own writer and returns it.
fn table(format: OutputFormat) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("table");
    let start = jiff::civil::date(2016, 7, 1).at(0, 0, 0, 0);
    let stamp = |row: usize| {
        let time = start + jiff::SignedDuration::from_hours(row as i64);
        time.strftime("%Y-%m-%d %H:%M:%S").to_string()
    };
    let texts: Vec<String> = (0..POINTS).map(stamp).collect();
    let time = TimeColumn::from_texts("ds", texts.iter().map(String::as_str)).expect("time stamps");
    let mut writer = WriteOptions::new(format, ["y"]).create(&path, true).expect("a file");
    for series in 0..SERIES {
        let value = |point: usize| 20.0 * ((series * POINTS + point) as f32 * 0.37).sin();
        let values: Vec<f32> = (0..POINTS).map(value).collect();
        let id = format!("series-{series:06}");
        let block = Block { id: &id, time: Some(&time), columns: &[&values], history: None };
        writer.append(&block).expect("a file");
    }
    writer.finish().expect("a file");
    std::fs::read(path).expect("a file")
}

fn count(reader: SeriesReader) -> usize {
    reader.map(|entry| entry.expect("sound").series.expect("sound").values.len()).sum()
}

fn read_series(c: &mut Criterion) {
    let mut group = c.benchmark_group("long-1000-series-x-512");
    group.throughput(Throughput::Elements((SERIES * POINTS) as u64)).sample_size(10);
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), table(OutputFormat::Parquet)).expect("a temporary file");
    group.bench_function("parquet", |b| {
        b.iter(|| {
            let reader = ReadOptions::new().open(black_box(file.path())).expect("sound");
            assert_eq!(count(reader), SERIES * POINTS);
        });
    });
    let csv = table(OutputFormat::Csv);
    group.bench_function("csv", |b| {
        b.iter(|| {
            let reader = ReadOptions::new().read(std::io::Cursor::new(csv.clone()), "bench").expect("sound");
            assert_eq!(count(reader), SERIES * POINTS);
        });
    });
    group.finish();
}

criterion_group!(benches, read_series);
criterion_main!(benches);
