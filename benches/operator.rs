//! How quick and how large the operator is, on a real API server and an emulated tenant without limits.
//!
//! `cargo bench --bench operator` prints a table. Figures compare only within one run: the machine, the API server and
//! the tenant are the same for all of them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a benchmark, run by hand")]
#![allow(missing_docs, reason = "a benchmark has no interface")]

#[allow(dead_code, reason = "made for the tests, of which this uses a part")]
#[path = "../tests/it/facts.rs"]
mod facts;
#[allow(dead_code, reason = "made for the tests, of which this uses a part")]
#[path = "../tests/it/support.rs"]
mod support;

use std::time::{Duration, Instant};

use kube::api::{DynamicObject, ListParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::json;
use support::{Bench, Scope};
use upstream_params_operator::api::upstream_params::UpstreamParams;

const SEQUENTIAL: usize = 100;
const MANY: usize = 1000;

fn main() {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(measure());
}

async fn measure() {
    let mut bench = Bench::without_operator().await;
    bench.start_operator();
    bench.ready().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    println!("| what | value |\n|---|---|");
    println!("| resident memory, idle | {} KiB |", resident(&bench));
    let bench = bench;
    let scope = bench.scope("bench").await;
    scope.patch_tenant(json!({"resyncIntervalSeconds": 3600})).await;
    scope.until_tenant("Ready", "True", "Ready").await;
    time_to_ready(&scope).await;
    many(&bench, &scope).await;
}

/// From the answer to a create to `Ready=True` in a watch-free poll, one object after the other.
async fn time_to_ready(scope: &Scope<'_>) {
    let api = scope.api();
    let (mut ready, mut bare) = (Vec::new(), Vec::new());
    for n in 0..SEQUENTIAL {
        let name = format!("one-{n}");
        scope.connection(&name, "oidc", json!({}));
        let calls = scope.auth0.journal().len();
        scope.create(&name, json!({"connection": {"name": name}, "params": {"audience": {"value": "x"}}})).await;
        let start = Instant::now();
        while !support::is(&api.get(&name).await.unwrap(), "Ready", "True", "Ready") {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        ready.push(start.elapsed());
        if n == SEQUENTIAL - 1 {
            let mine: Vec<String> = scope.auth0.journal().iter().skip(calls).map(|call| call.method.clone()).collect();
            println!("| calls to the tenant per changed connection | {} ({}) |", mine.len(), mine.join(", "));
        }
        bare.push(bare_status_write(scope, &name).await);
    }
    println!("| create answered to Ready, median of {SEQUENTIAL} | {:.1} ms |", millis(percentile(&mut ready, 50)));
    println!("| create answered to Ready, p99 of {SEQUENTIAL} | {:.1} ms |", millis(percentile(&mut ready, 99)));
    println!("| a bare status write on the same API server, median of {SEQUENTIAL} | {:.1} ms |", millis(percentile(&mut bare, 50)));
    let ratio = percentile(&mut ready, 50).as_secs_f64() / percentile(&mut bare, 50).as_secs_f64();
    println!("| ratio of the medians | {ratio:.1} |");
}

/// A status write that changes nothing but the version: what one write costs.
async fn bare_status_write(scope: &Scope<'_>, name: &str) -> Duration {
    let resource = kube::api::ApiResource::erase::<UpstreamParams>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(scope.client.clone(), &scope.name, &resource);
    let mut object = api.get(name).await.unwrap();
    object.metadata.managed_fields = None;
    object.data["status"]["target"] = json!("changed-by-the-benchmark");
    let start = Instant::now();
    api.replace_status(name, &PostParams::default(), &object).await.unwrap();
    start.elapsed()
}

async fn many(bench: &Bench, scope: &Scope<'_>) {
    let start = Instant::now();
    for n in 0..MANY {
        let name = format!("many-{n:04}");
        scope.connection(&name, "oidc", json!({}));
        scope.create(&name, json!({"connection": {"name": name}, "params": {"audience": {"value": "x"}}})).await;
    }
    let created = start.elapsed();
    loop {
        let objects = scope.api().list(&ListParams::default()).await.unwrap().items;
        let ready =
            objects.iter().filter(|object| object.name_any().starts_with("many-") && support::is(object, "Ready", "True", "Ready")).count();
        if ready == MANY {
            break;
        }
        assert!(start.elapsed() < Duration::from_mins(10), "only {ready} of {MANY} objects are ready");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    println!("| {MANY} objects: created in, all Ready after | {:.1} s, {:.1} s |", created.as_secs_f64(), start.elapsed().as_secs_f64());
    tokio::time::sleep(Duration::from_secs(3)).await;
    println!("| resident memory with {} objects | {} KiB |", MANY + SEQUENTIAL, resident(bench));
    resync(scope).await;
}

/// One full look at everything in sync.
async fn resync(scope: &Scope<'_>) {
    let (calls, writes) = (scope.auth0.journal().len(), scope.auth0.writes().len());
    // A changed tenant makes every connection due.
    scope.patch_tenant(json!({"resyncIntervalSeconds": 3000})).await;
    let expected = MANY + SEQUENTIAL;
    let start = Instant::now();
    while scope.auth0.journal().len() < calls + expected && start.elapsed() < Duration::from_mins(2) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let made = scope.auth0.journal().len() - calls;
    println!(
        "| calls to the tenant for one look at {expected} connections in sync | {made} reads, {} writes |",
        scope.auth0.writes().len() - writes
    );
}

fn resident(bench: &Bench) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", bench.operator().pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn percentile(durations: &mut [Duration], percent: usize) -> Duration {
    durations.sort_unstable();
    durations[(durations.len() - 1) * percent / 100]
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
