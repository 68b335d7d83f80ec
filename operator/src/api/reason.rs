//! Conditions and their reasons: closed sets, part of the API, never renamed within v1alpha1.
//! Source: operator spec 3.2 and 3.3.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An enum whose variants are written by their names.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
        )]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            /// All values, in the order of the specification.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name in the API; also the metric label.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant)),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use named;

named! {
    /// What a condition is about.
    ConditionType {
        /// The cluster, topic or channel is as the spec wants it.
        Ready,
        /// Work is in progress (abnormal when True).
        Reconciling,
        /// It cannot go on without a person (abnormal when True).
        Stalled,
        /// At least one nsqd accepts publishes and one nsqlookupd answers.
        Available,
        /// Every ready node is in every nsqlookupd under its expected address.
        RegistryConsistent,
        /// Hot and cold options are live on all nodes.
        ConfigInSync,
        /// Claims have the requested size.
        StorageInSync,
        /// A scale-down is draining.
        Draining,
    }
}

named! {
    /// State of a condition.
    ConditionStatus {
        /// It holds.
        True,
        /// It does not hold.
        False,
        /// Nobody could find out.
        Unknown,
    }
}

named! {
    /// Why a condition has its state.
    Reason {
        /// All is as wanted.
        Ready,
        /// Stopped on purpose.
        Stopped,
        /// First objects are being made.
        Creating,
        /// A node is not ready.
        NsqdNotReady,
        /// A registry is not ready.
        LookupdNotReady,
        /// A node is missing in a registry.
        RegistryIncomplete,
        /// Nodes are being replaced.
        RolloutInProgress,
        /// Nodes are being emptied.
        Draining,
        /// Nodes are being stopped.
        Stopping,
        /// A person is needed.
        Stalled,
        /// Nodes are being added.
        ScalingUp,
        /// Nodes are being replaced.
        RollingOut,
        /// Claims are growing.
        Resizing,
        /// Hot options are being applied.
        HotConfig,
        /// A failed write is being repeated.
        Retrying,
        /// Nothing to do.
        Idle,
        /// Paused on purpose.
        Paused,
        /// The spec breaks a rule.
        InvalidSpec,
        /// An object of somebody else has our name.
        NameConflict,
        /// The API server refused for lack of rights or quota.
        Forbidden,
        /// The API server refused to change a field.
        ImmutableField,
        /// A drain waits for a person.
        DrainBlocked,
        /// A drain passed its deadline and goes on.
        DrainTimedOut,
        /// A drain passed its deadline and was given up.
        DrainAborted,
        /// A rollout waits for a person.
        RolloutStuck,
        /// The storage class cannot grow claims.
        ResizeUnsupported,
        /// A claim did not grow.
        ResizeFailed,
        /// Image or API server lack something that was asked for.
        CapabilityMissing,
        /// No person is needed.
        NotStalled,
        /// Publishing and discovery work.
        MinimumAvailable,
        /// No nsqd accepts publishes.
        NoNsqd,
        /// No nsqlookupd answers.
        NoLookupd,
        /// Every node is in every registry.
        AllRegistered,
        /// A node is missing in a registry.
        MissingRegistrations,
        /// A node announces another address than it should.
        WrongBroadcastAddress,
        /// A daemon does not answer.
        Unreachable,
        /// All as wanted.
        InSync,
        /// Pods wait for somebody to restart them.
        RestartPending,
        /// A hot option could not be applied.
        HotApplyFailed,
        /// There are no claims.
        Ephemeral,
        /// A file system waits for a restart to grow.
        FileSystemResizePending,
        /// Consumers empty the node.
        WaitingForConsumers,
        /// Messages are in flight.
        WaitingForInFlight,
        /// Messages are due later.
        WaitingForDeferred,
        /// A channel with messages has no consumers.
        NoConsumers,
        /// A channel or topic with messages is paused.
        ChannelPaused,
        /// A topic with messages has no channel.
        TopicWithoutChannel,
        /// Somebody still publishes to the node.
        PublishersActive,
        /// Messages move to other nodes.
        Evacuating,
        /// Empty, but not for long enough.
        Settling,
        /// Leaving the registries.
        Sealing,
        /// No scale-down.
        NotDraining,
        /// It exists on every node.
        Synced,
        /// There is no such cluster.
        ClusterNotFound,
        /// The cluster is paused or stopped.
        ClusterNotReady,
        /// It is missing on some node.
        PartiallySynced,
        /// Some node knows no policies.
        PolicyUnsupported,
        /// An older object declares the same name.
        NameTaken,
        /// The object breaks a rule, or a node refused it.
        Invalid,
        /// Deletion waits for messages or for a node.
        DeleteBlocked,
    }
}

impl Reason {
    /// Whether the specification lists this reason for that state of that condition. Only the reasons of
    /// NsqCluster and of its members together; which kind is asked does not matter to callers.
    #[must_use]
    pub fn is_listed(self, condition: ConditionType, status: ConditionStatus) -> bool {
        let (when_true, otherwise) = listed(condition);
        if status == ConditionStatus::True {
            when_true
        } else {
            otherwise
        }
        .contains(&self)
    }
}

/// Reasons of a condition when it is True, and when it is False or Unknown.
fn listed(condition: ConditionType) -> (&'static [Reason], &'static [Reason]) {
    use Reason as R;
    match condition {
        ConditionType::Ready => (
            &[R::Ready, R::Stopped, R::Synced],
            &[
                R::Creating,
                R::NsqdNotReady,
                R::LookupdNotReady,
                R::RegistryIncomplete,
                R::RolloutInProgress,
                R::Draining,
                R::Stopping,
                R::Stalled,
                R::ClusterNotFound,
                R::ClusterNotReady,
                R::PartiallySynced,
                R::PolicyUnsupported,
                R::NameTaken,
                R::Invalid,
            ],
        ),
        ConditionType::Reconciling => (
            &[
                R::Creating,
                R::ScalingUp,
                R::Draining,
                R::RollingOut,
                R::Resizing,
                R::HotConfig,
                R::Retrying,
            ],
            &[R::Idle, R::Paused],
        ),
        ConditionType::Stalled => (
            &[
                R::InvalidSpec,
                R::NameConflict,
                R::Forbidden,
                R::ImmutableField,
                R::DrainBlocked,
                R::DrainTimedOut,
                R::DrainAborted,
                R::RolloutStuck,
                R::ResizeUnsupported,
                R::ResizeFailed,
                R::CapabilityMissing,
                R::NameTaken,
                R::Invalid,
                R::DeleteBlocked,
            ],
            &[R::NotStalled],
        ),
        ConditionType::Available => (&[R::MinimumAvailable], &[R::NoNsqd, R::NoLookupd, R::Stopped]),
        ConditionType::RegistryConsistent => (
            &[R::AllRegistered],
            &[
                R::MissingRegistrations,
                R::WrongBroadcastAddress,
                R::Unreachable,
                R::Stopped,
            ],
        ),
        ConditionType::ConfigInSync => (&[R::InSync], &[R::RestartPending, R::HotApplyFailed]),
        ConditionType::StorageInSync => (
            &[R::InSync, R::Ephemeral],
            &[
                R::Resizing,
                R::FileSystemResizePending,
                R::ResizeUnsupported,
                R::ResizeFailed,
            ],
        ),
        ConditionType::Draining => (
            &[
                R::WaitingForConsumers,
                R::WaitingForInFlight,
                R::WaitingForDeferred,
                R::NoConsumers,
                R::ChannelPaused,
                R::TopicWithoutChannel,
                R::PublishersActive,
                R::Evacuating,
                R::Unreachable,
                R::Settling,
                R::Sealing,
            ],
            &[R::NotDraining],
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_belongs_to_a_condition() {
        for reason in Reason::ALL {
            let listed = ConditionType::ALL.iter().any(|condition| {
                ConditionStatus::ALL
                    .iter()
                    .any(|status| reason.is_listed(*condition, *status))
            });
            assert!(listed, "{reason}");
        }
    }
}
