//! Which cores a daemon and who loads it may use, to tell the share of each. Linux gives a process the cores of the thread that
//! starts it, so a start is the only place where this matters.

use std::str::FromStr;
use std::sync::OnceLock;

use rustix::thread::{CpuSet, sched_setaffinity};

use crate::outcome::Outcome;

/// A core for each side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pin {
    server: usize,
    client: usize,
}

/// Set once, before the first daemon starts: cores are a matter of the whole process.
static PIN: OnceLock<Pin> = OnceLock::new();

impl FromStr for Pin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (mut server, mut client) = (None, None);
        for part in text.split(',') {
            let (side, core) = part.split_once('=').unwrap_or((part, ""));
            let side = match side {
                "server" => &mut server,
                "client" => &mut client,
                _ => return Err(format!("{side:?} is neither server nor client")),
            };
            let core: usize = core
                .parse()
                .map_err(|_| format!("{part:?}: a core is a number from 0"))?;
            if core >= CpuSet::MAX_CPU {
                return Err(format!("{part:?}: cores are below {}", CpuSet::MAX_CPU));
            }
            *side = Some(core);
        }
        match (server, client) {
            (Some(server), Some(client)) => Ok(Self { server, client }),
            _ => Err("expected server=CORE,client=CORE, for example server=0,client=1".to_owned()),
        }
    }
}

/// From now on daemons have their core, and this process has the other.
///
/// # Errors
/// There is no such core.
pub(crate) fn set(pin: Pin) -> Outcome {
    stay(pin.server)?;
    stay(pin.client)?;
    // A process measures once.
    let _ = PIN.set(pin);
    Ok(())
}

/// Starts a daemon on its core.
pub(crate) fn started<T>(start: impl FnOnce() -> T) -> Outcome<T> {
    let Some(pin) = PIN.get() else {
        return Ok(start());
    };
    stay(pin.server)?;
    let started = start();
    stay(pin.client)?;
    Ok(started)
}

fn stay(core: usize) -> Outcome {
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores).map_err(|why| format!("use core {core} alone: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_have_a_core() {
        let pin: Pin = "client=1,server=0".parse().unwrap();
        assert_eq!((pin.server, pin.client), (0, 1));
        for wrong in [
            "",
            "server=0",
            "server=a,client=1",
            "both=1",
            "server=0,client=99999",
        ] {
            assert!(wrong.parse::<Pin>().is_err(), "{wrong}");
        }
    }
}
