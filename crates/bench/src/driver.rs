//! Runs works on daemons: a fresh process and an empty folder for each run, A B A B, a record for each at once.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nsq_testkit::tls::Identity;
use tempfile::TempDir;

use crate::args::{Common, Daemon};
use crate::daemon::Running;
use crate::load::{self, meter::Found};
use crate::machine::{self, BUSY, Machine};
use crate::outcome::Outcome;
use crate::pin;
use crate::record::Record;
use crate::scenario::{Repeat, Scenario, Work};
use crate::scenarios::{self, CERT, KEY, MAXIMUM};
use crate::summary::Spread;

/// A sender that was later than this tells of the machine and not of the daemon.
const LATE_US: f64 = 1000.0;
/// Times that such a run is made again.
const AGAIN: usize = 2;
/// Open files that ten thousand connections need, with room.
const OPEN_FILES: u64 = 12_000;

/// A session of measuring.
pub(crate) struct Session {
    daemons: Vec<(Daemon, String)>,
    folder: PathBuf,
    file: File,
    pub(crate) records: Vec<Record>,
    /// Certificate and key of the daemons.
    identity: TempDir,
}

impl Session {
    /// Checks what is needed and opens the file of records.
    ///
    /// # Errors
    /// The machine is busy, a program is missing, or the folder cannot be written.
    pub(crate) fn open(common: &Common) -> Outcome<Self> {
        let busy = machine::load()?;
        if busy > BUSY && !common.force {
            return Err(format!(
                "the load average is {busy}, so something else runs here: wait until it is below {BUSY}, or pass --force"
            ));
        }
        if let Some(pin) = common.pin {
            pin::set(pin)?;
        }
        nsq_testkit::allow_open_files(OPEN_FILES);
        let mut daemons = Vec::new();
        for daemon in &common.daemons {
            daemons.push((daemon.clone(), version(&daemon.binary)?));
        }
        let folder = common.out.clone().unwrap_or_else(|| {
            Path::new("target/bench").join(Machine::here().seconds_since_1970.to_string())
        });
        fs::create_dir_all(&folder).map_err(|why| format!("create {}: {why}", folder.display()))?;
        let path = records_of(&folder);
        // Runs of different programs must not get mixed.
        let file = File::create_new(&path)
            .map_err(|why| format!("create {}: {why}: pass another folder with --out", path.display()))?;
        let identity =
            tempfile::tempdir().map_err(|why| format!("make a folder for a certificate: {why}"))?;
        Identity::self_signed("localhost").write(identity.path());
        Ok(Self {
            daemons,
            folder,
            file,
            records: Vec::new(),
            identity,
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Names of the daemons, the reference first.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.daemons
            .iter()
            .map(|(daemon, _)| daemon.name.as_str())
            .collect()
    }

    /// Makes the runs of a scenario. A run that fails is a record too; what cannot be recorded ends the session.
    ///
    /// # Errors
    /// The file of records cannot be written.
    pub(crate) fn measure(&mut self, scenario: &Scenario, pairs: usize) -> Outcome {
        let pairs = match scenario.repeat {
            Repeat::Pairs => pairs.max(1),
            Repeat::Once => 1,
        };
        let work = self.with_rate(scenario)?;
        for pair in 0..pairs {
            for number in 0..self.daemons.len() {
                self.run(scenario, &work, pair, number, None)?;
            }
        }
        Ok(())
    }

    /// One run of one daemon, recorded.
    ///
    /// # Errors
    /// The file of records cannot be written.
    pub(crate) fn run(
        &mut self,
        scenario: &Scenario,
        work: &Work,
        pair: usize,
        number: usize,
        amount: Option<f64>,
    ) -> Outcome<&Record> {
        let flags = self.flags(scenario);
        let found = quiet_run(self.binary(number)?, &flags, work);
        self.record(scenario, work, pair, number, amount, found)
    }

    /// The program of this daemon.
    ///
    /// # Errors
    /// There is none of this number.
    pub(crate) fn binary(&self, number: usize) -> Outcome<&Path> {
        let (daemon, _) = self.daemons.get(number).ok_or("no such daemon")?;
        Ok(&daemon.binary)
    }

    /// Writes down what was found.
    ///
    /// # Errors
    /// The file of records cannot be written.
    pub(crate) fn record(
        &mut self,
        scenario: &Scenario,
        work: &Work,
        pair: usize,
        number: usize,
        amount: Option<f64>,
        found: Outcome<Found>,
    ) -> Outcome<&Record> {
        let (daemon, version) = self.daemons.get(number).ok_or("no such daemon")?;
        let (found, error) = match found {
            Ok(found) => (found, None),
            Err(why) => (Found::default(), Some(why)),
        };
        let record = Record {
            scenario: scenario.name.clone(),
            daemon: daemon.name.clone(),
            version: version.clone(),
            flags: scenario.flags.iter().map(|flag| (*flag).to_owned()).collect(),
            pair,
            work: work.to_string(),
            amount,
            machine: Machine::here(),
            error,
            figures: found.figures,
            latencies: found.latencies,
        };
        eprintln!("{}", line(&record, scenario));
        let text = serde_json::to_string(&record).map_err(|why| format!("write a record: {why}"))?;
        writeln!(self.file, "{text}")
            .map_err(|why| format!("write to {}: {why}", records_of(&self.folder).display()))?;
        self.records.push(record);
        self.records
            .last()
            .ok_or_else(|| "nothing was recorded".to_owned())
    }

    fn flags(&self, scenario: &Scenario) -> Vec<String> {
        let file = |name: &str| self.identity.path().join(name).display().to_string();
        let flags = scenario.flags.iter().map(|flag| match *flag {
            CERT => format!("--tls-cert={}", file("tls.crt")),
            KEY => format!("--tls-key={}", file("tls.key")),
            flag => flag.to_owned(),
        });
        flags.collect()
    }

    /// The work, at the share of what the reference can do where the scenario says so.
    fn with_rate(&mut self, scenario: &Scenario) -> Outcome<Work> {
        let (Some(share), Work::Timetable(work)) = (scenario.share, &scenario.work) else {
            return Ok(scenario.work.clone());
        };
        let most = match self.reference_maximum() {
            Some(most) => most,
            None => {
                let all = scenarios::all();
                let measured = all.iter().find(|s| s.name == MAXIMUM);
                let measured = measured.ok_or("no scenario tells the maximum")?;
                self.run(measured, &measured.work, 0, 0, None)?;
                self.reference_maximum()
                    .ok_or_else(|| format!("{MAXIMUM} failed, so there is no rate for {}", scenario.name))?
            }
        };
        let mut work = work.clone();
        work.rate = (most * share).round();
        Ok(Work::Timetable(work))
    }

    fn reference_maximum(&self) -> Option<f64> {
        let (reference, _) = self.daemons.first()?;
        let runs = self.records.iter().filter(|record| record.scenario == MAXIMUM);
        let runs = runs.filter(|record| record.daemon == reference.name);
        Some(Spread::of(runs.filter_map(|record| record.figure("per_second")))?.median)
    }
}

/// The file of records in a folder.
pub(crate) fn records_of(folder: &Path) -> PathBuf {
    folder.join("records.jsonl")
}

/// A run whose own sender was in time; the last, if none was.
fn quiet_run(binary: &Path, flags: &[String], work: &Work) -> Outcome<Found> {
    let mut tries = 0;
    loop {
        let found = one(binary, flags, work)?;
        let late = found.latencies.get("sender_late").map_or(0.0, |late| late.p99);
        if late <= LATE_US {
            return Ok(found);
        }
        if tries == AGAIN {
            return Err(format!(
                "the sender was {late:.0} µs late in 1 % of its messages, {} times: the machine is too busy to measure latency",
                tries + 1
            ));
        }
        tries += 1;
    }
}

fn one(binary: &Path, flags: &[String], work: &Work) -> Outcome<Found> {
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    if work.is_life() {
        return load::run_life(work, binary, &flags);
    }
    let folder = tempfile::tempdir().map_err(|why| format!("make a data folder: {why}"))?;
    let daemon = Running::start(binary, &flags, folder.path())?;
    let found = load::run(work, daemon.target())?;
    daemon.stop()?;
    Ok(found)
}

/// What the program calls itself.
fn version(binary: &Path) -> Outcome<String> {
    let shown = binary.display();
    let said = Command::new(binary)
        .arg("--version")
        .output()
        .map_err(|why| format!("start {shown}: {why}"))?;
    let text = String::from_utf8_lossy(&said.stdout);
    let first = text.lines().next().unwrap_or_default().trim();
    if !said.status.success() || first.is_empty() {
        return Err(format!("{shown} --version ended with {}", said.status));
    }
    Ok(first.to_owned())
}

/// A run in one line, for who waits.
fn line(record: &Record, scenario: &Scenario) -> String {
    let mut text = format!("{} {} {}:", scenario.name, record.daemon, record.pair + 1);
    if let Some(why) = &record.error {
        return format!("{text} FAILED: {why}");
    }
    for goal in &scenario.goals {
        if let Some(value) = record.figure(goal.figure) {
            let (unit, scale) = crate::report::unit(goal.figure);
            text.push_str(&format!(" {unit} {};", crate::report::number(value * scale)));
        }
    }
    text
}
