//! The record of ownership: which live values are ours, and how that is proved.
//!
//! A record lives in the status of the object that owns the parameter: the fingerprints of what the operator wrote or
//! was about to write under this name, on this connection id, in this tenant. It proves, it does not authorise:
//! access, the reserved list and the claims of other objects are asked each time.
//!
//! Guarantees: a value whose fingerprint is in no record is never removed, but at a deletion whose record was lost
//! ([`crate::core::pass::plan`]); the record of a write is stored before the write; a record never grows beyond [`MAX_OWNED`]
//! fingerprints a name, and gives up the oldest that is not live.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::upstream_params::{ConnectionStatus, ParamState, ParamStatus, UpstreamParamsStatus};
use crate::model::document::{Entry, Live, fingerprint};

/// How many fingerprints one parameter's record holds at most.
pub const MAX_OWNED: usize = 8;

/// Where fingerprints are taken: the same value is another claim in another place.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The tenant's identity: the host of its audience.
    pub tenant: &'a str,
    /// The connection's id.
    pub connection: &'a str,
}

impl Place<'_> {
    /// The fingerprint of this entry under this name, here.
    pub fn fingerprint(&self, name: &str, entry: &Entry) -> String {
        fingerprint(self.tenant, self.connection, name, entry)
    }

    /// Whether the live value is one that the record proves to be ours.
    pub fn owns(&self, owned: &[String], name: &str, live: Option<&Live>) -> bool {
        match live {
            Some(Live::Entry(entry)) => owned.contains(&self.fingerprint(name, entry)),
            Some(Live::Foreign) | None => false,
        }
    }
}

/// What one object's status says of one parameter on one connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// The fingerprints, oldest first.
    pub owned: Vec<String>,
    /// Whether the parameter was in sync here before, so that another value is drift and not somebody's own setting.
    pub applied: bool,
}

/// The claims that a status holds on a connection, by parameter name.
pub fn on(status: &UpstreamParamsStatus, connection: &str) -> BTreeMap<String, Claim> {
    let here = status.connections.iter().filter(|entry| entry.id == connection);
    here.flat_map(|entry| &entry.params).map(|param| (param.name.clone(), claim(param))).collect()
}

/// A parameter that is not ours was never in sync by our doing, whatever its state says.
fn claim(param: &ParamStatus) -> Claim {
    let applied = !param.owned.is_empty() && (param.applied == Some(true) || says_applied(param.state));
    Claim { owned: param.owned.clone(), applied }
}

/// Whether a state says by itself that the parameter was in sync before.
pub fn says_applied(state: ParamState) -> bool {
    match state {
        ParamState::InSync | ParamState::Applied | ParamState::Contended => true,
        ParamState::Pending
        | ParamState::Removing
        | ParamState::ExistingValue
        | ParamState::Conflicted
        | ParamState::WouldAdd
        | ParamState::WouldChange
        | ParamState::WouldRemove => false,
    }
}

/// Whether an entry is about a connection of the tenant of this identity. One that does not say is older than the field, and is
/// of the tenant that the object names.
pub fn is_of(entry: &ConnectionStatus, tenant: &str) -> bool {
    entry.tenant.as_deref().is_none_or(|named| named == tenant)
}

/// The ids of the connections on which a status holds a record of anything.
pub fn connections(status: &UpstreamParamsStatus) -> impl Iterator<Item = &str> {
    records(status).map(|entry| entry.id.as_str())
}

/// The entries in which a status holds a record of anything.
pub fn records(status: &UpstreamParamsStatus) -> impl Iterator<Item = &ConnectionStatus> {
    status.connections.iter().filter(|entry| holds_record(entry))
}

/// The names that a status records as ours, by connection: its name where it is known, else its id.
pub fn recorded(status: &UpstreamParamsStatus) -> Vec<(String, Vec<String>)> {
    let names =
        |entry: &ConnectionStatus| entry.params.iter().filter(|param| !param.owned.is_empty()).map(|param| param.name.clone()).collect();
    let entries = status.connections.iter().filter(|entry| holds_record(entry));
    entries.map(|entry| (entry.name.clone().unwrap_or_else(|| entry.id.clone()), names(entry))).collect()
}

/// Whether anything in this status is recorded as ours.
pub fn any(status: &UpstreamParamsStatus) -> bool {
    connections(status).next().is_some()
}

fn holds_record(entry: &ConnectionStatus) -> bool {
    entry.params.iter().any(|param| !param.owned.is_empty())
}

/// The record with one more fingerprint: what is stored before a write.
///
/// What was there stays, because the answer to an earlier write may have been lost; over [`MAX_OWNED`] the oldest that
/// is not `live` goes.
pub fn with(owned: &[String], new: &str, live: Option<&str>) -> Vec<String> {
    let mut record: Vec<String> = owned.iter().filter(|old| *old != new).cloned().collect();
    record.push(new.to_owned());
    while record.len() > MAX_OWNED {
        let oldest = record.iter().position(|fingerprint| Some(fingerprint.as_str()) != live).unwrap_or(0);
        record.remove(oldest);
    }
    record
}

/// The status without its records of these names on a connection, and without an entry of the connection that says nothing then.
pub fn without(mut status: UpstreamParamsStatus, connection: &str, names: &BTreeSet<String>) -> UpstreamParamsStatus {
    for entry in status.connections.iter_mut().filter(|entry| entry.id == connection) {
        entry.params.retain(|param| !names.contains(&param.name));
    }
    status.connections.retain(|entry| entry.id != connection || !entry.params.is_empty());
    status
}

/// The old status with the records of one connection replaced, and nothing else: what is written before a PATCH.
///
/// A parameter that had no entry, or one without a record, is in state `Pending` from then on; one of `removed` is in state
/// `Removing`, so that its absence is not taken for somebody's change if it is declared anew before the removal is concluded.
pub fn claimed(
    old: &UpstreamParamsStatus,
    connection: &ConnectionStatus,
    records: &BTreeMap<String, Vec<String>>,
    removed: &BTreeSet<String>,
) -> UpstreamParamsStatus {
    let mut status = old.clone();
    let place = status.connections.iter().position(|entry| entry.id == connection.id).unwrap_or_else(|| {
        let place = status.connections.partition_point(|entry| entry.id < connection.id);
        status.connections.insert(place, ConnectionStatus { params: Vec::new(), ..connection.clone() });
        place
    });
    let Some(entry) = status.connections.get_mut(place) else { return status };
    for (name, owned) in records {
        match entry.params.iter_mut().find(|param| &param.name == name) {
            Some(param) => {
                // Without a record the state said something of a value that was not ours: it must not prove drift now.
                if param.owned.is_empty() {
                    param.state = ParamState::Pending;
                }
                if removed.contains(name) {
                    (param.state, param.applied) = (ParamState::Removing, None);
                }
                param.owned.clone_from(owned);
            }
            None => entry.params.push(ParamStatus { name: name.clone(), state: ParamState::Pending, owned: owned.clone(), applied: None }),
        }
    }
    entry.params.sort_by(|a, b| a.name.cmp(&b.name));
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_gives_up_the_oldest_that_is_not_live() {
        let eight: Vec<String> = (0..8).map(|n| format!("f{n}")).collect();
        let record = with(&eight, "new", Some("f0"));
        assert_eq!(record.len(), MAX_OWNED);
        assert!(record.contains(&"f0".to_owned()) && !record.contains(&"f1".to_owned()));
        assert_eq!(record.last().map(String::as_str), Some("new"));
    }

    #[test]
    fn a_repeated_claim_changes_nothing() {
        let record = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(with(&record, "b", Some("a")), record);
    }

    #[test]
    fn a_claim_on_a_known_parameter_leaves_its_state() {
        let param = ParamStatus { name: "blog".into(), state: ParamState::InSync, owned: vec!["a".into()], applied: None };
        let connection = ConnectionStatus { id: "con_1".into(), params: vec![param], ..Default::default() };
        let old = UpstreamParamsStatus { connections: vec![connection.clone()], ..Default::default() };
        let records =
            BTreeMap::from([("blog".to_owned(), vec!["a".to_owned(), "b".to_owned()]), ("alpha".to_owned(), vec!["c".to_owned()])]);
        let new = claimed(&old, &connection, &records, &BTreeSet::new());
        let params = &new.connections[0].params;
        assert_eq!(
            params.iter().map(|param| (param.name.as_str(), param.state)).collect::<Vec<_>>(),
            [("alpha", ParamState::Pending), ("blog", ParamState::InSync)]
        );
        assert_eq!(params[1].owned, ["a", "b"]);
    }

    #[test]
    fn a_first_claim_does_not_make_an_observed_value_look_like_one_that_was_ours() {
        let param = ParamStatus { name: "blog".into(), state: ParamState::InSync, owned: Vec::new(), applied: None };
        let connection = ConnectionStatus { id: "con_1".into(), params: vec![param], ..Default::default() };
        let old = UpstreamParamsStatus { connections: vec![connection.clone()], ..Default::default() };
        let new = claimed(&old, &connection, &BTreeMap::from([("blog".to_owned(), vec!["a".to_owned()])]), &BTreeSet::new());
        assert_eq!(on(&new, "con_1")["blog"], Claim { owned: vec!["a".into()], applied: false });
    }

    #[test]
    fn what_is_about_to_be_removed_is_no_drift_when_it_is_gone() {
        let param = |state, applied| ParamStatus { name: "blog".into(), state, owned: vec!["a".into()], applied };
        for param in [param(ParamState::InSync, None), param(ParamState::Pending, Some(true))] {
            let connection = ConnectionStatus { id: "con_1".into(), params: vec![param], ..Default::default() };
            let old = UpstreamParamsStatus { connections: vec![connection.clone()], ..Default::default() };
            assert!(on(&old, "con_1")["blog"].applied);
            let records = BTreeMap::from([("blog".to_owned(), vec!["a".to_owned()])]);
            let new = claimed(&old, &connection, &records, &BTreeSet::from(["blog".to_owned()]));
            assert_eq!(new.connections[0].params[0].state, ParamState::Removing);
            assert_eq!(on(&new, "con_1")["blog"], Claim { owned: vec!["a".into()], applied: false });
        }
    }

    #[test]
    fn the_entry_of_a_connection_is_put_where_its_id_belongs() {
        let of = |id: &str| ConnectionStatus { id: id.into(), ..Default::default() };
        let old = UpstreamParamsStatus { connections: vec![of("con_1"), of("con_3")], ..Default::default() };
        let new = claimed(&old, &of("con_2"), &BTreeMap::from([("blog".to_owned(), vec!["a".to_owned()])]), &BTreeSet::new());
        assert_eq!(new.connections.iter().map(|entry| entry.id.as_str()).collect::<Vec<_>>(), ["con_1", "con_2", "con_3"]);
        assert_eq!(connections(&new).collect::<Vec<_>>(), ["con_2"]);
    }
}
