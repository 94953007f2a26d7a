//! An object in a pass: the facts that decide its part, and what is said of it where that does not depend on the plan.
//!
//! Guarantees: the members of a connection are gathered from one moment of the world; the same world, document and memory give
//! the same members, also where nobody is going to write, as when a plan is only shown.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::api::upstream_params::{ConnectionStatus, DeletionPolicy, ManagementPolicy};
use crate::core::obstacle::{Obstacle, ObstacleReason};
use crate::core::pass::claims;
use crate::core::pass::known_connections::KnownConnections;
use crate::core::pass::memory::refusals::Refusals;
use crate::core::pass::plan::{Participant, Plan};
use crate::core::pass::role::{Admission, Facts, Life, Names, Part, Release};
use crate::core::spec::{self, UnfitReason};
use crate::core::status::{self, Outcome, Planned, WriteOutcome};
use crate::core::tenant::TenantSettings;
use crate::core::tenant::triage::not_permitted;
use crate::core::world::{Connection, Declared, World};
use crate::model::document::Document;
use crate::model::identity::{ConnectionId, TenantIdentity, Uid};

/// An object in a pass.
pub(crate) struct Member {
    /// The object as it is stored: claims move its version on.
    pub(crate) stored: Arc<Declared>,
    /// The labels of its namespace, which decide what it is admitted to.
    pub(crate) labels: Option<BTreeMap<String, String>>,
    /// Whether the spec names this connection. Nothing is said of one whose namespace is not known, as if it did not.
    pub(crate) named: bool,
    /// What it does, and what is said of it.
    pub(crate) part: Part,
    /// Whether it was accepted here already, with all that it declares, before this pass.
    pub(crate) was_accepted: bool,
    /// What is unusual about its spec on this connection.
    pub(crate) warnings: Vec<String>,
    /// What is said where its part is not decided by the plan.
    answer: Answer,
}

/// What only a look at the connection could tell of an object.
#[derive(Default)]
struct Answer {
    /// What can't be managed here.
    refusal: Option<(UnfitReason, String)>,
    /// What the API said when it refused its changes before.
    rejection: Option<String>,
    /// That it is not admitted here.
    not_permitted: Option<Outcome>,
    /// The id of the connection that is gone and had this one's name.
    gone: Option<ConnectionId>,
}

impl Member {
    /// The object as it is planned for: without what it had on a connection that is gone.
    pub(crate) fn planned(&self, gone: Option<&ConnectionId>) -> Declared {
        let mut planned = Declared::clone(&self.stored);
        planned.status.connections.retain(|entry| gone.is_none_or(|gone| *gone != *entry.id));
        planned
    }

    /// What is said of it after the plan was carried out, as far as `write` says; nothing where it can't act and loses nothing.
    pub(crate) fn outcome(
        &self,
        plan: &Plan,
        planned: &Declared,
        (document, tenant): (&Document, &TenantIdentity),
        write: &WriteOutcome,
    ) -> Option<Outcome> {
        let (uid, described) = (&planned.uid, status::described(document, tenant));
        match self.part {
            Part::Owner | Part::Observer | Part::Leaver => {
                let write = write_for(plan, uid, write);
                Some(Outcome::Planned(Planned::part(plan, planned, described, self.warnings.clone(), write)))
            }
            Part::Mover | Part::Waiting(_) => (!plan.losses(uid).is_empty()).then_some(Outcome::Displaced),
            Part::RejectedLeaver
            | Part::NotPermitted(_)
            | Part::Refused(_)
            | Part::StillRejected
            | Part::Left
            | Part::Released(_)
            | Part::ConnectionGone => self.outcome_of_its_own(planned, &document.id, &described),
        }
    }

    /// What is said of it whatever the plan is; `planned` is the object as it is planned for.
    pub(crate) fn outcome_of_its_own(&self, planned: &Declared, id: &ConnectionId, described: &ConnectionStatus) -> Option<Outcome> {
        let Answer { refusal, rejection, not_permitted, gone } = &self.answer;
        match self.part {
            Part::Owner | Part::Observer | Part::Leaver | Part::Mover | Part::Waiting(_) => None,
            Part::NotPermitted(_) => not_permitted.clone(),
            Part::Refused(_) => refusal.clone().map(|(reason, message)| Outcome::Refused { reason, message }),
            Part::StillRejected | Part::RejectedLeaver => {
                rejection.clone().map(|message| Outcome::StillRejected { message, warnings: self.warnings.clone() })
            }
            Part::Left => Some(Outcome::Planned(Planned::left(planned, id, described.clone()))),
            Part::Released(Release::NotAdmitted) => {
                Some(Outcome::Released("the ClusterAuth0Tenant does not permit the object any more".to_owned()))
            }
            Part::Released(Release::Policy) => Some(Outcome::Released(planned.why_it_leaves().to_owned())),
            Part::Released(Release::NothingOwned) => Some(Outcome::Released("the object owns no parameter".to_owned())),
            Part::ConnectionGone => Some(Outcome::ConnectionNotFound { id: gone.clone(), meant: None }),
        }
    }
}

/// What became of the write for one object.
fn write_for(plan: &Plan, object: &Uid, write: &WriteOutcome) -> WriteOutcome {
    let pending = |message: &str| {
        WriteOutcome::Postponed(Obstacle { reason: ObstacleReason::Pending, message: message.to_owned(), tenant_wide: false })
    };
    let deferred = plan.deferred.keys().any(|name| plan.defers(name, object));
    // Nothing of the connection was written then, for whatever it waited.
    let waits_as_told = deferred && matches!(write, WriteOutcome::Postponed(_) | WriteOutcome::Failed(_));
    let changes = plan.changes_for(object);
    if changes && matches!(write, WriteOutcome::Rejected(_)) && !plan.authors().contains(object) {
        pending("Auth0 refused the value that another object declares for a parameter of this one; the operator goes on without it")
    } else if changes || waits_as_told {
        write.clone()
    } else if deferred {
        pending("the operator writes other changes of this connection first; these are next")
    } else {
        // Also for whoever only adopts what is there.
        WriteOutcome::Nothing
    }
}

/// Those of the members that take part in the plan.
pub(crate) fn participants(members: &[Member]) -> Vec<Participant<'_>> {
    members.iter().filter_map(|member| Some(Participant { object: &member.stored, role: member.part.role()? })).collect()
}

/// What the members of a pass are gathered from.
#[derive(Clone, Copy)]
pub(crate) struct Gathering<'a> {
    /// Who declares what.
    pub(crate) world: &'a World,
    /// The tenant as it is declared.
    pub(crate) settings: &'a TenantSettings,
    /// The connection, as the tenant object's name and the document have it.
    pub(crate) connection: Connection<'a>,
    /// The connection as it was read.
    pub(crate) document: &'a Document,
    /// The id under which the connection was known before, when that one is gone.
    pub(crate) gone: Option<&'a ConnectionId>,
    /// The connections that were seen.
    pub(crate) known_connections: &'a KnownConnections,
    /// What the API refused.
    pub(crate) refusals: &'a Refusals,
}

impl Gathering<'_> {
    /// Everybody whom the connection concerns.
    pub(crate) fn members(&self) -> Vec<Member> {
        self.world.concerned(&self.connection).into_iter().map(|object| self.member(object)).collect()
    }

    fn member(&self, object: Arc<Declared>) -> Member {
        let document = self.document;
        let labels = self.world.labels(&object.key.namespace).cloned();
        let reserved = labels.as_ref().and_then(|labels| self.settings.admission(labels, &document.name));
        let admission = match (&labels, &reserved) {
            (None, _) => Admission::Unknown,
            (Some(_), None) => Admission::Denied,
            (Some(_), Some(_)) => Admission::Granted,
        };
        let check = self.check(&object, &reserved.unwrap_or_default());
        let rejection = self.refusals.of_object(document, &object);
        let facts = Facts { admission, rejected: rejection.is_some(), ..self.facts(&object, check.as_ref().is_some_and(Result::is_ok)) };
        let answer = Answer {
            refusal: check.as_ref().and_then(|check| check.as_ref().err()).cloned(),
            rejection: rejection.map(str::to_owned),
            not_permitted: labels
                .as_ref()
                .filter(|_| admission == Admission::Denied)
                .map(|labels| not_permitted((self.connection.tenant, self.settings), labels, &object)),
            gone: self.gone.cloned(),
        };
        let part = facts.part();
        tracing::trace!(object = %object.key, ?part, "takes part");
        Member {
            named: admission != Admission::Unknown && self.connection.is_named_by(&object),
            part,
            was_accepted: status::is_accepted_on(&object, &document.id),
            // One that leaves is not told what would be unusual about it.
            warnings: check.and_then(Result::ok).filter(|_| !object.deleting).unwrap_or_default(),
            stored: object,
            labels,
            answer,
        }
    }

    /// Whether the spec of an object that names this connection can be carried out on it, and what is unusual about that.
    fn check(&self, object: &Declared, reserved: &BTreeSet<String>) -> Option<Result<Vec<String>, (UnfitReason, String)>> {
        let spec = object.spec.as_ref().ok().filter(|_| self.connection.is_named_by(object))?;
        Some(spec::against_connection(spec, self.document, reserved))
    }

    /// The facts that the object itself and what is known of its connections tell.
    fn facts(&self, object: &Declared, fits: bool) -> Facts {
        let recorded = |id: &ConnectionId| claims::is_recorded(&object.status, id);
        Facts {
            admission: Admission::Unknown,
            life: Life::of(object),
            names: match &object.spec {
                Err(_) => Names::Nothing,
                Ok(_) if self.connection.is_named_by(object) => Names::This { fits },
                // Only where it was accepted where it is now, it leaves where it was.
                Ok(spec) => {
                    let there = self.known_connections.id_of(&spec.target);
                    Names::Another { accepted: there.is_some_and(|id| status::is_accepted_on(object, id)) }
                }
            },
            recorded_here: self.connection.is_recorded_by(object),
            recorded_elsewhere: claims::connections(&object.status).any(|id| id != self.document.id),
            recorded_on_gone: self.gone.is_some_and(recorded),
            observes: self.settings.observes || object.policies.management == ManagementPolicy::Observe,
            retains: object.policies.deletion == DeletionPolicy::Retain,
            rejected: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::upstream_params::ParamState::InSync;
    use crate::core::pass::plan::{ConnectionState, Role, plan};
    use crate::tests::builders::{here, live, object};

    /// What each of these is told of a write that came to this.
    fn told(found: &[(&str, &str)], parts: &[(&Declared, Role)], write: &WriteOutcome) -> Vec<&'static str> {
        told_of(&planned(found, parts), parts, write)
    }

    fn planned(found: &[(&str, &str)], parts: &[(&Declared, Role)]) -> Plan {
        let (found, disputes) = (live(found), BTreeMap::new());
        let state = ConnectionState { connection_ref: here(), live: &found, disputes: &disputes, unsettled: false };
        let participants: Vec<Participant<'_>> = parts.iter().map(|(object, role)| Participant { object, role: *role }).collect();
        plan(state, &participants, false)
    }

    fn told_of(plan: &Plan, parts: &[(&Declared, Role)], write: &WriteOutcome) -> Vec<&'static str> {
        let of = |object: &Declared| match write_for(plan, &object.uid, write) {
            WriteOutcome::Nothing => "nothing",
            WriteOutcome::Written => "written",
            WriteOutcome::Failed(_) => "failed",
            WriteOutcome::Postponed(_) => "postponed",
            WriteOutcome::Rejected(_) => "rejected",
        };
        parts.iter().map(|(object, _)| of(object)).collect()
    }

    #[test]
    fn what_auth0_refused_is_told_to_those_who_want_it() {
        let refused = WriteOutcome::Rejected("no".to_owned());
        let failed = WriteOutcome::Failed(Obstacle { reason: ObstacleReason::ApplyFailed, message: "no".to_owned(), tenant_wide: false });
        let gives = object("a").lists("blog", InSync, &["x"]).lists("lang", InSync, &["de"]).dying();
        let adopts = object("b").wants("lang", "de");
        let takes = object("c").wants("blog", "y").wants("lang", "de");
        let found = [("blog", "x"), ("lang", "de")];
        // It removes one name, and another passes from it as it is.
        let parts = [(&gives, Role::Leaver), (&adopts, Role::Owner)];
        assert_eq!(told(&found, &parts, &refused), ["rejected", "nothing"]);
        assert_eq!(told(&found, &parts, &failed), ["failed", "nothing"]);
        // It only gives up what another sets.
        let parts = [(&gives, Role::Leaver), (&takes, Role::Owner)];
        assert_eq!(told(&found, &parts, &refused), ["postponed", "rejected"]);
        assert_eq!(told(&found, &parts, &failed), ["failed", "failed"]);
        // Their changes go one object at a time: what fails keeps the others, too; what is refused is said to the one that wanted it.
        let (first, next) = (object("a").wants("lang", "e"), object("b").wants("hint", "f"));
        let parts_in_turns = [(&first, Role::Owner), (&next, Role::Owner)];
        let mut plan = planned(&[], &parts_in_turns);
        plan.retain_actors(&BTreeSet::from([first.uid.clone()]));
        assert_eq!(told_of(&plan, &parts_in_turns, &refused), ["rejected", "postponed"]);
        assert_eq!(told_of(&plan, &parts_in_turns, &failed), ["failed", "failed"]);
        // Two have a record of what goes.
        let too = object("d").lists("blog", InSync, &["x"]).dying();
        let parts = [(&gives, Role::Leaver), (&too, Role::Leaver), (&adopts, Role::Owner)];
        assert_eq!(told(&found, &parts, &refused), ["rejected", "rejected", "nothing"]);
    }
}
