//! External data files: layout, writing, and what the writer refuses.

use std::io::{self, Write};

use proptest::prelude::*;
use tmoe_onnx::{ExternalError, ExternalLayout, ExternalRef, ExternalWriter, LARGE_BLOB};

/// A writer that takes this many bytes.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn plan(blobs: &[(&str, u64)]) -> ExternalLayout {
    let mut layout = ExternalLayout::new("weights.bin");
    for &(name, length) in blobs {
        layout.reserve(name, length).unwrap();
    }
    layout
}

proptest! {
    #[test]
    fn every_blob_lies_at_its_aligned_place_with_zeros_between(
        lengths in proptest::collection::vec(prop_oneof![0..200_usize, Just(LARGE_BLOB as usize)], 0..6),
        parts in 1..5_usize,
    ) {
        let blobs: Vec<(String, Vec<u8>)> =
            lengths.iter().enumerate().map(|(n, &length)| (n.to_string(), vec![n as u8 + 1; length])).collect();
        let mut layout = ExternalLayout::new("weights.bin");
        for (name, bytes) in &blobs {
            layout.reserve(name, bytes.len() as u64).unwrap();
        }
        let mut planned = ExternalWriter::planned(layout.clone(), Vec::new());
        let mut unplanned = ExternalWriter::new("weights.bin", Vec::new());
        for (name, bytes) in &blobs {
            let mut blob = planned.begin(name, bytes.len() as u64).unwrap();
            for part in bytes.chunks(bytes.len().div_ceil(parts).max(1)) {
                blob.write_all(part).unwrap();
            }
            prop_assert_eq!(blob.finish().unwrap(), layout.get(name).unwrap());
            prop_assert_eq!(unplanned.write(name, bytes).unwrap(), layout.get(name).unwrap());
        }
        let (_, file) = planned.finish().unwrap();
        prop_assert_eq!(unplanned.finish().unwrap(), (layout.clone(), file.clone()));
        prop_assert_eq!(file.len() as u64, layout.total_len());
        let mut expected = vec![0; file.len()];
        for (place, (_, bytes)) in layout.iter().map(|(_, place)| place).zip(&blobs) {
            prop_assert_eq!(place.offset % if place.length >= LARGE_BLOB { 4096 } else { 64 }, 0);
            expected[place.offset as usize..][..bytes.len()].copy_from_slice(bytes);
        }
        prop_assert!(file == expected);
    }

    #[test]
    fn slices_stay_within_their_blob(offset: u64, length: u64, first in 0..1000_u64, size in 0..1000_u64) {
        let blob = ExternalRef { location: "weights.bin".into(), offset: first, length: size };
        for (offset, length) in [(offset, length), (offset % 1100, length % 1100)] {
            match blob.slice(offset, length) {
                Ok(part) => {
                    prop_assert!(offset + length <= size);
                    prop_assert_eq!((part.offset, part.length), (first + offset, length));
                }
                Err(error) => {
                    let refused = matches!(error, ExternalError::Slice { .. });
                    prop_assert!(refused);
                    prop_assert!(offset.checked_add(length).is_none_or(|end| end > size));
                }
            }
        }
    }
}

#[test]
fn a_plan_refuses_a_name_twice_and_offsets_beyond_the_format() {
    let mut layout = plan(&[("a", 1)]);
    assert_eq!(layout.reserve("a", 1).unwrap_err().to_string(), "weights.bin: blob \"a\" is laid out twice");
    for length in [u64::MAX, i64::MAX as u64] {
        let error = layout.reserve("b", length).unwrap_err();
        assert!(matches!(error, ExternalError::TooLong { offset: 1, .. }), "{error}");
    }
    // What was refused leaves no trace.
    assert_eq!((layout.len(), layout.is_empty(), layout.total_len(), layout.get("b")), (1, false, 1, None));
    assert_eq!(layout.location(), "weights.bin");
}

#[test]
fn a_planned_file_takes_only_the_planned_blobs_in_their_order() {
    let writer = || ExternalWriter::planned(plan(&[("a", 2), ("b", 3)]), Vec::new());
    let order = writer().write("b", &[0; 3]).unwrap_err();
    assert_eq!(order.to_string(), "weights.bin: blob \"b\" was written where \"a\" is planned");
    let length = writer().write("a", &[0; 3]).unwrap_err();
    assert_eq!(length.to_string(), "weights.bin: blob \"a\" has 3 bytes, expected 2");
    let mut all = writer();
    all.write("a", &[0; 2]).unwrap();
    all.write("b", &[0; 3]).unwrap();
    let unplanned = all.write("c", &[]).unwrap_err();
    assert_eq!(unplanned.to_string(), "weights.bin: blob \"c\" was written after the last planned one");
    let mut some = writer();
    some.write("a", &[0; 2]).unwrap();
    let missing = some.finish().unwrap_err();
    assert_eq!(missing.to_string(), "weights.bin: 1 planned blobs were not written, the first is \"b\"");
}

#[test]
fn a_blob_has_exactly_its_announced_length() {
    let mut writer = ExternalWriter::new("weights.bin", Vec::new());
    let mut blob = writer.begin("a", 2).unwrap();
    blob.append(&[1]).unwrap();
    assert!(matches!(blob.append(&[2, 3]), Err(ExternalError::Length { expected: 2, found: 3, .. })));
    assert_eq!(blob.write(&[2, 3]).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    assert!(matches!(blob.finish(), Err(ExternalError::Length { expected: 2, found: 1, .. })));

    let after = writer.write("b", &[]).unwrap_err();
    assert_eq!(after.to_string(), "weights.bin: an earlier blob, \"a\", was not written to its end");
    assert!(matches!(writer.finish(), Err(ExternalError::Unfinished { .. })));
}

#[test]
fn a_full_disk_is_an_error_that_names_the_file() {
    let mut writer = ExternalWriter::new("weights.bin", Full(100));
    writer.write("a", &[0; 60]).unwrap();
    let error = writer.write("b", &[0; 60]).unwrap_err();
    assert!(error.to_string().starts_with("cannot write weights.bin: "), "{error}");
    let mut streamed = ExternalWriter::new("weights.bin", Full(1));
    let mut blob = streamed.begin("a", 2).unwrap();
    assert_eq!(blob.write_all(&[0; 2]).unwrap_err().kind(), io::ErrorKind::StorageFull);
}
