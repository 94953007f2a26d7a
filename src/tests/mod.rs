//! What the unit tests share: builders, a simulated run of passes with its laws, and ports of what reads a status.

pub(crate) mod builders;
pub(crate) mod kstatus;
mod laws;
pub(crate) mod seeds;
mod simulator;
