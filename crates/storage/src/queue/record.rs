//! Records in a row: finding their ends, and where an append must roll. Pure.

use std::io::{Error, ErrorKind, Result};
use std::ops::Range;

/// Bytes of the length in front of each record.
pub(super) const PREFIX: usize = 4;

/// What stands at a place where a record should begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Head {
    /// A record of this many bytes, its length prefix included.
    Record(usize),
    /// Fewer bytes than a length prefix has.
    Short,
    /// A length no record has.
    BadLength(i32),
}

/// Legal record lengths, without the prefix, both ends included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lengths {
    pub(super) min: u32,
    pub(super) max: u32,
}

impl Lengths {
    pub(super) fn head(self, bytes: &[u8]) -> Head {
        let Some(prefix) = bytes.first_chunk::<PREFIX>() else {
            return Head::Short;
        };
        let length = i32::from_be_bytes(*prefix);
        match u32::try_from(length) {
            Ok(legal) if (self.min..=self.max).contains(&legal) => Head::Record(
                usize::try_from(legal)
                    .unwrap_or(usize::MAX)
                    .saturating_add(PREFIX),
            ),
            _ => Head::BadLength(length),
        }
    }

    /// Length of the longest record, prefix included.
    pub(super) fn longest(self) -> usize {
        usize::try_from(self.max)
            .unwrap_or(usize::MAX)
            .saturating_add(PREFIX)
    }
}

/// The part of an append that goes into one file.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Segment {
    /// Whether it begins a new file.
    pub(super) rolls: bool,
    pub(super) bytes: Range<usize>,
    pub(super) records: u64,
}

/// Cuts an append into the parts that go into one file each, checking every record.
///
/// A record goes into a new file if the current one is not empty and would grow beyond `max_bytes_per_file`.
pub(super) fn segments(
    offset: u64,
    records: &[u8],
    ends: &[usize],
    lengths: Lengths,
    max_bytes_per_file: u64,
) -> Result<Vec<Segment>> {
    let mut segments: Vec<Segment> = Vec::with_capacity(1);
    let mut offset = offset;
    let mut begin = 0_usize;
    for &end in ends {
        let record = records
            .get(begin..end)
            .ok_or_else(|| invalid("record ends do not ascend"))?;
        if lengths.head(record) != Head::Record(record.len()) {
            return Err(invalid("a record has an illegal length or a wrong length prefix"));
        }
        let size = record.len() as u64;
        let rolls = offset > 0 && offset.saturating_add(size) > max_bytes_per_file;
        offset = if rolls { size } else { offset.saturating_add(size) };
        match segments.last_mut() {
            Some(segment) if !rolls => {
                segment.bytes.end = end;
                segment.records = segment.records.saturating_add(1);
            }
            _ => segments.push(Segment {
                rolls,
                bytes: begin..end,
                records: 1,
            }),
        }
        begin = end;
    }
    if begin != records.len() {
        return Err(invalid("bytes behind the last record"));
    }
    Ok(segments)
}

fn invalid(text: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects, reason = "small numbers")]
    use super::*;

    const LENGTHS: Lengths = Lengths { min: 1, max: 10 };

    fn framed(lengths: &[usize]) -> (Vec<u8>, Vec<usize>) {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for &length in lengths {
            bytes.extend_from_slice(&i32::try_from(length).unwrap().to_be_bytes());
            bytes.resize(bytes.len() + length, 7);
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    #[test]
    fn head_tells_records_from_garbage() {
        assert_eq!(LENGTHS.head(&[0, 0, 0, 10]), Head::Record(14));
        assert_eq!(LENGTHS.head(&[0, 0, 0, 11]), Head::BadLength(11));
        assert_eq!(LENGTHS.head(&[0, 0, 0, 0]), Head::BadLength(0));
        assert_eq!(LENGTHS.head(&[255; 4]), Head::BadLength(-1));
        assert_eq!(LENGTHS.head(&[0, 0, 0]), Head::Short);
    }

    #[test]
    fn rolls_before_the_record_that_does_not_fit() {
        let (bytes, ends) = framed(&[6, 6, 6]);
        let parts = segments(5, &bytes, &ends, LENGTHS, 25).unwrap();
        let expected = [
            Segment {
                rolls: false,
                bytes: 0..20,
                records: 2,
            },
            Segment {
                rolls: true,
                bytes: 20..30,
                records: 1,
            },
        ];
        assert_eq!(parts, expected);
    }

    #[test]
    fn a_record_larger_than_a_file_has_one_for_itself() {
        let (bytes, ends) = framed(&[10, 1]);
        let parts = segments(0, &bytes, &ends, LENGTHS, 5).unwrap();
        assert_eq!(parts.len(), 2);
        assert!(!parts.first().unwrap().rolls);
    }

    #[test]
    fn refuses_what_is_not_framed() {
        let (bytes, ends) = framed(&[3, 3]);
        assert!(segments(0, &bytes, &[7], LENGTHS, 100).is_err());
        assert!(segments(0, &bytes, &[6, 14], LENGTHS, 100).is_err());
        assert!(segments(0, &bytes, &[7, 7, 14], LENGTHS, 100).is_err());
        assert!(segments(0, &bytes, &[7, 15], LENGTHS, 100).is_err());
        assert!(segments(0, &bytes, &ends, Lengths { min: 4, max: 10 }, 100).is_err());
    }
}
