//! Random lives against a list of numbers.

use crate::support::{DIR, batch, numbers};
use nsq_storage::{DiskQueue, MemoryDisk, QueueOptions};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

#[derive(Clone, Debug)]
enum Action {
    Append(u32),
    Read {
        bytes: usize,
        records: usize,
    },
    Consume(usize),
    Rewind,
    Sync,
    Empty,
    Reopen,
    /// It is dropped and opened again, if it rests.
    Rest,
    /// The process ends without a word; the files stay as they are.
    Kill,
    /// The machine ends; of unsynced bytes this share, in 1/256, survives.
    PowerCut(u8),
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        8 => (1..9_u32).prop_map(Action::Append),
        6 => (0..300_usize, 0..9_usize).prop_map(|(bytes, records)| Action::Read { bytes, records }),
        6 => (0..9_usize).prop_map(Action::Consume),
        1 => Just(Action::Rewind),
        2 => Just(Action::Sync),
        1 => Just(Action::Empty),
        1 => Just(Action::Reopen),
        2 => Just(Action::Rest),
        1 => Just(Action::Kill),
        1 => any::<u8>().prop_map(Action::PowerCut),
    ]
}

/// What must be in the queue.
#[derive(Debug, Default)]
struct Model {
    /// Not consumed, oldest first.
    records: VecDeque<u32>,
    /// How many of them were read ahead.
    ahead: usize,
    /// Consumed, but a power cut may bring them back: a sync does not sync the directory.
    consumed: VecDeque<u32>,
    /// How many of `consumed`, from the newest, also a crash may bring back: no sync was done since.
    unsynced_consumed: usize,
    /// How many of `records`, from the oldest, survive a power cut for sure.
    synced: usize,
    /// There may be a torn record, which is told about and set aside when the reader gets there.
    torn: bool,
    next: u32,
}

struct Life {
    disk: MemoryDisk,
    options: QueueOptions,
    queue: Option<DiskQueue>,
    model: Model,
}

impl Life {
    fn new(options: QueueOptions) -> Self {
        let mut life = Self {
            disk: MemoryDisk::new(),
            options,
            queue: None,
            model: Model::default(),
        };
        life.open();
        life
    }

    fn open(&mut self) {
        let disk = Arc::new(self.disk.clone());
        let (queue, _) = DiskQueue::open(disk, Path::new(DIR), "q", self.options).unwrap();
        self.queue = Some(queue);
    }

    fn queue(&mut self) -> &mut DiskQueue {
        self.queue.as_mut().unwrap()
    }

    fn step(&mut self, action: &Action) {
        match *action {
            Action::Append(count) => self.append(count),
            Action::Read { bytes, records } => {
                self.read(bytes, records);
            }
            Action::Consume(count) => {
                let count = count.min(self.model.ahead);
                self.queue().consume(count).unwrap();
                self.model.ahead -= count;
                self.model.synced = self.model.synced.saturating_sub(count);
                self.model.unsynced_consumed += count;
                let consumed = self.model.records.drain(..count);
                self.model.consumed.extend(consumed);
            }
            Action::Rewind => {
                self.queue().rewind();
                self.model.ahead = 0;
            }
            Action::Sync => self.queue().sync().unwrap(),
            Action::Empty => {
                self.queue().empty().unwrap();
                self.model = Model {
                    next: self.model.next,
                    ..Model::default()
                };
            }
            Action::Reopen => {
                self.queue.take().unwrap().close().unwrap();
                self.note_synced();
                self.model.ahead = 0;
                self.open();
            }
            Action::Rest => {
                if self.queue().is_at_rest() {
                    let stored = self.queue().stored_bytes();
                    self.open();
                    assert_eq!(self.queue().stored_bytes(), stored);
                }
            }
            Action::Kill => self.crash(None),
            Action::PowerCut(share) => self.crash(Some(share)),
        }
        self.check();
    }

    fn append(&mut self, count: u32) {
        let some = self.model.next..self.model.next + count;
        let (bytes, ends) = batch(some.clone());
        self.queue().append(&bytes, &ends).unwrap();
        self.model.records.extend(some);
        self.model.next += count;
    }

    fn read(&mut self, max_bytes: usize, max_records: usize) -> usize {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        let count = self
            .queue()
            .read(max_bytes, max_records, &mut bytes, &mut ends)
            .unwrap();
        let read = numbers(&bytes, &ends);
        let expected: Vec<u32> = self
            .model
            .records
            .iter()
            .skip(self.model.ahead)
            .take(count)
            .copied()
            .collect();
        assert_eq!(read, expected);
        assert!(count <= max_records && (bytes.len() <= max_bytes || count == 1));
        let all = self.model.ahead + count == self.model.records.len();
        assert!(
            count > 0 || max_records == 0 || all,
            "nothing read of what is there"
        );
        self.model.ahead += count;
        count
    }

    fn note_synced(&mut self) {
        self.model.unsynced_consumed = 0;
        self.model.synced = self.model.records.len();
    }

    fn check(&mut self) {
        let expected = self.model.records.len() as u64;
        assert_eq!(self.queue().depth(), expected);
        assert_eq!(self.queue().read_ahead(), self.model.ahead);
        let (bytes, warnings) = (self.queue().bytes(), self.queue().take_warnings());
        if self.model.torn {
            assert!(bytes >= expected * 33);
        } else {
            assert_eq!(bytes, expected * 33);
            assert_eq!(warnings, []);
        }
        if !self.queue().needs_sync() {
            self.note_synced();
        }
    }

    /// After a crash the queue holds: the last of the consumed records again, as far as they were not synced, then all
    /// records, or after a power cut at least the synced ones from the front.
    fn crash(&mut self, power_cut: Option<u8>) {
        self.queue = None;
        if let Some(share) = power_cut {
            self.disk
                .power_cut_keeping(|unsynced| unsynced * usize::from(share) / 256);
        }
        self.open();
        let mut all = Vec::new();
        let mut ends = Vec::new();
        let (depth, told) = (self.queue().depth(), self.queue().bytes());
        while self.queue().read(1000, 100, &mut all, &mut ends).unwrap() > 0 {}
        let found = numbers(&all, &ends);
        assert_eq!(depth, found.len() as u64, "the depth is exact from the start");
        assert!(told >= depth * 33);
        self.queue().rewind();

        let mut possible = std::mem::take(&mut self.model.consumed);
        let consumed = possible.len();
        possible.extend(&self.model.records);
        let begin = found
            .first()
            .and_then(|first| possible.iter().position(|number| number == first));
        let begin = begin.unwrap_or(consumed);
        let (repeated, kept) = match power_cut {
            Some(_) => (consumed, self.model.synced),
            None => (self.model.unsynced_consumed, self.model.records.len()),
        };
        assert!(begin <= consumed, "lost the oldest: {found:?} of {possible:?}");
        assert!(
            begin >= consumed - repeated,
            "repeated too many: {found:?} of {possible:?}"
        );
        assert!(
            possible.iter().skip(begin).take(found.len()).eq(&found),
            "{found:?} of {possible:?}"
        );
        assert!(
            kept == 0 || begin + found.len() >= consumed + kept,
            "lost: {found:?} of {possible:?}, {kept} were safe"
        );
        if power_cut.is_none() {
            possible.truncate(begin);
            self.model.consumed = possible;
        }
        self.model.unsynced_consumed = 0;
        self.model.records = found.into();
        self.model.ahead = 0;
        self.model.synced = 0;
        self.model.torn |= power_cut.is_some();
        self.queue().take_warnings();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

    #[test]
    fn a_queue_is_a_list_through_all_its_lives(
        sync_every in 1..40_u64,
        max_bytes_per_file in 1..300_u64,
        actions in vec(action(), 1..80),
    ) {
        let mut life = Life::new(QueueOptions { max_bytes_per_file, max_record: 60, min_record: 4, sync_every });
        for action in &actions {
            life.step(action);
        }
        life.step(&Action::Rewind);
        while life.read(usize::MAX, usize::MAX) > 0 {}
        life.step(&Action::Consume(usize::MAX));
        prop_assert_eq!(life.queue().depth(), 0);
    }
}
