//! Messages that come later: deferred publishes and messages in flight that time out.

use std::thread;
use std::time::{Duration, Instant};

use nsq_protocol::v2::encode;

use super::arrived::{Arrived, StopAtEnd, joined};
use super::conn::Filled;
use super::conn::{Conn, Wish};
use super::consume::{consume, finish, subscribed};
use super::meter::{Found, Meter, Target, add, histogram};
use super::sent::{body, create, stamp, stamped, topic};
use crate::machine::wall_ns;
use crate::outcome::Outcome;
use crate::scenario::Deferred;
use crate::usage;

/// Commands of one write.
const AT_ONCE: usize = 100;
/// Bytes of a message, as the target is set for.
const SIZE: usize = 100;
/// What a consumer that waits for a message at its time asks for.
const PROMPT: Wish = Wish {
    layer: super::stream::Layer::None,
    unbuffered: true,
    msg_timeout_ms: None,
    small: false,
};

pub(super) fn deferred(work: &Deferred, target: Target) -> Outcome<Found> {
    create(target, 1, 1)?;
    let meter = Meter::start(target)?;
    let before = usage::of(target.pid)?;
    publish(work, target)?;
    let seconds = meter.elapsed().as_secs_f64();
    let loaded = usage::of(target.pid)?;
    let arrived = Arrived::default();
    let mut latencies = histogram()?;
    let mut early = 0_u64;
    if work.consume {
        thread::scope(|scope| {
            let _stop = StopAtEnd(&arrived);
            let (arrived, latencies, early) = (&arrived, &mut latencies, &mut early);
            let consumer = scope.spawn(move || {
                arrived.or_stop(|| {
                    let mut conn = subscribed(target, PROMPT, 0, 0)?;
                    conn.ready(2500)?;
                    consume(vec![conn], u64::MAX, arrived, |message, out| {
                        let (due, now) = (stamped(message.body), wall_ns());
                        *early += u64::from(now < due);
                        add(latencies, now.saturating_sub(due));
                        finish(message, out);
                    })
                })
            });
            let waited = arrived.wait(work.count as u64);
            arrived.stop();
            joined(consumer)?;
            waited
        })?;
    }
    let mut found = meter.finish(work.count as u64)?;
    let grown = loaded.resident_bytes.saturating_sub(before.resident_bytes);
    found.set("bytes_per_message", grown as f64 / work.count as f64);
    found.set("per_second", work.count as f64 / seconds);
    let publishing = (loaded.cpu - before.cpu).as_secs_f64();
    found.set("publish_cpu_s_per_m", publishing * 1e6 / work.count as f64);
    if work.consume {
        found.set("early", early as f64);
        found.latency("late", &latencies);
    }
    Ok(found)
}

/// Publishes with delays spread over the range, each body with the time that it is due.
fn publish(work: &Deferred, target: Target) -> Outcome {
    let topic = topic(0)?;
    let mut conn = Conn::open(target.tcp, Wish::default())?;
    let mut body = body(SIZE);
    let (least, most) = work.delay_ms;
    let mut state = 88_172_645_463_325_252_u64;
    let mut out = Vec::new();
    let mut sent = 0;
    while sent < work.count {
        let count = AT_ONCE.min(work.count - sent);
        out.clear();
        for _ in 0..count {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let delay = least + state % (most - least + 1);
            stamp(&mut body, wall_ns() + delay * 1_000_000);
            encode::publish_deferred(&mut out, &topic, delay, &body);
        }
        conn.write(&out)?;
        conn.oks(count as u64)?;
        sent += count;
    }
    Ok(())
}

/// Lets `count` messages time out after a second and measures how late they come again.
pub(super) fn timeouts(count: usize, target: Target) -> Outcome<Found> {
    const TIMEOUT_MS: u64 = 1000;
    create(target, 1, 1)?;
    let meter = Meter::start(target)?;
    let wish = Wish {
        msg_timeout_ms: Some(TIMEOUT_MS),
        ..PROMPT
    };
    let mut consumer = subscribed(target, wish, 0, 0)?;
    consumer.ready(2500)?;
    consumer.wait_at_most(Duration::from_millis(50))?;
    let mut publisher = Conn::open(target.tcp, Wish::default())?;
    let (topic, mut body) = (topic(0)?, body(64));
    let mut out = Vec::new();
    for number in 0..count {
        stamp(&mut body, number as u64);
        out.clear();
        encode::publish(&mut out, &topic, &body);
        publisher.write(&out)?;
        publisher.oks(1)?;
    }
    let mut first = vec![None; count];
    let mut latencies = histogram()?;
    let (mut again, began) = (0, Instant::now());
    out.clear();
    while again < count {
        if began.elapsed() > Duration::from_secs(60) {
            return Err(format!("{again} of {count} messages came again within a minute"));
        }
        if consumer.fill()? == Filled::End {
            return Err("nsqd closed the connection of a consumer".to_owned());
        }
        consumer.messages(&mut out, u64::MAX, |message, out| {
            let now = wall_ns();
            let number = usize::try_from(stamped(message.body)).unwrap_or(usize::MAX);
            match first.get_mut(number) {
                Some(Some(seen)) => {
                    add(&mut latencies, now.saturating_sub(*seen + TIMEOUT_MS * 1_000_000));
                    encode::finish(out, message.id);
                    again += 1;
                }
                Some(unseen) => *unseen = Some(now),
                None => {}
            }
        })?;
    }
    let mut found = meter.finish(count as u64)?;
    found.latency("late", &latencies);
    Ok(found)
}
