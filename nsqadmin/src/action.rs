//! What can be done to the cluster: what it is called, who may, and how it is protected (console spec 3.13, nsqadmin spec 8.8).
//! Pure.

use crate::access::Role;

/// Something that is done to topics and channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Create,
    Pause,
    Unpause,
    Empty,
    Delete,
    Tombstone,
}

/// How somebody is kept from doing it by mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// A form.
    Plain,
    /// A page that asks.
    Asked,
    /// A page that asks, and a name to type: something is lost.
    Named,
}

/// One of them, with what it is done to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Action {
    pub(crate) verb: Verb,
    pub(crate) topic: String,
    pub(crate) channel: Option<String>,
    /// On this node only; none for every node that has it.
    pub(crate) node: Option<String>,
}

impl Verb {
    /// Those that start from a link to a page that asks.
    pub(crate) const ASKED: [Self; 5] = [
        Self::Pause,
        Self::Unpause,
        Self::Empty,
        Self::Delete,
        Self::Tombstone,
    ];

    /// The verb of a link or a form.
    pub(crate) fn of(text: &str) -> Option<Self> {
        Self::ASKED.into_iter().find(|verb| verb.text() == text)
    }

    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Pause => "pause",
            Self::Unpause => "unpause",
            Self::Empty => "empty",
            Self::Delete => "delete",
            Self::Tombstone => "tombstone",
        }
    }

    /// On a button.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Create => "Create",
            Self::Pause => "Pause",
            Self::Unpause => "Unpause",
            Self::Empty => "Empty",
            Self::Delete => "Delete",
            Self::Tombstone => "Tombstone",
        }
    }

    pub(crate) fn level(self) -> Level {
        match self {
            Self::Create => Level::Plain,
            Self::Pause | Self::Unpause => Level::Asked,
            Self::Empty | Self::Delete | Self::Tombstone => Level::Named,
        }
    }

    pub(crate) fn loses(self) -> bool {
        self.level() == Level::Named
    }

    /// The lowest that may.
    pub(crate) fn role(self) -> Role {
        if self.loses() { Role::Admin } else { Role::Operator }
    }
}

impl Action {
    /// As notifications and metrics call it.
    pub(crate) fn name(&self) -> &'static str {
        match (self.verb, self.channel.is_some()) {
            (Verb::Create, false) => "create_topic",
            (Verb::Create, true) => "create_channel",
            (Verb::Pause, false) => "pause_topic",
            (Verb::Pause, true) => "pause_channel",
            (Verb::Unpause, false) => "unpause_topic",
            (Verb::Unpause, true) => "unpause_channel",
            (Verb::Empty, false) => "empty_topic",
            (Verb::Empty, true) => "empty_channel",
            (Verb::Delete, false) => "delete_topic",
            (Verb::Delete, true) => "delete_channel",
            (Verb::Tombstone, _) => "tombstone_topic_producer",
        }
    }

    /// The full name, such as `orders/billing`.
    pub(crate) fn target(&self) -> String {
        match &self.channel {
            None => self.topic.clone(),
            Some(channel) => format!("{}/{channel}", self.topic),
        }
    }

    /// Such as `channel billing`.
    pub(crate) fn object(&self) -> String {
        match &self.channel {
            None => format!("topic {}", self.topic),
            Some(channel) => format!("channel {channel}"),
        }
    }

    /// What happens, in a sentence.
    pub(crate) fn effect(&self) -> String {
        let is_channel = self.channel.is_some();
        let what = match (self.verb, is_channel) {
            (Verb::Create, _) => "It is created",
            (Verb::Pause, false) => {
                "Publishing goes on, and messages wait in the topic: they stop flowing to its channels"
            }
            (Verb::Pause, true) => {
                "Publishing goes on, and messages wait in the channel: delivery to clients stops"
            }
            (Verb::Unpause, _) => "Messages flow again",
            (Verb::Empty, false) => {
                "Messages that wait in the topic itself are lost, and those in its channels stay"
            }
            (Verb::Empty, true) => {
                "Messages that wait in the channel, in flight and deferred ones included, are lost"
            }
            (Verb::Delete, false) => {
                "Clients are disconnected; the topic, its channels and all their messages are lost"
            }
            (Verb::Delete, true) => "Its clients are disconnected; the channel and all its messages are lost",
            (Verb::Tombstone, _) => {
                return "The nsqlookupds forget that the node has the topic, and the node deletes the topic with all its \
                        messages."
                    .to_owned();
            }
        };
        match &self.node {
            None => format!("{what}, on every node."),
            Some(node) => format!("{what}, on {node} only."),
        }
    }
}

impl Action {
    /// Why it cannot be done whatever the cluster is like: a name that nothing may have.
    pub(crate) fn refusal(&self) -> Option<&'static str> {
        let is_valid = |name: &str| nsq_protocol::name::is_valid(name.as_bytes());
        if !matches!(self.verb, Verb::Create | Verb::Tombstone) {
            // what is there already may be called as it likes
            return None;
        }
        if !is_valid(&self.topic) {
            return Some("INVALID_TOPIC");
        }
        let is_wrong = self.channel.as_deref().is_some_and(|channel| !is_valid(channel));
        is_wrong.then_some("INVALID_CHANNEL")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_loses_something_needs_a_name_and_an_admin() {
        for verb in Verb::ASKED {
            assert_eq!(Verb::of(verb.text()), Some(verb));
            assert_eq!(verb.loses(), verb.role() == Role::Admin);
        }
        assert_eq!(Verb::of("create"), None);
        assert_eq!(Verb::of(""), None);
    }
}
