//! Our `nsq_to_http` against Go NSQ and against our daemons, and Go's against ours: cases of the tools specification.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests with real programs"
)]

use std::time::Duration;

use nsq_e2e::our_tools::{Pair, both_fail_with, fails_with, run_of, start_of, with_all, with_both};
use nsq_e2e::process::Process;
use nsq_e2e::reference::Maker;
use nsq_e2e::sink::Sink;
use nsq_e2e::{eventually, free_address};

const BOUND: Duration = Duration::from_secs(30);

/// The tool on topic `in` of the pair, by its nsqd; what fails comes again at once.
fn forward(pair: &Pair, maker: Maker, more: &[&str]) -> Process {
    let from = pair.nsqd_flag();
    let mut args = vec![
        "-topic=in",
        &from,
        "-consumer-opt=default_requeue_delay,0s",
        "-consumer-opt=max_backoff_duration,0s",
    ];
    args.extend(more);
    start_of(maker, "nsq_to_http", &args)
}

/// Sends the bodies through, and waits until all are finished.
fn send(pair: &Pair, maker: Maker, bodies: &[&str], flags: &[&str]) -> Process {
    pair.publish("in", bodies);
    let mut tool = forward(pair, maker, flags);
    eventually(BOUND, "all went through", || pair.is_through("in", bodies.len()));
    tool.terminate(BOUND);
    tool
}

#[test]
fn nt_047_wrong_usage_is_named() {
    let name = "nsq_to_http";
    let (from, topic, post) = ("-nsqd-tcp-address=h:1", "-topic=t", "-post=http://h/");
    let required = "--topic and --channel are required";
    both_fail_with(name, &[from, post], required);
    both_fail_with(name, &[topic, "-channel=", from, post], required);
    let text = "--content-type only used with --post";
    both_fail_with(
        name,
        &[topic, from, "-content-type=a/b", "-get=http://h/%s"],
        text,
    );
    let text = "--content-type requires a value when used";
    both_fail_with(name, &[topic, from, "-content-type=", post], text);
    let text = "--nsqd-tcp-address or --lookupd-http-address required";
    both_fail_with(name, &[topic, post], text);
    both_fail_with(name, &[topic, from], "--get or --post required");
    let text = "use --get or --post not both";
    both_fail_with(name, &[topic, from, post, "-get=http://h/%s"], text);
    let text = "invalid GET address - must be a printf string";
    both_fail_with(name, &[topic, from, "-get=http://h/"], text);
    both_fail_with(name, &[topic, from, "-get=http://h/%s%s"], text);
    let text = "ERROR: --sample must be between 0.0 and 1.0";
    both_fail_with(name, &[topic, from, post, "-sample=1.5"], text);
    both_fail_with(name, &[topic, from, post, "-sample=-0.1"], text);
    fails_with(name, &[topic, from, post, "-n=0"], "no handlers");
    for maker in [Maker::Ours, Maker::Reference] {
        let ended = run_of(maker, name, &[topic, from, post, "-n=0"], "");
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        let ended = run_of(maker, name, &[topic, from, post, "-sample=x"], "");
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    }
    // What Go's finds out with each message.
    let text = "--header value format should be 'Name: value'";
    fails_with(name, &[topic, from, post, "-header=X"], text);
    let text = "\"h:1\" is no URL to send requests to: it begins with http:// or https://";
    fails_with(name, &[topic, from, "-post=h:1"], text);
}

#[test]
fn nt_037_a_post_carries_the_message() {
    with_all(|pair, maker| {
        let sink = Sink::start(200);
        let body = " a\tb\u{0}é<&> ";
        send(
            pair,
            maker,
            &[body],
            &[&format!("-post={}", sink.url("/x?y=%20"))],
        );
        let [seen] = sink.seen().try_into().unwrap();
        assert_eq!(seen.line, "POST /x?y=%20 HTTP/1.1");
        assert_eq!(seen.body, body.as_bytes());
        assert_eq!(seen.header("content-type"), Some("application/octet-stream"));
        assert_eq!(seen.header("user-agent"), Some("nsq_to_http v1.3.0"));
        assert_eq!(seen.header("accept-encoding"), Some("gzip"));
    });
}

#[test]
fn nt_038_a_get_carries_the_message_in_its_address() {
    with_all(|pair, maker| {
        let sink = Sink::start(200);
        send(
            pair,
            maker,
            &["m 1&é"],
            &[&format!("-get={}", sink.url("/a%%20b?c=%s"))],
        );
        let [seen] = sink.seen().try_into().unwrap();
        assert_eq!(seen.line, "GET /a%20b?c=m+1%26%C3%A9 HTTP/1.1");
        assert_eq!(seen.header("content-type"), None);
    });
}

#[test]
fn nt_039_headers_are_sent_and_win() {
    with_all(|pair, maker| {
        let sink = Sink::start(200);
        let post = format!("-post={}", sink.url("/"));
        let flags = [
            "-header=X-A: b:c",
            "-header=Content-Type: text/plain",
            "-header=User-Agent: me",
            &post,
        ];
        send(pair, maker, &["1"], &flags);
        let [seen] = sink.seen().try_into().unwrap();
        let values = ["x-a", "content-type", "user-agent"].map(|name| seen.header(name).unwrap());
        assert_eq!(values, ["b:c", "text/plain", "me"]);
    });
}

#[test]
fn nt_040_204_is_a_success_of_a_post_alone() {
    with_all(|pair, maker| {
        let sink = Sink::start(204);
        send(pair, maker, &["1"], &[&format!("-post={}", sink.url("/"))]);
        assert_eq!(sink.seen().len(), 1);
    });
    with_all(|pair, maker| {
        let sink = Sink::start(204);
        pair.publish("in", &["1"]);
        let mut tool = forward(pair, maker, &[&format!("-get={}", sink.url("/%s"))]);
        eventually(BOUND, "it is requeued", || {
            pair.channel("in")
                .is_some_and(|channel| channel["requeue_count"].as_u64() > Some(0))
        });
        eventually(BOUND, "it is said", || {
            tool.errors().contains("got status code 204")
        });
        sink.answer(200);
        eventually(BOUND, "it goes through", || pair.is_through("in", 1));
        tool.terminate(BOUND);
    });
}

#[test]
fn nt_041_a_message_that_fails_is_given_up_at_the_sixth_delivery() {
    with_all(|pair, maker| {
        let sink = Sink::start(500);
        let tool = send(pair, maker, &["1"], &[&format!("-post={}", sink.url("/"))]);
        assert_eq!(sink.seen().len(), 5);
        assert!(
            tool.errors().contains("attempted 6 times, giving up"),
            "{}",
            tool.errors()
        );
    });
}

#[test]
fn nt_042_round_robin_takes_turns() {
    with_all(|pair, maker| {
        let sinks = [Sink::start(200), Sink::start(200)];
        let posts = sinks.each_ref().map(|sink| format!("-post={}", sink.url("/")));
        send(
            pair,
            maker,
            &["1", "2", "3", "4"],
            &["-mode=round-robin", &posts[0], &posts[1]],
        );
        assert_eq!(sinks.map(|sink| sink.seen().len()), [2, 2]);
    });
}

#[test]
fn nt_043_a_host_that_is_down_is_passed_over() {
    with_all(|pair, maker| {
        let sink = Sink::start(200);
        let (down, up) = (
            format!("-post=http://{}/", free_address()),
            format!("-post={}", sink.url("/")),
        );
        let bodies: Vec<String> = (0..20).map(|i| i.to_string()).collect();
        let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
        // One at a time: the first failure is known before the next message.
        send(pair, maker, &bodies, &["-n=1", "-max-in-flight=1", &down, &up]);
        assert_eq!(sink.seen().len(), 20);
        assert_eq!(pair.channel("in").unwrap()["requeue_count"], 1);
    });
}

#[test]
fn nt_044_any_other_mode_sends_everywhere() {
    with_all(|pair, maker| {
        let sinks = [Sink::start(200), Sink::start(200)];
        let posts = sinks.each_ref().map(|sink| format!("-post={}", sink.url("/")));
        let tool = send(
            pair,
            maker,
            &["1", "2", "3"],
            &["-mode=every", &posts[0], &posts[1]],
        );
        assert_eq!(sinks.map(|sink| sink.seen().len()), [3, 3]);
        let text = "WARNING: --mode every is none of round-robin, hostpool, epsilon-greedy, all: using all";
        assert_eq!(tool.errors().contains(text), maker == Maker::Ours);
    });
}

#[test]
fn in_mode_all_the_first_that_fails_ends_a_round() {
    with_all(|pair, maker| {
        let sinks = [Sink::start(200), Sink::start(500), Sink::start(200)];
        let posts = sinks.each_ref().map(|sink| format!("-post={}", sink.url("/")));
        let flags = ["-mode=all", &posts[0], &posts[1], &posts[2]];
        send(pair, maker, &["1"], &flags);
        assert_eq!(sinks.map(|sink| sink.seen().len()), [5, 5, 0]);
    });
}

#[test]
fn nt_045_of_no_sample_nothing_is_sent() {
    with_all(|pair, maker| {
        let sink = Sink::start(200);
        let bodies = ["1", "2", "3", "4", "5", "6", "7", "8"];
        send(
            pair,
            maker,
            &bodies,
            &["-sample=0", &format!("-post={}", sink.url("/"))],
        );
        assert!(sink.seen().is_empty());
    });
}

#[test]
fn nt_046_a_line_tells_how_long_requests_take() {
    with_all(|pair, maker| {
        let sinks = [Sink::start(200), Sink::start(200)];
        let posts = sinks.each_ref().map(|sink| format!("-post={}", sink.url("/")));
        let bodies: Vec<String> = (0..12).map(|i| i.to_string()).collect();
        let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
        let flags = ["-status-every=5", "-mode=round-robin", &posts[0], &posts[1]];
        let tool = send(pair, maker, &bodies, &flags);
        let shape = |line: &str| -> String {
            let text = line.get(20..).unwrap_or_default();
            let mut shape: String = text
                .chars()
                .map(|c| if c.is_ascii_digit() { '0' } else { c })
                .collect();
            while shape.contains("00") {
                shape = shape.replace("00", "0");
            }
            shape
        };
        let lines: Vec<String> = tool.error_lines().iter().map(|line| shape(line)).collect();
        let text = "finished 0 - 0th: 0.0ms - 0th: 0.0ms - avg: 0.0ms";
        for name in ["aggregate", "http://0.0.0.0:0/"] {
            let count = lines
                .iter()
                .filter(|line| **line == format!("[{name}]: {text}"))
                .count();
            assert_eq!(count, 2, "{name}: {lines:?}");
        }
        let warning = "Warning: use more than 100 status values for accurate percentiles (configured with 5)";
        let warned = tool
            .error_lines()
            .iter()
            .filter(|line| line.ends_with(warning))
            .count();
        assert_eq!(warned, 3);
    });
}

#[test]
fn redirects_are_followed_as_browsers_do() {
    with_all(|pair, maker| {
        let target = Sink::start(200);
        let (found, again) = (
            Redirect::start(302, &target.url("/new")),
            Redirect::start(307, &target.url("/same")),
        );
        let posts = [found, again].map(|url| format!("-post={url}"));
        send(pair, maker, &["1"], &["-mode=all", &posts[0], &posts[1]]);
        let seen: Vec<(String, Vec<u8>)> = target.seen().into_iter().map(|s| (s.line, s.body)).collect();
        let wanted = [("GET /new HTTP/1.1", ""), ("POST /same HTTP/1.1", "1")];
        assert_eq!(
            seen,
            wanted.map(|(line, body)| (line.to_owned(), body.as_bytes().to_vec()))
        );
    });
}

/// A server that sends whoever asks elsewhere.
struct Redirect;

impl Redirect {
    fn start(status: u16, to: &str) -> String {
        use std::io::{BufRead, BufReader, Write};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let head = format!(
            "HTTP/1.1 {status} X\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut input = BufReader::new(&stream);
                let mut line = String::new();
                while input.read_line(&mut line).is_ok_and(|read| read > 2) {
                    line.clear();
                }
                // The body of one byte.
                let _ = std::io::Read::read_exact(&mut input, &mut [0]);
                let _ = (&stream).write_all(head.as_bytes());
            }
        });
        url
    }
}

/// All that left the source was answered with a success, and the rest is still at the source.
#[test]
fn nt_008_sigterm_while_sending_loses_nothing() {
    with_both(|pair| {
        let sink = Sink::start(200);
        let bodies: Vec<String> = (0..2000).map(|i| format!("message {i}")).collect();
        let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
        pair.publish("in", &bodies);
        let mut tool = forward(
            pair,
            Maker::Ours,
            &["-max-in-flight=20", &format!("-post={}", sink.url("/"))],
        );
        eventually(BOUND, "some are sent", || sink.seen().len() > 100);
        tool.terminate(BOUND);
        let mut sent: Vec<Vec<u8>> = sink.seen().into_iter().map(|seen| seen.body).collect();
        sent.sort();
        sent.dedup();
        eventually(BOUND, "the rest waits", || {
            let left = pair.channel("in").unwrap();
            let waiting = left["depth"].as_u64().unwrap() + left["deferred_count"].as_u64().unwrap();
            left["in_flight_count"] == 0 && sent.len() as u64 + waiting == 2000
        });
    });
}
