//! What one pass over a connection decides: who owns what, and what is to be written.

pub(crate) mod claims;
pub(crate) mod correlation;
pub(crate) mod known_connections;
pub(crate) mod member;
pub(crate) mod memory;
pub(crate) mod plan;
pub(crate) mod role;
