//! Log lines and metrics. Neither shows a secret or a value of a parameter.

mod build;
mod log;
mod metrics;

pub(crate) use build::{VERSION, revision};
pub(crate) use log::{LogFormat, filter, init, log_panics};
pub(crate) use metrics::CONTENT_TYPE;
pub use metrics::{Metrics, RequestTimes};
