//! Series out of any file: CSV, JSON lines and Parquet, plain or compressed, told apart by their
//! bytes. A first byte chooses among the options.

#![no_main]

use std::io::Cursor;
use std::sync::Once;

use libfuzzer_sys::fuzz_target;
use tmoe_data::read::{Entry, Layout, ReadOptions};
use tmoe_data::{GapPolicy, Missing};

/// More than the inputs need and little enough that a reader that keeps to it is seen not to grow.
const MEMORY: usize = 1 << 20;

/// Decoders of Parquet panic on some damaged files, which the reader catches. The fuzzer would end the
/// process at the panic; without its hook, it ends at those that nobody catches.
static PANICS: Once = Once::new();

fuzz_target!(|bytes: &[u8]| {
    PANICS.call_once(|| std::panic::set_hook(Box::new(|panic| eprintln!("{panic}"))));
    let Some((&choice, bytes)) = bytes.split_first() else { return };
    let options = ReadOptions::new()
        .memory(MEMORY)
        .layout([Layout::Auto, Layout::Long, Layout::Wide][usize::from(choice % 3)])
        .gaps([GapPolicy::FillMissing, GapPolicy::Error][usize::from(choice / 3 % 2)])
        .missing([Missing::Mask, Missing::Interpolate, Missing::Error][usize::from(choice / 6 % 3)]);
    let reader = match options.read(Cursor::new(bytes.to_vec()), "input") {
        Ok(reader) => reader,
        Err(error) => return check_line(&error.to_string()),
    };
    let mut ended = false;
    for (index, entry) in reader.enumerate() {
        assert!(!ended, "nothing follows an error");
        match entry {
            Ok(entry) => check_entry(&entry, index, choice),
            Err(error) => {
                check_line(&error.to_string());
                ended = true;
            }
        }
    }
});

fn check_entry(entry: &Entry, index: usize, choice: u8) {
    assert_eq!(entry.index, index as u64);
    let series = match &entry.series {
        Ok(series) => series,
        Err(error) => return check_line(&error.to_string()),
    };
    assert!(series.values.len() >= 2 && series.values.len() == series.rows.len());
    assert!(series.values.iter().all(|value| !value.is_infinite()));
    assert_eq!(series.missing, series.values.iter().filter(|value| value.is_nan()).count());
    assert!(series.missing < series.values.len());
    assert!(choice / 6 % 3 == 0 || series.missing == 0);
    if let Some(time) = &series.time {
        assert_eq!(time.len(), series.values.len());
        if let Ok(future) = series.future(3) {
            assert_eq!(future.len(), 3);
        }
    }
}

fn check_line(error: &str) {
    assert!(!error.contains('\n'), "one line: {error}");
}
