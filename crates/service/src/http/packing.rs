//! Answers in fewer bytes, for who says that it can unpack them.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};
use hyper::HeaderMap;
use hyper::header::ACCEPT_ENCODING;

/// Packed at one go, about 0.3 ms; others have their turn in between.
const PIECE: usize = 64 * 1024;

/// How an answer is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    Gzip,
    /// Without a zlib header, as the reference sends it.
    Deflate,
}

impl Packing {
    /// The first one that is named. Names only, as in the reference: with a `q` it is another name.
    pub(super) fn wanted(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all(ACCEPT_ENCODING).into_iter();
        let values = values.filter_map(|value| value.to_str().ok());
        let mut names = values.flat_map(|value| value.split(',')).map(str::trim);
        names.find_map(|name| match name {
            "gzip" => Some(Self::Gzip),
            "deflate" => Some(Self::Deflate),
            _ => None,
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }

    /// `bytes`, packed; none if they cannot be, which memory always can.
    pub(crate) async fn pack(self, bytes: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                write_in_turns(&mut encoder, bytes).await.ok()?;
                encoder.finish().ok()
            }
            Self::Deflate => {
                let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
                write_in_turns(&mut encoder, bytes).await.ok()?;
                encoder.finish().ok()
            }
        }
    }
}

async fn write_in_turns(encoder: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    for piece in bytes.chunks(PIECE) {
        encoder.write_all(piece)?;
        tokio::task::yield_now().await;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn the_first_plain_name_wins() {
        for (value, wanted) in [
            ("gzip", Some(Packing::Gzip)),
            ("br, deflate, gzip", Some(Packing::Deflate)),
            ("gzip;q=0", None),
            ("identity", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, value.parse().unwrap())]);
            assert_eq!(Packing::wanted(&headers), wanted, "{value}");
        }
    }

    #[tokio::test]
    async fn what_is_packed_can_be_unpacked() {
        let text = "nsqd_topics 1\n".repeat(20_000);
        let (gzip, deflate) = tokio::join!(
            Packing::Gzip.pack(text.as_bytes()),
            Packing::Deflate.pack(text.as_bytes())
        );
        let mut unpacked = String::new();
        flate2::read::GzDecoder::new(&gzip.unwrap()[..])
            .read_to_string(&mut unpacked)
            .unwrap();
        assert_eq!(unpacked, text);
        unpacked.clear();
        flate2::read::DeflateDecoder::new(&deflate.unwrap()[..])
            .read_to_string(&mut unpacked)
            .unwrap();
        assert_eq!(unpacked, text);
    }
}
