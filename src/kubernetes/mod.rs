//! The Kubernetes edge: what is watched, what is written, and whether the API server can be reached.

mod events;
pub mod hub;
pub mod reach;
pub mod report;
pub mod watch;
