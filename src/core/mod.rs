//! The pure middle: what is declared, what is found, what would change, and what is said of it.
//!
//! Nothing in here awaits, reads a clock, draws a random number or speaks to a network: time is an argument,
//! and everything can be tested by calling it. The order to read it in is the order a pass runs in:
//! [`world`] (what Kubernetes declares), [`spec`] (a spec becomes a type that only validation can make), [`strategy`]
//! (which connections have an authorization request at all), [`obstacle`] (what may stand in the way), [`tenant`] (what a tenant
//! admits, and whether it can be used), [`pass`] (who owns what, and what to write), [`status`] (what to say), [`schedule`] (when
//! to look again). Apart from all that stand [`lease`] (who of several operators leads), [`dry_run`] (what all of it would come to,
//! without doing it), [`admission`] (what the API server says of a manifest) and [`near`] (what was probably meant by a name that is
//! not known).

pub(crate) mod admission;
pub(crate) mod dry_run;
pub(crate) mod lease;
pub(crate) mod near;
pub(crate) mod obstacle;
pub(crate) mod pass;
pub(crate) mod schedule;
pub(crate) mod spec;
pub(crate) mod status;
pub(crate) mod strategy;
pub(crate) mod tenant;
pub(crate) mod world;
