//! The stream of frames that nsqd sends to a client.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nsq_protocol::message::Message;
use nsq_protocol::v2::{FrameType, decode_frame, encode_frame};

fuzz_target!(|data: &[u8]| {
    let mut rest = data;
    while let Ok(Some((frame, taken))) = decode_frame(rest, 1 << 16) {
        let mut again = Vec::new();
        encode_frame(&mut again, frame.kind, frame.data);
        assert_eq!(again, rest[..taken], "a frame is written as it was read");
        if frame.kind == FrameType::Message
            && let Some(message) = Message::decode(frame.data)
        {
            let mut bytes = Vec::new();
            message.encode(&mut bytes);
            assert_eq!(bytes, frame.data);
            if let Some(number) = message.id.to_u64() {
                assert_eq!(nsq_protocol::MessageId::from_u64(number), message.id);
            }
        }
        rest = &rest[taken..];
    }
});
