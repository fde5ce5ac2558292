//! Writes wide tables.

use std::io::{self, Write};

use ::csv::{QuoteStyle, WriterBuilder};

use crate::number::Number;
use crate::table::Table;

/// Writes a wide table: a header row, then one row per time stamp; missing points are empty cells,
/// numbers have the fewest digits that read back, lines end in `\n`.
///
/// # Errors
/// When a column's length differs from the table's, or the writer fails.
pub fn write<T: Number>(mut writer: impl Write, table: &Table<T>) -> io::Result<()> {
    table.check_lengths().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let time_name = table.time.iter().map(|time| time.name());
    let names = time_name.chain(table.series.iter().map(|series| series.name.as_str()));
    let mut header = WriterBuilder::new().quote_style(header_style(names.clone())).from_writer(&mut writer);
    header.write_record(names)?;
    header.flush()?;
    drop(header);

    let mut writer = ::csv::Writer::from_writer(writer);
    for row in 0..table.rows() {
        if let Some(time) = &table.time {
            writer.write_field(time.text(row).unwrap_or_default())?;
        }
        for series in &table.series {
            let value = series.values.get(row).filter(|value| !value.is_missing());
            writer.write_field(value.map(|value| value.to_text()).unwrap_or_default())?;
        }
        writer.write_record(None::<&[u8]>)?;
    }
    writer.flush()
}

/// How a header with these names is quoted.
pub(crate) fn header_style<'a>(mut names: impl Iterator<Item = &'a str>) -> QuoteStyle {
    // Readers take the separator from the header, outside quotes: a name must not look like one of
    // the other separators, nor its first character like a byte order mark.
    let misleads = names.any(|name| name.contains([';', '\t', '\u{feff}']));
    if misleads { QuoteStyle::Always } else { QuoteStyle::Necessary }
}
