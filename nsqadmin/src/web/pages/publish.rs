//! The form that publishes.

use nsq_service::http::Failure;

use super::super::csrf;
use super::super::page::{Field, Form, Input, Page};
use super::super::visit::Visit;
use crate::access::Role;

/// What was typed, and why it is refused.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct Draft<'a> {
    pub(in super::super) topic: &'a str,
    pub(in super::super) body: &'a str,
    pub(in super::super) by_line: bool,
    pub(in super::super) delay: &'a str,
    pub(in super::super) node: &'a str,
    pub(in super::super) refusal: &'a str,
}

/// Says why there is no form, or adds it.
pub(in super::super) fn publish(
    visit: &Visit,
    page: &mut Page,
    topic: &str,
    csrf: &str,
    can_publish: bool,
) -> Result<(), Failure> {
    if !can_publish {
        page.say("This console takes no messages: --disable-publish is set. Programs publish with to_nsq, or POST /pub of an nsqd.");
    } else if visit.role < Role::Operator {
        page.say(format!(
            "Publishing needs the role operator; you are {}.",
            visit.role.text()
        ));
    } else {
        let draft = Draft {
            topic,
            ..Draft::default()
        };
        page.forms.push(publish_form(visit, csrf, &draft)?);
    }
    Ok(())
}

pub(in super::super) fn publish_form(visit: &Visit, csrf: &str, draft: &Draft<'_>) -> Result<Form, Failure> {
    let topic = draft.topic;
    let snapshot = &visit.view.snapshot;
    let nodes = snapshot.nodes.iter().map(|node| node.key.clone());
    let choices = std::iter::once("auto".to_owned()).chain(nodes);
    Ok(Form {
        heading: "Publish",
        url: visit.url(&["topics", topic]),
        csrf: csrf.to_owned(),
        hidden: vec![("do", "publish".to_owned()), ("nonce", csrf::random()?)],
        refusal: draft.refusal.to_owned(),
        has_file: true,
        fields: vec![
            Field {
                name: "body",
                label: "Message",
                value: draft.body.to_owned(),
                input: Input::Area,
                ..Field::default()
            },
            Field {
                name: "file",
                label: "or a file, which goes as it is",
                input: Input::File,
                ..Field::default()
            },
            Field {
                name: "lines",
                label: "One message per line",
                value: if draft.by_line {
                    "on".to_owned()
                } else {
                    String::new()
                },
                input: Input::Tick,
                ..Field::default()
            },
            Field {
                name: "delay",
                label: "Delay in milliseconds, of a single message",
                value: draft.delay.to_owned(),
                ..Field::default()
            },
            Field {
                name: "node",
                label: "Node",
                choices: choices
                    .map(|key| {
                        let is_chosen = key == draft.node;
                        (key, is_chosen)
                    })
                    .collect(),
                ..Field::default()
            },
        ],
        hint: "At most 1 MiB and 1,000 messages. auto is a healthy node that has the topic, with the fewest messages of it.",
        button: "Publish",
    })
}
