//! What a scrape says of the objects.

use kube::api::DeleteParams;
use serde_json::json;

use crate::steps::one;
use crate::support;

const OBJECTS: &str = "upstream_params_objects";
const STALLED: &str = "upstream_params_stalled_objects";

#[tokio::test]
async fn the_gauges_follow_the_objects_and_go_with_the_tenant() {
    let scope = support::shared().scope("census").await;
    let (bench, tenant) = (scope.bench, ("tenant", scope.name.as_str()));
    bench.until_metric(OBJECTS, &[tenant], 0.0).await;
    scope.connection("wordpress", "wordpress", json!({}));
    scope.odd_connection("saml", "samlp", &json!({}));
    scope.create("blog", one("wordpress", "blog", "x")).await;
    scope.create("refused", one("saml", "blog", "x")).await;

    bench.until_metric(OBJECTS, &[tenant, ("ready", "True")], 1.0).await;
    bench.until_metric(OBJECTS, &[tenant, ("ready", "False")], 1.0).await;
    bench.until_metric(OBJECTS, &[tenant], 2.0).await;
    bench.until_metric(STALLED, &[tenant], 1.0).await;
    bench.until_metric("upstream_params_managed_parameters", &[tenant], 1.0).await;

    scope.delete("refused").await;
    bench.until_metric(STALLED, &[tenant], 0.0).await;
    bench.until_metric(OBJECTS, &[tenant], 1.0).await;

    scope.tenants().delete(&scope.name, &DeleteParams::default()).await.unwrap();
    bench.until_metric(OBJECTS, &[tenant], 0.0).await;
    bench.until_metric("upstream_params_managed_parameters", &[tenant], 0.0).await;
    let (_, text) = bench.http("/metrics").await.unwrap();
    let left = text.lines().find(|line| line.starts_with(OBJECTS) && line.contains(&scope.name));
    assert_eq!(left, None, "a series of a tenant that is gone");
}
