//! How many objects and parameters there are of each tenant, and how they are: what gauges show.
//!
//! Guarantees: an object of a tenant object that does not exist is counted under the empty name, as anybody may make up
//! names; a tenant object that exists is counted also when nothing names it.

use std::collections::BTreeMap;

use crate::api::reason::ConditionType;
use crate::api::upstream_params::ParamState;
use crate::core::status;
use crate::core::world::World;

/// The numbers of one tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ObjectCounts {
    /// Objects with `Ready=True`.
    pub ready: usize,
    /// Objects with `Ready=False`.
    pub not_ready: usize,
    /// Objects whose `Ready` is Unknown, or which have no status yet.
    pub unknown: usize,
    /// Objects with `Stalled=True`: they wait for somebody to change something.
    pub stalled: usize,
    /// Parameters that are recorded as owned by an object.
    pub managed: usize,
    /// Parameters whose correction waits because somebody keeps changing them.
    pub contended: usize,
}

/// The numbers of each tenant, by the name of its tenant object.
pub(crate) fn count_objects(world: &World) -> BTreeMap<String, ObjectCounts> {
    let mut all: BTreeMap<String, ObjectCounts> = world.tenants().map(|tenant| (tenant.name.clone(), ObjectCounts::default())).collect();
    for object in world.objects() {
        let named = object.policies.tenant.as_str();
        let tenant = if all.contains_key(named) { named } else { "" };
        let counts = all.entry(tenant.to_owned()).or_default();
        let status_of = |kind| status::condition(&object.status.conditions, kind).map(|condition| condition.status.as_str());
        match status_of(ConditionType::Ready) {
            Some("True") => counts.ready += 1,
            Some("False") => counts.not_ready += 1,
            Some(_) | None => counts.unknown += 1,
        }
        counts.stalled += usize::from(status_of(ConditionType::Stalled) == Some("True"));
        let params = || object.status.connections.iter().flat_map(|connection| &connection.params);
        counts.managed += params().filter(|param| !param.owned.is_empty()).count();
        counts.contended += params().filter(|param| param.state == ParamState::Contended).count();
    }
    all
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::api::tenant::ClusterAuth0TenantStatus;
    use crate::core::status::{Context, Outcome, conclude};
    use crate::core::world::{Declared, DeclaredTenant};
    use crate::tests::builders::object;

    fn tenant(name: &str) -> DeclaredTenant {
        DeclaredTenant {
            name: name.into(),
            uid: format!("uid-{name}").into(),
            resource_version: "1".into(),
            generation: 1,
            created: 0,
            spec: None,
            reconcile_at: None,
            status: ClusterAuth0TenantStatus::default(),
        }
    }

    /// The object after a pass that ended like this.
    fn after(object: Declared, outcome: &Outcome) -> Declared {
        let context = Context {
            now: jiff::Timestamp::UNIX_EPOCH,
            observing: false,
            names_it: true,
            since_good_look: Duration::ZERO,
            stale_after: Duration::from_mins(30),
            unready_for: Duration::ZERO,
        };
        let status = conclude(&object, outcome, &context).status;
        Declared { status, ..object }
    }

    #[test]
    fn every_object_counts_once_by_its_ready_and_again_when_stalled() {
        let mut world = World::default();
        world.apply_tenant(tenant("default"));
        let refused = after(object("refused").invalid(), &Outcome::Invalid(object("x").invalid().spec.unwrap_err()));
        let owning = object("owning").lists("blog", ParamState::InSync, &["x"]).lists("fought", ParamState::Contended, &["y"]);
        for object in [refused, owning.lists("left", ParamState::ExistingValue, &[]), object("new")] {
            world.apply_object(object);
        }
        let expected = ObjectCounts { not_ready: 1, unknown: 2, stalled: 1, managed: 2, contended: 1, ready: 0 };
        assert_eq!(count_objects(&world), BTreeMap::from([("default".to_owned(), expected)]));
    }

    #[test]
    fn names_that_somebody_made_up_count_together_and_a_tenant_counts_without_objects() {
        let mut world = World::default();
        world.apply_tenant(tenant("idle"));
        for name in ["a", "b"] {
            let mut stray = object(name);
            stray.policies.tenant = format!("made-up-{name}");
            world.apply_object(after(stray, &Outcome::TenantNotFound { meant: None }));
        }
        let stray = ObjectCounts { not_ready: 2, ..ObjectCounts::default() };
        assert_eq!(count_objects(&world), BTreeMap::from([(String::new(), stray), ("idle".to_owned(), ObjectCounts::default())]));
    }
}
