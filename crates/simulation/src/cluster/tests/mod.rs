//! Each behaviour, as it was seen on kube-apiserver 1.36.

mod operator;
mod people;
mod requests;
mod watches;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use kube::api::DynamicObject;
use kube::core::ApiResource;
use kube::{Api, Client};
use parking_lot::Mutex;
use serde_json::{Value, json};
use upstream_params_operator::api::tenant::ClusterAuth0Tenant;
use upstream_params_operator::api::upstream_params::UpstreamParams;

use super::{Cluster, Key};
use crate::network::{Ending, Fate, Network, ProcessId, Request};

const ONE: ProcessId = ProcessId(1);

/// A network that does as it is told, request by request, and then is prompt; what it saw is written down.
#[derive(Default)]
struct Told {
    fates: Mutex<VecDeque<Fate>>,
    seen: Mutex<Vec<String>>,
}

impl Network for Told {
    fn fate(&self, _: &mut Request) -> Fate {
        self.fates.lock().pop_front().unwrap_or(Fate::PROMPT)
    }

    fn arrives(&self, request: &Request) {
        self.seen.lock().push(format!("{} {}", request.method, request.path));
    }

    fn took_effect(&self, _: &Request, status: u16) {
        self.seen.lock().push(status.to_string());
    }
}

fn ended(ending: Ending) -> Fate {
    Fate { out: Duration::from_millis(10), ending, back: Duration::from_millis(20) }
}

/// A cluster with a namespace `team` and an object `team/blog`, and the client of a process.
fn world() -> (Cluster, Client, Arc<Told>) {
    let (cluster, network) = (Cluster::new(), Arc::new(Told::default()));
    cluster.create_namespace("team", &[]).unwrap();
    cluster.create(&blog(), json!({ "spec": spec("1") })).unwrap();
    let client = cluster.client(ONE, network.clone());
    (cluster, client, network)
}

fn blog() -> Key {
    Key::object("team", "blog")
}

fn spec(value: &str) -> Value {
    json!({ "connection": { "name": "wordpress" }, "params": { "blog": { "value": value } } })
}

fn objects(client: &Client) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), "team", &ApiResource::erase::<UpstreamParams>(&()))
}

fn tenants(client: &Client) -> Api<DynamicObject> {
    Api::all_with(client.clone(), &ApiResource::erase::<ClusterAuth0Tenant>(&()))
}

fn code<T: std::fmt::Debug>(answer: Result<T, kube::Error>) -> u16 {
    let error = answer.unwrap_err();
    let kube::Error::Api(status) = error else { panic!("{error:?}") };
    status.code
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn version(cluster: &Cluster, key: &Key) -> String {
    text(&cluster.read(key).unwrap(), "/metadata/resourceVersion").to_owned()
}
