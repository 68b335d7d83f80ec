//! Pages for people that have to name everything.
#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
#![allow(clippy::disallowed_methods, reason = "reads a real file of the repository")]

use std::path::Path;

use nsq_operator::api::Reason;

#[test]
fn every_reason_is_explained() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operating/troubleshooting.md");
    let page = std::fs::read_to_string(page).unwrap();
    let missing: Vec<_> = Reason::ALL
        .iter()
        .filter(|reason| !page.contains(&format!("`{reason}`")))
        .collect();
    assert!(
        missing.is_empty(),
        "docs/operating/troubleshooting.md does not explain {missing:?}"
    );
}
