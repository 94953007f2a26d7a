//! The driver of one tenant: takes in news, picks what is due, and runs one pass after the other.
//!
//! One driver runs for each `ClusterAuth0Tenant` that exists, and one for all objects whose tenant does not. Passes of one
//! tenant follow each other, so no two of them ever plan from the same connection or write to the same object; tenants do
//! not wait for each other.
//!
//! Guarantees: news is taken in before a pass begins; a pass that has begun is finished when the process is asked to
//! stop, and when the driver is let go; two objects that stand for one Auth0 tenant never have passes at the same time,
//! not even while one takes over from the other; what was noted of objects that are gone does not stay for ever.

use std::collections::BTreeSet;
use std::time::Instant;

use tokio::sync::mpsc;
use tracing::Instrument;

use crate::auth0::Client;
use crate::core::schedule::{Next, Subject};
use crate::core::spec::Target;
use crate::core::tenant::{Access, Settings};
use crate::core::world::Left;
use crate::model::identity::{ConnectionId, ObjectKey, Uid};
use crate::reconcile::pass;
use crate::reconcile::tenant::{Shared, Tenant};

/// What a driver is told.
#[derive(Clone, Debug)]
pub enum Note {
    /// An object of the tenant changed.
    Object(ObjectKey),
    /// Somebody took our finalizer from an object.
    Finalizer(ObjectKey),
    /// The labels of an object's namespace changed, and nothing of the object.
    Relabelled(ObjectKey),
    /// Somebody wrote an object's status, and nothing else of it changed.
    Status(ObjectKey),
    /// An object of the tenant is gone; these places may have become free.
    Gone {
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
    /// The tenant object, its Secret or its standing may have changed.
    Tenant,
}

/// After how many notes of objects those that are gone are forgotten, at least: that takes a look at all that are there, so it
/// waits for as many notes as there are objects.
const TIDIED_AFTER: usize = 1000;

/// Drives one tenant.
pub struct Driver {
    tenant: Tenant,
    notes: mpsc::UnboundedReceiver<Note>,
    heard: usize,
    tidied_after: usize,
}

enum Heard {
    Stop,
    Note(Note),
    Nothing,
}

impl Driver {
    /// A driver of the tenant of this name, which knows nothing of it yet.
    pub fn new(name: String, shared: Shared, notes: mpsc::UnboundedReceiver<Note>) -> Self {
        Self { tenant: Tenant::new(name, shared), notes, heard: 0, tidied_after: TIDIED_AFTER }
    }

    /// The driver of all objects whose tenant does not exist.
    pub fn of_strays(shared: Shared, notes: mpsc::UnboundedReceiver<Note>) -> Self {
        Self { tenant: Tenant::of_strays(shared), notes, heard: 0, tidied_after: TIDIED_AFTER }
    }

    /// Runs until the process is asked to stop, or until nobody can tell it anything any more.
    pub async fn run(mut self) {
        self.tenant.refresh().await;
        loop {
            let heard = match self.tenant.next() {
                Next::Look(subject) => {
                    // News first: what is planned from should be the latest.
                    while let Ok(note) = self.notes.try_recv() {
                        self.absorb(note).await;
                    }
                    if self.tenant.shared.stop.is_cancelled() || self.notes.is_closed() {
                        return;
                    }
                    self.look(subject).await;
                    continue;
                }
                Next::Chore(chore) => {
                    while let Ok(note) = self.notes.try_recv() {
                        self.absorb(note).await;
                    }
                    if self.tenant.shared.stop.is_cancelled() {
                        return;
                    }
                    self.tenant.do_chore(chore).await;
                    continue;
                }
                Next::Wait(until) => self.listen(Some(until)).await,
                Next::Idle => self.listen(None).await,
            };
            match heard {
                Heard::Stop => return,
                Heard::Note(note) => self.absorb(note).await,
                Heard::Nothing => {}
            }
        }
    }

    async fn listen(&mut self, until: Option<Instant>) -> Heard {
        let pause = async {
            match until {
                Some(until) => tokio::time::sleep_until(until.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.tenant.shared.stop.cancelled() => Heard::Stop,
            note = self.notes.recv() => note.map_or(Heard::Stop, Heard::Note),
            () = pause => Heard::Nothing,
        }
    }

    /// Takes in a note and all that wait behind it: a burst of changes costs one look.
    async fn absorb(&mut self, first: Note) {
        let (mut objects, mut relabelled) = (BTreeSet::new(), BTreeSet::new());
        let mut stripped = BTreeSet::new();
        let mut forged = BTreeSet::new();
        let (mut tenant, mut gone) = (false, 0);
        let mut next = Some(first);
        while let Some(note) = next {
            match note {
                Note::Object(key) => {
                    objects.insert(key);
                }
                Note::Relabelled(key) => {
                    relabelled.insert(key);
                }
                Note::Finalizer(key) => {
                    stripped.insert(key);
                }
                Note::Status(key) => {
                    forged.insert(key);
                }
                Note::Gone { target, connections, left } => {
                    gone += 1;
                    self.tenant.vacated(target.as_ref(), connections);
                    if let Some(left) = left {
                        self.tenant.went_without_cleaning(&left).await;
                    }
                }
                Note::Left { uid, left, why } => self.tenant.left(&left, &uid, why).await,
                Note::Tenant => tenant = true,
            }
            next = self.notes.try_recv().ok();
        }
        // First, as a deletion that comes before it is one that removes nothing.
        for key in stripped {
            self.tenant.keep(&key).await;
        }
        if tenant {
            self.tenant.refresh().await;
        }
        self.heard += objects.len() + gone;
        if self.heard >= self.tidied_after {
            self.heard = 0;
            self.tidied_after = self.tenant.forget_gone().max(TIDIED_AFTER);
        }
        for key in forged {
            self.tenant.restore_status(&key);
        }
        let edited = objects.iter().map(|key| (key, true));
        for (key, edited) in edited.chain(relabelled.difference(&objects).map(|key| (key, false))) {
            if self.tenant.shared.stop.is_cancelled() {
                return;
            }
            self.tenant.place_by_key(key, edited).await;
        }
    }

    /// Looks at what is due, when it is this object's turn at the Auth0 tenant.
    async fn look(&mut self, subject: Subject) {
        let tenant = &mut self.tenant;
        if subject == Subject::Access {
            // A Secret that was away for a moment may be away for good.
            tenant.refresh().await;
        }
        let Some(settings) = tenant.settings() else { return tenant.place_subject(&subject).await };
        let turn = tenant.shared.turns.of(settings.audience.identity());
        let _turn = turn.lock().await;
        if tenant.shared.stop.is_cancelled() {
            // Who waited for another's pass begins none after it.
            return;
        }
        if subject == Subject::Access {
            let span = tracing::error_span!("access", tenant = tenant.name);
            let trial = tenant.look_at_access().instrument(span).await;
            if let (Some(subject), Some(client), Some(settings)) = (trial, tenant.client(), tenant.settings()) {
                pass(tenant, &client, &settings, subject).await;
                tenant.after_trial();
            }
            return;
        }
        let Some(client) = tenant.client() else { return };
        if tenant.access != Access::Granted {
            return tenant.place_subject(&subject).await;
        }
        pass(tenant, &client, &settings, subject).await;
    }
}

/// Runs a pass, in a span that says of every line where it belongs: at the level of errors, so that it is there also for a
/// warning, whatever else is filtered out.
async fn pass(tenant: &mut Tenant, client: &Client, settings: &Settings, subject: Subject) {
    let span = tracing::error_span!("pass", tenant = tenant.name, connection = tenant.called(&subject));
    pass::pass(tenant, client, settings, subject).instrument(span).await;
}
