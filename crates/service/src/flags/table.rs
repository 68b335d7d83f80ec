//! The rows of a flag table.

/// One option of a program.
#[derive(Clone, Copy, Debug)]
pub struct Flag {
    /// Name on the command line, without dashes.
    pub name: &'static str,
    /// Name in the config file and in `/config/:opt`.
    pub key: Key,
    /// What its value may be.
    pub kind: Kind,
    /// Default as it would be written on the command line; empty for an empty list.
    pub default: &'static str,
    /// One line for the usage text.
    pub help: &'static str,
}

/// The name of an option in the config file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The flag's name with `-` replaced by `_`.
    Same,
    /// A name of its own.
    Named(&'static str),
    /// Command line only.
    None,
}

/// The type of an option.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Any text.
    String,
    /// A 64-bit integer; decimal, `0x`, `0o`, `0b`.
    Int,
    /// A switch.
    Bool,
    /// A Go duration; an integer in the config file means milliseconds.
    Duration,
    /// A list of texts; repeatable on the command line.
    Strings,
    /// A list of numbers; repeatable or comma separated on the command line, where it is sorted descending.
    Floats,
    /// Bytes: an integer, or a number with `k M G T` or `Ki Mi Gi Ti`, and an optional `B`.
    Size,
    /// A log level.
    Level,
    /// A closed set of texts, each with the number that `/config/:opt` answers.
    Custom {
        /// Turns a text into its canonical form and number; the error says what is wrong.
        parse: fn(&str) -> Result<(String, i64), String>,
        /// May stand alone on the command line, then it means `true`.
        switch: bool,
    },
}

impl Flag {
    const fn new(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Self {
        Self {
            name,
            key: Key::Same,
            kind,
            default,
            help,
        }
    }

    /// The `-config` row.
    #[must_use]
    pub const fn config() -> Self {
        Self::string("config", "", "path to config file").flag_only()
    }

    /// The `-version` row.
    #[must_use]
    pub const fn version() -> Self {
        Self::bool("version", false, "print version string").flag_only()
    }

    /// A text option.
    #[must_use]
    pub const fn string(name: &'static str, default: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::String, default, help)
    }

    /// An integer option.
    #[must_use]
    pub const fn int(name: &'static str, default: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Int, default, help)
    }

    /// A switch.
    #[must_use]
    pub const fn bool(name: &'static str, default: bool, help: &'static str) -> Self {
        Self::new(name, Kind::Bool, if default { "true" } else { "false" }, help)
    }

    /// A duration option; `default` in Go's spelling.
    #[must_use]
    pub const fn duration(name: &'static str, default: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Duration, default, help)
    }

    /// A list of texts, empty by default.
    #[must_use]
    pub const fn strings(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Strings, "", help)
    }

    /// A list of numbers, empty by default.
    #[must_use]
    pub const fn floats(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Floats, "", help)
    }

    /// A size in bytes.
    #[must_use]
    pub const fn size(name: &'static str, default: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Size, default, help)
    }

    /// A log level.
    #[must_use]
    pub const fn level(name: &'static str, default: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Level, default, help)
    }

    /// A closed set of texts, see [`Kind::Custom`].
    #[must_use]
    pub const fn custom(
        name: &'static str,
        default: &'static str,
        parse: fn(&str) -> Result<(String, i64), String>,
        switch: bool,
        help: &'static str,
    ) -> Self {
        Self::new(name, Kind::Custom { parse, switch }, default, help)
    }

    /// The same option under another config key.
    #[must_use]
    pub const fn key(mut self, key: &'static str) -> Self {
        self.key = Key::Named(key);
        self
    }

    /// The same option without a config key.
    #[must_use]
    pub const fn flag_only(mut self) -> Self {
        self.key = Key::None;
        self
    }

    /// The config key, if there is one.
    #[must_use]
    pub fn config_key(&self) -> Option<String> {
        match self.key {
            Key::Same => Some(self.name.replace('-', "_")),
            Key::Named(key) => Some(key.to_owned()),
            Key::None => None,
        }
    }
}
