//! Bytes of a file or a stream: decompressed, counted, and told apart by how they begin.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek as _, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;

use crate::read::Format;

/// How many bytes are read at a time.
const BUFFER: usize = 1 << 18;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const PARQUET: &[u8] = b"PAR1";
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// A stream of plain text, or a file of Parquet.
pub(super) enum Input {
    Text(Box<dyn BufRead + Send>),
    /// Parquet is read from its end, so that it must be a file; streams are copied to one.
    Parquet(File),
}

/// How much of an input was read.
#[derive(Debug, Clone, Default)]
pub(super) struct Counter(Arc<AtomicU64>);

impl Counter {
    pub(super) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Opens a file: Parquet as it is, all else as a stream.
pub(super) fn of_file(mut file: File, counter: &Counter) -> io::Result<(Input, Format)> {
    let mut start = [0; 4];
    let read = read_start(&mut file, &mut start)?;
    // A pipe that has a name cannot be wound back: its first bytes go before the rest.
    let is_file = file.metadata().is_ok_and(|metadata| metadata.is_file());
    if !is_file {
        let start = Cursor::new(start.get(..read).unwrap_or_default().to_vec());
        return of_stream(start.chain(file), counter);
    }
    file.seek(SeekFrom::Start(0))?;
    if start == PARQUET {
        return Ok((Input::Parquet(file), Format::Parquet));
    }
    of_stream(file, counter)
}

/// Opens a stream.
pub(super) fn of_stream(
    reader: impl Read + Send + 'static,
    counter: &Counter,
) -> io::Result<(Input, Format)> {
    let counted = Counted { reader, counter: counter.clone() };
    let mut plain = decompressed(BufReader::with_capacity(BUFFER, counted))?;
    // A chained reader shows its first part alone; fill_buf of one reader shows at least a byte.
    let mut start = vec![0; 1 << 10];
    let read = read_start(&mut plain, &mut start)?;
    start.truncate(read);
    let format = format_of(&start);
    let mut whole = BufReader::with_capacity(BUFFER, Cursor::new(start).chain(plain));
    if format == Format::Parquet {
        let mut file = tempfile::tempfile()?;
        io::copy(&mut whole, &mut file)?;
        return Ok((Input::Parquet(file), format));
    }
    Ok((Input::Text(Box::new(whole)), format))
}

fn decompressed(mut input: impl BufRead + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    let mut start = [0; 4];
    let read = read_start(&mut input, &mut start)?;
    let start = start.get(..read).unwrap_or_default();
    let whole = Cursor::new(start.to_vec()).chain(input);
    Ok(if start.starts_with(GZIP) {
        Box::new(MultiGzDecoder::new(BufReader::with_capacity(BUFFER, whole)))
    } else if start.starts_with(ZSTD) {
        Box::new(zstd::stream::read::Decoder::new(whole)?)
    } else {
        Box::new(whole)
    })
}

/// Text that begins with a brace is JSON; no header of a table does.
fn format_of(start: &[u8]) -> Format {
    if start.starts_with(PARQUET) {
        return Format::Parquet;
    }
    let text = start.strip_prefix(BYTE_ORDER_MARK).unwrap_or(start);
    match text.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') => Format::JsonLines,
        _ => Format::Csv,
    }
}

/// Fills the buffer as far as the stream goes.
fn read_start(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Counts what is read.
struct Counted<R> {
    reader: R,
    counter: Counter,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.counter.add(count as u64);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn text_of(bytes: Vec<u8>) -> io::Result<(String, Format)> {
        let (input, format) = of_stream(Cursor::new(bytes), &Counter::default())?;
        let Input::Text(mut text) = input else { return Err(io::ErrorKind::InvalidData.into()) };
        let mut read = String::new();
        text.read_to_string(&mut read)?;
        Ok((read, format))
    }

    #[test]
    fn compression_is_seen_and_several_members_are_one_stream() -> io::Result<()> {
        let mut gzip = Vec::new();
        for part in ["a,b\n", "1,2\n"] {
            let mut encoder = flate2::write::GzEncoder::new(&mut gzip, flate2::Compression::fast());
            encoder.write_all(part.as_bytes())?;
            encoder.finish()?;
        }
        let mut zstd = zstd::encode_all(&b"a,b\n"[..], 1)?;
        zstd.extend(zstd::encode_all(&b"1,2\n"[..], 1)?);
        for bytes in [b"a,b\n1,2\n".to_vec(), gzip, zstd] {
            assert_eq!(text_of(bytes)?, ("a,b\n1,2\n".to_owned(), Format::Csv));
        }
        assert_eq!(text_of(Vec::new())?.0, "");
        Ok(())
    }

    #[test]
    fn a_damaged_stream_is_an_error() -> io::Result<()> {
        let whole = zstd::encode_all(&[b'x'; 10_000][..], 1)?;
        let half = whole.get(..whole.len() / 2).unwrap_or_default().to_vec();
        assert!(text_of(half).is_err());
        Ok(())
    }

    #[test]
    fn formats_are_told_apart_by_their_first_bytes() {
        assert_eq!(format_of(b"PAR1\0"), Format::Parquet);
        assert_eq!(format_of(b"\xEF\xBB\xBF {\"sequence\""), Format::JsonLines);
        assert_eq!(format_of(b"date,y\n"), Format::Csv);
        assert_eq!(format_of(b""), Format::Csv);
    }
}
