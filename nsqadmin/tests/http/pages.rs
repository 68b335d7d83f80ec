//! Pages of topics, channels and nodes, and what can be done on them.

use crate::support::{COOKIE, Cluster, TOKEN, has, nothing_was_posted, post, result_of};

#[tokio::test]
async fn every_page_stays_below_the_base_path_and_has_nothing_inline() {
    let cluster = Cluster::start_with("/adm/in", true).await;
    let node = format!("/nodes/{}", cluster.nsqds[0].address);
    for path in [
        "/topics",
        "/topics/t1",
        "/topics/t1?confirm=delete",
        "/topics/t1/c1",
        "/topics/t1/c1?confirm=pause",
        "/nodes",
        &node,
        "/lookup",
        "/counter",
    ] {
        let (head, page) = cluster.get(path).await;
        has(
            &head,
            &[
                "HTTP/1.1 200 ",
                "\r\nContent-Type: text/html; charset=utf-8",
                "\r\nContent-Security-Policy: default-src 'none'; ",
                "\r\nCache-Control: no-store",
            ],
        );
        let links = page.split("href=\"").skip(1);
        let targets = page.split("action=\"").skip(1);
        for link in links.chain(targets) {
            assert!(
                link.starts_with("/adm/in") || link.starts_with('#'),
                "{path}: {link}"
            );
        }
        for inline in ["<script>", "<style", "style=", " onclick", "javascript:"] {
            assert!(!page.contains(inline), "{inline} in {path}");
        }
    }
    nothing_was_posted(&cluster);
}

/// Console spec 11.
#[tokio::test]
async fn ui_030_a_topic_and_its_nodes() {
    let cluster = Cluster::start().await;
    for (nsqd, (depth, disk)) in cluster.nsqds.iter().zip([(8, 3), (1, 0)]) {
        let topic = format!(
            r#"{{"topics":[{{"topic_name":"t1","depth":{depth},"backend_depth":{disk},"message_count":{depth},"channels":[
            {{"channel_name":"c1","depth":2}}]}}]}}"#
        );
        nsqd.answers("/stats", topic);
    }
    let page = cluster.body("/topics/t1").await;
    has(
        &page,
        &[
            "<dt>Topic depth</dt><dd>9</dd>",
            "<dt>In memory</dt><dd>6</dd>",
            "<dt>On disk</dt><dd>3</dd>",
            ">5 + 3</td>",
            ">1 + 0</td>",
            r#"<tfoot><tr><th scope="row" class="name">Total</th>"#,
            ">6 + 3</td>",
            r#"href="/topics/t1/c1">c1</a>"#,
        ],
    );
    for nsqd in &cluster.nsqds {
        has(&page, &[&format!(">{}</a>", nsqd.address)]);
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found_and_what_no_nsqd_has_is_said() {
    let cluster = Cluster::start().await;
    for path in [
        "/topics/nope",
        "/topics/nope/c",
        "/topics/t1/nope",
        "/nodes/nope:1",
    ] {
        let (head, page) = cluster.get(path).await;
        has(&head, &["HTTP/1.1 404 "]);
        has(&page, &["Not found", "<nav"]);
    }
    let hostile = "/topics/%3Cscript%3Ex/%22%3E%3Cscript%3E";
    for path in [hostile.to_owned(), format!("{hostile}?confirm=delete")] {
        let (_, page) = cluster.get(&path).await;
        assert!(
            page.contains("&#60;script&#62;") && page.matches("<script").count() == 1,
            "{page}"
        );
    }
    has(
        &cluster.body("/topics/dead").await,
        &["No nsqd has this topic", "Delete topic"],
    );
    for nsqd in &cluster.nsqds {
        nsqd.stop().await;
    }
    cluster.pass(2);
    let (head, page) = cluster.get("/topics/t1").await;
    has(&head, &["HTTP/1.1 200 "]);
    has(&page, &["2 of 2 nodes not answering", "unknown"]);
}

#[tokio::test]
async fn ui_031_paused_on_some_nodes_is_said_in_words() {
    let cluster = Cluster::start().await;
    let paused = r#"{"topics":[{"topic_name":"t1","paused":true,"channels":[]}]}"#;
    cluster.nsqds[0].answers("/stats", paused);
    let page = cluster.body("/topics/t1").await;
    has(
        &page,
        &["paused on 1 of 2 nodes", "?confirm=pause", "?confirm=unpause"],
    );
    assert_eq!(page.matches("</span> paused</span>").count(), 1, "{page}");
}

#[tokio::test]
async fn a_silent_node_makes_totals_partial() {
    let cluster = Cluster::start().await;
    cluster.nsqds[1].stop().await;
    for path in ["/topics/t1", "/topics/t1/c1"] {
        let page = cluster.body(path).await;
        has(&page, &["1/2 nodes", "1 of 2 nodes not answering"]);
    }
    let page = cluster.body("/nodes").await;
    has(
        &page,
        &[
            "connection refused",
            "class=\"number unknown\"",
            "<tr class=\"stale\">",
        ],
    );
}

#[tokio::test]
async fn a_channel_shows_its_clients() {
    let cluster = Cluster::start().await;
    let client = r#"{"client_id":"id7","hostname":"w1.example","remote_address":"10.0.0.1:5","user_agent":"<b>go",
        "ready_count":3,"finish_count":1234,"deflate":true,"sample_rate":10,"connect_ts":-7800}"#;
    let channel = format!(
        r#"{{"channel_name":"c1","depth":8,"backend_depth":3,"client_count":1,"clients":[{client}]}}"#
    );
    let stats = format!(r#"{{"topics":[{{"topic_name":"t1","channels":[{channel}]}}]}}"#);
    cluster.nsqds[0].answers("/stats?topic=t1", stats.clone());
    cluster.nsqds[0].answers("/stats", stats);
    let page = cluster.body("/topics/t1/c1").await;
    has(
        &page,
        &[
            "w1.example (id7)",
            "10.0.0.1:5",
            "&#60;b&#62;go",
            ">1,234</td>",
            "sampled 10 % · deflate",
            ">2 h 10 min</td>",
            "<dt>Depth</dt><dd>9 <small>",
            "?confirm=empty",
        ],
    );
    let without = cluster.body("/topics/dead").await;
    assert!(!without.contains("w1.example"));
}

#[tokio::test]
async fn nodes_lead_to_their_topics() {
    let cluster = Cluster::start().await;
    cluster.lookupds[1].answers("/nodes", r#"{"producers":[]}"#);
    let address = &cluster.nsqds[0].address;
    let url = format!("/nodes/{}", address.replace(':', "%3A"));
    has(
        &cluster.body("/nodes").await,
        &[
            &format!(r#"href="{url}">{address}</a>"#),
            r#"<span class="chip warn"><span aria-hidden="true">!</span> 1/2</span>"#,
        ],
    );
    has(
        &cluster.body(&url).await,
        &[
            r#"href="/topics/t1">t1</a>"#,
            r#"href="/topics/t1/c1">t1/c1</a>"#,
            &format!(
                "/topics/t1?confirm=tombstone&#38;node={}",
                address.replace(':', "%3A")
            ),
        ],
    );
}

#[tokio::test]
async fn the_counter_is_the_sum_over_channels() {
    let cluster = Cluster::start().await;
    for (nsqd, count) in cluster.nsqds.iter().zip([1_000, 234]) {
        let channels = format!(
            r#"[{{"channel_name":"a","message_count":{count}}},{{"channel_name":"b","message_count":0}}]"#
        );
        let stats = format!(r#"{{"health":"OK","topics":[{{"topic_name":"t1","channels":{channels}}}]}}"#);
        nsqd.answers("/stats", stats);
    }
    has(&cluster.body("/counter").await, &["<dd>1,234</dd>"]);
}

#[tokio::test]
async fn na_066_lookup_lists_inactive_topics_and_creates() {
    let cluster = Cluster::start().await;
    let (head, page) = cluster.get("/lookup").await;
    has(
        &head,
        &[
            "\r\nSet-Cookie: nsqadmin_csrf=",
            "; Path=/; HttpOnly; SameSite=Strict",
        ],
    );
    has(&page, &[r#"href="/topics/dead">dead</a>"#, "<td>dc</td>"]);
    assert!(!page.contains(">t1<"), "{page}");
    let (head, page) = post(&cluster, "/lookup", "topic=a+b&channel=x").await;
    has(&head, &["HTTP/1.1 422 "]);
    has(
        &page,
        &["That is no name for a topic", r#"value="a b""#, r#"value="x""#],
    );
    nothing_was_posted(&cluster);
    let (head, _) = post(&cluster, "/lookup", "topic=n1&channel=").await;
    let page = result_of(&cluster, &head).await;
    has(
        &page,
        &[
            "Done: all 2 upstreams did it.",
            r#"href="/topics/n1">On to topic n1</a>"#,
        ],
    );
    for lookupd in &cluster.lookupds {
        assert_eq!(lookupd.posted(), ["/topic/create?topic=n1"]);
        // what an nsqlookupd says from then on
        lookupd.answers("/topics", r#"{"topics":["t1","dead","n1"]}"#);
        lookupd.answers("/lookup?topic=n1", r#"{"channels":[],"producers":[]}"#);
    }
    cluster.pass(2);
    let page = cluster.body("/lookup").await;
    has(&page, &[r#"href="/topics/dead""#, r#"href="/topics/n1""#]);
    assert!(!page.contains(">t1<"), "{page}");
}

#[tokio::test]
async fn actions_reach_every_node_and_lead_on() {
    let cluster = Cluster::start().await;
    for (path, form, expected, after) in [
        ("/topics/t1", "do=pause", "/topic/pause?topic=t1", "/topics/t1"),
        (
            "/topics/t1",
            "do=unpause",
            "/topic/unpause?topic=t1",
            "/topics/t1",
        ),
        (
            "/topics/t1",
            "do=empty&name=t1",
            "/topic/empty?topic=t1",
            "/topics/t1",
        ),
        ("/topics/t1", "do=delete&name=t1", "/topic/delete?topic=t1", "/"),
        (
            "/topics/t1/c1",
            "do=pause",
            "/channel/pause?topic=t1&channel=c1",
            "/topics/t1/c1",
        ),
        (
            "/topics/t1/c1",
            "do=delete&name=t1%2Fc1",
            "/channel/delete?topic=t1&channel=c1",
            "/topics/t1",
        ),
    ] {
        let (head, _) = post(&cluster, path, form).await;
        let page = result_of(&cluster, &head).await;
        has(&page, &["upstreams did it.", &format!("href=\"{after}\">On to ")]);
        for nsqd in &cluster.nsqds {
            assert_eq!(nsqd.posted(), [expected]);
        }
    }
}

#[tokio::test]
async fn a_tombstone_takes_the_topic_from_one_node() {
    let cluster = Cluster::start().await;
    let form = format!("do=tombstone&name=t1&node={}", cluster.nsqds[0].address);
    let (head, _) = post(&cluster, "/topics/t1", &form).await;
    has(
        &result_of(&cluster, &head).await,
        &[r#"href="/nodes">On to the nodes</a>"#],
    );
    assert_eq!(cluster.nsqds[0].posted(), ["/topic/delete?topic=t1"]);
    assert!(cluster.nsqds[1].posted().is_empty());
}

/// What is lost is typed first: exactly.
#[tokio::test]
async fn a_wrong_name_does_nothing_and_is_kept() {
    let cluster = Cluster::start().await;
    for name in ["", "T1%2Fc1", "t1%2Fc1+", "c1"] {
        for verb in ["delete", "empty"] {
            let (head, page) = post(&cluster, "/topics/t1/c1", &format!("do={verb}&name={name}")).await;
            has(&head, &["HTTP/1.1 422 "]);
            let kept = format!(r#"value="{}""#, name.replace("%2F", "/").replace('+', " "));
            has(&page, &["nothing was done", &kept]);
        }
    }
    nothing_was_posted(&cluster);
}

#[tokio::test]
async fn ui_124_a_form_of_another_site_does_nothing() {
    let cluster = Cluster::start().await;
    let right = format!("{TOKEN}&do=pause");
    let other = "csrf=ffffffffffffffffffffffffffffffff&do=pause";
    for (headers, form) in [
        (vec![COOKIE], "do=pause"),
        (vec![COOKIE], other),
        (vec![], right.as_str()),
        (vec![], "csrf=&do=pause"),
        (vec![COOKIE, "Sec-Fetch-Site: cross-site"], &right),
        (vec![COOKIE, "Sec-Fetch-Site: same-site"], &right),
        (vec![COOKIE, "Origin: http://other"], &right),
        (vec![COOKIE, "Origin: null"], &right),
        (vec![COOKIE, "Origin: http://user@x"], &right),
    ] {
        for path in ["/topics/t1", "/topics/t1/c1", "/lookup"] {
            let form = format!("{form}&topic=n1");
            let (head, _) = cluster.send("POST", path, &headers, &form).await;
            assert!(
                head.starts_with("HTTP/1.1 403 "),
                "{path} {headers:?} {form}: {head}"
            );
        }
    }
    nothing_was_posted(&cluster);
    // what was typed is kept
    let form = format!("{other}&do=delete&name=typed-by-hand").replace("&do=pause", "");
    let (head, page) = cluster.send("POST", "/topics/t1", &[COOKIE], &form).await;
    has(&head, &["HTTP/1.1 403 "]);
    has(
        &page,
        &[r#"value="typed-by-hand""#, "opened elsewhere or has expired"],
    );
    // and another replica takes the form that this one showed
    for replica in [cluster, Cluster::start().await] {
        let (head, _) = post(&replica, "/topics/t1", "do=pause").await;
        has(&head, &["HTTP/1.1 303 "]);
        assert_eq!(replica.nsqds[0].posted(), ["/topic/pause?topic=t1"]);
    }
}

/// nsqadmin spec 14 and console spec 11: the role on the page stands for the reference's `IS_ADMIN`.
#[tokio::test]
async fn na_046_ui_008_who_may_not_act_sees_no_action() {
    let cluster = Cluster::start_flags("", true, &["--admin-user=ann"]).await;
    let node = format!("/nodes/{}", cluster.nsqds[0].address);
    for path in ["/", "/nodes", "/counter", "/topics/nope", "/topics/t1"] {
        has(&cluster.get(path).await.1, &[r#" data-role="viewer" "#]);
        let (_, page) = cluster.send("GET", path, &["X-Forwarded-User: ann"], "").await;
        has(&page, &[r#" data-role="admin" "#]);
        let open = Cluster::start().await;
        has(&open.get(path).await.1, &[r#" data-role="admin" "#]);
    }
    for path in ["/topics/t1", "/topics/t1/c1", &node, "/lookup"] {
        let page = cluster.body(path).await;
        assert!(
            !page.contains("confirm=") && !page.contains("method=\"post\""),
            "{path}: {page}"
        );
        let (_, page) = cluster.send("GET", path, &["X-Forwarded-User: ann"], "").await;
        assert!(
            page.contains("confirm=") || page.contains("method=\"post\""),
            "{path}: {page}"
        );
    }
    for path in ["/topics/t1", "/topics/t1/c1", "/lookup"] {
        let (head, _) = post(&cluster, path, "do=pause&topic=n1").await;
        has(&head, &["HTTP/1.1 403 "]);
    }
    nothing_was_posted(&cluster);
}

#[tokio::test]
async fn what_fails_in_part_is_told() {
    let cluster = Cluster::start().await;
    cluster.nsqds[1].answers("/channel/pause?topic=t1", "CHANNEL_NOT_FOUND");
    let (head, _) = post(&cluster, "/topics/t1/c1", "do=pause").await;
    let page = result_of(&cluster, &head).await;
    has(
        &page,
        &[
            "Done in part only",
            "CHANNEL_NOT_FOUND",
            r#"href="/topics/t1/c1""#,
        ],
    );
}

/// Console spec 11.
#[tokio::test]
async fn ui_060_no_get_changes_anything() {
    let cluster = Cluster::start().await;
    let node = &cluster.nsqds[0].address;
    let mut paths: Vec<String> = [
        "/",
        "/topics",
        "/nodes",
        "/lookup",
        "/counter",
        "/api/topics",
        "/api/nodes",
        "/api/counter",
        "/api/topics/t1",
        "/api/topics/t1/c1",
    ]
    .map(str::to_owned)
    .to_vec();
    paths.push(format!("/nodes/{node}"));
    for place in ["/topics/t1", "/topics/t1/c1", "/topics/dead"] {
        paths.push(place.to_owned());
        for verb in ["pause", "unpause", "empty", "delete"] {
            paths.push(format!("{place}?confirm={verb}"));
            paths.push(format!("{place}?confirm={verb}&do={verb}&{TOKEN}&name=t1"));
        }
    }
    paths.push(format!("/topics/t1?confirm=tombstone&node={node}"));
    for path in paths {
        let (head, _) = cluster.send("GET", &path, &[COOKIE], "").await;
        assert!(
            head.starts_with("HTTP/1.1 200 ") || path.starts_with("/topics/dead"),
            "{path}: {head}"
        );
    }
    nothing_was_posted(&cluster);
}

/// Console spec 11: what each role may do on pages and in the JSON API; nothing is sent for a refusal.
#[tokio::test]
async fn ui_120_actions_by_role() {
    let flags = [
        "--admin-user=ann",
        "--operator-user=olga",
        "--acl-groups-http-header=X-Groups",
        "--admin-group=root",
    ];
    let cluster = Cluster::start_flags("", true, &flags).await;
    let node = format!("/api/nodes/{}", cluster.nsqds[0].address);
    let gentle = |name: &str| {
        [
            ("POST", "/topics/t1".to_owned(), format!("{TOKEN}&do=pause")),
            ("POST", "/topics/t1/c1".to_owned(), format!("{TOKEN}&do=unpause")),
            ("POST", "/lookup".to_owned(), format!("{TOKEN}&topic={name}")),
            (
                "POST",
                "/api/topics".to_owned(),
                format!(r#"{{"topic":"{name}"}}"#),
            ),
            (
                "POST",
                "/api/topics/t1".to_owned(),
                r#"{"action":"pause"}"#.to_owned(),
            ),
            (
                "POST",
                "/api/topics/t1/c1".to_owned(),
                r#"{"action":"unpause"}"#.to_owned(),
            ),
        ]
    };
    let harsh = [
        (
            "POST",
            "/topics/t1".to_owned(),
            format!("{TOKEN}&do=delete&name=t1"),
        ),
        (
            "POST",
            "/topics/t1/c1".to_owned(),
            format!("{TOKEN}&do=empty&name=t1%2Fc1"),
        ),
        (
            "POST",
            "/api/topics/t1".to_owned(),
            r#"{"action":"empty"}"#.to_owned(),
        ),
        (
            "POST",
            "/api/topics/t1/c1".to_owned(),
            r#"{"action":"empty"}"#.to_owned(),
        ),
        ("DELETE", "/api/topics/t1/c1".to_owned(), String::new()),
        ("DELETE", "/api/topics/t1".to_owned(), String::new()),
        ("DELETE", node, r#"{"topic":"t1"}"#.to_owned()),
        ("PUT", "/config/log_level".to_owned(), "info".to_owned()),
    ];
    let is_refused = async |who: &str, (method, path, body): &(&str, String, String)| {
        let (head, _) = cluster.send(method, path, &[COOKIE, who], body).await;
        head.starts_with("HTTP/1.1 403 ")
    };
    for who in ["X-Forwarded-User: vera", "X-Nothing: x"] {
        for action in gentle("n1").iter().chain(&harsh) {
            assert!(is_refused(who, action).await, "{who} {action:?}");
        }
    }
    nothing_was_posted(&cluster);
    for action in &gentle("n2") {
        assert!(!is_refused("X-Forwarded-User: olga", action).await, "{action:?}");
    }
    for nsqd in cluster.nsqds.iter().chain(&cluster.lookupds) {
        nsqd.posted();
    }
    for action in &harsh {
        assert!(is_refused("X-Forwarded-User: olga", action).await, "{action:?}");
    }
    nothing_was_posted(&cluster);
    for who in ["X-Forwarded-User: ann", "X-Groups: staff, root"] {
        for action in gentle("n3").iter().chain(&harsh) {
            assert!(!is_refused(who, action).await, "{who} {action:?}");
        }
    }
    let (_, page) = cluster
        .send("GET", "/topics/t1/c1", &["X-Forwarded-User: olga"], "")
        .await;
    assert!(
        page.contains("?confirm=pause") && !page.contains("?confirm=delete"),
        "{page}"
    );
}

/// Console spec 11.
#[tokio::test]
async fn ui_070_read_only_offers_and_takes_no_action() {
    let cluster = Cluster::start_flags("", true, &["--read-only"]).await;
    for path in ["/topics/t1", "/topics/t1/c1", "/lookup", "/"] {
        let page = cluster.body(path).await;
        assert!(
            !page.contains("confirm=") && !page.contains("method=\"post\""),
            "{path}: {page}"
        );
    }
    for (path, body) in [
        ("/topics/t1", format!("{TOKEN}&do=pause")),
        ("/api/topics/t1", r#"{"action":"pause"}"#.to_owned()),
    ] {
        let (head, _) = cluster.send("POST", path, &[COOKIE], &body).await;
        assert!(head.starts_with("HTTP/1.1 403 "), "{path}: {head}");
    }
    let (head, _) = cluster.get("/topics/t1?confirm=pause").await;
    assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
    nothing_was_posted(&cluster);
}

/// Console spec 11: who only looks sees no addresses and identities of clients, in whatever form.
#[tokio::test]
async fn ui_127_viewers_see_no_addresses_and_identities_of_clients() {
    let cluster = Cluster::start_flags("", true, &["--admin-user=ann", "--stats-poll-interval=200ms"]).await;
    let client = r#"{"client_id":"id7","hostname":"w1.example","remote_address":"10.9.8.7:5","authed":true,
        "auth_identity":"secret-id","ready_count":3}"#;
    let channel = format!(r#"{{"channel_name":"c1","depth":8,"client_count":1,"clients":[{client}]}}"#);
    let stats = format!(r#"{{"topics":[{{"topic_name":"t1","channels":[{channel}]}}]}}"#);
    cluster.nsqds[0].answers("/stats?topic=t1", stats.clone());
    cluster.nsqds[0].answers("/stats", stats);
    let path = "/topics/t1/c1?tab=clients";
    cluster.until(path, |page| page.contains("w1.example")).await;
    let stream = "/stream?once=1&view=%2Ftopics%2Ft1%2Fc1%3Ftab%3Dclients";
    for path in [
        path,
        "/topics/t1/c1?tab=clients&format=csv",
        "/topics/t1/c1?tab=clients&format=json",
        stream,
    ] {
        let text = cluster.body(path).await;
        assert!(
            !text.contains("10.9.8.7") && !text.contains("secret-id"),
            "{path}: {text}"
        );
    }
    let (_, page) = cluster.send("GET", path, &["X-Forwarded-User: ann"], "").await;
    assert!(
        page.contains("10.9.8.7:5") && page.contains("secret-id"),
        "{page}"
    );
}

/// Console spec 11.
#[tokio::test]
async fn ui_037_a_node_that_one_of_two_nsqlookupds_lists_stands_out() {
    let cluster = Cluster::start().await;
    let whole = cluster.body("/nodes").await + &cluster.body("/cluster").await;
    assert!(!whole.contains("chip warn") && whole.contains(">2/2<"), "{whole}");
    let one = format!(r#"{{"producers":[{}]}}"#, cluster.nsqds[0].node("d1", "[]"));
    cluster.lookupds[1].answers("/nodes", one);
    cluster.pass(2);
    has(
        &cluster.body("/nodes").await,
        &[r#"<span class="chip warn"><span aria-hidden="true">!</span> 1/2</span>"#],
    );
    let matrix = cluster.body("/cluster").await;
    assert_eq!(
        matrix.matches("</span> not registered</span>").count(),
        1,
        "{matrix}"
    );
    assert_eq!(matrix.matches("</span> registered</span>").count(), 3, "{matrix}");
}

/// Console spec 11: each upstream with what is wrong, and raw text only for who opens it.
#[tokio::test]
async fn ui_051_a_cluster_out_of_reach_names_every_upstream() {
    let cluster = Cluster::start().await;
    for lookupd in &cluster.lookupds {
        lookupd.stop().await;
    }
    let (head, page) = cluster.get("/").await;
    has(&head, &["HTTP/1.1 502 "]);
    let mut shown = String::new();
    for (at, part) in page.split("<details>").enumerate() {
        shown += if at == 0 {
            part
        } else {
            part.split_once("</details>").unwrap().1
        };
    }
    for lookupd in &cluster.lookupds {
        let line = format!("{}: connection refused", lookupd.address);
        assert!(shown.contains(&line), "{line} not in {shown}");
    }
    assert!(!shown.contains("GET http") && page.contains("GET http"), "{page}");
}
