//! The verbs, their flags and examples, as a table for the parser: [`cli`](crate::cli) runs them.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use nsq_operator::localworld;

use crate::completion::Shell;
use crate::listing::Format;
use crate::place::PlaceFlags;
use crate::{check, contexts, messages, publish, tail, top, validate};

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "nsq",
    version = VERSION,
    about = "Starts, uses, watches and checks an NSQ cluster",
    help_template = "{about}\n\n{usage-heading} {usage}\n\n{subcommands}{after-help}",
    disable_help_subcommand = true,
    after_help = "Example:\n  nsq nodes\nCalled as nsqd, nsqlookupd, nsqadmin, nsq-operator or a tool, it is that program."
)]
pub struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// A verb, and where the cluster is that it is for.
#[derive(Debug, clap::Args)]
pub(crate) struct On<T: clap::Args> {
    #[command(flatten)]
    pub(crate) verb: T,
    #[command(flatten)]
    pub(crate) place: PlaceFlags,
}

const VERSION: &str = nsq_service::build_info::RELEASE;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a cluster on this machine
    #[command(after_help = "Example:\n  nsq local --ephemeral")]
    Local(localworld::Options),
    /// Publish messages
    #[command(after_help = "Example:\n  nsq pub test hello")]
    Pub(On<publish::Options>),
    /// Show messages as they come
    #[command(after_help = "Example:\n  nsq tail test -n 1")]
    Tail(On<tail::Options>),
    /// Show channels by depth, growth or age
    #[command(after_help = "Example:\n  nsq top --by age")]
    Top(On<top::Options>),
    /// Show messages that wait, without consuming them
    #[command(after_help = "Example:\n  nsq peek test")]
    Peek(On<messages::PeekOptions>),
    /// Show deferred messages and when they are due
    #[command(after_help = "Example:\n  nsq timers test tail")]
    Timers(On<messages::ChannelOptions>),
    /// Show messages that were given up
    #[command(after_help = "Example:\n  nsq dead test tail")]
    Dead(On<messages::ChannelOptions>),
    /// List and change topics
    #[command(subcommand, after_help = "Example:\n  nsq topic list -o name")]
    Topic(TopicCommand),
    /// List and change channels
    #[command(subcommand, after_help = "Example:\n  nsq channel list test")]
    Channel(ChannelCommand),
    /// List the nsqds
    #[command(after_help = "Example:\n  nsq nodes -o json")]
    Nodes(On<ListArgs>),
    /// Look for what is wrong, and send messages there and back
    #[command(after_help = "Example:\n  nsq check --messages 10")]
    Check(On<check::Options>),
    /// Say what a code of an error or of a check means
    #[command(after_help = "Example:\n  nsq explain UNREACHABLE")]
    Explain(ExplainArgs),
    /// Check manifests and configuration files, and list every mistake
    #[command(after_help = "Example:\n  nsq validate cluster.yaml nsqd.cfg")]
    Validate(validate::Options),
    /// Keep addresses, TLS and secrets of clusters under names
    #[command(subcommand, after_help = "Example:\n  nsq context list")]
    Context(ContextCommand),
    /// Print the completion script of a shell
    #[command(after_help = "Example:\n  nsq completion bash")]
    Completion(CompletionArgs),
    /// Print the manual page
    #[command(after_help = "Example:\n  nsq man")]
    Man,
    #[command(hide = true)]
    Complete {
        #[arg(last = true)]
        words: Vec<String>,
    },
    #[command(name = localworld::HELPER, hide = true)]
    RunChild {
        parent: u32,
        name: String,
        program: PathBuf,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct ExplainArgs {
    /// The code, as errors have it in brackets; without it all are listed
    pub(crate) code: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct NoArgs {}

#[derive(Debug, clap::Args)]
pub(crate) struct CompletionArgs {
    /// Shell: bash, zsh or fish
    #[arg(value_enum, hide_possible_values = true)]
    pub(crate) shell: Shell,
}

#[derive(Debug, clap::Args)]
pub(crate) struct NameArgs {
    /// Name of the context
    pub(crate) name: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ContextCommand {
    /// List the contexts
    #[command(after_help = "Example:\n  nsq context list -o name")]
    List(ListArgs),
    /// Make or replace a context
    #[command(after_help = "Example:\n  nsq context set work --lookupd 127.0.0.1:4161")]
    Set(contexts::SetArgs),
    /// Use a context where nothing else is said
    #[command(after_help = "Example:\n  nsq context use work")]
    Use(NameArgs),
    /// Delete a context
    #[command(after_help = "Example:\n  nsq context delete work")]
    Delete(NameArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Form of the listing: table, json, yaml or name
    #[arg(short, long, value_enum, default_value = "table", hide_possible_values = true)]
    pub(crate) output: Format,
}

#[derive(Debug, clap::Args)]
pub(crate) struct TopicArgs {
    /// Topic
    pub(crate) topic: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct LosingTopicArgs {
    /// Topic
    pub(crate) topic: String,
    /// Its name again, instead of the question
    #[arg(long, value_name = "NAME")]
    pub(crate) yes: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ChannelArgs {
    /// Topic
    pub(crate) topic: String,
    /// Channel
    pub(crate) channel: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct LosingChannelArgs {
    /// Topic
    pub(crate) topic: String,
    /// Channel
    pub(crate) channel: String,
    /// The name of the channel again, instead of the question
    #[arg(long, value_name = "NAME")]
    pub(crate) yes: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ChannelListArgs {
    /// Topic
    pub(crate) topic: String,
    /// Form of the listing: table, json, yaml or name
    #[arg(short, long, value_enum, default_value = "table", hide_possible_values = true)]
    pub(crate) output: Format,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TopicCommand {
    /// List the topics
    #[command(after_help = "Example:\n  nsq topic list -o yaml")]
    List(On<ListArgs>),
    /// Make a topic on every node
    #[command(after_help = "Example:\n  nsq topic create orders")]
    Create(On<TopicArgs>),
    /// Hold its messages back from its channels
    #[command(after_help = "Example:\n  nsq topic pause orders")]
    Pause(On<TopicArgs>),
    /// Let its messages flow again
    #[command(after_help = "Example:\n  nsq topic unpause orders")]
    Unpause(On<TopicArgs>),
    /// Lose the messages that wait in its own queue
    #[command(after_help = "Example:\n  nsq topic empty orders --yes orders")]
    Empty(On<LosingTopicArgs>),
    /// Lose it with its channels and their messages
    #[command(after_help = "Example:\n  nsq topic delete orders --yes orders")]
    Delete(On<LosingTopicArgs>),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ChannelCommand {
    /// List the channels of a topic
    #[command(after_help = "Example:\n  nsq channel list orders -o json")]
    List(On<ChannelListArgs>),
    /// Make a channel on every node
    #[command(after_help = "Example:\n  nsq channel create orders billing")]
    Create(On<ChannelArgs>),
    /// Deliver nothing to its consumers
    #[command(after_help = "Example:\n  nsq channel pause orders billing")]
    Pause(On<ChannelArgs>),
    /// Deliver again
    #[command(after_help = "Example:\n  nsq channel unpause orders billing")]
    Unpause(On<ChannelArgs>),
    /// Lose the messages that wait in it
    #[command(after_help = "Example:\n  nsq channel empty orders billing --yes billing")]
    Empty(On<LosingChannelArgs>),
    /// Lose it with its messages
    #[command(after_help = "Example:\n  nsq channel delete orders billing --yes billing")]
    Delete(On<LosingChannelArgs>),
}
