//! Commands as a client writes them.

use crate::message::MessageId;
use crate::name::{ChannelName, TopicName};

fn parts(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

fn body(out: &mut Vec<u8>, bytes: &[u8]) {
    let len = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
    parts(out, &[&len.to_be_bytes(), bytes]);
}

/// `IDENTIFY` with its JSON.
pub fn identify(out: &mut Vec<u8>, json: &[u8]) {
    out.extend_from_slice(b"IDENTIFY\n");
    body(out, json);
}

/// `AUTH` with its secret.
pub fn authenticate(out: &mut Vec<u8>, secret: &[u8]) {
    out.extend_from_slice(b"AUTH\n");
    body(out, secret);
}

/// `SUB topic channel`.
pub fn subscribe(out: &mut Vec<u8>, topic: &TopicName, channel: &ChannelName) {
    parts(
        out,
        &[
            b"SUB ",
            topic.as_str().as_bytes(),
            b" ",
            channel.as_str().as_bytes(),
            b"\n",
        ],
    );
}

/// `PUB topic` with one message.
pub fn publish(out: &mut Vec<u8>, topic: &TopicName, message: &[u8]) {
    parts(out, &[b"PUB ", topic.as_str().as_bytes(), b"\n"]);
    body(out, message);
}

/// `DPUB topic delay` with one message; the delay is in milliseconds.
pub fn publish_deferred(out: &mut Vec<u8>, topic: &TopicName, delay_ms: u64, message: &[u8]) {
    parts(
        out,
        &[
            b"DPUB ",
            topic.as_str().as_bytes(),
            b" ",
            delay_ms.to_string().as_bytes(),
            b"\n",
        ],
    );
    body(out, message);
}

/// `MPUB topic` with several messages.
pub fn publish_many<B: AsRef<[u8]>>(out: &mut Vec<u8>, topic: &TopicName, messages: &[B]) {
    parts(out, &[b"MPUB ", topic.as_str().as_bytes(), b"\n"]);
    let bytes = messages.iter().fold(4usize, |n, m| {
        n.saturating_add(4).saturating_add(m.as_ref().len())
    });
    let count = i32::try_from(messages.len()).unwrap_or(i32::MAX);
    parts(
        out,
        &[
            &i32::try_from(bytes).unwrap_or(i32::MAX).to_be_bytes(),
            &count.to_be_bytes(),
        ],
    );
    for message in messages {
        body(out, message.as_ref());
    }
}

/// `RDY count`.
pub fn ready(out: &mut Vec<u8>, count: u32) {
    parts(out, &[b"RDY ", count.to_string().as_bytes(), b"\n"]);
}

/// `FIN id`.
pub fn finish(out: &mut Vec<u8>, id: MessageId) {
    parts(out, &[b"FIN ", &id.0, b"\n"]);
}

/// `REQ id delay`; the delay is in milliseconds.
pub fn requeue(out: &mut Vec<u8>, id: MessageId, delay_ms: u64) {
    parts(
        out,
        &[b"REQ ", &id.0, b" ", delay_ms.to_string().as_bytes(), b"\n"],
    );
}

/// `TOUCH id`.
pub fn touch(out: &mut Vec<u8>, id: MessageId) {
    parts(out, &[b"TOUCH ", &id.0, b"\n"]);
}

/// `CLS`.
pub fn start_close(out: &mut Vec<u8>) {
    out.extend_from_slice(b"CLS\n");
}

/// `NOP`.
pub fn nop(out: &mut Vec<u8>) {
    out.extend_from_slice(b"NOP\n");
}
