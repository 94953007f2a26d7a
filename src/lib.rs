//! Manages the upstream parameters of Auth0 connections from Kubernetes, and nothing else of them.
//!
//! The way in, from the outside to the middle:
//!
//! - [`cli`]: flags and commands; the only reader of the environment, but for the pod's name, which [`cluster::report`] reads.
//! - [`operator`]: the process: watches, drivers, health.
//! - [`hub`]: the one owner of what Kubernetes declares; watches fold events into it, drivers plan from it.
//! - [`driver`]: the driver of one tenant: takes in news, picks what is due, one pass after the other.
//! - [`tenant`]: one tenant as this process knows it: whether it can be used, what is due, what is said of its objects.
//! - [`connection`]: one pass over one connection: read, plan, claim, write, conclude.
//! - [`core`]: everything that is decided, as pure functions.
//! - [`cluster`]: the Kubernetes edge. [`auth0`]: the tenant edge.
//! - [`api`]: the kinds, their schema, every public name and reason.
//!
//! The unit of work is the connection, not the Kubernetes object: all objects that name one connection are planned
//! together and written with one PATCH, because a PATCH replaces all options of a connection.

pub mod api;
pub mod auth0;
pub mod cli;
pub mod cluster;
pub mod connection;
pub mod core;
pub mod driver;
pub mod hub;
pub mod operator;
pub mod telemetry;
pub mod tenant;

#[cfg(test)]
mod seeds;
