//! What is to be done about the tenant's objects before anything is read at Auth0: some are concluded at once, of the
//! others the connections are looked at.
//!
//! Guarantees: an object is concluded from the world as it is, never from a copy that was kept; what is being deleted waits
//! for what is not known yet, but not for ever.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Tenant;
use crate::clock;
use crate::core::pass::claims;
use crate::core::pass::role::Life;
use crate::core::schedule::work_queue::Item;
use crate::core::schedule::{ConnectionKey, Lane, Next, backoff};
use crate::core::status::Outcome;
use crate::core::tenant::permitted;
use crate::core::tenant::state::TenantState;
use crate::core::tenant::triage::{self, Admission, Asking, Availability, Facts, Look};
use crate::core::world::{Declared, Kind, World};
use crate::model::identity::{ConnectionId, ObjectKey};

/// How long a deletion waits for what is not known, such as its namespace: longer than a watch that failed takes to be
/// tried again.
const PATIENCE: Duration = Duration::from_mins(1);

/// How often it is asked again whether it is known now, at most.
const UNKNOWN_PACE: Duration = Duration::from_secs(5);

/// How often the objects of a tenant that is not ready are concluded anew, at least.
const NOT_READY_PACE: Duration = Duration::from_mins(1);

impl Tenant {
    /// Reconciles every object.
    pub(super) async fn reconcile_all(&mut self) {
        self.forget_gone();
        for object in self.objects() {
            if self.shared.stop.is_cancelled() {
                return;
            }
            let next = self.reconcile(&object, Lane::Routine).await;
            self.apply(next);
        }
        self.request.looks_are_due(clock::now());
    }

    /// Reconciles the object of this key, if it is one of this tenant. `lane`: with which right of way its connections are looked
    /// at.
    pub(crate) async fn reconcile_key(&mut self, key: &ObjectKey, lane: Lane) -> Next {
        let object = self.shared.hub.read(|world| world.object(key).filter(|object| self.serves(world, object)));
        if let Some(object) = object {
            self.memory.requests.take_in(&object);
            return self.reconcile(&object, lane).await;
        }
        self.queue.finish(&Item::Object(key.clone()));
        Next::default()
    }

    /// Reconciles the objects that a connection concerns, where no pass can run: they are told that.
    pub(crate) async fn reconcile_concerned(&mut self, connection: &ConnectionKey) -> Next {
        let mut next = Next::default();
        for object in self.concerned(connection) {
            if self.connections_of(&object).contains(connection) {
                next.append(self.reconcile(&object, Lane::Routine).await);
            }
        }
        next
    }

    /// Concludes an object at once, or yields that its connections are to be looked at.
    async fn reconcile(&mut self, object: &Declared, lane: Lane) -> Next {
        let mut next = Next::default();
        if !self.leave_elsewhere(object).await {
            return next;
        }
        let current = self.shared.hub.read(|world| world.object(&object.key)).filter(|current| current.uid == object.uid);
        let Some(object) = current.as_deref() else { return next };
        self.memory.requests.meet(object);
        let kept = self.ensure_finalizer(object).await;
        let object = kept.as_ref().unwrap_or(object);
        if let Some(unknown) = self.unknown(object) {
            self.wait_to_know(object, unknown).await;
            return next;
        }
        self.waits.remove(&object.uid);
        let (outcome, connections) = self.triage(object);
        let reasons = self.as_known_now(object);
        for connection in connections {
            next.at(connection, lane, clock::now());
        }
        let Some(outcome) = outcome else { return next };
        if let Err(error) = self.report_object(object, object, &outcome, true, reasons).await {
            self.requeue_after_failure(object, &error);
        } else if matches!(outcome, Outcome::TenantNotReady(_) | Outcome::Unread(_)) {
            // Nothing wakes an object when its last look becomes too old to count.
            for connection in self.connections_of(object) {
                next.at(connection, Lane::Routine, clock::now() + NOT_READY_PACE.min(self.stale_after()));
            }
        }
        next
    }

    /// What is said of an object at once, and which of its connections are looked at.
    fn triage(&self, object: &Declared) -> (Option<Outcome>, Vec<ConnectionKey>) {
        let triage = triage::triage(self.facts_of(object));
        let (outcome, look) = self.shared.hub.read(|world| {
            triage.told(self.asking(world, object), || self.state.not_ready(&self.name, || permitted::tenant_meant(world, object)))
        });
        let connections = match look {
            Look::Nowhere => Vec::new(),
            Look::WhereRecorded => self.recorded_subjects(object),
            Look::Everywhere => self.connections_of(object),
        };
        (outcome, connections)
    }

    fn asking<'a>(&'a self, world: &'a World, object: &'a Declared) -> Asking<'a> {
        Asking { tenant: &self.name, settings: self.serving(), labels: world.labels(&object.key.namespace), object }
    }

    fn facts_of(&self, object: &Declared) -> Facts {
        let tenant = match &self.state {
            TenantState::Unknown => Availability::Missing,
            TenantState::Serving(serving) if serving.authentication.is_accepted() => Availability::Ready,
            TenantState::Serving(serving) if serving.authentication.is_untried() => Availability::Untried,
            TenantState::Serving(_) | TenantState::Refused(..) | TenantState::Unresolved(..) => Availability::NotReady,
        };
        Facts {
            tenant,
            tenant_observes: self.serving().is_some_and(|settings| settings.observes),
            admission: self.admission_of(object),
            life: Life::of(object),
            valid: object.spec.is_ok(),
            retains: !object.cleans_up(),
            recorded: claims::any(&object.status),
            has_connections: !self.connections_of(object).is_empty(),
        }
    }

    /// Whether the tenant admits an object to what it names, as far as that is known before anything is read.
    pub(super) fn admission_of(&self, object: &Declared) -> Admission {
        let Some(settings) = self.serving() else { return Admission::Open };
        self.shared.hub.read(|world| triage::admission(settings, world.labels(&object.key.namespace), object))
    }

    /// Why an object may do nothing on the connection that it names, as far as that is known before anything is read.
    pub(crate) fn name_not_admitted(&self, object: &Declared) -> Option<Outcome> {
        self.shared.hub.read(|world| self.asking(world, object).name_not_admitted())
    }

    /// What is said of an object where there is no such connection. `names_it` says whether it is the one that it names.
    pub(crate) fn not_found(&self, object: &Declared, id: Option<&ConnectionId>, names_it: bool) -> Outcome {
        self.shared.hub.read(|world| self.asking(world, object).not_found(world, id, names_it))
    }

    /// Somebody wrote an object's status: it is reconciled at once, and later each time when that goes on, as each time may
    /// cost a look at its connection.
    pub(crate) fn requeue_overwritten(&mut self, key: &ObjectKey) {
        let object = self.shared.hub.read(|world| world.object(key).filter(|object| self.serves(world, object)));
        let Some(object) = object else { return };
        let now = clock::now();
        let pause = match self.memory.status_writes.count(&object.uid, now) {
            0 => Duration::ZERO,
            before => backoff(before, fastrand::f64()),
        };
        self.queue.add(Item::Object(key.clone()), now + pause);
    }

    /// Puts our finalizer back where somebody took it from an object that has something to clean up.
    pub(crate) async fn restore_finalizer(&mut self, key: &ObjectKey) {
        let object = self.shared.hub.read(|world| world.object(key).filter(|object| self.serves(world, object)));
        if let Some(object) = object {
            self.ensure_finalizer(&object).await;
        }
    }

    /// Sees to it that an object with a record has our finalizer. Yields the object as it is then, if it had not.
    async fn ensure_finalizer(&mut self, object: &Declared) -> Option<Declared> {
        if object.finalizer || object.deleting || !object.cleans_up() || !claims::any(&object.status) {
            return None;
        }
        match self.shared.report.finalizer(object, true).await {
            Ok(kept) => {
                tracing::warn!(tenant = %self.name, object = %object.key, "somebody took the finalizer from an object that has parameters to remove; it is put back");
                Some(kept)
            }
            Err(error) => {
                self.requeue_after_failure(object, &error);
                None
            }
        }
    }

    /// What has to be known before anything can be said of an object, and is not.
    fn unknown(&self, object: &Declared) -> Option<&'static str> {
        let (namespace, tenants) =
            self.shared.hub.read(|world| (world.labels(&object.key.namespace).is_some(), world.is_served(Kind::Tenant)));
        if !namespace {
            return Some("its namespace is not known");
        }
        // A tenant that is not there may be one that can't be seen, or one that is about to be made anew with its kind: that
        // matters where the object would be let go for good.
        let unsure = !tenants || self.waits.contains_key(&object.uid);
        let missing = matches!(self.state, TenantState::Unknown);
        (missing && object.deleting && object.finalizer && unsure)
            .then_some("its ClusterAuth0Tenant does not exist, nor did its kind for a while")
    }

    /// Waits, with a date; what is being deleted not for ever.
    async fn wait_to_know(&mut self, object: &Declared, unknown: &str) {
        let now = clock::now();
        let waited = now.duration_since(*self.waits.entry(object.uid.clone()).or_insert(now));
        if object.deleting && object.finalizer && waited >= PATIENCE {
            let outcome = Outcome::Released(unknown.to_owned());
            if let Err(error) = self.report_object(object, object, &outcome, true, self.as_known_now(object)).await {
                self.requeue_after_failure(object, &error);
            }
            return;
        }
        tracing::debug!(tenant = %self.name, object = %object.key, unknown, "an object waits");
        self.queue.add(Item::Object(object.key.clone()), now + PATIENCE.saturating_sub(waited).max(UNKNOWN_PACE));
    }

    /// The connections of this tenant that an object holds a record on.
    pub(crate) fn recorded<'a>(&'a self, object: &'a Declared) -> impl Iterator<Item = ConnectionId> + use<'a> {
        claims::connections_at(&object.status, self.identity())
    }

    fn recorded_subjects(&self, object: &Declared) -> Vec<ConnectionKey> {
        self.recorded(object).map(ConnectionKey::Id).collect()
    }

    /// The connections that an object has to be looked at on: the one it names, and those it holds a record on.
    pub(super) fn connections_of(&self, object: &Declared) -> Vec<ConnectionKey> {
        let mut connections: BTreeSet<ConnectionKey> = self.recorded_subjects(object).into_iter().collect();
        if let (Ok(spec), true) = (&object.spec, !object.deleting || connections.is_empty()) {
            connections.insert(self.key_of(&spec.target));
        }
        connections.into_iter().collect()
    }
}
