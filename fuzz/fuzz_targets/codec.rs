//! Any bytes as a compressed stream, in pieces: an answer, never a panic, and never more than there is room for. The first byte
//! chooses the format and the length of the pieces.

#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use nsq_transport::Codec;

/// What one input may be decompressed to; a bomb goes on for longer than a run should take.
const MOST: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
    let Some((&choice, stream)) = data.split_first() else {
        return;
    };
    let mut codec = if choice % 2 == 0 {
        Codec::snappy()
    } else {
        Codec::deflate(6)
    };
    let (mut input, mut out, mut total) = (BytesMut::new(), [0; 700], 0);
    for piece in stream.chunks(usize::from(choice / 2) + 1) {
        input.extend_from_slice(piece);
        loop {
            match codec.decode(&mut input, &mut out) {
                Ok(0) => break,
                Ok(written) if total < MOST => total += written,
                _ => return,
            }
        }
    }
});
