//! Nanoseconds per record of appending to and reading from a disk queue: 230-byte records in batches of 200, as a
//! topic that overflows does.
//!
//! `cargo run --release -p nsq-storage --example append_speed [directory]`

#![allow(clippy::disallowed_methods, reason = "a measurement reads the clock")]
#![allow(clippy::print_stdout, reason = "the result")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    reason = "small numbers"
)]

use nsq_storage::{DiskQueue, QueueOptions, RealDisk};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

const RECORD_BYTES: u32 = 230;
const BATCH: usize = 200;
/// So many stay in one file: a roll syncs, and would measure the disk.
const BATCHES: usize = 1000;
/// The best counts, because other programs only make it slower.
const ROUNDS: usize = 10;
const RECORDS: usize = BATCH * BATCHES;
/// What nsqd reads ahead at once.
const READ_BYTES: usize = 256 * 1024;

fn main() -> std::io::Result<()> {
    let dir = std::env::args_os()
        .nth(1)
        .map_or_else(std::env::temp_dir, PathBuf::from);
    // The defaults of nsqd but for the automatic sync, which would measure the disk.
    let options = QueueOptions {
        max_bytes_per_file: 100 * 1024 * 1024,
        max_record: 1024 * 1024 + 26,
        min_record: 26,
        sync_every: u64::MAX,
    };
    let (mut queue, _) = DiskQueue::open(Arc::new(RealDisk), &dir, "append_speed", options)?;
    let mut batch = Vec::new();
    let mut ends = Vec::new();
    for number in 0..BATCH {
        batch.extend_from_slice(&RECORD_BYTES.to_be_bytes());
        batch.resize(batch.len() + RECORD_BYTES as usize, number as u8);
        ends.push(batch.len());
    }

    let mut best = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        let (append, read) = round(&mut queue, &batch, &ends)?;
        best = (best.0.min(append), best.1.min(read));
    }
    queue.delete()?;
    let per_record = |time: Duration| time.as_nanos() as f64 / RECORDS as f64;
    let (append, read) = (per_record(best.0), per_record(best.1));
    println!("append {append:.1} ns per record, read and consume {read:.1} ns per record");
    Ok(())
}

/// Appends and reads everything once; how long each took.
fn round(queue: &mut DiskQueue, batch: &[u8], ends: &[usize]) -> std::io::Result<(Duration, Duration)> {
    let start = Instant::now();
    for _ in 0..BATCHES {
        queue.append(batch, ends)?;
    }
    let appended = start.elapsed();

    let (mut bytes, mut read_ends) = (Vec::new(), Vec::new());
    let mut count = 0;
    let start = Instant::now();
    while queue.depth() > 0 {
        bytes.clear();
        read_ends.clear();
        let read = queue.read(READ_BYTES, usize::MAX, &mut bytes, &mut read_ends)?;
        queue.consume(read)?;
        count += read;
    }
    let read = start.elapsed();
    assert_eq!(count, RECORDS);
    queue.empty()?;
    Ok((appended, read))
}
