//! One pass over one connection: read, plan, claim, write, conclude.
//!
//! Guarantees: the document that a PATCH is built from was read for it, and asked for at most [`FRESH`] before the PATCH
//! starts; every object that is acted for stored its claim in between, with the version the plan was made from; what
//! could not be claimed in time is left to the next pass; whatever happens, every object of the connection is told, or
//! the connection is looked at again soon.
//!
//! Assumes: no other pass of this tenant runs at the same time ([`crate::reconcile::driver`]), and what a pass yields is
//! applied to the tenant's agenda after it.

mod claim;
mod conclude;
mod log;
mod plan;
mod read;
mod reading;
mod unseen;
mod write;
mod written;

use std::ops::ControlFlow::{Break, Continue};
use std::sync::Arc;
use std::time::Duration;

use self::read::Asked;
use crate::api::upstream_params::ConnectionStatus;
use crate::auth0::{Client, Failure};
use crate::clock;
use crate::core::pass::claims;
use crate::core::schedule::pace::{Clock, NextLook, Pace};
use crate::core::schedule::{ConnectionKey, Lane, Next};
use crate::core::status::{self, Outcome};
use crate::core::tenant::TenantSettings;
use crate::core::world::{Declared, LetGo};
use crate::kubernetes::report::WriteError;
use crate::model::document::Document;
use crate::model::identity::ConnectionId;
use crate::reconcile::failure::{Phase, pace_of};
use crate::reconcile::tenant::Tenant;

/// How old a document may be when a PATCH built from it starts.
pub(crate) const FRESH: Duration = Duration::from_secs(2);

/// Runs one pass. Yields what is to be looked at next.
pub(crate) async fn pass(tenant: &mut Tenant, client: Arc<Client>, settings: TenantSettings, connection: ConnectionKey) -> Next {
    let pass = Pass { tenant, client, settings, connection, next: Next::default(), at: Asked };
    let read = match pass.read().await {
        Continue(read) => read,
        Break(next) => return next,
    };
    let written = match read.plan().claim().await {
        Continue(claimed) => claimed.write().await,
        Break(unwritten) => unwritten,
    };
    written.conclude().await
}

/// A pass, as far as it has come: [`Asked`], [`read::Read`], [`plan::Planned`], [`claim::Claimed`] or [`written::Written`]. Each
/// step takes what the one before gave, so that nothing can be written which was not claimed.
struct Pass<'t, At> {
    /// What this process knows of the tenant.
    tenant: &'t mut Tenant,
    client: Arc<Client>,
    settings: TenantSettings,
    /// The connection: as it was asked for, and once it was read, by its id.
    connection: ConnectionKey,
    /// What is to be looked at next, as far as it is known.
    next: Next,
    /// How far it has come.
    at: At,
}

impl<'t, At> Pass<'t, At> {
    /// The pass after a step.
    fn then<To>(self, step: impl FnOnce(At) -> To) -> Pass<'t, To> {
        let Self { tenant, client, settings, connection, next, at } = self;
        Pass { tenant, client, settings, connection, next, at: step(at) }
    }

    /// Concludes an object; on a conflict or a failure it is planned again, later each time. Yields whether it was told.
    async fn tell(&mut self, planned: &Declared, stored: &Declared, (outcome, named): (&Outcome, bool), reasons: LetGo) -> bool {
        let told = self.tenant.report_object(planned, stored, outcome, named, reasons).await;
        // One that is deleted is looked at for its records, and what is told of what it names does not see to those.
        let of_record = |id: &ConnectionId| !named || planned.deleting && claims::is_recorded(&planned.status, id);
        match (&told, &self.connection) {
            (Ok(()), ConnectionKey::Id(id)) if of_record(id) => self.tenant.finish_record(planned, id),
            (Err(error), ConnectionKey::Id(id)) if of_record(id) => self.tenant.requeue_record(planned, id, error),
            (Err(error), _) => self.tenant.requeue_after_failure(planned, error),
            (Ok(()), _) => {}
        }
        matches!(told, Ok(()) | Err(WriteError::Gone))
    }

    /// Whether an object has no record on a connection any more.
    fn has_left(&self, object: &Declared, connection: &ConnectionId) -> bool {
        let now = self.tenant.shared.hub.read(|world| world.object(&object.key));
        !now.is_some_and(|now| claims::is_recorded(&now.status, connection))
    }

    /// How soon the pass is tried again that failed in this step.
    fn pace(&mut self, failure: &Failure, phase: Phase) -> Pace {
        pace_of(failure, phase, || self.tenant.memory.failures.count(&self.connection))
    }

    /// The pace of what failed once more.
    fn back_off(&mut self) -> Pace {
        Pace::Backoff(self.tenant.memory.failures.count(&self.connection))
    }

    /// The connection is looked at again then.
    fn look_again(&mut self, lane: Lane, look: &NextLook) {
        let at = look.at(self.clock());
        self.next.at(self.connection.clone(), lane, at);
    }

    fn clock(&self) -> Clock {
        Clock { now: clock::now(), resync: self.settings.resync, chance: fastrand::f64() }
    }

    /// The connection as a status describes it, without its parameters.
    fn described(&self, document: &Document) -> ConnectionStatus {
        status::described(document, self.settings.audience.identity())
    }
}
