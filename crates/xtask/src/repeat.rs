//! Tests that are tried once more: the output of a run is watched for the names of those that failed.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::process::shown;

/// More failures than this have one cause, and are not bad luck.
const MOST: usize = 3;

/// A run of tests that did not end well.
#[derive(Debug)]
pub(crate) struct Failed {
    /// One line for a person.
    pub(crate) why: String,
    names: Vec<String>,
}

impl Failed {
    /// Names of the tests to try once more; none if that makes no sense.
    pub(crate) fn to_repeat(&self) -> Vec<&str> {
        if self.names.len() > MOST {
            return Vec::new();
        }
        self.names.iter().map(String::as_str).collect()
    }
}

/// Prints the command, runs it, and passes on what it prints.
///
/// # Errors
/// The program is missing or did not end with 0.
pub(crate) fn watched(tests: &mut Command) -> Result<(), Failed> {
    let text = shown(tests);
    println!("$ {text}");
    let mut names = Vec::new();
    let mut ended = false;
    let status = tests.stdout(Stdio::piped()).spawn().and_then(|mut child| {
        // Lossy, for a test may print anything.
        let lines = child.stdout.take().map(BufReader::new);
        for line in lines.into_iter().flat_map(|output| output.split(b'\n')) {
            let line = String::from_utf8_lossy(&line?).into_owned();
            println!("{line}");
            names.extend(failed(&line).map(str::to_owned));
            ended |= line.starts_with("test result: ");
        }
        child.wait()
    });
    let why = match status {
        Ok(status) if status.success() => return Ok(()),
        Ok(status) => format!("`{text}` ended with {status}"),
        Err(error) => format!("run `{text}`: {error}"),
    };
    // A program that broke off has not run all of its tests.
    if !ended {
        names.clear();
    }
    Err(Failed { why, names })
}

/// The name of a test in the line that says that it failed.
fn failed(line: &str) -> Option<&str> {
    let name = line.strip_prefix("test ")?.strip_suffix(" ... FAILED")?;
    Some(name.strip_suffix(" - should panic").unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_failed_tests_have_their_names() {
        for (line, name) in [
            ("test storage::a_disk ... FAILED", Some("storage::a_disk")),
            (
                "test storage::a_disk - should panic ... FAILED",
                Some("storage::a_disk"),
            ),
            ("test storage::a_disk ... ok", None),
            ("test storage::a_disk has been running for over 60 seconds", None),
            ("test result: FAILED. 48 passed; 1 failed", None),
            ("    test storage::a_disk ... FAILED", None),
        ] {
            assert_eq!(failed(line), name, "{line}");
        }
    }

    #[test]
    fn a_run_that_fails_tells_which_tests_to_repeat() {
        let run = |script: &str| watched(Command::new("sh").args(["-c", script])).unwrap_err();
        let one = run(
            "echo 'test a ... FAILED'; echo 'test b ... ok'; echo 'test result: FAILED. 1 passed'; exit 101",
        );
        assert_eq!(one.to_repeat(), ["a"]);
        assert!(one.why.contains("exit status: 101"), "{}", one.why);
        let many = run(
            "for i in 1 2 3 4; do echo \"test $i ... FAILED\"; done; echo 'test result: FAILED.'; exit 101",
        );
        assert!(many.to_repeat().is_empty());
        let broke_off = run("echo 'test a ... FAILED'; kill -9 $$");
        assert!(broke_off.to_repeat().is_empty());
    }

    #[test]
    fn a_run_that_ends_well_is_not_repeated() {
        assert!(watched(&mut Command::new("true")).is_ok());
    }
}
