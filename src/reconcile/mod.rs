//! What is done, in order: the driver of one tenant, what this process knows of the tenant, and the pass over one connection.

pub mod driver;
mod failure;
pub mod pass;
pub mod tenant;
