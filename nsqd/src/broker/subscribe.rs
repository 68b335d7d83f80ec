//! Consumers come and go.

use super::Broker;
use crate::channel::{Channel, Gauges, SubscribeRefused};
use crate::client::Client;
use crate::effects::Effects;
use nsq_protocol::{ChannelName, TopicName};
use nsq_storage::os_text;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// A subscription that was granted.
pub struct Subscription {
    /// Its channel.
    pub channel: Arc<Channel>,
    /// The channel's counts of the epoch in which it began.
    pub gauges: Arc<Gauges>,
}

/// Why a subscription is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CannotSubscribe {
    /// The channel says no.
    Refused(SubscribeRefused),
    /// Topic or channel vanished twice in a row.
    Deleted,
    /// The files of the channel cannot be opened.
    Storage(String),
}

impl Broker {
    /// Makes a connection a consumer; topic and channel are made if they do not exist.
    ///
    /// # Errors
    /// [`CannotSubscribe`].
    pub async fn subscribe(
        &self,
        topic: &TopicName,
        channel: &ChannelName,
        client: &Arc<Client>,
    ) -> Result<Subscription, CannotSubscribe> {
        let ephemeral = topic.is_ephemeral() || channel.is_ephemeral();
        for last in [false, true] {
            let storage = |e: io::Error| CannotSubscribe::Storage(os_text(&e));
            let topic = self.get_or_create_topic(topic).await.map_err(storage)?;
            if let Some(channel) = self
                .get_or_create_channel(&topic, channel)
                .await
                .map_err(storage)?
            {
                match channel.subscribe(client, self.options.max_channel_consumers) {
                    Ok(gauges) => return Ok(Subscription { channel, gauges }),
                    Err(SubscribeRefused::Exiting) if ephemeral => {}
                    Err(refused) => return Err(CannotSubscribe::Refused(refused)),
                }
            } else if !ephemeral {
                return Err(CannotSubscribe::Refused(SubscribeRefused::Exiting));
            }
            if !last {
                // What is being deleted is gone in a moment, and can be made anew then.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        Err(CannotSubscribe::Deleted)
    }

    /// Ends a subscription. An ephemeral channel goes with its last consumer.
    pub async fn unsubscribe(self: &Arc<Self>, client: &Arc<Client>, subscription: &Subscription) {
        let mut effects = Effects::default();
        let channel = &subscription.channel;
        let others = channel.unsubscribe(client, &subscription.gauges, &mut effects);
        if let Err(e) = self.engine.settle(&mut effects).await {
            tracing::error!("CHANNEL({}): {e}", channel.name());
        }
        if !others && channel.is_ephemeral() && !self.engine.tasks.is_stopping() {
            let (broker, channel) = (self.clone(), channel.clone());
            self.engine.tasks.spawn(async move {
                if let Some(topic) = broker.topic(channel.topic().as_str())
                    && let Err(e) = broker.delete_this_channel(&topic, &channel).await
                {
                    tracing::error!("failed to delete channel({}) - {e}", channel.name());
                }
            });
        }
    }
}
