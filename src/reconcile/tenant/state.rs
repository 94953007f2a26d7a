//! Whether the tenant can be used: what its object resolves to, and what it is reached with.
//!
//! Guarantees: whenever the tenant object amounts to something else, every object of the tenant is reconciled; the budget
//! is the Auth0 tenant's own and outlasts the object that stands for it.

use std::sync::Arc;
use std::time::Instant;

use super::Tenant;
use super::shared::{Shared, SharedBudget};
use crate::auth0::{Call, Client, Credentials, Route, SharedSecret};
use crate::clock;
use crate::core::tenant::state::{ResolvedTenant, Serving};
use crate::core::tenant::{self, Resolution, TenantSettings};
use crate::model::identity::TenantIdentity;

/// What a tenant that serves is reached with.
pub(super) struct Reach {
    client: Arc<Client>,
    pub(super) budget: SharedBudget,
}

impl Reach {
    /// For these settings: what goes on from before is kept.
    fn new(tenant: &str, shared: &Shared, settings: &TenantSettings, before: Option<&Serving<Self>>, now: Instant) -> Self {
        let same_rate = |old: &&Serving<Self>| {
            (old.settings.audience.identity(), &old.settings.rate_limit) == (settings.audience.identity(), &settings.rate_limit)
        };
        let budget = before.filter(same_rate).map_or_else(
            || shared.auth0_tenants.budget_at(settings.audience.identity(), &settings.rate_limit, now),
            |old| old.reach.budget.clone(),
        );
        shared.metrics.serves(tenant, &budget);
        let same_access = before.filter(|old| old.settings.same_access(settings));
        let client = same_access.map_or_else(|| Arc::new(client(tenant, shared, settings, &budget)), |old| old.reach.client.clone());
        Self { client, budget }
    }
}

fn client(tenant: &str, shared: &Shared, settings: &TenantSettings, budget: &SharedBudget) -> Client {
    let (budget, metrics, tenant) = (budget.clone(), shared.metrics.clone(), tenant.to_owned());
    let observer = move |call: &Call| {
        let now = clock::now();
        let mut budget = budget.lock();
        // A renewed token repeats a request, and one that is gone by its id is asked for by its name: where the bucket is empty then, the
        // next pass waits for both.
        budget.pay(call.route, now);
        budget.observe(call, now);
        drop(budget);
        metrics.call(&tenant, call.route.as_str(), (call.status, call.took), call.route == Route::Token && call.status == Some(200));
    };
    let secret = SharedSecret { client_id: settings.client_id.clone(), client_secret: settings.client_secret.clone() };
    let (domain, audience) = (settings.domain.clone(), settings.audience.clone());
    Client::new(shared.transport.clone(), domain, audience, Credentials::Secret(secret), Arc::new(observer))
}

impl Tenant {
    /// Resolves the tenant object anew. When that changes anything, every object is reconciled.
    pub(crate) async fn refresh(&mut self) {
        let now = clock::now();
        let resolved: ResolvedTenant = self.state.resolve(now, |kept| self.resolve(kept));
        let (name, shared) = (&self.name, &self.shared);
        let changed = self.state.take_on(resolved, now, |settings, before| Reach::new(name, shared, settings, before, now));
        // What is asked of an object that is made anew under its name can't be told from what was asked of the one before.
        let declared = self.shared.hub.read(|world| world.tenant(&self.name));
        let is_declared = declared.is_some();
        let is_new = declared.is_some_and(|tenant| self.request.meet(&tenant, now));
        self.report_tenant().await;
        if is_declared {
            self.shared.metrics.schedules(&self.name, &self.agenda);
        }
        if changed || is_new || !self.waits.is_empty() {
            self.reconcile_all().await;
        }
    }

    /// Whether the tenant is to be resolved anew before anything is planned.
    pub(crate) fn is_outdated(&self) -> bool {
        self.state.is_outdated(|kept| self.resolve(kept))
    }

    /// What the tenant object amounts to, where its Secret is away with the credentials of these settings.
    fn resolve(&self, kept: Option<&TenantSettings>) -> Option<Resolution> {
        let shared = &self.shared;
        shared.hub.read(|world| tenant::resolve_with(world, &self.name, &shared.allowed, &shared.namespace, kept))
    }

    /// The settings, while the tenant serves.
    pub(crate) fn serving(&self) -> Option<&TenantSettings> {
        self.state.serving().map(|serving| &serving.settings)
    }

    /// The client, while the tenant serves.
    pub(crate) fn client(&self) -> Option<Arc<Client>> {
        self.state.serving().map(|serving| serving.reach.client.clone())
    }

    /// The identity of the Auth0 tenant, while the tenant serves.
    pub(crate) fn identity(&self) -> Option<&TenantIdentity> {
        self.serving().map(|settings| settings.audience.identity())
    }

    /// When the budget allows the next pass. Without a tenant nothing is asked of anybody.
    pub(super) fn opens_at(&self, now: Instant) -> Instant {
        self.state.serving().map_or(now, |serving| serving.reach.budget.lock().opens_at(now))
    }
}
