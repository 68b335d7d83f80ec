//! Looks into queues of nsqds that can be looked into, and does what is to be done there (extensions spec 2.2, 8).

use bytes::Bytes;
use nsq_http_api::messages::{self, JobAnswer, Messages, MessagesRequest, VerbAnswer};
use nsq_http_api::policy::{self, Policy};

use super::{Answer, Upstream, ask};

impl Upstream {
    /// Messages of one nsqd.
    pub(crate) async fn messages_of(&self, nsqd: String, request: &MessagesRequest) -> Answer<Messages> {
        self.get("nsqd", nsqd, request.path()).await
    }

    /// The same of many.
    pub(crate) async fn messages(
        &self,
        nsqds: &[String],
        request: &MessagesRequest,
    ) -> Vec<Answer<Messages>> {
        ask(nsqds, |address| self.messages_of(address, request)).await
    }

    /// What is being done with many messages of a channel, on each of these.
    pub(crate) async fn jobs(&self, nsqds: &[String], topic: &str, channel: &str) -> Vec<Answer<JobAnswer>> {
        let path = messages::job_path(topic, channel, false);
        ask(nsqds, |address| self.get("nsqd", address, path.clone())).await
    }

    /// Does something with messages of each of these: `path` says what.
    pub(crate) async fn handle(&self, nsqds: &[String], path: &str) -> Vec<Answer<VerbAnswer>> {
        ask(nsqds, |address| async {
            tracing::info!("CI: querying nsqd http://{address}{path}");
            let began = self.clock.monotonic();
            let result = self.client.post_for(&address, path, Bytes::new()).await;
            self.record("nsqd", &address, began, result.as_ref().err());
            Answer { address, result }
        })
        .await
    }

    /// The policy of a topic or of a channel, on each of these.
    pub(crate) async fn policies(
        &self,
        nsqds: &[String],
        topic: &str,
        channel: Option<&str>,
    ) -> Vec<Answer<Policy>> {
        let path = policy::path(topic, channel);
        ask(nsqds, |address| self.get("nsqd", address, path.clone())).await
    }
}
