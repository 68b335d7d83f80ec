//! The account of all pods: it may do nothing.

use serde_json::json;

use super::object::{Desired, Draft, ObjectKind};
use super::resolved::Resolved;

pub(super) fn build(cluster: &Resolved) -> Desired {
    let body = json!({"automountServiceAccountToken": false});
    Draft::new(
        cluster,
        ObjectKind::ServiceAccount,
        cluster.names().shared(),
        None,
        body,
    )
    .finish()
}
