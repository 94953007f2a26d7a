//! The driver of one tenant: takes in news, picks what is due, and runs one pass after the other.
//!
//! One driver runs for each name of a `ClusterAuth0Tenant` that exists or is referred to. Passes of one tenant follow
//! each other, so no two of them ever plan from the same connection or write to the same object; tenants do not wait
//! for each other.
//!
//! Guarantees: news is taken in before a pass begins; a pass that has begun is finished when the process is asked to
//! stop; two objects that stand for one Auth0 tenant never have passes at the same time, not even while one takes over
//! from the other.

use std::collections::BTreeSet;
use std::time::Instant;

use tokio::sync::mpsc;

use crate::connection;
use crate::core::schedule::{Next, Subject};
use crate::core::tenancy::Access;
use crate::core::validate::Target;
use crate::core::world::{Left, ObjectKey};
use crate::tenant::{Shared, Tenant};

/// What a driver is told.
#[derive(Clone, Debug)]
pub enum Note {
    /// An object of the tenant changed.
    Object(ObjectKey),
    /// Somebody took our finalizer from an object.
    Finalizer(ObjectKey),
    /// An object of the tenant is gone; these places may have become free.
    Gone {
        /// The connection it named.
        target: Option<Target>,
        /// The connections it held a record on.
        connections: Vec<String>,
        /// What it left behind, where that was not meant.
        left: Option<Left>,
    },
    /// The tenant object, its Secret or its standing may have changed.
    Tenant,
}

/// Drives one tenant.
pub struct Driver {
    tenant: Tenant,
    notes: mpsc::UnboundedReceiver<Note>,
}

enum Heard {
    Stop,
    Note(Note),
    Nothing,
}

impl Driver {
    /// A driver of the tenant of this name, which knows nothing of it yet.
    pub fn new(name: String, shared: Shared, notes: mpsc::UnboundedReceiver<Note>) -> Self {
        Self { tenant: Tenant::new(name, shared), notes }
    }

    /// Runs until the process is asked to stop.
    pub async fn run(mut self) {
        self.tenant.refresh().await;
        loop {
            let heard = match self.tenant.next() {
                Next::Look(subject) => {
                    // News first: what is planned from should be the latest.
                    while let Ok(note) = self.notes.try_recv() {
                        self.absorb(note).await;
                    }
                    if self.tenant.shared.stop.is_cancelled() {
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
        let mut objects = BTreeSet::new();
        let mut stripped = BTreeSet::new();
        let mut tenant = false;
        let mut next = Some(first);
        while let Some(note) = next {
            match note {
                Note::Object(key) => {
                    objects.insert(key);
                }
                Note::Finalizer(key) => {
                    stripped.insert(key);
                }
                Note::Gone { target, connections, left } => {
                    self.tenant.vacated(target.as_ref(), connections);
                    if let Some(left) = left {
                        self.tenant.went_without_cleaning(&left).await;
                    }
                }
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
        for key in objects {
            self.tenant.place_by_key(&key).await;
        }
    }

    /// Looks at what is due, when it is this object's turn at the Auth0 tenant.
    async fn look(&mut self, subject: Subject) {
        let tenant = &mut self.tenant;
        let Some(settings) = tenant.settings() else { return tenant.place_subject(&subject).await };
        let turn = tenant.shared.turns.of(settings.audience.identity());
        let _turn = turn.lock().await;
        if subject == Subject::Access {
            return tenant.look_at_access().await;
        }
        let Some(client) = tenant.client() else { return };
        if tenant.access != Access::Granted {
            return tenant.place_subject(&subject).await;
        }
        connection::pass(tenant, &client, &settings, subject).await;
    }
}
