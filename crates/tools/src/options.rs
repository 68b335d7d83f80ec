//! `-consumer-opt` and `-producer-opt`: names, defaults and ranges of go-nsq 1.1 (tools spec 2). Pure but for the files of TLS.

use std::path::PathBuf;
use std::time::Duration;

use nsq_client::{Compression, Config, ConsumerOptions, Retry, Secret};
use nsq_service::tls::{ClientSettings, MinVersion};
use nsq_service::{build_info, duration};

const HOUR: Duration = Duration::from_secs(3600);
const FIVE_MINUTES: Duration = Duration::from_secs(300);
const SHORTEST_IO: Duration = Duration::from_millis(100);

/// What the options of a tool say so far.
#[derive(Clone, Debug)]
pub struct Settings {
    config: Config,
    retry: Retry,
    lookup_interval: Duration,
    lookup_jitter: f64,
    lookup_timeout: Duration,
    turn_interval: Duration,
    tls_v1: bool,
    tls: ClientSettings,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    snappy: bool,
    deflate: bool,
    deflate_level: u8,
    /// Options that were given and change nothing here.
    pub without_effect: Vec<String>,
}

impl Settings {
    /// Go's defaults, as the user agent of this tool.
    #[must_use]
    pub fn new(tool: &str) -> Self {
        let hostname = build_info::hostname();
        let config = Config {
            client_id: hostname.split('.').next().unwrap_or_default().to_owned(),
            hostname,
            user_agent: format!("{tool}/{} go-nsq/1.1.0", build_info::VERSION),
            heartbeat_interval: Duration::from_secs(30),
            read_timeout: Some(Duration::from_secs(60)),
            write_timeout: Duration::from_secs(1),
            connect_timeout: Duration::from_secs(1),
            ..Config::default()
        };
        Self {
            config,
            retry: Retry {
                max_attempts: 5,
                ..Retry::default()
            },
            lookup_interval: Duration::from_secs(60),
            lookup_jitter: 0.3,
            lookup_timeout: Duration::from_secs(60),
            turn_interval: Duration::from_secs(10),
            tls_v1: false,
            tls: ClientSettings::default(),
            tls_cert: None,
            tls_key: None,
            snappy: false,
            deflate: false,
            deflate_level: 6,
            without_effect: Vec::new(),
        }
    }

    /// Reads one `name,value`; a name alone means `true`.
    ///
    /// # Errors
    /// The name is unknown, or the value is no such value or out of range; the text is Go's.
    pub fn set(&mut self, text: &str) -> Result<(), String> {
        let (name, value) = text.split_once(',').unwrap_or((text, "true"));
        let name = name.replace('-', "_");
        let given = Given { name: &name, value };
        match name.as_str() {
            "dial_timeout" => self.config.connect_timeout = given.time(Duration::ZERO, Duration::MAX)?,
            "read_timeout" => {
                self.config.read_timeout = Some(given.time(SHORTEST_IO, FIVE_MINUTES)?);
            }
            "write_timeout" => self.config.write_timeout = given.time(SHORTEST_IO, FIVE_MINUTES)?,
            "local_addr" => self.config.local_addr = Some(given.parsed()?),
            "lookupd_poll_interval" => {
                self.lookup_interval = given.time(Duration::from_millis(10), FIVE_MINUTES)?;
            }
            "lookupd_poll_jitter" => self.lookup_jitter = given.float(0.0, 1.0)?,
            "lookupd_poll_timeout" => self.lookup_timeout = given.time(Duration::ZERO, Duration::MAX)?,
            "max_requeue_delay" => self.retry.max_requeue_delay = given.time(Duration::ZERO, HOUR)?,
            "default_requeue_delay" => self.retry.requeue_delay = given.time(Duration::ZERO, HOUR)?,
            "backoff_strategy" => {
                self.retry.full_jitter = given.one_of(&["exponential", "full_jitter"])? == 1;
            }
            "max_backoff_duration" => self.retry.max_backoff = given.time(Duration::ZERO, HOUR)?,
            "backoff_multiplier" => self.retry.backoff_multiplier = given.time(Duration::ZERO, HOUR)?,
            "max_attempts" => self.retry.max_attempts = given.int(0, i64::from(u16::MAX))?,
            "low_rdy_idle_timeout" => {
                self.turn_interval = given.time(Duration::from_secs(1), FIVE_MINUTES)?;
            }
            "client_id" => value.clone_into(&mut self.config.client_id),
            "hostname" => value.clone_into(&mut self.config.hostname),
            "heartbeat_interval" => {
                self.config.heartbeat_interval = given.time(Duration::ZERO, Duration::MAX)?;
            }
            "sample_rate" => self.config.sample_rate = given.int(0, 99)?,
            "output_buffer_size" => self.config.output_buffer_size = Some(given.int(i64::MIN, i64::MAX)?),
            "output_buffer_timeout" => {
                self.config.output_buffer_timeout = Some(given.time(Duration::ZERO, Duration::MAX)?);
            }
            "msg_timeout" => {
                self.config.msg_timeout = Some(given.time(Duration::ZERO, Duration::MAX)?);
            }
            "auth_secret" => self.config.auth_secret = Some(Secret::new(value)),
            "topology_region" => value.clone_into(&mut self.config.topology_region),
            "topology_zone" => value.clone_into(&mut self.config.topology_zone),
            "max_msg_size" => self.config.max_frame_bytes = given.int(0, i64::from(i32::MAX))?,
            _ => return self.set_layer(&given),
        }
        Ok(())
    }

    /// TLS, compression, and what has no effect.
    fn set_layer(&mut self, given: &Given<'_>) -> Result<(), String> {
        let path = || PathBuf::from(given.value);
        match given.name {
            "tls_v1" => self.tls_v1 = given.flag()?,
            "tls_root_ca_file" => self.tls.root_ca = Some(path()),
            "tls_cert" => self.tls_cert = Some(path()),
            "tls_key" => self.tls_key = Some(path()),
            "tls_insecure_skip_verify" => self.tls.skip_verify = given.flag()?,
            // Nothing older than 1.2 is spoken here; the four names mean the same.
            "tls_min_version" => {
                given.one_of(&["ssl3.0", "tls1.0", "tls1.1", "tls1.2"])?;
                self.tls.min_version = MinVersion::Tls12;
            }
            "deflate" => self.deflate = given.flag()?,
            "deflate_level" => self.deflate_level = given.int(1, 9)?,
            "snappy" => self.snappy = given.flag()?,
            // The tools set both themselves, as Go's do.
            "user_agent" => {}
            "max_in_flight" => {
                given.int::<u32>(0, i64::from(i32::MAX))?;
            }
            "low_rdy_timeout" => {
                given.time(Duration::from_secs(1), FIVE_MINUTES)?;
                self.without_effect.push(given.name.to_owned());
            }
            "rdy_redistribute_interval" => {
                given.time(Duration::from_millis(1), Duration::from_secs(5))?;
                self.without_effect.push(given.name.to_owned());
            }
            "skip_lookupd_authorization" => {
                given.flag()?;
                self.without_effect.push(given.name.to_owned());
            }
            name => return Err(format!("invalid option {name}")),
        }
        Ok(())
    }

    /// The connection's part.
    ///
    /// # Errors
    /// Options that do not go together, or a file of TLS that cannot be used.
    pub fn config(&self) -> Result<Config, String> {
        let mut config = self.config.clone();
        let read = config.read_timeout.unwrap_or(Duration::MAX);
        if config.heartbeat_interval > read {
            let (heartbeat, read) = (go(config.heartbeat_interval), go(read));
            return Err(format!(
                "HeartbeatInterval {heartbeat} must be less than ReadTimeout {read}"
            ));
        }
        if self.tls_v1 {
            let identity = match (&self.tls_cert, &self.tls_key) {
                (Some(cert), Some(key)) => Some((cert.clone(), key.clone())),
                (None, None) => None,
                _ => return Err("tls_cert and tls_key must be given together".to_owned()),
            };
            let settings = ClientSettings {
                identity,
                ..self.tls.clone()
            };
            config.tls = Some(settings.load()?.into());
        }
        config.compression = match (self.snappy, self.deflate) {
            (true, true) => return Err("snappy and deflate cannot both be used: choose one".to_owned()),
            (true, false) => Some(Compression::Snappy),
            (false, true) => Some(Compression::Deflate {
                level: self.deflate_level,
            }),
            (false, false) => None,
        };
        Ok(config)
    }

    /// Puts all into the options of a consumer.
    ///
    /// # Errors
    /// As [`config`](Self::config).
    pub fn apply(&self, options: &mut ConsumerOptions) -> Result<(), String> {
        options.config = self.config()?;
        options.retry = self.retry.clone();
        options.lookup_interval = self.lookup_interval;
        options.lookup_jitter = self.lookup_jitter;
        options.lookup_timeout = self.lookup_timeout;
        options.turn_interval = self.turn_interval;
        options.max_backoff = self.lookup_interval;
        Ok(())
    }
}

/// Go's spelling of a time.
fn go(time: Duration) -> String {
    duration::print(i64::try_from(time.as_nanos()).unwrap_or(i64::MAX))
}

struct Given<'a> {
    name: &'a str,
    value: &'a str,
}

impl Given<'_> {
    fn coerce(&self, why: impl std::fmt::Display) -> String {
        format!("failed to coerce option {} ({}) - {why}", self.name, self.value)
    }

    fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(&self) -> Result<T, String> {
        self.value.parse().map_err(|why| self.coerce(why))
    }

    fn flag(&self) -> Result<bool, String> {
        match self.value {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            _ => Err(self.coerce("invalid boolean")),
        }
    }

    fn time(&self, min: Duration, max: Duration) -> Result<Duration, String> {
        let nanos = duration::parse(self.value).map_err(|why| self.coerce(why))?;
        let time = u64::try_from(nanos).map(Duration::from_nanos);
        match time {
            Ok(time) if time > max => Err(self.range(&go(time), '>', &go(max))),
            Ok(time) if time >= min => Ok(time),
            _ => Err(self.range(&duration::print(nanos), '<', &go(min))),
        }
    }

    fn float(&self, min: f64, max: f64) -> Result<f64, String> {
        let number: f64 = self.parsed()?;
        if number > max {
            Err(self.range(&number.to_string(), '>', &max.to_string()))
        } else if number >= min {
            Ok(number)
        } else {
            Err(self.range(&number.to_string(), '<', &min.to_string()))
        }
    }

    fn int<T: TryFrom<i64>>(&self, min: i64, max: i64) -> Result<T, String> {
        let number: i64 = self.parsed()?;
        if number > max {
            return Err(self.range(&number.to_string(), '>', &max.to_string()));
        }
        if number < min {
            return Err(self.range(&number.to_string(), '<', &min.to_string()));
        }
        T::try_from(number).map_err(|_| self.coerce("value out of range"))
    }

    fn one_of(&self, words: &[&str]) -> Result<usize, String> {
        let found = words.iter().position(|word| *word == self.value);
        found.ok_or_else(|| self.coerce(format!("expected one of {}", words.join(", "))))
    }

    fn range(&self, value: &str, sign: char, bound: &str) -> String {
        format!("invalid {} ! {value} {sign} {bound}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> Result<Settings, String> {
        let mut settings = Settings::new("tool");
        settings.set(text).map(|()| settings)
    }

    #[test]
    fn wrong_options_have_the_texts_of_the_library() {
        for (text, error) in [
            ("bogus,1", "invalid option bogus"),
            ("read_timeout,1ms", "invalid read_timeout ! 1ms < 100ms"),
            ("read-timeout,6m", "invalid read_timeout ! 6m0s > 5m0s"),
            ("lookupd_poll_jitter,2", "invalid lookupd_poll_jitter ! 2 > 1"),
            ("sample_rate,100", "invalid sample_rate ! 100 > 99"),
            ("deflate_level,0", "invalid deflate_level ! 0 < 1"),
            ("max_attempts,-1", "invalid max_attempts ! -1 < 0"),
        ] {
            assert_eq!(set(text).err().as_deref(), Some(error), "{text}");
        }
        let unit = set("lookupd_poll_interval,1000").unwrap_err();
        assert!(
            unit.starts_with("failed to coerce option lookupd_poll_interval (1000) - ")
                && unit.contains("unit"),
            "{unit}"
        );
        for text in [
            "tls_v1,maybe",
            "backoff_strategy,linear",
            "local_addr,x",
            "tls_min_version,tls9",
        ] {
            assert!(
                set(text).unwrap_err().starts_with("failed to coerce option"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_name_alone_is_true_and_both_dashes_are_the_same() {
        let config = set("snappy").unwrap().config().unwrap();
        assert_eq!(config.compression, Some(Compression::Snappy));
        let settings = set("max-attempts,0").unwrap();
        assert_eq!(settings.retry.max_attempts, 0);
    }

    #[test]
    fn what_does_not_go_together_is_told() {
        let mut both = set("snappy").unwrap();
        both.set("deflate").unwrap();
        assert!(both.config().is_err());
        let slow = set("heartbeat_interval,90s").unwrap().config().unwrap_err();
        assert_eq!(slow, "HeartbeatInterval 1m30s must be less than ReadTimeout 1m0s");
        let mut tls = set("tls_v1").unwrap();
        tls.set("tls_cert,/nowhere").unwrap();
        assert!(tls.config().is_err());
    }
}
