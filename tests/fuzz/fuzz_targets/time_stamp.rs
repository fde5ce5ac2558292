//! Time stamps: what is read is written in its own form and reads back as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tmoe_data::time_format;

fuzz_target!(|text: &str| {
    if let Some(stamp) = time_format::parse(text) {
        assert!(stamp.format.represents(stamp.civil));
        assert_eq!(stamp.format.merge(stamp.format), Some(stamp.format));
        let written = stamp.format.write(stamp.civil, stamp.offset);
        assert_eq!(time_format::parse(&written), Some(stamp), "{written:?}");
    }
});
