//! What the operator costs: read from `/proc` and from its own metrics.

use std::time::{Duration, Instant};

use nsq_testbed::{BOUND, Cluster, Operator};
use nsq_testkit::{Scrape, cpu_time, eventually};

/// A running operator.
pub(crate) struct Measured {
    pub(crate) operator: Operator,
    began: Instant,
}

/// One look at it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Look {
    pub(crate) at: Duration,
    /// Processor time, in seconds.
    pub(crate) processor: f64,
    /// Resident memory, in MiB.
    pub(crate) resident: f64,
    /// The most there ever was, in MiB.
    pub(crate) peak: f64,
    pub(crate) writes: f64,
    pub(crate) passes: f64,
    /// Requests but watches and those for the lease.
    pub(crate) requests: f64,
    pub(crate) daemon_requests: f64,
    /// Clusters whose pass is due or going on.
    pub(crate) waiting: f64,
}

impl Measured {
    /// Starts it as it is started in a cluster: all namespaces, the usual debounce.
    pub(crate) fn start(cluster: &Cluster) -> Self {
        let began = Instant::now();
        let operator = Operator::start_everywhere(cluster.kubeconfig(), &["--lease-namespace", "default"]);
        eventually(BOUND, || {
            operator.ask("/readyz").status == 200 && leads(&operator.metrics())
        });
        Self { operator, began }
    }

    /// Looks at it.
    pub(crate) fn look(&self) -> Look {
        let metrics = self.operator.metrics();
        let sum = |name: &str| metrics.containing(name).map(|(_, value)| value).sum::<f64>();
        let requests = metrics
            .containing("nsq_operator_api_requests_total{")
            .filter(|(name, _)| !name.contains("verb=\"watch\"") && !name.contains("resource=\"leases\""))
            .map(|(_, value)| value)
            .sum();
        let pid = self.operator.pid();
        Look {
            at: self.began.elapsed(),
            processor: cpu_time(pid).as_secs_f64(),
            resident: memory(pid, "VmRSS:"),
            peak: memory(pid, "VmHWM:"),
            writes: sum("nsq_operator_api_writes_total{"),
            passes: sum("nsq_operator_reconcile_total{"),
            requests,
            daemon_requests: sum("nsq_operator_daemon_requests_total{"),
            waiting: metrics.value("nsq_operator_queue_depth")
                + metrics.value("nsq_operator_reconcile_in_flight"),
        }
    }

    /// Waits until no write was made for `quiet`, and looks at it then.
    pub(crate) fn settle(&self, quiet: Duration, bound: Duration) -> Look {
        let mut since = (Instant::now(), self.look());
        let mut last = since.1;
        every(Duration::from_millis(500), bound, || {
            last = self.look();
            if last.writes > since.1.writes || last.waiting > 0.0 {
                since = (Instant::now(), last);
            }
            since.0.elapsed() >= quiet
        });
        last
    }

    /// Ends it as a signal does.
    pub(crate) fn stop(mut self) {
        assert_eq!(self.operator.stop(), Some(0), "{}", self.operator.log());
    }
}

fn leads(metrics: &Scrape) -> bool {
    metrics.get("nsq_operator_leader") == Some(1.0)
}

/// Waits for a condition that costs something to look at.
#[track_caller]
pub(crate) fn every(pause: Duration, bound: Duration, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + bound;
    while !holds() {
        assert!(
            Instant::now() < end,
            "the condition did not come true within {bound:?}"
        );
        std::thread::sleep(pause);
    }
}

fn memory(pid: u32, field: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    let kib: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib / 1024.0
}
