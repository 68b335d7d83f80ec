//! Status of the three kinds. Everything in it is either for people or memory of a long operation
//! that can be rebuilt from facts. Source: operator spec 3.1.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::defaults::is_empty;
use super::flavor::Flavor;
use super::reason::{ConditionStatus, ConditionType, Reason, named};
use super::status_parts::{
    AdminStatus, DrainStatus, Endpoints, LookupdStatus, NsqdStatus, RolloutStatus, StorageStatus, Time,
    time_schema,
};

use std::fmt;

/// Status of an NsqCluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NsqClusterStatus {
    /// Generation whose objects were computed and applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// One word for people.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "readable")]
    pub phase: Option<Phase>,
    /// What is waited for or what is wrong; empty when Running.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 512))]
    pub message: String,
    /// Image in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub image: Option<String>,
    /// Whose daemons it holds.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "readable")]
    pub flavor: Option<Flavor>,
    /// NSQ level of the nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Release of the nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// Extensions every reachable node offers.
    #[serde(skip_serializing_if = "is_empty")]
    pub extensions: Vec<String>,
    /// The nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nsqd: Option<NsqdStatus>,
    /// The rollout in progress.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "readable")]
    pub rollout: Option<RolloutStatus>,
    /// The scale-down in progress.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "readable")]
    pub drain: Option<DrainStatus>,
    /// The claims.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<StorageStatus>,
    /// The registries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lookupd: Option<LookupdStatus>,
    /// The console.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin: Option<AdminStatus>,
    /// Addresses to paste into clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<Endpoints>,
    /// What would be done, only while paused.
    #[serde(skip_serializing_if = "is_empty")]
    #[schemars(length(max = 20))]
    pub plan: Vec<String>,
    /// Conditions by type.
    #[serde(skip_serializing_if = "is_empty", deserialize_with = "readable_conditions")]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
}

/// Status of an NsqTopic or NsqChannel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct MemberStatus {
    /// Generation the status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Active nodes that have it, of all active nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes: Option<String>,
    /// Conditions by type.
    #[serde(skip_serializing_if = "is_empty", deserialize_with = "readable_conditions")]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
}

/// A condition with the six standard fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What it is about.
    #[serde(rename = "type")]
    pub kind: ConditionType,
    /// Its state.
    pub status: ConditionStatus,
    /// Why.
    pub reason: Reason,
    /// The same in words.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    pub message: String,
    /// Generation it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When its state changed.
    #[schemars(schema_with = "time_schema")]
    pub last_transition_time: Time,
}

impl NsqClusterStatus {
    /// The condition of that type, when there is one.
    #[must_use]
    pub fn condition(&self, kind: ConditionType) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.kind == kind)
    }

    /// Whether the condition of that type is there and True.
    #[must_use]
    pub fn is_true(&self, kind: ConditionType) -> bool {
        self.condition(kind)
            .is_some_and(|condition| condition.status == ConditionStatus::True)
    }
}

named! {
    /// One word for people; the conditions are for programs.
    Phase {
        /// Mode Paused.
        Paused,
        /// Mode Stopped and no node left.
        Stopped,
        /// Mode Stopped and nodes left.
        Stopping,
        /// A person is needed.
        Stalled,
        /// Never applied.
        Pending,
        /// A scale-down is draining.
        Draining,
        /// Nodes are being replaced.
        RollingOut,
        /// Nodes are being added.
        ScalingUp,
        /// Not ready and never was.
        Creating,
        /// Claims are growing.
        Resizing,
        /// Not ready any more.
        Degraded,
        /// All as wanted.
        Running,
    }
}

/// Reads a part of the status, or nothing when another release wrote what this one does not know:
/// a status is rebuilt from facts, so it must never keep an object from being read.
fn readable<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(deserializer)?).ok())
}

/// As `readable`, condition by condition.
fn readable_conditions<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Condition>, D::Error> {
    let conditions = Vec::<Value>::deserialize(deserializer)?;
    Ok(conditions
        .into_iter()
        .filter_map(|condition| serde_json::from_value(condition).ok())
        .collect())
}

fn conditions_schema(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = Vec::<Condition>::json_schema(generator);
    schema.insert("x-kubernetes-list-type".to_owned(), "map".into());
    schema.insert("x-kubernetes-list-map-keys".to_owned(), vec!["type"].into());
    schema
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
    use super::*;

    #[test]
    fn a_status_of_another_release_is_read_as_far_as_it_is_known() {
        let status: NsqClusterStatus = serde_json::from_value(serde_json::json!({
            "phase": "Levitating",
            "message": "m",
            "drain": {"from": 3},
            "conditions": [
                {"type": "Ready", "status": "True", "reason": "Ready", "message": "",
                 "lastTransitionTime": "2026-01-02T03:04:05Z"},
                {"type": "Ready", "status": "False", "reason": "Bored", "message": "",
                 "lastTransitionTime": "2026-01-02T03:04:05Z"},
            ],
        }))
        .unwrap();
        assert_eq!(
            (status.phase, status.message.as_str(), status.drain.is_none()),
            (None, "m", true)
        );
        assert!(status.is_true(ConditionType::Ready));
        assert_eq!(status.conditions.len(), 1);
    }
}
