//! `nsq completion`: what a shell asks at the Tab key. The scripts hand all words to the hidden `nsq complete`, which knows verbs, flags
//! and values, and asks the cluster for names of topics and channels.

use std::time::Duration;

use clap::Command;

use crate::cluster::{Cluster, Measured};
use crate::codes;
use crate::context::Home;

/// A person waits at the Tab key.
const LIMIT: Duration = Duration::from_secs(1);

/// Shells with a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Shell {
    /// GNU bash.
    Bash,
    /// zsh.
    Zsh,
    /// fish.
    Fish,
}

impl Shell {
    /// Its script.
    #[must_use]
    pub const fn script(self) -> &'static str {
        match self {
            Self::Bash => {
                "_nsq() {
    local IFS=$'\\n'
    COMPREPLY=($(nsq complete -- \"${COMP_WORDS[@]:0:COMP_CWORD+1}\" 2>/dev/null))
}
complete -o default -F _nsq nsq
"
            }
            Self::Zsh => {
                "#compdef nsq
_nsq() {
    local -a found
    found=(\"${(@f)$(nsq complete -- \"${(@)words[1,CURRENT]}\" 2>/dev/null)}\")
    compadd -a found
}
compdef _nsq nsq
"
            }
            Self::Fish => {
                "complete -c nsq -f -a '(nsq complete -- (commandline -opc) (commandline -ct) 2>/dev/null)'
"
            }
        }
    }
}

/// What may stand at the end of a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// One of these.
    Words(Vec<String>),
    /// A topic.
    Topic,
    /// A channel of this topic.
    Channel(String),
    /// A context.
    Context,
}

/// What may follow these words, the program first; and the beginning that is there already. Pure.
#[must_use]
pub fn wanted(command: &Command, words: &[String]) -> (Wanted, String) {
    let (prefix, before) = words
        .split_last()
        .map_or(("", [].as_slice()), |(last, rest)| (last.as_str(), rest));
    let mut command = command;
    let mut places: Vec<&str> = Vec::new();
    let mut value_of = None;
    for word in before.iter().skip(1) {
        if value_of.take().is_some() {
            continue;
        }
        if let Some(flag) = word.strip_prefix('-') {
            value_of = takes_value(command, flag);
        } else if let Some(verb) = command.find_subcommand(word) {
            command = verb;
        } else {
            places.push(word);
        }
    }
    let wanted = match value_of {
        Some("context") => Wanted::Context,
        Some("channel") => Wanted::Channel(places.first().copied().unwrap_or_default().to_owned()),
        Some(id) => Wanted::Words(values(command, id)),
        None if prefix.starts_with('-') => {
            let flags = command.get_arguments().filter_map(clap::Arg::get_long);
            Wanted::Words(flags.map(|flag| format!("--{flag}")).collect())
        }
        None if command.has_subcommands() => {
            let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set());
            Wanted::Words(verbs.map(|verb| verb.get_name().to_owned()).collect())
        }
        None => match command
            .get_positionals()
            .nth(places.len())
            .map(|arg| arg.get_id().as_str())
        {
            Some("topic") => Wanted::Topic,
            Some("channel") => Wanted::Channel(places.first().copied().unwrap_or_default().to_owned()),
            Some("name") => Wanted::Context,
            Some("code") => Wanted::Words(codes::names()),
            Some(id) => Wanted::Words(values(command, id)),
            None => Wanted::Words(Vec::new()),
        },
    };
    (wanted, prefix.to_owned())
}

/// The flag of this text without its first dash, if the next word is its value.
fn takes_value<'a>(command: &'a Command, flag: &str) -> Option<&'a str> {
    let found = command.get_arguments().find(|arg| match flag.strip_prefix('-') {
        Some(long) => arg.get_long() == Some(long),
        None => arg.get_short().is_some_and(|short| flag == short.to_string()),
    })?;
    found.get_action().takes_values().then(|| found.get_id().as_str())
}

fn values(command: &Command, id: &str) -> Vec<String> {
    let arg = command.get_arguments().find(|arg| arg.get_id() == id);
    let values = arg.map(clap::Arg::get_possible_values).unwrap_or_default();
    values.iter().map(|value| value.get_name().to_owned()).collect()
}

/// The answer: one candidate per line. Who cannot be asked adds nothing.
pub async fn answer(wanted: Wanted, prefix: &str, cluster: Option<Cluster>, home: &Home) -> String {
    let words = match wanted {
        Wanted::Words(words) => words,
        Wanted::Context => home.contexts().unwrap_or_default().contexts.into_keys().collect(),
        Wanted::Topic => names(cluster, None).await,
        Wanted::Channel(topic) => names(cluster, Some(&topic)).await,
    };
    let fit = words.iter().filter(|word| word.starts_with(prefix));
    fit.map(|word| format!("{word}\n")).collect()
}

/// Names of topics, or of the channels of one.
async fn names(cluster: Option<Cluster>, topic: Option<&str>) -> Vec<String> {
    let Some(mut cluster) = cluster else {
        return Vec::new();
    };
    cluster.client.connect_timeout = LIMIT;
    cluster.client.request_timeout = LIMIT;
    let Ok(found) = cluster.find().await else {
        return Vec::new();
    };
    let measured = cluster.measure(&found.nodes, false).await;
    let stats = measured
        .into_iter()
        .filter_map(|Measured { stats, .. }| stats.ok()?.topics);
    let topics: Vec<_> = stats.flatten().collect();
    let mut names: Vec<String> = match topic {
        None => topics
            .into_iter()
            .map(|of| of.topic_name)
            .chain(found.registered)
            .collect(),
        Some(topic) => {
            let of = topics.into_iter().filter(|of| of.topic_name == topic);
            of.flat_map(|of| of.channels).map(|of| of.channel_name).collect()
        }
    };
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn after(line: &str) -> Wanted {
        let mut command = crate::verbs::Args::command();
        command.build();
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        wanted(&command, &words).0
    }

    #[test]
    fn the_words_before_say_what_may_follow() {
        let words = |wanted| match wanted {
            Wanted::Words(words) => words,
            other => panic!("{other:?}"),
        };
        let verbs = words(after("nsq "));
        assert!(verbs.contains(&"check".to_owned()) && !verbs.contains(&"run-child".to_owned()));
        assert!(words(after("nsq topic p")).contains(&"pause".to_owned()));
        assert_eq!(words(after("nsq nodes -o ")), ["table", "json", "yaml", "name"]);
        assert!(words(after("nsq pub --de")).contains(&"--delay".to_owned()));
        assert_eq!(after("nsq topic pause "), Wanted::Topic);
        assert_eq!(after("nsq tail --lookupd a:1 "), Wanted::Topic);
        assert_eq!(after("nsq channel pause t "), Wanted::Channel("t".to_owned()));
        assert_eq!(after("nsq tail t -c "), Wanted::Channel("t".to_owned()));
        assert_eq!(after("nsq nodes --context "), Wanted::Context);
        assert!(words(after("nsq explain UN")).contains(&"UNREACHABLE".to_owned()));
        assert_eq!(words(after("nsq nodes x ")), Vec::<String>::new());
    }
}
