//! How long things take, as histograms.
//!
//! A histogram is as many series as it has buckets, and three more, for each of its label sets: so each has few buckets where
//! its numbers are, and coarse labels.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::labels::{CallTimeLabels, RESULTS, RequestLabels, TenantLabel, label, result};
use crate::auth0::Route;
use crate::kubernetes::reach::{Observer, Seen};

/// Bounds in seconds: the contract allows two.
const READ_TO_WRITE: [f64; 9] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0];

/// Bounds in seconds: Auth0 answers in tenths of them, and a request ends after the time-out.
const CALL: [f64; 9] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Bounds in seconds: two calls and some status writes, or as many time-outs.
const PASS: [f64; 10] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Bounds in seconds: the API server is near.
const REQUEST: [f64; 7] = [0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 10.0];

/// How long passes and calls of tenants take.
#[derive(Debug)]
pub(super) struct Durations {
    read_to_write: Family<TenantLabel, Histogram>,
    passes: Family<TenantLabel, Histogram>,
    calls: Family<CallTimeLabels, Histogram>,
}

impl Durations {
    /// Without anything measured yet.
    pub(super) fn new(registry: &mut Registry) -> Self {
        let durations = Self {
            read_to_write: Family::new_with_constructor(|| Histogram::new(READ_TO_WRITE)),
            passes: Family::new_with_constructor(|| Histogram::new(PASS)),
            calls: Family::new_with_constructor(|| Histogram::new(CALL)),
        };
        registry.register_with_unit(
            "read_to_write",
            "From the start of a read to the start of the write that is built from it; an edit by somebody else in between is lost",
            Unit::Seconds,
            durations.read_to_write.clone(),
        );
        registry.register_with_unit(
            "check_duration",
            "How long a check of a connection took, with its calls to Auth0 and its writes to Kubernetes",
            Unit::Seconds,
            durations.passes.clone(),
        );
        registry.register_with_unit(
            "auth0_call_duration",
            "How long a request to the tenant took, to the end of the answer, by route and result",
            Unit::Seconds,
            durations.calls.clone(),
        );
        durations
    }

    pub(super) fn read_to_write(&self, tenant: &str, took: Duration) {
        self.read_to_write.get_or_create(&label(tenant)).observe(took.as_secs_f64());
    }

    pub(super) fn pass(&self, tenant: &str, took: Duration) {
        self.passes.get_or_create(&label(tenant)).observe(took.as_secs_f64());
    }

    pub(super) fn call(&self, tenant: &str, route: &str, status: Option<u16>, took: Duration) {
        let labels = CallTimeLabels { tenant: tenant.to_owned(), route: route.to_owned(), result: result(status) };
        self.calls.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// A tenant is gone, and a dozen series for each of its routes with it.
    pub(super) fn forget(&self, tenant: &str) {
        self.read_to_write.remove(&label(tenant));
        self.passes.remove(&label(tenant));
        for route in Route::ALL {
            for result in RESULTS {
                self.calls.remove(&CallTimeLabels { tenant: tenant.to_owned(), route: route.as_str().to_owned(), result });
            }
        }
    }
}

/// How long requests to the API server take, whoever sends them: begun before there are other metrics, as the client is.
#[derive(Clone, Debug)]
pub struct RequestTimes(Family<RequestLabels, Histogram>);

impl Default for RequestTimes {
    fn default() -> Self {
        Self(Family::new_with_constructor(|| Histogram::new(REQUEST)))
    }
}

impl RequestTimes {
    /// What a client tells of its requests.
    pub(crate) fn observer(&self) -> Observer {
        let times = self.clone();
        Arc::new(move |seen: &Seen| times.observe(seen.verb.as_str(), seen.status, seen.took))
    }

    /// A request was answered, or failed.
    pub fn observe(&self, verb: &'static str, status: Option<u16>, took: Duration) {
        self.0.get_or_create(&RequestLabels { verb, result: result(status) }).observe(took.as_secs_f64());
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "kubernetes_request_duration",
            "How long a request to the API server took, to the head of the answer, by verb and result",
            Unit::Seconds,
            self.0.clone(),
        );
    }
}
