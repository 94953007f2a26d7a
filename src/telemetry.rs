//! Metrics and logs. No label and no field holds a secret or a value of a parameter.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// The content type of [`Metrics::text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The label of most metrics.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct TenantLabel {
    /// The name of the `ClusterAuth0Tenant`.
    pub tenant: String,
}

/// How a pass ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PassLabels {
    /// The name of the `ClusterAuth0Tenant`.
    pub tenant: String,
    /// The reason of the object's `Ready` afterwards.
    pub outcome: String,
}

/// A call to the Management API.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CallLabels {
    /// The name of the `ClusterAuth0Tenant`.
    pub tenant: String,
    /// What was called.
    pub route: String,
    /// The HTTP status, or `none` when there was no whole answer.
    pub status: String,
}

/// One of the two budgets of a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct BudgetLabels {
    /// The name of the `ClusterAuth0Tenant`.
    pub tenant: String,
    /// `reads` or `requests`.
    pub bucket: String,
}

/// All metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    passes: Family<PassLabels, Counter>,
    calls: Family<CallLabels, Counter>,
    budget: Family<BudgetLabels, Gauge>,
    tokens: Family<TenantLabel, Counter>,
    managed: Family<TenantLabel, Gauge>,
    drift_seen: Family<TenantLabel, Counter>,
    drift_corrected: Family<TenantLabel, Counter>,
    foreign: Family<TenantLabel, Counter>,
    read_to_write: Family<TenantLabel, Histogram>,
    contended: Family<TenantLabel, Gauge>,
    authenticated: Family<TenantLabel, Gauge>,
    good_look_age: Family<TenantLabel, Gauge>,
    good_looks: Mutex<BTreeMap<String, Instant>>,
}

/// Bounds of the read-to-write histogram, in seconds: the contract allows two.
const READ_TO_WRITE: [f64; 9] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0];

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("upstream_params");
        let metrics = Self {
            passes: Family::default(),
            calls: Family::default(),
            budget: Family::default(),
            tokens: Family::default(),
            managed: Family::default(),
            drift_seen: Family::default(),
            drift_corrected: Family::default(),
            foreign: Family::default(),
            read_to_write: Family::new_with_constructor(|| Histogram::new(READ_TO_WRITE)),
            contended: Family::default(),
            authenticated: Family::default(),
            good_look_age: Family::default(),
            good_looks: Mutex::default(),
            registry: Registry::default(),
        };
        registry.register("passes", "Ended passes over an object, by the reason of its Ready condition", metrics.passes.clone());
        registry.register("auth0_calls", "Calls to the tenant, by route and HTTP status", metrics.calls.clone());
        registry.register("budget_tokens", "Requests that may be sent at once, by budget", metrics.budget.clone());
        registry.register("token_refreshes", "Access tokens fetched", metrics.tokens.clone());
        registry.register("managed_parameters", "Parameters that are recorded as ours", metrics.managed.clone());
        registry.register("drift_seen", "Parameters seen changed by somebody else", metrics.drift_seen.clone());
        registry.register("drift_corrected", "Parameters set back after somebody else's change", metrics.drift_corrected.clone());
        registry.register(
            "foreign_differences",
            "Connections whose other options differed at the look after a write of ours",
            metrics.foreign.clone(),
        );
        registry.register_with_unit(
            "read_to_write",
            "From the end of a read to the start of the write built from it: the window in which an edit of somebody else is lost",
            Unit::Seconds,
            metrics.read_to_write.clone(),
        );
        registry.register(
            "contended_parameters",
            "Parameters whose correction waits because somebody keeps changing them",
            metrics.contended.clone(),
        );
        registry.register(
            "tenant_authenticated",
            "1 when the tenant accepts the credentials and all scopes, else 0",
            metrics.authenticated.clone(),
        );
        registry.register_with_unit(
            "last_good_look_age",
            "Since a connection of the tenant was last seen",
            Unit::Seconds,
            metrics.good_look_age.clone(),
        );
        Self { registry, ..metrics }
    }
}

fn label(tenant: &str) -> TenantLabel {
    TenantLabel { tenant: tenant.to_owned() }
}

impl Metrics {
    /// Everything in the OpenMetrics text format.
    pub fn text(&self) -> String {
        for (tenant, at) in self.good_looks.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            self.good_look_age.get_or_create(&label(tenant)).set(i64::try_from(at.elapsed().as_secs()).unwrap_or(i64::MAX));
        }
        let mut text = String::new();
        // Writing into a String can't fail.
        let _ = encode(&mut text, &self.registry);
        text
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

    /// What is left of a budget.
    pub fn budget(&self, tenant: &str, bucket: &str, left: u32) {
        self.budget.get_or_create(&BudgetLabels { tenant: tenant.to_owned(), bucket: bucket.to_owned() }).set(left.into());
    }

    /// How many parameters are recorded as ours, and how many of them are fought over.
    pub fn managed(&self, tenant: &str, owned: usize, contended: usize) {
        self.managed.get_or_create(&label(tenant)).set(i64::try_from(owned).unwrap_or(i64::MAX));
        self.contended.get_or_create(&label(tenant)).set(i64::try_from(contended).unwrap_or(i64::MAX));
    }

    /// Parameters were seen changed by somebody else.
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

    /// A write starts this many seconds after the read it was built from.
    pub fn read_to_write(&self, tenant: &str, seconds: f64) {
        self.read_to_write.get_or_create(&label(tenant)).observe(seconds);
    }

    /// Whether the tenant accepts our credentials.
    pub fn authenticated(&self, tenant: &str, yes: bool) {
        self.authenticated.get_or_create(&label(tenant)).set(yes.into());
    }

    /// A connection was seen.
    pub fn good_look(&self, tenant: &str) {
        self.good_looks.lock().unwrap_or_else(PoisonError::into_inner).insert(tenant.to_owned(), Instant::now());
    }

    /// A tenant is gone: its gauges would otherwise stay at their last value and alarm for ever.
    pub fn forget(&self, tenant: &str) {
        self.good_looks.lock().unwrap_or_else(PoisonError::into_inner).remove(tenant);
        for gauges in [&self.managed, &self.contended, &self.authenticated, &self.good_look_age] {
            gauges.remove(&label(tenant));
        }
        for bucket in ["reads", "requests"] {
            self.budget.remove(&BudgetLabels { tenant: tenant.to_owned(), bucket: bucket.to_owned() });
        }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// Sends logs to standard error. `filter` is in the syntax of `RUST_LOG`, such as `info`.
pub fn init(format: LogFormat, filter: &str) {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .with_target(false);
    // A second subscriber in one process, as in tests, is not an error worth stopping for.
    let set = match format {
        LogFormat::Human => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    drop(set);
}
