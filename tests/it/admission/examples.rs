//! The way of the README: apply a manifest, wait for it, look at it, delete it, with nothing but kubectl.

use test_support::manifest::{Params, edit, on, value};
use test_support::{Scope, World};

fn manifest(scope: &Scope<'_>) -> String {
    format!(
        "apiVersion: upstreamparams.dev/v1alpha1
kind: ClusterAuth0Tenant
metadata:
  name: {name}
spec:
  domain: {domain}
  credentials:
    secretRef:
      name: {name}
  access:
  - namespaceSelector:
      matchLabels:
        scope: {name}
    connections: ['word*']
---
apiVersion: upstreamparams.dev/v1alpha1
kind: UpstreamParams
metadata:
  name: wordpress-blog
  namespace: {name}
spec:
  tenantRef:
    name: {name}
  connection:
    name: wordpress
  params:
    blog:
      value: myblog.wordpress.com
    screen_name:
      alias: login_hint
",
        name = scope.name,
        domain = scope.domain,
    )
}

fn columns(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

#[tokio::test]
async fn a_manifest_is_applied_waited_for_listed_and_deleted_with_kubectl() {
    let scope = World::shared().bare_scope("kubectl").await;
    scope.create_secret().await;
    scope.connection("wordpress", "wordpress");
    let before = scope.auth0.connection("wordpress");
    let file = scope.world.control_plane.folder().join(format!("{}.yaml", scope.name));
    std::fs::write(&file, manifest(&scope)).unwrap();
    let file = file.to_str().unwrap();
    let (namespace, kubectl) = (scope.name.as_str(), &scope.world.control_plane);

    kubectl.run(["apply", "-f", file]).await.unwrap();
    kubectl.run(["wait", "--for=condition=Ready", "--timeout=60s", "-f", file]).await.unwrap();
    scope.assert_connection(&before, "wordpress", &value("blog", "myblog.wordpress.com").alias("screen_name", "login_hint"));

    let table = kubectl.run(["get", "uparams", "-n", namespace]).await.unwrap();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(columns(lines[0]), ["NAME", "CONNECTION", "READY", "SYNCED", "REASON", "AGE"]);
    assert_eq!(columns(lines[1])[..5], ["wordpress-blog", "wordpress", "True", "True", "Ready"]);

    let wide = kubectl.run(["get", "uparams", "-n", namespace, "-o", "wide"]).await.unwrap();
    let lines: Vec<&str> = wide.lines().collect();
    assert_eq!(columns(lines[0]), ["NAME", "CONNECTION", "READY", "SYNCED", "REASON", "AGE", "TENANT", "POLICY", "MESSAGE"]);
    assert_eq!(columns(lines[1])[6..8], [namespace, "Enforce"]);
    assert!(lines[1].ends_with("the connection has the parameters as declared"), "{wide}");

    let category = kubectl.run(["get", "auth0", "-n", namespace, "-o", "name"]).await.unwrap();
    assert!(category.contains("upstreamparams.upstreamparams.dev/wordpress-blog"), "{category}");

    let again = kubectl.run(["apply", "-f", file]).await.unwrap();
    assert_eq!(again.matches("unchanged").count(), 2, "{again}");

    kubectl.run(["delete", "uparams", "wordpress-blog", "-n", namespace, "--timeout=60s"]).await.unwrap();
    scope.assert_connection(&before, "wordpress", &Params::default());
    kubectl.run(["delete", "-f", file, "--ignore-not-found", "--timeout=60s"]).await.unwrap();
}

#[tokio::test]
async fn kubectl_wait_does_not_take_an_older_generation_for_the_latest() {
    let scope = World::shared().scope("kubectl-wait").await;
    scope.connection("wordpress", "wordpress");
    scope.create("blog", on("wordpress").value("blog", "1")).await;
    scope.until_ready("blog").await;
    for number in 2..6 {
        scope.edit("blog", edit().value("blog", number.to_string())).await;
        let kubectl = &scope.world.control_plane;
        kubectl.run(["wait", "--for=condition=Ready", "--timeout=60s", "-n", &scope.name, "uparams/blog"]).await.unwrap();
        assert_eq!(scope.auth0.upstream_params("wordpress"), value("blog", number.to_string()));
    }
}
