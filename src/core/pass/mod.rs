//! What one pass over a connection decides: who owns what, and what is to be written.

pub mod claims;
pub mod correlation;
pub mod directory;
pub mod memory;
pub mod plan;
