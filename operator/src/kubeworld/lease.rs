//! Who leads: a Lease that one operator holds and renews. Source: operator spec 5.13.
//!
//! The step is pure. Whether another holder is still alive is judged by when this process saw its record change, never by
//! comparing clocks of two machines.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client};
use nsq_service::clock::Clock;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::problem::Problem;

/// How long a holder counts as alive after its last renewal.
const DURATION: Duration = Duration::from_secs(15);
/// Time between renewals, and between looks of a candidate.
const PERIOD: Duration = Duration::from_secs(2);
/// A leader that could not renew for this long gives up.
const GIVE_UP: Duration = Duration::from_secs(10);
/// A destructive step needs a renewal younger than this.
const FRESH: Duration = Duration::from_secs(5);
/// Longest wait for one answer.
const REQUEST: Duration = Duration::from_secs(4);

/// Whether this process may write, to be asked before every write.
#[derive(Clone)]
pub(super) struct Leadership {
    clock: Arc<dyn Clock>,
    /// Monotonic time of the last renewal; none while not leading.
    renewed: Arc<Mutex<Option<Duration>>>,
    /// There is no election: always leading.
    alone: bool,
}

impl Leadership {
    /// Not leading yet.
    #[must_use]
    pub(super) fn candidate(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            renewed: Arc::default(),
            alone: false,
        }
    }

    /// Leading without an election.
    #[must_use]
    pub(super) fn alone(clock: Arc<dyn Clock>) -> Self {
        Self {
            alone: true,
            ..Self::candidate(clock)
        }
    }

    fn age(&self) -> Option<Duration> {
        if self.alone {
            return Some(Duration::ZERO);
        }
        let renewed = (*self.renewed.lock())?;
        Some(self.clock.monotonic().saturating_sub(renewed))
    }

    /// It leads: writes are allowed.
    #[must_use]
    pub(super) fn leads(&self) -> bool {
        self.age().is_some_and(|age| age < GIVE_UP)
    }

    /// It leads beyond doubt: steps that cannot be undone are allowed.
    #[must_use]
    pub(super) fn is_fresh(&self) -> bool {
        self.age().is_some_and(|age| age < FRESH)
    }

    fn renew(&self, at: Duration) {
        *self.renewed.lock() = Some(at);
    }

    fn resign(&self) {
        *self.renewed.lock() = None;
    }
}

/// What a look at the lease leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// There is none: make it.
    Create,
    /// It is ours, or nobody's any more: write our name.
    Write,
    /// Somebody else holds it.
    Wait,
}

/// The record of another holder as it was first seen.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    spec: LeaseSpec,
    at: Duration,
}

fn step(me: &str, lease: Option<&LeaseSpec>, seen: Option<&Seen>, now: Duration) -> Step {
    let Some(spec) = lease else { return Step::Create };
    let holder = spec.holder_identity.as_deref().unwrap_or_default();
    if holder == me || holder.is_empty() {
        return Step::Write;
    }
    let seconds = spec.lease_duration_seconds.unwrap_or(0);
    let duration = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    let silent = seen
        .filter(|seen| seen.spec == *spec)
        .map_or(Duration::ZERO, |seen| now.saturating_sub(seen.at));
    if silent >= duration {
        Step::Write
    } else {
        Step::Wait
    }
}

/// The election of one process.
pub(super) struct Election {
    api: Api<Lease>,
    name: String,
    me: String,
    clock: Arc<dyn Clock>,
    leadership: Leadership,
    seen: Option<Seen>,
}

impl Election {
    /// Joins the election of `name` in `namespace` under the identity `me`.
    #[must_use]
    pub(super) fn new(client: Client, namespace: &str, name: &str, me: &str, leadership: Leadership) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            name: name.to_owned(),
            me: me.to_owned(),
            clock: Arc::clone(&leadership.clock),
            leadership,
            seen: None,
        }
    }

    /// Waits until this process leads.
    pub(super) async fn win(&mut self, beat: impl Fn()) {
        loop {
            beat();
            match self.look().await {
                Ok(true) => return,
                Ok(false) => {}
                Err(problem) => tracing::warn!("lease {}: {problem}", self.name),
            }
            tokio::time::sleep(PERIOD).await;
        }
    }

    /// Keeps leading; returns when that was lost, or releases the lease when `stop` says so.
    ///
    /// # Errors
    /// Why leading ended without being asked to.
    pub(super) async fn hold(
        &mut self,
        stop: &mut watch::Receiver<bool>,
        beat: impl Fn(),
    ) -> Result<(), String> {
        loop {
            tokio::select! {
                () = tokio::time::sleep(PERIOD) => {}
                _ = stop.wait_for(|stop| *stop) => {
                    self.release().await;
                    return Ok(());
                }
            }
            beat();
            match self.look().await {
                Ok(true) => {}
                Ok(false) => {
                    self.leadership.resign();
                    return Err("the lease has another holder".to_owned());
                }
                Err(problem) => tracing::warn!("lease {}: {problem}", self.name),
            }
            if !self.leadership.leads() {
                self.leadership.resign();
                return Err(format!("the lease was not renewed for {}s", GIVE_UP.as_secs()));
            }
        }
    }

    /// Reads the lease, and writes it if that is ours to do. True if this process leads now.
    async fn look(&mut self) -> Result<bool, Problem> {
        // The age counts from before the request: the server's time of writing is not known better.
        let began = self.clock.monotonic();
        let leads = tokio::time::timeout(REQUEST, self.try_once(began))
            .await
            .map_err(|_| Problem::Other("no answer".to_owned()))??;
        if leads {
            self.leadership.renew(began);
        }
        Ok(leads)
    }

    async fn try_once(&mut self, now: Duration) -> Result<bool, Problem> {
        let lease = self.api.get_opt(&self.name).await?;
        let spec = lease.as_ref().map(|lease| lease.spec.clone().unwrap_or_default());
        let step = step(&self.me, spec.as_ref(), self.seen.as_ref(), now);
        if step == Step::Wait {
            if let Some(spec) = spec
                && self.seen.as_ref().is_none_or(|seen| seen.spec != spec)
            {
                self.seen = Some(Seen { spec, at: now });
            }
            return Ok(false);
        }
        let written = match (step, lease) {
            (Step::Write, Some(mut lease)) => {
                lease.spec = Some(self.record(spec.as_ref()));
                // The version in it makes this a conflict when somebody was faster.
                self.api.replace(&self.name, &PostParams::default(), &lease).await
            }
            _ => {
                let lease = Lease {
                    metadata: ObjectMeta {
                        name: Some(self.name.clone()),
                        ..ObjectMeta::default()
                    },
                    spec: Some(self.record(None)),
                };
                self.api.create(&PostParams::default(), &lease).await
            }
        };
        match written.map_err(Problem::from) {
            Ok(_) => Ok(true),
            Err(Problem::Conflict) => Ok(false),
            Err(problem) => Err(problem),
        }
    }

    fn record(&self, before: Option<&LeaseSpec>) -> LeaseSpec {
        let nanos = i128::from(self.clock.unix_nanos());
        let now = MicroTime(Timestamp::from_nanosecond(nanos).unwrap_or(Timestamp::UNIX_EPOCH));
        let ours = before.filter(|spec| spec.holder_identity.as_deref() == Some(&self.me));
        let transitions = before.and_then(|spec| spec.lease_transitions).unwrap_or(0);
        LeaseSpec {
            holder_identity: Some(self.me.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: ours
                .and_then(|spec| spec.acquire_time.clone())
                .or_else(|| Some(now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(if ours.is_some() {
                transitions
            } else {
                transitions.saturating_add(1)
            }),
            ..LeaseSpec::default()
        }
    }

    /// Lets the lease go, so that the next leader need not wait.
    async fn release(&mut self) {
        self.leadership.resign();
        let free = async {
            let Some(mut lease) = self.api.get_opt(&self.name).await? else {
                return Ok(());
            };
            let spec = lease.spec.get_or_insert_default();
            if spec.holder_identity.as_deref() == Some(&self.me) {
                spec.holder_identity = Some(String::new());
                self.api
                    .replace(&self.name, &PostParams::default(), &lease)
                    .await?;
            }
            Ok::<_, kube::Error>(())
        };
        match tokio::time::timeout(REQUEST, free).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!("lease {} not released: {error}", self.name),
            Err(_) => tracing::warn!("lease {} not released: no answer", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(by: &str, renewals: i32) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(by.to_owned()),
            lease_duration_seconds: Some(15),
            lease_transitions: Some(renewals),
            ..LeaseSpec::default()
        }
    }

    const ZERO: Duration = Duration::ZERO;

    fn after(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_lease_is_taken_when_it_is_free_ours_or_silent_for_its_duration() {
        assert_eq!(step("me", None, None, ZERO), Step::Create);
        assert_eq!(step("me", Some(&held("me", 1)), None, ZERO), Step::Write);
        assert_eq!(step("me", Some(&held("", 1)), None, ZERO), Step::Write);
        let other = held("other", 1);
        assert_eq!(step("me", Some(&other), None, ZERO), Step::Wait);
        let seen = Seen {
            spec: other.clone(),
            at: ZERO,
        };
        assert_eq!(step("me", Some(&other), Some(&seen), after(14)), Step::Wait);
        assert_eq!(step("me", Some(&other), Some(&seen), after(15)), Step::Write);
        // A record that changed is alive, however old the first look is.
        assert_eq!(
            step("me", Some(&held("other", 2)), Some(&seen), after(60)),
            Step::Wait
        );
    }

    #[test]
    fn writes_end_with_the_lease_and_destructive_steps_before() {
        let clock = Arc::new(nsq_service::clock::ManualClock::new(0));
        let leadership = Leadership::candidate(clock.clone());
        assert!(!leadership.leads());
        leadership.renew(clock.monotonic());
        assert!(leadership.is_fresh());
        clock.advance(Duration::from_secs(5));
        assert!(leadership.leads() && !leadership.is_fresh());
        clock.advance(Duration::from_secs(5));
        assert!(!leadership.leads());
    }
}
