//! Which messages in the files of a queue are not to be delivered yet (extensions spec 5.1).
//!
//! A record of go-diskqueue has no field for a due time. So a deferred message that lies in a file is known by its id: the
//! [`Book`] of its channel holds when it is due, the delays of its topic how long it will be held back once a channel has it.
//! Both are in memory while the process runs and in [`file`] between two runs. Whoever takes messages that came from files
//! asks the book first; a queue without such messages has an empty book, and nobody asks. Pure.

pub mod file;

use crate::block::Run;
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;

/// Due times, in monotonic ns, of messages in the files of one channel.
#[derive(Debug, Default)]
pub struct Book {
    due: FxHashMap<u64, u64>,
    order: BTreeSet<(u64, u64)>,
}

impl Book {
    /// Whether nothing is held back.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.due.is_empty()
    }

    /// Messages held back.
    #[must_use]
    pub fn len(&self) -> usize {
        self.due.len()
    }

    /// Holds the message with that id back until `due`.
    pub fn insert(&mut self, id: u64, due: u64) {
        if let Some(before) = self.due.insert(id, due) {
            self.order.remove(&(before, id));
        }
        self.order.insert((due, id));
    }

    /// When the message with that id is due; none if it is not held back.
    #[must_use]
    pub fn due(&self, id: u64) -> Option<u64> {
        self.due.get(&id).copied()
    }

    /// Forgets the message with that id; when it is due, if it was held back.
    pub fn remove(&mut self, id: u64) -> Option<u64> {
        let due = self.due.remove(&id)?;
        self.order.remove(&(due, id));
        Some(due)
    }

    /// Forgets what is due: from now on those messages are like any others.
    pub fn expire(&mut self, now: u64) {
        while let Some(&(due, id)) = self.order.first()
            && due <= now
        {
            self.order.pop_first();
            self.due.remove(&id);
        }
    }

    /// When the last one is due.
    #[must_use]
    pub fn last_due(&self) -> Option<u64> {
        self.order.last().map(|(due, _)| *due)
    }

    /// Ids with their due times.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.due.iter().map(|(id, due)| (*id, *due))
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Cuts a run where the answer of `of` changes, which is asked about the id of each message. The pieces keep their order.
pub fn split<T: PartialEq + Copy>(mut run: Run, of: impl Fn(u64) -> T, mut each: impl FnMut(T, Run)) {
    let answers: Vec<T> = run.messages().map(|message| of(message.head.id)).collect();
    let mut rest = &answers[..];
    while let Some(first) = rest.first() {
        let same = rest.iter().take_while(|answer| *answer == first).count();
        each(*first, run.split_front(same));
        rest = &rest[same..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::{BatchBuilder, Block, Head};
    use std::sync::Arc;

    #[test]
    fn a_book_forgets_what_is_due_and_what_is_taken() {
        let mut book = Book::default();
        for (id, due) in [(1, 30), (2, 10), (3, 20), (2, 25)] {
            book.insert(id, due);
        }
        book.expire(20);
        assert_eq!((book.len(), book.last_due()), (2, Some(30)));
        assert_eq!((book.remove(2), book.remove(3)), (Some(25), None));
        book.expire(30);
        assert!(book.is_empty() && book.order.is_empty());
    }

    #[test]
    fn a_run_is_cut_where_the_answer_changes() {
        let mut bodies = BatchBuilder::default();
        (0..6).for_each(|_| bodies.push(b"m"));
        let head = |id| Head {
            id,
            timestamp: 0,
            attempts: 0,
        };
        let block = Block::with_heads(&mut bodies, [2, 4, 5, 7, 6, 8].map(head).to_vec());
        let mut pieces = Vec::new();
        split(
            Run::whole(Arc::new(block)),
            |id| id % 2,
            |odd, run| pieces.push((odd, run.len())),
        );
        assert_eq!(pieces, [(0, 2), (1, 2), (0, 2)]);
    }
}
