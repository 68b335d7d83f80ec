//! What nsqlookupd reads from an nsqd: lines and the body of IDENTIFY; and what nsqd reads in answer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nsq_protocol::v1::{LookupInfo, PeerInfo, encode_response, parse_line};

fuzz_target!(|data: &[u8]| {
    for line in data.split(|b| *b == b'\n') {
        let _ = parse_line(line);
    }
    if let Ok(info) = PeerInfo::parse(data) {
        let json = serde_json::to_vec(&info).expect("plain strings and numbers");
        assert_eq!(
            PeerInfo::parse(&json),
            Ok(info),
            "what was accepted is accepted again"
        );
    }
    let _ = LookupInfo::parse(data);
    let mut out = Vec::new();
    encode_response(&mut out, data);
    assert_eq!(out.len(), data.len() + 4);
});
