//! Integration tests: a real kube-apiserver with etcd and kube-controller-manager, an emulated tenant, the operator's
//! own binary.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
#![allow(missing_docs, reason = "a test binary has no interface")]

mod admission;
mod adoption;
mod deletion;
mod drift;
mod examples;
mod facts;
mod front;
mod gitops;
mod helm;
mod image;
mod kubernetes;
mod leaks;
mod lifecycle;
mod metrics;
mod moves;
mod observe;
mod ownership;
mod poison;
mod refusals;
mod restarts;
mod rights;
mod steps;
mod support;
mod tenants;
mod tidy;
mod trouble;
