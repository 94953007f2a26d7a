//! What somebody asks a look at, by the annotation on an object or on the tenant.
//!
//! Guarantees: it changes when something is looked at, and nothing of what is decided; who may edit one object has only that one
//! looked at, with the right of way of any edit. A look at everything is routine, so that edits do not wait for it. Both keep to
//! the budget, and to the pauses that Auth0 asks for.

use super::Tenant;
use crate::clock;
use crate::core::schedule::work_queue::Item;
use crate::model::identity::ObjectKey;

impl Tenant {
    /// Somebody asks for a look at an object.
    pub(crate) fn request(&mut self, key: &ObjectKey) {
        let object = self.shared.hub.read(|world| world.object(key).filter(|object| self.serves(world, object)));
        if let Some(object) = object {
            let begins = self.memory.requests.ask(&object, clock::now());
            self.queue.add(Item::Object(key.clone()), begins);
        }
    }

    /// Somebody asks for a look at everything.
    pub(crate) fn request_everything(&mut self) {
        if let Some(tenant) = self.shared.hub.read(|world| world.tenant(&self.name)) {
            let begins = self.request.ask(&tenant, clock::now());
            self.queue.add(Item::Everything, begins);
        }
    }

    /// Tries the credentials where the looks would not show whether they are accepted, and has everything looked at.
    pub(super) async fn look_at_everything(&mut self) {
        let now = clock::now();
        self.queue.finish(&Item::Everything);
        if !self.request.begin(now) {
            return;
        }
        tracing::info!(tenant = %self.name, "somebody asks for a look at everything");
        let is_tried = self.state.serving_mut().is_some_and(|serving| serving.authentication.asked_for(now));
        if let Some(client) = self.client().filter(|_| is_tried) {
            client.try_again().await;
        }
        self.reconcile_all().await;
    }

    /// Says that what was asked of the tenant is carried out, once it is.
    pub(crate) async fn conclude_request(&mut self) {
        let first_due = self.agenda.lock().first().into_iter().chain(self.authentication_due()).min();
        if self.request.is_through(first_due) {
            self.report_tenant().await;
        }
    }
}
