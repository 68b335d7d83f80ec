//! Any bytes as the body of `/evacuate`: taken whole or not at all, and what was taken is sent on unchanged.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nsqd::evacuation::records::{encode, parse};

fuzz_target!(|data: &[u8]| {
    let Ok(parcel) = parse(data, 1000) else { return };
    let mut again = Vec::new();
    for message in parcel.run.messages() {
        let due = parcel.due.iter().rfind(|(id, _)| *id == message.head.id);
        encode(&message, due.map_or(0, |(_, due)| *due), &mut again);
    }
    assert_eq!(again.len(), data.len());
    let same = parse(&again, 1000).expect("what was encoded is read");
    assert_eq!(same.run.len(), parcel.run.len());
});
