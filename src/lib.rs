//! Manages the upstream parameters of Auth0 connections from Kubernetes, and nothing else of them.
//!
//! The rooms, from the outside to the middle; each imports only from those after it:
//!
//! - [`cli`]: flags and commands; the only reader of the environment, but for the pod's name, which [`kubernetes::report`] reads.
//! - [`run`]: the process: watches, drivers, health.
//! - [`reconcile`]: the driver of one tenant, what it knows of the tenant, and the pass over one connection.
//! - [`telemetry`]: log lines and metrics.
//! - [`kubernetes`] and [`auth0`]: the two edges. Neither knows of the other.
//! - [`core`]: everything that is decided, as pure functions, in the order in which a pass takes them.
//! - [`model`]: the values that every room shares.
//! - [`api`]: the kinds, their schema, every public name and reason.
//!
//! The unit of work is the connection, not the Kubernetes object: all objects that name one connection are planned
//! together and written with one PATCH, because a PATCH replaces all options of a connection.

pub mod api;
pub mod auth0;
pub mod cli;
pub mod core;
pub mod kubernetes;
pub mod model;
pub mod reconcile;
pub mod run;
pub mod telemetry;

#[cfg(test)]
mod testing;
