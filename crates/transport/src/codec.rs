//! Compression of a connection, bytes in and bytes out: snappy's framing format and raw deflate (nsqd spec 2.4). Pure.
//!
//! The formats are those of the crates `snap` and `flate2` (with zlib-rs, which has no C and is the fastest of its backends
//! in Rust). Own code is what a stream that comes in pieces needs: whole chunks are cut for `snap`, which cannot wait for
//! the rest of one, and `flate2` is told to flush at the end of each piece.

use bytes::{Buf, BytesMut};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use snap::read::FrameDecoder;
use snap::write::FrameEncoder;
use std::fmt;
use std::io::{self, Read as _, Write as _};

/// Longest chunk body that the format allows for 64 KiB of data, with room for chunks that are skipped.
const MAX_CHUNK: usize = 76_490;
/// Bytes of a chunk before its body: type and length.
const CHUNK_HEAD: usize = 4;
/// Room made for compressed output at once.
const OUTPUT_STEP: usize = 4 * 1024;

/// Both directions of one compressed connection.
pub enum Codec {
    /// Snappy framing.
    Snappy(Box<Snappy>),
    /// Raw deflate, one stream per direction.
    Deflate(Box<Deflate>),
}

impl Codec {
    /// Snappy.
    #[must_use]
    pub fn snappy() -> Self {
        Self::Snappy(Box::new(Snappy {
            decoder: FrameDecoder::new(WholeChunks::default()),
            encoder: FrameEncoder::new(Vec::new()),
        }))
    }

    /// Deflate; `level` is 1 (fast) to 9 (small).
    #[must_use]
    pub fn deflate(level: u32) -> Self {
        Self::Deflate(Box::new(Deflate {
            compress: Compress::new(Compression::new(level), false),
            decompress: Decompress::new(false),
        }))
    }

    /// Decompresses from `input` into `out` and yields the number of bytes written there. 0: `input`, of which an unfinished
    /// piece may be left, gives nothing until more comes.
    ///
    /// # Errors
    /// The input is not in the format, or its checksum is wrong.
    pub fn decode(&mut self, input: &mut BytesMut, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        match self {
            Self::Snappy(snappy) => snappy.decode(input, out),
            Self::Deflate(deflate) => deflate.decode(input, out),
        }
    }

    /// Appends the compressed form of `plain` to `out`, so that the other side can decompress all of it.
    ///
    /// # Errors
    /// Never in practice: memory takes every write.
    pub fn encode(&mut self, plain: &[u8], out: &mut BytesMut) -> io::Result<()> {
        match self {
            Self::Snappy(snappy) => snappy.encode(plain, out),
            Self::Deflate(deflate) => deflate.encode(plain, out),
        }
    }
}

impl fmt::Debug for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Snappy(_) => "Snappy",
            Self::Deflate(_) => "Deflate",
        })
    }
}

fn malformed(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// Snappy framing in both directions.
pub struct Snappy {
    decoder: FrameDecoder<WholeChunks>,
    encoder: FrameEncoder<Vec<u8>>,
}

/// What the decoder reads from: never less than a chunk.
#[derive(Default)]
struct WholeChunks(BytesMut);

impl io::Read for WholeChunks {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let given = self.0.len().min(buf.len());
        self.0.copy_to_slice(&mut buf[..given]);
        Ok(given)
    }
}

impl Snappy {
    fn decode(&mut self, input: &mut BytesMut, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.decoder.read(out).map_err(malformed)?;
            if read > 0 {
                return Ok(read);
            }
            match next_chunk(input)? {
                Some(chunk) => self.decoder.get_mut().0 = chunk,
                None => return Ok(0),
            }
        }
    }

    fn encode(&mut self, plain: &[u8], out: &mut BytesMut) -> io::Result<()> {
        self.encoder.write_all(plain)?;
        self.encoder.flush()?;
        let written = self.encoder.get_mut();
        out.extend_from_slice(written);
        written.clear();
        Ok(())
    }
}

/// Cuts a chunk off, if it is complete.
fn next_chunk(input: &mut BytesMut) -> io::Result<Option<BytesMut>> {
    let Some(&[_, a, b, c]) = input.first_chunk::<CHUNK_HEAD>() else {
        return Ok(None);
    };
    let length = usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16;
    if length > MAX_CHUNK {
        return Err(malformed(format!("a chunk of {length} bytes")));
    }
    let whole = CHUNK_HEAD + length;
    Ok((input.len() >= whole).then(|| input.split_to(whole)))
}

/// Raw deflate in both directions.
pub struct Deflate {
    compress: Compress,
    decompress: Decompress,
}

impl Deflate {
    fn decode(&mut self, input: &mut BytesMut, out: &mut [u8]) -> io::Result<usize> {
        let (in_before, out_before) = (self.decompress.total_in(), self.decompress.total_out());
        let status = self.decompress.decompress(input, out, FlushDecompress::None);
        let status = status.map_err(malformed)?;
        let read = usize::try_from(self.decompress.total_in() - in_before).unwrap_or(usize::MAX);
        let written = usize::try_from(self.decompress.total_out() - out_before).unwrap_or(usize::MAX);
        input.advance(read.min(input.len()));
        if written == 0 && status == Status::StreamEnd {
            return Err(malformed("the deflate stream ended"));
        }
        Ok(written)
    }

    fn encode(&mut self, plain: &[u8], out: &mut BytesMut) -> io::Result<()> {
        let mut rest = plain;
        let mut piece = [0; OUTPUT_STEP];
        loop {
            let (in_before, out_before) = (self.compress.total_in(), self.compress.total_out());
            let done = self.compress.compress(rest, &mut piece, FlushCompress::Sync);
            done.map_err(malformed)?;
            let read = usize::try_from(self.compress.total_in() - in_before).unwrap_or(usize::MAX);
            let written = usize::try_from(self.compress.total_out() - out_before).unwrap_or(usize::MAX);
            rest = &rest[read.min(rest.len())..];
            out.extend_from_slice(&piece[..written.min(piece.len())]);
            // A full piece may have more behind it; flushing again when nothing is left writes nothing.
            if rest.is_empty() && written < piece.len() {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Made = fn() -> Codec;

    const KINDS: [Made; 2] = [Codec::snappy, || Codec::deflate(6)];

    /// Everything that `codec` makes of `compressed`, fed in pieces of `piece` bytes, with room for `room` bytes each time.
    fn decoded(codec: &mut Codec, compressed: &[u8], piece: usize, room: usize) -> io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        let mut input = BytesMut::new();
        let mut out = vec![0; room];
        for part in compressed.chunks(piece) {
            input.extend_from_slice(part);
            loop {
                let written = codec.decode(&mut input, &mut out)?;
                if written == 0 {
                    break;
                }
                plain.extend_from_slice(&out[..written]);
            }
        }
        Ok(plain)
    }

    proptest! {
        #[test]
        fn what_is_compressed_in_pieces_comes_out_whole(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3000), 0..12),
            piece in 1_usize..5000,
            room in 1_usize..5000,
        ) {
            for make in KINDS {
                let mut there = make();
                let mut compressed = BytesMut::new();
                for part in &parts {
                    there.encode(part, &mut compressed).unwrap();
                }
                let plain = decoded(&mut make(), &compressed, piece, room).unwrap();
                prop_assert_eq!(&plain, &parts.concat());
            }
        }

        #[test]
        fn any_bytes_are_an_answer_and_never_a_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..4000),
            piece in 1_usize..700,
        ) {
            for make in KINDS {
                let _ = decoded(&mut make(), &bytes, piece, 512);
            }
        }
    }

    #[test]
    fn each_piece_can_be_read_before_the_next_is_written() {
        for make in KINDS {
            let (mut there, mut here) = (make(), make());
            for text in ["\0\0\0\x06\0\0\0\0OK", "", "second", &"long ".repeat(40_000)] {
                let mut compressed = BytesMut::new();
                there.encode(text.as_bytes(), &mut compressed).unwrap();
                let plain = decoded(&mut here, &compressed, 1000, 4096).unwrap();
                assert!(plain == text.as_bytes(), "{text:.20}");
            }
        }
    }

    #[test]
    fn a_snappy_stream_begins_with_its_identifier_and_may_repeat_it() {
        let identifier = b"\xff\x06\0\0sNaPpY";
        let mut compressed = BytesMut::new();
        Codec::snappy().encode(b"one", &mut compressed).unwrap();
        assert_eq!(&compressed[..10], identifier);
        let twice = [&compressed[..], &compressed[..]].concat();
        assert_eq!(decoded(&mut Codec::snappy(), &twice, 3, 64).unwrap(), b"oneone");
    }

    #[test]
    fn a_flush_of_deflate_ends_with_the_sync_marker() {
        let mut codec = Codec::deflate(6);
        for text in [&b"one"[..], b"two"] {
            let mut compressed = BytesMut::new();
            codec.encode(text, &mut compressed).unwrap();
            assert!(compressed.ends_with(&[0, 0, 0xff, 0xff]), "{compressed:?}");
        }
    }

    #[test]
    fn a_long_chunk_is_refused_before_it_has_come() {
        let mut input = BytesMut::from(&b"\xff\x06\0\0sNaPpY\x80\xff\xff\xff"[..]);
        let error = Codec::snappy().decode(&mut input, &mut [0; 64]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_bomb_gives_no_more_than_there_is_room_for() {
        let mut compressed = BytesMut::new();
        let mut packer = Codec::deflate(9);
        packer.encode(&vec![0; 1 << 20], &mut compressed).unwrap();
        assert!(compressed.len() < 8 * 1024, "{}", compressed.len());
        let mut codec = Codec::deflate(6);
        let mut out = [1; 1000];
        assert_eq!(codec.decode(&mut compressed, &mut out).unwrap(), 1000);
    }
}
