//! The form that all pages but the overview have: where one is, numbers, what can be done, tables.

use askama::Template;

use super::fmt::{Cell, count};
use super::view::{Shell, Tile};

/// Rows of one table; a page of thousands of rows helps nobody.
const MAX_ROWS: usize = 500;

/// A page.
#[derive(Template)]
#[template(path = "page.html")]
pub(super) struct Page {
    pub(super) shell: Shell,
    pub(super) title: String,
    /// The pages above this one.
    pub(super) crumbs: Vec<Link>,
    /// `paused`, or on how many nodes it is; empty if nowhere.
    pub(super) paused: String,
    pub(super) notices: Vec<Notice>,
    pub(super) tiles: Vec<Tile>,
    pub(super) actions: Vec<Act>,
    pub(super) tables: Vec<Table>,
    pub(super) creation: Option<Creation>,
}

/// A link.
pub(super) struct Link {
    pub(super) text: String,
    pub(super) url: String,
}

/// A link to the page that asks before something is done.
pub(super) struct Act {
    pub(super) text: String,
    pub(super) url: String,
    /// Something is lost.
    pub(super) loses: bool,
}

/// A sentence, and everything that is known about it.
#[derive(Default)]
pub(super) struct Notice {
    pub(super) bad: bool,
    pub(super) text: String,
    pub(super) raw: String,
}

/// The form that creates topics and channels.
pub(super) struct Creation {
    pub(super) url: String,
    pub(super) csrf: String,
    pub(super) topic: String,
    pub(super) channel: String,
    /// Why what was typed is refused.
    pub(super) refusal: String,
}

/// A table.
pub(super) struct Table {
    pub(super) heading: &'static str,
    pub(super) caption: String,
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Vec<Td>>,
    /// The sum of the rows; empty if it says nothing.
    pub(super) total: Vec<Td>,
    /// Said instead of a table without rows.
    pub(super) empty: &'static str,
}

/// A column.
pub(super) struct Column {
    pub(super) text: &'static str,
    pub(super) is_number: bool,
}

/// One place in a table.
#[derive(Default)]
pub(super) struct Td {
    pub(super) text: String,
    pub(super) url: String,
    pub(super) class: &'static str,
    pub(super) title: String,
    pub(super) note: String,
    /// A chip: its class and its icon.
    pub(super) chip: Option<(&'static str, &'static str)>,
}

impl Page {
    /// A page with nothing on it yet.
    pub(super) fn new(shell: Shell, title: impl Into<String>) -> Self {
        Self {
            shell,
            title: title.into(),
            crumbs: Vec::new(),
            paused: String::new(),
            notices: Vec::new(),
            tiles: Vec::new(),
            actions: Vec::new(),
            tables: Vec::new(),
            creation: None,
        }
    }

    /// Says what upstreams did not answer.
    pub(super) fn warn(&mut self, raw: String) {
        if !raw.is_empty() {
            self.notices.push(Notice {
                bad: true,
                text: "Some upstreams did not answer; what they know is missing here.".to_owned(),
                raw,
            });
        }
    }
}

impl Table {
    /// A table of `columns`: those that start with `#` hold numbers.
    pub(super) fn new(heading: &'static str, columns: &[&'static str], mut rows: Vec<Vec<Td>>) -> Self {
        let all = rows.len();
        rows.truncate(MAX_ROWS);
        let caption = if all > rows.len() {
            format!("the first {} of {}", rows.len(), number(all).text)
        } else {
            number(all).text
        };
        Self {
            heading,
            caption,
            columns: columns
                .iter()
                .map(|text| Column {
                    text: text.trim_start_matches('#'),
                    is_number: text.starts_with('#'),
                })
                .collect(),
            rows,
            total: Vec::new(),
            empty: "Nothing here.",
        }
    }

    /// The same with the sum of the rows.
    pub(super) fn sum(mut self, total: Vec<Td>) -> Self {
        self.total = total;
        self
    }

    /// The same with what is said when there are no rows.
    pub(super) fn or(mut self, empty: &'static str) -> Self {
        self.empty = empty;
        self
    }
}

impl Td {
    /// Text.
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// A name that leads to its page.
    pub(super) fn link(text: impl Into<String>, url: String) -> Self {
        Self {
            url,
            ..Self::text(text)
        }
    }

    /// A word with an icon.
    pub(super) fn chip(class: &'static str, icon: &'static str, text: impl Into<String>) -> Self {
        Self {
            chip: Some((class, icon)),
            ..Self::text(text)
        }
    }

    /// Whether it is paused.
    pub(super) fn paused(yes: bool) -> Self {
        if yes {
            Self::chip("idle", "Ⅱ", "paused")
        } else {
            Self::default()
        }
    }

    /// Memory and disk of a depth.
    pub(super) fn split(memory: i64, disk: i64) -> Self {
        Self {
            class: "number",
            title: format!("{memory} in memory, {disk} on disk"),
            ..Self::text(format!("{} + {}", count(memory), count(disk)))
        }
    }
}

impl From<Cell> for Td {
    fn from(cell: Cell) -> Self {
        let class = match cell.class {
            "zero" => "number zero",
            "unknown" => "number unknown",
            "partial" => "number partial",
            _ => "number",
        };
        Self {
            text: cell.text,
            class,
            title: cell.title,
            note: cell.note,
            ..Self::default()
        }
    }
}

impl From<i64> for Td {
    fn from(value: i64) -> Self {
        Cell::number(value).into()
    }
}

/// How many there are.
pub(super) fn number(many: usize) -> Cell {
    Cell::number(i64::try_from(many).unwrap_or(i64::MAX))
}
