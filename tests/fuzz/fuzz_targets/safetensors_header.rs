//! Headers of safetensors files: every range lies inside the file and has the length of its shape.
//!
//! Each input is tried as a whole file, and as the text of a header in front of as many bytes as it
//! asks for: a fuzzer seldom guesses a length prefix and a matching file length by itself.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tmoe_model::header::{self, Header, HeaderError};

/// The most data that a header is given, in bytes: enough for many tensors, little to allocate.
const MOST_DATA: u128 = 1 << 16;

fuzz_target!(|bytes: &[u8]| {
    match header::parse(bytes) {
        Ok(header) => check(&header, bytes.len()),
        Err(error) => check_message(&error),
    }

    let mut file = (bytes.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(bytes);
    match header::parse(&file) {
        Ok(header) => check(&header, file.len()),
        Err(HeaderError::Truncated { expected, found }) => {
            assert_eq!(found, file.len());
            assert!(expected > found as u128);
            if expected <= MOST_DATA {
                file.resize(expected as usize, 0);
                let header = header::parse(&file).expect("the file has the length that was asked for");
                check(&header, file.len());
            }
        }
        Err(error) => check_message(&error),
    }
});

fn check_message(error: &HeaderError) {
    let message = error.to_string();
    assert!(!message.contains('\n'), "one line: {message}");
}

fn check(header: &Header, file: usize) {
    for (name, entry) in header {
        assert!(entry.range.start <= entry.range.end && entry.range.end <= file, "{name:?}");
        let elements: usize = entry.shape.iter().product();
        assert_eq!(entry.range.len() * 8, elements * entry.dtype.bitsize(), "{name:?}");
    }
}
