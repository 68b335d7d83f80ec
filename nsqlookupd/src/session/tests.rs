use std::sync::Arc;

use nsq_service::clock::ManualClock;
use tokio::time::Instant;

use super::*;
use crate::metrics::Metrics;
use crate::{MIN_IDLE_LIMIT, Options};

fn shared(args: &[&str]) -> Shared {
    let options = Options::from_args(args.iter().map(|arg| (*arg).to_owned())).unwrap();
    let metrics = Metrics::new(0).unwrap();
    Shared::new(&options, Arc::new(ManualClock::new(0)), metrics, 4160, 4161)
}

/// How long a peer that sends `bytes` and then nothing is kept.
async fn kept_for(shared: &Shared, bytes: &[u8]) -> Duration {
    let (mut peer, stream) = tokio::io::duplex(1024);
    peer.write_all(bytes).await.unwrap();
    let start = Instant::now();
    run(stream, Peer::Unix, shared).await;
    start.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_closed_long_after_its_pings_should_have_come() {
    for bytes in [&b""[..], b"  V1", b"  V1PING\nPIN", b"  V1IDENTIFY\n\0\0\0\x09{"] {
        assert_eq!(kept_for(&shared(&[]), bytes).await, MIN_IDLE_LIMIT, "{bytes:?}");
    }
    let patient = shared(&["--inactive-producer-timeout=1h"]);
    assert_eq!(kept_for(&patient, b"  V1").await, Duration::from_secs(3 * 3600));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_its_answers_is_closed() {
    let (mut peer, stream) = tokio::io::duplex(8192);
    let (shared, start) = (shared(&[]), Instant::now());
    let flood = async {
        peer.write_all(b"  V1").await.unwrap();
        while peer.write_all(b"PING\n").await.is_ok() {}
    };
    tokio::join!(run(stream, Peer::Unix, &shared), flood);
    assert_eq!(start.elapsed(), MIN_IDLE_LIMIT);
}

#[tokio::test]
async fn dropping_a_session_unregisters_its_producer() {
    let shared = shared(&[]);
    let info = br#"{"broadcast_address":"a","tcp_port":1,"http_port":2,"version":"1.3.0"}"#;
    let (mut peer, stream) = tokio::io::duplex(8192);
    let mut bytes = b"  V1IDENTIFY\n".to_vec();
    bytes.extend(u32::try_from(info.len()).unwrap().to_be_bytes());
    bytes.extend(info);
    bytes.extend(b"REGISTER t\n");
    peer.write_all(&bytes).await.unwrap();
    let mut answer = [0; 1024];
    {
        let mut session = Box::pin(run(stream, Peer::Unix, &shared));
        tokio::select! {
            () = &mut session => unreachable!("the peer is still there"),
            read = async {
                let mut seen = 0;
                while !answer[..seen].ends_with(b"OK") {
                    seen += peer.read(&mut answer[seen..]).await.unwrap();
                }
            } => read,
        }
        assert_eq!(shared.registry.lock().nodes(shared.now()).producers.len(), 1);
    }
    assert!(shared.registry.lock().nodes(shared.now()).producers.is_empty());
    assert_eq!(shared.registry.lock().topics(), ["t"]);
}
