//! The body of `MPUB`: int32 count, then count times int32 size and bytes.
//!
//! The decoder is fed whatever is there and keeps its place, so a batch larger than the read buffer needs no second
//! buffer. The batch ends where its count and sizes say, whatever length was declared before it (nsqd spec 1.9, MPUB).

/// Bounds of one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// Most messages: `(max-body-size - 4) / 5`.
    pub max_count: i64,
    /// Largest message in bytes: `max-msg-size`.
    pub max_size: i64,
}

/// Takes the bodies as they are read: `begin` opens a message of that many bytes, `extend` appends to the open one.
pub trait BatchSink {
    /// The next message has `size` bytes, at least 1.
    fn begin(&mut self, size: usize);
    /// The next bytes of the open message.
    fn extend(&mut self, bytes: &[u8]);
}

/// Why a batch is refused. The numbers are the offending values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchError {
    /// The count is zero, negative or above the bound.
    Count(i32),
    /// The size of message `index` (from 0) is zero or negative.
    Size {
        /// Which message.
        index: usize,
        /// What it declares.
        size: i32,
    },
    /// A message is larger than the bound.
    TooBig(i32),
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchStep {
    /// All input was taken (or kept for more): come back with more.
    More,
    /// The batch is complete; the rest of the input is not part of it.
    Done,
    /// The batch is refused.
    Refused(BatchError),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Count,
    Size,
    Body(usize),
    Done,
}

/// Keeps the place within one batch.
#[derive(Clone, Copy, Debug)]
pub struct BatchDecoder {
    limits: BatchLimits,
    stage: Stage,
    count: usize,
    index: usize,
}

impl BatchDecoder {
    /// A decoder at the count.
    #[must_use]
    pub const fn new(limits: BatchLimits) -> Self {
        Self {
            limits,
            stage: Stage::Count,
            count: 0,
            index: 0,
        }
    }

    /// Takes what it can from the front of `input`; returns how many bytes it took and what to do next.
    pub fn step(&mut self, input: &[u8], sink: &mut impl BatchSink) -> (usize, BatchStep) {
        let mut rest = input;
        let step = loop {
            match self.stage {
                Stage::Done => break BatchStep::Done,
                Stage::Body(missing) => {
                    let (taken, left) = rest.split_at(missing.min(rest.len()));
                    sink.extend(taken);
                    rest = left;
                    let missing = missing.saturating_sub(taken.len());
                    if missing > 0 {
                        self.stage = Stage::Body(missing);
                        break BatchStep::More;
                    }
                    self.index = self.index.saturating_add(1);
                    self.stage = if self.index == self.count {
                        Stage::Done
                    } else {
                        Stage::Size
                    };
                }
                Stage::Count | Stage::Size => {
                    let Some((number, left)) = rest.split_first_chunk() else {
                        break BatchStep::More;
                    };
                    rest = left;
                    if let Err(e) = self.number(i32::from_be_bytes(*number), sink) {
                        break BatchStep::Refused(e);
                    }
                }
            }
        };
        (input.len().saturating_sub(rest.len()), step)
    }

    /// Hears that `n` bytes of the open message were put into the sink past the decoder, at most
    /// [`Self::missing_in_body`].
    pub const fn filled(&mut self, n: usize) {
        if let Stage::Body(missing) = self.stage {
            self.stage = Stage::Body(missing.saturating_sub(n));
        }
    }

    fn number(&mut self, n: i32, sink: &mut impl BatchSink) -> Result<(), BatchError> {
        let value = usize::try_from(n).ok().filter(|&v| v > 0);
        if self.stage == Stage::Count {
            let count = value
                .filter(|_| i64::from(n) <= self.limits.max_count)
                .ok_or(BatchError::Count(n))?;
            self.count = count;
            self.stage = Stage::Size;
        } else {
            let size = value.ok_or(BatchError::Size {
                index: self.index,
                size: n,
            })?;
            if i64::from(n) > self.limits.max_size {
                return Err(BatchError::TooBig(n));
            }
            sink.begin(size);
            self.stage = Stage::Body(size);
        }
        Ok(())
    }

    /// Bytes that the open message still lacks; 0 outside a message.
    #[must_use]
    pub const fn missing_in_body(&self) -> usize {
        match self.stage {
            Stage::Body(n) => n,
            Stage::Count | Stage::Size | Stage::Done => 0,
        }
    }

    /// The text for an input that ended early: what could not be read.
    #[must_use]
    pub fn unread(&self) -> String {
        match self.stage {
            Stage::Count => "failed to read message count".into(),
            Stage::Size => format!("failed to read message({}) body size", self.index),
            Stage::Body(_) | Stage::Done => "failed to read message body".into(),
        }
    }

    /// Whether the batch is complete.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }

    /// Whether the count itself has not been read yet.
    #[must_use]
    pub const fn at_count(&self) -> bool {
        matches!(self.stage, Stage::Count)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Default, Debug, PartialEq)]
    struct Bodies(Vec<Vec<u8>>);

    impl BatchSink for Bodies {
        fn begin(&mut self, size: usize) {
            self.0.push(Vec::with_capacity(size.min(64)));
        }
        fn extend(&mut self, bytes: &[u8]) {
            if let Some(last) = self.0.last_mut() {
                last.extend_from_slice(bytes);
            }
        }
    }

    const LIMITS: BatchLimits = BatchLimits {
        max_count: 199,
        max_size: 100,
    };

    fn encode(bodies: &[Vec<u8>]) -> Vec<u8> {
        let mut out = i32::try_from(bodies.len()).unwrap().to_be_bytes().to_vec();
        for b in bodies {
            out.extend_from_slice(&i32::try_from(b.len()).unwrap().to_be_bytes());
            out.extend_from_slice(b);
        }
        out
    }

    fn refused(input: &[u8]) -> BatchStep {
        BatchDecoder::new(LIMITS).step(input, &mut Bodies::default()).1
    }

    #[test]
    fn nd_052_to_056_counts_and_sizes_are_checked() {
        for n in [0, -1, 200] {
            assert_eq!(
                refused(&i32::to_be_bytes(n)),
                BatchStep::Refused(BatchError::Count(n))
            );
        }
        assert_eq!(refused(&i32::to_be_bytes(199)), BatchStep::More);
        let mut input = encode(&[vec![1], vec![2]]);
        let at = input.len() - 5;
        input[at..at + 4].copy_from_slice(&0i32.to_be_bytes());
        assert_eq!(
            refused(&input),
            BatchStep::Refused(BatchError::Size { index: 1, size: 0 })
        );
        let big = encode(&[vec![0; 101]]);
        assert_eq!(refused(&big), BatchStep::Refused(BatchError::TooBig(101)));
    }

    proptest! {
        #[test]
        fn a_batch_reads_back_however_it_is_cut(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..100), 1..50),
            cuts in prop::collection::vec(1usize..64, 0..100),
            tail: Vec<u8>,
        ) {
            let mut input = encode(&bodies);
            let batch = input.len();
            input.extend_from_slice(&tail);
            let (mut decoder, mut sink, mut at, mut end) = (BatchDecoder::new(LIMITS), Bodies::default(), 0, 0);
            let mut cuts = cuts.into_iter();
            loop {
                end = cuts.next().map_or(input.len(), |c| (end + c).min(input.len()));
                let (taken, step) = decoder.step(&input[at..end], &mut sink);
                at += taken;
                match step {
                    BatchStep::More => prop_assert!(end < input.len()),
                    BatchStep::Done => break,
                    BatchStep::Refused(e) => prop_assert!(false, "{:?}", e),
                }
            }
            prop_assert_eq!(at, batch);
            prop_assert_eq!(sink.0, bodies);
        }
    }
}
