//! The Kubernetes edge: what is watched, who writes, what is written, and whether the API server can be reached.

mod events;
pub(crate) mod hub;
pub(crate) mod lease;
pub(crate) mod reach;
pub(crate) mod report;
pub(crate) mod snapshot;
pub(crate) mod watch;
