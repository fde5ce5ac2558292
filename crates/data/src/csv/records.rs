//! Rows of text out of a stream of bytes, in bounded memory.

use std::io::{BufRead, Read};

use csv_core::ReadRecordResult;

use crate::csv::error::Problem;

/// The most bytes that one row may have: an unclosed quote or a file without line ends must not
/// fill the memory.
pub const MAX_RECORD_BYTES: usize = 64 << 20;

/// The most columns that a table may have.
pub const MAX_COLUMNS: usize = 100_000;

/// Splits a stream into rows of cells. One row is held at a time.
pub(crate) struct Records<R> {
    input: R,
    parser: csv_core::Reader,
    text: Vec<u8>,
    /// Where each cell ends in `text`.
    ends: Vec<usize>,
    cells: usize,
    row: u64,
    lines_read: u64,
}

impl<R: BufRead> Records<R> {
    pub(crate) fn new(input: R, delimiter: u8) -> Self {
        Self {
            input,
            parser: csv_core::ReaderBuilder::new().delimiter(delimiter).build(),
            text: vec![0; 1 << 12],
            ends: vec![0; 1 << 6],
            cells: 0,
            row: 0,
            lines_read: 0,
        }
    }

    /// Reads the next row that is not an empty line; `false` at the end of the input.
    pub(crate) fn advance(&mut self) -> Result<bool, Problem> {
        self.skip_line_ends()?;
        self.row = self.lines_read + 1;
        self.cells = 0;
        let (mut written, mut ended) = (0, 0);
        loop {
            let input = self.input.fill_buf()?;
            let text = self.text.get_mut(written..).unwrap_or_default();
            let ends = self.ends.get_mut(ended..).unwrap_or_default();
            let (result, consumed, new_text, new_ends) = self.parser.read_record(input, text, ends);
            self.lines_read += line_ends(input.get(..consumed).unwrap_or_default());
            self.input.consume(consumed);
            written += new_text;
            ended += new_ends;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if self.text.len() >= MAX_RECORD_BYTES => {
                    return Err(Problem::RowTooLong { row: self.row });
                }
                ReadRecordResult::OutputFull => {
                    self.text.resize((self.text.len() * 2).min(MAX_RECORD_BYTES), 0)
                }
                ReadRecordResult::OutputEndsFull if self.ends.len() > MAX_COLUMNS => {
                    return Err(Problem::TooManyColumns { row: self.row });
                }
                ReadRecordResult::OutputEndsFull => {
                    self.ends.resize((self.ends.len() * 2).min(MAX_COLUMNS + 1), 0)
                }
                ReadRecordResult::Record if ended > MAX_COLUMNS => {
                    return Err(Problem::TooManyColumns { row: self.row });
                }
                ReadRecordResult::Record => {
                    self.cells = ended;
                    return Ok(true);
                }
                ReadRecordResult::End => return Ok(false),
            }
        }
    }

    /// The line of the file on which the current row begins, from 1.
    pub(crate) fn row(&self) -> u64 {
        self.row
    }

    /// The number of cells in the current row.
    pub(crate) fn len(&self) -> usize {
        self.cells
    }

    /// The cells of the current row, without spaces around them.
    pub(crate) fn cells(&self) -> impl Iterator<Item = Result<&str, Problem>> {
        (0..self.cells).map(|column| self.cell(column))
    }

    /// A cell of the current row (from 0), without spaces around it; empty beyond the last.
    pub(crate) fn cell(&self, column: usize) -> Result<&str, Problem> {
        let ends = self.ends.get(..self.cells).unwrap_or_default();
        let start = column.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
        let end = ends.get(column).copied().unwrap_or(start);
        let text = std::str::from_utf8(self.text.get(start..end).unwrap_or_default());
        text.map(str::trim).map_err(|_| Problem::NotUtf8 { row: self.row, column: column + 1 })
    }

    /// Line ends before a row are empty lines, or what is left of the row before; the parser would
    /// skip them too, but would count them to the row that follows.
    fn skip_line_ends(&mut self) -> Result<(), Problem> {
        loop {
            let input = self.input.fill_buf()?;
            let count = input.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
            self.lines_read += line_ends(input.get(..count).unwrap_or_default());
            self.input.consume(count);
            if count == 0 {
                return Ok(());
            }
        }
    }
}

fn line_ends(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

/// Reads the first line that is not empty, with all before it, and finds the separator in it: of
/// comma, semicolon and tab the one that occurs most outside quotes, a comma when none does.
///
/// Returns the separator and the bytes read, without a byte order mark.
pub(crate) fn sniff(input: &mut impl BufRead) -> Result<(u8, Vec<u8>), Problem> {
    const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
    let mut read = Vec::new();
    let mut row = 1;
    loop {
        let start = read.len();
        let room = u64::try_from(MAX_RECORD_BYTES.saturating_sub(start)).unwrap_or(u64::MAX);
        let count = input.by_ref().take(room).read_until(b'\n', &mut read)?;
        if start == 0 && read.starts_with(BYTE_ORDER_MARK) {
            read.drain(..BYTE_ORDER_MARK.len());
        }
        let line = read.get(start..).unwrap_or_default();
        let is_empty = line.iter().all(|byte| matches!(byte, b'\n' | b'\r'));
        if read.len() >= MAX_RECORD_BYTES {
            return Err(Problem::RowTooLong { row });
        }
        if count > 0 && is_empty {
            row += 1;
            continue;
        }
        let mut quoted = false;
        let mut counts = [(b',', 0_usize), (b';', 0), (b'\t', 0)];
        for &byte in line {
            quoted ^= byte == b'"';
            for (delimiter, count) in &mut counts {
                *count += usize::from(!quoted && byte == *delimiter);
            }
        }
        // `max_by_key` takes the last of equals: the comma comes first, so look from behind.
        let delimiter =
            counts.iter().rev().max_by_key(|(_, count)| *count).map_or(b',', |(delimiter, _)| *delimiter);
        return Ok((delimiter, read));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_separator_is_found_in_the_first_line_outside_quotes() {
        let sniffed = |mut text: &[u8]| sniff(&mut text).map(|(delimiter, _)| delimiter).ok();
        assert_eq!(sniffed(b"a,b,c\n1;2;3;4\n"), Some(b','));
        assert_eq!(sniffed(b"\r\n\na;b\n"), Some(b';'));
        assert_eq!(sniffed(b"a\tb, c\td\n"), Some(b'\t'));
        assert_eq!(sniffed(b"\"a;b;c\",d\n"), Some(b','));
        assert_eq!(sniffed(b"a\n1\n"), Some(b','));
        assert_eq!(sniffed(b""), Some(b','));
    }

    #[test]
    fn rows_know_their_line_whatever_the_line_ends_and_empty_lines_are() {
        for text in ["a,b\n1,2\n\n3,4\n", "a,b\r\n1,2\r\n\r\n3,4", "a,b\n\"1\",2\n\n3,4"] {
            let mut records = Records::new(text.as_bytes(), b',');
            let mut rows = Vec::new();
            while records.advance().expect("valid") {
                rows.push((records.row(), records.len()));
            }
            assert_eq!(rows, [(1, 2), (2, 2), (4, 2)], "{text:?}");
        }
        let mut records = Records::new("\"a\nb\",c\n1,2\n".as_bytes(), b',');
        assert!(records.advance().is_ok_and(|more| more) && records.advance().is_ok_and(|more| more));
        assert_eq!(records.row(), 3);
    }

    #[test]
    fn an_endless_row_is_refused_in_bounded_memory() {
        let mut letters = std::io::BufReader::new(std::io::repeat(b'x'));
        assert!(matches!(sniff(&mut letters), Err(Problem::RowTooLong { row: 1 })));
        let unclosed_quote = std::io::BufReader::new(b"a\n\"".chain(std::io::repeat(b'\n')));
        let mut records = Records::new(unclosed_quote, b',');
        assert!(records.advance().is_ok_and(|more| more));
        assert!(matches!(records.advance(), Err(Problem::RowTooLong { row: 2 })));
        assert!(records.text.len() <= MAX_RECORD_BYTES);
    }

    #[test]
    fn endless_columns_are_refused_in_bounded_memory() {
        let mut records = Records::new(std::io::BufReader::new(std::io::repeat(b',')), b',');
        assert!(matches!(records.advance(), Err(Problem::TooManyColumns { row: 1 })));
        let most = ",".repeat(MAX_COLUMNS - 1);
        let mut records = Records::new(most.as_bytes(), b',');
        assert!(records.advance().is_ok_and(|more| more));
        assert_eq!(records.len(), MAX_COLUMNS);
        let one_more = ",".repeat(MAX_COLUMNS);
        assert!(matches!(
            Records::new(one_more.as_bytes(), b',').advance(),
            Err(Problem::TooManyColumns { row: 1 })
        ));
    }
}
