//! What messages are kept in: a [`Block`] is one publish batch, a [`Run`] is a reference to some of its messages.
//!
//! A publish makes one block whatever the number of its messages and of the channels they go to; queues hold runs of
//! 32 bytes. Bodies are written once, on the way in, and never copied for a channel (engine design, section 5).

use crate::message_id::IdRange;
use nsq_protocol::v2::BatchSink;
use nsq_protocol::{MessageId, message::Message};
use std::sync::Arc;

/// Id, timestamp and past deliveries of a message that was not published here in one go: read from disk, or alone again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The id as a number.
    pub id: u64,
    /// When it was published, nanoseconds since 1970.
    pub timestamp: i64,
    /// Deliveries before it came here.
    pub attempts: u16,
}

#[derive(Debug)]
enum Heads {
    /// One publish: consecutive ids, one timestamp, never delivered.
    Published { ids: IdRange, timestamp: i64 },
    /// One head for each message.
    Each(Box<[Head]>),
}

#[derive(Debug)]
enum Index {
    /// All bodies have this many bytes.
    Stride(u32),
    /// Where each body ends.
    Ends(Box<[u32]>),
}

/// The messages of one batch. Never changed after it was built.
#[derive(Debug)]
pub struct Block {
    heads: Heads,
    index: Index,
    len: u32,
    data: Vec<u8>,
}

impl Block {
    /// A block of messages that each have a head. `bodies` holds as many bodies as there are heads.
    #[must_use]
    pub fn with_heads(bodies: &mut BatchBuilder, heads: Vec<Head>) -> Self {
        debug_assert_eq!(bodies.len() as usize, heads.len(), "one head for each body");
        bodies.build(Heads::Each(heads.into_boxed_slice()))
    }

    /// Number of messages.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// Whether it has no message.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of all bodies.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.data.len()
    }

    /// Id, timestamp and earlier deliveries of message `i`.
    #[must_use]
    pub fn head(&self, i: u32) -> Head {
        match &self.heads {
            Heads::Published { ids, timestamp } => Head {
                id: ids.get(i),
                timestamp: *timestamp,
                attempts: 0,
            },
            Heads::Each(heads) => heads[i as usize],
        }
    }

    /// The body of message `i`.
    #[must_use]
    pub fn body(&self, i: u32) -> &[u8] {
        let i = i as usize;
        match &self.index {
            Index::Stride(size) => {
                let size = *size as usize;
                &self.data[i * size..(i + 1) * size]
            }
            Index::Ends(ends) => {
                let start = if i == 0 { 0 } else { ends[i - 1] as usize };
                &self.data[start..ends[i] as usize]
            }
        }
    }
}

/// Collects bodies and becomes a [`Block`]; reused from batch to batch.
#[derive(Debug, Default)]
pub struct BatchBuilder {
    data: Vec<u8>,
    ends: Vec<u32>,
    uneven: bool,
}

/// A place in a [`BatchBuilder`] to go back to.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    bytes: usize,
    len: usize,
}

impl BatchBuilder {
    /// Number of messages begun.
    #[must_use]
    pub fn len(&self) -> u32 {
        u32::try_from(self.ends.len()).unwrap_or(u32::MAX)
    }

    /// Whether no message was begun.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of bodies so far.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.data.len()
    }

    /// Makes room for `bytes` more, so that a body of known size is stored without moving.
    pub fn reserve(&mut self, bytes: usize) {
        self.data.reserve(bytes);
    }

    /// The bytes collected so far; what is appended belongs to the open message.
    pub fn open_body(&mut self) -> &mut Vec<u8> {
        &mut self.data
    }

    /// Adds a whole message.
    pub fn push(&mut self, body: &[u8]) {
        self.begin(body.len());
        self.extend(body);
    }

    /// Where it stands.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark {
            bytes: self.data.len(),
            len: self.ends.len(),
        }
    }

    /// Forgets what was added since the mark.
    pub fn rollback(&mut self, mark: Mark) {
        self.data.truncate(mark.bytes);
        self.ends.truncate(mark.len);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.rollback(Mark { bytes: 0, len: 0 });
        self.uneven = false;
    }

    /// The block of what was collected, with consecutive ids; the builder is empty afterwards.
    #[must_use]
    pub fn publish(&mut self, ids: IdRange, timestamp: i64) -> Block {
        self.build(Heads::Published { ids, timestamp })
    }

    fn build(&mut self, heads: Heads) -> Block {
        let len = self.len();
        let index = match self.ends.first() {
            Some(&size) if !self.uneven => Index::Stride(size),
            _ => Index::Ends(self.ends.as_slice().into()),
        };
        self.ends.clear();
        self.uneven = false;
        let mut data = std::mem::take(&mut self.data);
        // The room that was reserved for what did not come is given back when it is more than the bodies themselves.
        if data.capacity() > 2 * data.len() + 64 {
            data.shrink_to_fit();
        }
        Block {
            heads,
            index,
            len,
            data,
        }
    }
}

impl BatchSink for BatchBuilder {
    fn begin(&mut self, size: usize) {
        let start = self.ends.last().copied().unwrap_or(0);
        debug_assert_eq!(start as usize, self.data.len(), "the message before is complete");
        // Sizes are int32 on the wire and a batch is closed long before 4 GiB, so the sum fits.
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        self.uneven |= self.ends.first().is_some_and(|&first| first != size);
        self.ends.push(start.saturating_add(size));
    }

    fn extend(&mut self, bytes: &[u8]) {
        self.data.extend_from_slice(bytes);
    }
}

/// Some consecutive messages of a block, as queues hold them.
#[derive(Clone, Debug)]
pub struct Run {
    block: Arc<Block>,
    from: u32,
    to: u32,
    /// Deliveries since the block was built, added to what its heads say.
    attempts: u16,
    /// Its channel keeps the times of its messages apart: they came back.
    returned: bool,
    /// How long to hold it back from the moment a channel gets it, in ns; 0 for all but deferred publishes.
    delay: u64,
}

impl Run {
    /// All messages of a block.
    #[must_use]
    pub fn whole(block: Arc<Block>) -> Self {
        let to = block.len();
        Self {
            block,
            from: 0,
            to,
            attempts: 0,
            returned: false,
            delay: 0,
        }
    }

    /// All messages of a block, to be held back for `delay` ns by each channel that gets them.
    #[must_use]
    pub fn deferred(block: Arc<Block>, delay: u64) -> Self {
        Self {
            delay,
            ..Self::whole(block)
        }
    }

    /// The same messages, to be held back for `delay` ns by each channel that gets them.
    #[must_use]
    pub fn held_back(self, delay: u64) -> Self {
        Self { delay, ..self }
    }

    /// The same messages, whose times their channel keeps apart from now on.
    #[must_use]
    pub fn returned(self) -> Self {
        Self {
            returned: true,
            ..self
        }
    }

    /// Whether their channel keeps their times apart.
    #[must_use]
    pub const fn is_returned(&self) -> bool {
        self.returned
    }

    /// One message that was delivered `attempts` times since its block was built.
    #[must_use]
    pub fn single(block: Arc<Block>, index: u32, attempts: u16) -> Self {
        Self {
            block,
            from: index,
            to: index + 1,
            attempts,
            returned: false,
            delay: 0,
        }
    }

    /// Number of messages.
    #[must_use]
    pub fn len(&self) -> usize {
        (self.to - self.from) as usize
    }

    /// Whether it has no message left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.to == self.from
    }

    /// Bytes of the bodies of its messages.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match &self.block.index {
            Index::Stride(size) => self.len() * *size as usize,
            Index::Ends(ends) => {
                let end = |n: u32| if n == 0 { 0 } else { ends[n as usize - 1] as usize };
                end(self.to) - end(self.from)
            }
        }
    }

    /// How long a channel holds it back, in ns.
    #[must_use]
    pub const fn delay(&self) -> u64 {
        self.delay
    }

    /// The block behind it.
    #[must_use]
    pub const fn block(&self) -> &Arc<Block> {
        &self.block
    }

    /// Takes the first `n` messages off; all of them when it has no more than that.
    #[must_use]
    pub fn split_front(&mut self, n: usize) -> Self {
        let n = u32::try_from(n).unwrap_or(u32::MAX).min(self.to - self.from);
        let front = Self {
            to: self.from + n,
            ..self.clone()
        };
        self.from += n;
        front
    }

    /// Its messages, oldest first.
    pub fn messages(&self) -> impl ExactSizeIterator<Item = QueuedMessage<'_>> + '_ {
        let attempts = self.attempts;
        (self.from as usize..self.to as usize).map(move |i| {
            // The bounds come from u32s.
            #[allow(clippy::cast_possible_truncation, reason = "the range is made of u32 bounds")]
            let index = i as u32;
            let mut head = self.block.head(index);
            head.attempts = head.attempts.wrapping_add(attempts);
            QueuedMessage {
                index,
                added: attempts,
                head,
                body: self.block.body(index),
            }
        })
    }

    /// How many messages from the front have at most `max_bytes` of bodies together, at least 1.
    #[must_use]
    pub fn fitting(&self, max_bytes: usize) -> usize {
        if let Index::Stride(size) = self.block.index {
            return (max_bytes / (size as usize).max(1)).clamp(1, self.len().max(1));
        }
        let mut left = max_bytes;
        let fits = self.messages().take_while(|m| {
            let fits = m.body.len() <= left;
            left = left.saturating_sub(m.body.len());
            fits
        });
        fits.count().max(1)
    }

    /// The same messages without the rest of a much larger block, so that one message does not pin its whole batch.
    #[must_use]
    pub fn unpinned(self) -> Self {
        let bytes = self.bytes();
        if self.block.bytes() <= 4 * bytes + 256 {
            return self;
        }
        let (mut bodies, mut heads) = (BatchBuilder::default(), Vec::with_capacity(self.len()));
        bodies.reserve(bytes);
        for m in self.messages() {
            bodies.push(m.body);
            heads.push(m.head);
        }
        let (returned, delay) = (self.returned, self.delay);
        Self {
            returned,
            delay,
            ..Self::whole(Arc::new(Block::with_heads(&mut bodies, heads)))
        }
    }
}

/// One message of a run.
#[derive(Clone, Copy, Debug)]
pub struct QueuedMessage<'a> {
    /// Its place in the block.
    pub index: u32,
    /// Deliveries since its block was built.
    pub added: u16,
    /// Id, timestamp and all deliveries so far.
    pub head: Head,
    /// What was published.
    pub body: &'a [u8],
}

impl QueuedMessage<'_> {
    /// Appends the disk record: int32 length, then the message.
    pub fn encode_record(&self, out: &mut Vec<u8>) {
        let len = nsq_protocol::message::HEADER_BYTES + self.body.len();
        out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
        let Head {
            id,
            timestamp,
            attempts,
        } = self.head;
        Message {
            timestamp,
            attempts,
            id: MessageId::from_u64(id),
            body: self.body,
        }
        .encode(out);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::message_id::IdFactory;
    use proptest::prelude::*;

    fn block(bodies: &[Vec<u8>]) -> Arc<Block> {
        let mut b = BatchBuilder::default();
        bodies.iter().for_each(|body| b.push(body));
        let ids = IdFactory::new(1, 0).next(b.len(), 9).unwrap();
        Arc::new(b.publish(ids, 77))
    }

    proptest! {
        #[test]
        fn bodies_read_back_whole_split_and_unpinned(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 1..40),
            cut in 0usize..50,
        ) {
            let mut back = Run::whole(block(&bodies));
            let front = back.split_front(cut);
            prop_assert_eq!(front.len(), cut.min(bodies.len()));
            prop_assert_eq!(front.bytes() + back.bytes(), bodies.iter().map(Vec::len).sum::<usize>());
            let all: Vec<_> = [front, back].iter().flat_map(|r| {
                let ids: Vec<_> = r.messages().map(|m| (m.head, m.body.to_vec())).collect();
                let copied: Vec<_> = r.clone().unpinned().messages().map(|m| (m.head, m.body.to_vec())).collect();
                assert_eq!(ids, copied);
                ids
            }).collect();
            prop_assert_eq!(all.iter().map(|(_, b)| b.clone()).collect::<Vec<_>>(), bodies);
            prop_assert!(all.windows(2).all(|w| w[0].0.id < w[1].0.id));
        }

        #[test]
        fn what_fits_is_within_the_bound_or_one(sizes in prop::collection::vec(1usize..50, 1..30), max in 0usize..200) {
            let bodies: Vec<_> = sizes.iter().map(|&n| vec![0; n]).collect();
            let run = Run::whole(block(&bodies));
            let n = run.fitting(max);
            let bytes: usize = sizes[..n].iter().sum();
            prop_assert!(n == 1 || bytes <= max);
            prop_assert!(n == sizes.len() || bytes + sizes[n] > max);
        }
    }

    #[test]
    fn a_rolled_back_message_leaves_nothing() {
        let mut b = BatchBuilder::default();
        b.push(b"one");
        let mark = b.mark();
        b.begin(5);
        b.extend(b"tw");
        b.rollback(mark);
        let ids = IdFactory::new(1, 0).next(1, 9).unwrap();
        let block = b.publish(ids, 0);
        assert_eq!((block.len(), block.body(0)), (1, &b"one"[..]));
        assert!(b.is_empty());
    }
}
