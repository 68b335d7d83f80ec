//! The body of a client's IDENTIFY.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nsq_protocol::identify::IdentifyRequest;

fuzz_target!(|data: &[u8]| {
    if let Ok(request) = IdentifyRequest::parse(data) {
        let json = serde_json::to_vec(&request).expect("plain strings and numbers");
        assert_eq!(
            IdentifyRequest::parse(&json),
            Ok(request),
            "what was accepted is accepted again"
        );
    }
});
