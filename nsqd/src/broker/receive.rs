//! Messages that another nsqd hands over while it is emptied (operator spec 6.3).

use super::{Broker, Refused};
use crate::deferrals::file::{Entry, When};
use crate::effects::Effects;
use crate::evacuation::records::Parcel;
use nsq_protocol::{ChannelName, TopicName};
use std::io;
use std::sync::atomic::Ordering::Relaxed;

impl Broker {
    /// Takes a parcel into a channel, or into a topic as if it were published; both are made if missing, the channel paused if
    /// `paused`. All of it is on the disk and synced when this returns, or nothing is here.
    ///
    /// # Errors
    /// Why it is not taken.
    pub async fn receive(
        &self,
        topic: &TopicName,
        channel: Option<&ChannelName>,
        paused: bool,
        parcel: Parcel,
    ) -> Result<usize, Refused> {
        let count = parcel.run.len();
        let made = self.get_or_create_topic(topic).await?;
        let mut effects = Effects::default();
        match channel {
            None => {
                let delays = parcel
                    .due
                    .iter()
                    .map(|(id, ns)| (*id, ns.unsigned_abs()))
                    .collect();
                self.save_metadata().await?;
                self.keep_due(topic, None, &parcel.due).await?;
                made.receive(parcel, delays, &mut effects).await?;
            }
            Some(name) => {
                let is_new = made.channel(name.as_str()).is_none();
                let channel = self.get_or_create_channel(&made, name).await?;
                let channel = channel.ok_or(Refused::Exiting)?;
                if is_new && paused {
                    self.pause_channel(&channel, true).await?;
                } else {
                    self.save_metadata().await?;
                }
                self.keep_due(topic, Some(name), &parcel.due).await?;
                let due = self.early(&parcel.due);
                let workers = &self.engine.workers;
                channel.receive(parcel, due, workers, &mut effects).await?;
            }
        }
        self.received.fetch_add(count as u64, Relaxed);
        self.engine.settle(&mut effects).await?;
        Ok(count)
    }

    /// Those that are not due yet, with their due times on this process's clock.
    fn early(&self, due: &[(u64, i64)]) -> Vec<(u64, u64)> {
        let held = due.iter().map(|(id, at)| (*id, When::Due(*at))).collect();
        self.still_early(&held)
    }

    async fn keep_due(
        &self,
        topic: &TopicName,
        channel: Option<&ChannelName>,
        due: &[(u64, i64)],
    ) -> io::Result<()> {
        let entry = |(id, value): &(u64, i64)| Entry {
            topic: topic.clone(),
            channel: channel.cloned(),
            id: *id,
            when: match channel {
                Some(_) => When::Due(*value),
                None => When::Delay(value.unsigned_abs()),
            },
        };
        self.append_deferrals(due.iter().map(entry).collect()).await
    }
}
