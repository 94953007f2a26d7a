//! An Auth0 tenant in a box, and the start of a real Kubernetes control plane.
//!
//! This crate knows nothing of the operator: it shares no code with it, or both would share their bugs.

pub mod auth0;
pub mod control_plane;
