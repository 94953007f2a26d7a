//! What people see who have the built-in roles and those of the chart: asked of the API server in their name.

use control_plane::binaries::Helm;
use serde_json::json;

use super::cluster::{Cluster, cluster};
use super::{chart, succeeds, text};
use test_support::manifest::on;
use test_support::wait::until;

/// What kubectl prints for somebody, or what refuses it.
fn asked(cluster: &Cluster, who: &str, arguments: &[&str]) -> Result<String, String> {
    let output = cluster.kubectl(&[arguments, &["--as", who]].concat(), "");
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

#[tokio::test]
async fn a_developer_sees_what_the_documentation_says_and_no_more() {
    let cluster = cluster().await;
    let mut values = cluster.values();
    values["rbac"] = json!({"tenantsViewers": [{"kind": "User", "name": "reader"}]});
    succeeds(&cluster.install(Helm::V4, &chart(), &values).await);
    let scope = cluster.world.bare_scope("people").await;
    let namespace = scope.namespace.as_str();
    let access = json!([
        {"namespaceSelector": {"matchLabels": {"scope": scope.name}}, "connections": ["shop-*", "wordpress"]},
        {"namespaceSelector": {"matchLabels": {"team": "another"}}, "connections": ["hidden-*"]},
    ]);
    scope.create_secret().await;
    scope.create_tenant(json!({"access": access})).await;
    let bind = |arguments: &[&str]| drop(succeeds(&cluster.kubectl(&[&["create"], arguments].concat(), "")));
    bind(&["rolebinding", "developer", "--clusterrole=edit", "--user=developer", "--namespace", namespace]);
    bind(&["clusterrolebinding", "auditor", "--clusterrole=view", "--user=auditor"]);
    let (objects, tenants) = (["get", "upstreamparams", "--namespace", namespace, "--output=wide"], ["get", "clusterauth0tenants"]);
    // A controller fills the built-in roles.
    until("the rules of the built-in roles", async || {
        asked(&cluster, "developer", &objects).is_ok() && asked(&cluster, "auditor", &tenants).is_ok()
    })
    .await;

    scope.create("blog", on("wordpres").value("blog", "x")).await;
    scope.until_condition("blog", "Ready", "False", "NotPermitted").await;
    let told = asked(&cluster, "developer", &objects).unwrap();
    for part in ["NotPermitted", "to use the connection wordpres (did you mean wordpress?), only shop-*, wordpress; ask"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("hidden"), "{told}");
    let refused = asked(&cluster, "developer", &tenants).unwrap_err();
    assert!(refused.contains(r#"cannot list resource "clusterauth0tenants""#), "a RoleBinding gives nothing of the cluster: {refused}");

    // Who may read tenants reads all of each, and nothing else.
    let whole = [&tenants[..], &["--output=yaml"]].concat();
    for who in ["reader", "auditor"] {
        let shown = asked(&cluster, who, &whole).unwrap();
        assert!(shown.contains("hidden-*") && shown.contains(&scope.domain) && !shown.contains("marker-"), "{shown}");
        let deleted = asked(&cluster, who, &["delete", "clusterauth0tenant", &scope.name]).unwrap_err();
        assert!(deleted.contains("cannot delete resource"), "{deleted}");
        assert!(asked(&cluster, who, &["get", "secrets", "--all-namespaces"]).is_err());
    }
    assert!(asked(&cluster, "reader", &objects).unwrap_err().contains("cannot list resource"));
    assert!(asked(&cluster, "auditor", &objects).is_ok());
    assert!(asked(&cluster, "somebody", &tenants).is_err(), "nobody reads tenants by default");

    scope.delete("blog").await;
    scope.until_gone("blog").await;
    succeeds(&cluster.kubectl(&["delete", "clusterrolebinding", "auditor"], ""));
}
