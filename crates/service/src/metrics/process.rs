//! What the system knows of this process, under the names that all Prometheus libraries use.

use procfs::process::{LimitValue, Process};
use rustix::time::{ClockId, clock_gettime};

use super::page::{Kind, Page};
use crate::build_info;

/// `PREFIX_build_info` and `PREFIX_start_time_seconds`; `start` in Unix seconds.
#[allow(
    clippy::cast_precision_loss,
    reason = "seconds of this epoch are far below 2^53"
)]
pub fn program(page: &mut Page, prefix: &str, start: i64) {
    let labels = [
        ("version", build_info::VERSION),
        ("release", build_info::RELEASE),
        ("commit", build_info::COMMIT),
    ];
    let name = format!("{prefix}_build_info");
    page.family(
        Kind::Gauge,
        &name,
        "Always 1; what this is: the version of NSQ that it equals, its own release, its commit.",
    )
    .value(&labels, 1.0);
    let name = format!("{prefix}_start_time_seconds");
    page.gauge(&name, "Start of the daemon in Unix time.", start as f64);
}

/// The `process_*` families. What the system does not tell is left out.
#[allow(
    clippy::cast_precision_loss,
    reason = "numbers beyond 2^53 may be shown rounded"
)]
pub fn process(page: &mut Page) {
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    page.family(
        Kind::Counter,
        "process_cpu_seconds_total",
        "Processor time, user and system.",
    )
    .value(&[], cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9);
    let Ok(me) = Process::myself() else { return };
    if let Ok(open) = me.fd_count() {
        page.gauge("process_open_fds", "Open file descriptors.", open as f64);
    }
    if let Ok(limits) = me.limits()
        && let LimitValue::Value(most) = limits.max_open_files.soft_limit
    {
        page.gauge(
            "process_max_fds",
            "File descriptors that may be open.",
            most as f64,
        );
    }
    let Ok(stat) = me.stat() else { return };
    page.gauge(
        "process_virtual_memory_bytes",
        "Address space.",
        stat.vsize as f64,
    );
    let resident = stat.rss.saturating_mul(procfs::page_size());
    page.gauge(
        "process_resident_memory_bytes",
        "Memory that is not elsewhere.",
        resident as f64,
    );
    page.gauge("process_threads", "Threads.", stat.num_threads as f64);
    if let Ok(boot) = procfs::boot_time_secs() {
        let start = boot as f64 + stat.starttime as f64 / procfs::ticks_per_second() as f64;
        page.gauge(
            "process_start_time_seconds",
            "Start of the process in Unix time.",
            start,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Format;

    #[test]
    fn the_system_tells_everything_that_the_standard_set_has() {
        let mut page = Page::new(Format::Text);
        process(&mut page);
        let text = String::from_utf8_lossy(&page.finish()).into_owned();
        for name in [
            "cpu_seconds_total",
            "open_fds",
            "max_fds",
            "virtual_memory_bytes",
            "resident_memory_bytes",
            "threads",
            "start_time_seconds",
        ] {
            let value = text
                .lines()
                .find_map(|line| line.strip_prefix(&format!("process_{name} ")));
            let value: Option<f64> = value.and_then(|value| value.parse().ok());
            assert!(value.is_some_and(|value| value > 0.0), "{name}: {text}");
        }
    }
}
