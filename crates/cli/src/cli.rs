//! The command line of `nsq`: one verb, one variant of [`Command`], with an example that a test runs.
#![allow(clippy::print_stderr, reason = "a program talks to people here")]

use std::ffi::OsString;
use std::future::Future;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::{ContextKind, ErrorKind};
use clap::{Parser, Subcommand};
use nsq_operator::localworld;

use crate::cluster::Cluster;
use crate::context::Home;
use crate::listing::{Format, print};
use crate::place::{Environment, PlaceFlags};
use crate::problem::Problem;
use crate::topics::{Act, Target};
use crate::{check, codes, local, nodes, place, publish, tail, top, topics};

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "nsq",
    version = VERSION,
    about = "Starts, uses, watches and checks an NSQ cluster",
    help_template = "{about}\n\n{usage-heading} {usage}\n\n{subcommands}{after-help}",
    after_help = "Example:\n  nsq nodes\n\nCalled as nsqd, nsqlookupd, nsqadmin, nsq-operator or a tool, it is that program."
)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

/// A verb, and where the cluster is that it is for.
#[derive(Debug, clap::Args)]
struct On<T: clap::Args> {
    #[command(flatten)]
    verb: T,
    #[command(flatten)]
    place: PlaceFlags,
}

impl<T: clap::Args> On<T> {
    /// The verb, and a way to its cluster.
    fn cluster(self) -> Result<(T, Cluster), Problem> {
        let variable = |name: &str| std::env::var(name).ok();
        let home = Home::find(variable);
        let environment = Environment::read(variable);
        let place = place::decide(
            &self.place,
            &environment,
            &home.contexts()?,
            home.local().as_ref(),
        )?;
        Ok((self.verb, Cluster::at(place)?))
    }
}

const VERSION: &str = nsq_service::build_info::RELEASE;

#[derive(Debug, Subcommand)]
enum Command {
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
struct ExplainArgs {
    /// The code, as errors have it in brackets; without it all are listed
    code: Option<String>,
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Form of the listing: table, json, yaml or name
    #[arg(short, long, value_enum, default_value = "table", hide_possible_values = true)]
    output: Format,
}

#[derive(Debug, clap::Args)]
struct TopicArgs {
    /// Topic
    topic: String,
}

#[derive(Debug, clap::Args)]
struct LosingTopicArgs {
    /// Topic
    topic: String,
    /// Its name again, instead of the question
    #[arg(long, value_name = "NAME")]
    yes: Option<String>,
}

#[derive(Debug, clap::Args)]
struct ChannelArgs {
    /// Topic
    topic: String,
    /// Channel
    channel: String,
}

#[derive(Debug, clap::Args)]
struct LosingChannelArgs {
    /// Topic
    topic: String,
    /// Channel
    channel: String,
    /// The name of the channel again, instead of the question
    #[arg(long, value_name = "NAME")]
    yes: Option<String>,
}

#[derive(Debug, clap::Args)]
struct ChannelListArgs {
    /// Topic
    topic: String,
    /// Form of the listing: table, json, yaml or name
    #[arg(short, long, value_enum, default_value = "table", hide_possible_values = true)]
    output: Format,
}

#[derive(Debug, Subcommand)]
enum TopicCommand {
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
enum ChannelCommand {
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

/// Runs `nsq` with the arguments of the process.
#[must_use]
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return usage(&error),
    };
    match run(args) {
        Ok(code) => code,
        Err(problem) => fail(&problem),
    }
}

fn fail(problem: &Problem) -> ExitCode {
    eprintln!("{problem}");
    ExitCode::from(problem.code.exit)
}

/// Help and version go to standard output; wrong usage has the form of every error.
fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        return match print(&error.to_string()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(problem) => fail(&problem),
        };
    }
    fail(&misuse(error))
}

/// A wrong command line: what was wrong, what was meant perhaps, where the help is.
fn misuse(error: &clap::Error) -> Problem {
    let text = error.to_string();
    let first = text
        .lines()
        .next()
        .unwrap_or_default()
        .trim_start_matches("error: ");
    let missing: Vec<&str> = text
        .lines()
        .skip(1)
        .map(str::trim)
        .take_while(|line| !line.is_empty())
        .collect();
    let what = match error.kind() {
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => "a verb is missing".to_owned(),
        _ => [&[first], missing.as_slice()].concat().join(" "),
    };
    let problem = Problem::new(codes::USAGE, what, format!("see {}", help(&text)));
    let meant = [
        ContextKind::SuggestedArg,
        ContextKind::SuggestedSubcommand,
        ContextKind::SuggestedValue,
    ]
    .into_iter()
    .find_map(|kind| error.get(kind));
    match meant {
        Some(meant) => problem.at(format!("perhaps {meant} was meant")),
        None => problem,
    }
}

/// The command with `--help` whose usage is in the text.
fn help(text: &str) -> String {
    let usage = text
        .lines()
        .find_map(|line| line.strip_prefix("Usage: "))
        .unwrap_or("nsq");
    let words = usage
        .split(' ')
        .take_while(|word| word.chars().all(|c| c.is_ascii_lowercase() || c == '-'));
    let words: Vec<&str> = words.filter(|word| !word.starts_with('-')).collect();
    format!("`{} --help`", words.join(" "))
}

fn run(args: Args) -> Result<ExitCode, Problem> {
    match args.command {
        Command::Local(options) => {
            let home = Home::find(|name| std::env::var(name).ok());
            return wait(local::run(&options, &home));
        }
        Command::RunChild {
            parent,
            name,
            program,
            args,
        } => {
            let error = localworld::become_child(parent, &name, &program, &args);
            let what = format!("cannot run {}: {error}", program.display());
            return Err(Problem::new(
                codes::LOCAL_FAILED,
                what,
                "see that the file can be run",
            ));
        }
        Command::Pub(on) => {
            let (options, cluster) = on.cluster()?;
            let piped = !std::io::stdin().is_terminal();
            told(&wait(publish::run(&options, &cluster, piped))?);
        }
        Command::Tail(on) => {
            let (options, cluster) = on.cluster()?;
            wait(tail::run(&options, &cluster))?;
        }
        Command::Top(on) => {
            let (options, cluster) = on.cluster()?;
            wait(top::run(&options, &cluster, std::io::stdout().is_terminal()))?;
        }
        Command::Check(on) => {
            let (options, cluster) = on.cluster()?;
            let report = wait(check::run(&options, &cluster, &check::tag()))?;
            print(&match options.output {
                check::Form::Text => report.text(),
                check::Form::Json => report.json(),
            })?;
            return Ok(ExitCode::from(if report.ok {
                codes::DONE
            } else {
                codes::FAILED
            }));
        }
        Command::Explain(args) => print(&codes::explain(args.code.as_deref())?)?,
        Command::Topic(command) => topic(command)?,
        Command::Channel(command) => channel(command)?,
        Command::Nodes(on) => {
            let (list, cluster) = on.cluster()?;
            print(&wait(nodes::list(list.output, &cluster))?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn topic(command: TopicCommand) -> Result<(), Problem> {
    let plain = |on: On<TopicArgs>| on.cluster().map(|(args, cluster)| (args.topic, None, cluster));
    let losing = |on: On<LosingTopicArgs>| {
        on.cluster()
            .map(|(args, cluster)| (args.topic, args.yes, cluster))
    };
    let (act, given) = match command {
        TopicCommand::List(on) => {
            let (list, cluster) = on.cluster()?;
            return print(&wait(topics::list(list.output, &cluster))?);
        }
        TopicCommand::Create(on) => (Act::Create, plain(on)),
        TopicCommand::Pause(on) => (Act::Pause, plain(on)),
        TopicCommand::Unpause(on) => (Act::Unpause, plain(on)),
        TopicCommand::Empty(on) => (Act::Empty, losing(on)),
        TopicCommand::Delete(on) => (Act::Delete, losing(on)),
    };
    let (topic, yes, cluster) = given?;
    let target = Target { topic, channel: None };
    told(&wait(topics::act(&target, act, yes.as_deref(), &cluster))?);
    Ok(())
}

fn channel(command: ChannelCommand) -> Result<(), Problem> {
    let target = |topic, channel| Target {
        topic,
        channel: Some(channel),
    };
    let plain = |on: On<ChannelArgs>| {
        let given = on.cluster();
        given.map(|(args, cluster)| (target(args.topic, args.channel), None, cluster))
    };
    let losing = |on: On<LosingChannelArgs>| {
        let given = on.cluster();
        given.map(|(args, cluster)| (target(args.topic, args.channel), args.yes, cluster))
    };
    let (act, given) = match command {
        ChannelCommand::List(on) => {
            let (list, cluster) = on.cluster()?;
            return print(&wait(topics::list_channels(&list.topic, list.output, &cluster))?);
        }
        ChannelCommand::Create(on) => (Act::Create, plain(on)),
        ChannelCommand::Pause(on) => (Act::Pause, plain(on)),
        ChannelCommand::Unpause(on) => (Act::Unpause, plain(on)),
        ChannelCommand::Empty(on) => (Act::Empty, losing(on)),
        ChannelCommand::Delete(on) => (Act::Delete, losing(on)),
    };
    let (target, yes, cluster) = given?;
    told(&wait(topics::act(&target, act, yes.as_deref(), &cluster))?);
    Ok(())
}

/// What was done, beside the data.
fn told(text: &str) {
    eprintln!("{text}");
}

/// On this thread: what a verb does is mostly waiting, and the children of `local` belong to the thread that starts them.
fn wait<T>(future: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        let what = format!("cannot start the runtime: {error}");
        Problem::new(codes::SYSTEM_FAILED, what, "see the limits of this user")
    })?;
    runtime.block_on(future)
}
