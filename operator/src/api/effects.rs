//! What a change of each spec field does. Source: the effect columns of operator spec 2.2.

use super::component::Component;
use Component::{Admin, Lookupd, Nsqd};

/// What a change of a field does to a running cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Applied to the daemons without restart.
    Hot,
    /// A rolling restart of these components; other objects may change too.
    Roll(&'static [Component]),
    /// Objects change, no pod restarts.
    Objects,
    /// Refused.
    Immutable,
    /// More or fewer nodes; the pods that stay are not touched.
    Scale,
    /// Only what the operator decides from then on; no object changes by it.
    Decision,
}

const ALL: &[Component] = &[Lookupd, Nsqd, Admin];

/// Effects by path below `spec`; an entry stands for everything below it that has none of its own.
pub const EFFECTS: &[(&str, Effect)] = &[
    ("mode", Effect::Scale),
    ("deletionProtection", Effect::Decision),
    ("image", Effect::Roll(ALL)),
    // Readiness path, join barrier and extensions of nsqd; scrape annotations and log form of all.
    ("flavor", Effect::Roll(ALL)),
    ("imagePullPolicy", Effect::Roll(ALL)),
    ("imagePullSecrets", Effect::Roll(ALL)),
    ("clusterDomain", Effect::Immutable),
    ("ipFamilyPolicy", Effect::Objects),
    ("commonLabels", Effect::Objects),
    ("commonAnnotations", Effect::Objects),
    ("nsqd.replicas", Effect::Scale),
    ("nsqd.restartedAt", Effect::Roll(&[Nsqd])),
    ("nsqd.joinTimeout", Effect::Roll(&[Nsqd])),
    ("nsqd.preStopSeconds", Effect::Roll(&[Nsqd])),
    ("nsqd.terminationGracePeriodSeconds", Effect::Roll(&[Nsqd])),
    ("nsqd.storage.type", Effect::Immutable),
    // Of an Ephemeral cluster the size limit of the emptyDir, which rolls nsqd.
    ("nsqd.storage.size", Effect::Objects),
    ("nsqd.storage.className", Effect::Immutable),
    ("nsqd.storage.accessMode", Effect::Immutable),
    ("nsqd.storage.volumeAttributesClassName", Effect::Objects),
    ("nsqd.storage.whenDeleted", Effect::Objects),
    ("nsqd.storage.whenScaled", Effect::Decision),
    ("nsqd.storage.resizeRestartAfter", Effect::Decision),
    ("nsqd.drain", Effect::Decision),
    ("nsqd.update.type", Effect::Objects),
    ("nsqd.update.minReadySeconds", Effect::Objects),
    ("nsqd.update.gateTimeout", Effect::Decision),
    ("nsqd.options", Effect::Roll(&[Nsqd])),
    ("nsqd.options.logLevel", Effect::Hot),
    ("nsqd.extraOptions", Effect::Roll(&[Nsqd])),
    ("nsqd.expose.type", Effect::Roll(&[Nsqd])),
    ("nsqd.expose.hostTemplate", Effect::Roll(&[Nsqd])),
    ("nsqd.expose.serviceType", Effect::Objects),
    ("nsqd.expose.annotations", Effect::Objects),
    ("nsqd.expose.loadBalancerClass", Effect::Objects),
    ("nsqd.expose.sourceRanges", Effect::Objects),
    ("nsqd.publishService", Effect::Objects),
    ("nsqd.pdb", Effect::Objects),
    ("nsqd.pod", Effect::Roll(&[Nsqd])),
    // nsqd learns the list hot; nsqadmin gets it as arguments.
    ("lookupd.replicas", Effect::Roll(&[Admin])),
    ("lookupd.removalDelay", Effect::Decision),
    ("lookupd.options", Effect::Roll(&[Lookupd])),
    ("lookupd.extraOptions", Effect::Roll(&[Lookupd])),
    ("lookupd.pdb", Effect::Objects),
    ("lookupd.pod", Effect::Roll(&[Lookupd])),
    ("admin.enabled", Effect::Objects),
    ("admin.replicas", Effect::Objects),
    ("admin.options", Effect::Roll(&[Admin])),
    ("admin.extraOptions", Effect::Roll(&[Admin])),
    ("admin.serviceAccountName", Effect::Roll(&[Admin])),
    ("admin.route", Effect::Objects),
    ("admin.pod", Effect::Roll(&[Admin])),
    ("tls", Effect::Roll(&[Nsqd])),
    ("auth", Effect::Roll(&[Nsqd])),
    ("networkPolicy", Effect::Objects),
    // The scrape annotations stand on the pod templates.
    ("monitoring.enabled", Effect::Roll(ALL)),
    ("monitoring.podMonitor", Effect::Objects),
    ("monitoring.podMonitorLabels", Effect::Objects),
    ("podSecurity", Effect::Roll(ALL)),
];

/// The effect of the field at a path below `spec`, such as `nsqd.drain.settle`: that of its own entry, else
/// of the nearest entry above it.
#[must_use]
pub fn effect_of(path: &str) -> Option<Effect> {
    EFFECTS
        .iter()
        .filter(|(entry, _)| {
            path.strip_prefix(entry)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
        .max_by_key(|(entry, _)| entry.len())
        .map(|(_, effect)| *effect)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_entry_counts() {
        assert_eq!(effect_of("nsqd.options.logLevel"), Some(Effect::Hot));
        assert_eq!(
            effect_of("nsqd.options.statsd.address"),
            Some(Effect::Roll(&[Nsqd]))
        );
        assert_eq!(effect_of("nsqd.podium"), None);
    }
}
