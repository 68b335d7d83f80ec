//! What is to be done, and the page that asks for it.

use askama::Template;
use nsq_http_api::messages::Which;
use nsq_service::http::{Failure, Reply, Request, StatusCode};

use super::super::csrf::{self, Token};
use super::super::pages::lost_of_entry;
use super::super::shell::Shell;
use super::super::visit::Visit;
use super::super::{fmt, html, urls};
use crate::Shared;
use crate::action::{Action, Level, Verb};
use crate::audit::Entry;
use crate::handling::{Handled, Handling};
use crate::model::{Numbers, Sum};
use crate::perform::Deed;

/// Topics that can be ticked at one time.
pub(super) const MAX_TICKS: usize = 100;

/// The page that asks.
#[derive(Template)]
#[template(path = "confirm.html")]
struct Confirm {
    shell: Shell,
    question: String,
    effects: Vec<String>,
    url: String,
    back: String,
    csrf: String,
    nonce: String,
    hidden: Vec<(&'static str, String)>,
    loses: bool,
    /// What the first column of `lost` is.
    of: &'static str,
    lost: Vec<[String; 5]>,
    /// The first messages concerned.
    concerned: Vec<[String; 4]>,
    /// What can be chosen: its name, its label, and what it is unless somebody does.
    inputs: Vec<(&'static str, &'static str, String)>,
    warnings: Vec<String>,
    phrase: String,
    typed: String,
    refusal: String,
    button: String,
}

/// What is to be done, and how the page that asks for it says so.
pub(super) struct Wish {
    pub(super) deeds: Vec<Deed>,
    pub(super) level: Level,
    /// What has to be typed before something is lost.
    pub(super) phrase: String,
    question: String,
    button: String,
    effects: Vec<String>,
    /// Where the form goes.
    url: String,
    back: String,
    hidden: Vec<(&'static str, String)>,
    /// Topics are the rows, not nodes.
    is_bulk: bool,
    /// The first messages concerned.
    pub(super) concerned: Vec<[String; 4]>,
    inputs: Vec<(&'static str, &'static str, String)>,
}

impl Wish {
    /// Of the path of a topic or a channel; none for a verb that does not exist or does not fit.
    pub(super) fn of_path(request: &Request, base: &str, verb: &str, node: &str) -> Option<Self> {
        let verb = Verb::of(verb)?;
        let channel = Some(request.param("channel").to_owned()).filter(|channel| !channel.is_empty());
        let is_everywhere = node.is_empty();
        let fits = match verb {
            Verb::Tombstone => channel.is_none() && !is_everywhere,
            Verb::Delete => is_everywhere,
            _ => true,
        };
        let action = Action {
            verb,
            topic: request.param("topic").to_owned(),
            channel,
            node: (!is_everywhere).then(|| node.to_owned()),
        };
        fits.then(|| Self::of_action(action, base))
    }

    fn of_action(action: Action, base: &str) -> Self {
        let verb = action.verb;
        let kind = if action.channel.is_some() {
            "channel"
        } else {
            "topic"
        };
        let here = action
            .node
            .as_ref()
            .map_or(String::new(), |node| format!(" on {node}"));
        let url = url_of(&action, base);
        Self {
            level: verb.level(),
            phrase: action.target(),
            question: format!("{} {kind} {}{here}?", verb.title(), action.target()),
            button: format!("{} {}{here}", verb.title(), action.object()),
            effects: vec![action.effect()],
            back: match (&action.node, verb) {
                (Some(node), Verb::Tombstone) => urls::below(base, &["nodes", node]),
                _ => url.clone(),
            },
            url,
            hidden: vec![
                ("do", verb.text().to_owned()),
                ("node", action.node.clone().unwrap_or_default()),
            ],
            is_bulk: false,
            concerned: Vec::new(),
            inputs: Vec::new(),
            deeds: vec![Deed::Act(action)],
        }
    }

    /// Of many topics. Names that stand there twice are one.
    ///
    /// # Errors
    /// Why it cannot be.
    pub(super) fn of_topics(base: &str, verb: &str, mut topics: Vec<String>) -> Result<Self, String> {
        let verb = Verb::of(verb)
            .filter(|verb| *verb != Verb::Tombstone)
            .ok_or("That cannot be done with topics.")?;
        topics.sort();
        topics.dedup();
        match topics.len() {
            0 => return Err("No topic is ticked, so nothing was done. Tick the topics first.".to_owned()),
            many if many > MAX_TICKS => {
                return Err(format!(
                    "{many} topics are ticked, and {MAX_TICKS} can be at one time. Nothing was done."
                ));
            }
            _ => {}
        }
        let action = |topic: &String| Action {
            verb,
            topic: topic.clone(),
            channel: None,
            node: None,
        };
        let actions: Vec<Action> = topics.iter().map(action).collect();
        let phrase = phrase(verb, actions.len());
        let title = format!("{}{}", verb.title(), &phrase[verb.text().len()..]);
        let hidden = topics.iter().map(|topic| ("topic", topic.clone()));
        Ok(Self {
            level: verb.level(),
            question: format!("{title}?"),
            button: title,
            effects: actions
                .first()
                .map(|action| format!("For each of them: {}", lower(&action.effect())))
                .into_iter()
                .collect(),
            phrase,
            url: urls::below(base, &["topics"]),
            back: urls::below(base, &["topics"]),
            hidden: std::iter::once(("do", verb.text().to_owned()))
                .chain(hidden)
                .collect(),
            is_bulk: true,
            concerned: Vec::new(),
            inputs: Vec::new(),
            deeds: actions.into_iter().map(Deed::Act).collect(),
        })
    }

    /// Of messages that wait in the channel at `url`, from behind this tab.
    pub(super) fn of_handled(
        handled: Handled,
        url: &str,
        tab: &str,
        mut hidden: Vec<(&'static str, String)>,
    ) -> Self {
        let title = format!("{} {}", handled.handling.title(), handled.object());
        hidden.insert(0, ("do", handled.handling.text().to_owned()));
        match &handled.which {
            Which::Ids(ids) => hidden.extend(ids.iter().map(|id| ("id", id.clone()))),
            Which::All { .. } => hidden.push(("all", "true".to_owned())),
        }
        let inputs = match &handled.which {
            Which::All { rate, limit, .. } if handled.handling != Handling::Stop => vec![
                (
                    "rate",
                    "Messages in a second; 0 for as fast as it goes",
                    rate.to_string(),
                ),
                ("limit", "Messages in all; 0 for all of them", limit.to_string()),
            ],
            _ => Vec::new(),
        };
        Self {
            level: handled.level(),
            phrase: handled.target(),
            question: format!("{title} of {}?", handled.target()),
            button: title,
            effects: vec![handled.effect()],
            url: url.to_owned(),
            back: format!("{url}?tab={tab}"),
            hidden,
            is_bulk: false,
            concerned: Vec::new(),
            inputs,
            deeds: vec![Deed::Handle(handled)],
        }
    }

    /// What is done with messages that wait, if it is that.
    pub(super) fn handled(&self) -> Option<&Handled> {
        match self.deeds.as_slice() {
            [Deed::Handle(handled)] => Some(handled),
            _ => None,
        }
    }

    /// What is left of something that was done in part only; none if nothing is.
    pub(super) fn again(base: &str, entry: &Entry) -> Option<Self> {
        let deeds: Vec<Deed> = entry.done().iter().filter_map(|done| done.again()).collect();
        let first = deeds.first()?.action()?.clone();
        let url = urls::below(base, &["audit", &entry.id]);
        let is_bulk = entry.targets.len() > 1;
        let count = deeds.len();
        let requests: usize = deeds
            .iter()
            .map(|deed| match deed {
                Deed::Again(_, calls) => calls.len(),
                _ => 1,
            })
            .sum();
        let what = if is_bulk {
            format!("{} {count} topics", first.verb.title())
        } else {
            format!("{} {}", first.verb.title(), first.object())
        };
        let failed = match requests {
            1 => "Only what failed is done again: one request.".to_owned(),
            many => format!("Only what failed is done again: {many} requests."),
        };
        Some(Self {
            level: entry.level,
            phrase: if is_bulk {
                phrase(first.verb, count)
            } else {
                first.target()
            },
            question: format!("Try again: {what}?"),
            button: format!("Try again ({requests})"),
            effects: vec![failed, first.effect()],
            back: url.clone(),
            url,
            hidden: vec![("do", "retry".to_owned())],
            is_bulk,
            concerned: Vec::new(),
            inputs: Vec::new(),
            deeds,
        })
    }

    pub(super) fn name(&self) -> &'static str {
        self.deeds.first().map_or("unknown", Deed::name)
    }

    /// The lowest that may.
    pub(super) fn role(&self) -> crate::access::Role {
        let roles = self.deeds.iter().map(Deed::role);
        roles.max().unwrap_or(crate::access::Role::Operator)
    }

    /// What is there now: by node, or by topic.
    pub(super) fn there(&self, visit: &Visit) -> Vec<[String; 5]> {
        if self.is_bulk {
            self.deeds.iter().map(|deed| topic_row(visit, deed)).collect()
        } else {
            self.deeds
                .iter()
                .flat_map(|deed| node_rows(visit, deed))
                .collect()
        }
    }

    /// The page that asks, with what was typed and why it is refused.
    pub(super) fn ask(
        &self,
        shared: &Shared,
        visit: &Visit,
        token: &Token,
        (typed, refusal): (&str, &str),
        status: StatusCode,
    ) -> Result<Reply, Failure> {
        let loses = self.level == Level::Named;
        let page = Confirm {
            shell: Shell::new(visit, ""),
            question: self.question.clone(),
            effects: self.effects.clone(),
            url: self.url.clone(),
            back: self.back.clone(),
            csrf: token.text.clone(),
            nonce: csrf::random()?,
            hidden: self.hidden.clone(),
            loses,
            of: if self.is_bulk { "Topic" } else { "Node" },
            lost: if loses || self.is_bulk {
                self.there(visit)
            } else {
                Vec::new()
            },
            concerned: self.concerned.clone(),
            inputs: self.inputs.clone(),
            warnings: if loses { self.warnings(visit) } else { Vec::new() },
            phrase: self.phrase.clone(),
            typed: typed.to_owned(),
            refusal: refusal.to_owned(),
            button: self.button.clone(),
        };
        Ok(token.keep(html(&page, status)?, &shared.base_path))
    }

    /// Why one should look twice.
    fn warnings(&self, visit: &Visit) -> Vec<String> {
        let mut numbers = Numbers::default();
        let mut entered = 0.0_f32;
        let (mut nodes, mut answered) = (0, 0);
        for action in self.deeds.iter().filter_map(Deed::action) {
            let Some(topic) = visit.view.snapshot.topic(&action.topic) else {
                continue;
            };
            match &action.channel {
                Some(channel) => {
                    if let Some(channel) = topic.channel(channel) {
                        numbers.add(&channel.numbers);
                    }
                }
                None => numbers.add(&topic.sum),
            }
            entered += Some(topic.own.rates.entered)
                .filter(|rate| !rate.is_nan())
                .unwrap_or(0.0);
            let Sum {
                nodes: own,
                answered: here,
            } = topic.spread.sum();
            nodes = own.max(nodes);
            answered = if here < own { here } else { answered.max(here) };
        }
        let mut warnings = Vec::new();
        match numbers.clients {
            0 => {}
            1 => warnings.push("1 client is connected.".to_owned()),
            many => warnings.push(format!("{many} clients are connected.")),
        }
        if entered > 0.0 {
            let speed = fmt::rate(f64::from(entered));
            warnings.push(format!("Messages are coming in: {speed}."));
        }
        if answered < nodes {
            warnings.push(format!(
                "{} of {nodes} nodes do not answer: what they have is not known.",
                nodes - answered
            ));
        }
        warnings
    }
}

/// A sentence that goes on.
fn lower(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

/// Such as `delete 14 topics`.
fn phrase(verb: Verb, many: usize) -> String {
    let s = if many == 1 { "" } else { "s" };
    format!("{} {many} topic{s}", verb.text())
}

pub(super) fn url_of(action: &Action, base: &str) -> String {
    match &action.channel {
        None => urls::below(base, &["topics", &action.topic]),
        Some(channel) => urls::below(base, &["topics", &action.topic, channel]),
    }
}

/// Depth, in flight, deferred and clients of a topic in the whole cluster.
fn topic_row(visit: &Visit, deed: &Deed) -> [String; 5] {
    let name = deed.target();
    match visit.view.snapshot.topic(&name) {
        None => lost_of_entry(name, None),
        Some(topic) => {
            let mut sum = topic.sum;
            sum.add(&topic.own);
            lost_of_entry(name, Some(&sum))
        }
    }
}

/// What an action would take, on each node that it is for.
fn node_rows(visit: &Visit, deed: &Deed) -> Vec<[String; 5]> {
    let Some(action) = deed.action() else {
        return Vec::new();
    };
    let is_meant = |key: &str| match deed {
        Deed::Again(_, calls) => calls.iter().any(|call| call.address == key),
        _ => action.node.as_deref().is_none_or(|node| node == key),
    };
    let nodes = visit.view.snapshot.on_nodes(&action.topic);
    let rows = nodes.filter(|(node, _)| is_meant(&node.key) || is_meant(&node.address));
    rows.filter_map(|(node, topic)| {
        let mut sum = Numbers::default();
        match &action.channel {
            Some(channel) => sum.add(&topic.channel(channel)?.numbers),
            None => {
                sum.add(&topic.own);
                if action.verb != Verb::Empty {
                    topic
                        .channels
                        .iter()
                        .for_each(|channel| sum.add(&channel.numbers));
                }
            }
        }
        Some(lost_of_entry(node.key.clone(), Some(&sum)))
    })
    .collect()
}
