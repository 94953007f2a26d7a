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
use crate::model::identity::{ConnectionId, ConnectionName, Fingerprint, TenantIdentity};

/// How many fingerprints one parameter's record holds at most.
pub(crate) const MAX_OWNED: usize = 8;

/// Where fingerprints are taken: the same value is another claim in another place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionRef<'a> {
    /// The tenant.
    pub tenant: &'a TenantIdentity,
    /// The connection.
    pub connection: &'a ConnectionId,
}

impl ConnectionRef<'_> {
    /// The fingerprint of this entry under this name, here.
    pub(crate) fn fingerprint(&self, name: &str, entry: &Entry) -> Fingerprint {
        fingerprint(self.tenant, self.connection, name, entry)
    }

    /// Whether the live value is one that the record proves to be ours.
    pub(crate) fn owns(&self, owned: &[Fingerprint], name: &str, live: Option<&Live>) -> bool {
        live.and_then(Live::entry).is_some_and(|entry| owned.contains(&self.fingerprint(name, entry)))
    }
}

/// What one object's status says of one parameter on one connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Claim {
    /// The fingerprints, oldest first.
    pub owned: Vec<Fingerprint>,
    /// Whether the parameter was in sync here before, so that another value is drift and not somebody's own setting.
    pub applied: bool,
}

/// The claims that a status holds on a connection, by parameter name.
pub(crate) fn on(status: &UpstreamParamsStatus, connection: &ConnectionId) -> BTreeMap<String, Claim> {
    let here = status.connections.iter().filter(|entry| *connection == *entry.id);
    here.flat_map(|entry| &entry.params).map(|param| (param.name.clone(), claim(param))).collect()
}

/// A parameter that is not ours was never in sync by our doing, whatever its state says.
fn claim(param: &ParamStatus) -> Claim {
    let applied = !param.owned.is_empty() && (param.applied == Some(true) || says_applied(param.state));
    Claim { owned: fingerprints(param), applied }
}

fn fingerprints(param: &ParamStatus) -> Vec<Fingerprint> {
    param.owned.iter().map(|text| Fingerprint::from_status(text)).collect()
}

/// The fingerprints of one parameter as a status holds them.
pub(crate) fn in_status(owned: &[Fingerprint]) -> Vec<String> {
    owned.iter().map(ToString::to_string).collect()
}

/// Whether a state says by itself that the parameter was in sync before.
pub(crate) fn says_applied(state: ParamState) -> bool {
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

/// What an object owns on one connection, as its status records it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// The connection.
    pub connection: ConnectionId,
    /// Its name, as last seen.
    pub name: Option<ConnectionName>,
    /// The tenant it is of. An entry that does not say is older than the field.
    pub tenant: Option<TenantIdentity>,
    /// The fingerprints by parameter name, oldest first; at least one for each name, and at least one name.
    pub owned: BTreeMap<String, Vec<Fingerprint>>,
}

impl Record {
    /// Reads an entry of a status: none where nothing is owned. The status is ours, so an entry whose id is none can only be
    /// somebody else's doing. There is nothing that could be owned there.
    fn read(entry: &ConnectionStatus) -> Option<Self> {
        let owned = entry.params.iter().filter(|param| !param.owned.is_empty());
        recorded_on(entry).map(|connection| Self {
            connection,
            name: entry.name.as_deref().map(ConnectionName::from_auth0),
            tenant: entry.tenant.as_deref().map(TenantIdentity::from_status),
            owned: owned.map(|param| (param.name.clone(), fingerprints(param))).collect(),
        })
    }

    /// What people call the connection: its name where it is known, else its id.
    pub fn called(&self) -> &str {
        self.name.as_ref().map_or(self.connection.as_str(), ConnectionName::as_str)
    }
}

/// What a status records as its object's own.
pub(crate) fn records(status: &UpstreamParamsStatus) -> impl Iterator<Item = Record> {
    status.connections.iter().filter_map(Record::read)
}

/// Whether an entry is about a connection of the tenant of this identity. One that does not say is older than the field, and is
/// of the tenant that the object names.
pub(crate) fn is_of(entry: &ConnectionStatus, tenant: &TenantIdentity) -> bool {
    entry.tenant.as_deref().is_none_or(|named| *tenant == *named)
}

/// The ids of the connections on which a status holds a record of anything.
pub(crate) fn connections(status: &UpstreamParamsStatus) -> impl Iterator<Item = ConnectionId> {
    connections_at(status, None)
}

/// Whether a status holds a record of anything on this connection.
pub(crate) fn is_recorded(status: &UpstreamParamsStatus, connection: &ConnectionId) -> bool {
    connections(status).any(|recorded| recorded == *connection)
}

/// As [`connections`]; those of this tenant only, where one is given.
pub(crate) fn connections_at<'a>(
    status: &'a UpstreamParamsStatus,
    tenant: Option<&'a TenantIdentity>,
) -> impl Iterator<Item = ConnectionId> + use<'a> {
    let of_the_tenant = status.connections.iter().filter(move |entry| tenant.is_none_or(|tenant| is_of(entry, tenant)));
    of_the_tenant.filter_map(recorded_on)
}

/// Whether a status records anything that another one, which takes its place, does not.
pub(crate) fn lets_go(old: &UpstreamParamsStatus, new: &UpstreamParamsStatus) -> bool {
    let prints = |status| -> BTreeSet<(ConnectionId, String, Fingerprint)> {
        let each = |record: Record| {
            let Record { connection, owned, .. } = record;
            owned.into_iter().flat_map(move |(name, prints)| {
                let connection = connection.clone();
                prints.into_iter().map(move |print| (connection.clone(), name.clone(), print))
            })
        };
        records(status).flat_map(each).collect()
    };
    !prints(old).is_subset(&prints(new))
}

/// Whether anything in this status is recorded as ours.
pub(crate) fn any(status: &UpstreamParamsStatus) -> bool {
    connections(status).next().is_some()
}

/// Whether an entry of a status is a record.
pub(crate) fn is_record(entry: &ConnectionStatus) -> bool {
    recorded_on(entry).is_some()
}

/// The connection of an entry that is a record.
fn recorded_on(entry: &ConnectionStatus) -> Option<ConnectionId> {
    entry.params.iter().any(|param| !param.owned.is_empty()).then(|| ConnectionId::parse(&entry.id).ok())?
}

/// The record with one more fingerprint: what is stored before a write.
///
/// What was there stays, because the answer to an earlier write may have been lost; over [`MAX_OWNED`] the oldest that
/// is not `live` goes.
pub(crate) fn with(owned: &[Fingerprint], new: &Fingerprint, live: Option<&Fingerprint>) -> Vec<Fingerprint> {
    let mut record: Vec<Fingerprint> = owned.iter().filter(|old| *old != new).cloned().collect();
    record.push(new.clone());
    while record.len() > MAX_OWNED {
        let oldest = record.iter().position(|fingerprint| Some(fingerprint) != live).unwrap_or(0);
        record.remove(oldest);
    }
    record
}

/// The status without its records of these names on a connection, and without an entry of the connection that says nothing then.
pub(crate) fn without(mut status: UpstreamParamsStatus, connection: &ConnectionId, names: &BTreeSet<String>) -> UpstreamParamsStatus {
    for entry in status.connections.iter_mut().filter(|entry| *connection == *entry.id) {
        entry.params.retain(|param| !names.contains(&param.name));
    }
    status.connections.retain(|entry| *connection != *entry.id || !entry.params.is_empty());
    status
}

/// The old status with the records of one connection replaced, and nothing else: what is written before a PATCH.
///
/// A parameter that had no entry, or one without a record, is in state `Pending` from then on; one of `removed` is in state
/// `Removing`, so that its absence is not taken for somebody's change if it is declared anew before the removal is concluded.
pub(crate) fn claimed(
    old: &UpstreamParamsStatus,
    connection: &ConnectionStatus,
    records: &BTreeMap<String, Vec<Fingerprint>>,
    removed: &BTreeSet<String>,
) -> UpstreamParamsStatus {
    let mut status = old.clone();
    let connection_ref = status.connections.iter().position(|entry| entry.id == connection.id).unwrap_or_else(|| {
        let connection_ref = status.connections.partition_point(|entry| entry.id < connection.id);
        status.connections.insert(connection_ref, ConnectionStatus { params: Vec::new(), ..connection.clone() });
        connection_ref
    });
    let Some(entry) = status.connections.get_mut(connection_ref) else { return status };
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
                param.owned = in_status(owned);
            }
            None => {
                entry.params.push(ParamStatus { name: name.clone(), state: ParamState::Pending, owned: in_status(owned), applied: None });
            }
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
        let eight: Vec<Fingerprint> = (0..8).map(|n| format!("f{n}").as_str().into()).collect();
        let record = with(&eight, &"new".into(), Some(&"f0".into()));
        assert_eq!(record.len(), MAX_OWNED);
        assert!(record.contains(&"f0".into()) && !record.contains(&"f1".into()));
        assert_eq!(record.last().map(Fingerprint::as_str), Some("new"));
    }

    #[test]
    fn a_repeated_claim_changes_nothing() {
        let record: Vec<Fingerprint> = vec!["a".into(), "b".into()];
        assert_eq!(with(&record, &"b".into(), Some(&"a".into())), record);
    }

    #[test]
    fn a_claim_on_a_known_parameter_leaves_its_state() {
        let param = ParamStatus { name: "blog".into(), state: ParamState::InSync, owned: vec!["a".into()], applied: None };
        let connection = ConnectionStatus { id: "con_1".into(), params: vec![param], ..Default::default() };
        let old = UpstreamParamsStatus { connections: vec![connection.clone()], ..Default::default() };
        let records = BTreeMap::from([("blog".to_owned(), vec!["a".into(), "b".into()]), ("alpha".to_owned(), vec!["c".into()])]);
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
        let new = claimed(&old, &connection, &BTreeMap::from([("blog".to_owned(), vec!["a".into()])]), &BTreeSet::new());
        assert_eq!(on(&new, &"con_1".into())["blog"], Claim { owned: vec!["a".into()], applied: false });
    }

    #[test]
    fn what_is_about_to_be_removed_is_no_drift_when_it_is_gone() {
        let param = |state, applied| ParamStatus { name: "blog".into(), state, owned: vec!["a".into()], applied };
        for param in [param(ParamState::InSync, None), param(ParamState::Pending, Some(true))] {
            let connection = ConnectionStatus { id: "con_1".into(), params: vec![param], ..Default::default() };
            let old = UpstreamParamsStatus { connections: vec![connection.clone()], ..Default::default() };
            assert!(on(&old, &"con_1".into())["blog"].applied);
            let records = BTreeMap::from([("blog".to_owned(), vec!["a".into()])]);
            let new = claimed(&old, &connection, &records, &BTreeSet::from(["blog".to_owned()]));
            assert_eq!(new.connections[0].params[0].state, ParamState::Removing);
            assert_eq!(on(&new, &"con_1".into())["blog"], Claim { owned: vec!["a".into()], applied: false });
        }
    }

    #[test]
    fn the_entry_of_a_connection_is_put_where_its_id_belongs() {
        let of = |id: &str| ConnectionStatus { id: id.into(), ..Default::default() };
        let old = UpstreamParamsStatus { connections: vec![of("con_1"), of("con_3")], ..Default::default() };
        let new = claimed(&old, &of("con_2"), &BTreeMap::from([("blog".to_owned(), vec!["a".into()])]), &BTreeSet::new());
        assert_eq!(new.connections.iter().map(|entry| entry.id.as_str()).collect::<Vec<_>>(), ["con_1", "con_2", "con_3"]);
        assert_eq!(connections(&new).collect::<Vec<_>>(), ["con_2"]);
    }

    #[test]
    fn a_status_lets_go_of_what_the_next_one_does_not_record() {
        let of = |id: &str, owned: &[&str]| {
            let owned = owned.iter().map(|text| (*text).to_owned()).collect();
            let params = vec![ParamStatus { name: "blog".into(), state: ParamState::InSync, owned, applied: None }];
            UpstreamParamsStatus {
                connections: vec![ConnectionStatus { id: id.into(), params, ..Default::default() }],
                ..Default::default()
            }
        };
        let old = of("con_1", &["a", "b"]);
        assert!(
            !lets_go(&old, &old)
                && !lets_go(&old, &of("con_1", &["c", "b", "a"]))
                && !lets_go(&of("con_1", &[]), &UpstreamParamsStatus::default())
        );
        for new in [of("con_1", &["a"]), of("con_1", &[]), of("con_2", &["a", "b"]), UpstreamParamsStatus::default()] {
            assert!(lets_go(&old, &new), "{new:?}");
        }
    }

    #[test]
    fn a_record_is_what_is_owned_on_a_connection_that_there_can_be() {
        let param = |name: &str, owned: &[&str]| {
            let owned = owned.iter().map(|text| (*text).to_owned()).collect();
            ParamStatus { name: name.into(), state: ParamState::InSync, owned, applied: None }
        };
        let entry = |id: &str, params: Vec<ParamStatus>| {
            let (tenant, name) = (Some("example.eu.auth0.com".to_owned()), Some("shop".to_owned()));
            ConnectionStatus { id: id.into(), tenant, name, strategy: None, params }
        };
        let connections = vec![
            entry("con_1", vec![param("blog", &["a", "b"]), param("seen", &[])]),
            entry("con_2", vec![param("seen", &[])]),
            entry("con_3/../users", vec![param("blog", &["a"])]),
            ConnectionStatus { tenant: None, name: None, ..entry("con_4", vec![param("lang", &["c"])]) },
        ];
        let status = UpstreamParamsStatus { connections, ..Default::default() };
        let owned = |name: &str, prints: &[&str]| BTreeMap::from([(name.to_owned(), prints.iter().map(|text| (*text).into()).collect())]);
        let tenant = TenantIdentity::from("example.eu.auth0.com");
        let first = Record {
            connection: "con_1".into(),
            name: Some("shop".into()),
            tenant: Some(tenant.clone()),
            owned: owned("blog", &["a", "b"]),
        };
        let last = Record { connection: "con_4".into(), name: None, tenant: None, owned: owned("lang", &["c"]) };
        assert_eq!((first.called(), last.called()), ("shop", "con_4"));
        assert_eq!(records(&status).collect::<Vec<_>>(), [first, last]);
        let at = |tenant: &TenantIdentity| connections_at(&status, Some(tenant)).map(|id| id.to_string()).collect::<Vec<_>>();
        assert_eq!(at(&tenant), ["con_1", "con_4"]);
        assert_eq!(at(&"other.auth0.com".into()), ["con_4"], "who does not say is of the tenant that the object names");
    }
}
