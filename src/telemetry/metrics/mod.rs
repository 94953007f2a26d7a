//! Metrics. No label holds a secret or a value of a parameter.

mod collected;
mod durations;
mod labels;
mod process;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use self::collected::Collected;
use self::durations::Durations;
pub use self::durations::RequestTimes;
use self::labels::{BudgetLabels, BuildLabels, CallLabels, PassLabels, TenantLabel, label};
use super::build;
use crate::auth0::Budget;
use crate::clock;
use crate::core::schedule::agenda::Agenda;
use crate::kubernetes::hub::Hub;

/// The content type of [`Metrics::text`].
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    passes: Family<PassLabels, Counter>,
    calls: Family<CallLabels, Counter>,
    budget: Family<BudgetLabels, Gauge>,
    tokens: Family<TenantLabel, Counter>,
    drift_seen: Family<TenantLabel, Counter>,
    drift_corrected: Family<TenantLabel, Counter>,
    foreign: Family<TenantLabel, Counter>,
    durations: Durations,
    authenticated: Family<TenantLabel, Gauge>,
    good_look_age: Family<TenantLabel, Gauge>,
    good_looks: Mutex<BTreeMap<String, Instant>>,
    budgets: Mutex<BTreeMap<String, Arc<Mutex<Budget>>>>,
    leader: Gauge,
    collected: Arc<Collected>,
}

impl Metrics {
    /// Metrics of which those about objects are counted in the hub's world, and those about requests to the API server by whoever
    /// made its client.
    pub fn new(hub: Arc<Hub>, requests: &RequestTimes) -> Self {
        let mut all = Registry::default();
        process::register(&mut all);
        let registry = all.sub_registry_with_prefix("upstream_params");
        let build = Family::<BuildLabels, Gauge>::default();
        build.get_or_create(&BuildLabels { version: build::VERSION, revision: build::revision().unwrap_or("unknown") }).set(1);
        registry.register("build_info", "Which build of the operator this is: always 1", build);
        let (passes, calls) = (Family::<PassLabels, Counter>::default(), Family::<CallLabels, Counter>::default());
        registry.register(
            "checks",
            "Checks of a connection for an object, by the reason of the object's Ready condition afterwards",
            passes.clone(),
        );
        registry.register("auth0_calls", "Requests to the tenant, by route and HTTP status", calls.clone());
        let budget = Family::<BudgetLabels, Gauge>::default();
        registry.register("budget_tokens", "Requests that may be sent now, by budget", budget.clone());
        let [tokens, drift_seen, drift_corrected, foreign] = std::array::from_fn(|_| Family::<TenantLabel, Counter>::default());
        registry.register("token_refreshes", "Access tokens fetched", tokens.clone());
        registry.register(
            "drift_seen",
            "Parameters that somebody else changed, each counted once until it is set back",
            drift_seen.clone(),
        );
        registry.register("drift_corrected", "Parameters set back after somebody else's change", drift_corrected.clone());
        registry.register(
            "foreign_differences",
            "Connections whose other options had changed at the check after a write of the operator",
            foreign.clone(),
        );
        let durations = Durations::new(registry);
        requests.register(registry);
        let [authenticated, good_look_age] = std::array::from_fn(|_| Family::<TenantLabel, Gauge>::default());
        registry.register(
            "tenant_authenticated",
            "1 if Auth0 accepts the credentials and they have all scopes, else 0",
            authenticated.clone(),
        );
        registry.register_with_unit(
            "last_good_check_age",
            "Time since the last successful check of any connection of the tenant; absent before the first one",
            Unit::Seconds,
            good_look_age.clone(),
        );
        let leader = Gauge::default();
        registry.register("leader", "1 if this replica leads and writes, 0 if it stands by", leader.clone());
        let collected = Arc::new(Collected::new(hub));
        registry.register_collector(Box::new(collected.clone()));
        Self {
            registry: all,
            passes,
            calls,
            budget,
            tokens,
            drift_seen,
            drift_corrected,
            foreign,
            durations,
            authenticated,
            good_look_age,
            good_looks: Mutex::default(),
            budgets: Mutex::default(),
            leader,
            collected,
        }
    }

    /// Everything in the OpenMetrics text format.
    pub fn text(&self) -> String {
        for (tenant, at) in self.good_looks.lock().iter() {
            self.good_look_age.get_or_create(&label(tenant)).set(i64::try_from(clock::since(*at).as_secs()).unwrap_or(i64::MAX));
        }
        let now = clock::now();
        for (tenant, budget) in self.budgets.lock().iter() {
            let budget = budget.lock();
            for (bucket, left) in [("reads", budget.reads.left(now)), ("requests", budget.requests.left(now))] {
                let labels = BudgetLabels { tenant: tenant.clone(), bucket: bucket.to_owned() };
                self.budget.get_or_create(&labels).set(left.into());
            }
        }
        let mut text = String::new();
        // Writing into a String can't fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// This replica serves from now on. How long it is since it renewed the Lease is asked by each scrape.
    pub fn leads(&self, since_renewal: impl Fn() -> Option<Duration> + Send + Sync + 'static) {
        self.collected.leads(since_renewal);
        self.leader.set(1);
    }

    /// It serves no more: what it knew of tenants and objects is for whoever leads now to say. Its counters stay.
    pub(crate) fn stands_by(&self) {
        self.collected.stands_by();
        self.leader.set(0);
        self.good_looks.lock().clear();
        self.budgets.lock().clear();
        for gauges in [&self.authenticated, &self.good_look_age] {
            gauges.clear();
        }
        self.budget.clear();
    }

    /// A pass over an object ended, with this reason of `Ready`.
    pub fn pass(&self, tenant: &str, outcome: &str) {
        self.passes.get_or_create(&PassLabels { tenant: tenant.to_owned(), outcome: outcome.to_owned() }).inc();
    }

    /// A pass over a connection ended, whatever came of it.
    pub fn pass_took(&self, tenant: &str, took: Duration) {
        self.durations.pass(tenant, took);
    }

    /// A call was made; `fetched_token` says that it got a new access token.
    pub fn call(&self, tenant: &str, route: &str, (status, took): (Option<u16>, Duration), fetched_token: bool) {
        self.durations.call(tenant, route, status, took);
        let status = status.map_or_else(|| "none".to_owned(), |status| status.to_string());
        self.calls.get_or_create(&CallLabels { tenant: tenant.to_owned(), route: route.to_owned(), status }).inc();
        if fetched_token {
            self.tokens.get_or_create(&label(tenant)).inc();
        }
    }

    /// A tenant serves from now on. Its budget is looked at by each scrape, and its counters begin at zero: the first
    /// increment of a series that was not there would be no increase.
    pub fn serves(&self, tenant: &str, budget: &Arc<Mutex<Budget>>) {
        self.budgets.lock().insert(tenant.to_owned(), budget.clone());
        for counters in [&self.tokens, &self.drift_seen, &self.drift_corrected, &self.foreign] {
            drop(counters.get_or_create(&label(tenant)));
        }
    }

    /// The agenda of a tenant, which is looked at by each scrape.
    pub fn schedules(&self, tenant: &str, agenda: &Arc<Mutex<Agenda>>) {
        self.collected.schedules(tenant, agenda);
    }

    /// Parameters were seen changed by somebody else that were not known to be.
    pub fn drift_seen(&self, tenant: &str, count: u64) {
        self.drift_seen.get_or_create(&label(tenant)).inc_by(count);
    }

    /// Parameters were set back.
    pub fn drift_corrected(&self, tenant: &str, count: u64) {
        self.drift_corrected.get_or_create(&label(tenant)).inc_by(count);
    }

    /// The other options of a connection differ from what we wrote.
    pub fn foreign_difference(&self, tenant: &str) {
        self.foreign.get_or_create(&label(tenant)).inc();
    }

    /// A write starts this long after the read that it is built from was begun.
    pub fn read_to_write(&self, tenant: &str, took: Duration) {
        self.durations.read_to_write(tenant, took);
    }

    /// Whether the tenant accepts our credentials.
    pub fn authenticated(&self, tenant: &str, yes: bool) {
        self.authenticated.get_or_create(&label(tenant)).set(yes.into());
    }

    /// A connection was seen.
    pub fn good_look(&self, tenant: &str) {
        self.good_looks.lock().insert(tenant.to_owned(), clock::now());
    }

    /// A tenant is gone: its gauges would otherwise stay at their last value and alarm for ever, and its histograms are many
    /// series.
    pub fn forget(&self, tenant: &str) {
        self.collected.forget(tenant);
        self.durations.forget(tenant);
        self.good_looks.lock().remove(tenant);
        self.budgets.lock().remove(tenant);
        for gauges in [&self.authenticated, &self.good_look_age] {
            gauges.remove(&label(tenant));
        }
        for bucket in ["reads", "requests"] {
            self.budget.remove(&BudgetLabels { tenant: tenant.to_owned(), bucket: bucket.to_owned() });
        }
    }
}
