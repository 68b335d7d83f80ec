//! Due times and delays that outlive the process: read at the start, written at a clean stop, appended to for messages that
//! another nsqd hands over (extensions spec 5.1).

use super::Broker;
use crate::deferrals::file::{self, Entry, When};
use crate::timers::{Timer, Why};
use nsq_storage::os_text;
use rustc_hash::FxHashMap;
use std::io;
use std::path::PathBuf;

/// What is held back in one queue.
type Held = Vec<(u64, When)>;

impl Broker {
    fn deferrals_path(&self) -> PathBuf {
        self.options.data_path.join(file::FILE_NAME)
    }

    /// Holds back what the last run held back. After the queues are open, before any topic flows.
    pub(super) fn restore_deferrals(&self) {
        let path = self.deferrals_path();
        let bytes = match self.disk.read_file(&path, file::MAX_BYTES) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return,
            Err(e) => {
                tracing::warn!(
                    "deferred messages are delivered at once: {} - {}",
                    path.display(),
                    os_text(&e)
                );
                return;
            }
        };
        let (entries, broken) = file::parse(&bytes);
        if broken {
            tracing::warn!(
                "{} is broken behind {} records: what follows is delivered at once",
                path.display(),
                entries.len()
            );
        }
        let mut queues: FxHashMap<_, Held> = FxHashMap::default();
        for entry in entries {
            let queue = queues.entry((entry.topic, entry.channel)).or_default();
            queue.push((entry.id, entry.when));
        }
        for ((topic, channel), held) in queues {
            let Some(topic) = self.topic(topic.as_str()) else {
                continue;
            };
            let delay = |(id, when): &(u64, When)| match when {
                When::Delay(delay) => Some((*id, *delay)),
                When::Due(_) => None,
            };
            match channel {
                None => topic.restore_delays(held.iter().filter_map(delay)),
                Some(name) => {
                    if let Some(channel) = topic.channel(name.as_str()) {
                        channel.restore_due(self.still_early(&held));
                    }
                }
            }
        }
    }

    /// Those that are not due yet, with their due times on this process's clock.
    pub(super) fn still_early(&self, held: &Held) -> Vec<(u64, u64)> {
        let (now, unix) = (self.engine.timers.now(), self.engine.clock.unix_nanos());
        let early = |(id, when): &(u64, When)| match when {
            When::Due(at) if *at > unix => {
                let ahead = u64::try_from(at.saturating_sub(unix)).unwrap_or(0);
                Some((*id, now.saturating_add(ahead)))
            }
            When::Due(_) | When::Delay(_) => None,
        };
        held.iter().filter_map(early).collect()
    }

    /// A time of the monotonic clock, in Unix ns.
    pub(crate) fn unix(&self, monotonic: u64) -> i64 {
        let ahead = i128::from(monotonic) - i128::from(self.engine.timers.now());
        let at = i128::from(self.engine.clock.unix_nanos()) + ahead;
        i64::try_from(at).unwrap_or(if ahead > 0 { i64::MAX } else { i64::MIN })
    }

    /// Everything that is held back: `timers` are those of the wheel, taken out.
    pub(super) fn held_back(&self, timers: &[(u64, Timer)]) -> Vec<Entry> {
        let mut entries = Vec::new();
        for (due, timer) in timers {
            if let Timer::Message(waiting) = timer
                && waiting.why == Why::Deferred
                && waiting.is_current()
            {
                let (topic, channel) = waiting.holder.names();
                if topic.is_ephemeral() || channel.is_ephemeral() {
                    continue;
                }
                let when = self.unix(*due);
                waiting.run.for_each_id(|id| {
                    entries.push(Entry {
                        topic: topic.clone(),
                        channel: Some(channel.clone()),
                        id,
                        when: When::Due(when),
                    });
                });
            }
        }
        for topic in self.topics().iter().filter(|topic| !topic.is_ephemeral()) {
            let entry = |channel, id, when| Entry {
                topic: topic.name().clone(),
                channel,
                id,
                when,
            };
            let delays = topic.delays().into_iter();
            entries.extend(delays.map(|(id, delay)| entry(None, id, When::Delay(delay))));
            for channel in topic.channels().iter().filter(|channel| !channel.is_ephemeral()) {
                let name = || Some(channel.name().clone());
                let early = channel.not_due().into_iter();
                entries.extend(early.map(|(id, due)| entry(name(), id, When::Due(self.unix(due)))));
            }
        }
        entries
    }

    /// Replaces the file by these; without any there is none.
    pub(super) async fn write_deferrals(&self, entries: Vec<Entry>) -> io::Result<()> {
        let (path, disk) = (self.deferrals_path(), self.disk.clone());
        let write = move || {
            if !entries.is_empty() {
                let mut bytes = file::head();
                file::encode(&entries, &mut bytes);
                return disk.write_atomic(&path, &bytes);
            }
            match disk.remove(&path) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
                removed => removed,
            }
        };
        let written = self.engine.workers.call(0, write).await;
        written.unwrap_or_else(|| Err(io::Error::other("exiting")))
    }

    /// Adds entries to the file, safe from a power cut when it returns.
    pub(super) async fn append_deferrals(&self, entries: Vec<Entry>) -> io::Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let (path, disk) = (self.deferrals_path(), self.disk.clone());
        let append = move || {
            let mut bytes = Vec::new();
            file::encode(&entries, &mut bytes);
            if disk.exists(&path)? {
                let file = disk.open_append(&path)?;
                file.append(&bytes)?;
                return file.fdatasync();
            }
            disk.write_atomic(&path, &[file::head(), bytes].concat())
        };
        // One worker, so that one append never ends in the middle of another.
        let appended = self.engine.workers.call(0, append).await;
        appended.unwrap_or_else(|| Err(io::Error::other("exiting")))
    }
}
