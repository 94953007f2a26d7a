//! What is done, in order: the driver of one tenant, what this process knows of the tenant, and the pass over one connection.

pub(crate) mod driver;
mod failure;
pub(crate) mod pass;
pub(crate) mod tenant;
