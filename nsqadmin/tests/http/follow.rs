//! Numbers of nsqds that tell what changed, asked or by themselves (console spec 4.1, 5.4).

use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use nsq_service::http::{Failure, Limits, Method, Reply, Request, Route, Router, StatusCode, serve};
use nsq_service::listen::Listener;
use nsq_service::tasks::Tasks;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use crate::support::{Cluster, bare};

/// An nsqd that tells what changed.
struct Telling {
    address: String,
    state: Arc<State>,
    _tasks: Tasks,
}

#[derive(Default)]
struct State {
    now: Mutex<Now>,
    extensions: Vec<&'static str>,
    port: Mutex<String>,
}

#[derive(Default)]
struct Now {
    /// Name, messages, and the revision that it changed in; none for one that is gone.
    topics: Vec<(String, Option<u64>, u64)>,
    revision: u64,
    /// Tokens of before are not known any more.
    forgot: u64,
    asked: Vec<String>,
    streams: Vec<mpsc::Sender<Bytes>>,
    refuses_streams: bool,
}

impl Now {
    fn since(&self, token: &str) -> Value {
        let known = token.strip_prefix('r').and_then(|text| text.parse::<u64>().ok());
        let known = known.filter(|revision| *revision >= self.forgot);
        let changed = self
            .topics
            .iter()
            .filter(|(.., revision)| *revision > known.unwrap_or(0));
        let (there, gone): (Vec<_>, Vec<_>) = changed.partition(|(_, messages, _)| messages.is_some());
        let topics = there
            .iter()
            .map(|(name, messages, _)| json!({"topic_name": name, "depth": messages, "channels": []}));
        let removed = gone
            .iter()
            .map(|(name, ..)| json!({"topic": name, "channel": ""}));
        json!({"version": "1.3.0", "health": "OK", "start_time": 7, "topics": topics.collect::<Vec<_>>(), "producers": null,
            "token": format!("r{}", self.revision), "full": known.is_none(), "removed": removed.collect::<Vec<_>>()})
    }
}

impl Telling {
    async fn start(extensions: &[&'static str]) -> Self {
        let listener = Listener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("127.0.0.1:{}", listener.port());
        let state = Arc::new(State {
            extensions: extensions.to_vec(),
            port: Mutex::new(listener.port().to_string()),
            ..State::default()
        });
        let router = Router::new(Arc::clone(&state)).route(Route::v1(Method::GET, "/*path", answer));
        let tasks = Tasks::new();
        let server = serve(listener, Arc::new(router), tasks.clone(), Limits::default());
        tasks.spawn(async move { server.await.unwrap() });
        Self {
            address,
            state,
            _tasks: tasks,
        }
    }

    fn now<T>(&self, look: impl FnOnce(&mut Now) -> T) -> T {
        look(&mut self.state.now.lock().unwrap())
    }

    /// So many messages of a topic; none for no topic.
    fn set(&self, name: &str, messages: Option<u64>) {
        self.now(|now| {
            now.revision += 1;
            now.topics.retain(|(own, ..)| own != name);
            now.topics.push((name.to_owned(), messages, now.revision));
        });
    }

    /// Sends an event to whoever listens.
    fn tell(&self, name: &str, data: &Value) {
        let event = Bytes::from(format!("event: {name}\ndata: {data}\n\n"));
        self.now(|now| {
            now.streams
                .retain(|stream| stream.try_send(event.clone()).is_ok());
        });
    }

    /// Paths that were asked for, with their queries.
    fn asked(&self, path: &str) -> Vec<String> {
        self.now(|now| {
            now.asked
                .iter()
                .filter(|asked| asked.starts_with(path))
                .cloned()
                .collect()
        })
    }

    async fn is_listened_to(&self) {
        for _ in 0..600 {
            if self.now(|now| !now.streams.is_empty()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("nobody listens: {:?}", self.asked("/"));
    }
}

async fn answer(state: Arc<State>, request: Request) -> Result<Reply, Failure> {
    let mut now = state.now.lock().unwrap();
    now.asked
        .push(format!("{}?{}", request.path(), request.raw_query()));
    let query = request.query()?;
    match request.path() {
        "/info" => Reply::json(
            &json!({"version": "1.3.0", "hostname": "h", "broadcast_address": "127.0.0.1", "start_time": 7,
            "http_port": state.port.lock().unwrap().parse::<u16>().unwrap(), "tcp_port": 4150, "extensions": state.extensions}),
        ),
        "/stats" => Reply::json(&now.since(query.get("since").unwrap_or_default())),
        "/events" if now.refuses_streams => {
            Err(Failure::new(StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_REQUESTS"))
        }
        "/events" => {
            let (tell, mut told) = mpsc::channel(16);
            let first = format!("event: snapshot\ndata: {}\n\n", now.since(""));
            tell.try_send(Bytes::from(first)).unwrap();
            now.streams.push(tell);
            let chunks = futures_util::stream::poll_fn(move |context| match told.poll_recv(context) {
                Poll::Ready(chunk) => Poll::Ready(chunk.map(Ok)),
                Poll::Pending => Poll::Pending,
            });
            Ok(Reply::stream("text/event-stream", chunks))
        }
        _ => Err(Failure::not_found("NOT_FOUND")),
    }
}

/// A console of this nsqd alone.
async fn console(nsqd: &Telling, interval: &str) -> Cluster {
    let interval = format!("--stats-poll-interval={interval}");
    let cluster = Cluster::start_of(&[nsqd.address.as_str()], &[&interval]).await;
    cluster.until("/topics", |page| page.contains(">orders<")).await;
    cluster
}

fn shows(page: &str, messages: &str) -> bool {
    bare(page).contains(&format!(">{messages}</td>"))
}

#[tokio::test]
async fn an_nsqd_that_can_is_asked_for_what_changed_alone() {
    let nsqd = Telling::start(&["stats-since"]).await;
    nsqd.set("orders", Some(1_001));
    nsqd.set("mail", Some(2_002));
    let cluster = console(&nsqd, "100ms").await;
    nsqd.set("orders", Some(1_003));
    cluster
        .until("/topics", |page| shows(page, "1,003") && shows(page, "2,002"))
        .await;
    nsqd.set("mail", None);
    cluster
        .until("/topics", |page| shows(page, "1,003") && !page.contains(">mail<"))
        .await;
    // a token that is not known any more
    nsqd.now(|now| now.forgot = u64::MAX);
    nsqd.set("later", Some(3_003));
    cluster
        .until("/topics", |page| shows(page, "3,003") && shows(page, "1,003"))
        .await;
    let asked = nsqd.asked("/stats");
    // the first question may come before it is known what it can
    assert!(
        asked.iter().skip(1).all(|asked| asked.contains("&since=")),
        "{asked:?}"
    );
    assert!(
        asked.iter().any(|asked| asked.ends_with("&since=r3")),
        "{asked:?}"
    );
    assert!(nsqd.asked("/events").is_empty());
}

#[tokio::test]
async fn ui_106_our_nsqd_tells_by_itself_and_however_many_look_it_is_one_stream() {
    let nsqd = Telling::start(&["stats-since", "events"]).await;
    nsqd.set("orders", Some(1_001));
    let cluster = console(&nsqd, "400ms").await;
    nsqd.is_listened_to().await;
    cluster.until("/topics", |page| shows(page, "1,001")).await;
    // questions of the rounds that come, without a page and with 50
    let rounds = async |count: u64| {
        let generation = async || {
            let json: Value = serde_json::from_str(&cluster.body("/?format=json").await).unwrap();
            json["generation"].as_u64().unwrap()
        };
        for _ in 0..count {
            let now = generation().await;
            cluster.pass(5);
            while generation().await == now {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    };
    let before = nsqd.asked("/").len();
    rounds(3).await;
    assert_eq!(nsqd.asked("/").len(), before, "{:?}", nsqd.asked("/"));
    let mut pages = Vec::new();
    for _ in 0..50 {
        pages.push(cluster.stream("%2Ftopics").await);
    }
    rounds(3).await;
    assert_eq!(nsqd.asked("/").len(), before, "{:?}", nsqd.asked("/"));
    drop(pages);
    assert_eq!(nsqd.asked("/events"), ["/events?interval=400ms"]);
    // what it tells is shown
    nsqd.set("orders", Some(1_004));
    let update = nsqd.now(|now| now.since("r1"));
    nsqd.tell("update", &update);
    cluster.until("/topics", |page| shows(page, "1,004")).await;
    assert_eq!(nsqd.asked("/").len(), before);
    // the stream is lost, and refused from then on: the same numbers by polls
    nsqd.now(|now| {
        now.refuses_streams = true;
        now.streams.clear();
    });
    nsqd.set("orders", Some(1_009));
    let page = cluster.until("/topics", |page| shows(page, "1,009")).await;
    assert!(!page.contains("not answering"), "{page}");
    rounds(3).await;
    let polled = nsqd.asked("/stats");
    assert!(polled.last().unwrap().contains("&since=r"), "{polled:?}");
    // it comes back, with everything
    nsqd.now(|now| now.refuses_streams = false);
    nsqd.set("orders", Some(1_011));
    nsqd.is_listened_to().await;
    cluster.until("/topics", |page| shows(page, "1,011")).await;
    rounds(3).await;
    // through all of that the line of the chart is one
    let page = cluster.body("/topics/orders?t=15m").await;
    let line = page.split("data-label=\"topic and channels\"").next().unwrap();
    let path = line.rsplit(" d=\"").next().unwrap().split('"').next().unwrap();
    assert_eq!(
        (path.matches('M').count(), path.contains('L')),
        (1, true),
        "{path}"
    );
}

/// Console spec 5.4, case UI-106: within a second, however seldom the cluster is looked at.
#[tokio::test]
async fn a_notice_is_shown_within_a_second() {
    let nsqd = Telling::start(&["stats-since", "events"]).await;
    nsqd.set("orders", Some(1_001));
    let cluster = console(&nsqd, "60s").await;
    nsqd.is_listened_to().await;
    let notice =
        json!({"at": 0, "kind": "dead_letter", "topic": "orders", "channel": "c", "text": "given up"});
    // the first comes when nothing was asked for long; more of them are looked at together
    nsqd.set("orders", Some(1_002));
    for _ in 0..10 {
        nsqd.tell("notice", &notice);
    }
    let began = Instant::now();
    timeout(
        Duration::from_secs(5),
        cluster.until("/topics", |page| shows(page, "1,002")),
    )
    .await
    .unwrap();
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    let asked = nsqd.asked("/stats").len();
    assert!(asked <= 4, "10 notices, {asked} questions");
}

/// An event that is no JSON ends the stream, not the console.
#[tokio::test]
async fn a_stream_that_is_not_understood_is_given_up() {
    let nsqd = Telling::start(&["stats-since", "events"]).await;
    nsqd.set("orders", Some(1_001));
    let cluster = console(&nsqd, "300ms").await;
    nsqd.is_listened_to().await;
    let text = Value::String("what".to_owned());
    nsqd.tell("update", &text);
    nsqd.set("orders", Some(1_005));
    cluster.until("/topics", |page| shows(page, "1,005")).await;
}
