//! Consumers: one thread for each, or a few with epoll where there are many.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use nsq_protocol::message::Message;
use nsq_protocol::v2::encode;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;

use super::arrived::{Arrived, StopAtEnd, joined};
use super::conn::Filled;
use super::conn::{Conn, Wish};
use super::meter::{Found, Meter, Target};
use super::publish;
use super::sent::{channel, topic};
use super::stream::Layer;
use crate::outcome::Outcome;
use crate::scenario::Consume;

/// Up to here each consumer has a thread; more share this number of threads.
const THREADS: usize = 8;
/// Between two looks whether the run is over, for a consumer that gets nothing.
const LOOK: Duration = Duration::from_millis(50);

/// What is done with each message: what goes back is appended.
pub(super) trait Handle: FnMut(&Message<'_>, &mut Vec<u8>) {}
impl<F: FnMut(&Message<'_>, &mut Vec<u8>)> Handle for F {}

/// The usual: it is finished.
pub(super) fn finish(message: &Message<'_>, out: &mut Vec<u8>) {
    encode::finish(out, message.id);
}

/// How many threads so many consumers have.
pub(super) const fn threads(consumers: usize, layer: Layer) -> usize {
    // What a layer keeps back is seen by a read alone, not by epoll.
    if consumers <= THREADS || !matches!(layer, Layer::None) {
        consumers
    } else {
        THREADS
    }
}

/// Consumes on these connections until the run is over.
pub(super) fn consume(mut conns: Vec<Conn>, at_once: u64, arrived: &Arrived, handle: impl Handle) -> Outcome {
    match conns.as_mut_slice() {
        [conn] => one(conn, at_once, arrived, handle),
        conns => many(conns, at_once, arrived, handle),
    }
}

fn one(conn: &mut Conn, at_once: u64, arrived: &Arrived, mut handle: impl Handle) -> Outcome {
    conn.wait_at_most(LOOK)?;
    let mut out = Vec::with_capacity(64 << 10);
    while !arrived.is_stopped() {
        if !turn(conn, at_once, arrived, &mut out, &mut handle)? {
            return closed(arrived);
        }
    }
    Ok(())
}

fn many(conns: &mut [Conn], at_once: u64, arrived: &Arrived, mut handle: impl Handle) -> Outcome {
    let failed = |why: Errno| format!("wait for many connections: {why}");
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(failed)?;
    for (number, conn) in conns.iter().enumerate() {
        conn.wait_at_most(LOOK)?;
        let data = epoll::EventData::new_u64(number as u64);
        epoll::add(&poll, conn, data, epoll::EventFlags::IN).map_err(failed)?;
    }
    let look = Timespec {
        tv_sec: 0,
        tv_nsec: i64::from(LOOK.subsec_nanos()),
    };
    let mut events = Vec::with_capacity(conns.len().min(256));
    let mut out = Vec::with_capacity(64 << 10);
    while !arrived.is_stopped() {
        events.clear();
        match epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), Some(&look)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(why) => return Err(failed(why)),
        }
        for event in &events {
            let conn = usize::try_from(event.data.u64())
                .ok()
                .and_then(|at| conns.get_mut(at));
            let conn = conn.ok_or("an event of nobody")?;
            if !turn(conn, at_once, arrived, &mut out, &mut handle)? {
                return closed(arrived);
            }
        }
    }
    Ok(())
}

/// One read, and what came with it. False at the end of the connection.
fn turn(
    conn: &mut Conn,
    at_once: u64,
    arrived: &Arrived,
    out: &mut Vec<u8>,
    handle: &mut impl Handle,
) -> Outcome<bool> {
    match conn.fill()? {
        Filled::Bytes => arrived.add(conn.messages(out, at_once, handle)?),
        Filled::Nothing => {}
        Filled::End => return Ok(false),
    }
    Ok(true)
}

fn closed(arrived: &Arrived) -> Outcome {
    if arrived.is_stopped() {
        return Ok(());
    }
    Err("nsqd closed the connection of a consumer".to_owned())
}

/// A connection subscribed to this channel, with no window yet.
pub(super) fn subscribed(target: Target, wish: Wish, of: usize, into: usize) -> Outcome<Conn> {
    let mut conn = Conn::open(target.tcp, wish)?;
    conn.subscribe(&topic(of)?, &channel(into)?)?;
    Ok(conn)
}

/// Drains a channel that was filled before.
pub(super) fn run(work: &Consume, target: Target) -> Outcome<Found> {
    publish::fill(work.count, work.size, Wish::default(), target)?;
    let threads = threads(work.connections, work.wish.layer);
    let ready = Arc::new(Barrier::new(threads + 1));
    let arrived = Arrived::default();
    thread::scope(|scope| {
        let _stop = StopAtEnd(&arrived);
        let mut handles = Vec::new();
        for thread in 0..threads {
            let (ready, arrived) = (Arc::clone(&ready), &arrived);
            handles.push(scope.spawn(move || {
                let conns = (thread..work.connections)
                    .step_by(threads)
                    .map(|_| subscribed(target, work.wish, 0, 0))
                    .collect::<Outcome<Vec<_>>>();
                ready.wait();
                arrived.or_stop(|| {
                    let mut conns = conns?;
                    conns.iter_mut().try_for_each(|conn| conn.ready(work.window))?;
                    consume(conns, work.at_once, arrived, finish)
                })
            }));
        }
        ready.wait();
        let meter = Meter::start(target)?;
        let most = arrived.wait(work.count as u64);
        let found = meter.finish(arrived.count());
        arrived.stop();
        // What a thread says is why the wait failed.
        handles.into_iter().try_for_each(joined)?;
        let mut found = found?;
        found.set("per_second", most?);
        Ok(found)
    })
}
