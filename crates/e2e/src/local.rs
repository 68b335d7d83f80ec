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
        let folder = tempfile::tempdir().unwrap();
        write_manifest(folder.path().join("cluster.yaml"), spec);
        let mut command = Command::new(program("nsq-operator"));
        command
            .current_dir(folder.path())
            .args(["local", "-f", "cluster.yaml", "--data-dir", "data"]);
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
        let lines = self.process.text_lines();
        // A table ends with the folder of the data; what follows the last such line is still being written.
        let end = lines.iter().rposition(|line| line.starts_with("data "))?;
        let start = lines[..end]
            .iter()
            .rposition(|line| line.starts_with("cluster "))?;
        let phase = lines[start].split_whitespace().nth(2)?.to_owned();
        let rows = lines[start..end]
            .iter()
            .skip_while(|line| !line.starts_with("NAME "))
            .skip(1);
        Some((
            phase,
            rows.take_while(|line| !line.is_empty())
                .filter_map(|line| node(line))
                .collect(),
        ))
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
    use super::{Node, node};

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
