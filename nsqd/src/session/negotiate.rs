//! `IDENTIFY`: a client's wishes and the server's options become what was agreed. Pure.

use super::Stop;
use crate::client::Compression;
use crate::options::Options;
use nsq_protocol::ErrorCode;
use nsq_protocol::identify::{IdentifyRequest, IdentifyResponse};
use std::time::Duration;

/// Half of the 60 s after which clients give up; there is no option for it.
const DEFAULT_HEARTBEAT: Duration = Duration::from_secs(30);
const DEFAULT_OUTPUT_BUFFER_SIZE: i64 = 16 * 1024;
/// Level of a server that may compress and a client that does not say.
const DEFAULT_DEFLATE_LEVEL: i64 = 6;

/// The layers that follow the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granted {
    /// TLS.
    pub tls: bool,
    /// Compression.
    pub compression: Option<Compression>,
    /// Effective level, also where there is no deflate.
    deflate_level: i64,
}

impl Granted {
    /// What the request asks for and the server has; nothing without negotiation.
    ///
    /// # Errors
    /// Both compressions would be granted.
    pub fn of(request: &IdentifyRequest, options: &Options) -> Result<Self, Stop> {
        let asked = |wish: bool| request.feature_negotiation && wish;
        let snappy = asked(request.snappy) && options.snappy;
        let deflate = asked(request.deflate) && options.deflate;
        if snappy && deflate {
            return Err(Stop::error(
                ErrorCode::IdentifyFailed,
                "cannot enable both deflate and snappy compression",
            ));
        }
        let wanted = match request.deflate_level {
            level if deflate && level > 0 => level,
            _ => DEFAULT_DEFLATE_LEVEL,
        };
        let level = wanted.min(options.max_deflate_level);
        let compression = if snappy {
            Some(Compression::Snappy)
        } else {
            deflate.then(|| Compression::Deflate(u32::try_from(level.clamp(1, 9)).unwrap_or(6)))
        };
        Ok(Self {
            tls: asked(request.tls_v1) && options.tls.is_some(),
            compression,
            deflate_level: level,
        })
    }
}

/// What holds for one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// Time between heartbeats sent; `None`: no heartbeats and no deadlines.
    pub heartbeat: Option<Duration>,
    /// Base of the read and write deadlines: the interval of the latest `IDENTIFY`.
    pub deadline_base: Option<Duration>,
    /// Bytes; 1 unbuffered. An upper bound only: what was taken is sent at the end of the turn.
    pub output_buffer_size: i64,
    /// An upper bound only, see above.
    pub output_buffer_timeout: Duration,
    /// Percent of the messages to deliver; 0 all.
    pub sample_rate: i32,
    /// How long the client may take for a message.
    pub msg_timeout: Duration,
    identified: bool,
}

impl Negotiated {
    /// What holds before any `IDENTIFY`.
    #[must_use]
    pub fn new(options: &Options) -> Self {
        Self {
            heartbeat: Some(DEFAULT_HEARTBEAT),
            deadline_base: Some(DEFAULT_HEARTBEAT),
            output_buffer_size: DEFAULT_OUTPUT_BUFFER_SIZE,
            output_buffer_timeout: options.output_buffer_timeout,
            sample_rate: 0,
            msg_timeout: options.msg_timeout,
            identified: false,
        }
    }

    /// Applies a request. The heartbeat interval that is sent is that of the first one, as in the reference.
    ///
    /// # Errors
    /// The first value out of its range, in the order of the specification; nothing is applied then.
    pub fn apply(&mut self, request: &IdentifyRequest, options: &Options) -> Result<(), Stop> {
        let heartbeat = choose(
            "heartbeat interval",
            request.heartbeat_interval,
            self.deadline_base,
            Duration::from_secs(1)..=options.max_heartbeat_interval,
        )?;
        let timeout = choose(
            "output buffer timeout",
            request.output_buffer_timeout,
            Some(self.output_buffer_timeout),
            options.min_output_buffer_timeout..=options.max_output_buffer_timeout,
        )?;
        let size = match request.output_buffer_size {
            0 => self.output_buffer_size,
            -1 => 1,
            n if (64..=options.max_output_buffer_size).contains(&n) => n,
            n => return Err(invalid("output buffer size", n)),
        };
        if !(0..=99).contains(&request.sample_rate) {
            return Err(invalid("sample rate", request.sample_rate.into()));
        }
        let msg_timeout = match request.msg_timeout {
            0 => self.msg_timeout,
            n => in_range("msg timeout", n, Duration::from_secs(1)..=options.max_msg_timeout)?,
        };
        self.deadline_base = heartbeat;
        if !self.identified {
            self.heartbeat = heartbeat;
        }
        self.output_buffer_size = size;
        self.output_buffer_timeout = if request.output_buffer_size == -1 {
            Duration::ZERO
        } else {
            timeout.unwrap_or_default()
        };
        self.sample_rate = request.sample_rate;
        self.msg_timeout = msg_timeout;
        self.identified = true;
        Ok(())
    }

    /// The JSON answer for a client that asked for it.
    #[must_use]
    pub fn response(&self, granted: Granted, options: &Options) -> IdentifyResponse {
        IdentifyResponse {
            max_rdy_count: options.max_rdy_count,
            version: nsq_service::build_info::VERSION,
            max_msg_timeout: millis(options.max_msg_timeout),
            msg_timeout: millis(self.msg_timeout),
            tls_v1: granted.tls,
            deflate: matches!(granted.compression, Some(Compression::Deflate(_))),
            deflate_level: granted.deflate_level,
            max_deflate_level: options.max_deflate_level,
            snappy: granted.compression == Some(Compression::Snappy),
            sample_rate: self.sample_rate,
            auth_required: !options.auth_http_addresses.is_empty(),
            output_buffer_size: self.output_buffer_size,
            output_buffer_timeout: millis(self.output_buffer_timeout),
            topology_region: options.topology_region.clone(),
            topology_zone: options.topology_zone.clone(),
        }
    }
}

fn millis(d: Duration) -> i64 {
    i64::try_from(d.as_millis()).unwrap_or(i64::MAX)
}

fn invalid(what: &str, value: i64) -> Stop {
    Stop::error(
        ErrorCode::BadBody,
        format!("IDENTIFY {what} ({value}) is invalid"),
    )
}

fn in_range(what: &str, ms: i64, range: std::ops::RangeInclusive<Duration>) -> Result<Duration, Stop> {
    let wanted = u64::try_from(ms).ok().map(Duration::from_millis);
    wanted
        .filter(|d| range.contains(d))
        .ok_or_else(|| invalid(what, ms))
}

/// -1 is none, 0 keeps what is, anything else must be in the range.
fn choose(
    what: &str,
    ms: i64,
    current: Option<Duration>,
    range: std::ops::RangeInclusive<Duration>,
) -> Result<Option<Duration>, Stop> {
    match ms {
        -1 => Ok(None),
        0 => Ok(current),
        n => in_range(what, n, range).map(Some),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn apply(request: &IdentifyRequest) -> Result<Negotiated, String> {
        let options = Options::default();
        let mut n = Negotiated::new(&options);
        n.apply(request, &options)
            .map(|()| n)
            .map_err(|stop| stop.to_string())
    }

    #[test]
    fn ex_003_the_default_answer_has_the_bytes_of_the_reference() {
        let options = Options::default();
        let request = IdentifyRequest::default();
        let mut n = Negotiated::new(&options);
        n.apply(&request, &options).unwrap();
        let granted = Granted::of(&request, &options).unwrap();
        assert_eq!(
            serde_json::to_string(&n.response(granted, &options)).unwrap(),
            r#"{"max_rdy_count":2500,"version":"1.3.0","max_msg_timeout":900000,"msg_timeout":60000,"tls_v1":false,"deflate":false,"deflate_level":6,"max_deflate_level":6,"snappy":false,"sample_rate":0,"auth_required":false,"output_buffer_size":16384,"output_buffer_timeout":250,"topology_region":"","topology_zone":""}"#
        );
    }

    #[test]
    fn nd_131_133_134_136_137_values_out_of_range_are_named() {
        let d = IdentifyRequest::default;
        for n in [-2, 1, 999, 60001] {
            let text = format!("E_BAD_BODY IDENTIFY heartbeat interval ({n}) is invalid");
            assert_eq!(
                apply(&IdentifyRequest {
                    heartbeat_interval: n,
                    ..d()
                }),
                Err(text)
            );
        }
        for n in [-2, 1, 63, 65537] {
            let text = format!("E_BAD_BODY IDENTIFY output buffer size ({n}) is invalid");
            assert_eq!(
                apply(&IdentifyRequest {
                    output_buffer_size: n,
                    ..d()
                }),
                Err(text)
            );
        }
        for n in [-2, 1, 24, 30001] {
            let text = format!("E_BAD_BODY IDENTIFY output buffer timeout ({n}) is invalid");
            assert_eq!(
                apply(&IdentifyRequest {
                    output_buffer_timeout: n,
                    ..d()
                }),
                Err(text)
            );
        }
        for n in [-1, 100] {
            let text = format!("E_BAD_BODY IDENTIFY sample rate ({n}) is invalid");
            assert_eq!(
                apply(&IdentifyRequest {
                    sample_rate: n,
                    ..d()
                }),
                Err(text)
            );
        }
        for n in [-1, 1, 999, 900_001] {
            let text = format!("E_BAD_BODY IDENTIFY msg timeout ({n}) is invalid");
            assert_eq!(
                apply(&IdentifyRequest {
                    msg_timeout: n,
                    ..d()
                }),
                Err(text)
            );
        }
        let unbuffered = apply(&IdentifyRequest {
            output_buffer_size: -1,
            ..d()
        })
        .unwrap();
        assert_eq!(
            (unbuffered.output_buffer_size, unbuffered.output_buffer_timeout),
            (1, Duration::ZERO)
        );
        assert_eq!(
            apply(&IdentifyRequest {
                heartbeat_interval: -1,
                ..d()
            })
            .unwrap()
            .heartbeat,
            None
        );
    }

    #[test]
    fn nd_138_139_141_layers_are_granted_where_both_sides_want_them() {
        let granted = |snappy: bool, deflate: bool, options: &Options| {
            let request = IdentifyRequest {
                feature_negotiation: true,
                snappy,
                deflate,
                deflate_level: 9,
                ..Default::default()
            };
            Granted::of(&request, options).map_err(|stop| stop.to_string())
        };
        let both = Options::default();
        let text = "E_IDENTIFY_FAILED cannot enable both deflate and snappy compression";
        assert_eq!(granted(true, true, &both), Err(text.to_owned()));
        assert_eq!(
            granted(true, false, &both).unwrap().compression,
            Some(Compression::Snappy)
        );
        assert_eq!(
            granted(false, true, &both).unwrap().compression,
            Some(Compression::Deflate(6))
        );
        let low = Options {
            max_deflate_level: 3,
            ..Options::default()
        };
        assert_eq!(
            granted(false, true, &low).unwrap().compression,
            Some(Compression::Deflate(3))
        );
        let none = Options {
            snappy: false,
            deflate: false,
            ..Options::default()
        };
        assert_eq!(granted(true, true, &none).unwrap().compression, None);
    }

    #[test]
    fn nd_135_the_timeout_is_checked_before_the_size() {
        let both = IdentifyRequest {
            output_buffer_size: 1,
            output_buffer_timeout: 1,
            ..Default::default()
        };
        assert!(apply(&both).unwrap_err().contains("timeout"));
    }

    #[test]
    fn nd_143_a_second_identify_moves_the_deadline_not_the_heartbeat() {
        let options = Options::default();
        let mut n = Negotiated::new(&options);
        for ms in [1000, 3000] {
            let request = IdentifyRequest {
                heartbeat_interval: ms,
                ..Default::default()
            };
            n.apply(&request, &options).unwrap();
        }
        assert_eq!(n.heartbeat, Some(Duration::from_secs(1)));
        assert_eq!(n.deadline_base, Some(Duration::from_secs(3)));
    }
}
