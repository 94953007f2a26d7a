//! What all drivers share, and what belongs to an Auth0 tenant whichever object stands for it.
//!
//! Guarantees: of one Auth0 tenant there is one lock and one budget at a time, also while one object takes over from another; that a
//! write to it may still be under way is known to whoever stands for it next.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use tokio_util::sync::CancellationToken;

use crate::api::tenant::RateLimit;
use crate::auth0::{Budget, Rate, Transport};
use crate::clock::WallClock;
use crate::kubernetes::hub::Hub;
use crate::kubernetes::lease::Leadership;
use crate::kubernetes::report::Report;
use crate::model::domain::AllowedDomains;
use crate::model::identity::{ConnectionId, TenantIdentity};
use crate::telemetry::Metrics;

/// How many budgets are kept before those of tenants that are gone are forgotten.
const MAX_BUDGETS: usize = 1000;

/// What all drivers share.
#[derive(Clone)]
pub(crate) struct Shared {
    /// The world.
    pub hub: Arc<Hub>,
    /// Whether anything may be written.
    pub leadership: Leadership,
    /// Where Kubernetes is written to.
    pub report: Report,
    /// How tenants are reached.
    pub transport: Transport,
    /// Which hosts may be reached.
    pub allowed: AllowedDomains,
    /// The operator's own namespace, where the Secrets are.
    pub namespace: String,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The locks and budgets of Auth0 tenants.
    pub auth0_tenants: Arc<Auth0Tenants>,
    /// The clock for what is shown to people.
    pub wall: WallClock,
    /// Ends when the process is asked to stop.
    pub stop: CancellationToken,
}

#[cfg(test)]
impl Shared {
    /// What drivers share where the API server refuses every write, and no tenant can be reached.
    pub(crate) fn refused(hub: Arc<Hub>) -> Self {
        use crate::auth0::{TransportOptions, install_crypto_provider};
        use crate::telemetry::RequestTimes;

        install_crypto_provider();
        let refusing = axum::Router::new().fallback(|| async { axum::http::StatusCode::FORBIDDEN });
        let nowhere = TransportOptions { endpoint_override: Some("http://127.0.0.1:9".to_owned()), ..TransportOptions::default() };
        let leadership = Leadership::of_a_test();
        let report = Report::new(kube::Client::new(refusing, "default"), hub.clone(), None, WallClock::system());
        Self {
            report: report.under(leadership.clone()),
            leadership,
            metrics: Arc::new(Metrics::new(hub.clone(), &RequestTimes::default())),
            hub,
            transport: Transport::new(&nowhere).unwrap(),
            allowed: AllowedDomains::default(),
            namespace: "default".to_owned(),
            auth0_tenants: Arc::new(Auth0Tenants::default()),
            wall: WallClock::system(),
            stop: CancellationToken::new(),
        }
    }
}

/// A budget that the observer of each call keeps.
pub(crate) type SharedBudget = Arc<Mutex<Budget>>;

/// The lock of each Auth0 tenant, which is held during a pass, and what must not be new because the object that stands for it, or its
/// Secret, is: its budget, and which writes may still be under way.
#[derive(Debug, Default)]
pub(crate) struct Auth0Tenants {
    locks: Mutex<BTreeMap<TenantIdentity, Arc<tokio::sync::Mutex<()>>>>,
    budgets: Mutex<BTreeMap<TenantIdentity, SharedBudget>>,
    /// The connections to which a write may still be under way, and until when.
    unsettled: Mutex<BTreeMap<(TenantIdentity, ConnectionId), Instant>>,
}

impl Auth0Tenants {
    /// The lock of this tenant.
    pub(crate) fn lock_of(&self, identity: &TenantIdentity) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.locks.lock();
        // Of tenants that are gone nobody holds one any more.
        locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        locks.entry(identity.clone()).or_default().clone()
    }

    /// A write to this connection had no answer: it may arrive yet, until then.
    pub(crate) fn may_still_land(&self, tenant: &TenantIdentity, connection: &ConnectionId, now: Instant, until: Instant) {
        let mut unsettled = self.unsettled.lock();
        unsettled.retain(|_, until| now < *until);
        unsettled.insert((tenant.clone(), connection.clone()), until);
    }

    /// How long a write to this connection may still be under way.
    pub(crate) fn unsettled_for(&self, tenant: &TenantIdentity, connection: &ConnectionId, now: Instant) -> Option<Duration> {
        let until = self.unsettled.lock().get(&(tenant.clone(), connection.clone())).copied()?;
        Some(until.saturating_duration_since(now)).filter(|left| !left.is_zero())
    }

    /// The budget of this tenant, at this rate from now on. A changed rate gives nothing away: what is used up, or closed by a
    /// 429, stays so.
    pub(crate) fn budget_at(&self, identity: &TenantIdentity, limit: &RateLimit, now: Instant) -> SharedBudget {
        let per_minute = |count: i32| Rate::new(count.unsigned_abs().max(1), limit.burst.unsigned_abs().max(1));
        let (reads, requests) = (per_minute(limit.reads_per_minute), per_minute(limit.requests_per_minute));
        let mut budgets = self.budgets.lock();
        if budgets.len() > MAX_BUDGETS {
            budgets.retain(|_, budget| Arc::strong_count(budget) > 1);
        }
        let fresh = || Arc::new(Mutex::new(Budget::new(reads, requests, now)));
        let budget = budgets.entry(identity.clone()).or_insert_with(fresh).clone();
        let mut known = budget.lock();
        known.reads.set_rate(reads, now);
        known.requests.set_rate(requests, now);
        drop(known);
        budget
    }
}
