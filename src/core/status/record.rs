//! What the status says of connections and parameters: before a write, after a pass, and of an Auth0 tenant that was left.
//!
//! Guarantees: the record of ownership grows only by what a plan claims, and shrinks only with what was written, found gone or
//! let go of.

use std::collections::{BTreeMap, BTreeSet};

use super::events::Notice;
use super::outcome::{Planned, RecordChange, WriteOutcome};
use super::{Conclusion, Context, Finalizer, object};
use crate::api::reason::EventReason;
use crate::api::upstream_params::{ConnectionStatus, ParamState, ParamStatus, UpstreamParamsStatus};
use crate::core::pass::claims;
use crate::core::pass::plan::{ParamPlan, Verdict};
use crate::core::world::Declared;
use crate::model::document::Document;
use crate::model::identity::{Fingerprint, TenantIdentity};

/// A connection of an Auth0 tenant as a status describes it, without its parameters.
pub(crate) fn described(document: &Document, tenant: &TenantIdentity) -> ConnectionStatus {
    ConnectionStatus {
        id: document.id.to_string(),
        tenant: Some(tenant.to_string()),
        name: Some(document.name.to_string()),
        strategy: Some(document.strategy.clone()),
        params: Vec::new(),
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
        status.conditions = object::of_a_first_claim(object, now);
    }
    status
}

/// Whether an object has a record at another tenant than the one of this identity.
pub(crate) fn is_elsewhere(object: &Declared, tenant: &TenantIdentity) -> bool {
    object.status.connections.iter().any(|entry| !claims::is_of(entry, tenant))
}

/// What becomes of an object that has a record at another tenant than the one of this identity: its tenant object was made anew
/// for another domain. Nothing can be removed there any more, and nothing here is proved by that record.
pub(crate) fn left_elsewhere(object: &Declared, tenant: &TenantIdentity, now: jiff::Timestamp) -> Option<Conclusion> {
    if !is_elsewhere(object, tenant) {
        return None;
    }
    let (kept, left): (Vec<_>, Vec<_>) = object.status.connections.iter().cloned().partition(|entry| claims::is_of(entry, tenant));
    let mut status = UpstreamParamsStatus { connections: kept, ..object.status.clone() };
    if status.connections.is_empty() && !object.deleting {
        // What was said is said of the other tenant.
        status.conditions = object::of_one_unseen(object, now);
    }
    let finalizer = if object.finalizer && !claims::any(&status) { Finalizer::Remove } else { Finalizer::Keep };
    Some(Conclusion { notices: left.iter().filter_map(left_at_another_tenant).collect(), finalizer, status })
}

fn left_at_another_tenant(entry: &ConnectionStatus) -> Option<Notice> {
    let owned: Vec<&str> = entry.params.iter().filter(|param| !param.owned.is_empty()).map(|param| param.name.as_str()).collect();
    let place = entry.name.as_deref().unwrap_or(&entry.id);
    let elsewhere = entry.tenant.as_deref().unwrap_or_default();
    let what = format!("left {} on the connection {place} of {elsewhere}", owned.join(", "));
    let note = format!("{what}, which its ClusterAuth0Tenant does not stand for any more; remove them there if they are not wanted");
    (!owned.is_empty()).then(|| Notice::new(true, EventReason::ParametersLeft.as_str(), note))
}

/// What the status says of connections after a pass.
pub(super) fn connections(object: &Declared, record: &RecordChange<'_>, context: &Context) -> Vec<ConnectionStatus> {
    let old = object.status.connections.clone();
    match record {
        RecordChange::Kept => old,
        RecordChange::OwnedOnly => owned_only(old),
        RecordChange::Without(id) => old.into_iter().filter(|entry| **id != *entry.id).collect(),
        RecordChange::Emptied => Vec::new(),
        RecordChange::Planned(planned) => after_plan(old, planned, context),
    }
}

fn owned_only(mut recorded: Vec<ConnectionStatus>) -> Vec<ConnectionStatus> {
    for entry in &mut recorded {
        entry.params.retain(|param| !param.owned.is_empty());
    }
    recorded.retain(claims::is_record);
    recorded
}

fn after_plan(old: Vec<ConnectionStatus>, planned: &Planned, context: &Context) -> Vec<ConnectionStatus> {
    let here = &planned.connection.id;
    let mut new: Vec<ConnectionStatus> = old.into_iter().filter(|entry| entry.id != *here).collect();
    let params: Vec<ParamStatus> =
        planned.params.iter().filter_map(|(name, param)| param_status(name, param, planned, context.observing)).collect();
    if context.names_it || !params.is_empty() {
        let place = new.partition_point(|entry| entry.id < *here);
        new.insert(place, ConnectionStatus { params, ..planned.connection.clone() });
    }
    if context.names_it {
        // An entry without a record on a connection that is no longer named says nothing. One on the connection
        // that is named says that the object was accepted there, and stays while it leaves another.
        new.retain(|entry| entry.id == *here || claims::is_record(entry));
        for param in new.iter_mut().filter(|entry| entry.id != *here).flat_map(|entry| &mut entry.params) {
            leaving(param, context.observing);
        }
    }
    new
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
    let written = touched && planned.write == WriteOutcome::Written;
    let claimed = touched && !matches!(planned.write, WriteOutcome::Postponed(_));
    let (state, owned) = match &param.verdict {
        // Its claim is stored, and others have a record of it yet.
        Verdict::InSync if planned.deferred.contains(name) => (ParamState::Pending, &param.claim),
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
    // What a removal of our own may have taken away, or has yet to, is nobody's change.
    let is_being_removed = claimed && param.verdict == Verdict::Remove && !observing;
    let applied = (param.applied && !is_being_removed && !claims::says_applied(state) && !owned.is_empty()).then_some(true);
    Some(ParamStatus { name: name.to_owned(), state, owned: claims::in_status(owned), applied })
}
