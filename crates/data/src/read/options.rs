//! What to read and how.

use std::fs::File;
use std::io::{BufRead, Cursor, Read};
use std::path::Path;
use std::str::FromStr;

use crate::csv::{self, Records};
use crate::frequency::Frequency;
use crate::missing::Missing;
use crate::read::csv_long::LongCsv;
use crate::read::csv_wide::WideCsv;
use crate::read::error::{Problem, ReadError};
use crate::read::input::{self, Counter, Input};
use crate::read::jsonl::JsonLines;
use crate::read::memory::DEFAULT_MEMORY;
use crate::read::reader::SeriesReader;
use crate::read::source::Source;
use crate::read::{columns, parquet};
use crate::regular::GapPolicy;

/// The kinds of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Comma- (or semicolon-, or tab-) separated values with a header.
    Csv,
    /// Apache Parquet.
    Parquet,
    /// One JSON object per line.
    JsonLines,
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Self::Csv => "CSV",
            Self::Parquet => "Parquet",
            Self::JsonLines => "JSON lines",
        }
    }
}

/// How series lie in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// Long when the columns for it are named or have known names, wide otherwise.
    #[default]
    Auto,
    /// A column for every series.
    Wide,
    /// A row for every series and time stamp.
    Long,
}

/// Names of columns, where they are not the usual ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Columns {
    /// Which series a row belongs to.
    pub id: Option<String>,
    /// The time stamps.
    pub time: Option<String>,
    /// The values.
    pub target: Option<String>,
}

/// Opens files of series; see the [module](crate::read) for what is read.
#[derive(Debug, Clone)]
pub struct ReadOptions {
    pub(super) format: Option<Format>,
    pub(super) layout: Layout,
    pub(super) columns: Columns,
    pub(super) frequency: Option<Frequency>,
    pub(super) gaps: GapPolicy,
    pub(super) missing: Missing,
    pub(super) memory: usize,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl ReadOptions {
    /// Any kind of file, the layout seen from the columns, the frequency inferred, gaps filled with
    /// missing points and these left as NaN.
    #[must_use]
    pub fn new() -> Self {
        Self {
            format: None,
            layout: Layout::default(),
            columns: Columns::default(),
            frequency: None,
            gaps: GapPolicy::default(),
            missing: Missing::default(),
            memory: DEFAULT_MEMORY,
        }
    }

    /// Expects one kind of file and refuses others.
    #[must_use]
    pub fn format(self, format: Format) -> Self {
        Self { format: Some(format), ..self }
    }

    /// Says how the series lie in the table.
    #[must_use]
    pub fn layout(self, layout: Layout) -> Self {
        Self { layout, ..self }
    }

    /// Names the columns. A column for the id or the target makes the table long.
    #[must_use]
    pub fn columns(self, columns: Columns) -> Self {
        Self { columns, ..self }
    }

    /// Gives the frequency of every series rather than inferring it from each.
    #[must_use]
    pub fn frequency(self, frequency: Frequency) -> Self {
        Self { frequency: Some(frequency), ..self }
    }

    /// What to do with gaps, repeated time stamps and rows out of order.
    #[must_use]
    pub fn gaps(self, gaps: GapPolicy) -> Self {
        Self { gaps, ..self }
    }

    /// What to do with missing points.
    #[must_use]
    pub fn missing(self, missing: Missing) -> Self {
        Self { missing, ..self }
    }

    /// How much may be held at once, in bytes; [`DEFAULT_MEMORY`] unless said. Long files that are
    /// larger must be sorted by id.
    #[must_use]
    pub fn memory(self, bytes: usize) -> Self {
        Self { memory: bytes, ..self }
    }

    /// Opens a file.
    ///
    /// # Errors
    /// When the file cannot be opened, or its beginning shows that it cannot be read.
    pub fn open(self, path: &Path) -> Result<SeriesReader, ReadError> {
        let label = path.display().to_string();
        let counter = Counter::default();
        let opened = File::open(path).and_then(|file| {
            let metadata = file.metadata()?;
            let total = metadata.is_file().then_some(metadata.len());
            Ok((input::of_file(file, &counter)?, total))
        });
        match opened {
            Ok((input, total)) => self.start(input, label, counter, total),
            Err(error) => Err(ReadError { file: label, problem: error.into() }),
        }
    }

    /// Reads a stream such as standard input; `label` stands for the file's name in errors. Parquet
    /// is copied to a temporary file first, because it is read from its end.
    ///
    /// # Errors
    /// When the stream's beginning shows that it cannot be read.
    pub fn read<R: Read + Send + 'static>(
        self,
        reader: R,
        label: impl Into<String>,
    ) -> Result<SeriesReader, ReadError> {
        let label = label.into();
        let counter = Counter::default();
        match input::of_stream(reader, &counter) {
            Ok(input) => self.start(input, label, counter, None),
            Err(error) => Err(ReadError { file: label, problem: error.into() }),
        }
    }

    fn start(
        self,
        (input, format): (Input, Format),
        label: String,
        counter: Counter,
        total: Option<u64>,
    ) -> Result<SeriesReader, ReadError> {
        match self.source(input, format) {
            Ok(source) => Ok(SeriesReader::new(source, self, label, format, counter, total)),
            Err(problem) => Err(ReadError { file: label, problem }),
        }
    }

    fn source(&self, input: Input, format: Format) -> Result<Box<dyn Source>, Problem> {
        if let Some(expected) = self.format.filter(|expected| *expected != format) {
            return Err(Problem::Format { found: format.name(), expected: expected.name() });
        }
        match input {
            Input::Parquet(file) => parquet::open(file, self),
            Input::Text(text) if format == Format::JsonLines => Ok(Box::new(JsonLines::new(text))),
            Input::Text(text) => self.csv(text),
        }
    }

    fn csv(&self, mut text: Box<dyn BufRead + Send>) -> Result<Box<dyn Source>, Problem> {
        let (delimiter, start) = csv::sniff(&mut text)?;
        let mut records = Records::new(Cursor::new(start).chain(text), delimiter);
        if !records.advance()? {
            return Err(csv::Problem::Empty.into());
        }
        let names = records.cells().map(|cell| cell.map(str::to_owned)).collect::<Result<Vec<_>, _>>()?;
        Ok(match columns::long(&names, &self.columns, self.layout)? {
            Some(columns) => Box::new(LongCsv::new(records, names, columns, self.memory)),
            None => {
                let time = columns::given(&names, self.columns.time.as_deref())?;
                Box::new(WideCsv::read(records, &names, time, self)?)
            }
        })
    }
}

/// A word that is none of those expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not one of {expected}")]
pub struct UnknownWord {
    text: String,
    expected: &'static str,
}

/// Reads an option's value from its name on the command line.
macro_rules! from_words {
    ($type:ty, $expected:literal, $($word:literal => $value:expr),+ $(,)?) => {
        impl FromStr for $type {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok($value),)+
                    _ => Err(UnknownWord { text: text.to_owned(), expected: $expected }),
                }
            }
        }
    };
}

from_words!(GapPolicy, "fill-missing, error", "fill-missing" => Self::FillMissing, "error" => Self::Error);
from_words!(
    Missing, "mask, interpolate, error",
    "mask" => Self::Mask, "interpolate" => Self::Interpolate, "error" => Self::Error,
);
from_words!(
    Layout, "auto, wide, long",
    "auto" => Self::Auto, "wide" => Self::Wide, "long" => Self::Long,
);
from_words!(
    Format, "csv, parquet, jsonl",
    "csv" => Self::Csv, "parquet" => Self::Parquet, "jsonl" => Self::JsonLines,
);
