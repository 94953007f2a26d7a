//! The pure middle: what is declared, what is found, what would change, and what is said of it.
//!
//! Nothing in here awaits, reads a clock, draws a random number or speaks to a network: time is an argument,
//! and everything can be tested by calling it. The order to read it in is the order a pass runs in:
//! [`world`] (what Kubernetes declares), [`validate`] (a spec becomes a type that only validation can make),
//! [`document`] (a connection as the Management API returned it), [`strategy`] (which connections have an
//! authorization request at all), [`claims`] (who owns what, and how that is proved), [`plan`] (what to write),
//! [`correlation`] (what the write is called in the tenant's log), [`conclude`] (what to say). Beside it: [`memory`] (what is
//! remembered of objects and connections), [`directory`] (which connections there are), [`tenancy`] (what a tenant admits),
//! [`credentials`] (what its Secret holds), [`evidence`] (what its calls show of it), [`schedule`] (when to look again),
//! [`census`] (what to count).

pub mod census;
pub mod claims;
pub mod conclude;
pub mod correlation;
pub mod credentials;
pub mod directory;
pub mod document;
pub mod evidence;
pub mod memory;
pub mod plan;
pub mod schedule;
pub mod strategy;
pub mod tenancy;
pub mod validate;
pub mod world;

#[cfg(test)]
pub(crate) mod builders;
#[cfg(test)]
mod consumers;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod simulator;
