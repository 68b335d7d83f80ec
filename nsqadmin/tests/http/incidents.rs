//! Trouble of every kind at one time (F3): what the list of what needs attention says, and what each channel's page does.

use serde_json::Value;

use crate::support::Cluster;

/// Seconds between two looks, so that ten minutes are soon over.
const STEP: i64 = 15;

struct Queue {
    name: (&'static str, &'static str),
    fields: fn(i64) -> String,
}

/// One channel for each rule about channels, and two that are well. `at` is in seconds.
const QUEUES: [Queue; 8] = [
    Queue {
        name: ("clicks", "archive"),
        fields: |_| r#""depth":500,"message_count":500"#.to_owned(),
    },
    Queue {
        name: ("payments", "charge"),
        fields: |_| r#""depth":1830,"client_count":12,"message_count":50000"#.to_owned(),
    },
    Queue {
        name: ("invoices", "print"),
        fields: |_| r#""depth":5,"client_count":2,"in_flight_count":3,"message_count":900"#.to_owned(),
    },
    Queue {
        name: ("orders", "billing"),
        fields: |at| {
            format!(
                r#""depth":{},"client_count":4,"in_flight_count":4,"message_count":{}"#,
                1_000 + at * 130,
                1_000 + at * 500
            )
        },
    },
    Queue {
        name: ("reports", "render"),
        fields: |at| {
            format!(
                r#""client_count":2,"in_flight_count":2,"message_count":{},"timeout_count":{}"#,
                1_000 + at * 10,
                at
            )
        },
    },
    Queue {
        name: ("mail", "send"),
        fields: |at| {
            format!(
                r#""client_count":2,"in_flight_count":1,"message_count":{},"requeue_count":{}"#,
                900 + at,
                at * 2
            )
        },
    },
    Queue {
        name: ("good", "well"),
        fields: |at| {
            format!(
                r#""depth":10,"client_count":2,"in_flight_count":1,"message_count":{}"#,
                1_000 + at * 100
            )
        },
    },
    Queue {
        name: ("good", "draining"),
        fields: |at| {
            format!(
                r#""depth":{},"client_count":2,"in_flight_count":1,"message_count":{}"#,
                60_000 - at * 50,
                1_000 + at * 100
            )
        },
    },
];

/// The answer of the node that has all of them.
fn answer(at: i64) -> String {
    let topics = [
        "clicks", "payments", "invoices", "orders", "reports", "mail", "good",
    ];
    let mut all: Vec<String> = topics
        .iter()
        .map(|topic| {
            let own = QUEUES.iter().filter(|queue| queue.name.0 == *topic);
            let channels: Vec<String> = own
                .map(|queue| format!(r#"{{"channel_name":"{}",{}}}"#, queue.name.1, (queue.fields)(at)))
                .collect();
            format!(
                r#"{{"topic_name":"{topic}","message_count":{},"channels":[{}]}}"#,
                1_000 + at,
                channels.join(",")
            )
        })
        .collect();
    all.push(r#"{"topic_name":"metrics","depth":412,"message_count":412,"channels":[]}"#.to_owned());
    all.push(
        r#"{"topic_name":"exports","channels":[{"channel_name":"nightly","paused":true,"depth":17,"client_count":1}]}"#
            .to_owned(),
    );
    format!(
        r#"{{"version":"1.3.0","health":"OK","start_time":9,"topics":[{}]}}"#,
        all.join(",")
    )
}

/// F3 after ten minutes.
async fn incident() -> Cluster {
    let cluster = Cluster::start_flags("", true, &["--stats-poll-interval=100ms"]).await;
    let [all, full] = &cluster.nsqds;
    let sick = r#"{"version":"1.3.0","health":"NOK - write /data/x.dat: no space left on device","start_time":9,"topics":[]}"#;
    full.answers("/stats", sick);
    let generation = async || -> u64 {
        let json: Value = serde_json::from_str(&cluster.body("/?format=json").await).unwrap();
        json["generation"].as_u64().unwrap()
    };
    for step in 0..=40 {
        all.answers("/stats", answer(step * STEP));
        let before = generation().await;
        // one may have been asked for before
        while generation().await < before + 2 {
            tokio::task::yield_now().await;
        }
        if step < 40 {
            cluster.pass(STEP.unsigned_abs());
        }
    }
    cluster
}

/// Console spec 11.
#[tokio::test]
async fn ui_010_ui_033_every_trouble_is_listed_once_and_named_on_its_page() {
    let cluster = incident().await;
    let json: Value = serde_json::from_str(&cluster.body("/?format=json").await).unwrap();
    let list: Vec<(String, String, String)> = json["attention"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            let text = |key: &str| item[key].as_str().unwrap().to_owned();
            (text("severity"), text("rule"), text("subject"))
        })
        .collect();
    let full = cluster.nsqds[1].address.as_str();
    let expected = [
        ("bad", "R09", "invoices/print"),
        ("bad", "R08", "payments/charge"),
        ("bad", "R04", full),
        ("warn", "R12", "mail/send"),
        ("warn", "R10", "orders/billing"),
        ("warn", "R11", "reports/render"),
        ("warn", "R15", "metrics"),
        ("warn", "R07", "clicks/archive"),
        ("info", "R16", "exports/nightly"),
    ];
    let list: Vec<(&str, &str, &str)> = list
        .iter()
        .map(|(severity, rule, subject)| (severity.as_str(), rule.as_str(), subject.as_str()))
        .collect();
    assert_eq!(list, expected);
    let texts: Vec<&str> = json["attention"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|item| item["text"].as_str())
        .collect();
    assert_eq!(
        texts[2],
        "disk full: NOK - write /data/x.dat: no space left on device"
    );
    for (path, sentence, empty_in) in [
        (
            "invoices/print",
            "3 in flight and none is finished, 5 waiting, since ",
            None,
        ),
        (
            "payments/charge",
            "12 clients connected, nothing in flight, 1,830 waiting, since ",
            None,
        ),
        (
            "mail/send",
            "one message retried 600 times in 5 min, since ",
            None,
        ),
        ("orders/billing", "depth 79,000, growing 130/s, since ", None),
        (
            "reports/render",
            "300 time-outs in 5 min, 9 % of deliveries, since ",
            None,
        ),
        (
            "clicks/archive",
            "500 messages wait and no client is connected, since ",
            None,
        ),
        ("exports/nightly", "channel is paused, since ", None),
        ("good/well", "Keeping up: 100/s in, ≈ 100/s done.", None),
        (
            "good/draining",
            "Keeping up: 100/s in, ≈ 150/s done.",
            Some(600.0),
        ),
    ] {
        let page = cluster.body(&format!("/topics/{path}?format=json")).await;
        let page: Value = serde_json::from_str(&page).unwrap();
        let notice = page["notices"][0].as_str().unwrap();
        assert!(notice.starts_with(sentence), "{path}: {notice}");
        assert_eq!(page["numbers"]["Empty in"].as_f64(), empty_in, "{path}");
    }
}
