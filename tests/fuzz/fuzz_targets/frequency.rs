//! Frequencies as people write them: what is displayed reads back.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tmoe_data::Frequency;

fuzz_target!(|text: &str| {
    if let Ok(frequency) = text.parse::<Frequency>() {
        let shown = frequency.to_string();
        assert_eq!(shown.parse(), Ok(frequency), "{shown}");
    }
});
