//! Manages the upstream parameters of Auth0 connections from Kubernetes, and nothing else of them.
//!
//! The rooms, from the outside to the middle; each imports only from those after it:
//!
//! - [`cli`]: flags and commands; the only reader of the environment.
//! - [`run`]: the process: watches, drivers, health.
//! - [`reconcile`]: the driver of one tenant, what it knows of the tenant, and the pass over one connection.
//! - [`telemetry`]: log lines and metrics.
//! - [`kubernetes`] and [`auth0`]: the two edges. Neither knows of the other.
//! - [`core`]: everything that is decided, as pure functions, in the order in which a pass takes them.
//! - [`model`]: the values that every room shares.
//! - [`clock`]: what time it is.
//! - [`api`]: the kinds, their schema, every public name and reason.
//!
//! The unit of work is the connection, not the Kubernetes object: all objects that name one connection are planned
//! together and written with one PATCH, because a PATCH replaces all options of a connection.

pub mod api;
mod auth0;
mod cli;
mod clock;
mod core;
mod kubernetes;
mod model;
mod reconcile;
mod run;
mod telemetry;

#[cfg(test)]
mod tests;

pub use cli::main;

/// What the tests and benchmarks of this repository look at beside [`api`], and the whole of it. It is promised to nobody.
pub mod internals {
    pub use crate::auth0::{Budget, Executing, HttpClient, Lost, Rate, Transport, TransportOptions, Unreached, install_crypto_provider};
    pub use crate::clock::WallClock;
    pub use crate::core::obstacle::{Obstacle, ObstacleReason};
    pub use crate::core::pass::plan::{ParamPlan, Verdict};
    pub use crate::core::schedule::agenda::Agenda;
    pub use crate::core::spec::{Refusal, UnfitReason, policies, spec as parse_spec};
    pub use crate::core::status::tenant::conclude as conclude_tenant;
    pub use crate::core::status::{Context, Outcome, Planned, WriteOutcome, claimed, conclude};
    pub use crate::core::tenant::{CredentialsState, Resolution, glob_matches, resolve};
    pub use crate::core::world::{Declared, DeclaredTenant, Kind, SecretData, World};
    pub use crate::kubernetes::hub::Hub;
    pub use crate::model::domain::AllowedDomains;
    pub use crate::model::identity::{Fingerprint, ObjectKey};
    pub use crate::run::{Error, Settings, run};
    pub use crate::telemetry::{Metrics, RequestTimes};
}
