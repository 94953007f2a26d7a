//! Integration tests: a real kube-apiserver with etcd and kube-controller-manager, an emulated tenant, the operator's
//! own binary.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
#![allow(missing_docs, reason = "a test binary has no interface")]

mod admission;
mod adoption;
mod amended;
mod blame;
mod cases;
mod deletion;
mod drift;
mod examples;
mod gitops;
mod helm;
mod holes;
mod image;
mod kubernetes;
mod leaks;
mod lifecycle;
mod losses;
mod merged;
mod metrics;
mod moves;
mod observe;
mod ownership;
mod pacing;
mod poison;
mod process;
mod refusals;
mod restarts;
mod rights;
mod says;
mod secrets;
mod supply;
mod tenants;
mod tidy;
mod trouble;
