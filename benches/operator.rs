//! How quick and how large the operator is, on a real API server and an emulated tenant without limits.
//!
//! `cargo bench --bench operator` prints a table. Figures compare only within one run: the machine, the API server and
//! the tenant are the same for all of them.
//!
//! Memory under the limit of the chart, where systemd runs:
//!
//! ```sh
//! UPO_RUNNER="systemd-run --scope --quiet --property=MemoryMax=128M --property=MemorySwapMax=0" cargo bench --bench operator
//! ```
//!
//! `UPO_OBJECTS` is the number of objects, 1000 unless set; `UPO_RUNNER` may be any program that starts what follows in its
//! own place, under the process id that it has.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a benchmark, run by hand")]
#![allow(clippy::cast_precision_loss, reason = "counts of things that fit a machine")]
#![allow(missing_docs, reason = "a benchmark has no interface")]

use std::time::{Duration, Instant};

use auth0_emulator::TenantHandle;
use kube::Api;
use kube::api::{DynamicObject, PostParams};
use serde_json::json;
use test_support::manifest::{on, tenant};
use test_support::status::is;
use test_support::{Scope, World};
use upstream_params_operator::api::upstream_params::UpstreamParams;
use upstream_params_operator::core::tenant::glob_matches;

const SEQUENTIAL: usize = 100;

fn main() {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(measure());
}

async fn measure() {
    let objects = std::env::var("UPO_OBJECTS").map_or(1000, |count| count.parse().expect("UPO_OBJECTS is a number"));
    let runner = std::env::var("UPO_RUNNER").unwrap_or_default();
    let world = World::setup().runner(runner.split_whitespace()).start().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    println!("| what | value |\n|---|---|");
    patterns();
    println!("| resident memory, idle | {} |", resident(&world));
    let scope = world.scope_with("bench", tenant().resync(3600)).await;
    scope.until_tenant("Ready", "True", "Ready").await;
    time_to_ready(&scope).await;
    many(&world, &scope, objects).await;
    restarted(&world, objects + SEQUENTIAL).await;
}

/// The dearest pattern that admission lets pass, against the longest name: 64 of 64 access entries may be like it.
fn patterns() {
    let (pattern, name) = (format!("{}b*", "*aaaaaaaaaaaaaaa".repeat(7)), "a".repeat(128));
    let (start, rounds) = (Instant::now(), 100_000_u32);
    let matched = (0..rounds).filter(|_| glob_matches(std::hint::black_box(&pattern), std::hint::black_box(&name))).count();
    println!("| the dearest connection pattern against the longest name | {} ns |", (start.elapsed() / rounds).as_nanos());
    assert_eq!(matched, 0);
}

/// A new process has to list everything at once.
async fn restarted(world: &World, objects: usize) {
    world.stop_operator().await;
    world.start_operator();
    let start = Instant::now();
    world.ready().await;
    println!("| restarted with {objects} objects: ready after | {:.1} s |", start.elapsed().as_secs_f64());
    tokio::time::sleep(Duration::from_secs(30)).await;
    println!("| resident memory half a minute later | {} |", resident(world));
}

/// From the answer to a create to `Ready=True` in a watch-free poll, one object after the other.
async fn time_to_ready(scope: &Scope<'_>) {
    let api = scope.api();
    let (mut ready, mut bare) = (Vec::new(), Vec::new());
    for n in 0..SEQUENTIAL {
        let name = format!("one-{n}");
        scope.connection(&name, "oidc");
        let calls = scope.auth0.journal().len();
        scope.create(&name, on(&name).value("audience", "x")).await;
        let start = Instant::now();
        while !is(&api.get(&name).await.unwrap(), "Ready", "True", "Ready") {
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

async fn many(world: &World, scope: &Scope<'_>, many: usize) {
    let (start, before) = (Instant::now(), processor_time(world));
    for n in 0..many {
        let name = format!("many-{n:04}");
        scope.connection(&name, "oidc");
        scope.create(&name, on(&name).value("audience", "x")).await;
    }
    let created = start.elapsed();
    // From the operator's own gauge: listing thousands of objects again and again would be most of what is measured.
    let (labels, all) = ([("tenant", scope.name.as_str()), ("ready", "True")], many + SEQUENTIAL);
    world.until_metric_within(Duration::from_mins(10), "upstream_params_objects", &labels, all as f64).await;
    println!("| {many} objects: created in, all Ready after | {:.1} s, {:.1} s |", created.as_secs_f64(), start.elapsed().as_secs_f64());
    tokio::time::sleep(Duration::from_secs(3)).await;
    println!(
        "| processor time of the operator for them, each | {:.1} ms |",
        millis(processor_time(world).saturating_sub(before)) / many as f64
    );
    println!("| resident memory with {} objects | {} |", many + SEQUENTIAL, resident(world));
    resync(world, scope, many + SEQUENTIAL).await;
}

/// One full look at everything in sync.
async fn resync(world: &World, scope: &Scope<'_>, expected: usize) {
    let (calls, writes) = (scope.auth0.journal().len(), scope.auth0.writes().len());
    // A changed tenant makes every connection due.
    scope.patch_tenant(tenant().resync(3000)).await;
    let before = processor_time(world);
    let looks = |auth0: &TenantHandle| auth0.journal().len() >= calls + expected;
    scope.until_auth0_within(Duration::from_mins(2), "a look at everything", looks).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let made = scope.auth0.journal().len() - calls;
    println!(
        "| calls to the tenant for one look at {expected} connections in sync | {made} reads, {} writes |",
        scope.auth0.writes().len() - writes
    );
    println!(
        "| processor time of the operator for that look, each | {:.1} ms |",
        millis(processor_time(world).saturating_sub(before)) / expected as f64
    );
}

/// What the operator's process has in memory, and the most it ever had.
fn resident(world: &World) -> String {
    format!("{}, at most {}", world.operator_memory("VmRSS"), world.operator_memory("VmHWM"))
}

/// What the operator's process has used of the processors, in the kernel's ticks of 10 ms.
fn processor_time(world: &World) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", world.operator_pid())).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

fn percentile(durations: &mut [Duration], percent: usize) -> Duration {
    durations.sort_unstable();
    durations[(durations.len() - 1) * percent / 100]
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
