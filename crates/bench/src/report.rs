//! The table made from the records of a run. Pure.

use std::fmt::Write as _;

use crate::record::Record;
use crate::scenario::{Aim, Scenario};
use crate::summary::{Spread, Verdict, compare};

/// Which daemon is which.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names<'a> {
    pub(crate) reference: &'a str,
    pub(crate) ours: &'a str,
}

/// A table in Markdown: a line for each figure of each scenario that was run. And how many targets were met, and missed.
pub(crate) fn table(scenarios: &[Scenario], records: &[Record], names: Names<'_>) -> (String, [usize; 2]) {
    let mut text = format!(
        "| scenario | figure | {} | {} | ratio (smallest–largest) | target | |\n|---|---|---|---|---|---|---|\n",
        names.reference, names.ours
    );
    let mut counts = [0, 0];
    for scenario in scenarios {
        let of = |daemon: &str| -> Vec<&Record> {
            let runs = records.iter().filter(|record| record.scenario == scenario.name);
            runs.filter(|record| record.daemon == daemon).collect()
        };
        let (theirs, ours) = (of(names.reference), of(names.ours));
        if theirs.is_empty() && ours.is_empty() {
            continue;
        }
        for goal in &scenario.goals {
            let compared = compare(&theirs, &ours, *goal);
            match compared.verdict {
                Verdict::Met => counts[0] += 1,
                Verdict::Missed | Verdict::MissedWithinSpread => counts[1] += 1,
                Verdict::None | Verdict::NotMeasured => {}
            }
            let (unit, scale) = unit(goal.figure);
            let value =
                |spread: Option<Spread>| spread.map_or("–".to_owned(), |s| number(s.median * scale));
            let _ = writeln!(
                text,
                "| `{}` | {unit} | {} | {} | {} | {} | {} |",
                scenario.name,
                value(compared.reference),
                value(compared.ours),
                ratio(compared.ratio),
                target(goal.aim, scale),
                compared.verdict,
            );
        }
        for runs in [&theirs, &ours] {
            let mut failed = runs.iter().filter(|record| record.error.is_some());
            let many = failed.clone().count();
            if let Some((record, why)) = failed.find_map(|record| Some((record, record.error.as_ref()?))) {
                let _ = writeln!(
                    text,
                    "| `{}` | **failed** on {}, {many} of {} | {} | | | | |",
                    scenario.name,
                    record.daemon,
                    runs.len(),
                    why.replace(['|', '\n'], " ")
                );
            }
        }
    }
    (text, counts)
}

/// What a figure is called, and what it is multiplied with to be shown so.
pub(crate) fn unit(figure: &str) -> (String, f64) {
    let plain = |text: &str| (text.to_owned(), 1.0);
    if let Some((latency, percentile)) = figure.split_once('.') {
        let what = match latency {
            "end_to_end" => "end to end",
            "answer" => "to the answer",
            "command" => "of a command",
            other => other,
        };
        return (format!("{what}, {percentile}, ms"), 1e-3);
    }
    match figure {
        "cpu_s_per_m" => plain("processor, s/M"),
        "per_second" => plain("messages/s"),
        "rss_mib_peak" => plain("resident at most, MiB"),
        "rss_mib_before" => plain("resident before the first message, MiB"),
        "publish_cpu_s_per_m" => plain("processor of publishing, s/M"),
        "rss_mib_after" => plain("resident, MiB"),
        "kib_each" => plain("KiB each"),
        "idle_percent" => plain("idle, % of a core"),
        "create_seconds" => plain("made in, s"),
        "bytes_per_message" => plain("bytes each"),
        "stats_cpu_ms" => plain("`/stats`, processor ms"),
        "metrics_cpu_ms" => plain("`/metrics`, processor ms"),
        "exit_seconds" => plain("ended in, s"),
        "start_ms" => plain("listens after, ms"),
        other => plain(other),
    }
}

/// Three digits, and no more than whole numbers of large ones.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    if size >= 100.0 {
        let digits = format!("{value:.0}");
        let (sign, digits) = digits
            .strip_prefix('-')
            .map_or(("", digits.as_str()), |d| ("-", d));
        let mut grouped = String::new();
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at) % 3 == 0 {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        format!("{sign}{grouped}")
    } else if size >= 10.0 {
        format!("{value:.1}")
    } else if size >= 0.1 || size == 0.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.3}")
    }
}

/// Beyond this a ratio only says that one of both is nothing.
const LARGEST_RATIO: f64 = 100_000.0;

fn ratio(spread: Option<Spread>) -> String {
    match spread {
        None => "–".to_owned(),
        Some(spread) if spread.median > LARGEST_RATIO => format!("**> {}×**", number(LARGEST_RATIO)),
        Some(spread) if spread.count == 1 => format!("**{}×**", number(spread.median)),
        Some(spread) => format!(
            "**{}×** ({}–{})",
            number(spread.median),
            number(spread.least),
            number(spread.most)
        ),
    }
}

fn target(aim: Aim, scale: f64) -> String {
    match aim {
        Aim::TimesLess(times) => format!("{times}× less"),
        Aim::TimesMore(times) => format!("{times}× more"),
        Aim::AtMost(most) => format!("≤ {}", most * scale),
        Aim::Less | Aim::More => "–".to_owned(),
    }
}

/// The machine and the programs, one line.
pub(crate) fn heading(records: &[Record]) -> String {
    let Some(record) = records.first() else {
        return "Nothing was measured.\n".to_owned();
    };
    let machine = &record.machine;
    let mut programs: Vec<String> = Vec::new();
    for record in records {
        let program = format!("{} is {}", record.daemon, record.version);
        if !programs.contains(&program) {
            programs.push(program);
        }
    }
    let pairs = records
        .iter()
        .map(|record| record.pair + 1)
        .max()
        .unwrap_or_default();
    format!(
        "{} cores ({}), Linux {}; {}; at most {pairs} pairs, A B A B, a fresh process and an empty folder each.\n",
        machine.cores,
        machine.processor,
        machine.kernel,
        programs.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;
    use crate::scenario::{Goal, Repeat, Work};

    fn scenario() -> Scenario {
        let goal = |figure, aim| Goal { figure, aim };
        Scenario {
            name: "s".to_owned(),
            flags: Vec::new(),
            work: Work::Start { topics: 0 },
            share: None,
            goals: vec![
                goal("cpu_s_per_m", Aim::TimesLess(4.0)),
                goal("late.p99", Aim::AtMost(5000.0)),
            ],
            repeat: Repeat::Pairs,
            quick: false,
        }
    }

    fn record(daemon: &str, cpu: f64, late: f64) -> Record {
        let mut record = crate::record::read(
            r#"{"scenario":"s","daemon":"","version":"1","flags":[],"pair":0,"work":"","machine":{"kernel":"k","processor":"p","cores":2}}"#,
        )
        .unwrap()
        .remove(0);
        record.daemon = daemon.to_owned();
        record.figures.insert("cpu_s_per_m".to_owned(), cpu);
        let latency = crate::record::Latency {
            p99: late,
            ..Default::default()
        };
        record.latencies.insert("late".to_owned(), latency);
        record
    }

    const NAMES: Names<'_> = Names {
        reference: "go",
        ours: "ours",
    };

    #[test]
    fn a_line_for_each_figure_with_both_daemons_and_the_verdict() {
        let records = [record("go", 10.0, 99_000.0), record("ours", 2.0, 5500.0)];
        let (text, counts) = table(&[scenario()], &records, NAMES);
        assert_eq!(
            text.lines().skip(2).collect::<Vec<_>>(),
            [
                "| `s` | processor, s/M | 10.0 | 2.00 | **5.00×** | 4× less | met |",
                "| `s` | late, p99, ms | 99.0 | 5.50 | **18.0×** | ≤ 5 | **missed** |",
            ]
        );
        assert_eq!(counts, [1, 1]);
        assert_eq!(
            records[0].machine,
            Machine {
                kernel: "k".into(),
                processor: "p".into(),
                cores: 2,
                ..Machine::default()
            }
        );
    }

    #[test]
    fn what_failed_is_told_and_what_was_not_run_is_left_out() {
        let mut failed = record("ours", 1.0, 1.0);
        failed.error = Some("no | answer".to_owned());
        let (text, counts) = table(&[scenario()], &[failed], NAMES);
        assert!(
            text.contains("**failed** on ours, 1 of 1 | no   answer |"),
            "{text}"
        );
        assert!(text.contains("not measured"));
        assert_eq!(counts, [0, 0]);
        assert_eq!(table(&[scenario()], &[], NAMES).0.lines().count(), 2);
    }

    #[test]
    fn numbers_have_three_digits_that_count() {
        for (value, text) in [
            (1_234_567.8, "1,234,568"),
            (999.6, "1,000"),
            (123.4, "123"),
            (12.34, "12.3"),
            (1.234, "1.23"),
            (0.0, "0.00"),
            (0.0123, "0.012"),
            (-1234.0, "-1,234"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
