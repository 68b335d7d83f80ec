//! Hostile clients through each layer: they lose their own connection at most.

use std::time::Duration;

use flate2::{Compress, FlushCompress};
use nsq_testkit::{BOUND, Compression, Conn, Daemon, Next, Stopwatch, eventually, ours_only};
use serde_json::json;

use crate::{Files, Layers, identified, random};

/// Longest time that somebody else's publish may take meanwhile. Generous: the machine may be busy with other tests.
const OTHERS_WAIT: Duration = Duration::from_secs(2);

/// How much memory hostile clients may cost beyond what a connection costs anyway. Their bytes are a hundred times that.
const MEMORY_KIB: u64 = 24 << 10;

/// A compressed stream without its beginning that says `plain` and may be repeated any number of times: it refers to nothing
/// before it.
fn packed(compression: Compression, plain: &[u8]) -> Vec<u8> {
    match compression {
        Compression::Snappy => {
            let mut stream = snap::write::FrameEncoder::new(Vec::new());
            std::io::Write::write_all(&mut stream, plain).unwrap();
            stream.into_inner().unwrap()
        }
        Compression::Deflate => {
            let mut packed = Vec::with_capacity(plain.len() + 1024);
            Compress::new(flate2::Compression::best(), false)
                .compress_vec(plain, &mut packed, FlushCompress::Sync)
                .unwrap();
            packed
        }
    }
}

fn compressed() -> impl Iterator<Item = (Layers, Compression)> {
    let with = |layers: Layers| Some((layers, layers.compression?));
    Layers::ALL.into_iter().filter_map(with)
}

/// Publishes on a connection of its own until `done`; no publish may take long.
fn others_go_on(daemon: &Daemon, mut done: impl FnMut() -> bool) {
    let mut other = daemon.connect();
    loop {
        let watch = Stopwatch::start();
        other.publish("others", b"m");
        assert!(watch.elapsed() < OTHERS_WAIT, "others wait {:?}", watch.elapsed());
        if done() {
            return;
        }
    }
}

#[test]
fn a_bomb_of_commands_is_unpacked_in_pieces_while_others_go_on() {
    let files = Files::new();
    let daemon = files.launch().start();
    daemon.connect().publish("others", b"m");
    for (layers, compression) in compressed() {
        let bomb = packed(compression, "NOP\n".repeat(256 << 10).as_bytes());
        assert!(bomb.len() < 64 << 10, "{layers:?}: {} bytes", bomb.len());
        let mut conn = layers.connect(&daemon, &json!({}));
        let before = daemon.resident_kib();
        let mut after = 0;
        std::thread::scope(|scope| {
            let sender = scope.spawn(move || {
                (0..4).for_each(|_| conn.send_packed(&bomb));
                conn.send_packed(&packed(compression, b"PUB t\n\0\0\0\x01m"));
                conn.expect_ok();
            });
            others_go_on(&daemon, || {
                after = after.max(daemon.resident_kib());
                sender.is_finished()
            });
        });
        assert!(
            after < before + MEMORY_KIB,
            "{layers:?}: {before} KiB, then {after}"
        );
    }
}

#[test]
fn a_line_without_end_is_cut_however_small_it_was_packed() {
    let files = Files::new();
    let daemon = files.launch().start();
    for (layers, compression) in compressed() {
        let mut conn = layers.connect(&daemon, &json!({}));
        let before = daemon.resident_kib();
        let bomb = packed(compression, &vec![b'A'; 1 << 20]);
        // It is closed somewhere on the way.
        let _ = (0..256).all(|_| conn.try_send_packed(&bomb));
        assert!(conn.drain(), "{layers:?}");
        let after = daemon.resident_kib();
        assert!(
            after < before + MEMORY_KIB,
            "{layers:?}: {before} KiB, then {after}"
        );
    }
    daemon.get("/ping").expect(200, "OK");
}

/// Case 147 with much garbage: at each level, behind a good beginning or not.
#[test]
fn nd_147_garbage_through_each_layer_ends_its_own_connection_alone() {
    let files = Files::new();
    let daemon = files.launch().start();
    let mut witness = daemon.connect();
    witness.publish("t", b"m");
    let before = daemon.open_files();
    for layers in Layers::ALL {
        for round in 0..40 {
            let mut conn = layers.connect(&daemon, &json!({}));
            let noise = &random(4000)[round * 7..][..round * 90 + 1];
            match round % 3 {
                0 => drop(conn.try_send(noise)),
                1 => drop(conn.try_send_packed(noise)),
                _ => conn.try_send_raw(noise),
            }
            conn.try_half_close();
            assert!(conn.drain(), "{layers:?}, round {round}");
        }
    }
    witness.publish("t", b"m");
    eventually(BOUND, || daemon.open_files() <= before + 4);
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
}

#[test]
fn nd_152_handshakes_that_stand_still_hold_up_nobody() {
    const STALLED: usize = 500;
    let files = Files::new();
    let daemon = files.launch().start();
    daemon.connect().publish("others", b"m");
    let before = daemon.open_files();
    // Half of them have sent the beginning of a handshake, which says that more follows.
    let beginning = [22, 3, 1, 2, 0, 1, 0, 1, 0xfc];
    let stalled: Vec<Conn> = (0..STALLED)
        .map(|index| {
            let (mut conn, _) = identified(&daemon, &json!({"tls_v1": true}));
            if index % 2 == 0 {
                conn.send_raw(&beginning);
            }
            conn
        })
        .collect();
    others_go_on(&daemon, || daemon.open_files() <= before + 4);
    for mut conn in stalled {
        assert!(conn.drain());
    }
}

#[test]
fn a_stop_does_not_wait_for_a_handshake() {
    let files = Files::new();
    let mut daemon = files.launch().start();
    let (mut conn, _) = identified(&daemon, &json!({"tls_v1": true}));
    let watch = Stopwatch::start();
    assert_eq!(daemon.stop(), Some(0));
    watch.expect_ms(0, 3000);
    assert!(conn.drain());
}

#[test]
fn what_was_agreed_is_agreed_once() {
    if ours_only("a second upgrade of one connection") {
        return;
    }
    let files = Files::new();
    let daemon = files.launch().start();
    for layers in Layers::ALL.into_iter().skip(1) {
        for again in [
            json!({"tls_v1": true}),
            json!({"snappy": true}),
            json!({"deflate": true}),
        ] {
            let mut conn = layers.connect(&daemon, &json!({}));
            let mut wishes = again.clone();
            wishes["feature_negotiation"] = json!(true);
            conn.identify(&wishes.to_string());
            // Whatever it answers, it goes on or closes, and so it does with what follows.
            let answer = conn.next(BOUND);
            assert_ne!(answer, Next::Silence, "{layers:?} and then {again}");
            conn.try_send(b"NOP\n");
            conn.try_half_close();
            assert!(conn.drain(), "{layers:?} and then {again}");
        }
    }
    daemon.connect().publish("t", b"m");
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
}
