//! What the checked-in charts take from the types.
#![allow(clippy::disallowed_methods, reason = "compares real files of the repository")]

use std::path::Path;

use nsq_operator::charts;
use nsq_operator::generated::differing;

#[test]
fn the_files_of_the_charts_are_the_output() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts");
    let differing = differing(&charts::files(), |path| {
        std::fs::read_to_string(folder.join(path)).ok()
    });
    assert!(
        differing.is_empty(),
        "{differing:?} differ: run `cargo xtask codegen`"
    );
}
