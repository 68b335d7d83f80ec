//! The open publish batch of a connection: consecutive publishes of one topic are accepted together.

use super::commands::Verb;
use super::{Session, Stop};
use crate::block::BatchBuilder;
use crate::broker::Refused;
use crate::topic::Topic;
use nsq_protocol::TopicName;
use nsq_protocol::v2::{FrameType, OK};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};

/// Messages from which on a batch is closed.
const MAX_MESSAGES: u32 = 256;
/// Bytes of bodies from which on a batch is closed.
const MAX_BYTES: usize = 256 * 1024;

/// A batch that waits to be accepted, with the answers it owes.
#[derive(Debug)]
struct Open {
    topic: TopicName,
    delay: u64,
    /// The command that began it: an error is answered in its name.
    verb: Verb,
    answers: u32,
}

/// Bodies read, and the topic they go to.
#[derive(Debug, Default)]
pub(super) struct Publishing {
    builder: BatchBuilder,
    open: Option<Open>,
    /// The topic of the last publish, so that its name is neither checked nor looked up again.
    last: Option<(TopicName, Option<Arc<Topic>>)>,
}

impl Publishing {
    /// Where bodies are put.
    pub(super) const fn builder(&mut self) -> &mut BatchBuilder {
        &mut self.builder
    }

    /// Name of the topic of the last publish.
    pub(super) fn last_topic(&self) -> Option<&TopicName> {
        self.last.as_ref().map(|(name, _)| name)
    }

    /// Adds a whole message to the batch, which is open for its topic and delay.
    pub(super) fn add(&mut self, verb: Verb, topic: TopicName, delay: u64, body: &[u8]) {
        self.builder.push(body);
        self.uploaded(verb, topic, delay);
    }

    /// The last message in the builder is complete.
    pub(super) fn uploaded(&mut self, verb: Verb, topic: TopicName, delay: u64) {
        match &mut self.open {
            Some(open) => open.answers += 1,
            None => {
                self.open = Some(Open {
                    topic,
                    delay,
                    verb,
                    answers: 1,
                });
            }
        }
    }

    /// The builder holds a whole batch.
    pub(super) fn uploaded_batch(&mut self, topic: Arc<Topic>) {
        let name = topic.name().clone();
        self.last = Some((name.clone(), Some(topic)));
        self.open = Some(Open {
            topic: name,
            delay: 0,
            verb: Verb::PublishMany,
            answers: 1,
        });
    }

    /// Gives memory back while nothing is being received.
    pub(super) fn release(&mut self) {
        if self.open.is_none() && self.builder.is_empty() {
            self.builder = BatchBuilder::default();
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    /// Makes sure that the open batch, if there is one, takes a message of this topic and delay.
    pub(super) async fn open_publish(&mut self, topic: &TopicName, delay: u64) -> Result<(), Stop> {
        let fits = |open: &Open| open.topic == *topic && open.delay == delay;
        let full =
            self.publishing.builder.len() >= MAX_MESSAGES || self.publishing.builder.bytes() >= MAX_BYTES;
        if full || self.publishing.open.as_ref().is_some_and(|open| !fits(open)) {
            self.close_published().await?;
        }
        Ok(())
    }

    /// The topic of a publish, made if there is none.
    pub(super) async fn publish_topic(&mut self, verb: Verb, name: &TopicName) -> Result<Arc<Topic>, Stop> {
        if let Some((last, Some(topic))) = &self.publishing.last
            && last == name
        {
            return Ok(topic.clone());
        }
        let made = self.broker.get_or_create_topic(name).await;
        let topic = made.map_err(|e| refusal(verb, &Refused::from(e)))?;
        self.publishing.last = Some((name.clone(), Some(topic.clone())));
        Ok(topic)
    }

    /// Has everything accepted that this turn has read, and finishes what it has finished.
    pub(super) async fn close_batches(&mut self) -> Result<(), Stop> {
        self.close_finished();
        self.close_published().await
    }

    /// Has the open batch accepted and answers its publishes.
    pub(super) async fn close_published(&mut self) -> Result<(), Stop> {
        let Some(open) = self.publishing.open.take() else {
            return Ok(());
        };
        let began = self.now();
        let count = u64::from(self.publishing.builder.len());
        if let Err(refused) = self.publish(&open).await {
            self.publishing.builder.clear();
            return Err(refusal(open.verb, &refused));
        }
        self.client.count_published(&open.topic, count);
        for _ in 0..open.answers {
            self.output.frame(FrameType::Response, OK);
        }
        // One look at the clock for all of them: their bodies came together, and they are answered together.
        let took = self.now().saturating_sub(began);
        let counters = &self.broker.engine.counters;
        counters.publish_times.observe(took, open.answers.into());
        Ok(())
    }

    async fn publish(&mut self, open: &Open) -> Result<(), Refused> {
        let topic = match &self.publishing.last {
            Some((last, Some(topic))) if *last == open.topic => topic.clone(),
            _ => self.broker.get_or_create_topic(&open.topic).await?,
        };
        let Self {
            broker,
            publishing,
            effects,
            ..
        } = self;
        let outcome = broker
            .publish(&topic, &mut publishing.builder, open.delay, effects)
            .await;
        let topic = if outcome == Err(Refused::Exiting) && !broker.engine.tasks.is_stopping() {
            // The topic we remember may have been deleted since; then there is a new one, or will be.
            publishing.last = None;
            let again = broker.get_or_create_topic(&open.topic).await?;
            if Arc::ptr_eq(&again, &topic) {
                return outcome;
            }
            broker
                .publish(&again, &mut publishing.builder, open.delay, effects)
                .await?;
            again
        } else {
            outcome?;
            topic
        };
        if publishing
            .last
            .as_ref()
            .is_none_or(|(name, known)| *name != open.topic || known.is_none())
        {
            publishing.last = Some((open.topic.clone(), Some(topic)));
        }
        Ok(())
    }
}

fn refusal(verb: Verb, refused: &Refused) -> Stop {
    let text = format!("{} failed {}", verb.as_str(), refused.text());
    Stop::error(verb.failed(), text).refusing(refused.into())
}
