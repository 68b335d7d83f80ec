//! Tabs that look into queues, against nsqds that can be looked into (console spec 3.5 to 3.8, fixture F8).

use serde_json::{Value, json};

use crate::queue::{Own, Queue};
use crate::support::{Cluster, has, nothing_was_posted};

const PEEK: &str = "/topics/t1/c1?tab=messages";

/// Two nodes with messages of every state and every kind of body.
pub(crate) async fn cluster(flags: &[&str]) -> Cluster {
    let cluster = Cluster::start_flags("", true, flags).await;
    for (at, nsqd) in cluster.nsqds.iter().enumerate() {
        nsqd.has_queue(Queue {
            messages: messages(at),
            ..Queue::default()
        });
    }
    cluster
}

fn messages(node: usize) -> Vec<Own> {
    let id = |name: &str| format!("{name}{node}");
    let more = |own: Own, more: Value| Own { more, ..own };
    vec![
        Own::new(&id("a"), "ready", r#"{"order":81,"total":[1,2]}"#),
        Own::new(&id("b"), "ready", "<b>bold</b>\u{1b}[31m"),
        Own::new(&id("c"), "ready", b"\xff\xfe\x00".to_vec()),
        Own::new(&id("d"), "ready", vec![b'x'; 5 << 20]),
        more(
            Own::new(&id("e"), "in_flight", "held"),
            json!({"delivered": 0, "deadline": 31_000_000_000_i64, "client_id": "worker-a1", "remote_address": "10.0.0.9:4242"}),
        ),
    ]
}

/// The link that a page has for this text.
pub(crate) fn link(page: &str, text: &str) -> String {
    let end = page
        .find(&format!("\">{text}</a>"))
        .unwrap_or_else(|| panic!("{text} not in {page}"));
    let start = page[..end].rfind("href=\"").unwrap() + 6;
    page[start..end]
        .split('"')
        .next()
        .unwrap()
        .replace("&#38;", "&")
        .replace("&amp;", "&")
}

#[tokio::test]
async fn messages_are_shown_and_stay_where_they_are() {
    let cluster = cluster(&[]).await;
    let page = cluster.body(PEEK).await;
    // the deepest node, unless somebody chose
    has(
        &page,
        &[
            "Looking takes nothing",
            ">00000000000000a0</a>",
            "{&#34;order&#34;:81,&#34;total&#34;:[1,2]}",
            "&#60;b&#62;bold&#60;/b&#62;␛[31m",
            ">ff fe 00<",
            "first 4 messages, looked at",
        ],
    );
    assert!(!page.contains("00000000000000a1"), "{page}");
    let other = format!("{PEEK}&node={}", cluster.nsqds[1].address);
    has(&cluster.body(&other).await, &[">00000000000000a1</a>"]);
    let both = cluster.body(&format!("{PEEK}&node=all")).await;
    has(&both, &[">00000000000000a0</a>", ">00000000000000a1</a>"]);
    let held = cluster.body(&format!("{PEEK}&state=in_flight")).await;
    has(
        &held,
        &["worker-a1", "10.0.0.9:4242", "in 31 s", ">00000000000000e0</a>"],
    );
    // the queue of the topic itself
    let own = format!("/topics/t1?tab=messages&node={}", cluster.nsqds[0].address);
    has(&cluster.body(&own).await, &[">00000000000000a0</a>"]);
    nothing_was_posted(&cluster);
    for nsqd in &cluster.nsqds {
        nsqd.queue(|queue| {
            assert!(
                queue.asked.iter().all(|asked| asked.starts_with("GET ")),
                "{:?}",
                queue.asked
            );
            assert_eq!(queue.messages.len(), 5);
        });
    }
    // who looked, where, at how many
    let audit = cluster.body("/audit").await;
    has(&audit, &["peek", "t1/c1"]);
}

#[tokio::test]
async fn a_list_goes_on_where_the_page_before_ended() {
    let cluster = cluster(&[]).await;
    let many = (0..30)
        .map(|at| Own::new(&format!("{at:02}"), "ready", "x"))
        .collect();
    cluster.nsqds[0].queue(|queue| queue.messages = many);
    let first = cluster.body(PEEK).await;
    assert!(
        first.contains("0000000000000019") && !first.contains(">0000000000000020<"),
        "{first}"
    );
    let second = cluster.body(&link(&first, "Next")).await;
    has(&second, &[">0000000000000020</a>", ">0000000000000029</a>"]);
    assert!(!second.contains(">Next</a>"));
    // a message of the second page is found from there, and shown
    let opened = cluster.body(&link(&second, "0000000000000025")).await;
    has(
        &opened,
        &["Body of 0000000000000025", "<pre tabindex=\"0\">x</pre>"],
    );
}

/// Console spec 11 (fixture F6), what a server can prove of it; the browser has the rest.
#[tokio::test]
async fn every_body_is_text_and_says_how_to_get_the_rest() {
    let cluster = cluster(&[]).await;
    let page = cluster.body(PEEK).await;
    let json = cluster.body(&link(&page, "00000000000000a0")).await;
    has(&json, &["{\n  &#34;order&#34;: 81,", "All of it is shown."]);
    let text = cluster.body(&link(&page, "00000000000000b0")).await;
    has(&text, &["&#60;b&#62;bold&#60;/b&#62;␛[31m"]);
    assert!(!text.contains("<b>"), "{text}");
    let hex = cluster
        .body(&format!("{}&as=hex", link(&page, "00000000000000b0")))
        .await;
    has(&hex, &["00000000  3c 62 3e"]);
    let bytes = cluster.body(&link(&page, "00000000000000c0")).await;
    has(&bytes, &["00000000  ff fe 00"]);
    let large = cluster.body(&link(&page, "00000000000000d0")).await;
    has(
        &large,
        &["The first 64.0 KiB of 5.0 MiB are shown.", "Download 5.0 MiB"],
    );
    assert!(large.len() < 100_000, "{}", large.len());
    assert!(!large.contains("Show all"), "a page of 5 MiB is offered");
    cluster.nsqds[0].queue(|queue| queue.messages[0].body = vec![b'y'; 300 << 10]);
    let middle = cluster.body(&link(&page, "00000000000000a0")).await;
    let all = cluster.body(&link(&middle, "Show all 300 KiB")).await;
    has(&all, &["All of it is shown."]);
    assert!(all.len() > 300 << 10);
}

#[tokio::test]
async fn ui_082_a_download_has_the_exact_bytes_and_no_browser_opens_it() {
    let cluster = cluster(&[]).await;
    let page = cluster.body(PEEK).await;
    for (name, wanted) in [
        ("00000000000000a0", br#"{"order":81,"total":[1,2]}"#.to_vec()),
        ("00000000000000c0", b"\xff\xfe\x00".to_vec()),
        ("00000000000000d0", vec![b'x'; 5 << 20]),
    ] {
        let path = format!("{}&download=1", link(&page, name));
        let (head, body) = cluster.send_bytes("GET", &path, &[], "").await;
        has(
            &head,
            &[
                "HTTP/1.1 200 ",
                "\r\nContent-Type: application/octet-stream",
                &format!("\r\nContent-Disposition: attachment; filename=\"{name}.bin\""),
                "\r\nX-Content-Type-Options: nosniff",
            ],
        );
        assert!(body == wanted, "{name}: {} bytes", body.len());
    }
    has(&cluster.body("/audit").await, &["download"]);
}

#[tokio::test]
async fn ui_083_bodies_are_for_those_whom_message_access_names() {
    let roles = ["viewer", "operator", "admin"];
    for (access, sees) in [
        ("off", [false, false, false]),
        ("viewer", [true, true, true]),
        ("operator", [false, true, true]),
        ("admin", [false, false, true]),
    ] {
        let flag = format!("--message-access={access}");
        let users = [
            "--viewer-user=viewer",
            "--operator-user=operator",
            "--admin-user=admin",
        ];
        let cluster = cluster(&[users[0], users[1], users[2], &flag]).await;
        for nsqd in &cluster.nsqds {
            nsqd.queue(|queue| {
                queue.messages.push(Own::new("f", "deferred", "secret-later"));
                let letter =
                    json!({"dead_letter": {"id": "x", "reason": "attempts", "attempts": 5, "at": 1}});
                queue.messages.push(Own {
                    more: letter,
                    ..Own::new("9", "dead", "secret-dead")
                });
            });
        }
        let open = format!(
            "{PEEK}&state=ready&id=00000000000000a0&node={}",
            cluster.nsqds[0].address
        );
        let pages = [
            (PEEK.to_owned(), "order"),
            (format!("{PEEK}&format=json"), "order"),
            (format!("{PEEK}&format=csv"), "order"),
            (open.clone(), "order"),
            (format!("{open}&download=1"), "order"),
            ("/topics/t1/c1?tab=timers".to_owned(), "secret-later"),
            ("/topics/t1/c1?tab=timers&format=json".to_owned(), "secret-later"),
            ("/topics/t1/c1?tab=dead".to_owned(), "secret-dead"),
            ("/topics/t1/c1?tab=dead&format=json".to_owned(), "secret-dead"),
        ];
        for (role, sees) in roles.into_iter().zip(sees) {
            let header = format!("X-Forwarded-User: {role}");
            for (path, secret) in &pages {
                let (head, body) = cluster.send("GET", path, &[&header], "").await;
                assert_eq!(
                    body.contains(secret),
                    sees,
                    "{access} {role} {path}: {head} {body}"
                );
                let status = if sees || !path.contains("messages") {
                    "200"
                } else {
                    "403"
                };
                has(&head, &[&format!("HTTP/1.1 {status} ")]);
            }
        }
        // what may not be shown is not even asked for
        if access == "off" {
            cluster.nsqds[0].queue(|queue| {
                let bodies = queue.asked.iter().filter(|asked| !asked.contains("body=0"));
                assert!(
                    bodies.clone().all(|asked| asked.contains("/channel/job")),
                    "{:?}",
                    queue.asked
                );
            });
        }
    }
    let error =
        nsqadmin::Options::from_args(["--nsqd-http-address=a:1", "--message-access=all"].map(str::to_owned));
    let text = error.unwrap_err().stderr;
    assert!(
        text.contains("--message-access (all) - one of off, viewer, operator and admin"),
        "{text}"
    );
}

/// Console spec 11, ui_126: who looked, where, at how many; and who was not let.
#[tokio::test]
async fn looks_and_refused_looks_are_written_down() {
    let file = std::env::temp_dir().join(format!("nsqadmin-looks-{}", std::process::id()));
    let flag = format!("--audit-log-file={}", file.display());
    let cluster = cluster(&[&flag, "--viewer-user=vera", "--default-role=admin"]).await;
    let open = format!("{PEEK}&id=00000000000000a0&node={}", cluster.nsqds[0].address);
    for path in [PEEK.to_owned(), open.clone(), format!("{open}&download=1")] {
        cluster.body(&path).await;
        let (head, _) = cluster.send("GET", &path, &["X-Forwarded-User: vera"], "").await;
        has(&head, &["HTTP/1.1 403 "]);
    }
    cluster.nsqds[0].queue(|queue| queue.messages.push(Own::new("f", "deferred", "later")));
    cluster.body("/topics/t1/c1?confirm=cancel&all=true").await;
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let seen: Vec<(String, String, String)> = lines
        .map(|line| {
            let text = |key: &str| line[key].as_str().unwrap().to_owned();
            assert_eq!(line["targets"], json!(["t1/c1"]));
            (
                text("event"),
                text("action"),
                text("note").split(" on ").next().unwrap().to_owned(),
            )
        })
        .collect();
    let line = |event: &str, action: &str, note: &str| (event.to_owned(), action.to_owned(), note.to_owned());
    assert_eq!(
        seen,
        [
            line("result", "peek", "4 messages, ready"),
            line("refused", "peek", ""),
            line("result", "peek", "00000000000000a0, ready"),
            line("refused", "peek", ""),
            line("result", "download", "00000000000000a0, ready"),
            line("refused", "download", ""),
            line("result", "peek", "the first 1 of what is concerned"),
        ]
    );
}

#[tokio::test]
async fn a_viewer_sees_no_addresses_of_clients() {
    let cluster = cluster(&["--viewer-user=v", "--message-access=viewer"]).await;
    let path = format!("{PEEK}&state=in_flight");
    let (_, page) = cluster.send("GET", &path, &["X-Forwarded-User: v"], "").await;
    has(&page, &["worker-a1", "hidden from viewers"]);
    assert!(!page.contains("10.0.0.9"), "{page}");
}

#[tokio::test]
async fn who_cannot_be_looked_into_is_named_and_why() {
    let cluster = cluster(&[]).await;
    for (status, message, text) in [
        (
            403,
            "FORBIDDEN",
            "shows no messages over HTTP: its clients have to authenticate",
        ),
        (
            429,
            "TOO_MANY_REQUESTS",
            "is looked into by too many at this moment",
        ),
        (404, "CHANNEL_NOT_FOUND", "does not have it any more"),
        (
            500,
            "INTERNAL_ERROR",
            "could not be looked into: answered with status 500",
        ),
    ] {
        cluster.nsqds[0].queue(|queue| queue.refusal = Some((status, message)));
        has(&cluster.body(PEEK).await, &[text, &cluster.nsqds[0].address]);
        // the other one is shown all the same
        has(
            &cluster.body(&format!("{PEEK}&node=all")).await,
            &[text, ">00000000000000a1</a>"],
        );
    }
}

/// Nothing but pages of numbers is asked of Go's nsqd, over HTTP alone: there is nobody on the TCP port of these.
#[tokio::test]
async fn ui_084_a_go_nsqd_is_explained_and_left_alone_and_in_a_mixed_cluster_it_is_named() {
    let cluster = Cluster::start().await;
    for (path, text) in [
        ("/topics/t1?tab=messages", "nsq_tail shows messages as they come"),
        (PEEK, "cannot be looked into without taking messages. nsq_tail"),
        (
            "/topics/t1/c1?tab=timers",
            "cannot list messages that wait for their time",
        ),
        ("/topics/t1/c1?tab=dead", "keep no dead letters"),
        ("/topics/t1/c1?tab=policy", "have no policies"),
    ] {
        has(&cluster.body(path).await, &[text]);
    }
    nothing_was_posted(&cluster);
    let cluster = Cluster::start().await;
    cluster.nsqds[0].has_queue(Queue {
        messages: messages(0),
        ..Queue::default()
    });
    let page = cluster.body(PEEK).await;
    let go = &cluster.nsqds[1].address;
    let named = format!("The nsqd {go} cannot do this");
    has(&page, &[">00000000000000a0</a>", &named, "nsq_tail"]);
    nothing_was_posted(&cluster);
}

#[tokio::test]
async fn ui_088_the_policy_tab_says_what_is_set_inherited_and_in_force_and_marks_a_node_that_differs() {
    let cluster = cluster(&[]).await;
    for (nsqd, attempts) in cluster.nsqds.iter().zip([5, 6]) {
        nsqd.queue(|queue| {
            queue.policy = json!({"topic": "t1", "channel": "c1", "generation": 3, "set": {"max_attempts": attempts},
                "effective": {"max_attempts": attempts, "ttl": "1h0m0s", "channel_full": "drop_oldest"}});
            queue.policy_of_topic = json!({"topic": "t1", "channel": "", "generation": 1, "set": {"ttl": "1h0m0s"},
                "effective": {"ttl": "1h0m0s", "durability": "memory"}});
        });
    }
    let rows = |page: &str| -> Vec<Value> {
        let json: Value = serde_json::from_str(page).unwrap();
        json["tables"]["Policy"].as_array().unwrap().clone()
    };
    let channel = rows(&cluster.body("/topics/t1/c1?tab=policy&format=json").await);
    let row = |key: &str, node: &str, set: &str, effective: &str, from: &str| json!({"key": key, "node": node, "set": set, "effective": effective, "from": from});
    let [a, b] = [0, 1].map(|at| cluster.nsqds[at].address.as_str());
    let mut differing = vec![
        row("max_attempts", a, "5", "5", "here"),
        row("max_attempts", b, "6", "6", "here"),
    ];
    for wanted in [
        row("channel_full", "all", "", "drop_oldest", "the nsqd"),
        row("ttl", "all", "", "1h0m0s", "the topic"),
    ] {
        assert!(channel.contains(&wanted), "{wanted} not in {channel:?}");
    }
    differing.retain(|wanted| !channel.contains(wanted));
    assert_eq!((differing.len(), channel.len()), (0, 4), "{channel:?}");
    let page = cluster.body("/topics/t1/c1?tab=policy").await;
    has(
        &page,
        &["The nodes differ in max_attempts.", r#"<tr class="warn">"#],
    );
    let topic = rows(&cluster.body("/topics/t1?tab=policy&format=json").await);
    for wanted in [
        row("ttl", "all", "1h0m0s", "1h0m0s", "here"),
        row("durability", "all", "", "memory", "the nsqd"),
    ] {
        assert!(topic.contains(&wanted), "{wanted} not in {topic:?}");
    }
    // a message that left between list and open is said to have left
    let list = cluster.body(PEEK).await;
    cluster.nsqds[0].queue(|queue| queue.messages.clear());
    let (head, page) = cluster.get(&link(&list, "00000000000000a0")).await;
    has(&head, &["HTTP/1.1 404 "]);
    has(&page, &["Message 00000000000000a0 left the queue"]);
    let held = format!("{PEEK}&state=in_flight&id=00000000000000e0&node={a}");
    let (head, page) = cluster.get(&held).await;
    has(&head, &["HTTP/1.1 404 "]);
    has(&page, &["Message 00000000000000e0 left the queue"]);
}
