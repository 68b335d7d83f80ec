//! Error codes as they stand at the front of an error frame.

use std::fmt;

/// What went wrong, as the first word of an error frame (nsqd) or error answer (nsqlookupd).
///
/// Source: nsqd spec 1.7, nsqlookupd spec 5.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The first four bytes of the connection are not a known magic.
    BadProtocol,
    /// Unknown command, wrong state, missing or malformed parameter.
    Invalid,
    /// The body of `IDENTIFY`, `AUTH` or `MPUB` is malformed or out of bounds.
    BadBody,
    /// The topic name is not valid.
    BadTopic,
    /// The channel name is not valid.
    BadChannel,
    /// A message body is malformed or out of bounds.
    BadMessage,
    /// `PUB` was refused.
    PubFailed,
    /// `MPUB` was refused.
    MpubFailed,
    /// `DPUB` was refused.
    DpubFailed,
    /// `SUB` was refused.
    SubFailed,
    /// The negotiation of `IDENTIFY` could not be completed.
    IdentifyFailed,
    /// `AUTH` was sent to a server without authorization.
    AuthDisabled,
    /// A command that needs authorization came before `AUTH`.
    AuthFirst,
    /// No auth server gave a valid answer.
    AuthFailed,
    /// What the auth server granted does not cover the command.
    Unauthorized,
    /// `FIN` names a message that this connection does not hold.
    FinFailed,
    /// `REQ` names a message that this connection does not hold.
    ReqFailed,
    /// `TOUCH` names a message that this connection does not hold.
    TouchFailed,
}

impl ErrorCode {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 18] = [
        Self::BadProtocol,
        Self::Invalid,
        Self::BadBody,
        Self::BadTopic,
        Self::BadChannel,
        Self::BadMessage,
        Self::PubFailed,
        Self::MpubFailed,
        Self::DpubFailed,
        Self::SubFailed,
        Self::IdentifyFailed,
        Self::AuthDisabled,
        Self::AuthFirst,
        Self::AuthFailed,
        Self::Unauthorized,
        Self::FinFailed,
        Self::ReqFailed,
        Self::TouchFailed,
    ];

    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadProtocol => "E_BAD_PROTOCOL",
            Self::Invalid => "E_INVALID",
            Self::BadBody => "E_BAD_BODY",
            Self::BadTopic => "E_BAD_TOPIC",
            Self::BadChannel => "E_BAD_CHANNEL",
            Self::BadMessage => "E_BAD_MESSAGE",
            Self::PubFailed => "E_PUB_FAILED",
            Self::MpubFailed => "E_MPUB_FAILED",
            Self::DpubFailed => "E_DPUB_FAILED",
            Self::SubFailed => "E_SUB_FAILED",
            Self::IdentifyFailed => "E_IDENTIFY_FAILED",
            Self::AuthDisabled => "E_AUTH_DISABLED",
            Self::AuthFirst => "E_AUTH_FIRST",
            Self::AuthFailed => "E_AUTH_FAILED",
            Self::Unauthorized => "E_UNAUTHORIZED",
            Self::FinFailed => "E_FIN_FAILED",
            Self::ReqFailed => "E_REQ_FAILED",
            Self::TouchFailed => "E_TOUCH_FAILED",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
