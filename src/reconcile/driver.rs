//! The driver of one tenant: takes in what changed, picks what is due, and does one thing after the other.
//!
//! One driver runs for each `ClusterAuth0Tenant` that exists, and one for all objects whose tenant does not. Passes of one
//! tenant follow each other, so no two of them ever plan from the same connection or write to the same object; tenants do
//! not wait for each other.
//!
//! Guarantees: what waits to be taken in is, once, before a pass begins; a pass that has begun is finished when the process is asked to
//! stop, and when the driver is let go; two objects that stand for one Auth0 tenant never have passes at the same time,
//! not even while one takes over from the other; what was noted of objects that are gone does not stay for ever.

use std::collections::BTreeSet;
use std::time::Instant;

use tokio::sync::mpsc;
use tracing::Instrument;

use crate::clock;
use crate::core::schedule::work_queue::Item;
use crate::core::schedule::{ConnectionKey, Due, Lane, Next};
use crate::core::spec::Target;
use crate::core::world::Left;
use crate::model::identity::{ConnectionId, ObjectKey, Uid};
use crate::reconcile::pass;
use crate::reconcile::tenant::{Shared, Step, Tenant};

/// What changed, as a driver is told.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// An object of the tenant changed.
    Object(ObjectKey),
    /// Somebody took our finalizer from an object.
    Finalizer(ObjectKey),
    /// The labels of an object's namespace changed, and nothing of the object.
    Relabelled(ObjectKey),
    /// Somebody wrote an object's status, and nothing else of it changed.
    Status(ObjectKey),
    /// Somebody asks that an object be looked at, and changed nothing that it declares.
    Requested(ObjectKey),
    /// An object of the tenant is gone; its parameters may have become free.
    Gone {
        /// The object.
        object: ObjectKey,
        /// The connection it named.
        target: Option<Target>,
        /// The connections it held a record on.
        connections: Vec<ConnectionId>,
        /// What it left behind, where that was not meant.
        left: Option<Left>,
    },
    /// An object is gone and left what it owned.
    Left {
        /// Its uid.
        uid: Uid,
        /// What it left.
        left: Left,
        /// Why.
        why: &'static str,
    },
    /// The tenant object, its Secret or what else it amounts to may have changed.
    Tenant,
    /// Somebody asks that everything of the tenant be looked at.
    EverythingRequested,
}

/// After how many changes of objects those that are gone are forgotten, at least: that takes a look at all that are there, so it
/// waits for as many changes as there are objects.
const FORGET_GONE_AFTER: usize = 1000;

/// Drives one tenant.
pub(crate) struct Driver {
    tenant: Tenant,
    changes: mpsc::UnboundedReceiver<Change>,
    /// How many changes of objects were taken in since those that are gone were forgotten, and after how many they are again.
    taken_in: usize,
    forget_gone_after: usize,
}

impl Driver {
    /// A driver of the tenant of this name, which knows nothing of it yet.
    pub(crate) fn new(name: String, shared: Shared, changes: mpsc::UnboundedReceiver<Change>) -> Self {
        Self { tenant: Tenant::new(name, shared), changes, taken_in: 0, forget_gone_after: FORGET_GONE_AFTER }
    }

    /// The driver of all objects whose tenant does not exist.
    pub(crate) fn of_orphans(shared: Shared, changes: mpsc::UnboundedReceiver<Change>) -> Self {
        Self { tenant: Tenant::of_orphans(shared), changes, taken_in: 0, forget_gone_after: FORGET_GONE_AFTER }
    }

    /// Runs until the process is asked to stop, or until nobody can tell it anything any more.
    pub(crate) async fn run(mut self) {
        self.tenant.refresh().await;
        loop {
            self.tenant.conclude_request().await;
            match self.tenant.step() {
                Step::Wait(until) => {
                    if self.wait(until).await.is_none() {
                        return;
                    }
                }
                Step::Kubernetes(item) => {
                    self.take_in_waiting().await;
                    if self.is_stopped() {
                        return;
                    }
                    self.reconcile(item).await;
                }
                Step::Auth0(due) => {
                    // First: what is planned from should be the latest.
                    self.take_in_waiting().await;
                    if self.is_stopped() {
                        return;
                    }
                    if self.changes.is_closed() {
                        // Nobody tells it anything any more, but what is gone by now is told.
                        while let Ok(change) = self.changes.try_recv() {
                            self.take_in(change).await;
                        }
                        return;
                    }
                    self.call(due).await;
                }
            }
        }
    }

    fn is_stopped(&self) -> bool {
        self.tenant.shared.stop.is_cancelled()
    }

    /// Waits for this time, or for a change, which is taken in. Yields nothing where the driver is to end.
    async fn wait(&mut self, until: Option<Instant>) -> Option<()> {
        let pause = async {
            match until {
                Some(until) => tokio::time::sleep_until(until.into()).await,
                None => std::future::pending().await,
            }
        };
        let change = tokio::select! {
            biased;
            () = self.tenant.shared.stop.cancelled() => None,
            change = self.changes.recv() => change,
            () = pause => return Some(()),
        };
        self.take_in(change?).await;
        Some(())
    }

    /// Takes in what waits now. What arrives meanwhile waits for the next time: one that edits as fast as that is told keeps nobody
    /// from his turn, and a pass goes by the latest anyway.
    async fn take_in_waiting(&mut self) {
        if let Ok(change) = self.changes.try_recv() {
            self.take_in(change).await;
        }
    }

    /// Takes in a change and all that wait behind it: a burst of changes costs one look.
    async fn take_in(&mut self, first: Change) {
        let mut batch = Batch::default();
        let mut change = Some(first);
        while let Some(one) = change {
            batch.add(one);
            change = self.changes.try_recv().ok();
        }
        let Batch { gone, finalizers, tenant, everything, statuses, requested, objects, relabelled } = batch;
        self.taken_in += objects.len() + gone.iter().filter(|one| matches!(one, Gone::Vacated(..))).count();
        for gone in gone {
            self.take_leave(gone).await;
        }
        // Before deletions, as one that comes first removes nothing.
        for key in finalizers {
            self.tenant.restore_finalizer(&key).await;
        }
        if tenant {
            self.tenant.refresh().await;
        }
        if everything {
            self.tenant.request_everything();
        }
        if self.taken_in >= self.forget_gone_after {
            self.taken_in = 0;
            self.forget_gone_after = self.tenant.forget_gone().max(FORGET_GONE_AFTER);
        }
        for key in statuses {
            self.tenant.requeue_overwritten(&key);
        }
        for key in requested.difference(&objects) {
            self.tenant.request(key);
        }
        let relabelled = relabelled.difference(&objects).map(|key| (key, Lane::Routine));
        for (key, lane) in objects.iter().map(|key| (key, Lane::Edit)).chain(relabelled) {
            if self.is_stopped() {
                return;
            }
            let next = self.tenant.reconcile_key(key, lane).await;
            self.tenant.apply(next);
        }
    }

    async fn take_leave(&mut self, gone: Gone) {
        match gone {
            Gone::Vacated(object, target, connections, left) => {
                let next = self.tenant.vacated(object, target.as_ref(), connections);
                self.tenant.apply(next);
                if let Some(left) = left {
                    self.tenant.report_stripped(&left).await;
                }
            }
            Gone::Left(left, uid, why) => self.tenant.report_left(&left, &uid, why).await,
        }
    }

    /// Does work at Kubernetes.
    async fn reconcile(&mut self, item: Item) {
        let next = self.tenant.reconcile_item(item).await;
        self.tenant.apply(next);
    }

    /// Does work at Auth0, when it is this object's turn at the tenant.
    async fn call(&mut self, due: Due) {
        let tenant = &mut self.tenant;
        if due == Due::Authentication {
            // A Secret that was away for a moment may be away for good.
            tenant.refresh().await;
        }
        let lock = tenant.serving().map(|settings| tenant.shared.auth0_tenants.lock_of(settings.audience.identity()));
        let turn = match &lock {
            Some(lock) => Some(lock.lock().await),
            None => None,
        };
        if turn.is_some() && tenant.shared.stop.is_cancelled() {
            // Who waited for another's pass begins none after it.
            return;
        }
        match due {
            Due::Authentication => authenticate(tenant).await,
            Due::Connection(connection) if tenant.is_authenticated() => pass(tenant, connection).await,
            Due::Connection(connection) => {
                let next = tenant.reconcile_concerned(&connection).await;
                tenant.apply(next);
            }
        }
    }
}

/// Tries the credentials, where it takes one with a pass.
async fn authenticate(tenant: &mut Tenant) {
    let span = tracing::error_span!("authenticate", tenant = tenant.name);
    let trial = tenant.authenticate().instrument(span).await;
    if let Some(connection) = trial {
        pass(tenant, connection).await;
        tenant.plan_after_trial();
    }
}

/// Runs a pass and applies what it yields, in a span that says of every line where it belongs: at the level of errors, so
/// that it is there also for a warning, whatever else is filtered out.
async fn pass(tenant: &mut Tenant, connection: ConnectionKey) {
    let (Some(client), Some(settings)) = (tenant.client(), tenant.serving().cloned()) else { return };
    let span = tracing::error_span!("check", tenant = tenant.name, connection = tenant.display_name(&connection));
    let started = clock::now();
    let next: Next = pass::pass(tenant, client, settings, connection).instrument(span).await;
    tenant.shared.metrics.pass_took(&tenant.name, clock::since(started));
    tenant.apply(next);
}

/// An object that is gone.
enum Gone {
    /// See [`Change::Gone`].
    Vacated(ObjectKey, Option<Target>, Vec<ConnectionId>, Option<Left>),
    /// See [`Change::Left`].
    Left(Left, Uid, &'static str),
}

/// What changed, each object once.
#[derive(Default)]
struct Batch {
    gone: Vec<Gone>,
    finalizers: BTreeSet<ObjectKey>,
    tenant: bool,
    everything: bool,
    statuses: BTreeSet<ObjectKey>,
    requested: BTreeSet<ObjectKey>,
    objects: BTreeSet<ObjectKey>,
    relabelled: BTreeSet<ObjectKey>,
}

impl Batch {
    fn add(&mut self, change: Change) {
        match change {
            Change::Object(key) => drop(self.objects.insert(key)),
            Change::Relabelled(key) => drop(self.relabelled.insert(key)),
            Change::Finalizer(key) => drop(self.finalizers.insert(key)),
            Change::Status(key) => drop(self.statuses.insert(key)),
            Change::Requested(key) => drop(self.requested.insert(key)),
            Change::Gone { object, target, connections, left } => self.gone.push(Gone::Vacated(object, target, connections, left)),
            Change::Left { uid, left, why } => self.gone.push(Gone::Left(left, uid, why)),
            Change::Tenant => self.tenant = true,
            Change::EverythingRequested => self.everything = true,
        }
    }
}
