//! What a scrape says of the objects.

use std::collections::BTreeSet;

use kube::api::DeleteParams;
use serde_json::json;
use test_support::World;
use test_support::manifest::{on, tenant};
use test_support::repository::root;
use test_support::wait::eventually;

/// The parts of the alerts' selectors that name a route: `upstream_params_auth0_calls_total{route="..."}`.
fn routes(text: &str) -> BTreeSet<&str> {
    text.split("route=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[tokio::test]
async fn a_run_shows_every_metric_and_the_routes_that_alerts_ask_for() {
    let scope = World::shared().scope("scrape").await;
    scope.connection("wordpress", "wordpress");
    scope.create("blog", on("wordpress").value("blog", "x")).await;
    scope.until_ready("blog").await;
    let described = |text: &str| text.lines().filter(|line| line.starts_with("# TYPE ")).map(str::to_owned).collect::<BTreeSet<_>>();
    let all = described(&crate::packaging::tidy::scrape_of_everything());
    // A pass counts after its status is written.
    let scrape = async || scope.world.http("/metrics").await.unwrap().1;
    let complete = async || Some(scrape().await).filter(|run| described(run) == all);
    let run = eventually("every metric", complete, async || scrape().await).await;
    let alerts = root().join("charts/upstream-params-operator/files/rules/upstream-params-operator.yaml");
    let alerts = std::fs::read_to_string(alerts).unwrap();
    let (asked_for, seen) = (routes(&alerts), routes(&run));
    assert!(!asked_for.is_empty() && asked_for.is_subset(&seen), "{asked_for:?} {seen:?}");
}

const OBJECTS: &str = "upstream_params_objects";
const STALLED: &str = "upstream_params_stalled_objects";

#[tokio::test]
async fn the_gauges_follow_the_objects_and_go_with_the_tenant() {
    let scope = World::shared().scope("counts").await;
    let (world, tenant) = (scope.world, ("tenant", scope.name.as_str()));
    world.until_metric(OBJECTS, &[tenant], 0.0).await;
    scope.connection("wordpress", "wordpress");
    scope.odd_connection("saml", "samlp", &json!({}));
    scope.create("blog", on("wordpress").value("blog", "x")).await;
    scope.create("refused", on("saml").value("blog", "x")).await;

    world.until_metric(OBJECTS, &[tenant, ("ready", "True")], 1.0).await;
    world.until_metric(OBJECTS, &[tenant, ("ready", "False")], 1.0).await;
    world.until_metric(OBJECTS, &[tenant], 2.0).await;
    world.until_metric(STALLED, &[tenant], 1.0).await;
    world.until_metric("upstream_params_managed_parameters", &[tenant], 1.0).await;

    scope.delete("refused").await;
    world.until_metric(STALLED, &[tenant], 0.0).await;
    world.until_metric(OBJECTS, &[tenant], 1.0).await;

    scope.tenants().delete(&scope.name, &DeleteParams::default()).await.unwrap();
    world.until_metric(OBJECTS, &[tenant], 0.0).await;
    world.until_metric("upstream_params_managed_parameters", &[tenant], 0.0).await;
    let (_, text) = world.http("/metrics").await.unwrap();
    let left = text.lines().find(|line| line.starts_with(OBJECTS) && line.contains(&scope.name));
    assert_eq!(left, None, "a series of a tenant that is gone");
}

#[tokio::test]
async fn what_the_budget_does_not_allow_yet_waits_and_its_wait_is_measured_until_the_tenant_goes() {
    // One read, and the next after half a minute.
    let scope = World::shared().scope_with("queue", tenant().rate_limit(2, 2, 1)).await;
    let (world, edits) = (scope.world, [("tenant", scope.name.as_str()), ("lane", "edit")]);
    // What is there before the credentials are accepted is looked at as a matter of routine.
    scope.until_tenant("Ready", "True", "Ready").await;
    for name in ["a", "b", "c", "d"] {
        scope.connection(name, "wordpress");
        scope.create(name, on(name).value("blog", "x")).await;
    }
    world.until_metric("upstream_params_waiting_connections", &edits, 3.0).await;
    let longest = async || world.metric("upstream_params_longest_wait_seconds", &edits).await;
    eventually("a wait of a second", async || (longest().await >= 1.0).then_some(()), async || format!("{}", longest().await)).await;

    scope.tenants().delete(&scope.name, &DeleteParams::default()).await.unwrap();
    let series = async || {
        let (_, text) = world.http("/metrics").await.unwrap();
        let of_tenant = |line: &&str| line.contains(&format!("tenant=\"{}\"", scope.name));
        // Counters stay, as they count what was done.
        text.lines().filter(of_tenant).filter(|line| !line.contains("_total{")).map(str::to_owned).collect::<Vec<_>>()
    };
    // Its objects stay, and are counted as those of a tenant that does not exist.
    let gone = async || series().await.is_empty().then_some(());
    eventually("no series of a tenant that is gone", gone, async || format!("{:?}", series().await)).await;
}

#[tokio::test]
async fn a_run_says_which_build_it_is_what_its_process_uses_and_when_the_lease_was_renewed() {
    let world = World::shared();
    let value = async |name: &str| world.metric(name, &[]).await;
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    assert!((world.metric("upstream_params_build_info", &version).await - 1.0).abs() < f64::EPSILON);
    let kilobytes = |name: &str| world.operator_memory(name).trim_end_matches(" kB").parse::<f64>().unwrap();
    for (name, kernel) in [("process_resident_memory_bytes", "VmRSS"), ("process_virtual_memory_bytes", "VmSize")] {
        let (said, known) = (value(name).await / 1024.0, kilobytes(kernel));
        assert!((0.5..2.0).contains(&(said / known)), "{name}: {said} KiB, and {kernel} is {known}");
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    let age = now - value("process_start_time_seconds").await;
    assert!((-2.0..86_400.0).contains(&age), "started {age} s ago");
    for name in ["process_cpu_seconds_total", "process_threads", "process_open_fds", "process_max_fds"] {
        assert!(value(name).await > 0.0, "{name}");
    }
    // Who does not renew for fifteen seconds leads no more.
    assert!(value("upstream_params_lease_renewal_age_seconds").await < 15.5);
    for verb in ["get", "watch"] {
        let count = world.metric("upstream_params_kubernetes_request_duration_seconds_count", &[("verb", verb)]).await;
        assert!(count > 0.0, "{verb}");
    }
}
