//! `nsq man`: the manual page, from the same table as the help. Pure.

use std::fmt::Write as _;

use clap::Command;

/// The page, for `man -l -`.
#[must_use]
pub fn page(command: &Command) -> String {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let mut text = format!(
        ".TH NSQ 1\n.SH NAME\nnsq \\- {}\n.SH SYNOPSIS\n.B nsq\nVERB [OPTIONS]\n.SH VERBS\n",
        escaped(&about)
    );
    verbs(command, "nsq", &mut text);
    text.push_str(".SH EXIT STATUS\n");
    for (code, meaning) in crate::codes::EXITS {
        let _ = write!(text, ".TP\n.B {code}\n{}\n", escaped(meaning));
    }
    text
}

fn verbs(command: &Command, path: &str, text: &mut String) {
    let shown = |verb: &&Command| !verb.is_hide_set() && verb.get_name() != "help";
    for verb in command.get_subcommands().filter(shown) {
        let path = format!("{path} {}", verb.get_name());
        if verb.has_subcommands() {
            verbs(verb, &path, text);
            continue;
        }
        let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
        let _ = write!(text, ".SS \"{}", escaped(&path));
        for place in verb.get_positionals() {
            let _ = write!(text, " {}", escaped(&place.get_id().as_str().to_uppercase()));
        }
        let _ = write!(text, "\"\n{}.\n", escaped(&about));
        for flag in verb.get_opts() {
            let short = flag
                .get_short()
                .map(|short| format!("-{short}, "))
                .unwrap_or_default();
            let long = flag.get_long().unwrap_or_default();
            let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
            let _ = write!(
                text,
                ".TP\n.B {}\n{}\n",
                escaped(&format!("{short}--{long}")),
                escaped(&help)
            );
        }
        let example = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
        if let Some(example) = example.lines().find_map(|line| line.strip_prefix("  ")) {
            let _ = write!(text, ".PP\nExample:\n.B {}\n", escaped(example));
        }
    }
}

/// Text that is nothing but text to roff.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-").replace('\n', " ");
    if text.starts_with(['.', '\'']) {
        format!("\\&{text}")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn every_verb_and_flag_is_on_the_page_and_text_is_no_request() {
        let mut command = crate::verbs::Args::command();
        command.build();
        let page = page(&command);
        for text in [
            "nsq pub TOPIC",
            "\\-\\-delay",
            "nsq channel delete TOPIC CHANNEL",
            "EXIT STATUS",
        ] {
            assert!(page.contains(text), "{text}:\n{page}");
        }
        let requests = [".TH ", ".SH ", ".SS ", ".TP", ".B ", ".PP"];
        for line in page.lines().filter(|line| line.starts_with('.')) {
            assert!(requests.iter().any(|request| line.starts_with(request)), "{line}");
        }
        assert_eq!(escaped(".x\\y"), "\\&.x\\ey");
    }
}
