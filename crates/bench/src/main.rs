//! `nsq-bench`: measures nsqd beside another nsqd. `cargo xtask bench` builds what it needs and calls it.
//!
//! ```text
//! scenarios ─► driver ─► daemon (a fresh process) ◄─ load (bare connections)
//!                  └─► records.jsonl ─► summary ─► report (table), pictures (SVG)
//! ```
//! Everything right of the records is pure, so that a table can be made again.
#![allow(
    clippy::disallowed_methods,
    reason = "measures real processes over real sockets by the real clock"
)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people at a terminal"
)]

mod args;
mod counts;
mod curves;
mod daemon;
mod driver;
mod gate;
mod load;
mod machine;
mod outcome;
mod pictures;
mod pin;
mod record;
mod report;
mod scenario;
mod scenarios;
mod soak;
mod summary;
mod svg;
mod usage;

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;

use args::{Command, CommandLine, Run};
use driver::Session;
use outcome::Outcome;
use record::Record;
use report::Names;
use scenario::Scenario;

fn main() -> ExitCode {
    let done = match CommandLine::parse().command {
        Command::Run(run) => measure(&run),
        Command::Curves(curves) => curves::run(&curves),
        Command::Soak(soak) => soak::run(&soak),
        Command::Gate(gate) => gate::run(&gate),
        Command::List => {
            list();
            Ok(())
        }
        Command::Report { folder } => report_of(&folder),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("error: {text}");
            ExitCode::FAILURE
        }
    }
}

fn measure(run: &Run) -> Outcome {
    let all = scenarios::all();
    let wanted: Vec<Scenario> = all
        .into_iter()
        .filter(|scenario| !run.quick || scenario.quick)
        .filter(|scenario| run.only.as_ref().is_none_or(|only| only.is_match(&scenario.name)))
        .collect();
    if wanted.is_empty() {
        return Err("no scenario has such a name: `nsq-bench list` names them all".to_owned());
    }
    let mut session = Session::open(&run.common)?;
    for scenario in &wanted {
        session.measure(scenario, run.pairs)?;
    }
    let names = names(&session.names())?;
    write_report(session.folder(), &session.records, names)
}

/// The reference and ours; alone, ours is both.
fn names<'a>(daemons: &[&'a str]) -> Outcome<Names<'a>> {
    match *daemons {
        [ours] => Ok(Names {
            reference: "reference",
            ours,
        }),
        [reference, ours] => Ok(Names { reference, ours }),
        _ => Err("one daemon or two can be measured: pass --daemon once or twice".to_owned()),
    }
}

fn report_of(folder: &Path) -> Outcome {
    let path = driver::records_of(folder);
    let text = fs::read_to_string(&path).map_err(|why| format!("read {}: {why}", path.display()))?;
    let records = record::read(&text).map_err(|why| format!("{}: {why}", path.display()))?;
    let mut daemons: Vec<&str> = Vec::new();
    for record in &records {
        if !daemons.contains(&record.daemon.as_str()) {
            daemons.push(&record.daemon);
        }
    }
    write_report(folder, &records, names(&daemons)?)
}

fn write_report(folder: &Path, records: &[Record], names: Names<'_>) -> Outcome {
    let scenarios = scenarios::all();
    let (table, [met, missed]) = report::table(&scenarios, records, names);
    let text = format!(
        "{}\n{table}\n{met} targets met, {missed} missed.\n",
        report::heading(records)
    );
    print!("{text}");
    write(folder, "table.md", &text)?;
    for (name, text) in pictures::all(&scenarios, records, names) {
        write(folder, &name, &text)?;
    }
    eprintln!("records, table and pictures are in {}", folder.display());
    Ok(())
}

fn write(folder: &Path, name: &str, text: &str) -> Outcome {
    let path = folder.join(name);
    fs::write(&path, text).map_err(|why| format!("write {}: {why}", path.display()))
}

fn list() {
    for scenario in scenarios::all() {
        println!("{} {:?}\n  {}", scenario.name, scenario.flags, scenario.work);
        for goal in &scenario.goals {
            println!("  {}: {:?}", goal.figure, goal.aim);
        }
    }
}
