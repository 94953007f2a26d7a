//! What a scrape says of the objects.

use std::collections::BTreeSet;

use kube::api::DeleteParams;
use serde_json::json;
use test_support::World;
use test_support::manifest::on;
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
