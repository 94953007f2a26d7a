//! The tenant edge.
