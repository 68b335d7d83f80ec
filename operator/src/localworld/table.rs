//! The table people see. Pure: values in, text out. Source: operator spec 8.5.

use std::fmt::Write as _;

use crate::api::NsqClusterStatus;

/// Blockers told in a note.
const MAX_BLOCKERS: usize = 2;

/// One daemon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) state: String,
    pub(super) tcp: String,
    pub(super) http: String,
    pub(super) pid: String,
    pub(super) note: String,
}

/// Everything on the screen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct View {
    pub(super) cluster: String,
    pub(super) phase: String,
    pub(super) message: String,
    pub(super) nsqd: String,
    pub(super) lookupd: String,
    pub(super) admin: String,
    pub(super) rows: Vec<Row>,
    pub(super) publish: String,
    pub(super) consume: Vec<String>,
    pub(super) console: String,
    pub(super) data: String,
    pub(super) kept: bool,
    /// People have the one command, which finds the cluster by itself.
    pub(super) one_command: bool,
}

impl View {
    /// The table with its head and the lines to copy.
    pub(super) fn text(&self) -> String {
        let mut text = self.head_and_message();
        text.push_str(&table(&self.rows));
        text.push_str(&self.foot());
        text
    }

    fn head(&self) -> String {
        let mut head = format!(
            "cluster {}   {}   nsqd {}   nsqlookupd {}",
            self.cluster, self.phase, self.nsqd, self.lookupd
        );
        if !self.admin.is_empty() {
            let _ = write!(head, "   nsqadmin {}", self.admin);
        }
        head.push('\n');
        head
    }

    fn head_and_message(&self) -> String {
        let mut head = self.head();
        if !self.message.is_empty() {
            let _ = writeln!(head, "  {}", self.message);
        }
        head
    }

    fn foot(&self) -> String {
        let mut foot = String::from("\n");
        if self.one_command {
            foot.push_str("publish   nsq pub test hello\nconsume   nsq tail test\n");
        } else {
            self.tools(&mut foot);
        }
        if !self.console.is_empty() {
            let _ = writeln!(foot, "console   {}", self.console);
        }
        let kept = if self.kept { "kept" } else { "removed at the end" };
        let _ = writeln!(foot, "data      {} ({kept})    stop with Ctrl-C", self.data);
        foot
    }

    fn tools(&self, foot: &mut String) {
        if !self.publish.is_empty() {
            let _ = writeln!(
                foot,
                "publish   curl -d hello 'http://{}/pub?topic=test'",
                self.publish
            );
        }
        if !self.consume.is_empty() {
            let lookupds: Vec<String> = self
                .consume
                .iter()
                .map(|address| format!("--lookupd-http-address={address}"))
                .collect();
            let _ = writeln!(foot, "consume   nsq_tail --topic=test {}", lookupds.join(" "));
        }
    }

    /// What is appended after `before`: the table if a state changed, the lines to copy if an address did, the message alone
    /// if only that did. Numbers that tick append nothing.
    pub(super) fn since(&self, before: Option<&Self>) -> String {
        let Some(before) = before else {
            return format!("{}\n", self.text());
        };
        let (still, then) = (self.calm(), before.calm());
        let foot = if self.foot() == before.foot() {
            String::new()
        } else {
            self.foot()
        };
        if still.head() != then.head() || still.rows != then.rows {
            return format!("{}{}{foot}\n", self.head_and_message(), table(&self.rows));
        }
        if still.message != then.message && !self.message.is_empty() {
            return format!("  {}\n", self.message);
        }
        foot
    }

    /// The same without numbers that tick.
    fn calm(&self) -> Self {
        let mut still = self.clone();
        let calm = |text: &mut String| text.retain(|letter| !letter.is_ascii_digit());
        calm(&mut still.message);
        for row in &mut still.rows {
            calm(&mut row.note);
        }
        still
    }
}

fn table(rows: &[Row]) -> String {
    let head = Row {
        name: "NAME".to_owned(),
        state: "STATE".to_owned(),
        tcp: "TCP".to_owned(),
        http: "HTTP".to_owned(),
        pid: "PID".to_owned(),
        note: "NOTE".to_owned(),
    };
    let all: Vec<&Row> = std::iter::once(&head).chain(rows).collect();
    let width =
        |part: fn(&Row) -> &str, gap: usize| all.iter().map(|row| part(row).len()).max().unwrap_or(0) + gap;
    let (name, state) = (width(|row| &row.name, 3), width(|row| &row.state, 3));
    let (tcp, http) = (width(|row| &row.tcp, 4), width(|row| &row.http, 4));
    let pid = width(|row| &row.pid, 3);
    let mut text = String::new();
    for row in all {
        let line = format!(
            "{:name$}{:state$}{:tcp$}{:http$}{:pid$}{}",
            row.name, row.state, row.tcp, row.http, row.pid, row.note
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// What a drain says about a node: `orders/billing 812, no consumers, evacuating`.
pub(super) fn drain_note(status: &NsqClusterStatus, name: &str) -> Option<String> {
    let node = status
        .drain
        .as_ref()?
        .nodes
        .iter()
        .find(|node| node.pod == name)?;
    let mut parts: Vec<String> = Vec::new();
    for blocker in node.blockers.iter().take(MAX_BLOCKERS) {
        let place = match (blocker.topic.as_str(), blocker.channel.as_str()) {
            ("", _) => String::new(),
            (topic, "") => format!("{topic} {}, ", blocker.messages),
            (topic, channel) => format!("{topic}/{channel} {}, ", blocker.messages),
        };
        parts.push(format!("{place}{}", crate::plan::blocker_words(blocker.reason)));
    }
    let left = node.depth + node.in_flight + node.deferred;
    if parts.is_empty() && left > 0 {
        parts.push(format!("{left} messages left"));
    }
    if node.evacuated > 0 {
        parts.push(format!("{} evacuated", node.evacuated));
    }
    Some(parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, state: &str, tcp: &str, http: &str, pid: &str, note: &str) -> Row {
        let own = str::to_owned;
        Row {
            name: own(name),
            state: own(state),
            tcp: own(tcp),
            http: own(http),
            pid: own(pid),
            note: own(note),
        }
    }

    #[test]
    fn the_table_of_the_specification() {
        let view = View {
            cluster: "demo".to_owned(),
            phase: "Running".to_owned(),
            nsqd: "1/1".to_owned(),
            lookupd: "1/1".to_owned(),
            admin: "1/1".to_owned(),
            rows: vec![
                row(
                    "nsqlookupd-0",
                    "Running",
                    "127.0.0.1:4160",
                    "127.0.0.1:4161",
                    "4121",
                    "",
                ),
                row(
                    "nsqd-0",
                    "Draining",
                    "127.0.0.1:4150",
                    "127.0.0.1:4151",
                    "4125",
                    "orders/billing 812, no consumers",
                ),
                row("nsqadmin", "Running", "", "127.0.0.1:4171", "4130", ""),
            ],
            publish: "127.0.0.1:4151".to_owned(),
            consume: vec!["127.0.0.1:4161".to_owned()],
            console: "http://127.0.0.1:4171/".to_owned(),
            data: "./nsq-data/demo".to_owned(),
            kept: true,
            ..View::default()
        };
        let expected = "\
cluster demo   Running   nsqd 1/1   nsqlookupd 1/1   nsqadmin 1/1
NAME           STATE      TCP               HTTP              PID    NOTE
nsqlookupd-0   Running    127.0.0.1:4160    127.0.0.1:4161    4121
nsqd-0         Draining   127.0.0.1:4150    127.0.0.1:4151    4125   orders/billing 812, no consumers
nsqadmin       Running                      127.0.0.1:4171    4130

publish   curl -d hello 'http://127.0.0.1:4151/pub?topic=test'
consume   nsq_tail --topic=test --lookupd-http-address=127.0.0.1:4161
console   http://127.0.0.1:4171/
data      ./nsq-data/demo (kept)    stop with Ctrl-C
";
        assert_eq!(view.text(), expected);
    }

    #[test]
    fn only_changes_are_appended() {
        let view = View {
            cluster: "demo".to_owned(),
            phase: "Draining".to_owned(),
            message: "nsqd-2 812 messages left".to_owned(),
            rows: vec![row(
                "nsqd-2",
                "Draining",
                "",
                "",
                "1",
                "orders/billing 812, no consumers",
            )],
            ..View::default()
        };
        assert_eq!(view.since(None), format!("{}\n", view.text()));
        let mut later = view.clone();
        later.message = "nsqd-2 700 messages left".to_owned();
        later.rows[0].note = "orders/billing 700, no consumers".to_owned();
        assert_eq!(later.since(Some(&view)), "");
        later.message = "nsqd-2 empty".to_owned();
        assert_eq!(later.since(Some(&view)), "  nsqd-2 empty\n");
        later.rows[0].state = "Sealed".to_owned();
        assert!(later.since(Some(&view)).starts_with("cluster demo   Draining"));
        assert!(
            !later.since(Some(&view)).contains("stop with Ctrl-C"),
            "the lines to copy are the same"
        );
    }
}
