//! Any bytes as `nsqd.dat`: an answer, and what was read is written and read the same way.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nsqd::metadata::Metadata;

fuzz_target!(|data: &[u8]| {
    let Ok((metadata, _)) = Metadata::parse(data) else { return };
    let (again, skipped) = Metadata::parse(&metadata.encode()).expect("what was written is read");
    assert_eq!(again, metadata);
    assert!(skipped.is_empty(), "what was written is valid");
});
