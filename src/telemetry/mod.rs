//! Log lines and metrics. Neither shows a secret or a value of a parameter.

mod log;
mod metrics;

pub use log::{LogFormat, filter, init, log_panics};
pub use metrics::{CONTENT_TYPE, Metrics};
