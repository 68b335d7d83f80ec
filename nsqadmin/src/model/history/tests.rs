use std::time::Duration;

use nsq_http_api::nsqd::Stats;

use super::*;
use crate::model::{Heard, Picture};
use crate::options::Sources;
use crate::upstream::Answer;

/// A cluster of one nsqd, and what it was.
struct Script {
    picture: Picture,
    history: History,
    now: i64,
}

impl Script {
    fn new(max_bytes: usize) -> Self {
        let mut picture = Picture::default();
        picture.set_sources(&Sources::Nsqds(vec!["d:1".to_owned()]));
        Self {
            picture,
            history: History::new(max_bytes),
            now: 1_200_000,
        }
    }

    /// One poll, and five seconds.
    fn poll(&mut self, json: &str) {
        let stats: Stats = serde_json::from_str(json).unwrap();
        let heard = Heard {
            at: self.now,
            monotonic: Duration::from_secs(u64::try_from(self.now).unwrap()),
            took: Duration::from_millis(3),
        };
        let answer = Answer {
            address: "d:1".to_owned(),
            result: Ok(stats),
        };
        self.picture.hear_stats(answer, heard);
        let snapshot = self.picture.snapshot(self.now);
        self.history.record(&snapshot);
        self.now += 5;
    }

    fn channel(&mut self, depth: i64, messages: i64) {
        self.poll(&format!(
            r#"{{"start_time":1,"topics":[{{"topic_name":"t","channels":[{{"channel_name":"c","depth":{depth},"message_count":{messages}}}]}}]}}"#
        ));
    }

    fn depths(&self, seconds: i64, max: usize) -> Vec<Point> {
        self.history
            .points(Of::Channel("t", "c"), Depth, seconds, self.now - 5, max)
    }
}

#[test]
fn the_last_quarter_of_an_hour_has_every_point() {
    let mut script = Script::new(64 << 20);
    for depth in 0..200 {
        script.channel(depth, depth);
    }
    let depths = script.depths(900, 240);
    assert_eq!(depths.len(), 180);
    assert_eq!(depths.last(), Some(&(script.now - 5, 199.0)));
    assert_eq!(script.depths(900, 30).len(), 30);
}

#[test]
fn older_points_are_minutes_with_the_highest_level_and_the_mean_speed() {
    let mut script = Script::new(64 << 20);
    // two hours: each minute the depth has one peak of 100
    for poll in 0..1_440 {
        script.channel(if poll % 12 == 3 { 100 } else { 1 }, poll * 50);
    }
    let depths = script.depths(7_200, 240);
    assert!(depths.len() > 100 && depths.len() <= 240, "{}", depths.len());
    let minutes = &depths[..depths.len() - 12];
    assert!(minutes.iter().all(|(_, depth)| *depth == 100.0), "{minutes:?}");
    let speeds = script
        .history
        .points(Of::Channel("t", "c"), In, 7_200, script.now - 5, 240);
    assert!(
        speeds
            .iter()
            .skip(1)
            .all(|(_, speed)| (speed - 10.0).abs() < 0.01),
        "{speeds:?}"
    );
}

/// Console spec 11: a restart is a gap, neither negative nor a spike.
#[test]
fn a_restart_is_a_gap() {
    let mut script = Script::new(64 << 20);
    let with = |start: i64, messages: i64| {
        format!(r#"{{"start_time":{start},"topics":[{{"topic_name":"t","message_count":{messages}}}]}}"#)
    };
    for messages in [1_000, 1_050, 1_100] {
        script.poll(&with(1, messages));
    }
    for messages in [5, 55] {
        script.poll(&with(2, messages));
    }
    let speeds = script
        .history
        .points(Of::Topic("t"), In, 900, script.now - 5, 240);
    let speeds: Vec<Option<f32>> = speeds
        .iter()
        .map(|(_, speed)| Some(*speed).filter(|speed| !speed.is_nan()))
        .collect();
    assert_eq!(speeds, [None, Some(10.0), Some(10.0), None, Some(10.0)]);
}

/// Console spec 11, the bound on idle channels.
#[test]
fn idle_channels_cost_next_to_nothing() {
    let channels: Vec<String> = (0..10_000)
        .map(|at| format!(r#"{{"channel_name":"c{at}","message_count":7}}"#))
        .collect();
    let json = format!(
        r#"{{"start_time":1,"topics":[{{"topic_name":"t","channels":[{}]}}]}}"#,
        channels.join(",")
    );
    let mut script = Script::new(64 << 20);
    for _ in 0..30 {
        script.poll(&json);
    }
    let bytes = script.history.bytes();
    assert!(bytes > 0 && bytes <= 8 << 20, "{bytes}");
}

#[test]
fn too_much_drops_the_coarsest_of_the_idlest_first_and_never_a_topic() {
    let limit = 80_000;
    let mut script = Script::new(limit);
    for poll in 0..1_500_i64 {
        let channels: Vec<String> = (0..40)
            .map(|at| {
                format!(
                    r#"{{"channel_name":"c{at}","depth":{},"message_count":{}}}"#,
                    poll % 7 + at,
                    poll * at
                )
            })
            .collect();
        script.poll(&format!(
            r#"{{"start_time":1,"topics":[{{"topic_name":"t","message_count":{poll},"channels":[{}]}}]}}"#,
            channels.join(",")
        ));
        assert!(
            script.history.bytes() <= limit * 11 / 10,
            "{}",
            script.history.bytes()
        );
    }
    assert!(script.history.evictions() > 0);
    let complete = script
        .history
        .points(Of::Topic("t"), Depth, 7_200, script.now - 5, 240);
    assert!(complete.len() > 100, "{}", complete.len());
}

#[test]
fn what_is_gone_for_an_hour_is_forgotten() {
    let mut script = Script::new(64 << 20);
    script.channel(1, 1);
    let seen = script.now - 5;
    for _ in 0..100 {
        script.poll(r#"{"topics":[]}"#);
    }
    assert_eq!(script.history.seen(Of::Channel("t", "c")), Some(seen));
    script.now += 3_600;
    script.poll(r#"{"topics":[]}"#);
    assert_eq!(script.history.seen(Of::Channel("t", "c")), None);
}

/// Console spec 11.
#[test]
fn no_range_has_more_than_240_points() {
    let mut script = Script::new(64 << 20);
    for poll in 0..2_000 {
        script.channel(poll, poll);
    }
    for (_, seconds) in [
        ("15m", 900),
        ("1h", 3_600),
        ("6h", 21_600),
        ("24h", 86_400),
        ("168h", 604_800),
    ] {
        let points = script.depths(seconds, usize::MAX);
        assert!(
            points.len() <= 240 && points.len() > 10,
            "{seconds}: {}",
            points.len()
        );
        assert!(points.windows(2).all(|pair| pair[0].0 < pair[1].0), "{points:?}");
    }
}

#[test]
fn a_young_history_is_shown_as_fine_as_it_is() {
    let mut script = Script::new(64 << 20);
    // eight minutes, over the end of ten
    script.now = 1_200_000 + 420;
    let began = script.now;
    for at in 0..96 {
        script.channel(at, at);
    }
    for range in [900, 3_600] {
        let points = script.depths(range, usize::MAX);
        assert_eq!((points.len(), points[0]), (96, (began, 0.0)), "{range}");
    }
}
