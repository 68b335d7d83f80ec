//! Publishers and consumers at once.

use std::sync::{Arc, Barrier};
use std::thread;

use super::arrived::{Arrived, StopAtEnd, joined};
use super::conn::Conn;
use super::consume::{self, consume, finish, subscribed};
use super::meter::{Found, Meter, Target, histogram};
use super::publish::{Bound, Publisher};
use super::sent::create;
use crate::outcome::Outcome;
use crate::scenario::Both;

pub(super) fn run(work: &Both, target: Target) -> Outcome<Found> {
    let publish = &work.publish;
    create(target, publish.topics, publish.channels)?;
    let places: Vec<(usize, usize)> = (0..publish.topics)
        .flat_map(|topic| (0..publish.channels).map(move |channel| (topic, channel)))
        .flat_map(|place| std::iter::repeat_n(place, work.consumers))
        .collect();
    let threads = consume::threads(places.len(), publish.wish.layer);
    let commands = (publish.count / publish.batch / publish.connections) as u64;
    let messages = commands * (publish.batch * publish.connections) as u64;
    let copies = publish.channels as u64;
    let ready = Arc::new(Barrier::new(threads + publish.connections + 1));
    let (arrived, published) = (Arrived::default(), Arrived::default());
    let bound = work.at_most.map(|most| Bound {
        arrived: &arrived,
        published: &published,
        copies,
        most: most as u64,
    });
    thread::scope(|scope| {
        let _stop = StopAtEnd(&arrived);
        let (places, arrived) = (&places, &arrived);
        let mut consumers = Vec::new();
        for thread in 0..threads {
            let ready = Arc::clone(&ready);
            consumers.push(scope.spawn(move || {
                let mine = places.iter().skip(thread).step_by(threads);
                let conns = mine
                    .map(|&(topic, channel)| {
                        let mut conn = subscribed(target, publish.wish, topic, channel)?;
                        conn.ready(work.window)?;
                        Ok(conn)
                    })
                    .collect::<Outcome<Vec<Conn>>>();
                ready.wait();
                arrived.or_stop(|| consume(conns?, u64::MAX, arrived, finish))
            }));
        }
        let mut publishers = Vec::new();
        for number in 0..publish.connections {
            let ready = Arc::clone(&ready);
            publishers.push(scope.spawn(move || {
                let publisher = Publisher::open(publish, target, number);
                ready.wait();
                arrived.or_stop(|| {
                    let mut publisher = publisher?;
                    publisher.more(commands);
                    let mut latencies = histogram()?;
                    Publisher::finish(&mut [publisher], bound, &mut latencies)?;
                    Ok(latencies)
                })
            }));
        }
        ready.wait();
        let meter = Meter::start(target)?;
        let most = arrived.wait(messages * copies);
        let found = meter.finish(messages);
        arrived.stop();
        let mut latencies = histogram()?;
        for publisher in publishers {
            latencies += joined(publisher)?;
        }
        consumers.into_iter().try_for_each(joined)?;
        let mut found = found?;
        found.set("per_second", most? / copies as f64);
        found.set("deliveries", arrived.count() as f64);
        found.latency("command", &latencies);
        Ok(found)
    })
}
