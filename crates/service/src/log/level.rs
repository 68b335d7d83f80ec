//! The levels of log lines, and the one in force.

use std::sync::atomic::{AtomicU8, Ordering};

use tracing::level_filters::LevelFilter;

/// The level names of the reference, in its order and with its numbers (1 to 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Everything.
    Debug = 1,
    /// The ordinary course of things. The default.
    Info = 2,
    /// Something that may need a look.
    Warn = 3,
    /// Something failed.
    Error = 4,
    /// Only what ends the process.
    Fatal = 5,
}

impl Level {
    /// Reads a level name, in any letter case.
    ///
    /// # Errors
    /// The text is none of the five names. The error text is the reference's.
    pub fn parse(text: &str) -> Result<Self, String> {
        Ok(match text.to_ascii_lowercase().as_str() {
            "debug" => Self::Debug,
            "info" => Self::Info,
            "warn" => Self::Warn,
            "error" => Self::Error,
            "fatal" => Self::Fatal,
            _ => {
                return Err(format!(
                    "invalid log level '{text}' (debug, info, warn, error, fatal)"
                ));
            }
        })
    }

    /// The number that `GET /config/log_level` answers, 1 (debug) to 5 (fatal).
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The name as it is written in log lines, except that a warning's line says `WARNING`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
        }
    }

    fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Debug,
            2 => Self::Info,
            3 => Self::Warn,
            4 => Self::Error,
            _ => Self::Fatal,
        }
    }

    pub(super) fn filter(self) -> LevelFilter {
        match self {
            Self::Debug => LevelFilter::DEBUG,
            Self::Info => LevelFilter::INFO,
            Self::Warn => LevelFilter::WARN,
            Self::Error => LevelFilter::ERROR,
            Self::Fatal => LevelFilter::OFF,
        }
    }
}

/// The level in force. One per process, as the subscriber is.
static LEVEL: AtomicU8 = AtomicU8::new(Level::Info as u8);

/// The level in force.
#[must_use]
pub fn level() -> Level {
    Level::from_number(LEVEL.load(Ordering::Relaxed))
}

/// Changes the level in force, at once and for the whole process.
pub fn set_level(level: Level) {
    LEVEL.store(level.number(), Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::Level;

    #[test]
    fn level_names_are_read_in_any_case() {
        assert_eq!(Level::parse("INFO"), Ok(Level::Info));
        assert_eq!(Level::parse("Fatal"), Ok(Level::Fatal));
        assert_eq!(
            Level::parse(" info"),
            Err("invalid log level ' info' (debug, info, warn, error, fatal)".to_owned())
        );
    }
}
