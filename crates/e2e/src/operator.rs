//! `nsq-operator run` with no API server behind its kubeconfig: it tells about itself, and has no clusters to tell about.

use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::process::Process;
use crate::{eventually, free_address, http, own_file, program};

/// It listens within this time, on a machine that does other things.
const START: Duration = Duration::from_secs(20);

/// Nothing listens on port 1.
const KUBECONFIG: &str = "apiVersion: v1
kind: Config
current-context: none
contexts: [{name: none, context: {cluster: none, user: none}}]
clusters: [{name: none, cluster: {server: 'http://127.0.0.1:1'}}]
users: [{name: none, user: {}}]
";

/// The running operator. It ends when it is dropped.
pub struct Operator {
    /// `host:port` of its endpoints.
    pub http: String,
    _process: Process,
    _folder: TempDir,
}

impl Operator {
    /// Starts one and waits until it answers.
    ///
    /// # Panics
    /// It ended, or does not answer.
    #[must_use]
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = folder.path().join("kubeconfig");
        std::fs::write(&kubeconfig, KUBECONFIG).unwrap();
        let http = free_address();
        let mut process = Process::start(
            "nsq-operator run",
            Command::new(program("nsq-operator"))
                .args(["run", "--http-address", &http])
                .args(["--lease-namespace", "none"])
                .env("KUBECONFIG", &kubeconfig),
        );
        eventually(START, "the operator answers", || {
            assert!(process.is_running(), "it ended:\n{}", process.errors());
            http::get(&http, "/metrics").is_some_and(|(status, _)| status == 200)
        });
        Self {
            http,
            _process: process,
            _folder: folder,
        }
    }

    /// What its page has besides, when it leads and has a cluster: a sample of every family, from its own registry. A test of
    /// the operator keeps the file so (`op_205_the_page_has_a_sample_of_every_family`).
    ///
    /// # Panics
    /// The file is missing.
    #[must_use]
    pub fn page_of_a_leader() -> String {
        std::fs::read_to_string(own_file("../../operator/tests/golden/metrics.txt")).unwrap()
    }
}
