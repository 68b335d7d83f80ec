//! The form that all pages have: where one is, what is wrong, numbers over time, what can be done, tables.

use askama::Template;
use nsq_service::http::{Failure, Reply, StatusCode};

use super::chart::{Chart, Svg};
use super::shell::Shell;
use super::table::Table;
use super::td::Td;
use super::visit::Visit;
use super::{export, headers};

/// A page.
#[derive(Template)]
#[template(path = "page.html")]
pub(super) struct Page {
    pub(super) shell: Shell,
    pub(super) title: String,
    /// The pages above this one.
    pub(super) crumbs: Vec<Link>,
    /// Beside the title, such as `paused`.
    pub(super) chips: Vec<Td>,
    /// The pages beside this one.
    pub(super) tabs: Vec<(String, String, bool)>,
    pub(super) notices: Vec<Notice>,
    pub(super) attention: Option<Attention>,
    pub(super) tiles: Vec<Tile>,
    pub(super) actions: Vec<Act>,
    pub(super) ranges: Vec<(&'static str, bool, String)>,
    pub(super) charts: Vec<Chart>,
    pub(super) tables: Vec<Table>,
    pub(super) forms: Vec<Form>,
    pub(super) texts: Vec<(&'static str, Vec<(String, String)>)>,
    /// Something long, as it is.
    pub(super) block: Option<Block>,
    /// Files of the main table: CSV and JSON.
    pub(super) exports: Option<(String, String)>,
    pub(super) status: StatusCode,
}

/// Who does not answer. This and the following are parts of a page that patches bring anew.
#[derive(Template)]
#[template(path = "strip.html")]
struct Strip<'a> {
    shell: &'a Shell,
}

#[derive(Template)]
#[template(path = "notices.html")]
struct Notices<'a> {
    notices: &'a [Notice],
}

#[derive(Template)]
#[template(path = "attention.html")]
struct AttentionList<'a> {
    attention: &'a Option<Attention>,
}

#[derive(Template)]
#[template(path = "charts.html")]
struct Charts<'a> {
    charts: &'a [Chart],
}

/// A number, and what it was.
pub(super) struct Tile {
    pub(super) label: &'static str,
    pub(super) td: Td,
    pub(super) spark: Svg,
    /// `big` for the one that the page is about.
    pub(super) size: &'static str,
}

/// What is wrong.
pub(super) struct Attention {
    pub(super) items: Vec<Item>,
    pub(super) caption: String,
    /// Said instead of items.
    pub(super) clear: String,
    /// There are more than are shown.
    pub(super) more: Option<Link>,
    pub(super) help: String,
}

/// Something that is wrong.
pub(super) struct Item {
    pub(super) severity: &'static str,
    pub(super) icon: &'static str,
    pub(super) subject: Link,
    pub(super) text: String,
    pub(super) since: String,
    pub(super) since_exact: String,
    pub(super) rule: String,
    /// What would end it.
    pub(super) act: Option<Link>,
}

/// A link.
#[derive(Clone, Debug, Default)]
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
    pub(super) class: &'static str,
    pub(super) text: String,
    pub(super) raw: String,
    /// Something to copy.
    pub(super) code: String,
}

/// A long text, as it is.
pub(super) struct Block {
    pub(super) heading: String,
    pub(super) text: String,
    /// What it can be shown as: words, whether it is, and the page with it so.
    pub(super) forms: Vec<(&'static str, bool, String)>,
    /// How much of it that is.
    pub(super) said: String,
    pub(super) links: Vec<Link>,
}

/// A form.
#[derive(Default)]
pub(super) struct Form {
    pub(super) heading: &'static str,
    pub(super) url: String,
    pub(super) csrf: String,
    pub(super) hidden: Vec<(&'static str, String)>,
    /// Why what was typed is refused.
    pub(super) refusal: String,
    pub(super) fields: Vec<Field>,
    /// A file may go with it.
    pub(super) has_file: bool,
    pub(super) hint: &'static str,
    pub(super) button: &'static str,
}

/// How the value of a field is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Input {
    #[default]
    Line,
    Area,
    File,
    /// On if the value is not empty.
    Tick,
}

/// A field of a form: text to type, or values to choose from.
#[derive(Default)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) value: String,
    pub(super) is_required: bool,
    pub(super) input: Input,
    pub(super) choices: Vec<(String, bool)>,
}

impl Page {
    /// A page with nothing on it yet.
    pub(super) fn new(shell: Shell, title: impl Into<String>) -> Self {
        Self {
            shell,
            title: title.into(),
            crumbs: Vec::new(),
            chips: Vec::new(),
            tabs: Vec::new(),
            notices: Vec::new(),
            attention: None,
            tiles: Vec::new(),
            actions: Vec::new(),
            ranges: Vec::new(),
            charts: Vec::new(),
            tables: Vec::new(),
            forms: Vec::new(),
            texts: Vec::new(),
            block: None,
            exports: None,
            status: StatusCode::OK,
        }
    }

    /// The parts that patches bring anew, by their names.
    ///
    /// # Errors
    /// A template cannot be written.
    pub(super) fn fragments(&self) -> askama::Result<[(&'static str, String); 4]> {
        let (notices, attention, charts) = (&self.notices, &self.attention, &self.charts);
        Ok([
            ("strip", Strip { shell: &self.shell }.render()?),
            ("notices", Notices { notices }.render()?),
            ("attention", AttentionList { attention }.render()?),
            ("charts", Charts { charts }.render()?),
        ])
    }

    pub(super) fn crumb(&mut self, text: &str, url: String) {
        self.crumbs.push(Link {
            text: text.to_owned(),
            url,
        });
    }

    pub(super) fn say(&mut self, text: impl Into<String>) {
        self.notices.push(Notice {
            text: text.into(),
            ..Notice::default()
        });
    }

    pub(super) fn warn(&mut self, text: impl Into<String>, raw: impl Into<String>) {
        self.notices.push(Notice {
            class: "bad",
            text: text.into(),
            raw: raw.into(),
            ..Notice::default()
        });
    }

    pub(super) fn tile(&mut self, label: &'static str, td: impl Into<Td>) {
        self.spark(label, td, Svg::default());
    }

    pub(super) fn spark(&mut self, label: &'static str, td: impl Into<Td>, spark: Svg) {
        let td = Td {
            key: super::table::key("tile", "", label),
            ..td.into()
        };
        self.tiles.push(Tile {
            label,
            td,
            spark,
            size: "",
        });
    }

    /// The page as HTML, or its main table as what the URL asks for.
    ///
    /// # Errors
    /// 500 if it cannot be written.
    pub(super) fn reply(mut self, visit: &Visit) -> Result<Reply, Failure> {
        match visit.query.get("format") {
            Some("csv") if !self.tables.is_empty() => return Ok(headers::page(export::csv(&self))),
            Some("json") => return Ok(headers::page(export::json(&self, visit)?.status(self.status))),
            _ => {}
        }
        if !self.tables.is_empty() {
            let with = |format: &str| {
                let url = visit.place.with(&[]);
                format!(
                    "{url}{}format={format}",
                    if url.contains('?') { '&' } else { '?' }
                )
            };
            self.exports = Some((with("csv"), with("json")));
        }
        super::html(&self, self.status)
    }
}
