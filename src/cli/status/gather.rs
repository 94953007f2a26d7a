//! Reads what there is to say of objects.
//!
//! Guarantees: needs the right to read the objects, and nothing else: without any other right less is said, and that is said.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{anyhow, bail};
use jiff::Timestamp;
use kube::Client;

use super::key;
use super::report::{ObjectReport, OperatorReport, Report, TenantReport};
use crate::core::world::Declared;
use crate::kubernetes::snapshot::{self, LeaseSeen, Unread};
use crate::model::identity::ObjectKey;

/// How many of the latest events are told of an object.
const EVENTS: usize = 8;

/// Which objects.
#[derive(Clone, Debug)]
pub(in crate::cli) enum Scope {
    /// Of all namespaces.
    All,
    /// Of one namespace.
    Namespace(String),
    /// These.
    Named(Vec<ObjectKey>),
}

impl Scope {
    /// The objects of this namespace, or those that are named.
    pub(in crate::cli) fn of(named: &[String], namespace: &str) -> anyhow::Result<Self> {
        if named.is_empty() {
            return Ok(Self::Namespace(namespace.to_owned()));
        }
        let mut keys: Vec<ObjectKey> = Vec::new();
        for one in named {
            let key = key(one, namespace)?;
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        Ok(Self::Named(keys))
    }
}

/// Reads it all.
pub(in crate::cli) async fn gather(client: &Client, scope: &Scope, now: Timestamp) -> anyhow::Result<Report> {
    let found = objects(client, scope).await?;
    let mut notes = Vec::new();
    let tenants = tenants(client, &mut notes).await;
    let operator = operator(client, now, &mut notes).await;
    let mut reports: Vec<ObjectReport> = found.iter().map(|object| ObjectReport::of(object, &tenants, now)).collect();
    if let Scope::Named(_) = scope {
        for (object, report) in found.iter().zip(&mut reports) {
            report.events = events(client, object, &mut notes).await;
        }
    }
    let named: BTreeSet<&String> = found.iter().map(|object| &object.policies.tenant).collect();
    // Whoever looks at everything sees those, too, that nobody names.
    let shown = tenants.iter().filter(|(name, _)| matches!(scope, Scope::All) || named.contains(name));
    let shown: Vec<TenantReport> = shown.map(|(_, tenant)| tenant.clone()).collect();
    Ok(Report::of(reports, shown, operator, notes))
}

/// The objects themselves.
pub(in crate::cli) async fn objects(client: &Client, scope: &Scope) -> anyhow::Result<Vec<Declared>> {
    let keys = match scope {
        Scope::All => return snapshot::objects(client, None).await.map_err(|unread| unreadable(&unread, "all namespaces")),
        Scope::Namespace(name) => {
            let listed = snapshot::objects(client, Some(name)).await;
            return listed.map_err(|unread| unreadable(&unread, &format!("the namespace {name}")));
        }
        Scope::Named(keys) => keys,
    };
    let mut found = Vec::new();
    for key in keys {
        match snapshot::object(client, key).await {
            Ok(object) => found.push(object),
            Err(Unread::Absent(_)) => return Err(absent(client, key).await),
            Err(unread) => return Err(unreadable(&unread, &format!("the namespace {}", key.namespace))),
        }
    }
    Ok(found)
}

/// An object is not there, or its kind is not.
pub(in crate::cli) async fn absent(client: &Client, key: &ObjectKey) -> anyhow::Error {
    match snapshot::objects(client, Some(&key.namespace)).await {
        Err(unread @ Unread::Absent(_)) => unreadable(&unread, ""),
        Ok(_) | Err(_) => anyhow!("there is no UpstreamParams {} in the namespace {}; name another, or see -n", key.name, key.namespace),
    }
}

/// Why objects of this place can't be read, and what to do.
fn unreadable(unread: &Unread, place: &str) -> anyhow::Error {
    match unread {
        Unread::Forbidden(message) => {
            anyhow!("you may not read UpstreamParams of {place}; ask for the role view there, or name a namespace with -n ({message})")
        }
        Unread::Absent(_) => anyhow!(
            "the cluster does not know UpstreamParams; install the CRDs with: upstream-params-operator crds | kubectl apply --server-side -f -"
        ),
        Unread::Other(message) => anyhow!("can't read UpstreamParams: {message}"),
    }
}

/// All tenants that may be read.
pub(in crate::cli) async fn tenants(client: &Client, notes: &mut Vec<String>) -> BTreeMap<String, TenantReport> {
    match snapshot::tenants(client).await {
        Ok(tenants) => tenants.iter().map(|tenant| (tenant.name.clone(), TenantReport::of(tenant))).collect(),
        Err(unread) => {
            notes.push(format!(
                "the status of tenants and the time of the next check are not known: {}",
                why(&unread, "list clusterauth0tenants")
            ));
            BTreeMap::new()
        }
    }
}

/// Who serves. Where the Lease may not be read that is not known, which is no news: hardly anybody has a right to it.
pub(in crate::cli) async fn operator(client: &Client, now: Timestamp, notes: &mut Vec<String>) -> OperatorReport {
    match snapshot::lease(client).await {
        Ok(lease) => OperatorReport::of(Some(&lease.unwrap_or_else(LeaseSeen::of_nobody)), now),
        Err(Unread::Forbidden(_)) => OperatorReport::of(None, now),
        Err(Unread::Absent(message) | Unread::Other(message)) => {
            notes.push(format!("which operator leads is not known: {message}"));
            OperatorReport::of(None, now)
        }
    }
}

/// What was told of an object lately.
pub(in crate::cli) async fn events(client: &Client, object: &Declared, notes: &mut Vec<String>) -> Vec<snapshot::EventSeen> {
    match snapshot::events(client, &object.key.namespace, &object.uid).await {
        Ok(mut events) => events.split_off(events.len().saturating_sub(EVENTS)),
        Err(unread) => {
            let right = format!("list events in {}", object.key.namespace);
            let note = format!("events are not shown: {}", why(&unread, &right));
            if !notes.contains(&note) {
                notes.push(note);
            }
            Vec::new()
        }
    }
}

fn why(unread: &Unread, right: &str) -> String {
    match unread {
        Unread::Forbidden(_) => format!("you may not {right}"),
        Unread::Absent(message) | Unread::Other(message) => message.clone(),
    }
}

/// Fails where no object was found that was to be there.
pub(in crate::cli) fn some(objects: Vec<Declared>, scope: &Scope) -> anyhow::Result<Vec<Declared>> {
    match scope {
        Scope::Namespace(name) if objects.is_empty() => bail!("there is no UpstreamParams in the namespace {name}"),
        Scope::All | Scope::Namespace(_) | Scope::Named(_) => Ok(objects),
    }
}
