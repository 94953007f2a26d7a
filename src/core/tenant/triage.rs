//! What is to be done about an object that changed, before anything is read: say something of it at once, look at its
//! connections, or neither.
//!
//! Guarantees: every combination of facts has exactly one answer; no connection is looked at while the tenant can't be used;
//! what is being deleted is let go at once where nothing would be removed anyway, and waits where that is not known.

use std::collections::BTreeMap;

use crate::core::pass::role::Life;
use crate::core::spec::{Spec, Target};
use crate::core::status::Outcome;
use crate::core::tenant::{TenantSettings, permitted};
use crate::core::world::{Declared, World};
use crate::model::identity::ConnectionId;

/// Whether the tenant can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Availability {
    /// Its object does not exist.
    Missing,
    /// Its credentials are about to be tried. Every object is reconciled after that, and what is said of it meanwhile would be
    /// news of nothing, once for each object and each start.
    Untried,
    /// It can't.
    NotReady,
    /// It can.
    Ready,
}

/// Whether the tenant admits an object to what it names, as far as that is known before anything is read: what an id stands
/// for is known only by a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Nothing is known against it.
    Open,
    /// Not its namespace, whatever it names.
    NamespaceDenied,
    /// Not its namespace to the connection that it names.
    NameDenied,
}

/// Whether a tenant with these settings admits an object to what it names. `labels` are those of its namespace; where they are
/// not known, nothing is known against it.
pub(crate) fn admission(settings: &TenantSettings, labels: Option<&BTreeMap<String, String>>, object: &Declared) -> Admission {
    match (labels, &object.spec) {
        (Some(labels), _) if !settings.admits_namespace(labels) => Admission::NamespaceDenied,
        (Some(labels), Ok(Spec { target: Target::Name(name), .. })) if settings.admission(labels, name).is_none() => Admission::NameDenied,
        (Some(_) | None, _) => Admission::Open,
    }
}

/// What decides about an object.
#[allow(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// See [`Availability`].
    pub tenant: Availability,
    /// Whether the tenant only observes.
    pub tenant_observes: bool,
    /// See [`Admission`].
    pub admission: Admission,
    /// See [`Life`].
    pub life: Life,
    /// Whether its spec can be carried out.
    pub valid: bool,
    /// Whether its deletion leaves what it owns.
    pub retains: bool,
    /// Whether it has a record anywhere.
    pub recorded: bool,
    /// Whether there is any connection to look at for it.
    pub has_connections: bool,
}

/// What is to be done about an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Triage {
    /// Nothing now.
    Nothing,
    /// Its spec can't be carried out, which is said.
    Invalid,
    /// The tenant can't be used, which is said.
    TenantNotReady,
    /// The tenant does not admit its namespace, which is said.
    NamespaceDenied,
    /// The tenant does not admit it to what it names, which is said. Where it has a record it still has to be looked at.
    NameDenied,
    /// Its connections are looked at.
    Look,
    /// It is let go, and nothing is removed.
    Release(Release),
}

/// Why an object that is being deleted is let go before anything was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    /// There is no tenant to remove anything at.
    NoTenant,
    /// Its own policies say so.
    Policy,
    /// Its tenant only observes.
    TenantObserves,
    /// The tenant does not admit it.
    NotAdmitted,
    /// It has no record, and names nothing.
    NothingOwned,
}

impl Release {
    /// What is said of it.
    pub(crate) fn why(self, object: &Declared) -> &'static str {
        match self {
            Self::NoTenant => "its ClusterAuth0Tenant does not exist",
            Self::Policy => object.why_it_leaves(),
            Self::TenantObserves => "its ClusterAuth0Tenant only observes",
            Self::NotAdmitted => "the tenant does not admit it any more",
            Self::NothingOwned => "nothing is recorded as its own",
        }
    }
}

/// What is to be done about an object.
pub(crate) fn triage(facts: Facts) -> Triage {
    match facts.life {
        Life::Alive if !facts.valid => Triage::Invalid,
        Life::Alive => of_living(facts),
        Life::Dying => Triage::Nothing,
        Life::Kept => of_kept(facts),
    }
}

fn of_living(facts: Facts) -> Triage {
    match (facts.tenant, facts.admission) {
        (Availability::Untried, _) => Triage::Nothing,
        (Availability::Missing | Availability::NotReady, _) => Triage::TenantNotReady,
        (Availability::Ready, Admission::NamespaceDenied) => Triage::NamespaceDenied,
        (Availability::Ready, Admission::NameDenied) => Triage::NameDenied,
        (Availability::Ready, Admission::Open) => Triage::Look,
    }
}

fn of_kept(facts: Facts) -> Triage {
    match (facts.tenant, facts.admission) {
        (Availability::Missing, _) => Triage::Release(Release::NoTenant),
        _ if facts.retains => Triage::Release(Release::Policy),
        _ if facts.tenant_observes => Triage::Release(Release::TenantObserves),
        (Availability::Untried, _) => Triage::Nothing,
        (Availability::NotReady, _) => Triage::TenantNotReady,
        (Availability::Ready, Admission::NamespaceDenied) => Triage::Release(Release::NotAdmitted),
        // What it holds elsewhere may be permitted where what it names is not.
        (Availability::Ready, Admission::NameDenied) if !facts.recorded => Triage::Release(Release::NotAdmitted),
        (Availability::Ready, Admission::NameDenied | Admission::Open) if !facts.has_connections => Triage::Release(Release::NothingOwned),
        (Availability::Ready, Admission::NameDenied | Admission::Open) => Triage::Look,
    }
}

/// What the status says where access does not admit an object. Of a connection that is named by its id it says the same
/// as where there is none: what it is called, and whether it exists, is not everybody's business. `labels` are those of the
/// object's namespace.
pub(crate) fn not_permitted((tenant, settings): (&str, &TenantSettings), labels: &BTreeMap<String, String>, object: &Declared) -> Outcome {
    let named = match &object.spec {
        Ok(Spec { target: Target::Id(_), .. }) if settings.admits_namespace(labels) => {
            return Outcome::ConnectionNotFound { id: None, meant: None };
        }
        Ok(Spec { target: Target::Name(name), .. }) => name.as_str(),
        Ok(Spec { target: Target::Id(id), .. }) => id.as_str(),
        Err(_) => "",
    };
    Outcome::NotPermitted(settings.refusal(tenant, (&object.key.namespace, labels), named))
}

/// Who is asked, and by whom: what a message names, and what it may tell.
#[derive(Clone, Copy)]
pub(crate) struct Asking<'a> {
    /// The name of the tenant object.
    pub tenant: &'a str,
    /// What it amounts to; nothing where it can't be used.
    pub settings: Option<&'a TenantSettings>,
    /// The labels of the object's namespace, where they are known.
    pub labels: Option<&'a BTreeMap<String, String>>,
    /// The object.
    pub object: &'a Declared,
}

/// At which connections an object is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// At none.
    Nowhere,
    /// At those that it has a record of.
    WhereRecorded,
    /// At those, and at the one that it names.
    Everywhere,
}

impl Triage {
    /// What is said of the object at once, and where it is looked at. `not_ready` is what is said where the tenant can't be used.
    pub(crate) fn told(self, asking: Asking<'_>, not_ready: impl FnOnce() -> Option<Outcome>) -> (Option<Outcome>, Look) {
        match self {
            Self::Nothing => (None, Look::Nowhere),
            Self::Invalid => (asking.object.spec.as_ref().err().map(|refusal| Outcome::Invalid(refusal.clone())), Look::Nowhere),
            Self::TenantNotReady => (not_ready(), Look::Nowhere),
            Self::NamespaceDenied => (asking.refused(), Look::Nowhere),
            Self::NameDenied => (asking.name_not_admitted(), Look::WhereRecorded),
            Self::Look => (None, Look::Everywhere),
            Self::Release(release) => (Some(Outcome::Released(release.why(asking.object).to_owned())), Look::Nowhere),
        }
    }
}

impl Asking<'_> {
    /// Why the object may do nothing on the connection that it names: told before anything is read, as whether there is such a
    /// connection is not everybody's business. What an id stands for is known only by a look.
    pub(crate) fn name_not_admitted(self) -> Option<Outcome> {
        let names_it = self.object.spec.as_ref().is_ok_and(|spec| matches!(spec.target, Target::Name(_)));
        match admission(self.settings?, self.labels, self.object) {
            Admission::NamespaceDenied | Admission::NameDenied if names_it => self.refused(),
            Admission::Open | Admission::NamespaceDenied | Admission::NameDenied => None,
        }
    }

    /// What is said of the object where a connection that it names, or has a record of, does not exist: that it may do nothing
    /// there, where it is not admitted, or else that there is none. `names_it` says whether it is the one that it names.
    pub(crate) fn not_found(self, world: &World, id: Option<&ConnectionId>, names_it: bool) -> Outcome {
        let refusal = if names_it && !self.object.deleting { self.name_not_admitted() } else { None };
        refusal.unwrap_or_else(|| Outcome::ConnectionNotFound {
            id: id.cloned(),
            meant: self
                .settings
                .filter(|_| names_it)
                .and_then(|settings| permitted::connection_meant(world, self.tenant, settings, self.object)),
        })
    }

    fn refused(self) -> Option<Outcome> {
        Some(not_permitted((self.tenant, self.settings?), self.labels?, self.object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: [Availability; 4] = [Availability::Missing, Availability::Untried, Availability::NotReady, Availability::Ready];
    const ADMISSION: [Admission; 3] = [Admission::Open, Admission::NamespaceDenied, Admission::NameDenied];
    const LIFE: [Life; 3] = [Life::Alive, Life::Dying, Life::Kept];
    const BOTH: [bool; 2] = [false, true];

    fn all() -> Vec<Facts> {
        let mut all = Vec::new();
        for tenant in TENANT {
            for admission in ADMISSION {
                for life in LIFE {
                    for bits in 0..32_u8 {
                        let bit = |n: u8| bits & (1 << n) != 0;
                        let (tenant_observes, valid, retains, recorded, has_connections) = (bit(0), bit(1), bit(2), bit(3), bit(4));
                        all.push(Facts { tenant, tenant_observes, admission, life, valid, retains, recorded, has_connections });
                    }
                }
            }
        }
        all
    }

    /// A row: the facts that it is for, of each those that are meant, and the answer.
    struct Row(&'static [Availability], &'static [Admission], Life, fn(Facts) -> bool, Triage);

    #[test]
    fn every_combination_of_facts_is_in_one_row_of_the_table_and_answered_as_it_says() {
        use Admission::{NameDenied, NamespaceDenied, Open};
        use Availability::{Missing, NotReady, Ready, Untried};
        let acts = |facts: Facts| !facts.retains && !facts.tenant_observes;
        let table = [
            Row(&TENANT, &ADMISSION, Life::Dying, |_| true, Triage::Nothing),
            Row(&TENANT, &ADMISSION, Life::Alive, |facts| !facts.valid, Triage::Invalid),
            Row(&[Missing, NotReady], &ADMISSION, Life::Alive, |facts| facts.valid, Triage::TenantNotReady),
            Row(&[Untried], &ADMISSION, Life::Alive, |facts| facts.valid, Triage::Nothing),
            Row(&[Ready], &[Open], Life::Alive, |facts| facts.valid, Triage::Look),
            Row(&[Ready], &[NamespaceDenied], Life::Alive, |facts| facts.valid, Triage::NamespaceDenied),
            Row(&[Ready], &[NameDenied], Life::Alive, |facts| facts.valid, Triage::NameDenied),
            Row(&[Missing], &ADMISSION, Life::Kept, |_| true, Triage::Release(Release::NoTenant)),
            Row(&[Untried, NotReady, Ready], &ADMISSION, Life::Kept, |facts| facts.retains, Triage::Release(Release::Policy)),
            Row(
                &[Untried, NotReady, Ready],
                &ADMISSION,
                Life::Kept,
                |facts| !facts.retains && facts.tenant_observes,
                Triage::Release(Release::TenantObserves),
            ),
            Row(&[Untried], &ADMISSION, Life::Kept, acts, Triage::Nothing),
            Row(&[NotReady], &ADMISSION, Life::Kept, acts, Triage::TenantNotReady),
            Row(&[Ready], &[NamespaceDenied], Life::Kept, acts, Triage::Release(Release::NotAdmitted)),
            Row(
                &[Ready],
                &[NameDenied],
                Life::Kept,
                |facts| !facts.retains && !facts.tenant_observes && !facts.recorded,
                Triage::Release(Release::NotAdmitted),
            ),
            Row(
                &[Ready],
                &[NameDenied],
                Life::Kept,
                |facts| !facts.retains && !facts.tenant_observes && facts.recorded && facts.has_connections,
                Triage::Look,
            ),
            Row(
                &[Ready],
                &[NameDenied],
                Life::Kept,
                |facts| !facts.retains && !facts.tenant_observes && facts.recorded && !facts.has_connections,
                Triage::Release(Release::NothingOwned),
            ),
            Row(&[Ready], &[Open], Life::Kept, |facts| !facts.retains && !facts.tenant_observes && facts.has_connections, Triage::Look),
            Row(
                &[Ready],
                &[Open],
                Life::Kept,
                |facts| !facts.retains && !facts.tenant_observes && !facts.has_connections,
                Triage::Release(Release::NothingOwned),
            ),
        ];
        for facts in all() {
            let applies = |row: &&Row| {
                let Row(tenants, admissions, life, when, _) = row;
                tenants.contains(&facts.tenant) && admissions.contains(&facts.admission) && *life == facts.life && when(facts)
            };
            let answers: Vec<Triage> = table.iter().filter(applies).map(|Row(.., answer)| *answer).collect();
            assert_eq!(answers, [triage(facts)], "{facts:?}");
        }
    }

    #[test]
    fn facts_that_say_nothing_change_nothing() {
        for facts in all() {
            for recorded in BOTH {
                let other = Facts { recorded, ..facts };
                if facts.life != Life::Kept || facts.admission != Admission::NameDenied {
                    assert_eq!(triage(facts), triage(other), "{facts:?}");
                }
            }
            if facts.life == Life::Alive {
                for tenant_observes in BOTH {
                    let other = Facts { tenant_observes, retains: !facts.retains, ..facts };
                    assert_eq!(triage(facts), triage(other), "{facts:?}");
                }
            }
        }
    }
}
