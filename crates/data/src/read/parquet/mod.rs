//! Parquet: long and wide tables as in CSV, and tables with a list of values in every row.
//!
//! Columns are recognised by their names, and the time axis also by its type: time stamps with or
//! without a zone, dates, whole numbers or text. Pages are decoded one at a time, so that memory does
//! not grow with the file.

mod batches;
mod bytes;
mod cells;
mod lists;
mod long;
mod times;
mod wide;

use std::fs::File;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::Compression;
use parquet::file::metadata::ParquetMetaData;

use self::batches::guard;
use crate::csv::{self, COUNTER_NAMES, MAX_COLUMNS, TIME_NAMES};
use crate::read::columns::{self, TARGET_NAMES};
use crate::read::error::{Problem, listed};
use crate::read::source::Source;
use crate::read::{Layout, ReadOptions};

/// Opens a file.
pub(super) fn open(file: File, options: &ReadOptions) -> Result<Box<dyn Source>, Problem> {
    let table = Table::open(file)?;
    let names = table.names();
    if let Some(list) = list_column(&table, &names, options)? {
        return Ok(Box::new(lists::Lists::new(table, &names, list, options)?));
    }
    match columns::long(&names, &options.columns, options.layout)? {
        Some(long) => Ok(Box::new(long::Long::new(table, &names, long, options)?)),
        None => {
            let time = columns::given(&names, options.columns.time.as_deref())?;
            let time = time.or_else(|| time_column(&table.schema, &names));
            Ok(Box::new(wide::Wide::new(table, names, time, options)?))
        }
    }
}

/// An open file and what it says about itself.
pub(super) struct Table {
    file: File,
    metadata: ArrowReaderMetadata,
    schema: Arc<Schema>,
}

impl Table {
    fn open(file: File) -> Result<Self, Problem> {
        let options = ArrowReaderOptions::new();
        let metadata = guard(0, || ArrowReaderMetadata::load(&file, options))?;
        if metadata.schema().fields().len() > MAX_COLUMNS {
            return Err(csv::Problem::TooManyColumns { row: 1 }.into());
        }
        check_codecs(metadata.metadata())?;
        // Texts are looked at and not kept: views spare copying each.
        let viewed = Arc::new(Schema::new(
            metadata.schema().fields().iter().map(|field| as_view(field)).collect::<Vec<_>>(),
        ));
        let options = ArrowReaderOptions::new().with_schema(viewed);
        let viewed = guard(0, || ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), options));
        let metadata = viewed.unwrap_or(metadata);
        let schema = Arc::clone(metadata.schema());
        Ok(Self { file, metadata, schema })
    }

    fn names(&self) -> Vec<String> {
        self.schema.fields().iter().map(|field| field.name().clone()).collect()
    }

    /// The number of rows.
    fn rows(&self) -> u64 {
        u64::try_from(self.metadata.metadata().file_metadata().num_rows()).unwrap_or_default()
    }

    fn field(&self, column: usize) -> Result<&Field, Problem> {
        self.schema.fields().get(column).map(AsRef::as_ref).ok_or(Problem::Empty)
    }
}

fn check_codecs(metadata: &ParquetMetaData) -> Result<(), Problem> {
    use Compression::{GZIP, SNAPPY, UNCOMPRESSED, ZSTD};
    for chunk in metadata.row_groups().iter().flat_map(|group| group.columns()) {
        let codec = chunk.compression();
        if !matches!(codec, UNCOMPRESSED | SNAPPY | GZIP(_) | ZSTD(_)) {
            let (column, codec) = (chunk.column_path().string(), codec.to_string().to_lowercase());
            return Err(Problem::Codec { column, codec });
        }
    }
    Ok(())
}

fn as_view(field: &Field) -> Field {
    match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 => field.clone().with_data_type(DataType::Utf8View),
        _ => field.clone(),
    }
}

fn is_list(field: &Field) -> bool {
    use DataType::{FixedSizeList, LargeList, List};
    let (List(item) | LargeList(item) | FixedSizeList(item, _)) = field.data_type() else { return false };
    cells::is_number(item.data_type())
}

/// The column of lists of values: the one that was named, or has a known name, or is the only one.
fn list_column(table: &Table, names: &[String], options: &ReadOptions) -> Result<Option<usize>, Problem> {
    let fields = table.schema.fields();
    let is_list = |column: &usize| fields.get(*column).is_some_and(|field| is_list(field));
    if options.layout == Layout::Wide {
        return Ok(None);
    }
    if let Some(target) = columns::given(names, options.columns.target.as_deref())? {
        return Ok(Some(target).filter(is_list));
    }
    if let Some(known) = columns::known(names, &TARGET_NAMES) {
        return Ok(Some(known).filter(is_list));
    }
    let lists: Vec<usize> = (0..names.len()).filter(is_list).collect();
    match *lists.as_slice() {
        [] => Ok(None),
        [list] => Ok(Some(list)),
        _ => Err(Problem::UnknownColumn {
            role: "values",
            columns: listed(lists.iter().filter_map(|list| names.get(*list)).map(String::as_str)),
        }),
    }
}

/// The time axis of a wide table: the first column with time stamps, or with a name of one; or a first column that counts.
fn time_column(schema: &Schema, names: &[String]) -> Option<usize> {
    let is_stamp = |field: &Field| {
        matches!(field.data_type(), DataType::Timestamp(..) | DataType::Date32 | DataType::Date64)
    };
    let by_type = schema.fields().iter().position(|field| is_stamp(field));
    let counts = || {
        let is_counter = |field: &Field, name: &String| {
            field.data_type().is_integer()
                && COUNTER_NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
        };
        schema
            .fields()
            .first()
            .zip(names.first())
            .is_some_and(|(field, name)| is_counter(field, name))
            .then_some(0)
    };
    by_type.or_else(|| columns::known(names, &TIME_NAMES)).or_else(counts)
}

/// A column that is of no use where it stands.
fn wrong_type(field: &Field, expected: &'static str) -> Problem {
    Problem::ColumnType { column: field.name().clone(), found: field.data_type().to_string(), expected }
}
