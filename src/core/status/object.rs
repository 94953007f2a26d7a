//! The conditions of an `UpstreamParams`: a row of the table, folded with what its status says already.
//!
//! Guarantees: trouble with the tenant turns nobody red who was in sync; what a look showed is said as of that look when the
//! latest pass had none; `Ready` copies the first condition that is not true.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::conditions::{Before, Finding, condition, is};
use super::outcome::{Accepted, Deletion, Planned, Progress, Resolved, Row, Synced, TenantHealth};
use super::{Context, PROGRESS_DEADLINE, about, synced};
use crate::api::reason::{ConditionStatus, ConditionType, Reason};
use crate::api::upstream_params::{ConnectionStatus, ParamState};
use crate::core::near::asked;
use crate::core::obstacle::Obstacle;
use crate::core::pass::plan::{ParamPlan, Verdict};
use crate::core::spec::Target;
use crate::core::world::Declared;
use crate::model::identity::ConnectionId;

/// What is said of a condition that only a look at the connection can tell.
const UNSEEN: &str = "the operator has not checked the connection yet";

/// Whether this generation was in sync (or observed, for one that observes) when its status was last written.
pub(crate) fn was_in_sync(object: &Declared, observing: bool) -> bool {
    condition(&object.status.conditions, ConditionType::Ready).is_some_and(|ready| {
        // What was in sync was looked at as well, and a tenant may begin to observe without a new generation.
        let good = ready.reason == Reason::Ready.as_str() || (observing && ready.reason == Reason::Observing.as_str());
        ready.observed_generation == Some(object.generation)
            && ((ready.status == ConditionStatus::True.as_str() && good) || ready.reason == Reason::StaleObservation.as_str())
    })
}

/// Whether the object was accepted on this connection, for this generation, and has all that it declares there: then it may
/// leave another.
pub(crate) fn is_accepted_on(object: &Declared, connection: &ConnectionId) -> bool {
    let of_this_generation = condition(&object.status.conditions, ConditionType::Accepted)
        .is_some_and(|accepted| accepted.observed_generation == Some(object.generation));
    let accepted = of_this_generation && is(&object.status.conditions, ConditionType::Accepted, ConditionStatus::True);
    let arrived = |entry: &ConnectionStatus| entry.params.iter().all(|param| has_arrived(param.state));
    accepted && object.status.connections.iter().any(|entry| *connection == *entry.id && arrived(entry))
}

/// Whether nothing is missing of a parameter at the connection that an object moves to: no login loses it meanwhile.
fn has_arrived(state: ParamState) -> bool {
    match state {
        ParamState::InSync | ParamState::Applied | ParamState::Removing => true,
        ParamState::Pending
        | ParamState::ExistingValue
        | ParamState::Contended
        | ParamState::Conflicted
        | ParamState::WouldAdd
        | ParamState::WouldChange
        | ParamState::WouldRemove => false,
    }
}

/// The conditions of an object that has none yet and is about to be written for.
pub(super) fn of_a_first_claim(object: &Declared, now: jiff::Timestamp) -> Vec<Condition> {
    let before = Before { conditions: &[], generation: object.generation, now };
    before.all_dated(all_pending("the operator is writing the parameters"))
}

/// The conditions of an object whose connection was not looked at since its tenant object stands for another tenant.
pub(super) fn of_one_unseen(object: &Declared, now: jiff::Timestamp) -> Vec<Condition> {
    let before = Before { conditions: &object.status.conditions, generation: object.generation, now };
    let progress = (ConditionType::Reconciling, Finding::holds(Reason::Progressing, UNSEEN));
    before.all_dated(all_pending(UNSEEN).into_iter().chain([progress]))
}

fn all_pending(message: &str) -> [(ConditionType, Finding); 4] {
    let kinds = [ConditionType::Ready, ConditionType::Accepted, ConditionType::ResolvedRefs, ConditionType::Synced];
    kinds.map(|kind| (kind, Finding::pending(message)))
}

/// What the conditions of one object are made from.
pub(super) struct Case<'a> {
    /// The object as the pass saw it.
    pub(super) object: &'a Declared,
    /// What follows from how it ended.
    pub(super) row: &'a Row<'a>,
    /// Everything else that it depends on.
    pub(super) context: &'a Context,
    /// What its status is about to say of its connections.
    pub(super) connections: &'a [ConnectionStatus],
}

impl Case<'_> {
    fn before(&self) -> Before<'_> {
        Before { conditions: &self.object.status.conditions, generation: self.object.generation, now: self.context.now }
    }

    fn was_in_sync(&self) -> bool {
        was_in_sync(self.object, self.context.observing)
    }

    /// The conditions of an object that is where its spec names it.
    pub(super) fn conditions(&self) -> Vec<Condition> {
        let (accepted, resolved, synced) = (self.accepted(), self.resolved(), self.synced());
        let ready = self.ready([&accepted, &resolved, &synced]);
        let progress = self.progress(&ready);
        let always = [
            (ConditionType::Ready, ready),
            (ConditionType::Accepted, accepted),
            (ConditionType::ResolvedRefs, resolved),
            (ConditionType::Synced, synced),
        ];
        self.before().all_dated(always.into_iter().chain(progress))
    }

    /// The conditions of an object that is being deleted: what was known, and what it waits for.
    pub(super) fn deleting(&self) -> Vec<Condition> {
        let message = match self.row.deletion {
            Deletion::WithTheRecord | Deletion::Released(_) | Deletion::Waits("") => {
                "the operator is removing the parameters that this object owns".to_owned()
            }
            Deletion::Waits(reason) => format!(
                "the operator cannot remove the parameters yet: {reason}; to delete the object without that, set deletionPolicy: Retain"
            ),
        };
        let known = [ConditionType::Accepted, ConditionType::ResolvedRefs, ConditionType::Synced]
            .map(|kind| (kind, self.before().carried(kind, "the object is being deleted")));
        let ready = [(ConditionType::Ready, Finding::fails(Reason::Deleting, &message))];
        let progress = [(ConditionType::Reconciling, Finding::holds(Reason::Progressing, &message))];
        self.before().all_dated(ready.into_iter().chain(known).chain(progress))
    }

    fn accepted(&self) -> Finding {
        match &self.row.accepted {
            Accepted::AsSeen => self.before().carried(ConditionType::Accepted, UNSEEN),
            Accepted::Refused(reason, message) => Finding::fails(*reason, message),
            Accepted::Warned(warnings) => accepted_with(warnings),
            Accepted::ByPlan(planned) => self.accepted_plan(planned),
        }
    }

    fn accepted_plan(&self, planned: &Planned) -> Finding {
        let conflicts: Vec<String> =
            planned.params.iter().filter_map(|(name, param)| conflict(&self.object.key.namespace, name, param)).collect();
        if conflicts.is_empty() {
            return accepted_with(&planned.warnings);
        }
        Finding::fails(Reason::Conflicted, format!("{}; declare each parameter in one object only", conflicts.join(", ")))
    }

    fn resolved(&self) -> Finding {
        let tenant = &self.object.policies.tenant;
        let known = || self.before().carried(ConditionType::ResolvedRefs, UNSEEN);
        match self.row.resolved {
            Resolved::AsSeen => known(),
            Resolved::TenantExists => {
                Some(known()).filter(|known| known.reason != Reason::TenantNotFound).unwrap_or_else(|| Finding::pending(UNSEEN))
            }
            Resolved::NoTenant(meant) => Finding::fails(
                Reason::TenantNotFound,
                format!(
                    "there is no ClusterAuth0Tenant {tenant}{}; create it, or create this object again with another spec.tenantRef",
                    asked(meant)
                ),
            ),
            Resolved::NoConnection(meant) => Finding::fails(Reason::ConnectionNotFound, self.no_connection(meant)),
            Resolved::Found => Finding::holds(Reason::ResolvedRefs, "the tenant and the connection exist"),
        }
    }

    fn no_connection(&self, meant: Option<&str>) -> String {
        let (tenant, namespace) = (&self.object.policies.tenant, &self.object.key.namespace);
        match self.object.spec.as_ref().map(|spec| &spec.target) {
            Ok(Target::Name(name)) => {
                format!("the tenant {tenant} has no connection named {name}{}; create it, or correct spec.connection", asked(meant))
            }
            // Which of the two it is, is not everybody's business.
            Ok(Target::Id(id)) => format!(
                "the tenant {tenant} has no connection with the id {id}, or does not permit the namespace {namespace} to use it; \
                 correct spec.connection, or ask the platform team for an access entry that matches the namespace's labels and the connection"
            ),
            Err(_) => format!("the tenant {tenant} has no such connection; create it, or correct spec.connection"),
        }
    }

    fn synced(&self) -> Finding {
        match &self.row.synced {
            Synced::Withheld => Finding::pending("the operator writes nothing before Accepted and ResolvedRefs are True"),
            Synced::TenantNotReady(message) => Finding::unknown(Reason::TenantNotReady, *message),
            Synced::Hindered(obstacle) => self.hindered(obstacle),
            Synced::Rejected(message) => Finding::fails(Reason::Rejected, *message),
            Synced::ByPlan(planned) => synced::of_plan(planned, self.context.observing, self.connections),
        }
    }

    /// Trouble with the tenant says nothing against an object that was in sync: one rotated credential must not turn
    /// hundreds of applications red.
    fn hindered(&self, obstacle: &Obstacle) -> Finding {
        let Obstacle { reason, message, tenant_wide } = obstacle;
        if obstacle.leaves_unknown() {
            return Finding::unknown((*reason).into(), message);
        }
        if *tenant_wide && self.was_in_sync() {
            return Finding::unknown(Reason::TenantNotReady, message);
        }
        Finding::fails((*reason).into(), message)
    }

    fn ready(&self, parts: [&Finding; 3]) -> Finding {
        let [accepted, resolved, synced] = parts;
        if self.row.tenant == TenantHealth::Troubled && self.was_in_sync() && accepted.is_true() && resolved.is_true() {
            return self.ready_in_trouble(synced);
        }
        let lacking = || parts.into_iter().filter(|part| !part.is_true() && !self.is_only_shown(part));
        // What is only not known yet must not hide what is known to be missing.
        match lacking().find(|part| part.reason != Reason::Pending).or_else(|| lacking().next()) {
            Some(part) if part.reason == Reason::Pending => part.clone(),
            Some(part) => Finding::fails(part.reason, &part.message),
            None if self.context.observing => Finding::holds(Reason::Observing, "the operator checks the connection and writes nothing"),
            None => Finding::holds(Reason::Ready, "the connection has the parameters as declared"),
        }
    }

    /// What only observes is not at fault for what Enforce would do or be kept from: a deliberate rest must not be red.
    fn is_only_shown(&self, part: &Finding) -> bool {
        self.context.observing && [Reason::DriftDetected, Reason::ExistingValue, Reason::Contended].contains(&part.reason)
    }

    /// Trouble with the tenant turns nobody red who was in sync; but what was so is said as of when it was seen. The time is
    /// that at which `Synced` became Unknown, so it does not move while the trouble lasts.
    fn ready_in_trouble(&self, synced: &Finding) -> Finding {
        let since = self.before().since(ConditionType::Synced, synced.status);
        let now = &synced.message;
        if self.is_stale() {
            let message = format!("the operator last checked the connection before {since}, too long ago; now: {now}");
            return Finding::unknown(Reason::StaleObservation, message);
        }
        let differing = self.differing();
        if !self.context.observing && !differing.is_empty() {
            let seen = about(&differing, "was", "were");
            return Finding::holds(Reason::Ready, format!("{seen} not as declared at the last check, and cannot be written; now: {now}"));
        }
        let (reason, seen) = self.seen_before();
        Finding::holds(reason, format!("{seen} before {since}; now: {now}"))
    }

    /// Whether the last good look is too long ago. A process that starts again has forgotten when that was, so what was stale
    /// stays so until the next.
    fn is_stale(&self) -> bool {
        self.context.since_good_look >= self.context.stale_after
            || is(&self.object.status.conditions, ConditionType::Ready, ConditionStatus::Unknown)
    }

    /// What was ready before the tenant began to observe was looked at, too.
    fn seen_before(&self) -> (Reason, &'static str) {
        match self.before().condition(ConditionType::Ready) {
            Some(ready) if ready.reason == Reason::Observing.as_str() => (Reason::Observing, "the operator last checked the connection"),
            Some(_) | None => (Reason::Ready, "the connection had the parameters as declared"),
        }
    }

    fn differing(&self) -> Vec<&str> {
        let params = self.connections.iter().flat_map(|entry| &entry.params);
        params.filter(|param| is_to_be_written(param.state)).map(|param| param.name.as_str()).collect()
    }

    /// `Reconciling` or `Stalled`, or neither.
    fn progress(&self, ready: &Finding) -> Option<(ConditionType, Finding)> {
        if ready.is_true() {
            return None;
        }
        if [Reason::InvalidSpec, Reason::UnsupportedStrategy, Reason::Rejected].contains(&ready.reason) {
            return Some((ConditionType::Stalled, Finding::holds(ready.reason, &ready.message)));
        }
        if self.context.unready_for >= PROGRESS_DEADLINE && !self.was_in_sync() {
            let message = format!("no progress for ten minutes; the operator still tries: {}", ready.message);
            return Some((ConditionType::Stalled, Finding::holds(Reason::ProgressDeadlineExceeded, message)));
        }
        let at_work = self.row.next == Progress::GoesOn && ready.reason == Reason::Pending;
        let reason = if at_work { Reason::Progressing } else { Reason::ProgressingWithRetry };
        Some((ConditionType::Reconciling, Finding::holds(reason, &ready.message)))
    }
}

fn is_to_be_written(state: ParamState) -> bool {
    match state {
        ParamState::Pending | ParamState::Removing => true,
        ParamState::InSync
        | ParamState::Applied
        | ParamState::ExistingValue
        | ParamState::Conflicted
        | ParamState::Contended
        | ParamState::WouldAdd
        | ParamState::WouldChange
        | ParamState::WouldRemove => false,
    }
}

fn accepted_with(warnings: &[String]) -> Finding {
    if warnings.is_empty() {
        Finding::holds(Reason::Accepted, "the operator can manage these parameters on this connection")
    } else {
        Finding::holds(Reason::AcceptedWithWarnings, warnings.join("; "))
    }
}

/// Who has a name is told within a namespace only: the existence of other teams' objects is not everybody's business.
fn conflict(namespace: &str, name: &str, param: &ParamPlan) -> Option<String> {
    match &param.verdict {
        Verdict::Conflicted(by) if by.namespace == namespace => Some(format!("UpstreamParams {} owns {name}", by.name)),
        Verdict::Conflicted(_) => Some(format!("an object in another namespace owns {name}")),
        Verdict::InSync
        | Verdict::Write { .. }
        | Verdict::Remove
        | Verdict::Gone
        | Verdict::Handed
        | Verdict::Left
        | Verdict::ExistingValue
        | Verdict::Contended
        | Verdict::Paced { .. } => None,
    }
}
