use nsq_http_api::client::{Cause, Error};
use nsq_http_api::lookupd;
use nsq_http_api::nsqd::Stats;
use std::time::Duration;

use super::*;
use crate::model::{Heard, Picture};
use crate::options::Sources;
use crate::upstream::Answer;

/// A cluster of one nsqd that is looked at every five seconds.
struct Script {
    picture: Picture,
    watch: Watch,
    history: History,
    now: i64,
}

const NSQD: &str = "d:4151";

impl Script {
    fn new() -> Self {
        let mut picture = Picture::default();
        picture.set_sources(&Sources::Nsqds(vec![NSQD.to_owned()]));
        Self {
            picture,
            watch: Watch::new(true),
            history: History::new(64 << 20),
            now: 1_000_000_000,
        }
    }

    fn heard(&self) -> Heard {
        Heard {
            at: self.now,
            monotonic: Duration::from_secs(u64::try_from(self.now).unwrap()),
            took: Duration::ZERO,
        }
    }

    /// One poll; what is wrong then.
    fn poll(&mut self, answer: Result<Stats, Error>) -> Vec<Finding> {
        let answer = Answer {
            address: NSQD.to_owned(),
            result: answer,
        };
        self.picture.hear_stats(answer, self.heard());
        let snapshot = self.picture.snapshot(self.now);
        self.history.record(&snapshot);
        let findings = self.watch.findings(&snapshot, &self.history);
        self.now += 5;
        findings
    }

    /// Seconds from the first of these polls to the one that finds `rule`.
    fn until(&mut self, rule: Rule, seconds: i64, stats: impl Fn(i64) -> Stats) -> Option<(i64, Finding)> {
        let began = self.now;
        while self.now - began <= seconds {
            let passed = self.now - began;
            if let Some(finding) = self
                .poll(Ok(stats(passed)))
                .into_iter()
                .find(|finding| finding.rule == rule)
            {
                return Some((passed, finding));
            }
        }
        None
    }
}

fn stats(topic: &str, channel: &str) -> Stats {
    serde_json::from_str(&format!(
        r#"{{"health":"OK","start_time":1,"topics":[{{"topic_name":"t"{topic},"channels":[{{"channel_name":"c"{channel}}}]}}]}}"#
    ))
    .unwrap()
}

fn silence() -> Error {
    Error {
        request: "GET http://d:4151/stats".to_owned(),
        cause: Cause::Timeout(Duration::from_secs(5)),
    }
}

/// Console spec 11: not before its time, and gone one poll after the cause.
#[test]
fn ui_011_rules_of_channels_wait_for_their_time() {
    type Case = (Rule, Severity, i64, fn(i64) -> Stats);
    let cases: &[Case] = &[
        (Rule::NoConsumers, Severity::Warn, 60, |_| {
            stats("", r#","depth":5"#)
        }),
        (Rule::NoConsumers, Severity::Bad, 60, |at| {
            stats(
                "",
                &format!(r#","depth":{at},"message_count":{at}"#).replace(":0", ":1"),
            )
        }),
        (Rule::ConsumersIdle, Severity::Bad, 20, |_| {
            stats("", r#","depth":5,"client_count":2"#)
        }),
        (Rule::StuckInFlight, Severity::Bad, 65, |_| {
            stats("", r#","depth":5,"client_count":2,"in_flight_count":3"#)
        }),
        (Rule::Growing, Severity::Warn, 300, |at| {
            stats(
                "",
                &format!(
                    r#","depth":{},"client_count":1,"in_flight_count":1,"message_count":{}"#,
                    at,
                    at * 2
                ),
            )
        }),
        (Rule::TimeoutStorm, Severity::Warn, 300, |at| {
            stats("", &format!(r#","message_count":{at},"timeout_count":{at}"#))
        }),
        (Rule::RequeueStorm, Severity::Warn, 300, |at| {
            stats("", &format!(r#","message_count":{at},"requeue_count":{at}"#))
        }),
        (Rule::DeadLetters, Severity::Warn, 0, |_| {
            stats("", r#","dead_letter_count":3"#)
        }),
        (Rule::OldestAge, Severity::Warn, 0, |_| {
            stats("", r#","oldest_age_ms":900000"#)
        }),
        (Rule::Paused, Severity::Info, 0, |_| {
            stats("", r#","paused":true"#)
        }),
        (Rule::ReadOnly, Severity::Bad, 0, |_| {
            stats(r#","read_only":true"#, "")
        }),
        (Rule::Dropping, Severity::Warn, 5, |at| {
            stats("", &format!(r#","drop_count":{at}"#))
        }),
    ];
    for (rule, severity, after, cause) in cases {
        let mut script = Script::new();
        let (at, finding) = script
            .until(*rule, 600, cause)
            .unwrap_or_else(|| panic!("{rule:?} never"));
        assert_eq!(at, *after, "{rule:?}: {}", finding.text);
        assert_eq!(finding.severity, *severity, "{rule:?}: {}", finding.text);
        if !matches!(
            rule,
            Rule::Growing | Rule::TimeoutStorm | Rule::RequeueStorm | Rule::Dropping
        ) {
            let healthy = script.poll(Ok(stats("", "")));
            assert!(
                healthy.iter().all(|finding| finding.rule != *rule),
                "{rule:?} stays: {healthy:?}"
            );
        }
    }
}

/// A topic without a channel holds what it gets.
#[test]
fn ui_011_a_topic_without_a_channel_is_said_after_a_minute() {
    let lonely =
        |_| serde_json::from_str(r#"{"health":"OK","topics":[{"topic_name":"t","depth":4}]}"#).unwrap();
    let mut script = Script::new();
    let (at, finding) = script.until(Rule::NoChannel, 600, lonely).unwrap();
    assert_eq!((at, finding.subject), (60, Subject::Topic("t".into())));
}

#[test]
fn what_is_paused_or_ephemeral_needs_no_consumers() {
    for quiet in [r#","depth":5,"paused":true"#, r##","depth":0"##] {
        let mut script = Script::new();
        assert_eq!(script.until(Rule::NoConsumers, 300, |_| stats("", quiet)), None);
    }
    let ephemeral = |_| {
        serde_json::from_str(
            r##"{"topics":[{"topic_name":"t","channels":[{"channel_name":"c#ephemeral","depth":9}]}]}"##,
        )
        .unwrap()
    };
    assert_eq!(Script::new().until(Rule::NoConsumers, 300, ephemeral), None);
}

#[test]
fn ui_011_a_node_is_silent_after_three_polls_and_back_after_one() {
    let mut script = Script::new();
    script.poll(Ok(stats("", r#","depth":7"#)));
    for expected in [0, 0, 1] {
        let silent = script.poll(Err(silence()));
        assert_eq!(
            silent
                .iter()
                .filter(|finding| finding.rule == Rule::NodeSilent)
                .count(),
            expected
        );
        if let Some(finding) = silent.first().filter(|_| expected == 1) {
            assert!(finding.text.contains("last depth 7"), "{}", finding.text);
        }
    }
    assert!(script.poll(Ok(stats("", ""))).is_empty());
}

#[test]
fn a_full_disk_is_said_in_words() {
    let mut script = Script::new();
    let sick = serde_json::from_str(r#"{"health":"NOK - write: no space left on device"}"#).unwrap();
    let findings = script.poll(Ok(sick));
    assert!(findings[0].text.starts_with("disk full"), "{findings:?}");
}

/// Health, versions and a nsqlookupd that is silent: at once, at once, and after three polls; gone with the next picture.
#[test]
fn ui_011_upstreams_that_are_ill_old_or_silent() {
    let mut script = Script::new();
    let sick = || serde_json::from_str(r#"{"health":"NOK - x"}"#).unwrap();
    assert_eq!(script.poll(Ok(sick()))[0].rule, Rule::Unhealthy);
    assert!(script.poll(Ok(stats("", ""))).is_empty());

    script
        .picture
        .set_sources(&Sources::Lookupds(vec!["a:1".to_owned(), "b:1".to_owned()]));
    let list = |version: &str| -> lookupd::Nodes {
        let node = |host: &str, version: &str| {
            format!(
                r#"{{"broadcast_address":"{host}","hostname":"{host}","tcp_port":4150,"http_port":4151,"version":"{version}"}}"#
            )
        };
        serde_json::from_str(&format!(
            r#"{{"producers":[{},{}]}}"#,
            node("d", version),
            node("e", "1.3.0")
        ))
        .unwrap()
    };
    let hear = |script: &mut Script, address: &str, result: Result<lookupd::Nodes, Error>| {
        let heard = script.heard();
        let address = address.to_owned();
        script.picture.hear_nodes(Answer { address, result }, heard);
    };
    let rules = |findings: &[Finding]| findings.iter().map(|finding| finding.rule).collect::<Vec<_>>();
    hear(&mut script, "a:1", Ok(list("1.2.0")));
    hear(&mut script, "b:1", Ok(list("1.2.0")));
    assert_eq!(rules(&script.poll(Ok(stats("", "")))), [Rule::VersionSkew]);
    hear(&mut script, "a:1", Ok(list("1.3.0")));
    hear(&mut script, "b:1", Ok(list("1.3.0")));
    assert!(script.poll(Ok(stats("", ""))).is_empty());
    for expected in [&[][..], &[], &[Rule::LookupdSilent]] {
        hear(&mut script, "b:1", Err(silence()));
        assert_eq!(rules(&script.poll(Ok(stats("", "")))), expected);
    }
    for _ in 0..3 {
        hear(&mut script, "a:1", Err(silence()));
    }
    let all = script.poll(Ok(stats("", "")));
    assert!(
        all.len() == 2 && all.iter().all(|finding| finding.severity == Severity::Bad),
        "{all:?}"
    );
    hear(&mut script, "a:1", Ok(list("1.3.0")));
    hear(&mut script, "b:1", Ok(list("1.3.0")));
    assert!(script.poll(Ok(stats("", ""))).is_empty());
}

/// Two nsqlookupds that do not agree, and a node that leaves both.
#[test]
fn ui_011_a_node_in_one_list_of_two_and_then_in_none() {
    let list = |nodes: &str| -> lookupd::Nodes {
        serde_json::from_str(&format!(r#"{{"producers":[{nodes}]}}"#)).unwrap()
    };
    let node =
        r#"{"broadcast_address":"d","hostname":"d","tcp_port":4150,"http_port":4151,"version":"1.3.0"}"#;
    let mut script = Script::new();
    script
        .picture
        .set_sources(&Sources::Lookupds(vec!["a:1".to_owned(), "b:1".to_owned()]));
    let hear = |script: &mut Script, address: &str, nodes: &str| {
        let answer = Answer {
            address: address.to_owned(),
            result: Ok(list(nodes)),
        };
        let heard = script.heard();
        script.picture.hear_nodes(answer, heard);
    };
    hear(&mut script, "a:1", node);
    hear(&mut script, "b:1", "");
    let (at, finding) = script
        .until(Rule::PartlyRegistered, 300, |_| stats("", ""))
        .unwrap();
    assert_eq!((at, finding.text.as_str()), (30, "is not registered with b:1"));
    hear(&mut script, "a:1", "");
    let gone = script.poll(Ok(stats("", "")));
    assert_eq!(
        gone.iter().map(|finding| finding.rule).collect::<Vec<_>>(),
        [Rule::NodeGone]
    );
}

/// Console spec 11: worst first, then newest.
#[test]
fn findings_are_in_order() {
    let mut script = Script::new();
    let incident = || {
        serde_json::from_str(
            r#"{"health":"NOK - no space left on device","topics":[{"topic_name":"t","channels":[
            {"channel_name":"idle","depth":5,"client_count":2},{"channel_name":"lonely","depth":5},
            {"channel_name":"paused","paused":true}]}]}"#,
        )
        .unwrap()
    };
    let mut findings = Vec::new();
    for _ in 0..20 {
        findings = script.poll(Ok(incident()));
    }
    let rules: Vec<Rule> = findings.iter().map(|finding| finding.rule).collect();
    assert_eq!(
        rules,
        [
            Rule::ConsumersIdle,
            Rule::Unhealthy,
            Rule::NoConsumers,
            Rule::Paused
        ]
    );
}
