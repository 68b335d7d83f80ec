//! The query string of a request, and that a value which was read is read again once it is encoded.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nsq_service::http::{Query, encode_component};

const NAMES: [&str; 5] = ["topic", "channel", "defer", "format", ""];

fuzz_target!(|data: &[u8]| {
    let Ok(raw) = std::str::from_utf8(data) else { return };
    if let Ok(query) = Query::parse(raw) {
        for name in NAMES {
            let Some(value) = query.get(name) else { continue };
            let again = format!("{name}={}", encode_component(value));
            let again = Query::parse(&again).expect("what is encoded is read");
            assert_eq!(again.get(name), Some(value));
        }
    }
    let own = format!("x={}&y=", encode_component(raw));
    let own = Query::parse(&own).expect("what is encoded is read");
    assert_eq!((own.get("x"), own.get("y")), (Some(raw), Some("")));
});
