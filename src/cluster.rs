//! The Kubernetes edge: what is watched, and what is written.

mod events;
pub mod reach;
pub mod report;
pub mod watch;
