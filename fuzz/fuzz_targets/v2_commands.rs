//! The stream of commands that a client sends to nsqd: lines, bodies and batches, cut at every place.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nsq_protocol::name;
use nsq_protocol::v2::{
    BatchDecoder, BatchLimits, BatchSink, BatchStep, Command, Line, Params, body_size, parse_digits,
    parse_line,
};

const LIMITS: BatchLimits = BatchLimits {
    max_count: 1_000,
    max_size: 4_096,
};

/// Checks that a batch keeps to its own numbers.
#[derive(Default, PartialEq, Eq, Debug)]
struct Bodies {
    declared: usize,
    taken: usize,
}

impl BatchSink for Bodies {
    fn begin(&mut self, size: usize) {
        assert!(size >= 1 && size <= 4_096, "a body is within the limits");
        assert_eq!(
            self.declared, self.taken,
            "a body begins where the one before is complete"
        );
        self.declared += size;
    }

    fn extend(&mut self, bytes: &[u8]) {
        self.taken += bytes.len();
        assert!(self.taken <= self.declared, "no more than was declared");
    }
}

fn batch(input: &[u8]) {
    let mut whole = (BatchDecoder::new(LIMITS), Bodies::default());
    let (taken, step) = whole.0.step(input, &mut whole.1);
    // Byte by byte the answer is the same.
    let mut cut = (BatchDecoder::new(LIMITS), Bodies::default());
    let (mut at, mut last) = (0, BatchStep::More);
    let mut pending = Vec::new();
    while at < input.len() && last == BatchStep::More {
        pending.push(input[at]);
        at += 1;
        let (count, step) = cut.0.step(&pending, &mut cut.1);
        pending.drain(..count);
        last = step;
    }
    assert_eq!(step, last);
    assert_eq!(whole.1, cut.1);
    assert!(taken <= input.len());
}

fn words(params: Params<'_>) {
    for index in 0..3 {
        if let Some(word) = params.get(index) {
            let _ = parse_digits(word);
            assert_eq!(name::is_valid(word), nsq_protocol::TopicName::parse(word).is_ok());
            let _ = name::quote(word);
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let mut rest = data;
    while let Line::Complete { command, consumed } = parse_line(rest) {
        assert!(consumed >= 1 && consumed <= rest.len());
        rest = &rest[consumed..];
        match command {
            Command::PublishMany(params) => {
                words(params);
                if body_size(rest).is_some() {
                    batch(&rest[4..]);
                }
            }
            Command::Subscribe(params)
            | Command::Publish(params)
            | Command::PublishDeferred(params)
            | Command::Ready(params)
            | Command::Finish(params)
            | Command::Requeue(params)
            | Command::Touch(params)
            | Command::Auth(params) => words(params),
            Command::Nop | Command::Identify | Command::StartClose | Command::Unknown(_) => {}
        }
    }
});
