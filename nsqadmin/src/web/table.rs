//! Tables (console spec 3.0): filtered, sorted and cut to a page before a row is made.

use regex::{Regex, RegexBuilder};

use super::place::Place;
use super::td::{Rank, Td};

/// Rows of a page that can be chosen, and the one that is.
const PER: [&str; 4] = ["25", "50", "100", "200"];
const DEFAULT_PER: usize = 100;

/// Parameters that take rows away.
const FILTERS: [&str; 10] = [
    "q", "state", "node", "zone", "user", "action", "result", "age", "from", "to",
];

/// Bytes of a compiled expression.
const MAX_REGEX: usize = 1 << 20;

/// A column over things of type `T`.
pub(super) struct Column<'a, T> {
    pub(super) key: &'static str,
    pub(super) text: &'static str,
    pub(super) title: &'static str,
    pub(super) is_number: bool,
    /// In place of `text`, where it is only known at run time.
    pub(super) heading: Option<String>,
    pub(super) cell: Box<dyn Fn(&T) -> Td + 'a>,
}

impl<'a, T> Column<'a, T> {
    /// Of text.
    pub(super) fn text(
        key: &'static str,
        text: &'static str,
        title: &'static str,
        cell: impl Fn(&T) -> Td + 'a,
    ) -> Self {
        Self {
            key,
            text,
            title,
            is_number: false,
            heading: None,
            cell: Box::new(cell),
        }
    }

    /// Of numbers, which are sorted with the largest first.
    pub(super) fn number(
        key: &'static str,
        text: &'static str,
        title: &'static str,
        cell: impl Fn(&T) -> Td + 'a,
    ) -> Self {
        Self {
            is_number: true,
            ..Self::text(key, text, title, cell)
        }
    }
}

/// What a table is made of.
pub(super) struct Plan<'a, T> {
    /// Before the names of its parameters; empty for the main table of a page.
    pub(super) id: &'static str,
    pub(super) heading: &'static str,
    pub(super) columns: Vec<Column<'a, T>>,
    /// How the table is sorted before anybody chooses, as in a URL; empty for as the things come.
    pub(super) sort: &'static str,
    /// What a thing is called: for `q`, for ties, and for the keys of patches.
    pub(super) name: Box<dyn Fn(&T) -> String + 'a>,
    /// Said instead of a table without rows.
    pub(super) empty: &'static str,
    /// How many things there are, if some were left out before the table was made.
    pub(super) all: usize,
    /// Can be looked through.
    pub(super) has_filter: bool,
    /// Rows can be ticked, for something that is done to all of them.
    pub(super) has_ticks: bool,
    /// All rows on one page: for an export.
    pub(super) is_whole: bool,
    /// Rows on a page, unless somebody chose.
    pub(super) per: usize,
}

/// A table as it is shown.
#[derive(Default)]
pub(super) struct Table {
    pub(super) id: &'static str,
    pub(super) heading: &'static str,
    pub(super) caption: String,
    pub(super) heads: Vec<Head>,
    pub(super) rows: Vec<Row>,
    pub(super) total: Vec<Td>,
    pub(super) empty: &'static str,
    pub(super) filter: Option<Filter>,
    pub(super) pager: Vec<Step>,
    /// What can be done with ticked rows: the verb, its title, and whether something is lost.
    pub(super) verbs: Vec<(&'static str, &'static str, bool)>,
    /// What is wrong with the filter.
    pub(super) refusal: String,
}

/// A row.
pub(super) struct Row {
    pub(super) class: &'static str,
    /// What a tick of it stands for; empty if it has none.
    pub(super) tick: String,
    pub(super) cells: Vec<Td>,
}

/// The head of a column.
pub(super) struct Head {
    pub(super) key: &'static str,
    pub(super) text: String,
    pub(super) title: &'static str,
    pub(super) is_number: bool,
    pub(super) url: String,
    /// `ascending`, `descending` or nothing.
    pub(super) sorted: &'static str,
}

/// The form that looks through a table.
pub(super) struct Filter {
    pub(super) action: String,
    pub(super) q: String,
    /// What else was chosen, which stays.
    pub(super) kept: Vec<(String, String)>,
    /// What is in force: its words, and the page without it.
    pub(super) chips: Vec<(String, String)>,
    pub(super) clear: String,
    /// Choices of one parameter: its name, its label, and values with whether they are chosen.
    pub(super) choices: Vec<Choice>,
    /// What can be typed beside `q`: its name, its label, and what was typed.
    pub(super) inputs: Vec<(&'static str, &'static str, String)>,
}

/// A list of values to choose from.
pub(super) struct Choice {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    /// What is in force while nothing is chosen; empty for any of them.
    pub(super) default: &'static str,
    pub(super) values: Vec<(String, bool)>,
}

/// A link to another page of the table, or the one that is shown.
pub(super) struct Step {
    pub(super) text: String,
    /// Empty for where one is.
    pub(super) url: String,
}

/// How names are looked through.
enum Matcher {
    All,
    Part(String),
    Regex(Regex),
    Broken(String),
}

impl Matcher {
    fn of(q: &str) -> Self {
        match q.strip_prefix("re:") {
            Some(pattern) => match RegexBuilder::new(pattern)
                .case_insensitive(true)
                .size_limit(MAX_REGEX)
                .build()
            {
                Ok(regex) => Self::Regex(regex),
                Err(_) => Self::Broken(format!(
                    "“{pattern}” is no regular expression that can be used, so everything is shown."
                )),
            },
            None if q.is_empty() => Self::All,
            None => Self::Part(q.to_lowercase()),
        }
    }

    fn matches(&self, name: &str) -> bool {
        match self {
            Self::All | Self::Broken(_) => true,
            Self::Part(part) => name.to_lowercase().contains(part.as_str()),
            Self::Regex(regex) => regex.is_match(name),
        }
    }
}

impl<T> Plan<'_, T> {
    fn param(&self, name: &'static str) -> String {
        if self.id.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.id)
        }
    }

    /// The table of `things`, as `place` wants it.
    pub(super) fn show(
        self,
        things: Vec<T>,
        place: &Place,
        row_class: impl Fn(&T) -> &'static str,
    ) -> (Table, Vec<T>) {
        let all = things.len().max(self.all);
        let q = if self.has_filter { place.get("q") } else { "" };
        let matcher = Matcher::of(q);
        let mut named: Vec<(String, T)> = things
            .into_iter()
            .map(|thing| ((self.name)(&thing), thing))
            .filter(|(name, _)| matcher.matches(name))
            .collect();
        let (column, is_descending) = self.sorting(place);
        if let Some(column) = column.and_then(|at| self.columns.get(at)) {
            let mut ranked: Vec<(Rank, (String, T))> = named
                .into_iter()
                .map(|pair| ((column.cell)(&pair.1).rank, pair))
                .collect();
            ranked.sort_by(|(a, (a_name, _)), (b, (b_name, _))| {
                a.order(b, is_descending).then_with(|| a_name.cmp(b_name))
            });
            named = ranked.into_iter().map(|(_, pair)| pair).collect();
        }
        let per_name = self.param("per");
        let chosen = Some(place.get(&per_name))
            .filter(|per| PER.contains(per))
            .and_then(|per| per.parse().ok());
        let per = if self.is_whole {
            usize::MAX
        } else {
            chosen.unwrap_or(self.per)
        };
        let pages = named.len().div_ceil(per).max(1);
        let page = place
            .get(&self.param("page"))
            .parse::<usize>()
            .unwrap_or(1)
            .clamp(1, pages);
        let first = (page - 1).saturating_mul(per);
        let shown = named.iter().skip(first).take(per);
        let rows: Vec<Row> = shown
            .map(|(name, thing)| Row {
                class: row_class(thing),
                tick: if self.has_ticks {
                    name.clone()
                } else {
                    String::new()
                },
                cells: self
                    .columns
                    .iter()
                    .map(|column| {
                        let td = (column.cell)(thing);
                        let is_partial = td.class == "number partial";
                        Td {
                            key: key(self.id, name, column.key),
                            // in a row the colour and the tooltip say it; the sum says it in words
                            note: if is_partial { String::new() } else { td.note },
                            ..td
                        }
                    })
                    .collect(),
            })
            .collect();
        let table = Table {
            id: self.id,
            heading: self.heading,
            caption: caption(first, rows.len(), named.len(), all),
            heads: self.heads(place, column, is_descending),
            rows,
            total: Vec::new(),
            empty: if q.is_empty() {
                self.empty
            } else {
                "Nothing fits the filter."
            },
            filter: self.has_filter.then(|| filter(place, q)),
            pager: self.pager(place, page, pages),
            verbs: Vec::new(),
            refusal: match matcher {
                Matcher::Broken(why) => why,
                _ => String::new(),
            },
        };
        (table, named.into_iter().map(|(_, thing)| thing).collect())
    }

    /// The column that rows are sorted by, and whether from the largest on.
    fn sorting(&self, place: &Place) -> (Option<usize>, bool) {
        let name = self.param("sort");
        let known = |text: &str| {
            let column = text.trim_start_matches('-');
            let at = self.columns.iter().position(|own| own.key == column)?;
            Some((Some(at), text.starts_with('-')))
        };
        known(place.get(&name))
            .or_else(|| known(self.sort))
            .unwrap_or((None, false))
    }

    fn heads(&self, place: &Place, sorted: Option<usize>, is_descending: bool) -> Vec<Head> {
        let name = self.param("sort");
        let page = self.param("page");
        let columns = self.columns.iter().enumerate();
        columns
            .map(|(at, column)| {
                let is_sorted = sorted == Some(at);
                let descends = if is_sorted {
                    !is_descending
                } else {
                    column.is_number
                };
                let value = format!("{}{}", if descends { "-" } else { "" }, column.key);
                Head {
                    key: column.key,
                    text: column.heading.clone().unwrap_or_else(|| column.text.to_owned()),
                    title: column.title,
                    is_number: column.is_number,
                    url: place.with(&[(&name, &value), (&page, "")]),
                    sorted: match (is_sorted, is_descending) {
                        (false, _) => "",
                        (true, false) => "ascending",
                        (true, true) => "descending",
                    },
                }
            })
            .collect()
    }

    fn pager(&self, place: &Place, page: usize, pages: usize) -> Vec<Step> {
        if pages == 1 {
            return Vec::new();
        }
        let name = self.param("page");
        let step = |text: String, to: usize| Step {
            text,
            url: if to == page {
                String::new()
            } else {
                place.with(&[(&name, &to.to_string())])
            },
        };
        let near = (1..=pages).filter(|to| *to == 1 || *to == pages || to.abs_diff(page) <= 2);
        let mut steps: Vec<Step> = near.map(|to| step(to.to_string(), to)).collect();
        if page > 1 {
            steps.insert(0, step("Previous".to_owned(), page - 1));
        }
        if page < pages {
            steps.push(step("Next".to_owned(), page + 1));
        }
        steps
    }
}

impl<T> Default for Plan<'_, T> {
    fn default() -> Self {
        Self {
            id: "",
            heading: "",
            columns: Vec::new(),
            sort: "",
            name: Box::new(|_| String::new()),
            empty: "Nothing here.",
            all: 0,
            has_filter: false,
            has_ticks: false,
            is_whole: false,
            per: DEFAULT_PER,
        }
    }
}

fn caption(first: usize, shown: usize, fitting: usize, all: usize) -> String {
    let number = |many: usize| super::fmt::count(i64::try_from(many).unwrap_or(i64::MAX));
    let filtered = if fitting < all {
        format!(" (filtered from {})", number(all))
    } else {
        String::new()
    };
    if shown == fitting {
        format!("all {}{filtered}", number(fitting))
    } else {
        format!(
            "showing {}–{} of {}{filtered}",
            number(first + 1),
            number(first + shown),
            number(fitting)
        )
    }
}

fn filter(place: &Place, q: &str) -> Filter {
    let kept = place.but(&["page"]).filter(|(name, _)| !FILTERS.contains(name));
    let mut chips = Vec::new();
    for name in FILTERS {
        let value = place.get(name);
        if !value.is_empty() {
            chips.push((
                format!("{name}: {value}"),
                place.with(&[(name, ""), ("page", "")]),
            ));
        }
    }
    Filter {
        action: place.path().to_owned(),
        q: q.to_owned(),
        kept: kept
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        chips,
        clear: place.with(
            &FILTERS
                .iter()
                .chain(&["page"])
                .map(|name| (*name, ""))
                .collect::<Vec<_>>(),
        ),
        choices: Vec::new(),
        inputs: Vec::new(),
    }
}

/// The key of a value, the same on every replica: its row in short (FNV-1a), which packs well as all of a row have it, and its
/// column.
pub(super) fn key(table: &str, row: &str, column: &str) -> String {
    let bytes = [table, row]
        .into_iter()
        .flat_map(|part| part.bytes().chain([0xff]));
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{:08x}.{column}", hash >> 32)
}

#[cfg(test)]
mod tests;
