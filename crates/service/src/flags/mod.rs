//! Command line and config file of the reference (nsqd spec 7.1 to 7.3, nsqlookupd spec 2.2 and 2.3), driven by a
//! table: one [`Flag`] row per option.
//!
//! ```
//! use nsq_service::flags::{Flag, Program};
//!
//! const FLAGS: &[Flag] = &[
//!     Flag::config(),
//!     Flag::version(),
//!     Flag::string("tcp-address", "0.0.0.0:4160", "<addr>:<port> to listen on for TCP clients"),
//!     Flag::duration("tombstone-lifetime", "45s", "how long a tombstone lasts"),
//! ];
//!
//! let program = Program::new("nsqlookupd", FLAGS);
//! let values = program.parse(["--tombstone-lifetime=1m30s".to_owned()]).unwrap();
//! assert_eq!(values.duration("tombstone-lifetime").as_secs(), 90);
//! assert_eq!(values.string("tcp-address"), "0.0.0.0:4160");
//! ```
//!
//! Precedence: flag, then file, then default. A program turns the [`Values`] into its typed options once; nobody
//! else sees them, except `GET /config/:opt` through [`Values::render`].

mod check;
mod config;
mod grammar;
mod table;
mod value;

pub use check::{Mistake, check};
pub use table::{Flag, Key, Kind};
pub use value::{Rendered, Value, Values};

use crate::build_info;
use crate::exit::Exit;

/// Largest config file that is read.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// A program's name and flag table.
#[derive(Debug)]
pub struct Program {
    name: &'static str,
    flags: &'static [Flag],
    defaults: Vec<(&'static str, String)>,
    version: Option<String>,
    example: &'static str,
}

impl Program {
    /// A program called `name` with the options of `flags`.
    #[must_use]
    pub fn new(name: &'static str, flags: &'static [Flag]) -> Self {
        Self {
            name,
            flags,
            defaults: Vec::new(),
            version: None,
            example: "",
        }
    }

    /// Prints this line, without more, for `-version`.
    #[must_use]
    pub fn version_line(mut self, line: impl Into<String>) -> Self {
        self.version = Some(line.into());
        self
    }

    /// Ends the usage text with a command line that works.
    #[must_use]
    pub const fn example(mut self, command: &'static str) -> Self {
        self.example = command;
        self
    }

    /// The end of a program whose command line is wrong: this text and the usage, exit code 2.
    #[must_use]
    pub fn wrong(&self, text: &str) -> Exit {
        self.usage(&grammar::Stop::Wrong(text.to_owned()))
    }

    /// Gives `flag` a default that is known only at run time, such as the host name.
    #[must_use]
    pub fn default(mut self, flag: &'static str, value: impl Into<String>) -> Self {
        self.defaults.push((flag, value.into()));
        self
    }

    /// Reads the arguments (without the program's name) and the config file they name.
    ///
    /// # Errors
    /// An end instead of a start, ready to be printed: version or help (code 0), wrong usage (code 2), a config file
    /// that cannot be used (one FATAL line, code 1).
    pub fn parse(&self, args: impl IntoIterator<Item = String>) -> Result<Values, Exit> {
        self.parse_with(args, read_config)
    }

    /// As [`Self::parse`], with the config file's text from `read`, which is given its path.
    ///
    /// # Errors
    /// Those of [`Self::parse`]; a reason from `read` is part of the FATAL line.
    pub fn parse_with(
        &self,
        args: impl IntoIterator<Item = String>,
        read: impl Fn(&str) -> Result<String, String>,
    ) -> Result<Values, Exit> {
        let mut values = Values::defaults(self.flags, &self.defaults);
        values.rest = grammar::apply(&mut values, args).map_err(|stop| self.usage(&stop))?;
        if values.has("version") && values.bool("version") {
            let line = self.version.clone();
            let stdout = format!(
                "{}\n",
                line.unwrap_or_else(|| build_info::version_line(self.name))
            );
            return Err(Exit {
                stdout,
                stderr: String::new(),
                code: 0,
            });
        }
        let path = if values.has("config") {
            values.string("config").to_owned()
        } else {
            String::new()
        };
        if !path.is_empty() {
            let merged = read(&path)
                .and_then(|text| config::table(&text))
                .map_err(|reason| format!("failed to load config file {path} - {reason}"))
                .and_then(|table| config::apply(&mut values, &table));
            merged.map_err(|text| Exit::fatal(&format!("[{}] ", self.name), &text))?;
        }
        Ok(values)
    }

    fn usage(&self, stop: &grammar::Stop) -> Exit {
        let mut usage = grammar::usage(self.name, self.flags, &self.defaults);
        if !self.example.is_empty() {
            usage.push_str("\nExample:\n  ");
            usage.push_str(self.example);
            usage.push('\n');
        }
        match stop {
            grammar::Stop::Help => Exit {
                stdout: String::new(),
                stderr: usage,
                code: 0,
            },
            grammar::Stop::Wrong(text) => Exit {
                stdout: String::new(),
                stderr: format!("{text}\n{usage}"),
                code: 2,
            },
        }
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "the one place that reads a config file, with a cap"
)]
fn read_config(path: &str) -> Result<String, String> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_CONFIG_BYTES + 1).read_to_string(&mut text))
        .map_err(|error| error.to_string())?;
    if text.len() as u64 > MAX_CONFIG_BYTES {
        return Err(format!("larger than {MAX_CONFIG_BYTES} bytes"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
