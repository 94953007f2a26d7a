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
//! `UPO_OBJECTS` are the numbers of objects to measure a first sync and a restart with, `1000` unless set: processor time that
//! grows faster than they do is a fault. `UPO_BINARY` is another build of the operator to measure, for a comparison side by side.
//! `UPO_RUNNER` may be any program that starts what follows in its own place, under the process id that it has.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a benchmark, run by hand")]
#![allow(missing_docs, reason = "a benchmark has no interface")]

use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use kube::Api;
use kube::api::{DynamicObject, PostParams};
use serde_json::json;
use test_support::journal::calls;
use test_support::manifest::{on, tenant};
use test_support::status::is;
use test_support::wait::eventually_within;
use test_support::{Scope, World};
use upstream_params_operator::api::upstream_params::UpstreamParams;
use upstream_params_operator::internals::glob_matches;

const SEQUENTIAL: usize = 100;

/// How many objects are created at a time.
const AT_ONCE: usize = 32;

/// How many scrapes are measured.
const SCRAPES: usize = 50;

/// How long a sync may take.
const LONGEST: Duration = Duration::from_mins(20);

fn main() {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(measure());
}

async fn measure() {
    let sizes = std::env::var("UPO_OBJECTS").unwrap_or_else(|_| "1000".to_owned());
    let sizes: Vec<usize> = sizes.split(',').map(|size| size.parse().expect("UPO_OBJECTS are numbers")).collect();
    println!("| what | value |\n|---|---|");
    patterns();
    one_by_one().await;
    println!(
        "\n| objects | | all done after | processor time | resident memory | calls to the tenant | `/metrics` |\n|---|---|---|---|---|---|---|"
    );
    for objects in sizes {
        many(objects).await;
    }
}

/// A control plane, an emulator, and the operator that is to be measured, which is not started yet.
async fn world() -> World {
    let mut runner: Vec<String> = std::env::var("UPO_RUNNER").unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    if let Ok(other) = std::env::var("UPO_BINARY") {
        // The shell is told to start the operator that was built with this, and starts the other one with its arguments.
        runner.extend(["sh", "-c", r#"shift; exec "$0" "$@""#, &other].map(str::to_owned));
    }
    World::setup().without_operator().runner(runner).start().await
}

/// The operator with little to do.
async fn one_by_one() {
    let world = world().await;
    world.start_operator_until_ready().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    println!("| resident memory, idle | {} |", resident(&world));
    let scope = world.scope_with("bench", tenant().resync(3600)).await;
    scope.until_tenant("Ready", "True", "Ready").await;
    time_to_ready(&scope).await;
}

/// The dearest pattern that admission lets pass, against the longest name: 64 of 64 access entries may be like it.
fn patterns() {
    let (pattern, name) = (format!("{}b*", "*aaaaaaaaaaaaaaa".repeat(7)), "a".repeat(128));
    let (start, rounds) = (Instant::now(), 100_000_u32);
    let matched = (0..rounds).filter(|_| glob_matches(std::hint::black_box(&pattern), std::hint::black_box(&name))).count();
    println!("| the dearest connection pattern against the longest name | {} ns |", (start.elapsed() / rounds).as_nanos());
    assert_eq!(matched, 0);
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

/// Starts the operator where so many objects wait for it, and again when all of them are in sync.
async fn many(objects: usize) {
    let world = world().await;
    let scope = world.scope_with("bench", tenant().resync(3600)).await;
    stream::iter(0..objects).for_each_concurrent(AT_ONCE, |number| create(&scope, number)).await;
    for what in ["first sync", "restart"] {
        scope.auth0.clear_journal();
        world.start_operator();
        let start = Instant::now();
        world.ready().await;
        let all = async || {
            // A scrape counts all objects, and a journal is long: not so often that it would be what is measured.
            tokio::time::sleep(Duration::from_millis(500)).await;
            (done(&scope).await >= objects).then_some(())
        };
        let instead = async || format!("only {} of {objects} objects", done(&scope).await);
        eventually_within(LONGEST, what, all, instead).await;
        let wall = start.elapsed().as_secs_f64();
        tokio::time::sleep(Duration::from_secs(3)).await;
        let (used, calls, writes) = (processor_time(&world).as_secs_f64(), scope.auth0.journal().len(), scope.auth0.writes().len());
        let (resident, scrape) = (resident(&world), scrape(&world).await);
        println!("| {objects} | {what} | {wall:.1} s | {used:.1} s | {resident} | {calls}, {writes} of them writes | {scrape} |");
        world.stop_operator().await;
    }
}

async fn create(scope: &Scope<'_>, number: usize) {
    let name = format!("many-{number:05}");
    scope.connection(&name, "oidc");
    scope.create(&name, on(&name).value("audience", "x")).await;
}

/// How many objects this process has brought to `Ready=True` and looked at.
async fn done(scope: &Scope<'_>) -> usize {
    let looked_at = calls(&scope.auth0, "GET").len();
    let ready = scope.world.metric("upstream_params_objects", &[("tenant", &scope.name), ("ready", "True")]).await;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of objects")]
    looked_at.min(ready as usize)
}

/// What the operator's process has in memory, and the most it ever had.
fn resident(world: &World) -> String {
    format!("{}, at most {}", world.operator_memory("VmRSS"), world.operator_memory("VmHWM"))
}

/// What a scrape weighs, and how long it takes.
async fn scrape(world: &World) -> String {
    let (mut times, mut bytes, mut series) = (Vec::new(), 0, 0);
    for _ in 0..SCRAPES {
        let start = Instant::now();
        let (_, text) = world.http("/metrics").await.unwrap();
        times.push(start.elapsed());
        (bytes, series) = (text.len(), text.lines().filter(|line| !line.starts_with('#')).count());
    }
    format!("{bytes} bytes, {series} series, median {:.2} ms", millis(percentile(&mut times, 50)))
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
