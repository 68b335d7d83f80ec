//! Codes of errors and findings: stable words with an exit code and a page for `nsq explain`. A new one is a new row.

use crate::problem::Problem;

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
    UNSUPPORTED FAILED "No nsqd there can do what was asked: it is Go's, or an older one of ours.\nEach says in its /info what it can do beyond Go's; the error names the nodes and what helps instead.";
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
        "EXITING",
        "The daemon is stopping. Ask another one, or again when it is back.",
    ),
];

/// What `nsq check` finds, and more about it.
pub const FINDINGS: &[(&str, &str)] = &[
    (
        "LOOKUPD_DOWN",
        "Nothing listens at the address of this nsqlookupd, or its host is unknown. Consumers that ask only this one find nothing.",
    ),
    (
        "LOOKUPD_SILENT",
        "This nsqlookupd does not answer in time: its process stands still, or packets are dropped on the way.",
    ),
    (
        "NOT_NSQLOOKUPD",
        "Something else answers at this address: often the TCP port (4160) or the address of an nsqd was given.",
    ),
    (
        "NODE_MISSING",
        "The node is registered at some nsqlookupds and not at all: consumers that ask the others do not find its messages.",
    ),
    (
        "NODE_DOUBLE",
        "Several nsqds are registered under one address. Clients reach only one of them; the messages of the others wait.",
    ),
    (
        "NODE_OTHER",
        "The HTTP address that the node announces is that of another node: actions and statistics go to the wrong one.",
    ),
    (
        "NODE_HTTP_DOWN",
        "The HTTP address of the node does not answer from here: its statistics are unknown, and actions do not reach it.",
    ),
    (
        "NODE_UNHEALTHY",
        "The node cannot write its queues: a full or broken disk, or missing rights. Publishes fail or messages stay in memory.",
    ),
    (
        "NODE_DRAINING",
        "The node is being emptied: it refuses publishes and hands out what it has.",
    ),
    (
        "NODE_JOINING",
        "The node waits for the consumers of its channels, so that no message is routed past them.",
    ),
    (
        "VERSIONS_DIFFER",
        "Nodes run different versions. That works during an upgrade, and is no state to stay in.",
    ),
    (
        "PORT_CLOSED",
        "The address that consumers are told refuses connections from here: nothing listens there, or the port is wrong.",
    ),
    (
        "NODE_SILENT",
        "The address that consumers are told does not answer from here: packets are dropped, or the process stands still.",
    ),
    (
        "ADDRESS_UNKNOWN",
        "The host name that the node announces cannot be resolved from here: the usual --broadcast-address mistake.",
    ),
    (
        "NOT_NSQD",
        "Something else than nsqd listens at the address that consumers are told.",
    ),
    (
        "TLS_REQUIRED",
        "nsqd has --tls-required: speak TLS, and ask over https, with --tls-ca FILE if its certificate is from an authority of your own.",
    ),
    (
        "TLS_MISSING",
        "The client speaks TLS, and nsqd has neither certificate nor key.",
    ),
    (
        "TLS_EXPIRED",
        "The certificate of the node has expired. Replace its files; nsqd reads them again without a restart.",
    ),
    (
        "TLS_NAME",
        "The certificate of the node is for another name than the address it announces.",
    ),
    (
        "TLS_AUTHORITY",
        "The certificate of the node is signed by an authority that is not believed here.",
    ),
    (
        "AUTH_REQUIRED",
        "The node wants clients to authenticate, and there is no secret to give.",
    ),
    (
        "AUTH_FAILED",
        "The auth server of the node did not answer it, or did not accept the secret.",
    ),
    (
        "TOPIC_PAUSED",
        "Messages of the topic wait in its own queue and reach no channel until it is unpaused.",
    ),
    (
        "TOPIC_NO_CHANNEL",
        "Messages of a topic without a channel wait until the first channel is made, which gets them all.",
    ),
    (
        "TOPIC_HIDDEN",
        "A tombstone hides the topic on this node from consumers, as before a topic is deleted there.",
    ),
    (
        "TOPIC_STALE",
        "nsqlookupd knows the topic, and no node has it: consumers wait for it, and lists show it.",
    ),
    (
        "TOPIC_UNREGISTERED",
        "The node has the topic and nsqlookupd was not told, so consumers do not find it there.",
    ),
    (
        "TOPIC_READ_ONLY",
        "A sync of the topic's log failed; publishes are refused until it is certain again what is on the disk.",
    ),
    (
        "CHANNEL_PAUSED",
        "Messages of the channel wait; its consumers get none until it is unpaused.",
    ),
    (
        "NO_CONSUMERS",
        "Messages wait in the channel and nobody is connected to it.",
    ),
    (
        "CONSUMERS_MISS_NODE",
        "Consumers are connected to some nodes of the channel and not to this one, where messages wait.",
    ),
    (
        "CONSUMERS_NOT_READY",
        "Consumers are connected and ask for no messages (RDY 0): they back off after failures, or have stopped.",
    ),
    (
        "CONSUMERS_STUCK",
        "Consumers hold as many messages as they asked for and answer none: their work stands still.",
    ),
    (
        "CHANNEL_MISSING",
        "The channel is on some nodes of the topic only: what is published to the others it does not get.",
    ),
    ("DEPTH_HIGH", "More messages wait than --max-depth allows."),
    (
        "MESSAGES_OLD",
        "A message waits for longer than --max-age allows.",
    ),
    (
        "TIMEOUTS",
        "Deliveries were not answered in time and are made again: work takes longer than --msg-timeout, or consumers die in it.",
    ),
    (
        "REQUEUES",
        "Consumers give many messages back: what they depend on fails.",
    ),
    (
        "DROPS",
        "Messages were dropped, as ephemeral queues do when there is no room, and sampled channels on purpose.",
    ),
    (
        "DEAD_LETTERS",
        "Messages were given up after too many attempts and are kept for a look.",
    ),
    (
        "MESSAGES_LOST",
        "Messages that the check sent did not all come back: some part of the way does not work.",
    ),
    (
        "KUBERNETES_OLD",
        "The API server is older than what the operator works with: its rules of manifests and volumes are missing there.",
    ),
    (
        "RIGHTS_MISSING",
        "Whoever installs has to be allowed to make the objects of the install, and all that the operator may do: nobody can grant more\nthan what he has, but with the verb escalate. `nsq-operator install` prints the objects.",
    ),
    (
        "STORAGE_CLASS_NONE",
        "Volumes of nsqd are claimed from the default storage class, and there is none: their pods would wait forever.",
    ),
    (
        "STORAGE_CLASS_MISSING",
        "The storage class that was named is not in the cluster: the pods of nsqd would wait for their volumes forever.",
    ),
    (
        "STORAGE_CLASS_MANY",
        "Several storage classes are the default. Kubernetes takes the newest of them, which may not be the one you have in mind.",
    ),
    (
        "STORAGE_CLASS_FIXED",
        "Volumes of this storage class keep their size: a larger spec.nsqd.storage.size cannot be followed.",
    ),
    (
        "DEFINITION_MISSING",
        "Some definitions of NSQ's kinds are installed and not all: the operator waits until the rest is there too.",
    ),
    (
        "DEFINITION_OTHER",
        "A definition is that of another release. The API server drops the fields that it does not know.",
    ),
    (
        "NAMESPACE_ENDING",
        "A namespace that is being deleted takes no new objects. Finalizers of what is in it may hold it up.",
    ),
    (
        "POD_SECURITY_LOW",
        "The namespace lets pods do more than those of NSQ need. They run under the level restricted.",
    ),
    (
        "NOT_READABLE",
        "This was not checked, because it could not be read; the reason is the API server's.",
    ),
];

/// What exit codes mean.
pub const EXITS: &[(u8, &str)] = &[
    (DONE, "done"),
    (FAILED, "a daemon or the system refused, or something was found"),
    (USAGE_EXIT, "wrong usage, or a name that was not typed"),
    (INVALID, "an invalid manifest, configuration or file of contexts"),
    (IN_USE, "the data folder is in use by another local"),
    (UNREACHABLE_EXIT, "nobody answers, or not as expected"),
    (NOT_THERE, "no such topic, channel or context"),
    (130, "a second Ctrl-C ended local"),
];

/// Every code.
#[must_use]
pub fn names() -> Vec<String> {
    let own = CODES.iter().map(|code| code.name);
    let others = FINDINGS.iter().chain(DAEMONS).map(|(name, _)| *name);
    own.chain(others).map(str::to_owned).collect()
}

/// The page of a code, or the list of all.
///
/// # Errors
/// There is no such code.
pub fn explain(code: Option<&str>) -> Result<String, Problem> {
    let own = CODES.iter().map(|code| (code.name, code.page));
    let all: Vec<(&str, &str)> = own
        .chain(FINDINGS.iter().copied())
        .chain(DAEMONS.iter().copied())
        .collect();
    let Some(wanted) = code else {
        return Ok(all.iter().map(|(name, _)| format!("{name}\n")).collect());
    };
    let wanted = wanted.to_uppercase();
    let found = all.iter().find(|(name, _)| *name == wanted);
    let exit = CODES.iter().find(|code| code.name == wanted);
    let exit = exit
        .map(|code| format!("Exit code {}.\n", code.exit))
        .unwrap_or_default();
    found
        .map(|(name, page)| format!("{name}\n{page}\n{exit}"))
        .ok_or_else(|| {
            let what = format!("no code is called {wanted}");
            Problem::new(USAGE, what, "see them all with `nsq explain`")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_there_once() {
        let mut names: Vec<&str> = CODES.iter().map(|code| code.name).collect();
        names.extend(FINDINGS.iter().map(|(name, _)| *name));
        names.extend(DAEMONS.iter().map(|(name, _)| *name));
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
