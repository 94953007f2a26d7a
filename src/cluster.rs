//! The Kubernetes edge: what is watched, and what is written.

pub mod reach;
pub mod report;
pub mod watch;
