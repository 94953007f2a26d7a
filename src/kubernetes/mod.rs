//! The Kubernetes edge: what is watched, what is written, and whether the API server can be reached.

mod events;
pub(crate) mod hub;
pub(crate) mod reach;
pub(crate) mod report;
pub(crate) mod watch;
