//! Bodies of `POST /v1/forecast` and of KServe's time-series endpoint.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tmoe_serve::parse;

fuzz_target!(|body: &[u8]| {
    for result in [parse::forecast(body), parse::timeseries(body)] {
        match result {
            // Every number of a series is in the body.
            Ok(request) => {
                let points: usize = request.series.iter().map(|series| series.values.len()).sum();
                assert!(points <= body.len());
            }
            Err(message) => assert!(!message.contains('\n'), "one line: {message}"),
        }
    }
});
