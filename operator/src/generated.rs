//! Files that are written from the types and checked in. Where they are, only the command line knows.

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Where it is below the folder it is written to, with `/` between the parts.
    pub path: String,
    /// What is in it.
    pub text: String,
}

/// Paths of the files that differ from this release, or that are absent. `read` returns what is there under a path, `None` when
/// there is nothing.
pub fn differing(files: &[File], read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    files
        .iter()
        .filter(|file| read(&file.path).as_deref() != Some(file.text.as_str()))
        .map(|file| file.path.clone())
        .collect()
}
