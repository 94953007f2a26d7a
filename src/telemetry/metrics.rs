//! Metrics. No label holds a secret or a value of a parameter.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::auth0::Budget;
use crate::clock;
use crate::core::status::object_counts::{ObjectCounts, count_objects};
use crate::kubernetes::hub::Hub;

/// The content type of [`Metrics::text`].
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The label of most metrics.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TenantLabel {
    /// The name of the `ClusterAuth0Tenant`.
    pub tenant: String,
}

/// How a pass ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PassLabels {
    /// The name of the `ClusterAuth0Tenant`.
    pub tenant: String,
    /// The reason of the object's `Ready` afterwards.
    pub outcome: String,
}

/// A call to the Management API.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    /// The name of the `ClusterAuth0Tenant`.
    pub tenant: String,
    /// What was called.
    pub route: String,
    /// The HTTP status, or `none` when there was no whole answer.
    pub status: String,
}

/// One of the two budgets of a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BudgetLabels {
    /// The name of the `ClusterAuth0Tenant`.
    pub tenant: String,
    /// `reads` or `requests`.
    pub bucket: String,
}

/// Objects by how they are.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ObjectLabels {
    /// The name of the `ClusterAuth0Tenant`; empty when there is none of that name.
    pub tenant: String,
    /// The status of the condition `Ready`: `True`, `False` or `Unknown`.
    pub ready: String,
}

/// What the world holds, counted anew at each scrape: by who leads alone, as all replicas know the same objects.
#[derive(Debug)]
struct ObjectCollector {
    hub: Arc<Hub>,
    leads: Arc<AtomicBool>,
}

impl Collector for ObjectCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        if !self.leads.load(Ordering::Relaxed) || !self.hub.is_complete() {
            // Objects of which the tenant has not been listed yet would look like those of tenants that do not exist.
            return Ok(());
        }
        let tenants = self.hub.read(count_objects);
        let each = |count: fn(&ObjectCounts) -> usize| tenants.iter().map(move |(tenant, counts)| (label(tenant), count(counts)));
        let by_ready = tenants.iter().flat_map(|(tenant, counts)| {
            let labels = |ready: &str| ObjectLabels { tenant: tenant.clone(), ready: ready.to_owned() };
            [(labels("True"), counts.ready), (labels("False"), counts.not_ready), (labels("Unknown"), counts.unknown)]
        });
        gauge(&mut encoder, "objects", "UpstreamParams, by the status of their Ready condition", by_ready)?;
        gauge(
            &mut encoder,
            "stalled_objects",
            "UpstreamParams that are Stalled: they wait for somebody to change something",
            each(|counts| counts.stalled),
        )?;
        gauge(&mut encoder, "managed_parameters", "Parameters that an UpstreamParams owns", each(|counts| counts.managed))?;
        gauge(
            &mut encoder,
            "contended_parameters",
            "Parameters that are Contended: somebody keeps setting another value, which is left there for a while",
            each(|counts| counts.contended),
        )
    }
}

fn gauge<Labels: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl Iterator<Item = (Labels, usize)>,
) -> Result<(), std::fmt::Error> {
    let mut family = encoder.encode_descriptor(name, &format!("{help}."), None, MetricType::Gauge)?;
    for (labels, value) in values {
        ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

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
    read_to_write: Family<TenantLabel, Histogram>,
    authenticated: Family<TenantLabel, Gauge>,
    good_look_age: Family<TenantLabel, Gauge>,
    good_looks: Mutex<BTreeMap<String, Instant>>,
    budgets: Mutex<BTreeMap<String, Arc<Mutex<Budget>>>>,
    leader: Gauge,
    leads: Arc<AtomicBool>,
}

/// Bounds of the read-to-write histogram, in seconds: the contract allows two.
const READ_TO_WRITE: [f64; 9] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0];

impl Metrics {
    /// Metrics of which those about objects are counted in the hub's world.
    pub fn new(hub: Arc<Hub>) -> Self {
        let mut registry = Registry::with_prefix("upstream_params");
        let metrics = Self {
            passes: Family::default(),
            calls: Family::default(),
            budget: Family::default(),
            tokens: Family::default(),
            drift_seen: Family::default(),
            drift_corrected: Family::default(),
            foreign: Family::default(),
            read_to_write: Family::new_with_constructor(|| Histogram::new(READ_TO_WRITE)),
            authenticated: Family::default(),
            good_look_age: Family::default(),
            good_looks: Mutex::default(),
            budgets: Mutex::default(),
            leader: Gauge::default(),
            leads: Arc::default(),
            registry: Registry::default(),
        };
        registry.register(
            "passes",
            "How often a connection was reconciled for an object, by the reason of its Ready condition afterwards",
            metrics.passes.clone(),
        );
        registry.register("auth0_calls", "Requests to the tenant, by route and HTTP status", metrics.calls.clone());
        registry.register("budget_tokens", "Requests that may be sent now, by budget", metrics.budget.clone());
        registry.register("token_refreshes", "Access tokens fetched", metrics.tokens.clone());
        registry.register(
            "drift_seen",
            "Parameters that somebody else changed, each counted once until it is set back",
            metrics.drift_seen.clone(),
        );
        registry.register("drift_corrected", "Parameters set back after somebody else's change", metrics.drift_corrected.clone());
        registry.register(
            "foreign_differences",
            "Connections whose other options had changed at the look after a write of the operator",
            metrics.foreign.clone(),
        );
        registry.register_with_unit(
            "read_to_write",
            "From the start of a read to the start of the write built from it: an edit by somebody else in between is lost",
            Unit::Seconds,
            metrics.read_to_write.clone(),
        );
        registry.register(
            "tenant_authenticated",
            "1 when the tenant accepts the credentials and all scopes, else 0",
            metrics.authenticated.clone(),
        );
        registry.register_with_unit(
            "last_good_look_age",
            "Time since any connection of the tenant was last seen; absent before the first look",
            Unit::Seconds,
            metrics.good_look_age.clone(),
        );
        registry.register("leader", "1 if this replica leads and writes, 0 if it stands by", metrics.leader.clone());
        registry.register_collector(Box::new(ObjectCollector { hub, leads: metrics.leads.clone() }));
        Self { registry, ..metrics }
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

    /// This replica serves from now on.
    pub fn leads(&self) {
        self.leads.store(true, Ordering::Relaxed);
        self.leader.set(1);
    }

    /// It serves no more: what it knew of tenants and objects is for whoever leads now to say. Its counters stay.
    pub(crate) fn stands_by(&self) {
        self.leads.store(false, Ordering::Relaxed);
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

    /// A call was made; `fetched_token` says that it got a new access token.
    pub fn call(&self, tenant: &str, route: &str, status: Option<u16>, fetched_token: bool) {
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

    /// A write starts this many seconds after the read that it is built from was begun.
    pub fn read_to_write(&self, tenant: &str, seconds: f64) {
        self.read_to_write.get_or_create(&label(tenant)).observe(seconds);
    }

    /// Whether the tenant accepts our credentials.
    pub fn authenticated(&self, tenant: &str, yes: bool) {
        self.authenticated.get_or_create(&label(tenant)).set(yes.into());
    }

    /// A connection was seen.
    pub fn good_look(&self, tenant: &str) {
        self.good_looks.lock().insert(tenant.to_owned(), clock::now());
    }

    /// A tenant is gone: its gauges would otherwise stay at their last value and alarm for ever.
    pub fn forget(&self, tenant: &str) {
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

fn label(tenant: &str) -> TenantLabel {
    TenantLabel { tenant: tenant.to_owned() }
}
