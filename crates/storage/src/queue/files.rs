//! Names of a queue's files, and the text of its meta file. Pure.

use std::ffi::OsStr;
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

/// A byte offset in a numbered data file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) struct Position {
    pub(super) file: u64,
    pub(super) offset: u64,
}

impl Position {
    /// Begin of the file behind this one.
    pub(super) fn next_file(self) -> Self {
        Self {
            file: self.file.saturating_add(1),
            offset: 0,
        }
    }
}

/// Content of the meta file. The depth of a file written by the reference can be negative.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Meta {
    pub(super) depth: i64,
    pub(super) read: Position,
    pub(super) write: Position,
}

/// A meta file has at most 5 numbers of 20 digits; what is longer is not one.
pub(super) const MAX_META_BYTES: usize = 256;

impl Meta {
    pub(super) fn encode(&self) -> String {
        let Self { depth, read, write } = self;
        format!(
            "{depth}\n{},{}\n{},{}\n",
            read.file, read.offset, write.file, write.offset
        )
    }

    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let mut lines = std::str::from_utf8(text).ok()?.lines();
        let depth = lines.next()?.trim().parse().ok()?;
        let read = parse_position(lines.next()?)?;
        let write = parse_position(lines.next()?)?;
        Some(Self { depth, read, write })
    }
}

fn parse_position(line: &str) -> Option<Position> {
    let (file, offset) = line.trim().split_once(',')?;
    Some(Position {
        file: parse_number(file)?,
        offset: parse_number(offset)?,
    })
}

/// No queue gets there, and sums of two such numbers still fit the reference's int64.
const MAX_NUMBER: u64 = 1 << 62;

fn parse_number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number| *number < MAX_NUMBER)
}

/// Directory and checked name of a queue.
#[derive(Clone, Debug)]
pub(super) struct Files {
    pub(super) dir: PathBuf,
    pub(super) name: String,
}

impl Files {
    pub(super) fn new(dir: &Path, name: &str) -> Result<Self> {
        if name.is_empty() || name.contains(['/', '\\', '\0']) {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("{name:?} cannot name a disk queue"),
            ));
        }
        Ok(Self {
            dir: dir.to_owned(),
            name: name.to_owned(),
        })
    }

    pub(super) fn meta(&self) -> PathBuf {
        self.dir.join(format!("{}.diskqueue.meta.dat", self.name))
    }

    pub(super) fn data(&self, number: u64) -> PathBuf {
        self.dir.join(format!("{}.diskqueue.{number:06}.dat", self.name))
    }

    /// Where an unreadable data file goes.
    pub(super) fn bad(&self, number: u64) -> PathBuf {
        self.dir
            .join(format!("{}.diskqueue.{number:06}.dat.bad", self.name))
    }

    /// Number of a data file of this queue.
    pub(super) fn number(&self, file_name: &OsStr) -> Option<u64> {
        let rest = file_name.to_str()?.strip_prefix(self.name.as_str())?;
        let number = parse_number(rest.strip_prefix(".diskqueue.")?.strip_suffix(".dat")?)?;
        (self.data(number).file_name() == Some(file_name)).then_some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meta_text_is_the_reference_s() {
        let write = Position { file: 0, offset: 110 };
        let meta = Meta {
            depth: 3,
            read: Position::default(),
            write,
        };
        assert_eq!(meta.encode(), "3\n0,0\n0,110\n");
        assert_eq!(Meta::parse(b"3\n0,0\n0,110\n"), Some(meta));
        assert_eq!(Meta::parse(b"-3\n0,0\n0,110\n").unwrap().depth, -3);
    }

    #[test]
    fn meta_garbage_is_refused() {
        let garbage: [&[u8]; 7] = [
            b"",
            b"3\n",
            b"3\n0,0\n",
            b"x\n0,0\n0,0\n",
            b"3\n0,-1\n0,0\n",
            b"3\n0 0\n0,0\n",
            b"\xff\n0,0\n0,0\n",
        ];
        for text in garbage {
            assert_eq!(Meta::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn names_stay_in_their_directory() {
        for name in ["", "a/b", "../x", "a\\b", "a\0b"] {
            assert!(Files::new(Path::new("d"), name).is_err(), "{name:?}");
        }
        let files = Files::new(Path::new("d"), ".t:c").unwrap();
        assert_eq!(files.data(7), Path::new("d/.t:c.diskqueue.000007.dat"));
        assert_eq!(files.data(12_345_678), Path::new("d/.t:c.diskqueue.12345678.dat"));
        assert_eq!(files.number(OsStr::new(".t:c.diskqueue.000007.dat")), Some(7));
        for other in [
            ".t:c.diskqueue.meta.dat",
            ".t:c.diskqueue.7.dat",
            ".t:c.diskqueue.000007.dat.bad",
            "t",
        ] {
            assert_eq!(files.number(OsStr::new(other)), None, "{other}");
        }
    }
}
