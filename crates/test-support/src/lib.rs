//! What tests and benchmarks of the operator stand on.
//!
//! - [`World`]: a real control plane, an emulated tenant and the operator's own binary. There is one way to start one
//!   ([`Setup`]); most tests share [`World::shared`], and those that stop something or set it up in another way start one of
//!   their own. Nothing is left running: everything is supervised through pipes that close with this process.
//! - [`Scope`]: one test's own part of a world: a namespace, a tenant object, a Secret and a domain. Acts, waits and facts are
//!   its methods.
//! - [`manifest`]: objects as somebody would write them.
//! - [`wait`]: the one loop that asks again and again, and the one wait on a watch. Both give up after a time and then say what
//!   there was instead.
//! - [`status`], [`journal`]: what an object says, and what arrived at the tenant.
//! - [`repository`]: the files of the repository.
//! - [`ApiProxy`]: an API server that is slow or refuses, at the request that a test means.
//!
//! Everything here panics where a test would: what does not work is a failure of the test.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a part of tests")]
#![allow(clippy::missing_panics_doc, reason = "all of it panics where a test would")]

mod api_proxy;
pub mod journal;
pub mod manifest;
mod operator;
pub mod repository;
mod scope;
pub mod status;
pub mod wait;
mod world;

pub use api_proxy::{Act, ApiProxy, Request, Rule};
pub use operator::{Launch, Operator, free_port, get, get_status, operator_binary};
pub use scope::Scope;
pub use world::{GIVEN_BACK, LEASE, OPERATOR_NAMESPACE, SCOPES, Setup, World, client};

/// A typed object of its JSON.
pub fn from<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// Carries a future out to its end on a runtime of its own: what it starts outlives the runtime of the test that came first.
pub fn on_a_runtime_of_its_own<T: Send, F: Future<Output = T>>(start: impl FnOnce() -> F + Send) -> T {
    let run = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap().block_on(start());
    std::thread::scope(|threads| threads.spawn(run).join().unwrap())
}
