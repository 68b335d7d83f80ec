//! A cluster that the real `nsq-operator local` runs from a manifest in a folder of its own.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::process::Process;
use crate::program;

/// Starting seven processes, on a machine that does other things.
const START: Duration = Duration::from_secs(60);

/// The running cluster. Its processes end when it is dropped: the operator is killed, and the daemons with their parent.
pub struct LocalCluster {
    /// The operator.
    pub process: Process,
    folder: TempDir,
}

/// What the table says of one daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// For example `nsqd-0`.
    pub name: String,
    /// For example `Active`, `Running`, `Draining`.
    pub state: String,
    /// `host:port` of the TCP protocol, empty for nsqadmin.
    pub tcp: String,
    /// `host:port` of HTTP.
    pub http: String,
    /// Process id, 0 if there is none now.
    pub pid: u32,
}

impl LocalCluster {
    /// Starts a cluster and waits until it is complete. `spec` is the YAML below `spec:`, indented by two spaces.
    #[must_use]
    pub fn start(spec: &str) -> Self {
        Self::start_with(spec, &[])
    }

    /// The same with further flags for `nsq-operator local`.
    #[must_use]
    pub fn start_with(spec: &str, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_manifest(folder.path().join("cluster.yaml"), spec);
        let mut command = Command::new(program("nsq-operator"));
        command
            .current_dir(folder.path())
            .args(["local", "-f", "cluster.yaml", "--data-dir", "data"])
            .args(flags);
        let mut cluster = Self {
            process: Process::start("nsq-operator local", &mut command),
            folder,
        };
        cluster.wait_complete(START);
        cluster
    }

    /// Replaces the manifest, as an editor does: a new file is renamed over it.
    pub fn edit(&self, spec: &str) {
        let new = self.folder.path().join("cluster.yaml.new");
        write_manifest(new.clone(), spec);
        fs::rename(new, self.folder.path().join("cluster.yaml")).unwrap();
    }

    /// The last table that was printed whole: the phase of the cluster, and its daemons.
    #[must_use]
    pub fn table(&self) -> Option<(String, Vec<Node>)> {
        last_table(&self.process.text_lines())
    }

    /// The daemons of the last table.
    #[must_use]
    pub fn nodes(&self) -> Vec<Node> {
        self.table().map(|(_, nodes)| nodes).unwrap_or_default()
    }

    /// The nsqds of the last table.
    #[must_use]
    pub fn nsqds(&self) -> Vec<Node> {
        self.nodes()
            .into_iter()
            .filter(|node| node.name.starts_with("nsqd-"))
            .collect()
    }

    /// HTTP addresses of the nsqlookupds.
    #[must_use]
    pub fn lookupds(&self) -> Vec<String> {
        self.nodes()
            .into_iter()
            .filter(|node| node.name.starts_with("nsqlookupd-"))
            .map(|node| node.http)
            .collect()
    }

    /// True if the phase is Running and every daemon is active or running.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.table().is_some_and(|(phase, nodes)| {
            phase == "Running"
                && nodes
                    .iter()
                    .all(|node| matches!(node.state.as_str(), "Active" | "Running"))
        })
    }

    /// Waits for [`is_complete`](Self::is_complete).
    ///
    /// # Panics
    /// It is not within `bound`, or the operator ended; the message has what it printed last.
    pub fn wait_complete(&mut self, bound: Duration) {
        self.wait_for(bound, "the cluster is complete", |cluster| {
            cluster.is_complete().then_some(())
        });
    }

    /// Waits until exactly `count` nsqds are there, all active.
    ///
    /// # Panics
    /// It is not so within `bound`.
    #[must_use]
    pub fn wait_nsqds(&mut self, count: usize, bound: Duration) -> Vec<Node> {
        self.wait_for(bound, &format!("{count} nsqds"), |cluster| {
            Some(cluster.nsqds()).filter(|nsqds| nsqds.len() == count && cluster.is_complete())
        })
    }

    /// Waits for a value; if it does not come, the message has what the operator printed last.
    fn wait_for<T>(&mut self, bound: Duration, what: &str, ask: impl Fn(&Self) -> Option<T>) -> T {
        let end = Instant::now() + bound;
        loop {
            if let Some(value) = ask(self) {
                return value;
            }
            let printed = self.process.text_lines();
            let last = printed[printed.len().saturating_sub(25)..].join("\n");
            assert!(
                self.process.is_running(),
                "nsq-operator ended:\n{last}\n{}",
                self.process.errors()
            );
            assert!(
                Instant::now() < end,
                "not within {bound:?}: {what}\n{last}\n{}",
                self.process.errors()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// SIGTERM, and the operator ends with 0 after its daemons.
    pub fn stop(mut self) {
        self.process.terminate(Duration::from_secs(60));
    }
}

/// A table begins with the cluster and ends with an empty line behind its rows; one without it is still being written.
fn last_table(lines: &[String]) -> Option<(String, Vec<Node>)> {
    let starts = (0..lines.len())
        .rev()
        .filter(|at| lines[*at].starts_with("cluster "));
    starts.into_iter().find_map(|start| {
        let names = start + lines[start..].iter().position(|line| line.starts_with("NAME "))?;
        let end = names + lines[names..].iter().position(String::is_empty)?;
        let phase = lines[start].split_whitespace().nth(2)?.to_owned();
        Some((
            phase,
            lines[names + 1..end]
                .iter()
                .filter_map(|line| node(line))
                .collect(),
        ))
    })
}

/// One row: name, state, TCP (not nsqadmin), HTTP, process id (if there is one), note.
fn node(row: &str) -> Option<Node> {
    let mut words = row.split_whitespace().peekable();
    let (name, state) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut addresses = Vec::new();
    while let Some(word) = words.next_if(|word| word.contains(':')) {
        addresses.push(word.to_owned());
    }
    let pid = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
    let http = addresses.pop()?;
    Some(Node {
        name,
        state,
        tcp: addresses.pop().unwrap_or_default(),
        http,
        pid,
    })
}

fn write_manifest(path: PathBuf, spec: &str) {
    let head = "apiVersion: nsq.rs/v1alpha1\nkind: NsqCluster\nmetadata:\n  name: test\nspec:\n";
    fs::write(path, format!("{head}{spec}")).unwrap();
}

#[cfg(test)]
mod tests {
    use super::{Node, last_table, node};

    #[test]
    fn the_last_whole_table_counts() {
        let text = "cluster test   Running   nsqd 1/1   nsqlookupd 1/1\n\
            NAME     STATE    TCP              HTTP             PID   NOTE\n\
            nsqd-0   Active   127.0.0.1:4150   127.0.0.1:4151   7\n\
            \n\
            data      data (kept)    stop with Ctrl-C\n\
            \n\
            ScalingUp: nsqd 1 -> 2\n\
            cluster test   ScalingUp   nsqd 1/2   nsqlookupd 1/1\n  \
            nsqd-1 joining\n\
            NAME     STATE    TCP              HTTP             PID   NOTE\n\
            nsqd-0   Active   127.0.0.1:4150   127.0.0.1:4151   7\n\
            nsqd-1   Joining  127.0.0.1:4250   127.0.0.1:4251   8";
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let (phase, nodes) = last_table(&lines).unwrap();
        assert_eq!(
            (phase.as_str(), nodes.len()),
            ("Running", 1),
            "the second is not whole yet"
        );
        let whole = [lines, vec![String::new()]].concat();
        let (phase, nodes) = last_table(&whole).unwrap();
        assert_eq!((phase.as_str(), nodes.len()), ("ScalingUp", 2));
        assert_eq!(last_table(&[]), None);
    }

    #[test]
    fn rows_of_the_table_are_read() {
        let row = "nsqd-2         Draining  127.0.0.1:4350    127.0.0.1:4351    4127   orders/billing 812, no consumers";
        let wanted = Node {
            name: "nsqd-2".to_owned(),
            state: "Draining".to_owned(),
            tcp: "127.0.0.1:4350".to_owned(),
            http: "127.0.0.1:4351".to_owned(),
            pid: 4127,
        };
        assert_eq!(node(row), Some(wanted));
        let admin = node("nsqadmin       Running                     127.0.0.1:4171    4130").unwrap();
        assert_eq!(
            (admin.tcp.as_str(), admin.http.as_str(), admin.pid),
            ("", "127.0.0.1:4171", 4130)
        );
        assert_eq!(
            node("nsqd-0   Restarting   127.0.0.1:4150    127.0.0.1:4151")
                .unwrap()
                .pid,
            0
        );
    }
}
