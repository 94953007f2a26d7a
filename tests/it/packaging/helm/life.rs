//! From an older chart to nothing: what both versions of Helm do to a cluster in which the operator works.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use control_plane::binaries::Helm;
use control_plane::supervise::Scratch;
use serde_json::{Value, json};

use super::cluster::{Cluster, cluster};
use super::render::{copy_folder, edit as edit_file};
use super::{RELEASE, chart, kind, objects, succeeds, template, text};
use test_support::manifest::{edit, on, value};
use test_support::repository::root;
use test_support::status::{has_finalizer, is, message};
use test_support::{OPERATOR_NAMESPACE, Scope};

#[tokio::test]
async fn helm_3_installs_upgrades_rolls_back_and_leaves_what_is_the_users() {
    life(Helm::V3).await;
}

#[tokio::test]
async fn helm_4_installs_upgrades_rolls_back_and_leaves_what_is_the_users() {
    life(Helm::V4).await;
}

async fn life(version: Helm) {
    let cluster = cluster().await;
    // The definitions of another test would hide that the older chart has older ones.
    cluster.delete_definitions();
    let scratch = Scratch::new("older-chart").unwrap();
    let older = older_chart(scratch.path());

    let mut old_values = cluster.values();
    old_values["logLevel"] = json!("debug");
    succeeds(&cluster.install(version, &older, &old_values).await);
    assert!(!cluster.definition_has("adoptionPolicy"));
    let scope = cluster.world.scope(if version == Helm::V3 { "life-three" } else { "life-four" }).await;
    scope.connection("kept", "oidc");
    scope.create("kept", on("kept").value("screen_hint", "signup")).await;
    scope.until_ready("kept").await;

    upgrade(&cluster, version, &scope).await;
    nothing_differs(&cluster, version).await;
    applications_come_and_go(&cluster, version, &scope).await;
    roll_back(&cluster, version, &scope).await;
    uninstall_and_install_again(&cluster, version, &scope).await;
}

/// The chart as an older version might have been: a field less in a definition, and a value of another name.
fn older_chart(folder: &Path) -> PathBuf {
    let older = folder.join("upstream-params-operator");
    copy_folder(&chart(), &older);
    edit_file(&older.join("Chart.yaml"), &format!("\nversion: {}\n", env!("CARGO_PKG_VERSION")), "\nversion: 0.0.9\n");
    edit_file(&older.join("templates/deployment.yaml"), ".Values.config.log.level", ".Values.logLevel");
    edit_file(&older.join("values.yaml"), "\nglobal:\n", "\nlogLevel: info\nglobal:\n");
    edit_file(
        &older.join("values.schema.json"),
        "    \"enabled\": {\n      \"$comment\"",
        "    \"logLevel\": {\"type\": \"string\"},\n    \"enabled\": {\n      \"$comment\"",
    );
    let definition = older.join("templates/crds/upstreamparams.yaml");
    std::fs::write(&definition, without_block(&std::fs::read_to_string(&definition).unwrap(), "adoptionPolicy:")).unwrap();
    older
}

/// A YAML text without the one key of this name and what is below it.
fn without_block(yaml: &str, key: &str) -> String {
    let (before, rest) = yaml.split_once(&format!(" {key}\n")).unwrap();
    let (before, indent) = before.rsplit_once('\n').unwrap();
    let deeper = format!("{indent}  ");
    let after = rest.split_inclusive('\n').skip_while(|line| line.starts_with(&deeper)).collect::<String>();
    assert!(!after.contains(&format!(" {key}\n")), "{key} comes twice");
    format!("{before}\n{after}")
}

#[test]
fn a_block_is_cut_out_of_yaml() {
    assert_eq!(without_block("a:\n  b:\n    c: 1\n  d: 2\n", "b:"), "a:\n  d: 2\n");
}

async fn upgrade(cluster: &Cluster, version: Helm, scope: &Scope<'_>) {
    // The values of the last release have a name that is gone.
    let reused = cluster.act(version, "upgrade", &chart(), &Value::Null, &["--reuse-values"]).await;
    assert!(!reused.status.success());
    assert!(text(&reused.stderr).contains("additional properties 'logLevel' not allowed"), "{}", text(&reused.stderr));

    let mut values = cluster.values();
    values["config"] = json!({"log": {"level": "info,upstream_params_operator=debug"}});
    cluster.upgrade(version, &values).await;
    assert!(cluster.definition_has("adoptionPolicy"), "helm upgrade upgrades the definitions");
    assert_eq!(cluster.pod_environment("UPO_LOG"), "info,upstream_params_operator=debug");
    scope.edit("kept", edit().overwrite()).await;
    let object = scope.until_ready("kept").await;
    assert_eq!(serde_json::to_value(object.spec.adoption_policy).unwrap(), "Overwrite");
}

/// Neither the release nor what tools make of the same templates differs from what is there, and doing it again changes nothing.
async fn nothing_differs(cluster: &Cluster, version: Helm) {
    let manifest = cluster.manifest(version).await;
    let diff = cluster.kubectl(&["diff", "--filename=-"], &manifest);
    assert!(diff.status.success(), "{}{}", text(&diff.stdout), text(&diff.stderr));

    let before = cluster.generations(&manifest);
    succeeds(&cluster.act(version, "upgrade", &chart(), &Value::Null, &["--reuse-values", "--wait", "--timeout=60s"]).await);
    assert_eq!(cluster.generations(&cluster.manifest(version).await), before);
}

/// Charts of applications bring objects along.
async fn applications_come_and_go(cluster: &Cluster, version: Helm, scope: &Scope<'_>) {
    let application = root().join("tests/fixtures/application-chart");
    let install = async |release: &str, connection: &str, timeout: &str| {
        let arguments = ["install", release, application.to_str().unwrap(), "--namespace", &scope.name, "--wait", timeout];
        cluster.helm(version, &arguments, &json!({"tenant": scope.name, "connection": connection})).await
    };
    // Its connection comes three seconds later.
    let connection = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        scope.connection("late", "oidc");
    };
    let start = Instant::now();
    let (output, ()) = tokio::join!(install("application", "late", "--timeout=120s"), connection);
    succeeds(&output);
    if version == Helm::V4 {
        let object = scope.get("application").await;
        assert!(is(&object, "Ready", "True", "Ready"), "helm did not wait for Ready: {}", message(&object, "Ready"));
        assert!(start.elapsed() > Duration::from_secs(3));
    }
    // Version 3 takes any custom resource for ready; what it installed becomes so all the same.
    scope.until_ready("application").await;
    assert_eq!(scope.auth0.upstream_params("late"), value("screen_hint", "signup"));

    scope.connection("legacy", "samlp");
    if version == Helm::V4 {
        let start = Instant::now();
        let output = install("stalled", "legacy", "--timeout=120s").await;
        assert!(!output.status.success(), "a stalled object was taken for ready");
        assert!(start.elapsed() < Duration::from_mins(1), "helm waited for its time-out although the object is stalled");
        assert!(text(&output.stderr).contains("UpstreamParams"), "{}", text(&output.stderr));
        let uninstall = ["uninstall", "stalled", "--namespace", &scope.name, "--wait", "--timeout=60s"];
        succeeds(&cluster.helm(version, &uninstall, &Value::Null).await);
    }

    let uninstall = ["uninstall", "application", "--namespace", &scope.name, "--wait", "--timeout=60s"];
    succeeds(&cluster.helm(version, &uninstall, &Value::Null).await);
    scope.until_gone("application").await;
    assert_eq!(scope.auth0.upstream_params("late"), Value::Null, "uninstalling an application removes its parameters");
}

async fn roll_back(cluster: &Cluster, version: Helm, scope: &Scope<'_>) {
    let to = async |revision: &str| {
        let arguments = ["rollback", RELEASE, revision, "--namespace", OPERATOR_NAMESPACE, "--wait", "--timeout=60s"];
        succeeds(&cluster.helm(version, &arguments, &Value::Null).await);
    };
    to("1").await;
    assert!(!cluster.definition_has("adoptionPolicy"));
    assert_eq!(cluster.pod_environment("UPO_LOG"), "debug");
    scope.until_ready("kept").await;
    to("2").await;
    assert!(cluster.definition_has("adoptionPolicy"));
    assert_eq!(cluster.pod_environment("UPO_LOG"), "info,upstream_params_operator=debug");
    scope.until_ready("kept").await;
}

async fn uninstall_and_install_again(cluster: &Cluster, version: Helm, scope: &Scope<'_>) {
    let arguments = ["uninstall", RELEASE, "--namespace", OPERATOR_NAMESPACE, "--wait", "--timeout=60s"];
    let output = cluster.helm(version, &arguments, &Value::Null).await;
    succeeds(&output);
    cluster.until_stopped().await;
    let left = scope.get("kept").await;
    assert!(has_finalizer(&left) && left.metadata.deletion_timestamp.is_none(), "the objects stay");
    assert_eq!(scope.auth0.upstream_params("kept"), value("screen_hint", "signup"), "and so do the logins");
    assert!(cluster.definition_has("params"), "the definitions stay");

    // A release of the same name takes the definitions over and goes on with the objects.
    succeeds(&cluster.install(version, &chart(), &cluster.values()).await);
    scope.delete("kept").await;
    scope.until_gone("kept").await;
    assert_eq!(scope.auth0.upstream_params("kept"), Value::Null);
    succeeds(&cluster.helm(version, &arguments, &Value::Null).await);
    cluster.until_stopped().await;
}

/// As `GitOps` tools and careful people do it: rendered, applied without Helm, in both ways.
#[tokio::test]
async fn what_is_rendered_can_be_applied_without_helm_and_does_not_differ_afterwards() {
    let cluster = cluster().await;
    // The kinds of the Prometheus operator are not served here; everything else is checked strictly by the server.
    let values = json!({
        "replicaCount": 0,
        "scope": {"namespaces": ["default"]},
        "service": {"enabled": true},
        "networkPolicy": {"enabled": true, "ingressFrom": [{"namespaceSelector": {}}]},
        "grafanaDashboard": {"enabled": true},
        "commonLabels": {"team": "platform"},
        "config": {"extraCA": {"configMap": "ca"}},
    });
    for version in Helm::ALL {
        let manifest = succeeds(&template(version, &values, &[]));
        assert!(objects(&manifest).iter().any(|object| kind(object) == "NetworkPolicy"));
        for way in [&["--server-side", "--force-conflicts"][..], &[]] {
            let with = |verb: &[&str]| cluster.kubectl(&[verb, way, &["--filename=-"]].concat(), &manifest);
            let output = with(&["apply", "--dry-run=server"]);
            succeeds(&output);
            succeeds(&with(&["apply"]));
            let diff = with(&["diff"]);
            assert!(diff.status.success(), "{way:?}: {}{}", text(&diff.stdout), text(&diff.stderr));
        }
    }
    let manifest = succeeds(&template(Helm::V4, &values, &[]));
    succeeds(&cluster.kubectl(&["delete", "--filename=-", "--timeout=60s"], &manifest));
}
