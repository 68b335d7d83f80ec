//! Cases 4, 5 and 120 of the nsqd specification, each of which waits a minute; so they share it.
//!
//! Tests start in the order of their names, so this one is the first and the others run beside it.

use std::thread;
use std::time::Duration;

use nsq_testkit::{Next, Stopwatch, nsqd};

#[test]
fn nd_004_nd_005_nd_120_a_minute_without_a_word() {
    let daemon = nsqd!();
    let mut mute = daemon.connect_raw();
    let mut greeted = daemon.connect();
    let since = Stopwatch::start();
    let mut without = daemon.connect();
    without.identify(r#"{"heartbeat_interval":-1}"#);
    without.expect_ok();
    thread::scope(|scope| {
        scope.spawn(|| mute.expect_silence(Duration::from_secs(62)));
        scope.spawn(|| {
            without.expect_silence(Duration::from_secs(62));
            without.publish("t", b"x");
        });
        greeted.expect_silence(Duration::from_millis(29_900).saturating_sub(since.elapsed()));
        greeted.expect_heartbeat();
        since.expect_ms(29_900, 35_000);
        // The second heartbeat and the end are due at the same moment.
        match greeted.next(Duration::from_secs(35)) {
            Next::Frame(frame) if frame.is_heartbeat() => greeted.expect_eof(),
            other => assert_eq!(other, Next::Closed),
        }
        since.expect_ms(59_900, 68_000);
    });
}
