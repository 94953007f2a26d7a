//! What is said of objects and tenants, from their statuses alone: the shape that machines read, and that the text is made of.
//!
//! Guarantees: everything here is from a status, an event or the documented reasons; no value of any parameter is in it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::Serialize;

use crate::api::reason::{ConditionType, Reason};
use crate::api::upstream_params::{ConnectionStatus, ManagementPolicy, ParamState};
use crate::core::status::condition;
use crate::core::status::standing::Standing;
use crate::core::world::{Declared, DeclaredTenant};
use crate::kubernetes::snapshot::{EventSeen, LeaseSeen};

/// What `status -o json` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) struct Report {
    /// Which operator serves the cluster.
    pub(in crate::cli) operator: OperatorReport,
    /// The tenants that the objects name, by name.
    pub(in crate::cli) tenants: Vec<TenantReport>,
    /// The objects, those in trouble first.
    pub(in crate::cli) objects: Vec<ObjectReport>,
    /// How many of them stand how.
    pub(in crate::cli) counts: Counts,
    /// What could not be read, and what that means.
    pub(in crate::cli) notes: Vec<String>,
}

/// Which operator serves.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) struct OperatorReport {
    /// Who holds the Lease.
    pub(in crate::cli) holder: Option<String>,
    /// For how many seconds it has not been renewed, by the clock of this machine.
    pub(in crate::cli) renewed_seconds_ago: Option<i64>,
    /// Whether the Lease could be read.
    pub(in crate::cli) known: bool,
}

/// How many objects stand how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) struct Counts {
    /// All.
    pub(in crate::cli) objects: usize,
    /// As declared.
    pub(in crate::cli) ready: usize,
    /// Not as declared, or nobody can say.
    pub(in crate::cli) not_ready: usize,
    /// Not looked at yet, or not in this generation.
    pub(in crate::cli) not_looked_at: usize,
    /// Being deleted.
    pub(in crate::cli) deleting: usize,
}

/// A tenant.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) struct TenantReport {
    /// Its name.
    pub(in crate::cli) name: String,
    /// Its domain, where the spec can be read.
    pub(in crate::cli) domain: Option<String>,
    /// Whether it only observes.
    pub(in crate::cli) observes: bool,
    /// The time between two looks at a connection, in seconds.
    pub(in crate::cli) resync_interval_seconds: Option<i64>,
    /// How it stands, in whole.
    #[serde(flatten)]
    pub(in crate::cli) summary: Summary,
    /// By what the look at everything was asked for that was carried out last.
    pub(in crate::cli) last_handled_reconcile_at: Option<String>,
}

/// How an object or a tenant stands, in whole.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) struct Summary {
    /// One word for it: `Ready`, `NotReady`, `Unknown`, `Unseen`, `Outdated` or `Deleting`.
    pub(in crate::cli) standing: Standing,
    /// The reason of `Ready`.
    pub(in crate::cli) reason: Option<String>,
    /// The message of `Ready`, or what there is to say where the operator has not looked.
    pub(in crate::cli) message: String,
    /// Since when `Ready` has its value.
    pub(in crate::cli) since: Option<Timestamp>,
    /// What to do, where somebody has to do something.
    pub(in crate::cli) remedy: Option<&'static str>,
    /// All conditions.
    pub(in crate::cli) conditions: Vec<ConditionReport>,
}

/// A condition, with what it means.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) struct ConditionReport {
    /// Its type.
    #[serde(rename = "type")]
    pub(in crate::cli) kind: String,
    /// True, False or Unknown.
    pub(in crate::cli) status: String,
    /// Its reason.
    pub(in crate::cli) reason: String,
    /// Its message.
    pub(in crate::cli) message: String,
    /// What the reason means.
    pub(in crate::cli) meaning: Option<&'static str>,
    /// Since when it has its value.
    pub(in crate::cli) since: Timestamp,
}

/// An object.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) struct ObjectReport {
    /// Its namespace.
    pub(in crate::cli) namespace: String,
    /// Its name.
    pub(in crate::cli) name: String,
    /// The tenant that it names.
    pub(in crate::cli) tenant: String,
    /// The connection that it names, by name or id.
    pub(in crate::cli) connection: Option<String>,
    /// Whether it, or its tenant as far as that can be read, only observes.
    pub(in crate::cli) observes: bool,
    /// How it stands, in whole.
    #[serde(flatten)]
    pub(in crate::cli) summary: Summary,
    /// What is on which connection.
    pub(in crate::cli) connections: Vec<OnConnection>,
    /// When the parameters were last seen or made as declared, after they were not.
    pub(in crate::cli) last_synced_time: Option<Timestamp>,
    /// Within how many seconds the connection is looked at again, about, where nothing has it looked at before.
    pub(in crate::cli) next_look_within_seconds: Option<i64>,
    /// By what the look was asked for that was carried out last.
    pub(in crate::cli) last_handled_reconcile_at: Option<String>,
    /// What was told of it lately, the oldest first; only of objects that were named on the command line.
    pub(in crate::cli) events: Vec<EventSeen>,
}

/// What is on a connection.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) struct OnConnection {
    /// Its id.
    pub(in crate::cli) id: String,
    /// Its name.
    pub(in crate::cli) name: Option<String>,
    /// Its type.
    pub(in crate::cli) strategy: Option<String>,
    /// The host of the Auth0 tenant.
    pub(in crate::cli) tenant: Option<String>,
    /// The parameters.
    pub(in crate::cli) params: Vec<OneParam>,
}

/// A parameter on a connection.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) struct OneParam {
    /// Its name.
    pub(in crate::cli) name: String,
    /// Its state.
    pub(in crate::cli) state: ParamState,
    /// What that means.
    pub(in crate::cli) meaning: &'static str,
    /// Whether a record says that the object owns it.
    pub(in crate::cli) owned: bool,
}

impl OperatorReport {
    /// From the Lease; `None` where it can't be read.
    pub(in crate::cli) fn of(lease: Option<&LeaseSeen>, now: Timestamp) -> Self {
        let Some(lease) = lease else { return Self::default() };
        let renewed_seconds_ago = lease.renewed.filter(|_| lease.holder.is_some()).map(|renewed| now.duration_since(renewed).as_secs());
        Self { holder: lease.holder.clone(), renewed_seconds_ago, known: true }
    }
}

impl TenantReport {
    /// From the object.
    pub(in crate::cli) fn of(tenant: &DeclaredTenant) -> Self {
        let spec = tenant.spec.as_ref();
        Self {
            name: tenant.name.clone(),
            domain: spec.map(|spec| spec.domain.clone()),
            observes: spec.is_some_and(|spec| spec.management_policy == ManagementPolicy::Observe),
            resync_interval_seconds: spec.map(|spec| spec.resync_interval_seconds),
            summary: Summary::of(Standing::of_tenant(tenant), &tenant.status.conditions),
            last_handled_reconcile_at: tenant.status.last_handled_reconcile_at.clone(),
        }
    }
}

impl ObjectReport {
    /// From the object, with the tenants that can be read.
    pub(in crate::cli) fn of(object: &Declared, tenants: &BTreeMap<String, TenantReport>, now: Timestamp) -> Self {
        let tenant = tenants.get(&object.policies.tenant);
        let status = &object.status;
        let last_synced_time = status.last_synced_time.as_ref().map(|time| time.0);
        let interval = tenant.filter(|_| !object.deleting).and_then(|tenant| tenant.resync_interval_seconds);
        let target = object.spec.as_ref().ok().map(|spec| spec.target.to_string());
        Self {
            namespace: object.key.namespace.clone(),
            name: object.key.name.clone(),
            tenant: object.policies.tenant.clone(),
            connection: target.or_else(|| status.target.clone()),
            observes: object.policies.management == ManagementPolicy::Observe || tenant.is_some_and(|tenant| tenant.observes),
            summary: Summary::of(Standing::of(object), &status.conditions),
            connections: status.connections.iter().map(OnConnection::of).collect(),
            last_synced_time,
            next_look_within_seconds: interval.map(|interval| next_look(interval, last_synced_time, now)),
            last_handled_reconcile_at: status.last_handled_reconcile_at.clone(),
            events: Vec::new(),
        }
    }
}

/// Within how many seconds the next look is. A look right after the last change of status is the earliest that is known; each
/// further one is an interval later at most.
fn next_look(interval: i64, last_synced: Option<Timestamp>, now: Timestamp) -> i64 {
    let passed = last_synced.map_or(0, |last| now.duration_since(last).as_secs());
    if (0..interval).contains(&passed) { interval - passed } else { interval }
}

impl OnConnection {
    fn of(connection: &ConnectionStatus) -> Self {
        let params = connection.params.iter().map(|param| OneParam {
            name: param.name.clone(),
            state: param.state,
            meaning: param.state.meaning(),
            owned: !param.owned.is_empty(),
        });
        Self {
            id: connection.id.clone(),
            name: connection.name.clone(),
            strategy: connection.strategy.clone(),
            tenant: connection.tenant.clone(),
            params: params.collect(),
        }
    }
}

impl Summary {
    fn of(standing: Standing, conditions: &[Condition]) -> Self {
        let ready = condition(conditions, ConditionType::Ready);
        let message = match standing {
            Standing::Unseen => "the operator has not checked it yet".to_owned(),
            Standing::Outdated => "the operator has not checked this generation yet".to_owned(),
            Standing::Deleting if ready.is_none() => "the object is being deleted".to_owned(),
            Standing::NotReady | Standing::Unknown | Standing::Deleting | Standing::Ready => {
                ready.map_or_else(|| "the status has no condition Ready".to_owned(), |ready| ready.message.clone())
            }
        };
        Self {
            standing,
            reason: ready.map(|ready| ready.reason.clone()),
            message,
            since: ready.map(|ready| ready.last_transition_time.0),
            remedy: remedy(standing, conditions),
            conditions: conditions.iter().map(ConditionReport::of).collect(),
        }
    }
}

/// What to do: the documented remedy of the first reason that has one. What is said of a generation that is gone asks for nothing.
fn remedy(standing: Standing, conditions: &[Condition]) -> Option<&'static str> {
    let asks = |kind| {
        let reason: Reason = condition(conditions, kind)?.reason.parse().ok()?;
        reason.to_do()
    };
    match standing {
        Standing::Unseen => Some("Wait. If it stays, check that an operator runs and serves this namespace."),
        Standing::Outdated => Some("Wait. If it stays, check that an operator runs."),
        Standing::NotReady | Standing::Unknown | Standing::Deleting | Standing::Ready => {
            [ConditionType::Ready, ConditionType::Accepted, ConditionType::Synced, ConditionType::Authenticated].into_iter().find_map(asks)
        }
    }
}

impl ConditionReport {
    fn of(condition: &Condition) -> Self {
        Self {
            kind: condition.type_.clone(),
            status: condition.status.clone(),
            reason: condition.reason.clone(),
            message: condition.message.clone(),
            meaning: condition.reason.parse::<Reason>().ok().map(Reason::meaning),
            since: condition.last_transition_time.0,
        }
    }
}

impl Report {
    /// Of these objects and tenants. The tenants that no object names are in it where no object was named.
    pub(in crate::cli) fn of(
        mut objects: Vec<ObjectReport>,
        tenants: impl IntoIterator<Item = TenantReport>,
        operator: OperatorReport,
        notes: Vec<String>,
    ) -> Self {
        objects.sort_by(|a, b| {
            let place = |one: &ObjectReport| (one.summary.standing, one.namespace.clone(), one.name.clone());
            place(a).cmp(&place(b))
        });
        let counts = Counts::of(objects.iter().map(|object| object.summary.standing));
        Self { operator, tenants: tenants.into_iter().collect(), objects, counts, notes }
    }
}

impl Counts {
    fn of(standings: impl IntoIterator<Item = Standing>) -> Self {
        let mut counts = Self::default();
        for standing in standings {
            counts.objects += 1;
            match standing {
                Standing::Ready => counts.ready += 1,
                Standing::NotReady | Standing::Unknown => counts.not_ready += 1,
                Standing::Unseen | Standing::Outdated => counts.not_looked_at += 1,
                Standing::Deleting => counts.deleting += 1,
            }
        }
        counts
    }
}
