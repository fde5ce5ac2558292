//! Series in portions: enough to be batched by length without much padding, and few enough that some portions fit into memory.

use tmoe_data::read::{Entry, ReadError};

/// Points of a chunk unless said otherwise: 1024 series of 512 points.
pub const CHUNK_POINTS: usize = 1 << 19;

/// The next entries, until they have as many points; `None` when there are no more. A series is never split. What was read before
/// an entry that cannot be read is dropped.
pub fn next_chunk(
    entries: &mut impl Iterator<Item = Result<Entry, ReadError>>,
    points: usize,
) -> Option<Result<Vec<Entry>, ReadError>> {
    let (mut chunk, mut held) = (Vec::new(), 0);
    while held < points {
        match entries.next() {
            Some(Ok(entry)) => {
                // What a series costs besides its points.
                held += 32 + entry.series.as_ref().map_or(0, |series| series.values.len());
                chunk.push(entry);
            }
            Some(Err(error)) => return Some(Err(error)),
            None => break,
        }
    }
    (!chunk.is_empty()).then_some(Ok(chunk))
}
