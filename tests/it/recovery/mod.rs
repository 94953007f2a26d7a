//! What fails, and that all is as declared afterwards: Auth0, networks, Kubernetes, the process; and how often what fails is tried.

mod haste;
mod kubernetes;
mod leadership;
mod losses;
mod pacing;
mod poison;
mod restarts;
mod trouble;
