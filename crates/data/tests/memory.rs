//! Reading and writing many series takes memory for some of them, not for all.
//!
//! The one test here is its own process, so that the most memory the process ever held is its.
#![cfg(target_os = "linux")]

use std::path::Path;

use tmoe_data::TimeColumn;
use tmoe_data::read::ReadOptions;
use tmoe_data::write::{Block, OutputFormat, WriteOptions};

const POINTS: usize = 512;

type TestResult = Result<(), Box<dyn std::error::Error>>;

/// The most memory this process has held, in MiB.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux says");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("Linux says");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<usize>().ok()).expect("Linux says") >> 10
}

fn write(path: &Path, series: usize) -> TestResult {
    let start = jiff::civil::date(2016, 7, 1).at(0, 0, 0, 0);
    let stamp = |row: usize| (start + jiff::SignedDuration::from_hours(row as i64)).to_string();
    let texts: Vec<String> = (0..POINTS).map(stamp).collect();
    let time = TimeColumn::from_texts("ds", texts.iter().map(String::as_str)).map_err(|(_, error)| error)?;
    let mut writer = WriteOptions::new(OutputFormat::Parquet, ["y"]).create(path, true)?;
    for series in 0..series {
        let value = |point: usize| 20.0 * ((series * POINTS + point) as f32 * 0.37).sin();
        let values: Vec<f32> = (0..POINTS).map(value).collect();
        let id = format!("series-{series:06}");
        writer.append(&Block { id: &id, time: Some(&time), columns: &[&values], history: None })?;
    }
    Ok(writer.finish()?)
}

fn read(path: &Path, memory: usize) -> Result<usize, Box<dyn std::error::Error>> {
    let mut values = 0;
    for entry in ReadOptions::new().memory(memory).open(path)?.in_background(64) {
        values += entry?.series?.values.len();
    }
    Ok(values)
}

/// Held at once, the series of the file would take 80 MiB and more.
#[test]
fn a_file_of_many_series_is_written_and_read_in_little_memory() -> TestResult {
    const SERIES: usize = 5000;
    let file = tempfile::NamedTempFile::new()?;
    write(file.path(), SERIES)?;
    assert_eq!(read(file.path(), 4 << 20)?, SERIES * POINTS);
    assert!(peak() < 70, "{} MiB", peak());
    Ok(())
}

/// What the readers are made for. Takes a minute.
#[test]
#[ignore = "takes a minute and 500 MB of disk"]
fn a_hundred_thousand_series_are_read_below_one_gigabyte() -> TestResult {
    const SERIES: usize = 100_000;
    let file = tempfile::NamedTempFile::new()?;
    let clock = std::time::Instant::now();
    write(file.path(), SERIES)?;
    let written = clock.elapsed();
    assert_eq!(read(file.path(), tmoe_data::read::DEFAULT_MEMORY)?, SERIES * POINTS);
    let (read, bytes) = (clock.elapsed() - written, file.path().metadata()?.len());
    eprintln!("{bytes} bytes written in {written:?}, read in {read:?}, {} MiB at most", peak());
    assert!(peak() < 1000, "{} MiB", peak());
    Ok(())
}
