//! The files of one topic, one at a time: when the next begins, and where a finished one goes (tools spec 5.4 to 5.6). Every call
//! that writes blocks.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::ZonedDateTime;

use super::names::{LAST_REVISION, Names, revised};
use super::output::{self, Output};

/// What an archive goes by.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// `topic/channel`, for the log.
    pub(super) label: String,
    pub(super) names: Names,
    pub(super) output_dir: PathBuf,
    /// The same as `output_dir` if files are not moved.
    pub(super) work_dir: PathBuf,
    /// Level of packing.
    pub(super) gzip: Option<u32>,
    /// A file that is larger is the last of its name; 0 for no limit.
    pub(super) rotate_size: u64,
    /// A file that is older is the last of its name; zero for no limit.
    pub(super) rotate_interval: Duration,
    /// A file begins with a message only.
    pub(super) skip_empty: bool,
}

/// The time, by both clocks.
#[derive(Clone, Debug)]
pub(super) struct Now {
    pub(super) wall: ZonedDateTime,
    /// Since an arbitrary start.
    pub(super) age: Duration,
}

/// The files of one topic.
#[derive(Debug)]
pub(super) struct Archive {
    rules: Rules,
    open: Option<Open>,
    /// Name of the last file, without its revision.
    name: String,
    revision: u32,
}

#[derive(Debug)]
struct Open {
    output: Output,
    since: Duration,
}

impl Rules {
    fn moves(&self) -> bool {
        self.work_dir != self.output_dir
    }
}

impl Archive {
    pub(super) const fn new(rules: Rules) -> Self {
        Self {
            rules,
            open: None,
            name: String::new(),
            revision: 0,
        }
    }

    /// `topic/channel`.
    pub(super) fn label(&self) -> &str {
        &self.rules.label
    }

    /// Appends the records, in as many files as it takes. True if one was begun: then it is time to sync.
    ///
    /// # Errors
    /// Those of the files; what was not synced may be lost.
    pub(super) fn write<'a>(
        &mut self,
        records: impl Iterator<Item = &'a [u8]>,
        now: &Now,
    ) -> io::Result<bool> {
        let name = self.rules.names.at(&now.wall);
        let mut begun = false;
        for record in records {
            if self.is_due(&name, now) {
                self.rotate(name.clone(), now)?;
                begun = true;
            }
            if let Some(open) = &mut self.open {
                open.output.push(record)?;
            }
        }
        if let Some(open) = &mut self.open {
            open.output.flush()?;
        }
        Ok(begun)
    }

    /// Begins the next file if it is time to, or, where empty files are skipped, ends the last.
    ///
    /// # Errors
    /// Those of the files.
    pub(super) fn tick(&mut self, now: &Now) -> io::Result<()> {
        let name = self.rules.names.at(&now.wall);
        match self.is_due(&name, now) {
            true if self.rules.skip_empty => self.close(),
            true => self.rotate(name, now),
            false => Ok(()),
        }
    }

    /// What was written is on the disk afterwards.
    ///
    /// # Errors
    /// Those of the file; what was written since the last success may be lost.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.open.as_mut().map_or(Ok(()), |open| open.output.sync())
    }

    /// Ends the file, and takes it where finished ones are.
    ///
    /// # Errors
    /// Those of the files.
    pub(super) fn close(&mut self) -> io::Result<()> {
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        let path = open.output.close()?;
        if self.rules.moves() {
            self.take_out(&path)?;
        }
        Ok(())
    }

    /// Whether the next record needs another file.
    fn is_due(&self, name: &str, now: &Now) -> bool {
        let Some(open) = &self.open else { return true };
        let Rules {
            label,
            rotate_size,
            rotate_interval,
            ..
        } = &self.rules;
        let (size, age) = (open.output.size(), now.age.saturating_sub(open.since));
        let path = open.output.path().display();
        if self.name != name {
            tracing::info!("[{label}] new filename, rotating...");
        } else if !rotate_interval.is_zero() && age > *rotate_interval {
            tracing::info!("[{label}] {path} is open for {age:?} (> {rotate_interval:?}), rotating...");
        } else if *rotate_size > 0 && size > *rotate_size {
            tracing::info!("[{label}] {path} currently {size} bytes (> {rotate_size}), rotating...");
        } else {
            return false;
        }
        true
    }

    fn rotate(&mut self, name: String, now: &Now) -> io::Result<()> {
        self.close()?;
        if self.name == name {
            self.revision += 1;
        } else {
            (self.name, self.revision) = (name, 0);
        }
        self.open = Some(Open {
            output: self.begin()?,
            since: now.age,
        });
        Ok(())
    }

    /// Opens the file of the first revision from here on that is free.
    fn begin(&mut self) -> io::Result<Output> {
        let label = &self.rules.label;
        let new = self.rules.gzip.is_some() || !self.rules.rotate_interval.is_zero();
        while self.revision <= LAST_REVISION {
            let name = revised(&self.name, self.revision);
            if self.rules.moves() {
                let finished = below(&self.rules.output_dir, &name);
                if output::exists(&finished)? {
                    tracing::warn!("[{label}] output file already exists: {}", finished.display());
                    self.revision += 1;
                    continue;
                }
            }
            let path = below(&self.rules.work_dir, &name);
            let shown = path.display().to_string();
            match Output::open(&self.rules.work_dir, path, new, self.rules.gzip) {
                Err(error) if new && error.kind() == ErrorKind::AlreadyExists => {
                    tracing::warn!("[{label}] working file already exists: {shown}");
                }
                Err(error) => return Err(error),
                Ok(file) => {
                    tracing::info!("[{label}] opening {shown}");
                    let (size, limit) = (file.size(), self.rules.rotate_size);
                    if limit == 0 || size <= limit {
                        return Ok(file);
                    }
                    tracing::info!("[{label}] {shown} currently {size} bytes (> {limit}), rotating...");
                }
            }
            self.revision += 1;
        }
        Err(all_taken(&self.name))
    }

    /// Moves a finished file, under the first revision that is free.
    fn take_out(&self, from: &Path) -> io::Result<()> {
        let label = &self.rules.label;
        for revision in self.revision..=LAST_REVISION {
            let to = below(&self.rules.output_dir, &revised(&self.name, revision));
            let (source, target) = (from.display(), to.display());
            tracing::info!("[{label}] moving finished file {source} to {target}");
            match output::take_to(&self.rules.output_dir, from, &to) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    tracing::warn!("[{label}] destination file already exists: {target}");
                }
                done => return done,
            }
        }
        Err(all_taken(&self.name))
    }
}

fn below(folder: &Path, name: &str) -> PathBuf {
    folder.join(name.trim_start_matches('/'))
}

fn all_taken(name: &str) -> io::Error {
    io::Error::other(format!("open {name}: all {LAST_REVISION} revisions are taken"))
}
