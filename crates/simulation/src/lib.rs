//! The operator under simulation: its own code runs, unchanged, in simulated time against a simulated API server and an
//! emulated tenant in the same process. One seed is one history, the same on every machine.
//!
//! - [`history`]: everything that happens beside what the operator does, as data, drawn from a seed.
//! - [`world`]: carries it out; [`cluster`] and [`tenant`] are the two servers, [`network`] is what lies between.
//! - [`laws`]: what has to hold of every write, and of everything at rest.
//! - [`run`]: one history from its beginning to rest. [`shrink`] cuts one down, [`story`] tells it.
//! - [`mutants`]: faults put into the operator's code, each of which has to be found.

pub mod action;
pub mod cluster;
pub mod coverage;
pub mod declare;
pub mod history;
pub mod laws;
pub mod log;
pub mod mutants;
pub mod network;
pub mod noise;
pub mod run;
pub mod scenes;
pub mod shrink;
pub mod story;
pub mod tenant;
#[cfg(test)]
mod tests;
pub mod world;
