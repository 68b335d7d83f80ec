//! Standard output: a table redrawn in place on a terminal, appended elsewhere; or one JSON document per change.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program talks to people here"
)]

use std::io::{IsTerminal as _, Write as _};

use super::options::Output;
use super::table::View;
use crate::api::NsqClusterStatus;

/// Where everything that people see goes.
#[derive(Debug)]
pub(super) struct Screen {
    output: Output,
    terminal: bool,
    /// Lines of the table at the bottom of the terminal.
    drawn: usize,
    /// What was written last as a whole: JSON, or the table of a terminal.
    last: String,
    /// What was appended last.
    view: Option<View>,
}

impl Screen {
    /// Standard output.
    pub(super) fn new(output: Output) -> Self {
        Self {
            output,
            terminal: std::io::stdout().is_terminal(),
            drawn: 0,
            last: String::new(),
            view: None,
        }
    }

    /// Shows the cluster, if it looks different from the last time.
    pub(super) fn show(&mut self, view: View, status: Option<&NsqClusterStatus>) {
        let text = match self.output {
            Output::Json => format!("{}\n", serde_json::to_string(&status).unwrap_or_default()),
            Output::Table if self.terminal => view.text(),
            Output::Table => {
                let text = view.since(self.view.as_ref());
                self.write(&text);
                self.view = Some(view);
                return;
            }
        };
        if text == self.last {
            return;
        }
        self.erase();
        self.write(&text);
        if self.output == Output::Table {
            self.drawn = rows(&text, width());
        }
        self.last = text;
    }

    /// Tells something: above the table on a terminal, on standard error beside JSON.
    pub(super) fn say(&mut self, line: &str) {
        if self.output == Output::Json {
            eprintln!("{line}");
            return;
        }
        self.erase();
        self.write(&format!("{line}\n"));
        // the table is drawn again with the next show
        self.last.clear();
    }

    /// Tells something on standard error: a mistake in the manifest, a line of a log.
    pub(super) fn warn(&mut self, text: &str) {
        self.erase();
        eprintln!("{text}");
        if self.terminal {
            self.last.clear();
        }
    }

    fn erase(&mut self) {
        if self.drawn > 0 {
            let up = format!("\x1b[{}A\x1b[J", self.drawn);
            self.write(&up);
            self.drawn = 0;
        }
    }

    /// A closed output is no reason to stop the cluster.
    fn write(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

/// Columns of the terminal; 0 if it does not tell.
fn width() -> usize {
    rustix::termios::tcgetwinsize(std::io::stdout()).map_or(0, |size| usize::from(size.ws_col))
}

/// Rows a text takes on a terminal that wraps its lines.
fn rows(text: &str, width: usize) -> usize {
    let of = |line: &str| line.chars().count().max(1).div_ceil(width);
    if width == 0 {
        return text.lines().count();
    }
    text.lines().map(of).sum()
}

#[cfg(test)]
mod tests {
    use super::rows;

    #[test]
    fn wrapped_lines_are_counted() {
        assert_eq!(
            (rows("12345\n\n123456\n", 5), rows("12345\n\n123456\n", 0)),
            (4, 3)
        );
    }
}
