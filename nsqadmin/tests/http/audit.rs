//! What is done from pages: asked for, done once, told, and tried again where it failed.

use serde_json::Value;

use crate::support::{COOKIE, Cluster, TOKEN, bare, has, nothing_was_posted, post, result_of};

/// Console spec 11: two clicks, and the page of the result has a row for each node.
#[tokio::test]
async fn pausing_is_a_link_and_a_button_and_the_result_has_a_row_per_node() {
    let cluster = Cluster::start().await;
    has(
        &cluster.body("/topics/t1/c1").await,
        &[r#"href="/topics/t1/c1?confirm=pause">Pause channel</a>"#],
    );
    let asks = cluster.body("/topics/t1/c1?confirm=pause").await;
    has(
        &asks,
        &[
            "Pause channel t1/c1?",
            "on every node.",
            ">Pause channel c1</button>",
        ],
    );
    assert!(!asks.contains(r#"name="name""#), "{asks}");
    let (head, _) = post(&cluster, "/topics/t1/c1", "do=pause").await;
    let page = result_of(&cluster, &head).await;
    has(&page, &["Pause channel t1/c1", "Done: all 2 upstreams did it."]);
    for nsqd in &cluster.nsqds {
        has(&page, &[&format!(">{}</a>", nsqd.address)]);
        let paused =
            crate::support::stats(1, 0).replace(r#""clients":null"#, r#""clients":null,"paused":true"#);
        nsqd.answers("/stats", paused);
    }
    cluster.pass(2);
    has(&cluster.body("/topics/t1/c1").await, &["</span> paused</span>"]);
}

/// Console spec 11.
#[tokio::test]
async fn ui_062_a_wrong_name_sends_nothing_and_the_right_one_goes_in_order() {
    let cluster = Cluster::start().await;
    for name in ["", "T1", "t1+", "t"] {
        let (head, page) = post(&cluster, "/topics/t1", &format!("do=delete&name={name}")).await;
        has(&head, &["HTTP/1.1 422 "]);
        has(&page, &["nothing was done", "Delete topic t1?"]);
    }
    nothing_was_posted(&cluster);
    let (head, _) = post(&cluster, "/topics/t1", "do=delete&name=t1").await;
    let page = result_of(&cluster, &head).await;
    // the nsqlookupds forget first, so that no consumer is sent there any more
    let at = |address: &str| page.find(&format!(">{address}<")).unwrap();
    for upstream in cluster.lookupds.iter().chain(&cluster.nsqds) {
        assert_eq!(upstream.posted(), ["/topic/delete?topic=t1"]);
    }
    for nsqd in &cluster.nsqds {
        assert!(at(&nsqd.address) > at(&cluster.lookupds[1].address), "{page}");
    }
}

/// Console spec 11.
#[tokio::test]
async fn ui_063_the_same_form_twice_is_done_once() {
    let cluster = Cluster::start().await;
    let asks = cluster.body("/topics/t1?confirm=pause").await;
    let nonce = asks
        .split("name=\"nonce\" value=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let form = format!("do=pause&nonce={nonce}");
    let (first, second) = tokio::join!(
        post(&cluster, "/topics/t1", &form),
        post(&cluster, "/topics/t1", &form)
    );
    let location = |head: &str| {
        head.lines()
            .find(|line| line.starts_with("Location: "))
            .unwrap()
            .to_owned()
    };
    assert_eq!(location(&first.0), location(&second.0));
    let (third, _) = post(&cluster, "/topics/t1", &form).await;
    assert_eq!(location(&third), location(&first.0));
    for nsqd in &cluster.nsqds {
        assert_eq!(nsqd.posted(), ["/topic/pause?topic=t1"]);
    }
    let (other, _) = post(&cluster, "/topics/t1", "do=pause&nonce=other").await;
    assert_ne!(location(&other), location(&first.0));
}

/// Console spec 11, with two nodes.
#[tokio::test]
async fn what_failed_is_tried_again_there_only() {
    let cluster = Cluster::start().await;
    let [well, sick] = &cluster.nsqds;
    sick.answers("/channel/empty?topic=t1", "CHANNEL_NOT_FOUND");
    let (head, _) = post(&cluster, "/topics/t1/c1", "do=empty&name=t1%2Fc1").await;
    let location = head
        .lines()
        .find_map(|line| line.strip_prefix("Location: "))
        .unwrap();
    let page = result_of(&cluster, &head).await;
    has(
        &page,
        &[
            "Done in part only",
            "it does not have the channel",
            "?confirm=retry\">Retry failed (1)</a>",
        ],
    );
    assert_eq!((well.posted().len(), sick.posted().len()), (1, 1));
    let asks = cluster.body(&format!("{location}?confirm=retry")).await;
    has(
        &asks,
        &[
            "Only what failed is done again: one request.",
            "<code>t1/c1</code>",
        ],
    );
    let (head, _) = post(&cluster, location, "do=retry&name=wrong").await;
    has(&head, &["HTTP/1.1 422 "]);
    sick.forgets("/channel/empty?topic=t1");
    let (head, _) = post(&cluster, location, "do=retry&name=t1%2Fc1").await;
    let page = result_of(&cluster, &head).await;
    has(&page, &["Done: one upstream did it."]);
    assert!(well.posted().is_empty());
    assert_eq!(sick.posted(), ["/channel/empty?topic=t1&channel=c1"]);
}

/// Console spec 11.
#[tokio::test]
async fn ui_065_an_action_on_one_node_reaches_that_node_only() {
    let cluster = Cluster::start().await;
    let [first, other] = &cluster.nsqds;
    let node = first.address.replace(':', "%3A");
    for (path, verb, name, expected) in [
        ("/topics/t1", "pause", "", "/topic/pause?topic=t1"),
        ("/topics/t1", "empty", "t1", "/topic/empty?topic=t1"),
        ("/topics/t1/c1", "pause", "", "/channel/pause?topic=t1&channel=c1"),
        (
            "/topics/t1/c1",
            "empty",
            "t1%2Fc1",
            "/channel/empty?topic=t1&channel=c1",
        ),
    ] {
        let link = format!("{path}?confirm={verb}&#38;node={node}");
        has(&cluster.body(path).await, &[&link]);
        let asks = cluster.body(&link.replace("&#38;", "&")).await;
        has(&asks, &[&format!("on {} only.", first.address)]);
        assert!(!bare(&asks).contains(&other.address), "{asks}");
        let (head, _) = post(&cluster, path, &format!("do={verb}&node={node}&name={name}")).await;
        has(&result_of(&cluster, &head).await, &["Done: one upstream did it."]);
        assert_eq!(first.posted(), [expected]);
        assert!(other.posted().is_empty());
    }
}

/// Console spec 11.
#[tokio::test]
async fn ui_066_many_topics_at_one_time() {
    let cluster = Cluster::start().await;
    let page = cluster.body("/topics").await;
    has(
        &page,
        &[r#"<input type="checkbox" form="ticked" name="topic" value="t1" aria-label="Tick t1">"#],
    );
    let (head, page) = cluster.get("/topics?confirm=delete").await;
    has(&head, &["HTTP/1.1 422 "]);
    has(&page, &["No topic is ticked"]);
    let ticked = "topic=t1&topic=dead&topic=gone";
    let asks = cluster.body(&format!("/topics?confirm=delete&{ticked}")).await;
    has(
        &asks,
        &[
            "Delete 3 topics?",
            "<code>delete 3 topics</code>",
            r#"class="name">t1</th><td class="number">9</td>"#,
        ],
    );
    for name in ["dead", "gone"] {
        has(
            &asks,
            &[&format!(r#"<input type="hidden" name="topic" value="{name}">"#)],
        );
    }
    let (head, page) = post(&cluster, "/topics", &format!("do=delete&{ticked}&name=t1")).await;
    has(&head, &["HTTP/1.1 422 "]);
    has(&page, &["nothing was done", "Delete 3 topics?"]);
    nothing_was_posted(&cluster);
    let (head, _) = post(
        &cluster,
        "/topics",
        &format!("do=delete&{ticked}&name=delete+3+topics"),
    )
    .await;
    let page = result_of(&cluster, &head).await;
    has(&page, &["Done in part only", "gone is not there any more"]);
    for lookupd in &cluster.lookupds {
        assert_eq!(
            lookupd.posted(),
            ["/topic/delete?topic=dead", "/topic/delete?topic=t1"]
        );
    }
    assert_eq!(cluster.nsqds[0].posted(), ["/topic/delete?topic=t1"]);
    let many: String = (0..101).map(|at| format!("&topic=x{at}")).collect();
    for (head, page) in [
        cluster.get(&format!("/topics?confirm=pause{many}")).await,
        post(&cluster, "/topics", &format!("do=pause{many}")).await,
    ] {
        has(&head, &["HTTP/1.1 422 "]);
        has(&page, &["101 topics are ticked"]);
    }
    assert!(cluster.nsqds[0].posted().is_empty());
}

/// Console spec 11.
#[tokio::test]
async fn ui_068_the_page_that_asks_says_what_is_lost_and_who_is_there() {
    let cluster = Cluster::start_flags("", true, &["--stats-poll-interval=200ms"]).await;
    let count = |count: i64| {
        crate::support::stats(8, 3).replace(
            r#""depth":0,"backend_depth":0,
        "message_count":8"#,
            &format!(r#""depth":0,"backend_depth":0,"message_count":{count}"#),
        )
    };
    for nsqd in &cluster.nsqds {
        nsqd.answers("/stats", count(8));
    }
    cluster.until("/topics/t1", |page| page.contains(">16<")).await;
    for nsqd in &cluster.nsqds {
        nsqd.answers("/stats", count(1_008));
    }
    cluster.pass(10);
    cluster.until("/topics/t1", |page| page.contains("200/s")).await;
    let asks = cluster.body("/topics/t1?confirm=delete").await;
    has(
        &asks,
        &["2 clients are connected.", "Messages are coming in: 200/s."],
    );
    for nsqd in &cluster.nsqds {
        let row = format!(
            r#"<th scope="row" class="name">{}</th><td class="number">8</td><td class="number">1</td><td class="number">0</td><td class="number">1</td>"#,
            nsqd.address
        );
        has(&asks, &[&row]);
    }
}

/// A form with parts, as a browser sends it when there is a file.
fn parts(fields: &[(&str, &str)], file: &str) -> String {
    let mut body = String::new();
    for (name, value) in fields {
        body += &format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    }
    body + &format!(
        "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\nContent-Type: a/b\r\n\r\n{file}\r\n--b--\r\n"
    )
}

/// Console spec 11.
#[tokio::test]
async fn ui_067_messages_are_published_as_they_are() {
    let cluster = Cluster::start().await;
    let [deep, shallow] = &cluster.nsqds;
    has(
        &cluster.body("/topics/t1?tab=publish").await,
        &[
            r#"enctype="multipart/form-data""#,
            ">Publish</button>",
            &format!("<option>{}</option>", deep.address),
        ],
    );
    // the node with the fewest messages of the topic
    for (form, path, body) in [
        ("body=a%20b%0D%0A%C3%A9", "/pub?topic=t1", "a b\né"),
        ("body=one%0D%0Atwo%0D%0A&lines=on", "/mpub?topic=t1", "one\ntwo\n"),
        ("body=later&delay=1500", "/pub?topic=t1&defer=1500", "later"),
    ] {
        let (head, _) = post(&cluster, "/topics/t1", &format!("do=publish&node=auto&{form}")).await;
        has(
            &result_of(&cluster, &head).await,
            &["Done: one upstream did it.", "Publish another like this"],
        );
        assert_eq!(shallow.posted(), [path]);
        assert_eq!(shallow.bodies().last().unwrap(), body);
    }
    // a file goes as it is
    let csrf = TOKEN.strip_prefix("csrf=").unwrap();
    let fields = [
        ("csrf", csrf),
        ("do", "publish"),
        ("node", deep.address.as_str()),
        ("body", "ignored"),
    ];
    let headers = [COOKIE, "Content-Type: multipart/form-data; boundary=b"];
    let (head, _) = cluster
        .send("POST", "/topics/t1", &headers, &parts(&fields, "a\r\n\tb\0\r\n"))
        .await;
    has(&result_of(&cluster, &head).await, &["1 message, 8 B"]);
    assert_eq!(
        (deep.posted().len(), deep.bodies().last().unwrap().as_str()),
        (1, "a\r\n\tb\0\r\n")
    );
    for (form, text) in [
        ("body=", "There is no message"),
        ("body=%0D%0A&lines=on", "There is no message"),
        ("body=x&delay=soon", "no number of milliseconds"),
        (
            "body=x%0Ay&lines=on&delay=5",
            "Only a single message can be delayed",
        ),
        ("body=kept&node=nobody", "There is no such node"),
    ] {
        let (head, page) = post(&cluster, "/topics/t1", &format!("do=publish&{form}")).await;
        has(&head, &["HTTP/1.1 422 "]);
        has(&page, &[text]);
    }
    let (head, page) = post(
        &cluster,
        "/topics/t1",
        &format!("do=publish&body={}", "x".repeat(1 << 20)),
    )
    .await;
    has(&head, &["HTTP/1.1 413 "]);
    has(&page, &["more than 1 MiB"]);
    assert!(deep.posted().is_empty() && shallow.posted().is_empty());
    // what the nsqd refuses is told in words
    shallow.answers("/pub?topic=t1", "MSG_TOO_BIG");
    let (head, _) = post(&cluster, "/topics/t1", "do=publish&body=x").await;
    has(
        &result_of(&cluster, &head).await,
        &["the message is larger than it takes (--max-msg-size) (MSG_TOO_BIG)"],
    );
    shallow.posted();
    // a node on its way out is passed over
    let info = r#"{"version":"1.3.0","hostname":"h","broadcast_address":"127.0.0.1","phase":"draining","extensions":["lifecycle"]"#;
    shallow.answers(
        "/info",
        format!(r#"{info},"http_port":{},"tcp_port":4150}}"#, shallow.port()),
    );
    cluster.pass(61);
    post(&cluster, "/topics/t1", "do=publish&body=x").await;
    assert_eq!((deep.posted().len(), shallow.posted().len()), (1, 0));
    let closed = Cluster::start_flags("", true, &["--disable-publish"]).await;
    let page = closed.body("/topics/t1?tab=publish").await;
    assert!(
        page.contains("--disable-publish is set") && !page.contains("<textarea"),
        "{page}"
    );
    let (head, _) = post(&closed, "/topics/t1", "do=publish&body=x").await;
    has(&head, &["HTTP/1.1 403 "]);
}

fn lines(path: &std::path::Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Console spec 11, with `looks_and_refused_looks_are_written_down` and the next test.
#[tokio::test]
async fn ui_126_accepted_refused_and_partial_actions_are_in_the_list_and_in_the_file() {
    let file = std::env::temp_dir().join(format!("nsqadmin-audit-{}", std::process::id()));
    let _ = std::fs::remove_file(&file);
    let flags = [
        format!("--audit-log-file={}", file.display()),
        "--admin-user=ann".to_owned(),
    ];
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let cluster = Cluster::start_flags("", true, &flags).await;
    let ann = [COOKIE, "X-Forwarded-User: ann", "X-Forwarded-For: 10.1.2.3"];
    cluster
        .send("POST", "/topics/t1", &ann, &format!("{TOKEN}&do=pause"))
        .await;
    cluster.nsqds[1].answers("/topic/empty?topic=t1", "TOPIC_NOT_FOUND");
    cluster
        .send("POST", "/api/topics/t1", &ann, r#"{"action":"empty"}"#)
        .await;
    cluster
        .send("DELETE", "/api/topics/t1", &["X-Forwarded-User: bob"], "")
        .await;
    cluster.send("PUT", "/config/log_level", &ann, "info").await;
    let (_, page) = cluster.send("GET", "/audit", &ann, "").await;
    has(
        &page,
        &[
            ">ann<",
            ">bob<",
            "pause topic",
            "empty topic",
            "delete topic",
            "</span> refused</span>",
            "</span> partial</span>",
            "set config",
            "127.0.0.1:",
        ],
    );
    let (_, page) = cluster.send("GET", "/audit?result=partial", &ann, "").await;
    assert!(
        page.contains("empty topic") && !page.contains(">pause topic<"),
        "{page}"
    );
    // who only looks sees the list without addresses
    let page = cluster.body("/audit").await;
    assert!(
        page.contains("hidden from viewers") && !page.contains("127.0.0.1:"),
        "{page}"
    );
    let written = lines(&file);
    let seen: Vec<(&str, &str)> = written
        .iter()
        .map(|line| (line["event"].as_str().unwrap(), line["action"].as_str().unwrap()))
        .collect();
    assert_eq!(
        seen,
        [
            ("intent", "pause_topic"),
            ("result", "pause_topic"),
            ("intent", "empty_topic"),
            ("result", "empty_topic"),
            ("refused", "delete_topic"),
            ("result", "set_config"),
        ]
    );
    assert_eq!(
        (&written[1]["result"], &written[3]["result"]),
        (&"done".into(), &"partial".into())
    );
    assert_eq!(
        (&written[0]["user"], &written[0]["forwarded_for"]),
        (&"ann".into(), &"10.1.2.3".into())
    );
    assert_eq!(written[3]["calls"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&written[4]["user"], &written[4]["role"]),
        (&"bob".into(), &"viewer".into())
    );
    std::fs::remove_file(&file).unwrap();
    let metrics = cluster.body("/metrics").await;
    for line in [
        r#"nsqadmin_actions_total{action="pause_topic",result="ok"} 1"#,
        r#"nsqadmin_actions_total{action="empty_topic",result="partial"} 1"#,
        r#"nsqadmin_actions_total{action="delete_topic",result="denied"} 1"#,
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
}

/// Console spec 6.6 and 11, ui_126: without a written line nothing is lost, and the rest goes on.
#[tokio::test]
async fn what_loses_something_needs_a_file_that_can_be_written() {
    let cluster = Cluster::start_flags("", true, &["--audit-log-file=/dev/full"]).await;
    let (head, page) = post(&cluster, "/topics/t1", "do=delete&name=t1").await;
    has(&head, &["HTTP/1.1 503 "]);
    has(&page, &["--audit-log-file cannot be written"]);
    let refused = cluster.ask("DELETE", "/api/topics/t1", "", 503).await;
    assert_eq!(refused, r#"{"message":"AUDIT_LOG_NOT_WRITABLE"}"#);
    nothing_was_posted(&cluster);
    let (head, _) = post(&cluster, "/topics/t1", "do=pause").await;
    has(&head, &["HTTP/1.1 303 "]);
    assert_eq!(cluster.nsqds[0].posted(), ["/topic/pause?topic=t1"]);
}

/// nsqadmin spec 14: deleting asks, and leads back to the list of topics, by way of what became of it.
#[tokio::test]
async fn na_064_a_topic_has_its_sums_and_is_deleted_after_a_question() {
    let cluster = Cluster::start().await;
    let page = cluster.body("/topics/t1").await;
    has(
        &page,
        &[
            "Topic depth",
            "Memory + disk",
            "Messages",
            "Channels",
            "In flight",
            "Deferred",
            "Requeued",
            "Timed out",
            "Clients",
        ],
    );
    let json: Value = serde_json::from_str(&cluster.body("/topics/t1?format=json").await).unwrap();
    let sum = |key: &str| {
        json["tables"]["Nodes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row[key].as_i64().unwrap())
            .sum::<i64>()
    };
    assert_eq!((sum("depth"), sum("messages")), (0, 9));
    let total = bare(page.rsplit("<tfoot>").next().unwrap());
    has(&total, &[">Total</th>", r#"<td class="number">9</td>"#]);
    has(
        &cluster.body("/topics/t1?confirm=delete").await,
        &["Delete topic t1?"],
    );
    let (head, _) = post(&cluster, "/topics/t1", "do=delete&name=t1").await;
    has(
        &result_of(&cluster, &head).await,
        &[r#"href="/">On to the overview</a>"#],
    );
}

#[tokio::test]
async fn an_entry_that_is_not_known_says_why() {
    let cluster = Cluster::start().await;
    let (head, page) = cluster.get("/audit/nope").await;
    has(&head, &["HTTP/1.1 404 "]);
    has(&page, &["another replica did it"]);
}
