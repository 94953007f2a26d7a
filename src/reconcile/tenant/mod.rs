//! One tenant, as this process knows it: the only owner of its state, agenda and memory. No locks but for the
//! budget, which the observer of each call keeps, and for the agenda, which whoever asks for metrics counts.
//!
//! - `state`: whether the tenant can be used.
//! - `authentication`: whether Auth0 accepts its credentials.
//! - `objects`: what is to be done about an object before anything is read.
//! - `reporting`: what is written to Kubernetes.
//! - `requests`: what somebody asks a look at.
//! - `shared`: what all tenants share.
//!
//! What is due is done by [`crate::reconcile::driver`], one at a time, with [`crate::reconcile::pass`].
//!
//! Guarantees: what is due changes in `Tenant::apply` and in `Tenant::step` only; what was noted of objects that are
//! gone is forgotten.

mod authentication;
mod objects;
mod reporting;
mod requests;
mod shared;
mod state;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::clock;
use crate::core::pass::claims;
use crate::core::pass::known_connections::KnownConnections;
use crate::core::pass::memory::Memory;
use crate::core::schedule::agenda::{Agenda, Pick};
use crate::core::schedule::work_queue::{Item, WorkQueue};
use crate::core::schedule::{ConnectionKey, Due, Lane, Next};
use crate::core::spec::Target;
use crate::core::tenant::request::EverythingRequest;
use crate::core::tenant::state::TenantState;
use crate::core::world::{Connection, Declared, World};
use crate::model::identity::{ConnectionId, ConnectionName, ObjectKey, Uid};
pub(crate) use shared::{Auth0Tenants, Shared};
use state::Reach;

/// One tenant, as this process knows it.
pub(crate) struct Tenant {
    pub(crate) name: String,
    /// Whether this stands for no tenant, but for all objects whose tenant does not exist. Its name is empty.
    orphans: bool,
    pub(crate) shared: Shared,
    state: TenantState<Reach>,
    agenda: Arc<Mutex<Agenda>>,
    queue: WorkQueue,
    /// Whether it was work at Kubernetes that was done last: then work at Auth0 that is due comes first, as the other may last
    /// and come again.
    did_kubernetes: bool,
    /// Since when an object waits for what is not known yet.
    waits: BTreeMap<Uid, Instant>,
    /// What was told of a deletion that is not through yet.
    told: BTreeSet<(Uid, String)>,
    /// Who asks for a look at everything.
    request: EverythingRequest,
    pub(crate) known_connections: KnownConnections,
    pub(crate) memory: Memory,
}

/// What a tenant's driver does now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Reconcile this at Kubernetes alone.
    Kubernetes(Item),
    /// Do this at Auth0.
    Auth0(Due),
    /// Nothing before this time, if there is one.
    Wait(Option<Instant>),
}

impl Tenant {
    /// A tenant of which nothing is known yet.
    pub(crate) fn new(name: String, shared: Shared) -> Self {
        Self {
            name,
            orphans: false,
            shared,
            state: TenantState::Unknown,
            agenda: Arc::default(),
            queue: WorkQueue::default(),
            did_kubernetes: false,
            waits: BTreeMap::new(),
            told: BTreeSet::new(),
            request: EverythingRequest::default(),
            known_connections: KnownConnections::default(),
            memory: Memory::default(),
        }
    }

    /// What stands for the tenants that do not exist.
    pub(crate) fn of_orphans(shared: Shared) -> Self {
        Self { orphans: true, ..Self::new(String::new(), shared) }
    }

    /// What is to be done now, as far as the budget allows it: work at Kubernetes and at Auth0 by turns.
    pub(crate) fn step(&mut self) -> Step {
        let now = clock::now();
        if !std::mem::take(&mut self.did_kubernetes)
            && let Some(item) = self.queue.take(now)
        {
            self.did_kubernetes = true;
            return Step::Kubernetes(item);
        }
        let (opens_at, authentication_due) = (self.opens_at(now), self.authentication_due());
        let pick = self.agenda.lock().pick(now, opens_at, authentication_due);
        if pick == Pick::Due(Due::Authentication)
            && let Some(serving) = self.state.serving_mut()
        {
            serving.authentication.begin();
        }
        let grace_ends = self.state.grace_ends();
        match (pick, self.queue.first().into_iter().chain(grace_ends).min()) {
            (Pick::Due(due), _) => Step::Auth0(due),
            // A Secret that was away for a moment may be away for good, which is found out before anything is tried.
            _ if grace_ends.is_some_and(|end| end <= now) => Step::Auth0(Due::Authentication),
            (Pick::Wait(until), Some(other)) => Step::Wait(Some(until.min(other))),
            (Pick::Wait(until), None) => Step::Wait(Some(until)),
            (Pick::Idle, other) => Step::Wait(other),
        }
    }

    /// Takes on what is to be looked at next.
    pub(crate) fn apply(&mut self, next: Next) {
        self.agenda.lock().apply(next);
    }

    /// Does work at Kubernetes.
    pub(crate) async fn reconcile_item(&mut self, item: Item) -> Next {
        match item {
            Item::Tenant => {
                self.report_tenant().await;
                Next::default()
            }
            Item::Object(key) => self.reconcile_key(&key, Lane::Edit).await,
            Item::Record(key, connection) => self.look_for_record(key, connection),
            Item::Everything => {
                self.look_at_everything().await;
                Next::default()
            }
        }
    }

    /// What is to be looked at where an object is gone: whoever waited for its parameters may have them now. One of its name that is
    /// made anew is tried again as soon as any other.
    pub(crate) fn vacated(&mut self, object: ObjectKey, target: Option<&Target>, connections: Vec<ConnectionId>) -> Next {
        self.queue.finish(&Item::Object(object));
        let mut next = Next::default();
        let named = target.map(|target| self.key_of(target));
        for connection in named.into_iter().chain(connections.into_iter().map(ConnectionKey::Id)) {
            next.at(connection, Lane::Edit, clock::now());
        }
        next
    }

    /// Whether an object is to be concluded here.
    fn serves(&self, world: &World, object: &Declared) -> bool {
        let tenant = &object.policies.tenant;
        if self.orphans { world.tenant(tenant).is_none() } else { *tenant == self.name }
    }

    /// What an object has on a connection is looked at there, unless it is gone.
    fn look_for_record(&mut self, key: ObjectKey, connection: ConnectionId) -> Next {
        let mut next = Next::default();
        let is_recorded = |object: Arc<Declared>| claims::is_recorded(&object.status, &connection);
        if self.shared.hub.read(|world| world.object(&key)).is_some_and(is_recorded) {
            next.at(ConnectionKey::Id(connection), Lane::Edit, clock::now());
        } else {
            self.queue.finish(&Item::Record(key, connection));
        }
        next
    }

    /// The objects that are to be concluded here.
    fn objects(&self) -> Vec<Arc<Declared>> {
        self.shared.hub.read(|world| if self.orphans { world.orphans() } else { world.objects_of(&self.name).cloned().collect() })
    }

    /// A connection of this tenant, by as much as is known of it.
    pub(crate) fn connection<'a>(&'a self, id: Option<&'a ConnectionId>, name: Option<&'a ConnectionName>) -> Connection<'a> {
        Connection { tenant: &self.name, identity: self.identity(), id, name }
    }

    /// The connection that stands behind a key, as far as it is known; none behind a name whose id is known, as that
    /// is looked at by its id.
    pub(crate) fn connection_of<'a>(&'a self, key: &'a ConnectionKey) -> Option<Connection<'a>> {
        match key {
            ConnectionKey::Id(id) => Some(self.connection(Some(id), self.known_connections.name_of(id))),
            ConnectionKey::Name(name) => {
                let unseen = self.known_connections.id_of(&Target::Name(name.clone())).is_none();
                unseen.then(|| self.connection(None, Some(name)))
            }
        }
    }

    /// The objects that the connection behind a key concerns.
    pub(crate) fn concerned(&self, key: &ConnectionKey) -> Vec<Arc<Declared>> {
        let concerned = |connection| self.shared.hub.read(|world| world.concerned(&connection));
        self.connection_of(key).map(concerned).unwrap_or_default()
    }

    /// By id where it is known: reading by id needs no filter.
    pub(crate) fn key_of(&self, target: &Target) -> ConnectionKey {
        match (self.known_connections.id_of(target), target) {
            (Some(id), _) | (None, Target::Id(id)) => ConnectionKey::Id(id.clone()),
            (None, Target::Name(name)) => ConnectionKey::Name(name.clone()),
        }
    }

    /// A key as people call it: a connection by its name, where that is known.
    pub(crate) fn display_name<'a>(&'a self, key: &'a ConnectionKey) -> &'a str {
        match key {
            ConnectionKey::Id(id) => self.known_connections.name_of(id).map_or(id.as_str(), ConnectionName::as_str),
            ConnectionKey::Name(name) => name,
        }
    }

    /// Forgets what was noted of objects that are gone. Yields how many are there.
    pub(crate) fn forget_gone(&mut self) -> usize {
        let objects = self.objects();
        let uids: BTreeSet<Uid> = objects.iter().map(|object| object.uid.clone()).collect();
        let places: BTreeSet<ConnectionKey> = objects.iter().flat_map(|object| self.connections_of(object)).collect();
        let keys: BTreeSet<&ObjectKey> = objects.iter().map(|object| &object.key).collect();
        self.memory.retain(&uids, &places);
        self.known_connections.retain(|id| places.contains(&ConnectionKey::Id(id.clone())));
        self.waits.retain(|uid, _| uids.contains(uid));
        self.told.retain(|(uid, _)| uids.contains(uid));
        self.queue.retain(|key| keys.contains(key));
        objects.len()
    }

    /// Forgets what was noted of a connection, where it concerns nobody any more: whoever names it next begins anew.
    pub(crate) fn forget_vacant(&mut self, connection: &ConnectionKey) {
        if !self.concerned(connection).is_empty() {
            return;
        }
        self.memory.failures.forget(connection);
        if let ConnectionKey::Id(id) = connection {
            self.memory.turns.end(id);
            self.known_connections.forget(id);
        }
    }

    /// A write to this connection had no answer: it may arrive yet, for as long as any call may take.
    pub(crate) fn may_still_land(&self, connection: &ConnectionId) {
        let now = clock::now();
        let until = now + self.shared.transport.request_timeout();
        if let Some(identity) = self.identity() {
            self.shared.auth0_tenants.may_still_land(identity, connection, now, until);
        }
        self.shared.leadership.may_still_land(until);
    }

    /// How long a write to this connection may still be under way: one of ours, or of whoever led before.
    pub(crate) fn unsettled_for(&self, connection: &ConnectionId) -> Option<Duration> {
        let now = clock::now();
        let ours = self.identity().and_then(|identity| self.shared.auth0_tenants.unsettled_for(identity, connection, now));
        ours.max(self.shared.leadership.settles_in())
    }
}
