//! What is said of an object after a pass: the one table from (ending, old status, now) to status, events and finalizer.
//!
//! Guarantees: the four conditions `Accepted`, `ResolvedRefs`, `Synced` and `Ready` are always present, each with
//! `observedGeneration`; `Reconciling` and `Stalled` are there only while true, never both; `lastTransitionTime` moves
//! only with a condition's status; the same ending twice yields the same status; no value of any parameter appears; what
//! a look showed is said as of that look when the latest pass had none.
//!
//! Assumes: the caller writes the status only when it differs, with the version the plan was made from.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::api::reason::{ConditionType, EventReason, Reason};
use crate::api::upstream_params::{ConnectionStatus, ParamState, ParamStatus, UpstreamParamsStatus};
use crate::core::pass::claims;
use crate::core::pass::plan::{Dispute, ParamPlan, Plan, Verdict};
use crate::core::spec::{Refusal, Target};
use crate::core::world::Declared;
use crate::model::identity::{ConnectionId, Fingerprint, TenantIdentity, Uid};

/// How long a generation that was never in sync may go without progress before it counts as stalled.
pub const PROGRESS_DEADLINE: Duration = Duration::from_mins(10);

/// After so many corrections within an hour it is said that another tool keeps changing a parameter.
const DISPUTED: usize = 3;

/// An event's note is cut here: the API server refuses notes over 1 kB.
const MAX_NOTE: usize = 900;

/// Something that kept a pass from its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The reason of `Synced`.
    pub reason: Reason,
    /// What happened and what to do. Safe to show.
    pub message: String,
    /// Whether it is about the tenant as a whole (credentials, scopes, limits, network) and not about this object.
    pub tenant: bool,
}

/// How a pass ended for one object.
#[allow(clippy::large_enum_variant, reason = "there is one at a time, and it is used up at once")]
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The spec can't be carried out.
    Invalid(Refusal),
    /// The tenant object does not exist.
    TenantNotFound,
    /// The tenant can't be used at present; the text says why.
    TenantNotReady(String),
    /// The tenant does not admit this namespace, or this connection for it.
    NotPermitted(String),
    /// The named connection does not exist. The record of that id, if there is one, has lost its object.
    ConnectionNotFound {
        /// The id that was looked for, when it was by id.
        id: Option<ConnectionId>,
    },
    /// The connection could not be read or understood.
    Unread(Trouble),
    /// The connection or one of the parameters is not one to be managed.
    Refused {
        /// `UnsupportedStrategy`, `ReservedParam` or `InvalidSpec`.
        reason: Reason,
        /// What is wrong and what to do.
        message: String,
    },
    /// Planned, and perhaps written.
    Planned(Planned),
    /// The API refused this object's changes before, and nothing has changed since.
    StillRejected {
        /// What it said then. Safe to show.
        message: String,
        /// What is unusual.
        warnings: Vec<String>,
    },
    /// The object, which is being deleted, lets go of everything; the text says why nothing was removed.
    Released(String),
    /// Another object took over what this one has a record of and no say about. Nothing else is said of it here.
    Displaced,
}

/// A pass that came as far as a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// The connection: id, name, strategy.
    pub connection: ConnectionStatus,
    /// The object's part of the plan.
    pub params: BTreeMap<String, ParamPlan>,
    /// The names whose change is made in this pass.
    pub touched: BTreeSet<String>,
    /// The names whose change is left to a later pass.
    pub deferred: BTreeSet<String>,
    /// Of those whose change is made, the ones that had a value which nothing proves to be ours.
    pub overwritten: BTreeSet<String>,
    /// What is unusual.
    pub warnings: Vec<String>,
    /// What became of the changes.
    pub ending: Ending,
}

impl Planned {
    /// An object that left this connection and is not admitted to it any more: its record goes, the parameters stay.
    pub fn left(object: &Declared, id: &ConnectionId, connection: ConnectionStatus) -> Self {
        let left = |claim: claims::Claim| ParamPlan {
            verdict: Verdict::Left,
            claim: Vec::new(),
            after: Vec::new(),
            before: claim.owned,
            applied: false,
            dispute: None,
        };
        Self {
            params: claims::on(&object.status, id).into_iter().map(|(name, claim)| (name, left(claim))).collect(),
            connection,
            touched: BTreeSet::new(),
            deferred: BTreeSet::new(),
            overwritten: BTreeSet::new(),
            warnings: Vec::new(),
            ending: Ending::Nothing,
        }
    }

    /// One object's part of a plan.
    pub fn part(plan: &Plan, object: &Declared, connection: ConnectionStatus, warnings: Vec<String>, ending: Ending) -> Self {
        let params = plan.part(&object.uid);
        let names = |test: fn(&Plan, &str, &Uid) -> bool| {
            plan.changes.keys().chain(plan.deferred.keys()).filter(|name| test(plan, name, &object.uid)).cloned().collect()
        };
        let (touched, deferred) = (names(Plan::touches), names(Plan::defers));
        let overwritten = plan.overwritten.intersection(&touched).cloned().collect();
        Self { connection, params, touched, deferred, overwritten, warnings, ending }
    }
}

/// What became of the changes of a plan, for one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// There was nothing to write for it.
    Nothing,
    /// Written, and the answer shows it.
    Written,
    /// The claim is stored, and the write failed or its answer was lost.
    Failed(Trouble),
    /// Nothing was claimed or written: there was no permit, or it is another object's turn.
    Postponed(Trouble),
    /// The API refused the parameters: a 400 that names them.
    Rejected(String),
}

/// Everything else that the table depends on.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// The time now, in whole seconds.
    pub now: jiff::Timestamp,
    /// Whether the object or its tenant only observes.
    pub observing: bool,
    /// Whether the connection of this pass is the one that the spec names.
    pub placed: bool,
    /// How long ago the connection was last seen, in this process.
    pub since_good_look: Duration,
    /// How long a look stays good.
    pub stale_after: Duration,
    /// How long this generation has not been ready, in this process.
    pub unready_for: Duration,
}

/// What to do with the finalizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finalizer {
    /// Leave it, there or not.
    Keep,
    /// Set it before the status is written.
    Add,
    /// Remove it after the status is written.
    Remove,
}

/// An event to emit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whether somebody should look.
    pub warning: bool,
    /// The reason.
    pub reason: &'static str,
    /// What happened, at most 900 bytes.
    pub note: String,
}

impl Notice {
    /// A notice, cut to what an event may hold.
    pub fn new(warning: bool, reason: &'static str, mut note: String) -> Self {
        let end = (0..=MAX_NOTE.min(note.len())).rev().find(|end| note.is_char_boundary(*end)).unwrap_or(0);
        note.truncate(end);
        Self { warning, reason, note }
    }
}

/// What to write and say.
#[derive(Clone, Debug, PartialEq)]
pub struct Conclusion {
    /// The new status, whole.
    pub status: UpstreamParamsStatus,
    /// The events.
    pub notices: Vec<Notice>,
    /// The finalizer.
    pub finalizer: Finalizer,
}

/// A condition before it knows its times.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    status: &'static str,
    reason: Reason,
    message: String,
}

const TRUE: &str = "True";
const FALSE: &str = "False";
const UNKNOWN: &str = "Unknown";

/// What is said of a condition that only a look at the connection can tell.
const UNSEEN: &str = "the connection has not been looked at yet";

/// Before what an earlier look showed and this pass could not see again.
const AS_SEEN: &str = "when last seen: ";

impl Finding {
    fn new(status: &'static str, reason: Reason, message: impl Into<String>) -> Self {
        Self { status, reason, message: message.into() }
    }

    fn pending(message: impl Into<String>) -> Self {
        Self::new(UNKNOWN, Reason::Pending, message)
    }

    fn is_true(&self) -> bool {
        self.status == TRUE
    }
}

/// The condition of this type in a status.
pub fn condition(status: &UpstreamParamsStatus, kind: ConditionType) -> Option<&Condition> {
    status.conditions.iter().find(|condition| condition.type_ == kind.as_str())
}

/// Whether this generation was in sync (or observed, for one that observes) when its status was last written.
pub fn was_in_sync(object: &Declared, observing: bool) -> bool {
    condition(&object.status, ConditionType::Ready).is_some_and(|ready| {
        // What was in sync was looked at as well, and a tenant may begin to observe without a new generation.
        let good = ready.reason == Reason::Ready.as_str() || (observing && ready.reason == Reason::Observing.as_str());
        ready.observed_generation == Some(object.generation)
            && ((ready.status == TRUE && good) || ready.reason == Reason::StaleObservation.as_str())
    })
}

/// Whether the object was accepted on this connection, for this generation, and has all that it declares there: then it may
/// leave another.
pub fn is_accepted_on(object: &Declared, connection: &ConnectionId) -> bool {
    let accepted = condition(&object.status, ConditionType::Accepted)
        .is_some_and(|accepted| accepted.observed_generation == Some(object.generation) && accepted.status == TRUE);
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

/// The status to store before a write: the old one with the records of this connection, what is about to be `removed`
/// called so, and nothing else changed. An object that has no conditions yet gets them, all unknown.
pub fn claimed(
    object: &Declared,
    connection: &ConnectionStatus,
    records: &BTreeMap<String, Vec<Fingerprint>>,
    removed: &BTreeSet<String>,
    now: jiff::Timestamp,
) -> UpstreamParamsStatus {
    let mut status = claims::claimed(&object.status, connection, records, removed);
    if status.conditions.is_empty() {
        let kinds = [ConditionType::Ready, ConditionType::Accepted, ConditionType::ResolvedRefs, ConditionType::Synced];
        let pending = |kind: ConditionType| Condition {
            type_: kind.as_str().to_owned(),
            status: UNKNOWN.to_owned(),
            reason: Reason::Pending.as_str().to_owned(),
            message: "the parameters are being written".to_owned(),
            observed_generation: Some(object.generation),
            last_transition_time: Time(now),
        };
        status.conditions = kinds.map(pending).to_vec();
    }
    status
}

/// What becomes of an object that has a record at another tenant than the one of this identity: its tenant object was made anew
/// for another domain. Nothing can be removed there any more, and nothing here is proved by that record.
pub fn left_elsewhere(object: &Declared, tenant: &TenantIdentity) -> Option<Conclusion> {
    let (kept, left): (Vec<_>, Vec<_>) = object.status.connections.iter().cloned().partition(|entry| claims::is_of(entry, tenant));
    if left.is_empty() {
        return None;
    }
    let status = UpstreamParamsStatus { connections: kept, ..object.status.clone() };
    let recorded = |entry: &ConnectionStatus| {
        let owned: Vec<&str> = entry.params.iter().filter(|param| !param.owned.is_empty()).map(|param| param.name.as_str()).collect();
        let place = entry.name.as_deref().unwrap_or(&entry.id);
        let elsewhere = entry.tenant.as_deref().unwrap_or_default();
        let what = format!("left {} on the connection {place} of {elsewhere}", owned.join(", "));
        let note = format!("{what}, which its ClusterAuth0Tenant does not stand for any more; remove them there if they are not wanted");
        (!owned.is_empty()).then(|| Notice::new(true, EventReason::ParametersLeft.as_str(), note))
    };
    let finalizer = if object.finalizer && !claims::any(&status) { Finalizer::Remove } else { Finalizer::Keep };
    Some(Conclusion { notices: left.iter().filter_map(recorded).collect(), finalizer, status })
}

/// Concludes a pass for one object.
pub fn conclude(object: &Declared, outcome: &Outcome, context: &Context) -> Conclusion {
    let mut status = UpstreamParamsStatus {
        observed_generation: object.status.observed_generation,
        target: object.status.target.clone(),
        conditions: object.status.conditions.clone(),
        connections: connections(object, outcome, context),
        last_synced_time: object.status.last_synced_time.clone(),
    };
    if object.deleting {
        status.observed_generation = Some(object.generation);
        status.conditions = deleting(object, outcome, context);
    } else if context.placed {
        status.observed_generation = Some(object.generation);
        status.target = target(object);
        status.conditions = conditions(object, outcome, context, &status.connections);
        let synced = |status: &UpstreamParamsStatus| condition(status, ConditionType::Synced).is_some_and(|synced| synced.status == TRUE);
        if wrote(outcome) || (synced(&status) && !synced(&object.status)) {
            status.last_synced_time = Some(Time(context.now));
        }
    }
    let notices = notices(object, outcome, context, &status);
    Conclusion { finalizer: finalizer(object, outcome, &status), status, notices }
}

fn wrote(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Planned(planned) if planned.ending == Ending::Written && !planned.touched.is_empty())
}

fn target(object: &Declared) -> Option<String> {
    match &object.spec {
        Ok(spec) => Some(spec.target.to_string()),
        Err(_) => object.status.target.clone(),
    }
}

fn finalizer(object: &Declared, outcome: &Outcome, status: &UpstreamParamsStatus) -> Finalizer {
    let needed = if matches!(outcome, Outcome::Released(_)) {
        false
    } else if object.deleting {
        claims::any(status) || waits_for_the_tenant(outcome)
    } else {
        object.cleans_up() && claims::any(status)
    };
    match (needed, object.finalizer) {
        (true, false) if !object.deleting => Finalizer::Add,
        (false, true) => Finalizer::Remove,
        _ => Finalizer::Keep,
    }
}

/// Whether a deletion can't be decided yet, whatever the record says: it may have been lost.
fn waits_for_the_tenant(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::TenantNotReady(_) | Outcome::Unread(_) | Outcome::StillRejected { .. } => true,
        Outcome::Planned(planned) => !matches!(planned.ending, Ending::Nothing | Ending::Written),
        Outcome::Invalid(_)
        | Outcome::TenantNotFound
        | Outcome::NotPermitted(_)
        | Outcome::ConnectionNotFound { .. }
        | Outcome::Refused { .. }
        | Outcome::Released(_)
        | Outcome::Displaced => false,
    }
}

// ---- the record ----

fn connections(object: &Declared, outcome: &Outcome, context: &Context) -> Vec<ConnectionStatus> {
    let old = object.status.connections.clone();
    match outcome {
        Outcome::Planned(planned) => {
            let mut new: Vec<ConnectionStatus> = old.into_iter().filter(|entry| entry.id != planned.connection.id).collect();
            let params: Vec<ParamStatus> =
                planned.params.iter().filter_map(|(name, param)| param_status(name, param, planned, context.observing)).collect();
            if context.placed || !params.is_empty() {
                let place = new.partition_point(|entry| entry.id < planned.connection.id);
                new.insert(place, ConnectionStatus { params, ..planned.connection.clone() });
            }
            if context.placed {
                // An entry without a record on a connection that is no longer named says nothing. One on the connection
                // that is named says that the object was accepted there, and stays while it leaves another.
                new.retain(|entry| entry.id == planned.connection.id || entry.params.iter().any(|param| !param.owned.is_empty()));
                for param in new.iter_mut().filter(|entry| entry.id != planned.connection.id).flat_map(|entry| &mut entry.params) {
                    leaving(param, context.observing);
                }
            }
            new
        }
        Outcome::ConnectionNotFound { id: Some(id) } => old.into_iter().filter(|entry| *id != *entry.id).collect(),
        Outcome::Released(_) => Vec::new(),
        // Of an object that takes no part only its record is left to say: a line without one would be about a value that
        // nobody looks at for it any more.
        Outcome::Invalid(_) | Outcome::NotPermitted(_) | Outcome::Refused { .. } => {
            let mut recorded = old;
            for entry in &mut recorded {
                entry.params.retain(|param| !param.owned.is_empty());
            }
            recorded.retain(|entry| !entry.params.is_empty());
            recorded
        }
        Outcome::TenantNotFound
        | Outcome::TenantNotReady(_)
        | Outcome::ConnectionNotFound { id: None }
        | Outcome::Unread(_)
        | Outcome::StillRejected { .. }
        | Outcome::Displaced => old,
    }
}

/// What is recorded where the object was: it goes, or would go if anything were written.
fn leaving(param: &mut ParamStatus, observing: bool) {
    if observing {
        param.applied = (param.applied == Some(true) || claims::says_applied(param.state)).then_some(true);
        param.state = ParamState::WouldRemove;
    } else if param.state == ParamState::WouldRemove {
        param.state = ParamState::Removing;
    }
}

/// One parameter's line; none when nothing is left to say of it.
fn param_status(name: &str, param: &ParamPlan, planned: &Planned, observing: bool) -> Option<ParamStatus> {
    let touched = planned.touched.contains(name);
    let written = touched && planned.ending == Ending::Written;
    let claimed = touched && !matches!(planned.ending, Ending::Postponed(_));
    let (state, owned) = match &param.verdict {
        Verdict::InSync => (ParamState::InSync, &param.after),
        Verdict::Write { absent: true, .. } | Verdict::Paced { absent: true } if observing => (ParamState::WouldAdd, &param.before),
        Verdict::Write { .. } | Verdict::Paced { .. } if observing => (ParamState::WouldChange, &param.before),
        Verdict::Write { .. } if written => (ParamState::Applied, &param.after),
        Verdict::Write { .. } if claimed => (ParamState::Pending, &param.claim),
        Verdict::Write { .. } | Verdict::Paced { .. } => (ParamState::Pending, &param.before),
        // Handed over only by Enforce: until then the record is what proves that it may be.
        Verdict::Remove | Verdict::Handed if observing => (ParamState::WouldRemove, &param.before),
        Verdict::Remove if written => return None,
        Verdict::Remove => (ParamState::Removing, &param.before),
        // The record goes only after the one who takes over has written.
        Verdict::Handed if (touched && !written) || planned.deferred.contains(name) => (ParamState::Removing, &param.before),
        Verdict::Gone | Verdict::Handed | Verdict::Left => return None,
        Verdict::ExistingValue => (ParamState::ExistingValue, &param.before),
        Verdict::Conflicted(_) => (ParamState::Conflicted, &param.after),
        Verdict::Contended => (ParamState::Contended, &param.before),
    };
    let applied = (param.applied && !claims::says_applied(state) && !owned.is_empty()).then_some(true);
    Some(ParamStatus { name: name.to_owned(), state, owned: claims::in_status(owned), applied })
}

// ---- the conditions ----

fn conditions(object: &Declared, outcome: &Outcome, context: &Context, connections: &[ConnectionStatus]) -> Vec<Condition> {
    let accepted = accepted(object, outcome);
    let resolved = resolved(object, outcome);
    let synced = synced(object, outcome, context, connections);
    let ready = ready(object, outcome, context, [&accepted, &resolved, &synced], connections);
    let extra = extra(object, context, &ready, outcome);
    let mut all = vec![
        (ConditionType::Ready, ready),
        (ConditionType::Accepted, accepted),
        (ConditionType::ResolvedRefs, resolved),
        (ConditionType::Synced, synced),
    ];
    all.extend(extra);
    all.into_iter().map(|(kind, verdict)| dated(object, kind, verdict, context)).collect()
}

fn dated(object: &Declared, kind: ConditionType, verdict: Finding, context: &Context) -> Condition {
    let old = condition(&object.status, kind).filter(|old| old.status == verdict.status);
    Condition {
        type_: kind.as_str().to_owned(),
        status: verdict.status.to_owned(),
        reason: verdict.reason.as_str().to_owned(),
        message: verdict.message,
        observed_generation: Some(object.generation),
        last_transition_time: old.map_or(Time(context.now), |old| old.last_transition_time.clone()),
    }
}

/// A sentence that begins with some names, with the verb that goes with their number.
fn about(names: &[&str], one: &str, many: &str) -> String {
    format!("{} {}", names.join(", "), if names.len() == 1 { one } else { many })
}

/// What this generation's status says already, as of the look that showed it; or that nothing is known yet.
fn carried(object: &Declared, kind: ConditionType, pending: &str) -> Finding {
    let old = condition(&object.status, kind).filter(|old| old.observed_generation == Some(object.generation));
    let known = old.and_then(|old| {
        let status = [TRUE, FALSE, UNKNOWN].into_iter().find(|status| *status == old.status)?;
        let reason: Reason = old.reason.parse().ok()?;
        let said_already = reason == Reason::Pending || old.message.starts_with(AS_SEEN);
        let message = if said_already { old.message.clone() } else { format!("{AS_SEEN}{}", old.message) };
        Some(Finding::new(status, reason, message))
    });
    known.unwrap_or_else(|| Finding::pending(pending))
}

fn accepted(object: &Declared, outcome: &Outcome) -> Finding {
    match outcome {
        Outcome::Invalid(refusal) => Finding::new(FALSE, Reason::InvalidSpec, refusal.to_string()),
        Outcome::Refused { reason, message } => Finding::new(FALSE, *reason, message),
        Outcome::NotPermitted(message) => Finding::new(FALSE, Reason::NotPermitted, message),
        Outcome::Planned(planned) => accepted_plan(object, planned),
        Outcome::TenantNotFound
        | Outcome::TenantNotReady(_)
        | Outcome::ConnectionNotFound { .. }
        | Outcome::Unread(_)
        | Outcome::Released(_)
        | Outcome::Displaced => carried(object, ConditionType::Accepted, UNSEEN),
        Outcome::StillRejected { warnings, .. } => accepted_with(warnings),
    }
}

fn accepted_plan(object: &Declared, planned: &Planned) -> Finding {
    let conflicts: Vec<String> = planned.params.iter().filter_map(|(name, param)| conflict(object, name, param)).collect();
    if !conflicts.is_empty() {
        return Finding::new(FALSE, Reason::Conflicted, format!("{}; name each parameter in one object only", conflicts.join(", ")));
    }
    accepted_with(&planned.warnings)
}

fn accepted_with(warnings: &[String]) -> Finding {
    if warnings.is_empty() {
        Finding::new(TRUE, Reason::Accepted, "the parameters can be managed on this connection")
    } else {
        Finding::new(TRUE, Reason::AcceptedWithWarnings, warnings.join("; "))
    }
}

/// Who has a name is told within a namespace only: the existence of other teams' objects is not everybody's business.
fn conflict(object: &Declared, name: &str, param: &ParamPlan) -> Option<String> {
    match &param.verdict {
        Verdict::Conflicted(by) if by.namespace == object.key.namespace => Some(format!("{name} belongs to UpstreamParams {}", by.name)),
        Verdict::Conflicted(_) => Some(format!("{name} belongs to an object of another namespace")),
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

fn resolved(object: &Declared, outcome: &Outcome) -> Finding {
    let tenant = &object.policies.tenant;
    match outcome {
        Outcome::TenantNotFound => Finding::new(
            FALSE,
            Reason::TenantNotFound,
            format!("there is no ClusterAuth0Tenant {tenant}; create it, or create this object anew with another spec.tenantRef"),
        ),
        Outcome::ConnectionNotFound { .. } => {
            let target = object.spec.as_ref().map(|spec| spec.target.clone());
            let message = match target {
                Ok(Target::Name(name)) => {
                    format!("the tenant {tenant} has no connection named {name}; create it, or correct spec.connection")
                }
                // Which of the two it is, is not everybody's business.
                Ok(Target::Id(id)) => format!(
                    "the tenant {tenant} has no connection with the id {id}, or does not admit the namespace {} to it; correct \
                     spec.connection, or ask the tenant's owner for an access entry that matches the namespace's labels and the connection",
                    object.key.namespace
                ),
                Err(_) => format!("the tenant {tenant} has no such connection; create it, or correct spec.connection"),
            };
            Finding::new(FALSE, Reason::ConnectionNotFound, message)
        }
        Outcome::Planned(_) | Outcome::Refused { .. } | Outcome::StillRejected { .. } => {
            Finding::new(TRUE, Reason::ResolvedRefs, "the tenant and the connection exist")
        }
        Outcome::TenantNotReady(_) | Outcome::NotPermitted(_) | Outcome::Unread(_) => {
            let known = carried(object, ConditionType::ResolvedRefs, UNSEEN);
            // There is a tenant now, or none of these could have been the ending.
            if known.reason == Reason::TenantNotFound { Finding::pending(UNSEEN) } else { known }
        }
        Outcome::Invalid(_) | Outcome::Released(_) | Outcome::Displaced => carried(object, ConditionType::ResolvedRefs, UNSEEN),
    }
}

fn synced(object: &Declared, outcome: &Outcome, context: &Context, connections: &[ConnectionStatus]) -> Finding {
    match outcome {
        Outcome::Planned(planned) => synced_plan(object, planned, context, connections),
        Outcome::Unread(trouble) => troubled(object, trouble, context),
        Outcome::TenantNotReady(message) => Finding::new(UNKNOWN, Reason::TenantNotReady, message),
        Outcome::StillRejected { message, .. } => Finding::new(FALSE, Reason::Rejected, message),
        Outcome::Invalid(_)
        | Outcome::TenantNotFound
        | Outcome::NotPermitted(_)
        | Outcome::ConnectionNotFound { .. }
        | Outcome::Refused { .. }
        | Outcome::Released(_)
        | Outcome::Displaced => Finding::pending("nothing is written while the object is not accepted or its references are missing"),
    }
}

/// Trouble with the tenant says nothing against an object that was in sync: one rotated credential must not turn
/// hundreds of applications red.
fn troubled(object: &Declared, trouble: &Trouble, context: &Context) -> Finding {
    let unknown = [Reason::RateLimited, Reason::RemoteUnavailable, Reason::TenantNotReady, Reason::Pending];
    if unknown.contains(&trouble.reason) {
        return Finding::new(UNKNOWN, trouble.reason, &trouble.message);
    }
    if trouble.tenant && was_in_sync(object, context.observing) {
        return Finding::new(UNKNOWN, Reason::TenantNotReady, &trouble.message);
    }
    Finding::new(FALSE, trouble.reason, &trouble.message)
}

/// What came of a plan, and after the third correction of a parameter that another tool keeps changing it.
fn synced_plan(object: &Declared, planned: &Planned, context: &Context, connections: &[ConnectionStatus]) -> Finding {
    let finding = synced_params(object, planned, context, connections);
    let disputed: Vec<String> = disputes(planned).filter(|(_, dispute)| dispute.times >= DISPUTED).map(set_back).collect();
    if !finding.is_true() || disputed.is_empty() {
        return finding;
    }
    let message = format!("{}; but another tool keeps changing it: {}", finding.message, disputed.join(", "));
    Finding { message, ..finding }
}

fn disputes(planned: &Planned) -> impl Iterator<Item = (&str, &Dispute)> {
    planned.params.iter().filter_map(|(name, param)| Some((name.as_str(), param.dispute.as_ref()?)))
}

fn set_back((name, dispute): (&str, &Dispute)) -> String {
    let since = dispute.since.map(|since| format!(" since {since}")).unwrap_or_default();
    format!("{name} was set back {} times{since}", dispute.times)
}

/// What is said of parameters that wait because somebody sets another value again and again.
fn contended(planned: &Planned) -> Option<Finding> {
    let waits = planned.params.iter().filter(|(_, param)| param.verdict == Verdict::Contended);
    let said: Vec<String> = waits
        .map(|(name, param)| {
            let dispute = param.dispute.as_ref();
            let times = dispute.map_or(0, |dispute| dispute.times) + 1;
            let since = dispute.and_then(|dispute| dispute.since).map(|since| format!(" since {since}")).unwrap_or_default();
            let until = dispute.and_then(|dispute| dispute.until).map_or_else(|| "later".to_owned(), |until| format!("at {until}"));
            format!("{name} was changed by somebody else {times} times{since}; it is set back {until}, or when this object is edited")
        })
        .collect();
    let remedy = "find the other tool in the tenant's log, and take the parameter out of it or out of this object";
    (!said.is_empty()).then(|| Finding::new(FALSE, Reason::Contended, format!("{}; {remedy}", said.join(", "))))
}

fn synced_params(object: &Declared, planned: &Planned, context: &Context, connections: &[ConnectionStatus]) -> Finding {
    match &planned.ending {
        Ending::Rejected(message) => return Finding::new(FALSE, Reason::Rejected, message),
        Ending::Failed(trouble) | Ending::Postponed(trouble) => return troubled(object, trouble, context),
        Ending::Nothing | Ending::Written => {}
    }
    let here: Vec<&ParamStatus> =
        connections.iter().filter(|entry| entry.id == planned.connection.id).flat_map(|entry| &entry.params).collect();
    let in_states = |states: &[ParamState]| {
        here.iter().filter(|param| states.contains(&param.state)).map(|param| param.name.as_str()).collect::<Vec<_>>()
    };
    let named = |states: &[ParamState]| in_states(states).join(", ");
    let would = [ParamState::WouldAdd, ParamState::WouldChange, ParamState::WouldRemove];
    for (states, reason, verbs, rest) in [
        (&would[..], Reason::DriftDetected, ["differs", "differ"], "from what is declared; Enforce would change that"),
        (
            &[ParamState::ExistingValue],
            Reason::ExistingValue,
            ["has", "have"],
            "another value at Auth0 that this object does not own; declare that value, remove it at Auth0, or set adoptionPolicy: Overwrite",
        ),
    ] {
        let some = in_states(states);
        if !some.is_empty() {
            return Finding::new(FALSE, reason, format!("{} {rest}", about(&some, verbs[0], verbs[1])));
        }
    }
    if let Some(contended) = contended(planned) {
        return contended;
    }
    let paced = planned.params.iter().filter(|(_, param)| matches!(param.verdict, Verdict::Paced { .. })).map(|(name, _)| name.as_str());
    let paced: Vec<&str> = paced.collect();
    if !paced.is_empty() {
        let said = about(&paced, "was", "were");
        return Finding::pending(format!("{said} changed by somebody else again; corrections are made at most once a minute"));
    }
    let waiting = [(ParamState::Pending, "written"), (ParamState::Removing, "removed")].map(|(state, how)| (named(&[state]), how));
    let waiting: Vec<String> =
        waiting.into_iter().filter(|(names, _)| !names.is_empty()).map(|(names, how)| format!("{names}: to be {how}")).collect();
    if !waiting.is_empty() {
        return Finding::pending(waiting.join("; "));
    }
    if let Some(old) = connections.iter().find(|entry| entry.id != planned.connection.id) {
        let old = old.name.as_deref().unwrap_or(&old.id);
        return if context.observing {
            Finding::new(FALSE, Reason::DriftDetected, format!("Enforce would remove parameters from the connection {old}"))
        } else {
            Finding::pending(format!("parameters remain to be removed from the connection {old}"))
        };
    }
    if here.iter().any(|param| param.state == ParamState::Applied) {
        return Finding::new(
            TRUE,
            Reason::Applied,
            format!("wrote {} to the connection {}", named(&[ParamState::Applied]), label(planned)),
        );
    }
    if wrote(&Outcome::Planned(planned.clone())) {
        return Finding::new(TRUE, Reason::Applied, format!("removed what is no longer declared from the connection {}", label(planned)));
    }
    match named(&[ParamState::InSync]) {
        none if none.is_empty() => Finding::pending("every parameter belongs to another object"),
        all => Finding::new(TRUE, Reason::InSync, format!("the connection {} has {all} as declared", label(planned))),
    }
}

fn label(planned: &Planned) -> &str {
    planned.connection.name.as_deref().unwrap_or(&planned.connection.id)
}

fn ready(object: &Declared, outcome: &Outcome, context: &Context, parts: [&Finding; 3], connections: &[ConnectionStatus]) -> Finding {
    let trouble = match outcome {
        Outcome::TenantNotReady(_) => true,
        Outcome::Unread(trouble) => trouble.tenant,
        Outcome::Planned(planned) => matches!(&planned.ending, Ending::Failed(trouble) | Ending::Postponed(trouble) if trouble.tenant),
        Outcome::Invalid(_)
        | Outcome::TenantNotFound
        | Outcome::NotPermitted(_)
        | Outcome::ConnectionNotFound { .. }
        | Outcome::Refused { .. }
        | Outcome::Released(_)
        | Outcome::StillRejected { .. }
        | Outcome::Displaced => false,
    };
    let [accepted, resolved, synced] = parts;
    if trouble && was_in_sync(object, context.observing) && accepted.is_true() && resolved.is_true() {
        return ready_in_trouble(object, context, synced, connections);
    }
    // What only observes is not at fault for what Enforce would do or be kept from: a deliberate rest must not be red.
    let shown =
        |part: &&Finding| context.observing && matches!(part.reason, Reason::DriftDetected | Reason::ExistingValue | Reason::Contended);
    let lacking = || parts.into_iter().filter(|part| !part.is_true() && !shown(part));
    // What is only not known yet must not hide what is known to be missing.
    match lacking().find(|part| part.reason != Reason::Pending).or_else(|| lacking().next()) {
        Some(part) if part.reason == Reason::Pending => part.clone(),
        Some(part) => Finding::new(FALSE, part.reason, &part.message),
        None if context.observing => Finding::new(TRUE, Reason::Observing, "the connection was looked at; nothing is written"),
        None => Finding::new(TRUE, Reason::Ready, "the connection has the parameters as declared"),
    }
}

/// Trouble with the tenant turns nobody red who was in sync; but what was so is said as of when it was seen. The time is
/// that at which `Synced` became Unknown, so it does not move while the trouble lasts.
fn ready_in_trouble(object: &Declared, context: &Context, synced: &Finding, connections: &[ConnectionStatus]) -> Finding {
    let since = condition(&object.status, ConditionType::Synced).filter(|old| old.status == synced.status);
    let since = since.map_or(context.now, |old| old.last_transition_time.0);
    let now = &synced.message;
    let ready = condition(&object.status, ConditionType::Ready);
    if context.since_good_look >= context.stale_after || ready.is_some_and(|ready| ready.status == UNKNOWN) {
        let message = format!("the connection was last seen before {since}, too long ago to say how it is; now: {now}");
        return Finding::new(UNKNOWN, Reason::StaleObservation, message);
    }
    let differing = || connections.iter().flat_map(|entry| &entry.params).filter(|param| is_to_be_written(param.state));
    let differing: Vec<&str> = differing().map(|param| param.name.as_str()).collect();
    if !context.observing && !differing.is_empty() {
        let seen = about(&differing, "was", "were");
        return Finding::new(TRUE, Reason::Ready, format!("{seen} not as declared when last seen, and can't be written; now: {now}"));
    }
    // What was ready before the tenant began to observe was looked at, too.
    let (reason, seen) = match ready {
        Some(ready) if ready.reason == Reason::Observing.as_str() => (Reason::Observing, "the connection was last looked at"),
        Some(_) | None => (Reason::Ready, "the connection had the parameters as declared when last seen,"),
    };
    Finding::new(TRUE, reason, format!("{seen} before {since}; now: {now}"))
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

/// `Reconciling` or `Stalled`, or neither.
fn extra(object: &Declared, context: &Context, ready: &Finding, outcome: &Outcome) -> Option<(ConditionType, Finding)> {
    if ready.is_true() {
        return None;
    }
    if matches!(ready.reason, Reason::InvalidSpec | Reason::UnsupportedStrategy | Reason::Rejected) {
        return Some((ConditionType::Stalled, Finding::new(TRUE, ready.reason, &ready.message)));
    }
    if context.unready_for >= PROGRESS_DEADLINE && !was_in_sync(object, context.observing) {
        let message = format!("no progress for ten minutes, and still trying: {}", ready.message);
        return Some((ConditionType::Stalled, Finding::new(TRUE, Reason::ProgressDeadlineExceeded, message)));
    }
    let moving = matches!(outcome, Outcome::Planned(_)) && ready.reason == Reason::Pending;
    let reason = if moving { Reason::Progressing } else { Reason::ProgressingWithRetry };
    Some((ConditionType::Reconciling, Finding::new(TRUE, reason, &ready.message)))
}

/// The conditions of an object that is being deleted: what was known, and what it waits for.
fn deleting(object: &Declared, outcome: &Outcome, context: &Context) -> Vec<Condition> {
    let waits_for = match outcome {
        Outcome::TenantNotReady(message) | Outcome::StillRejected { message, .. } => message.as_str(),
        Outcome::Unread(trouble) => trouble.message.as_str(),
        Outcome::Planned(planned) => match &planned.ending {
            Ending::Failed(trouble) | Ending::Postponed(trouble) => trouble.message.as_str(),
            Ending::Rejected(message) => message.as_str(),
            Ending::Nothing | Ending::Written => "",
        },
        Outcome::Invalid(_)
        | Outcome::TenantNotFound
        | Outcome::NotPermitted(_)
        | Outcome::ConnectionNotFound { .. }
        | Outcome::Refused { .. }
        | Outcome::Released(_)
        | Outcome::Displaced => "",
    };
    let message = if waits_for.is_empty() {
        "the parameters it owns are being removed".to_owned()
    } else {
        format!("the parameters it owns can't be removed yet: {waits_for}; to leave them and let the object go, set deletionPolicy: Retain")
    };
    let unknown = "the object is being deleted";
    let parts = [ConditionType::Accepted, ConditionType::ResolvedRefs, ConditionType::Synced];
    let mut all = vec![(ConditionType::Ready, Finding::new(FALSE, Reason::Deleting, &message))];
    all.extend(parts.map(|kind| (kind, carried(object, kind, unknown))));
    all.push((ConditionType::Reconciling, Finding::new(TRUE, Reason::Progressing, &message)));
    all.into_iter().map(|(kind, verdict)| dated(object, kind, verdict, context)).collect()
}

// ---- the events ----

fn notices(object: &Declared, outcome: &Outcome, context: &Context, status: &UpstreamParamsStatus) -> Vec<Notice> {
    let mut notices = Vec::new();
    if let Outcome::Released(why) = outcome
        && claims::any(&object.status)
    {
        notices.push(left_behind(object, why));
    }
    if let Outcome::Planned(planned) = outcome {
        let left = |notice: &Notice| notice.reason == EventReason::ParametersLeft.as_str();
        // Observing does nothing that could be told, but it may find that there is nothing left to own.
        notices.extend(plan_notices(planned).into_iter().filter(|notice| !context.observing || left(notice)));
    }
    if !object.deleting {
        notices.extend(transitions(&object.status.conditions, &status.conditions));
    }
    notices
}

/// What an object that goes leaves at Auth0, by name.
pub fn left_behind(object: &Declared, why: &str) -> Notice {
    let on = |entry: &ConnectionStatus| {
        let names: Vec<&str> = entry.params.iter().filter(|param| !param.owned.is_empty()).map(|param| param.name.as_str()).collect();
        (!names.is_empty()).then(|| format!("{} on the connection {}", names.join(", "), entry.name.as_deref().unwrap_or(&entry.id)))
    };
    let places: Vec<String> = object.status.connections.iter().filter_map(on).collect();
    Notice::new(true, EventReason::ParametersLeft.as_str(), format!("left at Auth0: {}; {why}", places.join(", ")))
}

fn plan_notices(planned: &Planned) -> Vec<Notice> {
    let written = planned.ending == Ending::Written;
    let names = |test: &dyn Fn(&str, &ParamPlan) -> bool| {
        planned.params.iter().filter(|(name, param)| test(name, param)).map(|(name, _)| name.as_str()).collect::<Vec<_>>()
    };
    let done = |name: &str| written && planned.touched.contains(name);
    let replaced = |name: &str| done(name) && planned.overwritten.contains(name);
    let connection = label(planned);
    [
        (
            false,
            Reason::Applied.as_str(),
            "wrote",
            ["", ""],
            names(&|name, param| done(name) && !replaced(name) && matches!(param.verdict, Verdict::Write { drift: false, .. })),
        ),
        (
            true,
            EventReason::Overwritten.as_str(),
            "replaced somebody else's value of",
            [", as adoptionPolicy is Overwrite"; 2],
            names(&|name, param| replaced(name) && matches!(param.verdict, Verdict::Write { .. })),
        ),
        (
            true,
            EventReason::DriftCorrected.as_str(),
            "set back",
            ["", ""],
            names(&|name, param| done(name) && matches!(param.verdict, Verdict::Write { drift: true, .. })),
        ),
        (
            false,
            EventReason::ParametersRemoved.as_str(),
            "removed",
            ["", ""],
            names(&|name, param| done(name) && param.verdict == Verdict::Remove),
        ),
        (
            false,
            EventReason::Adopted.as_str(),
            "took over",
            [", as it was equal already", ", as they were equal already"],
            names(&|_, param| param.verdict == Verdict::InSync && param.before.is_empty()),
        ),
        (
            true,
            EventReason::ParametersLeft.as_str(),
            "left",
            [": it holds another value, or may not be managed any more", ": they hold another value, or may not be managed any more"],
            names(&|_, param| param.verdict == Verdict::Left),
        ),
    ]
    .into_iter()
    .filter(|(_, _, _, _, names)| !names.is_empty())
    .map(|(warning, reason, verb, [one, many], names)| {
        let why = if names.len() == 1 { one } else { many };
        Notice::new(warning, reason, format!("{verb} {} on the connection {connection}{why}", names.join(", ")))
    })
    .collect()
}

/// One event for each condition, of an object or a tenant, that came to another result, unless it only waits or only
/// repeats another condition.
pub fn transitions(old: &[Condition], new: &[Condition]) -> Vec<Notice> {
    let changed = new.iter().filter_map(|now| {
        let kind: ConditionType = now.type_.parse().ok()?;
        let same = old.iter().any(|was| (&was.type_, &was.status, &was.reason) == (&now.type_, &now.status, &now.reason));
        (!same && is_news(kind, now)).then_some((rank(kind), now))
    });
    let mut changed: Vec<(u8, &Condition)> = changed.collect();
    changed.sort_by_key(|(rank, _)| *rank);
    let notice = |now: &Condition| {
        let reason: Reason = now.reason.parse().ok()?;
        let warning = now.status != TRUE || reason == Reason::AcceptedWithWarnings;
        Some(Notice::new(warning, reason.as_str(), now.message.clone()))
    };
    changed.into_iter().filter_map(|(_, now)| notice(now)).collect()
}

/// The cause before the summary.
fn rank(kind: ConditionType) -> u8 {
    match kind {
        ConditionType::Accepted => 0,
        ConditionType::ResolvedRefs => 1,
        ConditionType::Synced | ConditionType::Authenticated => 2,
        ConditionType::Ready => 3,
        ConditionType::Reconciling | ConditionType::Stalled => 4,
    }
}

fn is_news(kind: ConditionType, now: &Condition) -> bool {
    if now.reason == Reason::Pending.as_str() {
        return false;
    }
    match kind {
        ConditionType::Ready => now.status == TRUE || now.reason == Reason::StaleObservation.as_str(),
        ConditionType::Accepted => now.status != TRUE || now.reason == Reason::AcceptedWithWarnings.as_str(),
        ConditionType::ResolvedRefs | ConditionType::Synced | ConditionType::Authenticated => now.status != TRUE,
        ConditionType::Reconciling | ConditionType::Stalled => false,
    }
}

#[cfg(test)]
mod tests;
