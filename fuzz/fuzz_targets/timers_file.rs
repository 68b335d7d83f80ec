//! Any bytes as `nsqd.timers.dat`: an answer, and what was read is written and read the same way.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nsqd::deferrals::file;

fuzz_target!(|data: &[u8]| {
    let (entries, broken) = file::parse(data);
    let mut again = file::head();
    file::encode(&entries, &mut again);
    assert_eq!(file::parse(&again), (entries, false));
    if !broken && !data.is_empty() {
        assert_eq!(again, data);
    }
});
