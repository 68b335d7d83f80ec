//! The custom resources of `nsq.rs/v1alpha1`: their Rust types, defaults, rules and status.
//!
//! These types are the only source of the CRDs (`crd`), of the rules (`validate`) and of the texts
//! both show. Nothing here knows a client, a clock or a file. Source: operator spec, sections 2 and 3.

#![allow(
    unreachable_pub,
    reason = "KubeSchema makes a local copy of each public struct in its method"
)]

mod admin;
mod case;
mod channel;
mod cluster;
mod component;
mod defaults;
mod duration;
mod effects;
mod flavor;
mod lookupd;
mod manifest;
mod network;
mod nsqd;
mod nsqd_options;
mod pod;
mod policy;
mod quantity;
mod reason;
mod rules;
mod schema;
mod security;
mod status;
mod status_parts;
mod structure;
mod topic;
mod validate;
mod yaml;

pub use admin::{AdminOptions, AdminSpec, ParentRef, Route, RouteType};
pub(crate) use case::snake_case;
pub use channel::{NsqChannel, NsqChannelSpec};
pub use cluster::{ImagePullPolicy, IpFamilyPolicy, Mode, NsqCluster, NsqClusterSpec};
pub use component::Component;
pub use duration::{Span, SpanError};
pub use effects::{EFFECTS, Effect, effect_of};
pub use flavor::{Flavor, derived_flavor};
pub use lookupd::{LookupdOptions, LookupdPdb, LookupdSpec};
pub use manifest::{Manifest, ManifestError, parse_manifest};
pub use network::{IpBlock, LabelSelector, NetworkPolicy, Peer, SelectorOperator, SelectorRequirement};
pub use nsqd::{
    AccessMode, Drain, Evacuate, Expose, ExposeServiceType, ExposeType, NsqdPdb, NsqdSpec, OnTimeout,
    PublishService, PublishServiceType, Storage, StorageType, Update, UpdateType, WhenDeleted, WhenScaled,
};
pub use nsqd_options::{LogLevel, NsqdOptions, Statsd};
pub use pod::{
    AdminPod, AdminRequests, EnvVar, LookupdPod, LookupdRequests, NsqdPod, NsqdRequests, Pod, Requests,
    Resources, TaintEffect, Toleration, TolerationOperator, TopologySpread,
};
pub use policy::{
    ChannelFull, ChannelPolicy, Durability, OnExpired, Size, TopicFull, TopicPolicy, policy_json,
};
pub use quantity::{Quantity, ResourceQuantity};
pub use reason::{ConditionStatus, ConditionType, Reason};
pub use rules::ExtraKeys;
pub use schema::Kind;
pub(crate) use schema::each_schema;
pub use security::{
    Auth, AuthRequestMethod, ClientAuth, Monitoring, PodSecurity, Tls, TlsMinVersion, TlsMode,
};
pub use status::{Condition, MemberStatus, NsqClusterStatus, Phase};
pub use status_parts::{
    AdminStatus, Blocker, BlockerReason, DrainNode, DrainState, DrainStatus, Endpoints, LookupdStatus,
    NsqdStatus, RolloutReason, RolloutStatus, StorageStatus, Time,
};
pub use structure::{Violation, nearest};
pub use topic::{DeletionPolicy, NsqTopic, NsqTopicSpec};
pub use validate::{Resource, validate};

/// API group of the three kinds.
pub const GROUP: &str = "nsq.rs";
/// The one served and stored version.
pub const VERSION: &str = "v1alpha1";
/// `apiVersion` of the three kinds.
pub const API_VERSION: &str = "nsq.rs/v1alpha1";
