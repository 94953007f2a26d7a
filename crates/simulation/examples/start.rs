//! How long one start of the operator takes against the simulated API server, until every status is written, with a tenant
//! that can't be reached: `cargo run --release -p simulation --example start -- [objects] [starts]`.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::json;
use simulation::cluster::{Cluster, Key, Kind};
use simulation::network::{Fate, Network, ProcessId, Request};
use tokio_util::sync::CancellationToken;
use upstream_params_operator::internals::{
    AllowedDomains, Executing, HttpClient, Lost, RequestTimes, Settings, Transport, TransportOptions, Unreached, WallClock, run,
};

struct Prompt;

impl Network for Prompt {
    fn fate(&self, _: &mut Request) -> Fate {
        Fate::PROMPT
    }

    fn arrives(&self, _: &Request) {}

    fn took_effect(&self, _: &Request, _: u16) {}
}

struct Nobody;

impl HttpClient for Nobody {
    fn execute(&self, _: reqwest::Request, _: usize) -> Executing<'_> {
        Box::pin(async { Err(Lost::Unreached(Unreached::Connect)) })
    }
}

const PROCESS: ProcessId = ProcessId(1);

async fn start(objects: usize) -> anyhow::Result<u64> {
    let cluster = Cluster::new();
    cluster.create_namespace("operator", &[])?;
    cluster.create_namespace("team", &[])?;
    cluster.put_secret(&Key::secret("operator", "login"), &[("clientId", "abc"), ("clientSecret", "def")])?;
    let access = json!([{ "namespaceSelector": {}, "connections": ["*"] }]);
    let spec = json!({ "domain": "t.eu.auth0.com", "credentials": { "secretRef": { "name": "login" } }, "access": access });
    cluster.create(&Key::tenant("default"), json!({ "spec": spec }))?;
    let keys: Vec<Key> = (0..objects).map(|n| Key::object("team", &format!("object-{n}"))).collect();
    for key in &keys {
        let spec = json!({ "connection": { "name": key.name }, "params": { "p": { "value": "v" } } });
        cluster.create(key, json!({ "spec": spec }))?;
    }
    let wall = {
        let cluster = cluster.clone();
        WallClock::new(move || cluster.now())
    };
    let options = TransportOptions::default();
    let stop = CancellationToken::new();
    let settings = Settings {
        client: cluster.client(PROCESS, Arc::new(Prompt)),
        requests: RequestTimes::default(),
        namespace: "operator".to_owned(),
        watched: BTreeSet::new(),
        allowed: AllowedDomains::default(),
        transport: Transport::over(Arc::new(Nobody), &options, wall.clone()),
        instance: None,
        wall,
        http: None,
    };
    let operator = tokio::spawn(run(settings, stop.clone()));
    let observed = |key: &Key| cluster.read(key).is_some_and(|object| object["status"]["observedGeneration"] == 1);
    while !keys.iter().chain([&Key::tenant("default")]).all(observed) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    stop.cancel();
    operator.await??;
    Ok([Kind::Object, Kind::Tenant, Kind::Event].iter().map(|kind| cluster.writes(PROCESS, *kind).sent).sum())
}

fn main() -> anyhow::Result<()> {
    let numbers: Vec<usize> = std::env::args().skip(1).map(|text| text.parse()).collect::<Result<_, _>>()?;
    let (objects, starts) = (numbers.first().copied().unwrap_or(3), numbers.get(1).copied().unwrap_or(2000));
    let (begin, mut writes) = (Instant::now(), 0);
    for _ in 0..starts {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
        writes += runtime.block_on(start(objects)).context("a start")?;
    }
    let each = begin.elapsed().as_secs_f64() * 1e6 / f64::from(u32::try_from(starts)?);
    writeln!(std::io::stdout(), "{each:.0} µs for each of {starts} starts with {objects} objects; {writes} writes in all")?;
    Ok(())
}
