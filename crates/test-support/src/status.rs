//! What an object's status says.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use upstream_params_operator::api::FINALIZER;
use upstream_params_operator::api::upstream_params::{ParamState, UpstreamParams};

/// The conditions of an object; none when nothing has been written yet.
pub fn conditions(object: &UpstreamParams) -> &[Condition] {
    object.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default()
}

/// Whether a condition of the object's latest generation is as said.
pub fn is(object: &UpstreamParams, kind: &str, status: &str, reason: &str) -> bool {
    holds(conditions(object), object.metadata.generation, kind, status, reason)
}

/// Whether a condition of this generation is as said.
pub(crate) fn holds(conditions: &[Condition], generation: Option<i64>, kind: &str, status: &str, reason: &str) -> bool {
    conditions.iter().any(|condition| {
        condition.type_ == kind && condition.status == status && condition.reason == reason && condition.observed_generation == generation
    })
}

/// The status and the reason of a condition, whatever its generation.
pub fn condition(object: &UpstreamParams, kind: &str) -> (String, String) {
    let found = conditions(object).iter().find(|condition| condition.type_ == kind);
    found.map(|condition| (condition.status.clone(), condition.reason.clone())).unwrap_or_default()
}

/// Whether a condition says this, whatever its generation.
pub fn says(object: &UpstreamParams, kind: &str, status: &str, reason: &str) -> bool {
    condition(object, kind) == (status.to_owned(), reason.to_owned())
}

/// The message of a condition.
pub fn message(object: &UpstreamParams, kind: &str) -> String {
    message_of(conditions(object), kind)
}

/// The message of a condition among these.
pub(crate) fn message_of(conditions: &[Condition], kind: &str) -> String {
    conditions.iter().find(|condition| condition.type_ == kind).map(|condition| condition.message.clone()).unwrap_or_default()
}

/// The value of the annotation by which a look was asked for that has ended.
pub fn handled(object: &UpstreamParams) -> Option<&str> {
    object.status.as_ref()?.last_handled_reconcile_at.as_deref()
}

/// When each condition last came to another status.
pub fn transition_times(object: &UpstreamParams) -> BTreeMap<String, String> {
    conditions(object).iter().map(|condition| (condition.type_.clone(), format!("{:?}", condition.last_transition_time))).collect()
}

/// The states of an object's parameters, over all connections.
pub fn states(object: &UpstreamParams) -> BTreeMap<String, ParamState> {
    let connections = object.status.iter().flat_map(|status| &status.connections);
    connections.flat_map(|connection| &connection.params).map(|param| (param.name.clone(), param.state)).collect()
}

/// The fingerprints that are recorded of a parameter, over all connections.
pub fn owned(object: &UpstreamParams, param: &str) -> Vec<String> {
    let params = object.status.iter().flat_map(|status| &status.connections).flat_map(|connection| &connection.params);
    params.filter(|entry| entry.name == param).flat_map(|entry| entry.owned.clone()).collect()
}

/// The ids of the connections in a status.
pub fn connection_ids(object: &UpstreamParams) -> Vec<String> {
    object.status.iter().flat_map(|status| &status.connections).map(|connection| connection.id.clone()).collect()
}

/// Whether the object has the operator's finalizer.
pub fn has_finalizer(object: &UpstreamParams) -> bool {
    object.finalizers().iter().any(|one| one == FINALIZER)
}

/// Asserts that the object counts as stalled, or as being worked on.
pub fn assert_stalled(object: &UpstreamParams, stalled: bool) {
    let has = |kind: &str| condition(object, kind).0 == "True";
    assert_eq!((has("Stalled"), has("Reconciling")), (stalled, !stalled), "{:#?}", object.status);
}

/// Asserts what holds of every status that speaks of the latest generation: the four conditions are there, each with that
/// generation; `Reconciling` and `Stalled` only while true, never both, and never beside `Ready=True`.
pub fn assert_complete(object: &UpstreamParams) {
    let Some(status) = &object.status else { return };
    if status.observed_generation != object.metadata.generation {
        return;
    }
    let conditions = &status.conditions;
    for condition in conditions {
        assert_eq!(condition.observed_generation, object.metadata.generation, "{condition:?}");
    }
    let types: Vec<&str> = conditions.iter().map(|condition| condition.type_.as_str()).collect();
    assert_eq!(types.get(..4), Some(&["Ready", "Accepted", "ResolvedRefs", "Synced"][..]));
    let ready = conditions[0].status == "True";
    match &conditions[4..] {
        [] => assert!(ready, "neither ready nor on the way: {conditions:#?}"),
        [one] => assert!(!ready && one.status == "True" && ["Reconciling", "Stalled"].contains(&one.type_.as_str()), "{conditions:#?}"),
        more => panic!("too many conditions: {more:#?}"),
    }
}
