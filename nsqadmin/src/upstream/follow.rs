//! Numbers of nsqds that tell what changed (console spec 4.1, extensions spec 14.3, 14.4): asked for, or told by themselves, and put
//! together to what everybody else gets.

use std::collections::HashMap;
use std::time::Duration;

use nsq_http_api::client::{Error, Event};
use nsq_http_api::nsqd::Stats;
use nsq_http_api::since::{Changes, Followed};
use nsq_service::http::encode_component;
use tokio::sync::mpsc;

use super::{Answer, STATS, Upstream, Weight};

/// Nothing for so long, not even a comment, is a stream that is dead: nsqd sends one every 15 s.
const SILENCE: Duration = Duration::from_secs(20);
/// What nsqd accepts as the time between two updates.
const INTERVALS: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(60));

/// By address.
pub(super) type Follows = parking_lot::Mutex<HashMap<String, Followed>>;

impl Upstream {
    /// Everything as it is now: only what changed since the last answer is asked for.
    pub(crate) async fn changed_stats_of(&self, nsqd: String) -> (Answer<Stats>, Weight) {
        let token = self.token(&nsqd);
        let path = format!("{STATS}&since={}", encode_component(&token));
        let (answer, weight) = self.weighed::<Changes>(nsqd, path).await;
        let address = answer.address.clone();
        let whole = answer.map(|changes| {
            let mut follows = self.follows.lock();
            let followed = follows.entry(address).or_default();
            // what was told meanwhile is newer than the answer to an older question
            if followed.token() == token {
                followed.take(changes);
            }
            followed.stats().clone()
        });
        (whole, weight)
    }

    fn token(&self, nsqd: &str) -> String {
        let follows = self.follows.lock();
        follows
            .get(nsqd)
            .map(|followed| followed.token().to_owned())
            .unwrap_or_default()
    }

    /// What an nsqd told by itself; everything as it is now.
    pub(crate) fn told(&self, nsqd: &str, changes: Changes) -> Stats {
        let mut follows = self.follows.lock();
        let followed = follows.entry(nsqd.to_owned()).or_default();
        followed.take(changes);
        followed.stats().clone()
    }

    /// Everything as it was last told; none if nothing was.
    pub(crate) fn last_told(&self, nsqd: &str) -> Option<Stats> {
        let follows = self.follows.lock();
        follows.get(nsqd).map(|followed| followed.stats().clone())
    }

    /// Forgets those that are not among these.
    pub(crate) fn follow_only(&self, nsqds: &[String]) {
        self.follows.lock().retain(|address, _| nsqds.contains(address));
    }

    /// Hands on the events of an nsqd until they end; then says why.
    pub(crate) async fn events_of(
        &self,
        nsqd: &str,
        interval: Duration,
        taker: &mpsc::Sender<Event>,
    ) -> Error {
        let interval = interval.clamp(INTERVALS.0, INTERVALS.1);
        let path = format!("/events?interval={}ms", interval.as_millis());
        tracing::info!("CI: listening to nsqd http://{nsqd}{path}");
        let ended = self.client.events(nsqd, &path, SILENCE, taker).await;
        tracing::warn!("CI: {ended}");
        ended
    }
}
