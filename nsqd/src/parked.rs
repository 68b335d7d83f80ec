//! What waits in the timer wheel, in as few bytes as it can.
//!
//! Up to a million messages may wait for their time, each alone. A block of its own costs such a message twice its body in
//! bookkeeping, so a short one is packed into one allocation, and is a block again when its time has come.

use crate::block::{BatchBuilder, Block, Head, Run};
use std::sync::Arc;

/// Longer bodies stay in their block, which several channels share.
const MAX_PACKED_BODY: usize = 256;
/// Id, timestamp and attempts, little endian, and whether its channel keeps its time apart.
const HEADER: usize = 8 + 8 + 2 + 1;

/// A run that waits.
#[derive(Debug)]
pub struct Parked(Form);

#[derive(Debug)]
enum Form {
    /// One short message: [`HEADER`], then its body.
    Packed(Box<[u8]>),
    /// Anything else, without the rest of a much larger block.
    Whole(Box<Run>),
}

impl Parked {
    /// The messages again. How long to hold them back is not among what was kept.
    #[must_use]
    pub fn into_run(self) -> Run {
        let packed = match self.0 {
            Form::Whole(run) => return *run,
            Form::Packed(packed) => packed,
        };
        let (head, returned, body) = unpack(&packed);
        let mut bodies = BatchBuilder::default();
        bodies.reserve(body.len());
        bodies.push(body);
        let run = Run::whole(Arc::new(Block::with_heads(&mut bodies, vec![head])));
        if returned { run.returned() } else { run }
    }

    /// Shows the id of each message.
    pub fn for_each_id(&self, mut each: impl FnMut(u64)) {
        match &self.0 {
            Form::Whole(run) => run.messages().for_each(|message| each(message.head.id)),
            Form::Packed(packed) => each(unpack(packed).0.id),
        }
    }
}

impl From<Run> for Parked {
    fn from(run: Run) -> Self {
        let mut messages = run.messages();
        if let (Some(message), None) = (messages.next(), messages.next())
            && message.body.len() <= MAX_PACKED_BODY
        {
            let Head {
                id,
                timestamp,
                attempts,
            } = message.head;
            let mut packed = Vec::with_capacity(HEADER + message.body.len());
            packed.extend_from_slice(&id.to_le_bytes());
            packed.extend_from_slice(&timestamp.to_le_bytes());
            packed.extend_from_slice(&attempts.to_le_bytes());
            packed.push(u8::from(run.is_returned()));
            packed.extend_from_slice(message.body);
            return Self(Form::Packed(packed.into_boxed_slice()));
        }
        drop(messages);
        Self(Form::Whole(Box::new(run.unpinned().held_back(0))))
    }
}

/// Head, whether it came back, body.
fn unpack(packed: &[u8]) -> (Head, bool, &[u8]) {
    let (header, body) = packed.split_at(HEADER);
    let number = |from: usize| {
        let bytes = header[from..from + 8].try_into();
        u64::from_le_bytes(bytes.unwrap_or_default())
    };
    let head = Head {
        id: number(0),
        timestamp: number(8).cast_signed(),
        attempts: u16::from_le_bytes([header[16], header[17]]),
    };
    (head, header[18] != 0, body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn contents(run: &Run) -> (Vec<(Head, Vec<u8>)>, bool) {
        let messages = run.messages().map(|m| (m.head, m.body.to_vec()));
        (messages.collect(), run.is_returned())
    }

    proptest! {
        #[test]
        fn what_was_parked_comes_back_whole(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..4),
            head in (any::<u64>(), any::<i64>(), any::<u16>()),
            returned in any::<bool>(),
        ) {
            let mut builder = BatchBuilder::default();
            bodies.iter().for_each(|body| builder.push(body));
            let head = Head { id: head.0, timestamp: head.1, attempts: head.2 };
            let heads = bodies.iter().map(|_| head).collect();
            let run = Run::deferred(Arc::new(Block::with_heads(&mut builder, heads)), 7);
            let run = if returned { run.returned() } else { run };
            let before = contents(&run);
            let parked = Parked::from(run);
            let mut ids = Vec::new();
            parked.for_each_id(|id| ids.push(id));
            prop_assert_eq!(ids, vec![head.id; bodies.len()]);
            let run = parked.into_run();
            prop_assert_eq!((contents(&run), run.delay()), (before, 0));
        }
    }
}
