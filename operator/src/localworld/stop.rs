//! The end: the console first, then nodes together, registries last, so that consumers find the nodes until they are gone.

use std::time::Duration;

use tokio::sync::mpsc;

use super::ident::Ident;
use super::process::Ended;
use super::screen::Screen;
use super::signals::{Signal, Signals};
use super::world::LocalWorld;
use crate::daemon::Daemons;
use crate::plan::in_memory;

/// Exit code after a second Ctrl-C.
const KILLED: u8 = 130;
/// Time the count of messages may take before the end begins.
const COUNT_WITHIN: Duration = Duration::from_secs(1);
/// Longest pause between two looks at what is overdue.
const LOOK: Duration = Duration::from_secs(1);

/// Ends everything and yields the exit code.
pub(super) async fn stop<D: Daemons + 'static>(
    world: &mut LocalWorld<D>,
    signals: &mut Signals,
    ended: &mut mpsc::Receiver<Ended>,
    screen: &mut Screen,
) -> u8 {
    let messages = tokio::time::timeout(COUNT_WITHIN, messages(world))
        .await
        .unwrap_or(0);
    if messages > 0 {
        let count = grouped(messages);
        let unit = if messages == 1 { "message" } else { "messages" };
        screen.say(&format!(
            "stopping; press again to kill and lose {count} {unit} in memory"
        ));
    } else {
        screen.say("stopping; press again to kill");
    }
    let groups: [fn(Ident) -> bool; 3] = [
        |ident| ident == Ident::Admin,
        |ident| matches!(ident, Ident::Nsqd(_)),
        |ident| matches!(ident, Ident::Lookupd(_)),
    ];
    for group in groups {
        let members: Vec<Ident> = world
            .supervisor
            .daemons
            .keys()
            .copied()
            .filter(|ident| group(*ident))
            .collect();
        for ident in members {
            let grace = world.grace(ident);
            world.supervisor.remove(ident, false, grace);
        }
        while world.supervisor.daemons.keys().any(|ident| group(*ident)) {
            if wait(world, signals, ended, screen).await {
                return kill(world, ended, screen).await;
            }
        }
        tell(world, screen);
    }
    0
}

/// Waits for one thing to happen. True if the user pressed Ctrl-C again.
async fn wait<D: Daemons + 'static>(
    world: &mut LocalWorld<D>,
    signals: &mut Signals,
    ended: &mut mpsc::Receiver<Ended>,
    screen: &mut Screen,
) -> bool {
    tokio::select! {
        Some(end) = ended.recv() => world.supervisor.ended(&end),
        signal = signals.next() => if signal == Signal::Interrupt { return true },
        () = tokio::time::sleep(LOOK) => {}
    }
    world.supervisor.tick();
    tell(world, screen);
    false
}

async fn kill<D: Daemons + 'static>(
    world: &mut LocalWorld<D>,
    ended: &mut mpsc::Receiver<Ended>,
    screen: &mut Screen,
) -> u8 {
    screen.warn("warning: killed; messages in memory are lost");
    world.supervisor.kill_all();
    while !world.supervisor.daemons.is_empty() {
        match tokio::time::timeout(LOOK, ended.recv()).await {
            Ok(Some(end)) => world.supervisor.ended(&end),
            // a process that does not even go when killed is left to the system
            Ok(None) | Err(_) => break,
        }
    }
    tell(world, screen);
    KILLED
}

fn tell<D: Daemons + 'static>(world: &mut LocalWorld<D>, screen: &mut Screen) {
    for line in world.supervisor.take_lines() {
        screen.say(&line);
    }
}

/// Messages on all nodes that are nowhere but in memory.
async fn messages<D: Daemons + 'static>(world: &LocalWorld<D>) -> i64 {
    let mut questions = tokio::task::JoinSet::new();
    for (ident, daemon) in &world.supervisor.daemons {
        if matches!(ident, Ident::Nsqd(_)) && daemon.is_running() {
            let (at, daemons) = (world.http(*ident), std::sync::Arc::clone(&world.daemons));
            questions.spawn(async move { daemons.stats(&at).await });
        }
    }
    questions
        .join_all()
        .await
        .into_iter()
        .flatten()
        .map(|stats| in_memory(&stats))
        .sum()
}

/// `1204` as `1,204`.
fn grouped(number: i64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn thousands_are_set_apart() {
        let texts = [7, 123, 1_204, 1_000_000].map(grouped);
        assert_eq!(texts, ["7", "123", "1,204", "1,000,000"]);
    }
}
