//! Integration tests: a real kube-apiserver with etcd and kube-controller-manager, an emulated tenant, the operator's
//! own binary. What they stand on is in the crate `test-support`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
#![allow(missing_docs, reason = "a test binary has no interface")]

mod admission;
mod commands;
mod migration;
mod operation;
mod ownership;
mod packaging;
mod recovery;
mod tenants;
