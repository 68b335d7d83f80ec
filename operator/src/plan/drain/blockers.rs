//! Which obstacle counts most.

use crate::api::{BlockerReason, Reason};

/// Reasons of the Draining condition, least severe first.
const BY_SEVERITY: [Reason; 11] = [
    Reason::Sealing,
    Reason::Settling,
    Reason::Evacuating,
    Reason::WaitingForInFlight,
    Reason::WaitingForConsumers,
    Reason::WaitingForDeferred,
    Reason::NoConsumers,
    Reason::ChannelPaused,
    Reason::TopicWithoutChannel,
    Reason::PublishersActive,
    Reason::Unreachable,
];

/// Higher is worse; 0 for what is no reason of a drain.
pub(in crate::plan) fn severity(reason: Reason) -> usize {
    BY_SEVERITY
        .iter()
        .position(|known| *known == reason)
        .map_or(0, |at| at + 1)
}

/// Whether the obstacle does not go away by itself.
pub(in crate::plan) fn needs_person(reason: Reason) -> bool {
    severity(reason) >= severity(Reason::NoConsumers)
}

/// The condition's reason for a blocker.
pub(super) fn reason_of(blocker: BlockerReason) -> Reason {
    match blocker {
        BlockerReason::NoConsumers => Reason::NoConsumers,
        BlockerReason::ChannelPaused => Reason::ChannelPaused,
        BlockerReason::TopicWithoutChannel => Reason::TopicWithoutChannel,
        BlockerReason::Deferred => Reason::WaitingForDeferred,
        BlockerReason::InFlight => Reason::WaitingForInFlight,
        BlockerReason::PublishersActive => Reason::PublishersActive,
        BlockerReason::Unreachable => Reason::Unreachable,
    }
}

/// The obstacle in two words, as it stands in messages.
#[must_use]
pub fn words(blocker: BlockerReason) -> &'static str {
    match blocker {
        BlockerReason::NoConsumers => "no consumers",
        BlockerReason::ChannelPaused => "paused",
        BlockerReason::TopicWithoutChannel => "no channel",
        BlockerReason::Deferred => "deferred",
        BlockerReason::InFlight => "in flight",
        BlockerReason::PublishersActive => "publishers active",
        BlockerReason::Unreachable => "unreachable",
    }
}
