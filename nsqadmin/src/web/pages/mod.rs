//! What is on the pages of a topic, a channel, a node, and on the lists.

mod lists;
mod lookup;
mod names;

use std::sync::Arc;

pub(crate) use lists::{counter, node, nodes};
pub(crate) use lookup::lookup;
pub(super) use lookup::page as lookup_page;
pub(crate) use names::{channel, topic};
use nsq_service::http::{Failure, Reply, StatusCode};

use super::html;
use super::page::{Notice, Page};
use super::view::Shell;
use crate::Shared;
use crate::model::{Snapshot, Sum};

/// The page in place of one that cannot be shown: `what` is not there if the cluster says so, otherwise it is unknown.
pub(super) fn failed(
    shared: &Arc<Shared>,
    snapshot: &Snapshot,
    what: &str,
    (is_known, may_act): (bool, bool),
    failure: &Failure,
) -> Result<Reply, Failure> {
    let is_absent = failure.code() == StatusCode::NOT_FOUND || (!is_known && !snapshot.is_blind());
    let (title, text, status) = if is_absent {
        ("Not found", format!("There is no {what}."), StatusCode::NOT_FOUND)
    } else {
        (
            "Not known",
            format!("Nothing can be said about {what}: who could know does not answer. Nothing was changed."),
            failure.code(),
        )
    };
    let mut page = Page::new(Shell::new(snapshot, &shared.base_path, "", may_act), title);
    page.notices.push(Notice {
        bad: true,
        text,
        raw: failure.message().to_owned(),
    });
    html(&page, status)
}

/// A sum over the nodes that answered, out of those that should have.
fn sum(value: i64, answered: usize, nodes: usize) -> super::fmt::Cell {
    super::fmt::Cell::sum(Sum {
        value,
        nodes: nodes.max(answered),
        answered,
    })
}
