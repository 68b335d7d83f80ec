//! Runs the verb that the command line asks for. Usage that is wrong has the form of every error.
#![allow(clippy::print_stderr, reason = "a program talks to people here")]

use std::future::Future;
use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::error::{ContextKind, ErrorKind};
use clap::{CommandFactory as _, Parser as _};
use nsq_http_api::messages::State;
use nsq_operator::localworld;
use nsq_service::clock::{Clock as _, SystemClock};

use crate::cluster::Cluster;
use crate::context::Home;
use crate::listing::print;
use crate::messages::Listed;
use crate::place::{Environment, PlaceFlags};
use crate::problem::Problem;
use crate::topics::{Act, Target};
use crate::verbs::{
    Args, ChannelArgs, ChannelCommand, Command, ContextCommand, LosingChannelArgs, LosingTopicArgs, NoArgs,
    On, TopicArgs, TopicCommand,
};
use crate::{
    check, codes, completion, contexts, local, man, messages, nodes, place, publish, tail, top, topics,
    validate,
};

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
    let problem = Problem::new(codes::USAGE, what, format!("see {}", help()));
    let meant = [
        ContextKind::SuggestedArg,
        ContextKind::SuggestedSubcommand,
        ContextKind::SuggestedValue,
    ]
    .into_iter()
    .find_map(|kind| error.get(kind));
    match meant {
        Some(meant) if error.kind() != ErrorKind::InvalidValue => {
            problem.at(format!("perhaps {meant} was meant"))
        }
        _ => problem,
    }
}

/// The help of the verb that was called, as far as it is one.
fn help() -> String {
    let table = table();
    let mut command = &table;
    let mut path = "nsq".to_owned();
    for word in std::env::args().skip(1) {
        let Some(verb) = command.find_subcommand(&word).filter(|verb| !verb.is_hide_set()) else {
            break;
        };
        command = verb;
        path = format!("{path} {word}");
    }
    format!("`{path} --help`")
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
        Command::Peek(on) => {
            let (options, cluster) = on.cluster()?;
            let channel = options.channel.as_deref();
            shown(State::Ready, &options.topic, channel, &options.form, &cluster)?;
        }
        Command::Timers(on) => {
            let (options, cluster) = on.cluster()?;
            shown(
                State::Deferred,
                &options.topic,
                Some(&options.channel),
                &options.form,
                &cluster,
            )?;
        }
        Command::Dead(on) => {
            let (options, cluster) = on.cluster()?;
            shown(
                State::Dead,
                &options.topic,
                Some(&options.channel),
                &options.form,
                &cluster,
            )?;
        }
        Command::Top(on) => {
            let (options, cluster) = on.cluster()?;
            wait(top::run(&options, &cluster, std::io::stdout().is_terminal()))?;
        }
        Command::Check(on) => {
            let output = on.verb.output;
            let report = if on.verb.pre.pre {
                wait(check::pre::run(&on.verb.pre))?
            } else {
                let (options, cluster) = on.cluster()?;
                wait(check::run(&options, &cluster, &check::tag()))?
            };
            print(&match output {
                check::Form::Text => report.text(),
                check::Form::Json => report.json(),
            })?;
            return Ok(ExitCode::from(if report.ok {
                codes::DONE
            } else {
                codes::FAILED
            }));
        }
        Command::Validate(options) => {
            let mistakes = validate::run(&options)?;
            print(&mistakes.text)?;
            return mistakes.end();
        }
        Command::Context(command) => context(command)?,
        Command::Completion(args) => print(args.shell.script())?,
        Command::Man => print(&man::page(&table()))?,
        Command::Complete { words } => print(&wait(complete(&words))?)?,
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

/// The whole command line as a table.
fn table() -> clap::Command {
    let mut table = Args::command();
    table.build();
    table
}

/// Candidates for the last of these words. Who cannot be asked adds none.
async fn complete(words: &[String]) -> Result<String, Problem> {
    let (wanted, prefix) = completion::wanted(&table(), words);
    let place = PlaceFlags::default();
    let cluster = On {
        verb: NoArgs {},
        place,
    }
    .cluster()
    .ok()
    .map(|(_, cluster)| cluster);
    let home = Home::find(|name| std::env::var(name).ok());
    Ok(completion::answer(wanted, &prefix, cluster, &home).await)
}

fn context(command: ContextCommand) -> Result<(), Problem> {
    let home = Home::find(|name| std::env::var(name).ok());
    let done = match command {
        ContextCommand::List(list) => return print(&contexts::list(list.output, &home)?),
        ContextCommand::Set(args) => contexts::set(args, &home)?,
        ContextCommand::Use(args) => contexts::choose(&args.name, &home)?,
        ContextCommand::Delete(args) => contexts::delete(&args.name, &home)?,
    };
    told(&done);
    Ok(())
}

fn shown(
    state: State,
    topic: &str,
    channel: Option<&str>,
    form: &Listed,
    cluster: &Cluster,
) -> Result<(), Problem> {
    let now = SystemClock::new().unix_nanos();
    print(&wait(messages::list(state, topic, channel, form, cluster, now))?)
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
