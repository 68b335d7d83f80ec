//! What can be done with messages that wait: timers and dead letters (console spec 3.7, 3.8, fixture F8).

use serde_json::{Value, json};

use crate::looks::{cluster, link};
use crate::queue::Own;
use crate::support::{COOKIE, Cluster, TOKEN, has, post, result_of};

const CHANNEL: &str = "/topics/t1/c1";
const TIMERS: &str = "/topics/t1/c1?tab=timers";
const DEAD: &str = "/topics/t1/c1?tab=dead";

/// The rows of a table, as the page has them for machines.
async fn rows(cluster: &Cluster, path: &str, table: &str) -> Vec<Value> {
    let json: Value = serde_json::from_str(&cluster.body(&format!("{path}&format=json")).await).unwrap();
    json["tables"][table].as_array().unwrap().clone()
}

fn texts(rows: &[Value], key: &str) -> Vec<String> {
    rows.iter()
        .map(|row| row[key].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn ui_085_timers_are_shown_by_their_time_run_now_and_cancelled_with_a_name() {
    let cluster = cluster(&["--operator-user=olga", "--admin-user=ann", "--default-role=admin"]).await;
    let at = |id: &str, due| Own {
        due,
        ..Own::new(id, "deferred", format!("body of {id}"))
    };
    cluster.nsqds[0].queue(|queue| queue.messages = vec![at("t1", 100), at("t3", 300), at("t5", 86_400)]);
    cluster.nsqds[1].queue(|queue| queue.messages = vec![at("t4", 400), at("t2", 200)]);
    // merged over the nodes
    let ids = |names: &[&str]| -> Vec<String> { names.iter().map(|name| format!("{name:0>16}")).collect() };
    let all = rows(&cluster, TIMERS, "Timers").await;
    assert_eq!(texts(&all, "id"), ids(&["t1", "t2", "t3", "t4", "t5"]));
    assert_eq!(texts(&all, "from"), vec!["publish"; 5]);
    let page = cluster.body(TIMERS).await;
    has(
        &page,
        &[
            "all 5 messages",
            "body of t1",
            "in 1 min",
            "due from, as 2026-11-27T03:00Z",
        ],
    );
    // the histogram has every message once
    let table = page
        .split("<summary>Table</summary>")
        .nth(1)
        .unwrap()
        .split("</details>")
        .next()
        .unwrap();
    let counts = table.split("<td class=\"number\">").skip(1);
    let counts: Vec<u64> = counts
        .map(|cell| cell.split('<').next().unwrap().parse().unwrap())
        .collect();
    assert_eq!((counts.len(), counts.iter().sum::<u64>()), (24, 5), "{table}");
    has(
        &page,
        &[
            "When they are due",
            "5 messages from 1970-01-01T00:01:40Z to 1970-01-02T00:00:00Z",
        ],
    );
    // a range, as somebody types it, and a moment that is none
    let range = format!("{TIMERS}&from=1970-01-01T00:03:20Z&to=400");
    assert_eq!(
        texts(&rows(&cluster, &range, "Timers").await, "id"),
        ids(&["t2", "t3"])
    );
    has(
        &cluster.body(&format!("{TIMERS}&from=soon")).await,
        &["“soon” is no moment"],
    );
    // run now: it is on its node, and of this channel
    let row = format!("id={}&node={}", ids(&["t1"])[0], cluster.nsqds[0].address);
    let ask = cluster.body(&format!("{CHANNEL}?confirm=run&{row}")).await;
    has(
        &ask,
        &[
            "Run now one timer of t1/c1?",
            "delivered as soon as a consumer is ready",
        ],
    );
    assert!(!ask.contains("To go on, type"));
    let (head, _) = post(&cluster, CHANNEL, &format!("do=run&{row}&nonce=1")).await;
    has(
        &result_of(&cluster, &head).await,
        &["Run timers t1/c1", "one timer: 00000000000000t1"],
    );
    cluster.nsqds[0].queue(|queue| {
        assert_eq!(queue.run, ids(&["t1"]));
        let posted: Vec<&String> = queue
            .asked
            .iter()
            .filter(|asked| asked.starts_with("POST"))
            .collect();
        let wanted = "POST /channel/messages/run?topic=t1&channel=c1&state=deferred&ids=00000000000000t1";
        assert_eq!(posted, [wanted]);
    });
    // one that is not there any more is said
    let (head, _) = post(&cluster, CHANNEL, &format!("do=run&{row}&nonce=2")).await;
    has(
        &result_of(&cluster, &head).await,
        &["1 of the messages were not there any more"],
    );
    // cancel: level 3, and only for an admin
    let row = format!("id={}&node={}", ids(&["t3"])[0], cluster.nsqds[0].address);
    let ask = cluster.body(&format!("{CHANNEL}?confirm=cancel&{row}")).await;
    has(
        &ask,
        &[
            "Cancel one timer of t1/c1?",
            "To go on, type <code>t1/c1</code>",
            "the first of them",
            "body of t3",
        ],
    );
    let (head, _) = post(&cluster, CHANNEL, &format!("do=cancel&{row}&name=t1&nonce=3")).await;
    has(&head, &["HTTP/1.1 422 "]);
    let form = format!("{TOKEN}&do=cancel&{row}&name=t1%2Fc1&nonce=4");
    let (head, _) = cluster
        .send("POST", CHANNEL, &[COOKIE, "X-Forwarded-User: olga"], &form)
        .await;
    has(&head, &["HTTP/1.1 403 "]);
    let (_, page) = cluster.send("GET", TIMERS, &["X-Forwarded-User: olga"], "").await;
    assert!(
        page.contains("confirm=run") && !page.contains("confirm=cancel"),
        "{page}"
    );
    cluster.nsqds[0].queue(|queue| assert_eq!(queue.messages.len(), 2));
    let (head, _) = post(
        &cluster,
        CHANNEL,
        &format!("do=cancel&{row}&name=t1%2Fc1&nonce=5"),
    )
    .await;
    result_of(&cluster, &head).await;
    cluster.nsqds[0].queue(|queue| {
        assert_eq!(queue.messages.len(), 1);
        assert_eq!(queue.run, ids(&["t1"]));
    });
    // all of a range is a job of each node
    let all = cluster
        .body(&format!("{CHANNEL}?confirm=cancel&all=true&to=300"))
        .await;
    has(
        &all,
        &[
            "Cancel all timers of t1/c1?",
            "00000000000000t2",
            "Messages in a second",
        ],
    );
    let (head, _) = post(
        &cluster,
        CHANNEL,
        "do=cancel&all=true&to=300&rate=7&limit=0&name=t1%2Fc1&nonce=6",
    )
    .await;
    result_of(&cluster, &head).await;
    for nsqd in &cluster.nsqds {
        let last = nsqd.queue(|queue| {
            queue
                .asked
                .iter()
                .rfind(|asked| asked.starts_with("POST"))
                .cloned()
        });
        let wanted = "POST /channel/messages/cancel?topic=t1&channel=c1&state=deferred&all=true&due_to=300&limit=0&rate=7";
        assert_eq!(last.as_deref(), Some(wanted));
    }
}

fn letter(id: &str, at: i64, reason: &str) -> Own {
    let more = json!({"dead_letter": {"topic": "t1", "channel": "c1", "id": format!("origin-{id}"), "timestamp": 0, "attempts": 5,
        "reason": reason, "at": at * 1_000_000_000, "first_delivered": 1, "last_client": "worker-a1"}});
    Own {
        more,
        ..Own::new(id, "dead", format!("letter {id}"))
    }
}

#[tokio::test]
async fn ui_086_dead_letters_go_back_one_by_one_or_all_at_a_rate_and_the_job_is_found_again() {
    let cluster = cluster(&["--operator-user=olga", "--default-role=admin"]).await;
    cluster.nsqds[0].queue(|queue| {
        let letters = (0..250).map(|at| letter(&format!("d{at:03}"), at, "attempts"));
        queue.messages = letters.collect();
    });
    cluster.nsqds[1].queue(|queue| queue.messages = vec![letter("e", -1, "expired")]);
    let page = cluster.body(DEAD).await;
    has(
        &page,
        &[
            "Given up because of: attempts 99 · expired 1.",
            "origin-d000",
            "worker-a1",
            "letter d000",
            "Redrive one",
        ],
    );
    // the oldest move comes first, whichever node has it
    let first = &rows(&cluster, DEAD, "Dead letters").await[0];
    assert_eq!(
        (first["id"].as_str().unwrap(), first["reason"].as_str().unwrap()),
        ("000000000000000e", "expired")
    );
    // one of them, as a canary: from the page, with its two clicks
    let canary = link(&page, "Redrive one");
    has(
        &cluster.body(&canary).await,
        &[
            "Redrive one dead letter of t1/c1?",
            "They go back to this channel only",
        ],
    );
    let form = format!(
        "do=redrive&id=000000000000000e&node={}&nonce=1",
        cluster.nsqds[1].address
    );
    let (head, _) = post(&cluster, CHANNEL, &form).await;
    has(
        &result_of(&cluster, &head).await,
        &["Redrive dead t1/c1", "one dead letter: 000000000000000e"],
    );
    cluster.nsqds[1].queue(|queue| {
        assert_eq!(queue.run, ["000000000000000e"]);
        let last = queue
            .asked
            .iter()
            .rfind(|asked| asked.starts_with("POST"))
            .unwrap();
        let wanted = "POST /channel/messages/run?topic=t1&channel=c1&state=dead&ids=000000000000000e";
        assert_eq!(last, wanted);
    });
    cluster.nsqds[0].queue(|queue| assert!(queue.run.is_empty()));
    // all of them: a name, a rate, a job of the node
    let ask = cluster.body(&link(&page, "Redrive all")).await;
    has(
        &ask,
        &[
            "Redrive all dead letters of t1/c1?",
            "To go on, type <code>t1/c1</code>",
            r#"name="rate" value="100""#,
        ],
    );
    let (head, _) = post(
        &cluster,
        CHANNEL,
        "do=redrive&all=true&rate=40&limit=0&name=t1&nonce=2",
    )
    .await;
    has(&head, &["HTTP/1.1 422 "]);
    let (head, _) = post(
        &cluster,
        CHANNEL,
        "do=redrive&all=true&rate=40&limit=0&name=t1%2Fc1&nonce=3",
    )
    .await;
    result_of(&cluster, &head).await;
    cluster.nsqds[0].queue(|queue| {
        queue.second();
        queue.second();
    });
    // on this replica after a reload, and on another one: nsqd owns the job
    let said = "Redrive goes on, on 1 of 2 nodes: 80 done, 0 failed, 170 left.";
    cluster.nsqds[1].queue(|queue| queue.second());
    let page = cluster.body(DEAD).await;
    has(&page, &[said, "Stop the job"]);
    has(&cluster.on_another_replica(DEAD).await, &[said]);
    // a second one is refused by nsqd, and that is said
    let (head, _) = post(
        &cluster,
        CHANNEL,
        "do=redrive&all=true&rate=0&limit=0&name=t1%2Fc1&nonce=4",
    )
    .await;
    has(&result_of(&cluster, &head).await, &["JOB_RUNNING"]);
    has(
        &cluster.body(&link(&page, "Stop the job")).await,
        &["Stop the job of t1/c1?"],
    );
    let (head, _) = post(&cluster, CHANNEL, "do=stop&nonce=5").await;
    result_of(&cluster, &head).await;
    cluster.nsqds[0].queue(|queue| queue.second());
    let page = cluster.body(DEAD).await;
    has(&page, &["Redrive is over: 80 done, 0 failed, 170 left."]);
    assert!(!page.contains("Stop the job"));
    // deleting is level 3
    let row = format!("id={:0>16}&node={}", "d100", cluster.nsqds[0].address);
    let ask = cluster.body(&format!("{CHANNEL}?confirm=discard&{row}")).await;
    has(
        &ask,
        &[
            "Delete one dead letter of t1/c1?",
            "letter d100",
            "To go on, type <code>t1/c1</code>",
        ],
    );
    let form = format!("{TOKEN}&do=discard&{row}&name=t1%2Fc1&nonce=6");
    let (head, _) = cluster
        .send("POST", CHANNEL, &[COOKIE, "X-Forwarded-User: olga"], &form)
        .await;
    has(&head, &["HTTP/1.1 403 "]);
    let (head, _) = post(
        &cluster,
        CHANNEL,
        &format!("do=discard&{row}&name=t1%2Fc1&nonce=7"),
    )
    .await;
    result_of(&cluster, &head).await;
    cluster.nsqds[0].queue(|queue| assert_eq!((queue.messages.len(), queue.run.len()), (169, 80)));
    // with channels of its own, the dead-letter topic is looked into through one of them
    let stats = r#"{"topics":[{"topic_name":"t1.c1.dlq","channels":[{"channel_name":"archive"}]},
        {"topic_name":"t1","channels":[{"channel_name":"c1","dead_letter_count":169}]}]}"#;
    cluster.nsqds[0].answers("/stats", stats);
    cluster.pass(3);
    cluster.nsqds[0].queue(|queue| {
        queue.via = Some("archive");
        queue.policy = json!({"effective": {"dead_letter_topic": "t1.c1.dlq"}});
    });
    let page = cluster
        .body(&format!("{DEAD}&node={}", cluster.nsqds[0].address))
        .await;
    has(
        &page,
        &[
            "choose the one to look into",
            "<option>archive</option>",
            "No dead letters there.",
        ],
    );
    let chosen = cluster
        .body(&format!("{DEAD}&via=archive&node={}", cluster.nsqds[0].address))
        .await;
    has(&chosen, &["letter d099", "<option selected>archive</option>"]);
    assert!(link(&chosen, "Redrive one").contains("via=archive"), "{chosen}");
}

#[tokio::test]
async fn a_dead_letter_topic_says_whose_letters_it_has() {
    let cluster = cluster(&[]).await;
    let stats = r#"{"topics":[{"topic_name":"t1","channels":[{"channel_name":"c1","dead_letter_count":1200}]},
        {"topic_name":"t1.c1.dlq","channels":[]}]}"#;
    cluster.nsqds[0].answers("/stats", stats);
    let page = cluster.body("/topics/t1.c1.dlq").await;
    has(
        &page,
        &[
            "Here are dead letters of t1/c1: 1,200 are left.",
            r#"href="/topics/t1/c1?tab=dead">Dead letters of t1/c1</a>"#,
        ],
    );
    let own = cluster.body("/topics/t1").await;
    assert!(!own.contains("Here are dead letters"), "{own}");
}

#[tokio::test]
async fn what_is_no_choice_of_messages_does_nothing() {
    let cluster = cluster(&[]).await;
    let node = &cluster.nsqds[0].address;
    let many: String = (0..101).map(|at| format!("&id={at:0>16}")).collect();
    for query in [
        "confirm=run".to_owned(),
        "confirm=run&id=short".to_owned(),
        // an id is of one node
        format!("confirm=run&id={:0>16}", "x"),
        format!("confirm=run&node={node}&id=a%2Cb{:0>13}", ""),
        format!("confirm=run&node={node}{many}"),
        "confirm=run&all=true&node=nowhere".to_owned(),
        "confirm=run&all=true&rate=fast".to_owned(),
        "confirm=explode&all=true".to_owned(),
    ] {
        let (head, _) = cluster.get(&format!("{CHANNEL}?{query}")).await;
        has(&head, &["HTTP/1.1 400 "]);
        let (head, _) = post(&cluster, CHANNEL, &query.replace("confirm=", "name=t1%2Fc1&do=")).await;
        has(&head, &["HTTP/1.1 400 "]);
    }
    for nsqd in &cluster.nsqds {
        nsqd.queue(|queue| assert!(!queue.asked.iter().any(|asked| asked.starts_with("POST"))));
    }
}
