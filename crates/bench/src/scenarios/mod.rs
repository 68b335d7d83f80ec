//! The table of all scenarios, with the targets against Go nsqd v1.3.0 of the design.

mod traffic;
mod waiting;
mod wire;

use crate::scenario::{Aim, Goal, Repeat, Scenario, Work};

/// Everything fits into memory.
const MEMORY: &[&str] = &["--mem-queue-size=3000000"];
const DEFAULT: &[&str] = &[];
/// Nothing stays in memory.
const DISK: &[&str] = &["--mem-queue-size=0"];
/// And every message is synced.
const SYNC: &[&str] = &["--mem-queue-size=0", "--sync-every=1"];
/// What is published and not consumed fits into the default queue in memory.
const PUBLISHED_AT_MOST: Option<usize> = Some(8000);

/// The scenario whose rate the shares of the open loop refer to.
pub(crate) const MAXIMUM: &str = "e2e-1t1c-pipe";

fn scenario(name: impl Into<String>, flags: &[&'static str], work: Work, goals: Vec<Goal>) -> Scenario {
    Scenario {
        name: name.into(),
        flags: flags.to_vec(),
        work,
        share: None,
        goals,
        repeat: Repeat::Pairs,
        quick: false,
    }
}

impl Scenario {
    fn quick(mut self) -> Self {
        self.quick = true;
        self
    }

    fn once(mut self) -> Self {
        self.repeat = Repeat::Once;
        self
    }
}

fn goal(figure: &'static str, aim: Aim) -> Goal {
    Goal { figure, aim }
}

/// So many times less processor time per message, so many times the throughput; and the memory, for information.
fn faster(cpu: f64, throughput: f64) -> Vec<Goal> {
    vec![
        goal("cpu_s_per_m", Aim::TimesLess(cpu)),
        goal("per_second", Aim::TimesMore(throughput)),
        goal("rss_mib_peak", Aim::Less),
    ]
}

/// The same without targets.
fn measured() -> Vec<Goal> {
    vec![
        goal("cpu_s_per_m", Aim::Less),
        goal("per_second", Aim::More),
        goal("rss_mib_peak", Aim::Less),
    ]
}

/// All scenarios, in the order of a run.
pub(crate) fn all() -> Vec<Scenario> {
    let groups = [
        traffic::publish(),
        traffic::consume(),
        traffic::end_to_end(),
        wire::layers(),
        wire::disk(),
        waiting::open_loop(),
        waiting::timers(),
        waiting::footprint(),
        waiting::life(),
    ];
    groups.into_iter().flatten().collect()
}

/// Where the certificate of the run is put in, see [`crate::driver`].
pub(crate) const CERT: &str = "--tls-cert=CERT";
/// Its key.
pub(crate) const KEY: &str = "--tls-key=KEY";

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_every_scenario_shows_something() {
        let all = all();
        let names: BTreeSet<_> = all.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names.len(), all.len());
        assert!(all.iter().all(|s| !s.goals.is_empty()));
        assert!(names.contains(MAXIMUM));
    }

    #[test]
    fn the_quick_run_has_what_the_design_names_first() {
        let all = all();
        let quick: Vec<_> = all.iter().filter(|s| s.quick).map(|s| s.name.as_str()).collect();
        assert_eq!(
            quick,
            [
                "pub-pipe64-c1-200",
                "mpub200-c1-200",
                "sub-rdy2500-c1",
                "e2e-1t1c-mpub",
                "e2e-1t10c-mpub",
                "disk-e2e-1t1c",
                "rate-1k-obt",
                "idle-conns-1k",
            ]
        );
    }
}
