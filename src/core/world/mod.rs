//! What Kubernetes declares: the one view that everything is planned from.
//!
//! Guarantees: folding the same events in any order that a watch may deliver them in ends in the same world; an event
//! that is older than what we wrote ourselves changes nothing; the events that our own writes cause wake nobody. A
//! complete list is what there is, whatever was known before, also where versions have gone back, as after the restore
//! of a backup; only what we wrote, or found to be gone, since the list began is newer.
//!
//! Assumes: one writer (the hub). Objects are kept in compact form, not as whole Kubernetes objects, and of Secrets
//! only the two keys that hold credentials, and the names of a few others where one of the two is missing.

pub(crate) mod credentials;
mod declared;
mod objects;
pub(crate) mod request;
mod wake;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::api::tenant::ClusterAuth0TenantStatus;
use crate::api::upstream_params::UpstreamParamsStatus;
use crate::core::pass::claims;
use objects::Objects;

pub(crate) use crate::model::identity::{ConnectionId, Fingerprint, ObjectKey, Uid};
pub use credentials::SecretData;
pub use declared::{Declared, DeclaredTenant};
pub(crate) use objects::Connection;
pub(crate) use wake::{Left, Wake};

/// An object as a plan was made from it, with the labels of its namespace.
pub(crate) type Ground = (Arc<Declared>, Option<BTreeMap<String, String>>);

/// What a record goes for, beside its object itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LetGo {
    /// The tenant as it is declared; none where there is no such object.
    pub tenant: Option<Arc<DeclaredTenant>>,
    /// The labels of the object's namespace.
    pub labels: Option<BTreeMap<String, String>>,
    /// What stays there and is another's from now on, who has a record of it.
    pub handed: Vec<(ConnectionId, String, Fingerprint)>,
}

/// The world. All four maps are complete once [`World::is_complete`].
#[derive(Debug, Default)]
pub struct World {
    objects: Objects,
    tenants: BTreeMap<String, Arc<DeclaredTenant>>,
    namespaces: BTreeMap<String, BTreeMap<String, String>>,
    secrets: BTreeMap<String, SecretData>,
    /// What we are about to write, so that its echo on the watch is not taken for somebody's edit.
    expected: BTreeMap<Uid, Expected>,
    /// What we wrote since the list began that is under way or was the last: an answer may be newer than that list.
    written: BTreeSet<ObjectKey>,
    written_tenants: BTreeSet<String>,
    /// Who is gone, as the answer to a write of ours said: what a watch, or a list that began before, still has of it is older.
    gone: BTreeMap<ObjectKey, Uid>,
    listed: BTreeSet<Kind>,
    unserved: BTreeSet<Kind>,
}

/// What our own writes make of an object.
#[derive(Debug, Default)]
struct Expected {
    status: Option<UpstreamParamsStatus>,
    finalizer: Option<ExpectedFinalizer>,
}

/// Our finalizer as a write of ours makes it.
#[derive(Debug)]
struct ExpectedFinalizer {
    present: bool,
    /// The version that the write is for: it is refused where there is a later one.
    of_version: String,
}

impl Expected {
    fn finalizer_is(&self, present: bool) -> bool {
        self.finalizer.as_ref().is_some_and(|expected| expected.present == present)
    }

    /// A later version without what a write was to make came in its place: the next time that it comes it is not ours.
    fn forget_what_was_refused(&mut self, new: &Declared) {
        self.finalizer.take_if(|expected| expected.present != new.finalizer && is_older(&expected.of_version, &new.resource_version));
    }
}

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `UpstreamParams` of every namespace.
    Object,
    /// `ClusterAuth0Tenant`.
    Tenant,
    /// The labels of namespaces.
    Namespace,
    /// The Secrets of the operator's own namespace.
    Secret,
}

impl Kind {
    /// Everything that is watched.
    pub const ALL: [Self; 4] = [Self::Object, Self::Tenant, Self::Namespace, Self::Secret];
}

/// What became of what was planned from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Since<T> {
    /// Nothing that is known.
    Nothing,
    /// A newer version, or another of its name.
    Newer(Arc<T>),
    /// It is gone.
    Gone,
}

impl<T> Since<T> {
    fn of(known: Option<&Arc<T>>, is_newer: impl Fn(&T) -> bool) -> Self {
        match known {
            None => Self::Gone,
            Some(known) if is_newer(known) => Self::Newer(known.clone()),
            Some(_) => Self::Nothing,
        }
    }
}

/// Whether `old` is certainly an earlier version than `new`. Versions of one kind compare as numbers (Kubernetes 1.35,
/// KEP-5504; so in every etcd-backed server before); anything else counts as news, and a stale write gets its 409.
fn is_older(old: &str, new: &str) -> bool {
    matches!((old.parse::<u64>(), new.parse::<u64>()), (Ok(old), Ok(new)) if old < new)
}

/// Whether a list of one namespace, or of all, is about this object.
fn is_within(namespace: Option<&str>, key: &ObjectKey) -> bool {
    namespace.is_none_or(|namespace| key.namespace == namespace)
}

impl World {
    /// Notes that a list of all of a kind is complete.
    pub fn listed(&mut self, kind: Kind) {
        self.listed.insert(kind);
    }

    /// Notes that what is known of a kind may not be what there is, until it is listed again.
    pub fn unlisted(&mut self, kind: Kind) {
        self.listed.remove(&kind);
    }

    /// Whether every watch has listed once. No pass runs before: a half-filled world looks like tenants that are gone.
    pub fn is_complete(&self) -> bool {
        Kind::ALL.iter().all(|kind| self.listed.contains(kind))
    }

    /// Whether this kind has listed once.
    pub fn has_listed(&self, kind: Kind) -> bool {
        self.listed.contains(&kind)
    }

    /// Notes that the API server does not know this kind (any more): what is not there may only not be known yet. A
    /// complete list ends that.
    pub fn unserved(&mut self, kind: Kind) {
        self.unserved.insert(kind);
    }

    /// Whether the API server knows this kind, as far as we know.
    pub fn is_served(&self, kind: Kind) -> bool {
        !self.unserved.contains(&kind)
    }

    /// Folds an object that was added or changed.
    pub fn apply_object(&mut self, new: Declared) -> Vec<Wake> {
        let old = self.objects.get(&new.key);
        if old.is_some_and(|old| old.uid == new.uid && is_older(&new.resource_version, &old.resource_version)) {
            return Vec::new();
        }
        self.take_object(new)
    }

    fn take_object(&mut self, new: Declared) -> Vec<Wake> {
        if self.gone.get(&new.key) == Some(&new.uid) {
            return Vec::new();
        }
        let key = new.key.clone();
        let old = self.objects.get(&key);
        // Its name is there again, and the event that it went was never seen: as when a watch had to list anew.
        let predecessor = old.filter(|old| old.uid != new.uid).map(|old| old.uid.clone());
        let mut wakes = predecessor.map(|uid| self.delete_object(&key, &uid)).unwrap_or_default();
        wakes.extend(self.news(&new));
        if let Some(expected) = self.expected.get_mut(&new.uid) {
            expected.forget_what_was_refused(&new);
        }
        self.objects.insert(new);
        wakes
    }

    /// What somebody else changed of an object. Whoever asks for a look gets it with an edit, which is looked at anyway.
    fn news(&self, new: &Declared) -> Vec<Wake> {
        let Some(old) = self.objects.get(&new.key).filter(|old| !old.differs_but_for_status(new)) else {
            return vec![Wake::Object(new.key.clone())];
        };
        let asked = request::asks(old.reconcile_at.as_ref(), new.reconcile_at.as_ref()).then(|| Wake::Requested(new.key.clone()));
        self.news_beside_spec(old, new).into_iter().chain(asked).collect()
    }

    fn news_beside_spec(&self, old: &Declared, new: &Declared) -> Option<Wake> {
        let key = || new.key.clone();
        let expected = self.expected.get(&new.uid);
        let our_status = expected.is_some_and(|expected| expected.status.as_ref() == Some(&new.status));
        let our_finalizer = expected.is_some_and(|expected| expected.finalizer_is(new.finalizer));
        if old.status != new.status && !our_status {
            return Some(Wake::Status(key()));
        }
        match (old.finalizer, new.finalizer) {
            (false, true) if !our_finalizer => Some(Wake::Object(key())),
            (true, false) if !our_finalizer => Some(Wake::Finalizer(key())),
            (true | false, _) => None,
        }
    }

    /// Folds that an object is gone, as the answer to a write of ours says. A watch that lags may still tell of it.
    pub fn found_gone(&mut self, key: &ObjectKey, uid: &Uid) -> Vec<Wake> {
        let wakes = self.delete_object(key, uid);
        if !wakes.is_empty() {
            self.gone.insert(key.clone(), uid.clone());
        }
        wakes
    }

    /// Folds an object that is gone.
    pub fn delete_object(&mut self, key: &ObjectKey, uid: &Uid) -> Vec<Wake> {
        if self.gone.get(key) == Some(uid) {
            self.gone.remove(key);
        }
        let expected = self.expected.remove(uid).unwrap_or_default();
        if self.objects.get(key).is_none_or(|old| old.uid != *uid) {
            return Vec::new();
        }
        self.written.remove(key);
        let Some(gone) = self.objects.remove(key) else { return Vec::new() };
        let tenant = gone.policies.tenant.clone();
        let left = Left::of(&gone);
        let keeps = left.clone().filter(|_| !gone.cleans_up()).map(|left| Wake::Left {
            tenant: tenant.clone(),
            uid: gone.uid.clone(),
            left,
            why: gone.why_it_leaves(),
        });
        let target = gone.spec.as_ref().ok().map(|spec| spec.target.clone());
        let connections = claims::connections(&gone.status).collect();
        // Where we let it go ourselves, what was to be told is told.
        let left = left.filter(|_| gone.cleans_up() && !expected.finalizer_is(false));
        std::iter::once(Wake::Gone { object: key.clone(), tenant, target, connections, left }).chain(keeps).collect()
    }

    /// A list of the objects of one namespace, or of all, begins.
    pub fn objects_are_listed(&mut self, namespace: Option<&str>) {
        self.written.retain(|key| !is_within(namespace, key));
        self.gone.retain(|key, _| !is_within(namespace, key));
    }

    /// Folds a complete list of the objects of one namespace, or of all.
    pub fn list_objects(&mut self, namespace: Option<&str>, all: Vec<Declared>) -> Vec<Wake> {
        self.unserved.remove(&Kind::Object);
        let present: BTreeSet<&ObjectKey> = all.iter().map(|object| &object.key).collect();
        let known: Vec<&Arc<Declared>> = match namespace {
            Some(namespace) => self.objects.in_namespace(namespace).collect(),
            None => self.objects.iter().collect(),
        };
        let gone = known.into_iter().filter(|object| !present.contains(&object.key));
        let gone: Vec<(ObjectKey, Uid)> = gone.map(|object| (object.key.clone(), object.uid.clone())).collect();
        let mut wakes: Vec<Wake> = gone.iter().flat_map(|(key, uid)| self.delete_object(key, uid)).collect();
        for object in all {
            let ours = self.written.contains(&object.key);
            wakes.extend(if ours { self.apply_object(object) } else { self.take_object(object) });
        }
        wakes
    }

    /// Notes the status that is about to be written.
    pub fn expect(&mut self, uid: &Uid, status: &UpstreamParamsStatus) {
        self.expected.entry(uid.clone()).or_default().status = Some(status.clone());
    }

    /// Notes that our finalizer is about to be set or removed, by a write for this version of the object.
    pub fn expect_finalizer(&mut self, uid: &Uid, present: bool, of_version: &str) {
        let expected = ExpectedFinalizer { present, of_version: of_version.to_owned() };
        self.expected.entry(uid.clone()).or_default().finalizer = Some(expected);
    }

    /// Notes what our own write made of an object: the version, and what it changed.
    pub fn wrote(&mut self, key: &ObjectKey, uid: &Uid, resource_version: &str, change: impl FnOnce(&mut Declared)) {
        let known = self.objects.get(key).filter(|object| object.uid == *uid);
        if known.is_none_or(|object| is_older(resource_version, &object.resource_version)) {
            return;
        }
        self.objects.change(key, |object| {
            resource_version.clone_into(&mut object.resource_version);
            change(object);
        });
        self.written.insert(key.clone());
    }

    /// Folds a tenant that was added or changed.
    pub fn apply_tenant(&mut self, new: DeclaredTenant) -> Vec<Wake> {
        let old = self.tenants.get(&new.name);
        if old.is_some_and(|old| old.uid == new.uid && is_older(&new.resource_version, &old.resource_version)) {
            return Vec::new();
        }
        self.take_tenant(new)
    }

    fn take_tenant(&mut self, new: DeclaredTenant) -> Vec<Wake> {
        let old = self.tenants.get(&new.name);
        let same_spec = old.is_some_and(|old| old.uid == new.uid && old.spec == new.spec && old.generation == new.generation);
        let same_status = old.is_some_and(|old| old.status == new.status);
        // One that is new is looked at anyway.
        let known = old.filter(|old| old.uid == new.uid);
        let asked = known.is_some_and(|old| request::asks(old.reconcile_at.as_ref(), new.reconcile_at.as_ref()));
        let name = new.name.clone();
        self.tenants.insert(name.clone(), Arc::new(new));
        let changed = match (same_spec, same_status) {
            (true, true) => None,
            (true, false) => Some(Wake::Tenant(name.clone())),
            // Its place among others of the same identity may have changed with it.
            (false, _) => Some(Wake::Tenants),
        };
        changed.into_iter().chain(asked.then_some(Wake::EverythingRequested(name))).collect()
    }

    /// Folds a tenant that is gone.
    pub fn delete_tenant(&mut self, name: &str) -> Vec<Wake> {
        self.tenants.remove(name).map(|_| vec![Wake::Tenants]).unwrap_or_default()
    }

    /// A list of the tenants begins.
    pub fn tenants_are_listed(&mut self) {
        self.written_tenants.clear();
    }

    /// Folds a complete list of the tenants.
    pub fn list_tenants(&mut self, all: Vec<DeclaredTenant>) -> Vec<Wake> {
        // Who waits for a tenant of which it was not known whether it is there has its answer now.
        let mut wakes = if self.unserved.remove(&Kind::Tenant) { vec![Wake::Tenants] } else { Vec::new() };
        let present: BTreeSet<&String> = all.iter().map(|tenant| &tenant.name).collect();
        let before = self.tenants.len();
        self.tenants.retain(|name, _| present.contains(name));
        if before != self.tenants.len() {
            wakes.push(Wake::Tenants);
        }
        for tenant in all {
            let ours = self.written_tenants.contains(&tenant.name);
            wakes.extend(if ours { self.apply_tenant(tenant) } else { self.take_tenant(tenant) });
        }
        wakes
    }

    /// Notes what our own write made of a tenant.
    pub fn wrote_tenant(&mut self, name: &str, uid: &Uid, resource_version: &str, status: &ClusterAuth0TenantStatus) {
        let Some(tenant) = self.tenants.get_mut(name).filter(|tenant| tenant.uid == *uid) else { return };
        if is_older(resource_version, &tenant.resource_version) {
            return;
        }
        let tenant = Arc::make_mut(tenant);
        resource_version.clone_into(&mut tenant.resource_version);
        tenant.status = status.clone();
        self.written_tenants.insert(name.to_owned());
    }

    /// Folds the labels of a namespace.
    pub fn apply_namespace(&mut self, name: String, labels: BTreeMap<String, String>) -> Vec<Wake> {
        let wake = match self.namespaces.get(&name) {
            Some(known) if *known == labels => return Vec::new(),
            Some(_) => Wake::Relabelled,
            // Its objects have waited for it.
            None => Wake::Object,
        };
        let wakes = self.objects.in_namespace(&name).map(|object| wake(object.key.clone())).collect();
        self.namespaces.insert(name, labels);
        wakes
    }

    /// Folds a namespace that is gone.
    pub fn delete_namespace(&mut self, name: &str) {
        self.namespaces.remove(name);
    }

    /// Folds a complete list of the namespaces.
    pub fn list_namespaces(&mut self, all: Vec<(String, BTreeMap<String, String>)>) -> Vec<Wake> {
        let present: BTreeSet<&String> = all.iter().map(|(name, _)| name).collect();
        self.namespaces.retain(|name, _| present.contains(name));
        all.into_iter().flat_map(|(name, labels)| self.apply_namespace(name, labels)).collect()
    }

    /// Folds a Secret of the operator's namespace.
    pub fn apply_secret(&mut self, name: String, credentials: SecretData) -> Vec<Wake> {
        let wakes = self.users_of(&name);
        let old = self.secrets.insert(name, credentials.clone());
        if old == Some(credentials) { Vec::new() } else { wakes }
    }

    /// Folds a Secret that is gone.
    pub fn delete_secret(&mut self, name: &str) -> Vec<Wake> {
        self.secrets.remove(name).map(|_| self.users_of(name)).unwrap_or_default()
    }

    /// Folds a complete list of the Secrets of the operator's namespace.
    pub fn list_secrets(&mut self, all: Vec<(String, SecretData)>) -> Vec<Wake> {
        let present: BTreeSet<&String> = all.iter().map(|(name, _)| name).collect();
        let gone: Vec<String> = self.secrets.keys().filter(|name| !present.contains(*name)).cloned().collect();
        let mut wakes: Vec<Wake> = gone.iter().flat_map(|name| self.delete_secret(name)).collect();
        wakes.extend(all.into_iter().flat_map(|(name, credentials)| self.apply_secret(name, credentials)));
        wakes
    }

    fn users_of(&self, secret: &str) -> Vec<Wake> {
        let uses = |tenant: &&Arc<DeclaredTenant>| tenant.spec.as_ref().is_some_and(|spec| spec.credentials.secret_ref.name == secret);
        self.tenants.values().filter(uses).map(|tenant| Wake::Tenant(tenant.name.clone())).collect()
    }

    /// The object of this name.
    pub fn object(&self, key: &ObjectKey) -> Option<Arc<Declared>> {
        self.objects.get(key).cloned()
    }

    /// What is known by now of an object that was planned from.
    pub fn since(&self, object: &Declared) -> Since<Declared> {
        let is_newer = |known: &Declared| known.uid != object.uid || is_older(&object.resource_version, &known.resource_version);
        Since::of(self.objects.get(&object.key), is_newer)
    }

    /// All objects that name this tenant.
    pub fn objects_of(&self, tenant: &str) -> impl Iterator<Item = &Arc<Declared>> {
        self.objects.of(tenant)
    }

    /// All objects that name a tenant which does not exist.
    pub fn orphans(&self) -> Vec<Arc<Declared>> {
        let unknown = self.objects.tenants().filter(|tenant| !self.tenants.contains_key(*tenant));
        unknown.flat_map(|tenant| self.objects.of(tenant)).cloned().collect()
    }

    /// All objects that a connection concerns ([`Connection::concerns`]), by their keys.
    pub fn concerned(&self, connection: &Connection<'_>) -> Vec<Arc<Declared>> {
        self.objects.concerned(connection).cloned().collect()
    }

    /// All objects.
    pub fn objects(&self) -> impl Iterator<Item = &Arc<Declared>> {
        self.objects.iter()
    }

    /// The tenant of this name.
    pub fn tenant(&self, name: &str) -> Option<Arc<DeclaredTenant>> {
        self.tenants.get(name).cloned()
    }

    /// What is known by now of a tenant that was planned from.
    pub fn tenant_since(&self, tenant: &DeclaredTenant) -> Since<DeclaredTenant> {
        let is_newer = |known: &DeclaredTenant| known.uid != tenant.uid || is_older(&tenant.resource_version, &known.resource_version);
        Since::of(self.tenants.get(&tenant.name), is_newer)
    }

    /// All tenants.
    pub fn tenants(&self) -> impl Iterator<Item = &Arc<DeclaredTenant>> {
        self.tenants.values()
    }

    /// Whether anything here is the work of an operator, this one included. Before it writes to a connection for the first time,
    /// every operator writes what it is about to do into the status of an object.
    pub fn shows_work(&self) -> bool {
        // What nobody has looked at yet is given -1 by its definition.
        let is_seen = |generation: Option<i64>| generation.is_some_and(|generation| generation >= 0);
        let is_worked_on =
            |object: &Declared| object.finalizer || !object.status.connections.is_empty() || is_seen(object.status.observed_generation);
        self.tenants().any(|tenant| is_seen(tenant.status.observed_generation)) || self.objects().any(|object| is_worked_on(object))
    }

    /// The labels of a namespace; `None` when it is not known (yet), which is not the same as having none: a watch of
    /// objects may be ahead of that of namespaces.
    pub fn labels(&self, namespace: &str) -> Option<&BTreeMap<String, String>> {
        self.namespaces.get(namespace)
    }

    /// Whether all that a plan rests on is still there as it was: the tenant, and each object with what it declares, what it
    /// recorded, and the labels of its namespace.
    pub fn still_declares(&self, tenant: &DeclaredTenant, objects: &[Ground]) -> bool {
        let same = |object: &Declared, now: &Declared| {
            let declared = |object: &Declared| (object.uid.clone(), object.generation, object.deleting);
            let claimed = now.finalizer == object.finalizer && now.status.connections == object.status.connections;
            claimed && declared(now) == declared(object)
        };
        self.tenants.get(&tenant.name).is_some_and(|now| (&now.uid, &now.spec) == (&tenant.uid, &tenant.spec))
            && objects.iter().all(|(object, labels)| {
                self.objects.get(&object.key).is_some_and(|now| same(object, now)) && self.labels(&object.key.namespace) == labels.as_ref()
            })
    }

    /// Whether what a record of an object goes for is still so: the tenant and what it admits, and that others have a record of what
    /// passes to them.
    pub fn still_lets_go(&self, object: &Declared, reasons: &LetGo) -> bool {
        let LetGo { tenant, labels, handed } = reasons;
        let is_tenant = |now: &DeclaredTenant, then: &DeclaredTenant| (&now.uid, &now.spec) == (&then.uid, &then.spec);
        let same_tenant = match (self.tenants.get(&object.policies.tenant), tenant) {
            (Some(now), Some(then)) => is_tenant(now, then),
            (now, then) => now.is_none() && then.is_none(),
        };
        // One that is being deleted, and has our finalizer no more, keeps nothing.
        let stays = |other: &Declared| other.uid != object.uid && (!other.deleting || other.finalizer);
        let has_it = |other: &Declared, (id, name, print): &(ConnectionId, String, Fingerprint)| {
            stays(other) && claims::on(&other.status, id).get(name).is_some_and(|claim| claim.owned.contains(print))
        };
        let is_anothers = |handed: &(ConnectionId, String, Fingerprint)| {
            let connection = Connection { tenant: &object.policies.tenant, identity: None, id: Some(&handed.0), name: None };
            self.objects.concerned(&connection).any(|other| has_it(other, handed))
        };
        same_tenant && labels.as_ref() == self.labels(&object.key.namespace) && handed.iter().all(is_anothers)
    }

    /// Whether everybody who has a say about one of these parameters of a connection is among those that it was planned for, and
    /// as then: what he declares, what he recorded of them, and the labels of his namespace.
    pub fn nobody_else_has_a_say(&self, connection: &Connection<'_>, names: &BTreeSet<String>, planned: &[Ground]) -> bool {
        let recorded = |object: &Declared| {
            let mut claims = connection.id.map(|id| claims::on(&object.status, id)).unwrap_or_default();
            claims.retain(|name, _| names.contains(name));
            claims.into_iter().map(|(name, claim)| (name, claim.owned)).collect::<Vec<_>>()
        };
        let as_planned = |(object, labels): &Ground, now: &Declared| {
            (&object.uid, object.generation) == (&now.uid, now.generation)
                && recorded(object) == recorded(now)
                && labels.as_ref() == self.labels(&now.key.namespace)
        };
        let mut have_a_say = self.objects.concerned(connection).filter(|object| connection.hears(object, names));
        let planned: BTreeMap<&Uid, &Ground> = planned.iter().map(|ground| (&ground.0.uid, ground)).collect();
        have_a_say.all(|now| planned.get(&now.uid).is_some_and(|ground| as_planned(ground, now)))
    }

    /// The credentials in a Secret of the operator's namespace; `None` when there is no such Secret.
    pub fn credentials(&self, secret: &str) -> Option<SecretData> {
        self.secrets.get(secret).cloned()
    }
}

#[cfg(test)]
mod tests;
