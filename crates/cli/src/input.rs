//! The arguments that say which series to read, the same for every command that reads some.

use std::path::{Path, PathBuf};

use tmoe_data::read::{Columns, Format, Layout, ReadError, ReadOptions, SeriesReader};
use tmoe_data::{Frequency, GapPolicy, Missing};

/// Which file, and how it is read.
#[derive(clap::Args)]
pub(crate) struct InputArguments {
    /// File of series, or - for standard input: CSV, Parquet or JSON lines, plain or compressed with gzip or zstd
    ///
    /// Wide: an optional column of time stamps, and one column per series. Long: columns for the id, the time and the value, found
    /// by their usual names (unique_id, ds, y; item_id, timestamp, target), or named below. JSON lines: {"sequence": [...]}.
    /// Empty cells and NaN are missing points.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) input: PathBuf,
    /// Kind of file: csv, parquet or jsonl; seen from its first bytes unless said
    #[arg(long, value_name = "KIND")]
    input_format: Option<Format>,
    /// How series lie in the table: auto, wide or long
    #[arg(long, value_name = "LAYOUT", default_value = "auto")]
    layout: Layout,
    /// Column of a long table that says which series a row belongs to
    #[arg(long, value_name = "NAME")]
    id_column: Option<String>,
    /// Column of time stamps
    #[arg(long, value_name = "NAME")]
    time_column: Option<String>,
    /// Column of a long table that holds the values
    #[arg(long, value_name = "NAME")]
    target_column: Option<String>,
    /// Step of the time stamps, as 15min, h, D, B, W, ME, QE or YE; inferred from each series unless said
    #[arg(long, value_name = "STEP")]
    freq: Option<Frequency>,
    /// What to do where time stamps are left out, repeated or out of order: fill-missing or error
    #[arg(long, value_name = "POLICY", default_value = "fill-missing")]
    gaps: GapPolicy,
    /// What to do with missing points: mask (the model is told), interpolate or error
    #[arg(long, value_name = "POLICY", default_value = "mask")]
    missing: Missing,
    /// Most MB of a file that are held at once; long tables beyond that must be sorted by id
    #[arg(long, value_name = "MB")]
    read_memory: Option<usize>,
}

impl InputArguments {
    /// Opens the file.
    pub(crate) fn open(&self) -> Result<SeriesReader, ReadError> {
        self.open_with(self.gaps)
    }

    /// Opens the file for its rows as they stand, unless gaps in time are to be refused.
    pub(crate) fn open_rows(&self) -> Result<SeriesReader, ReadError> {
        self.open_with(match self.gaps {
            GapPolicy::FillMissing => GapPolicy::Ignore,
            policy => policy,
        })
    }

    fn open_with(&self, gaps: GapPolicy) -> Result<SeriesReader, ReadError> {
        let mut options =
            ReadOptions::new().layout(self.layout).gaps(gaps).missing(self.missing).columns(Columns {
                id: self.id_column.clone(),
                time: self.time_column.clone(),
                target: self.target_column.clone(),
            });
        if let Some(format) = self.input_format {
            options = options.format(format);
        }
        if let Some(frequency) = self.freq {
            options = options.frequency(frequency);
        }
        if let Some(megabytes) = self.read_memory {
            options = options.memory(megabytes.saturating_mul(1_000_000));
        }
        match self.input == Path::new("-") {
            true => options.read(std::io::stdin(), "standard input"),
            false => options.open(&self.input),
        }
    }
}
