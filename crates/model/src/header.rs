//! The header of a safetensors file, read as hostile input.
//!
//! A file is: the header's length as a little-endian `u64`, the header as JSON, then the tensors'
//! bytes without gaps. [`parse`] needs no file, so arbitrary bytes can be given to it.

use std::collections::BTreeMap;
use std::ops::Range;

use safetensors::Dtype;
use safetensors::tensor::Metadata;

/// Length of the field that holds the header's length.
const PREFIX: usize = 8;

/// Longest header accepted, in bytes: the format's own limit.
const MAX_HEADER: u64 = 100_000_000;

/// Where a tensor lies in a file, and what it says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Element type, any that the format has.
    pub dtype: Dtype,
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
    /// Byte range from the start of the file, inside the file.
    pub range: Range<usize>,
}

/// The tensors of a file by name.
pub type Header = BTreeMap<String, Entry>;

/// What is wrong with the bytes of a safetensors file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// Not even a header length.
    #[error("not a safetensors file: it has {found} bytes, expected at least 8")]
    TooShort {
        /// Length of the file in bytes.
        found: usize,
    },
    /// The header length points beyond the end of the file.
    #[error(
        "the header is said to have {header} bytes, but only {available} follow: \
         the file is truncated or not a safetensors file, fetch it again"
    )]
    BeyondFile {
        /// Header length that the file states, in bytes.
        header: u64,
        /// Bytes after the header length.
        available: usize,
    },
    /// The header length exceeds what the format allows.
    #[error("the header is said to have {header} bytes, the format allows {limit}: not a safetensors file")]
    TooLong {
        /// Header length that the file states, in bytes.
        header: u64,
        /// The longest allowed.
        limit: u64,
    },
    /// The header is not JSON of the format, or describes overlapping, gappy or overflowing tensors.
    #[error("the header is not valid: {}", one_line(.0))]
    Invalid(#[source] serde_json::Error),
    /// Tensors end beyond the end of the file.
    #[error("the file is truncated: its header describes {expected} bytes, found {found}, fetch it again")]
    Truncated {
        /// Length of the file that the header describes, in bytes.
        expected: u128,
        /// Length of the file in bytes.
        found: usize,
    },
    /// Bytes after the last tensor.
    #[error(
        "the file has bytes that belong to no tensor: its header describes {expected} bytes, \
         found {found}, fetch it again"
    )]
    TrailingBytes {
        /// Length of the file that the header describes, in bytes.
        expected: u128,
        /// Length of the file in bytes.
        found: usize,
    },
}

/// A JSON parser's message, which quotes the file, on one line and without terminal control characters.
pub fn one_line(error: &serde_json::Error) -> String {
    let mut line = String::new();
    for character in error.to_string().chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

/// Reads the header of a safetensors file from the bytes of the whole file. Only the header is touched.
///
/// Every range in the result lies inside `bytes` and has exactly the length that dtype and shape need.
///
/// # Errors
///
/// Any [`HeaderError`]. No input makes it panic, and it allocates no more than in proportion to the
/// header's real length.
pub fn parse(bytes: &[u8]) -> Result<Header, HeaderError> {
    let Some((prefix, rest)) = bytes.split_first_chunk::<PREFIX>() else {
        return Err(HeaderError::TooShort { found: bytes.len() });
    };
    let header = u64::from_le_bytes(*prefix);
    let Some(text) = usize::try_from(header).ok().and_then(|length| rest.get(..length)) else {
        return Err(HeaderError::BeyondFile { header, available: rest.len() });
    };
    if header > MAX_HEADER {
        return Err(HeaderError::TooLong { header, limit: MAX_HEADER });
    }

    // `Metadata` checks that tensors follow each other without gaps and that dtype and shape give
    // each one's length, with checked arithmetic. The comparison with the file's length is made here
    // and not by `SafeTensors::read_metadata`, whose sum of lengths can wrap around.
    let metadata: Metadata = serde_json::from_slice(text).map_err(HeaderError::Invalid)?;
    let start = PREFIX + text.len();
    let expected = start as u128 + metadata.data_len() as u128;
    let found = bytes.len();
    if expected > found as u128 {
        return Err(HeaderError::Truncated { expected, found });
    }
    if expected < found as u128 {
        return Err(HeaderError::TrailingBytes { expected, found });
    }

    let tensors = metadata.tensors().into_iter().map(|(name, info)| {
        let (from, to) = info.data_offsets;
        let entry = Entry { dtype: info.dtype, shape: info.shape.clone(), range: start + from..start + to };
        (name, entry)
    });
    Ok(tensors.collect())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;
    use crate::testing::{golden, safetensors};

    const TWO: &str = r#"{"__metadata__":{"format":"pt"},
        "a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},
        "b":{"dtype":"BF16","shape":[],"data_offsets":[24,26]}}"#;

    #[test]
    fn tensors_are_found_where_the_header_says() {
        let header = parse(&safetensors(TWO, &[0; 26])).unwrap();
        let start = 8 + TWO.len();
        assert_eq!(header["a"], Entry { dtype: Dtype::F32, shape: vec![2, 3], range: start..start + 24 });
        assert_eq!(header["b"].range, start + 24..start + 26);
        assert_eq!(header.len(), 2);
    }

    #[test]
    fn a_file_shorter_than_a_header_length_is_refused() {
        assert!(matches!(parse(&[1, 2, 3]), Err(HeaderError::TooShort { found: 3 })));
        assert!(matches!(parse(&[]), Err(HeaderError::TooShort { found: 0 })));
    }

    #[test]
    fn a_header_length_beyond_the_file_is_refused_with_both_lengths() {
        let mut bytes = safetensors("{}", &[]);
        bytes[..8].copy_from_slice(&1000_u64.to_le_bytes());
        let error = parse(&bytes).unwrap_err();
        assert!(matches!(error, HeaderError::BeyondFile { header: 1000, available: 2 }));
        assert!(error.to_string().contains("1000 bytes, but only 2 follow"), "{error}");

        bytes[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(matches!(parse(&bytes), Err(HeaderError::BeyondFile { .. })));
    }

    #[test]
    fn a_header_beyond_the_format_s_limit_is_refused_before_it_is_parsed() {
        let mut bytes = vec![b' '; PREFIX + MAX_HEADER as usize + 1];
        bytes[..8].copy_from_slice(&(MAX_HEADER + 1).to_le_bytes());
        assert!(matches!(parse(&bytes), Err(HeaderError::TooLong { .. })));
    }

    #[test]
    fn missing_and_surplus_bytes_are_told_apart() {
        let expected = 8 + TWO.len() + 26;
        match parse(&safetensors(TWO, &[0; 25])).unwrap_err() {
            HeaderError::Truncated { expected: e, found } => {
                assert_eq!((e, found), (expected as u128, expected - 1));
            }
            other => panic!("{other}"),
        }
        match parse(&safetensors(TWO, &[0; 27])).unwrap_err() {
            HeaderError::TrailingBytes { expected: e, found } => {
                assert_eq!((e, found), (expected as u128, expected + 1));
            }
            other => panic!("{other}"),
        }
    }

    #[test]
    fn headers_that_are_not_of_the_format_are_refused() {
        for header in [
            "",
            "{",
            "[]",
            "\u{0}",
            r#"{"a":1}"#,
            r#"{"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}}"#,
            r#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#,
            r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#,
            r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#,
            r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
        ] {
            let error = parse(&safetensors(header, &[0; 4])).unwrap_err();
            assert!(matches!(error, HeaderError::Invalid(_)), "{header}: {error}");
        }
    }

    #[test]
    fn an_error_that_quotes_control_characters_stays_on_one_line() {
        let header = r#"{"a":{"dtype":"F\n\u001b[2J","shape":[1],"data_offsets":[0,4]}}"#;
        let message = parse(&safetensors(header, &[0; 4])).unwrap_err().to_string();
        assert!(message.contains(r"F\n\u{1b}[2J") && !message.contains(char::is_control), "{message}");
    }

    #[test]
    fn sizes_that_overflow_are_refused() {
        let huge = usize::MAX;
        let half = 1_usize << 62;
        for header in [
            format!(r#"{{"a":{{"dtype":"F32","shape":[{huge},{huge}],"data_offsets":[0,4]}}}}"#),
            format!(r#"{{"a":{{"dtype":"U8","shape":[{half}],"data_offsets":[0,{half}]}}}}"#),
            // Lengths whose sum with the header's length wraps around to the file's length.
            format!(
                r#"{{"a":{{"dtype":"F64","shape":[{n}],"data_offsets":[0,{a}]}},"b":{{"dtype":"F64","shape":[{n}],"data_offsets":[{a},{b}]}}}}"#,
                n = (1_usize << 57) - 1,
                a = ((1_usize << 57) - 1) * 8,
                b = ((1_usize << 57) - 1) * 16,
            ),
        ] {
            assert!(parse(&safetensors(&header, &[0; 4])).is_err(), "{header}");
        }
    }

    /// The header of a real file with one tensor's worth of data replaced by nothing: small enough to
    /// mutate thousands of times.
    fn small_file() -> Vec<u8> {
        safetensors(TWO, &[0; 26])
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn mutated_files_never_panic_and_never_give_ranges_outside_the_file(
            edits in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8),
        ) {
            let mut bytes = small_file();
            for (index, value) in edits {
                let at = index.index(bytes.len());
                bytes[at] = value;
            }
            if let Ok(header) = parse(&bytes) {
                for entry in header.values() {
                    prop_assert!(bytes.get(entry.range.clone()).is_some());
                }
            }
        }

        #[test]
        fn every_truncation_is_an_error(length in any::<proptest::sample::Index>()) {
            let bytes = small_file();
            let length = length.index(bytes.len());
            prop_assert!(parse(&bytes[..length]).is_err());
        }

        #[test]
        fn random_offsets_and_shapes_never_panic(
            from in any::<usize>(),
            to in any::<usize>(),
            shape in proptest::collection::vec(any::<usize>(), 0..4),
        ) {
            let header = format!(
                r#"{{"a":{{"dtype":"F32","shape":{shape:?},"data_offsets":[{from},{to}]}}}}"#
            );
            let _ = parse(&safetensors(&header, &[0; 64]));
        }
    }

    #[test]
    fn files_written_by_pytorch_are_read() {
        let bytes = fs::read(golden("moe").join("model.safetensors")).unwrap();
        let header = parse(&bytes).unwrap();
        let total: usize = header.values().map(|entry| entry.range.len()).sum();
        let first = header.values().map(|entry| entry.range.start).min().unwrap();
        assert_eq!(first + total, bytes.len());
    }
}
