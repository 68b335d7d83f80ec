//! Whether somebody else wrote an object after us: then it is checked once by applying it. Source: operator spec 5.2.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;

/// Field manager of the children.
pub(super) const CHILDREN: &str = "nsq-operator";
/// Field manager of the status of our kinds.
pub(super) const STATUS: &str = "nsq-operator-status";
/// Field manager of the fence label of pods.
pub(super) const FENCE: &str = "nsq-operator-fence";

/// Whether an entry of another manager, not of the status and not older than ours, touches the spec or the data.
#[must_use]
pub(super) fn is_marked(entries: &[ManagedFieldsEntry]) -> bool {
    let ours = entries
        .iter()
        .filter(|entry| entry.manager.as_deref() == Some(CHILDREN))
        .filter_map(|entry| entry.time.as_ref())
        .max();
    entries.iter().any(|entry| {
        entry.manager.as_deref() != Some(CHILDREN)
            && entry.subresource.as_deref() != Some("status")
            // The scale subresource writes no time.
            && entry.time.as_ref().is_none_or(|time| ours.is_none_or(|ours| time >= ours))
            && touches_intent(entry)
    })
}

fn touches_intent(entry: &ManagedFieldsEntry) -> bool {
    let fields = entry.fields_v1.as_ref().map(|fields| &fields.0);
    fields.is_some_and(|fields| fields.get("f:spec").is_some() || fields.get("f:data").is_some())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use serde_json::json;

    fn entry(manager: &str, time: &str, subresource: &str, fields: &serde_json::Value) -> ManagedFieldsEntry {
        serde_json::from_value(json!({
            "manager": manager, "operation": "Update", "time": time,
            "subresource": subresource, "fieldsV1": fields,
        }))
        .unwrap()
    }

    #[test]
    fn a_write_without_a_time_may_be_a_later_one() {
        let ours = entry(CHILDREN, "2026-01-01T00:00:10Z", "", &json!({"f:spec": {}}));
        let mut scaled = entry(
            "kubectl",
            "2026-01-01T00:00:09Z",
            "scale",
            &json!({"f:spec": {"f:replicas": {}}}),
        );
        assert!(!is_marked(&[ours.clone(), scaled.clone()]));
        scaled.time = None;
        assert!(is_marked(&[ours, scaled]));
    }

    #[test]
    fn only_a_later_write_of_somebody_else_to_the_intent_is_a_mark() {
        let ours = || entry(CHILDREN, "2026-01-01T00:00:10Z", "", &json!({"f:spec": {}}));
        let spec = || json!({"f:spec": {"f:replicas": {}}});
        for (other, marked) in [
            (entry("kubectl", "2026-01-01T00:00:11Z", "", &spec()), true),
            (entry("kubectl", "2026-01-01T00:00:10Z", "", &spec()), true),
            (entry("kubectl", "2026-01-01T00:00:09Z", "", &spec()), false),
            (entry("kubectl", "2026-01-01T00:00:11Z", "scale", &spec()), true),
            (
                entry(
                    "controller",
                    "2026-01-01T00:00:11Z",
                    "status",
                    &json!({"f:status": {}}),
                ),
                false,
            ),
            (
                entry("labeller", "2026-01-01T00:00:11Z", "", &json!({"f:metadata": {}})),
                false,
            ),
            (
                entry(
                    "kubectl",
                    "2026-01-01T00:00:11Z",
                    "",
                    &json!({"f:data": {"f:x": {}}}),
                ),
                true,
            ),
        ] {
            assert_eq!(is_marked(&[ours(), other.clone()]), marked, "{other:?}");
        }
        assert!(!is_marked(&[ours()]));
    }
}
