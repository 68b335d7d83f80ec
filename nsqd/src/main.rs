//! Program.
use nsq_service::clock::SystemClock;
use nsq_service::listen::Listener;
use nsq_service::signals::Signals;
use nsqd::options::Options;
use nsqd::{Env, Nsqd};
use std::sync::Arc;

#[allow(clippy::print_stderr, reason = "a program")]
fn main() {
    let mut options = Options::default();
    let mut tcp = "0.0.0.0:4150".to_string();
    for arg in std::env::args().skip(1) {
        let (k, v) = arg
            .trim_start_matches('-')
            .split_once('=')
            .map(|(a, b)| (a.to_string(), b.to_string()))
            .unwrap_or_default();
        match k.as_str() {
            "data-path" => options.data_path = v.into(),
            "tcp-address" => tcp = v,
            "mem-queue-size" => options.mem_queue_size = v.parse().unwrap_or(10000),
            _ => {}
        }
    }
    let Ok(rt) = tokio::runtime::Builder::new_multi_thread().enable_all().build() else {
        return;
    };
    rt.block_on(async move {
        let env = Env {
            clock: Arc::new(SystemClock::new()),
            disk: Arc::new(nsq_storage::RealDisk),
        };
        let Ok(listener) = Listener::bind(&tcp).await else {
            return;
        };
        match Nsqd::start(options, env, listener).await {
            Ok(nsqd) => {
                let Ok(mut signals) = Signals::install() else {
                    return;
                };
                signals.next().await;
                let _ = nsqd.stop().await;
            }
            Err(e) => eprintln!("{e}"),
        }
    });
}
