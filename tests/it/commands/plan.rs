//! `plan`: what it says is what the operator then does, and it writes nothing itself.

use std::path::PathBuf;

use serde_json::{Map, Value, json};
use test_support::manifest::{Spec, alias, on, value};
use test_support::{Scope, World};

use super::{Ended, Run};

/// A file with these objects of the scope's namespace and tenant.
fn file(scope: &Scope<'_>, name: &str, objects: &[(&str, Spec)]) -> PathBuf {
    let documents = objects.iter().map(|(name, spec)| {
        let mut spec = Value::from(spec.clone());
        spec["tenantRef"] = json!({"name": scope.name});
        let metadata = json!({"name": name, "namespace": scope.namespace});
        json!({"apiVersion": "upstreamparams.dev/v1alpha1", "kind": "UpstreamParams", "metadata": metadata, "spec": spec}).to_string()
    });
    let path = scope.world.control_plane.folder().join(format!("{}-{name}.yaml", scope.name));
    std::fs::write(&path, documents.collect::<Vec<_>>().join("\n---\n")).unwrap();
    path
}

async fn plan(scope: &Scope<'_>, file: Option<&PathBuf>, more: &[&str]) -> Ended {
    let file: Vec<&str> = file.iter().map(|path| path.to_str().unwrap()).collect();
    Run::of(scope, &[&["plan", "--tenant", &scope.name], &file[..], more].concat()).end().await
}

/// The parameters of a connection once the steps of a plan are taken.
fn carried_out(scope: &Scope<'_>, connection: &Value) -> Value {
    let live = scope.auth0.connection(connection["name"].as_str().unwrap());
    let mut params: Map<String, Value> = live["options"]["upstream_params"].as_object().cloned().unwrap_or_default();
    for step in connection["steps"].as_array().unwrap().iter().filter(|step| step["observed"] == false) {
        let name = step["parameter"].as_str().unwrap();
        assert_eq!(params.get(name).unwrap_or(&Value::Null), &step["from"], "{step}");
        if step["to"].is_null() {
            params.remove(name);
        } else {
            params.insert(name.to_owned(), step["to"].clone());
        }
    }
    Value::Object(params)
}

#[tokio::test]
async fn what_is_planned_is_what_the_operator_then_does() {
    let scope = World::shared().scope("planned").await;
    scope.connection_of("shop", "oidc", value("lang", "de").value("theirs", "kept").value("taken", "by-hand"));
    scope.connection("store", "oauth2");
    scope.connection("samlp", "samlp");
    let before = [
        ("edits", on("shop").value("hint", "1").value("dropped", "1")),
        ("moves", on("shop").value("moved", "1")),
        ("stays", on("store").value("stays", "1")),
    ];
    scope.world.control_plane.apply(&file(&scope, "before", &before)).await.unwrap();
    for name in ["edits", "moves", "stays"] {
        scope.until_ready(name).await;
    }
    let objects = [
        ("edits", on("shop").value("hint", "2")),
        ("moves", on("store").value("moved", "1")),
        ("adds", on("shop").value("blog", "1").value("lang", "de").alias("ui", "ui_locales")),
        ("overwrites", on("shop").value("taken", "declared").overwrite()),
        ("refused", on("shop").value("theirs", "other")),
        ("conflicts", on("shop").value("hint", "3")),
        ("observes", on("shop").value("watched", "1").observe()),
        ("absent", on("nowhere").value("blog", "1")),
        ("saml", on("samlp").value("blog", "1")),
        ("reserved", on("store").value("state", "1")),
    ];
    let manifests = file(&scope, "all", &objects);
    scope.auth0.clear_journal();
    let ended = plan(&scope, Some(&manifests), &["-o", "json", "--exit-code"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let report: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(scope.auth0.writes().len(), 0);
    let summary = &report["summary"];
    assert_eq!(
        summary,
        &json!({"add": 3, "change": 2, "remove": 2, "adopt": 1, "leave": 0, "observed": 1, "ready": 5, "notReady": 5}),
        "{report:#}"
    );
    let tenant = &report["tenants"][0];
    assert_eq!(tenant["otherConnections"], 0);
    let expected: Vec<(String, Value)> = tenant["connections"]
        .as_array()
        .unwrap()
        .iter()
        .map(|connection| (connection["name"].as_str().unwrap().to_owned(), carried_out(&scope, connection)))
        .collect();
    assert_eq!(expected.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["shop", "store"]);

    scope.world.control_plane.apply(&manifests).await.unwrap();
    for planned in tenant["objects"].as_array().unwrap() {
        let name = planned["name"].as_str().unwrap();
        let (ready, reason) = (planned["ready"].as_str().unwrap(), planned["reason"].as_str().unwrap());
        let object = scope
            .until(name, &format!("{ready} {reason}"), |object| {
                let status = object.status.clone().unwrap_or_default();
                let condition = status.conditions.iter().find(|condition| condition.type_ == "Ready");
                status.observed_generation == object.metadata.generation
                    && condition.is_some_and(|condition| (condition.status.as_str(), condition.reason.as_str()) == (ready, reason))
            })
            .await;
        let ready = object.status.unwrap_or_default().conditions.into_iter().find(|condition| condition.type_ == "Ready").unwrap();
        assert_eq!(planned["message"], ready.message, "{name}");
    }
    for (name, params) in &expected {
        scope.until_auth0("as planned", |auth0| auth0.connection(name)["options"]["upstream_params"] == *params).await;
    }
    let again = plan(&scope, Some(&manifests), &["-o", "json", "--exit-code"]).await;
    let report: Value = serde_json::from_str(&again.out).unwrap();
    let left = ["add", "change", "remove", "adopt", "leave"].map(|count| report["summary"][count].as_u64().unwrap());
    assert_eq!(left, [0; 5], "at rest there is nothing left to do: {report:#}");
}

#[tokio::test]
async fn a_plan_ends_with_what_it_found_and_needs_no_right_to_write() {
    let scope = World::shared().scope("plan-ends").await;
    scope.connection("shop", "oidc");
    scope.auth0.add_client("reader", "reader-secret", ["read:connections", "read:connections_options"]);
    let adds = file(&scope, "adds", &[("blog", on("shop").value("blog", "1").alias("hint", "login_hint"))]);
    let path = adds.to_str().unwrap();
    scope.auth0.clear_journal();

    let text = plan(&scope, Some(&adds), &[]).await.well();
    let object = format!("{}/blog", scope.namespace);
    assert!(text.contains(&format!("    + blog  \"1\"  for {object}\n    + hint  alias login_hint  for {object}\n")), "{text}");
    assert!(text.ends_with("Plan: 2 to add, 0 to change, 0 to remove. 1 of 1 objects would be ready.\n"), "{text}");
    assert_eq!(plan(&scope, Some(&adds), &["--exit-code"]).await.code, Some(3));
    let markdown = plan(&scope, Some(&adds), &["-o", "markdown"]).await.well();
    assert!(markdown.contains(&format!("| `shop` | `hint` | add | `alias login_hint` | `{object}` |  |")), "{markdown}");

    let alone = |words: &[&str]| Run::of(&scope, &[&["plan", "--no-cluster", path], words].concat()).with("KUBECONFIG", "/nowhere");
    let text = alone(&[]).by_application(&scope, "reader", "reader-secret").end().await.well();
    assert!(text.contains("+ blog") && text.contains("Note: without a cluster"), "{text}");
    let err = alone(&[]).end().await.refused(1);
    assert!(err.contains("set AUTH0_DOMAIN, AUTH0_CLIENT_ID, AUTH0_CLIENT_SECRET"), "{err}");
    scope.auth0.add_client("blind", "blind-secret", ["read:connections"]);
    let err = alone(&[]).by_application(&scope, "blind", "blind-secret").end().await.refused(1);
    assert!(err.contains("lacks a scope; grant it read:connections_options"), "{err}");

    let journal = scope.auth0.journal();
    let writes: Vec<_> = journal.iter().filter(|call| call.method != "GET" && call.path != "/oauth/token").collect();
    assert!(writes.is_empty(), "{writes:?}");
    Run::of(&scope, &["plan", "--no-cluster"]).end().await.refused(2);
    let err = Run::of(&scope, &["plan", "--tenant", "no-such", path]).end().await.refused(1);
    assert!(err.contains("--tenant: the files are not about the ClusterAuth0Tenant no-such"), "{err}");

    scope.world.control_plane.apply(&adds).await.unwrap();
    scope.until_ready("blog").await;
    let text = plan(&scope, Some(&adds), &["--exit-code"]).await.well();
    assert!(text.contains("Nothing to do: everything is as declared."), "{text}");
    let whole = plan(&scope, None, &["--exit-code"]).await.well();
    assert!(whole.contains("Plan: 0 to add, 0 to change, 0 to remove. 1 of 1 objects would be ready."), "{whole}");
}

#[tokio::test]
async fn who_loses_by_a_plan_is_named_although_he_is_in_no_file() {
    let scope = World::shared().scope("plan-loses").await;
    scope.connection("shop", "oidc");
    let old = file(&scope, "old", &[("watches", on("shop").value("blog", "1"))]);
    scope.world.control_plane.apply(&old).await.unwrap();
    scope.until_ready("watches").await;
    scope.edit("watches", json!({"managementPolicy": "Observe"})).await;
    scope.until_condition("watches", "Ready", "True", "Observing").await;
    // It only observes now: another object takes the name over.
    let taking = file(&scope, "taking", &[("takes", on("shop").value("blog", "2").overwrite())]);
    let ended = plan(&scope, Some(&taking), &["-o", "json"]).await;
    let report: Value = serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
    let steps = &report["tenants"][0]["connections"][0]["steps"];
    let change = steps.as_array().unwrap().iter().find(|step| step["observed"] == false).unwrap();
    assert_eq!((&change["action"], &change["parameter"]), (&json!("change"), &json!("blog")), "{report:#}");
    assert_eq!(change["object"], format!("{}/takes", scope.namespace));
}

#[tokio::test]
async fn files_that_can_not_be_planned_are_named_with_what_to_write() {
    let scope = World::shared().scope("plan-files").await;
    let folder = scope.world.control_plane.folder();
    for (name, text, said) in [
        (
            "none",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n",
            "the files hold no UpstreamParams and no ClusterAuth0Tenant, but 1 documents",
        ),
        ("broken", "a: [\n", "this is not YAML"),
        ("nameless", "apiVersion: upstreamparams.dev/v1alpha1\nkind: UpstreamParams\nspec: {}\n", "metadata.name is missing"),
        (
            "kind",
            "apiVersion: upstreamparams.dev/v1alpha1\nkind: Upstream\nmetadata: {name: a}\n",
            "has no kind Upstream; write UpstreamParams",
        ),
        (
            "twice",
            "apiVersion: upstreamparams.dev/v1alpha1\nkind: UpstreamParams\nmetadata: {name: a}\n---\napiVersion: upstreamparams.dev/v1alpha1\nkind: UpstreamParams\nmetadata: {name: a}\n",
            "this object is declared at",
        ),
    ] {
        let path = folder.join(format!("plan-files-{name}.yaml"));
        std::fs::write(&path, text).unwrap();
        let err = plan(&scope, Some(&path), &[]).await.refused(1);
        assert!(err.contains(said) && err.contains("error: "), "{name}: {err}");
    }
}

#[tokio::test]
async fn a_plan_shows_no_secret_in_any_format_at_any_level() {
    let scope = World::shared().scope("plan-shows").await;
    scope.connection_of("shop", "oidc", alias("hint", "login_hint"));
    scope.odd_connection("odd", "oidc", &json!({"client_secret": "marker-odd", "upstream_params": {"blog": "marker-params"}}));
    let objects = file(&scope, "objects", &[("a", on("shop").value("blog", "1")), ("b", on("odd").value("blog", "1"))]);
    for format in ["human", "json", "yaml", "markdown"] {
        for log in ["debug", "trace"] {
            let ended = plan(&scope, Some(&objects), &["-o", format, "--log", log]).await;
            assert!(ended.out.contains("blog"), "{ended:?}");
            let all = format!("{}\n{}", ended.out, ended.err);
            let shown: Vec<&str> = all.lines().filter(|line| line.contains("marker-") || line.contains("eyJhbGciOi")).collect();
            assert!(shown.is_empty(), "{shown:?}");
        }
    }
}
