//! What can be done with messages that wait, one by one or all of them: what it is called, who may, and how it is protected (console
//! spec 3.7, 3.8, 3.13). Pure.

use nsq_http_api::messages::{State, Verb, VerbRequest, Which, job_path};

use crate::access::Role;
use crate::action::Level;

/// Something that is done with messages of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handling {
    /// Deferred ones become ready.
    Run,
    /// Deferred ones go.
    Cancel,
    /// Dead letters go back to their channel.
    Redrive,
    /// Dead letters go.
    Discard,
    /// What is being done with all of them ends.
    Stop,
}

/// One of them, with what it is done to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Handled {
    pub(crate) handling: Handling,
    pub(crate) topic: String,
    pub(crate) channel: String,
    /// Key and address of each node that has some.
    pub(crate) nodes: Vec<(String, String)>,
    pub(crate) which: Which,
    /// The channel of the dead-letter topic that they are in; empty for none.
    pub(crate) via: String,
}

impl Handling {
    pub(crate) const ALL: [Self; 5] = [Self::Run, Self::Cancel, Self::Redrive, Self::Discard, Self::Stop];

    /// The one of a link or a form.
    pub(crate) fn of(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|own| own.text() == text)
    }

    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Cancel => "cancel",
            Self::Redrive => "redrive",
            Self::Discard => "discard",
            Self::Stop => "stop",
        }
    }

    /// As notifications and metrics call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Run => "run_timers",
            Self::Cancel => "cancel_timers",
            Self::Redrive => "redrive_dead",
            Self::Discard => "discard_dead",
            Self::Stop => "stop_job",
        }
    }

    /// On a button.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Run => "Run now",
            Self::Cancel => "Cancel",
            Self::Redrive => "Redrive",
            Self::Discard => "Delete",
            Self::Stop => "Stop",
        }
    }

    /// What they are.
    pub(crate) fn state(self) -> State {
        match self {
            Self::Run | Self::Cancel => State::Deferred,
            Self::Redrive | Self::Discard | Self::Stop => State::Dead,
        }
    }

    /// Messages are lost.
    pub(crate) fn loses(self) -> bool {
        matches!(self, Self::Cancel | Self::Discard)
    }

    /// The lowest that may.
    pub(crate) fn role(self) -> Role {
        if self.loses() { Role::Admin } else { Role::Operator }
    }
}

impl Handled {
    pub(crate) fn is_all(&self) -> bool {
        matches!(self.which, Which::All { .. })
    }

    pub(crate) fn level(&self) -> Level {
        match self.handling {
            Handling::Stop => Level::Asked,
            handling if handling.loses() || self.is_all() => Level::Named,
            _ => Level::Asked,
        }
    }

    /// The full name of the channel.
    pub(crate) fn target(&self) -> String {
        format!("{}/{}", self.topic, self.channel)
    }

    /// Such as `all dead letters`.
    pub(crate) fn object(&self) -> String {
        let kind = match self.handling {
            Handling::Stop => return "the job".to_owned(),
            Handling::Run | Handling::Cancel => "timer",
            Handling::Redrive | Handling::Discard => "dead letter",
        };
        match &self.which {
            Which::All { .. } => format!("all {kind}s"),
            Which::Ids(ids) if ids.len() == 1 => format!("one {kind}"),
            Which::Ids(ids) => format!("{} {kind}s", ids.len()),
        }
    }

    /// Which messages, for the list of what was done.
    pub(crate) fn note(&self) -> String {
        match &self.which {
            Which::Ids(ids) => format!("{}: {}", self.object(), ids.join(", ")),
            Which::All { rate, .. } if self.handling != Handling::Stop => {
                format!("{}, {rate} in a second", self.object())
            }
            Which::All { .. } => self.object(),
        }
    }

    /// What happens, in a sentence.
    pub(crate) fn effect(&self) -> String {
        let what = match self.handling {
            Handling::Run => "They are delivered as soon as a consumer is ready, instead of at their time",
            Handling::Cancel => "They are lost to this channel; other channels keep theirs",
            Handling::Redrive => {
                "They go back to this channel only, with their ids, as if they had never been delivered"
            }
            Handling::Discard => "They are lost",
            Handling::Stop => "What is done stays done, and the rest stays where it is",
        };
        let nodes: Vec<&str> = self.nodes.iter().map(|(key, _)| key.as_str()).collect();
        format!("{what}. On {}.", nodes.join(", "))
    }

    /// Path and query of the request to each node.
    pub(crate) fn path(&self) -> String {
        if self.handling == Handling::Stop {
            return job_path(&self.topic, &self.channel, true);
        }
        VerbRequest {
            verb: if self.handling.loses() {
                Verb::Cancel
            } else {
                Verb::Run
            },
            topic: self.topic.clone(),
            channel: self.channel.clone(),
            state: self.handling.state(),
            which: self.which.clone(),
            via: self.via.clone(),
        }
        .path()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_loses_messages_or_takes_all_needs_a_name_and_the_first_an_admin() {
        for handling in Handling::ALL {
            assert_eq!(Handling::of(handling.text()), Some(handling));
            let of = |which| Handled {
                handling,
                topic: "t".to_owned(),
                channel: "c".to_owned(),
                nodes: Vec::new(),
                which,
                via: String::new(),
            };
            let all = Which::All {
                due_from: None,
                due_to: None,
                limit: 0,
                rate: 100,
            };
            let is_stop = handling == Handling::Stop;
            assert_eq!(of(all).level() == Level::Named, !is_stop, "{handling:?}");
            let one = of(Which::Ids(vec!["i".to_owned()]));
            assert_eq!(one.level() == Level::Named, handling.loses(), "{handling:?}");
            assert_eq!(handling.role() == Role::Admin, handling.loses(), "{handling:?}");
        }
    }
}
