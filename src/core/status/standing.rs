//! How an object or a tenant stands, by its status alone: what it comes to for whoever reads it.
//!
//! Guarantees: what is of an older generation than the object's is never taken for what is so now.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::Serialize;

use super::conditions;
use crate::api::reason::{ConditionStatus, ConditionType, Reason};
use crate::core::world::{Declared, DeclaredTenant};

/// How it stands. In order of the trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) enum Standing {
    /// It is not as declared.
    NotReady,
    /// Nobody can say at present.
    Unknown,
    /// The operator has never looked at it.
    Unseen,
    /// The operator has not looked at this generation yet.
    Outdated,
    /// It is being deleted.
    Deleting,
    /// It is as declared.
    Ready,
}

impl Standing {
    /// Of an object.
    pub(crate) fn of(object: &Declared) -> Self {
        if object.deleting {
            return Self::Deleting;
        }
        Self::by(object.generation, object.status.observed_generation, &object.status.conditions)
    }

    /// Of a tenant object.
    pub(crate) fn of_tenant(tenant: &DeclaredTenant) -> Self {
        Self::by(tenant.generation, tenant.status.observed_generation, &tenant.status.conditions)
    }

    fn by(generation: i64, observed: Option<i64>, conditions: &[Condition]) -> Self {
        let is = |status| conditions::is(conditions, ConditionType::Ready, status);
        match observed {
            None | Some(..0) => Self::Unseen,
            Some(observed) if observed < generation => Self::Outdated,
            Some(_) if is(ConditionStatus::True) => Self::Ready,
            Some(_) if is(ConditionStatus::False) => Self::NotReady,
            Some(_) => Self::Unknown,
        }
    }
}

/// Whether the operator has said how this generation of an object stands, well or not, and is not about to say more.
pub(crate) fn is_told(object: &Declared) -> bool {
    match Standing::of(object) {
        Standing::Ready | Standing::NotReady | Standing::Deleting => true,
        Standing::Unseen | Standing::Outdated => false,
        Standing::Unknown => {
            let ready = conditions::condition(&object.status.conditions, ConditionType::Ready);
            ready.is_some_and(|ready| ready.reason != Reason::Pending.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::status::conditions::{Before, Finding};
    use crate::tests::builders;

    #[test]
    fn a_status_counts_for_its_own_generation_only() {
        use crate::api::reason::Reason::{Pending, Ready, StaleObservation, TenantNotReady};
        let now = jiff::Timestamp::UNIX_EPOCH;
        let conditions = |finding: Finding| Before { conditions: &[], generation: 2, now }.all_dated([(ConditionType::Ready, finding)]);
        let (ready, failing) = (conditions(Finding::holds(Ready, "m")), conditions(Finding::fails(TenantNotReady, "m")));
        let unknown = conditions(Finding::unknown(Pending, "m"));
        let stale = conditions(Finding::unknown(StaleObservation, "m"));
        for (observed, conditions, expected, told) in [
            (None, &[][..], Standing::Unseen, false),
            (Some(-1), &[], Standing::Unseen, false),
            // The record of a first write is stored before the operator says anything.
            (Some(-1), &unknown, Standing::Unseen, false),
            (Some(1), &ready, Standing::Outdated, false),
            (Some(2), &ready, Standing::Ready, true),
            (Some(2), &failing, Standing::NotReady, true),
            (Some(2), &unknown, Standing::Unknown, false),
            (Some(2), &stale, Standing::Unknown, true),
            (Some(2), &[], Standing::Unknown, false),
        ] {
            let mut object = builders::object("a").generation(2);
            object.status.observed_generation = observed;
            object.status.conditions = conditions.to_vec();
            let mut tenant = DeclaredTenant { generation: 2, ..builders::tenant("t") };
            tenant.status.observed_generation = observed;
            tenant.status.conditions = conditions.to_vec();
            assert_eq!((Standing::of(&object), Standing::of_tenant(&tenant)), (expected, expected), "{observed:?}");
            assert_eq!(is_told(&object), told, "{observed:?}");
            object.deleting = true;
            assert_eq!((Standing::of(&object), is_told(&object)), (Standing::Deleting, true));
        }
    }
}
