//! How fast a wide table is read, next to copying its bytes.
//!
//! The table is as tall and as wide as the hourly benchmark data sets that forecasters use: 20,000
//! rows of a time stamp and seven series. It is read from memory, so that no disk is measured.

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tmoe_data::csv;

const ROWS: usize = 20_000;
const SERIES: usize = 7;

/// Hourly rows with as many digits as sensors write; every 50th cell is missing.
fn table() -> String {
    let mut text = String::from("date,HUFL,HULL,MUFL,MULL,LUFL,LULL,OT\n");
    let start = jiff::civil::date(2016, 7, 1).at(0, 0, 0, 0);
    for row in 0..ROWS {
        let time = start + jiff::SignedDuration::from_hours(row as i64);
        let _ = write!(text, "{}", time.strftime("%Y-%m-%d %H:%M:%S"));
        for series in 0..SERIES {
            let cell = row * SERIES + series;
            if cell.is_multiple_of(50) {
                text.push(',');
            } else {
                let value = 20.0 * (cell as f64 * 0.37).sin();
                let _ = write!(text, ",{value:.6}");
            }
        }
        text.push('\n');
    }
    text
}

fn read_csv(c: &mut Criterion) {
    let text = table();
    let mut group = c.benchmark_group("csv-20k-rows-x-7");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("read", |b| {
        b.iter(|| {
            let table = csv::read(black_box(text.as_bytes()), "bench.csv").expect("the table is valid");
            assert_eq!((table.rows(), table.series.len()), (ROWS, SERIES));
            table
        });
    });
    let mut copy = vec![0; text.len()];
    group.bench_function("memcpy", |b| {
        b.iter(|| black_box(copy.as_mut_slice()).copy_from_slice(black_box(text.as_bytes())));
    });
    group.finish();
}

criterion_group!(benches, read_csv);
criterion_main!(benches);
