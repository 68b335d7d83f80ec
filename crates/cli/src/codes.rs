//! Codes of errors and findings: stable words with an exit code and a page for `nsq explain`. A new one is a new row.

/// What a code stands for.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    /// The word.
    pub name: &'static str,
    /// Exit code of `nsq` when it ends with this.
    pub exit: u8,
    /// What happened, and what to do. Lines as `nsq explain` prints them.
    pub page: &'static str,
}

/// All went well.
pub const DONE: u8 = 0;
/// A daemon refused, or something was found wrong.
pub const FAILED: u8 = 1;
/// The command line is wrong.
pub const USAGE_EXIT: u8 = 2;
/// A manifest, a configuration or a context is wrong.
pub const INVALID: u8 = 3;
/// The data folder is in use.
pub const IN_USE: u8 = 4;
/// Nobody answers.
pub const UNREACHABLE_EXIT: u8 = 6;
/// The topic, channel or context is not there.
pub const NOT_THERE: u8 = 7;

macro_rules! codes {
    ($($name:ident $exit:ident $page:literal;)*) => {
        $(#[doc = concat!("`", stringify!($name), "`.")]
        pub const $name: &Code = &Code { name: stringify!($name), exit: $exit, page: $page };)*
        /// Every code of `nsq` itself.
        pub const CODES: &[&Code] = &[$($name),*];
    };
}

codes! {
    USAGE USAGE_EXIT "The command line is not one that nsq knows: an unknown flag, a missing argument, a value of the wrong form.\nThe line after the error says what was expected; `nsq VERB --help` has an example.";
    INVALID_NAME USAGE_EXIT "Names of topics and channels have 1 to 64 characters of a-z A-Z 0-9 . _ - and may end with #ephemeral.";
    NO_INPUT USAGE_EXIT "`nsq pub` had nothing to publish: give messages as arguments, files with -f, or a pipe on standard input.";
    NOT_CONFIRMED USAGE_EXIT "What loses messages is done when its name was typed: at the question on a terminal, or with --yes NAME.";
    UNREACHABLE UNREACHABLE_EXIT "No daemon answered at the address: nothing listens there, the network drops it, or the host name is unknown.\nIs it running (`nsq local`, `nsq nodes`)? Is the address the HTTP one (nsqlookupd 4161, nsqd 4151)?";
    NOT_NSQ UNREACHABLE_EXIT "Something answered, but not as the daemon that was expected: often the TCP port (4160, 4150) was given instead of the\nHTTP port (4161, 4151), or the address of an nsqd as that of an nsqlookupd.";
    TLS_FAILED UNREACHABLE_EXIT "The certificate of the daemon, ours, or the version of TLS was not accepted, or a file of TLS cannot be used.\nName the authority with --tls-ca FILE or in a context; `nsq check` says more.";
    NO_NODE UNREACHABLE_EXIT "The nsqlookupds answer, but no nsqd is registered, or none that was named can be reached.\nStart nsqd with --lookupd-tcp-address; `nsq check` says where each node is lost.";
    TOPIC_NOT_FOUND NOT_THERE "No node has a topic of this name. `nsq topic list` shows those there are; `nsq topic create` makes one.";
    CHANNEL_NOT_FOUND NOT_THERE "No node has a channel of this name in the topic. `nsq channel list TOPIC` shows those there are.";
    CONTEXT_NOT_FOUND NOT_THERE "No context has this name. `nsq context list` shows those there are; `nsq context set` makes one.";
    REFUSED FAILED "A daemon answered and said no. Its own words are in the error; `nsq explain WORD` knows those of nsqd.";
    TIMED_OUT FAILED "What was waited for did not come in the time that --timeout gave.";
    INVALID_FILE INVALID "A manifest, a configuration file or the file of contexts is not what it should be; each mistake has its line.";
    FILE_FAILED FAILED "The system did not let a file be read or written; its words are in the error.";
    DATA_IN_USE IN_USE "Another `local` uses the data folder. Stop it, or choose another with --data-dir or --ephemeral.";
    LOCAL_FAILED FAILED "The cluster on this machine could not be started; nothing runs. The error says which part of the start failed.";
    SYSTEM_FAILED FAILED "The operating system refused something that every program needs: a thread, a signal, standard output.";
}

/// Words of nsqd and nsqlookupd that clients see, and what to do about them.
pub const DAEMONS: &[(&str, &str)] = &[
    (
        "E_INVALID",
        "The client sent a command or a number that is none, or at a time when it is not allowed. A client library that is too old or broken.",
    ),
    (
        "E_BAD_TOPIC",
        "The name of the topic is no name: 1 to 64 characters of a-z A-Z 0-9 . _ - and perhaps #ephemeral at the end.",
    ),
    (
        "E_BAD_CHANNEL",
        "The name of the channel is no name: 1 to 64 characters of a-z A-Z 0-9 . _ - and perhaps #ephemeral at the end.",
    ),
    (
        "E_BAD_BODY",
        "The body of a command has a size that is not accepted: see --max-body-size of nsqd.",
    ),
    (
        "E_BAD_MESSAGE",
        "The message is empty or larger than --max-msg-size of nsqd (1 MiB by default).",
    ),
    (
        "E_PUB_FAILED",
        "nsqd could not keep the message: its disk is full or broken, or the node is being emptied. `nsq check` tells.",
    ),
    (
        "E_MPUB_FAILED",
        "nsqd could not keep the messages: its disk is full or broken, or the node is being emptied. `nsq check` tells.",
    ),
    (
        "E_DPUB_FAILED",
        "nsqd could not keep the message: its disk is full or broken, or the node is being emptied. `nsq check` tells.",
    ),
    (
        "E_FIN_FAILED",
        "The message was not in flight on this connection: its time-out had passed, so it was or will be delivered again. Raise --msg-timeout, or TOUCH.",
    ),
    (
        "E_REQ_FAILED",
        "The message was not in flight on this connection: its time-out had passed, so it was or will be delivered again.",
    ),
    (
        "E_TOUCH_FAILED",
        "The message was not in flight on this connection: its time-out had passed already.",
    ),
    (
        "E_AUTH_FIRST",
        "nsqd has --auth-http-address: a client must AUTH with a secret before anything else. Give one with `nsq context set NAME --auth-secret-file FILE`.",
    ),
    (
        "E_AUTH_FAILED",
        "The auth server did not answer nsqd, or did not accept the secret.",
    ),
    (
        "E_UNAUTHORIZED",
        "The auth server does not grant this secret the topic and channel.",
    ),
    (
        "E_AUTH_DISABLED",
        "The client sent AUTH, and nsqd has no --auth-http-address.",
    ),
    (
        "INVALID_TOPIC",
        "The name of the topic is no name; see E_BAD_TOPIC.",
    ),
    (
        "INVALID_CHANNEL",
        "The name of the channel is no name; see E_BAD_CHANNEL.",
    ),
    (
        "MISSING_ARG_TOPIC",
        "The request names no topic: add ?topic=NAME.",
    ),
    (
        "MISSING_ARG_CHANNEL",
        "The request names no channel: add &channel=NAME.",
    ),
    (
        "MSG_TOO_BIG",
        "The message is larger than --max-msg-size of nsqd (1 MiB by default).",
    ),
    (
        "BODY_TOO_BIG",
        "The body is larger than --max-body-size of nsqd (5 MiB by default).",
    ),
    ("MSG_EMPTY", "The message is empty; nsqd takes none of that kind."),
    (
        "TLS_REQUIRED",
        "nsqd has --tls-required: ask over https, with --tls-ca FILE if its certificate is from an authority of your own.",
    ),
    (
        "EXITING",
        "The daemon is stopping. Ask another one, or again when it is back.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_there_once() {
        let mut names: Vec<&str> = CODES.iter().map(|code| code.name).collect();
        names.extend(DAEMONS.iter().map(|(name, _)| *name));
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
