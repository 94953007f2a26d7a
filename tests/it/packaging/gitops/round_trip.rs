//! What was applied comes back as it was sent: the operator adds nothing that a deployment tool would take for a change.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use test_support::manifest::{on, tenant};
use test_support::repository::{files, read};
use test_support::{Scope, World};
use upstream_params_operator::api::upstream_params::ParamState;
use upstream_params_operator::api::{FINALIZER, RECONCILE_AT};

/// The name under which the operator writes.
const OPERATOR: &str = "upstream-params-operator";
/// What client-side apply leaves on an object.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

#[tokio::test]
async fn every_fixture_comes_back_as_it_was_sent_and_the_operator_owns_only_status_and_finalizer() {
    let world = World::setup().start().await;
    let schemas = schemas();
    for (way, arguments) in [("client", &["apply"][..]), ("server", &["apply", "--server-side", "--field-manager=argocd-controller"])] {
        let scope = world.bare_scope(&format!("gitops-{way}")).await;
        prepare(&scope).await;
        let fixtures = fixtures();
        let (first, sent): (Vec<Value>, Vec<Value>) = (
            fixtures.iter().map(|documents| documents[0].clone()).collect(),
            fixtures.iter().map(|documents| documents[documents.len() - 1].clone()).collect(),
        );
        kubectl(&scope, arguments, &first).await.unwrap();
        kubectl(&scope, arguments, &sent).await.unwrap();
        scope.until_state("alias", "screen_name", ParamState::InSync).await;
        let live = until_observed(&scope, &sent).await;
        assert!(live.values().any(has_finalizer), "no object has the finalizer: the test shows nothing");
        for object in &sent {
            let live = &live[&name(object)];
            compare(object, live, &schemas, way);
            managers(live);
        }
        no_difference(&scope, &sent, &live, arguments).await;
        // What somebody asks a look by is nothing that was applied, and stays.
        let live = asked_for_a_look(&scope, &sent).await;
        no_difference(&scope, &sent, &live, arguments).await;
        clean_up(&scope).await;
    }
}

/// The tenant and the connections that the fixtures name, as far as they are to be carried out.
async fn prepare(scope: &Scope<'_>) {
    scope.create_secret().await;
    for (name, strategy) in [("wordpress", "wordpress"), ("twitter", "twitter"), ("corporate-oidc", "oidc")] {
        scope.connection(name, strategy);
    }
    let everybody = json!([{"namespaceSelector": {}, "connections": ["*"]}]);
    scope.create_other_tenant("default", tenant().with("access", everybody)).await;
}

/// Somebody asks for a look at everything that was applied, and gets it. Yields the objects as they are then.
async fn asked_for_a_look(scope: &Scope<'_>, sent: &[Value]) -> BTreeMap<String, Value> {
    let by = format!("{RECONCILE_AT}=2026-11-29T11:00:00Z");
    for kind in ["upstreamparams", "clusterauth0tenants"] {
        let arguments = ["annotate", kind, "--all", by.as_str(), "--namespace", &scope.name, "--field-manager=upstream-params-cli"];
        scope.world.control_plane.run(arguments).await.unwrap();
    }
    let handled = |object: &Value| object["status"]["lastHandledReconcileAt"] == object["metadata"]["annotations"][RECONCILE_AT];
    let all = async || {
        let live = get(scope).await;
        sent.iter().all(|one| live.get(&name(one)).is_some_and(handled)).then_some(live)
    };
    scope.eventually("a look at each", all).await
}

async fn clean_up(scope: &Scope<'_>) {
    for kind in ["upstreamparams", "clusterauth0tenants"] {
        scope.world.control_plane.run(["delete", kind, "--all", "--timeout=60s", "--namespace", &scope.name]).await.unwrap();
    }
}

/// The valid fixtures, document by document, with labels and annotations as deployment tools put them on.
fn fixtures() -> Vec<Vec<Value>> {
    let parse = |document: &str| {
        let mut object: Value = serde_saphyr::from_str(document).unwrap();
        object["metadata"]["labels"] = json!({"app.kubernetes.io/instance": "identity", "team": "identity"});
        object["metadata"]["annotations"] =
            json!({"argocd.argoproj.io/tracking-id": "identity:upstreamparams.dev/UpstreamParams:x/y", "note": ""});
        object
    };
    let fixtures: Vec<Vec<Value>> =
        files("tests/fixtures/valid", "yaml").iter().map(|path| read(path).split("\n---\n").map(parse).collect()).collect();
    assert!(fixtures.len() > 20);
    assert!(fixtures.iter().all(|documents| documents.len() <= 2));
    fixtures
}

fn name(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap().to_owned()
}

fn has_finalizer(object: &Value) -> bool {
    object["metadata"]["finalizers"].as_array().is_some_and(|all| all.iter().any(|one| one == FINALIZER))
}

/// Runs kubectl on some objects. What it prints, or what it complains of.
async fn kubectl(scope: &Scope<'_>, arguments: &[&str], objects: &[Value]) -> Result<String, String> {
    let file = scope.world.control_plane.folder().join("objects.json");
    std::fs::write(&file, json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string()).unwrap();
    let mut all: Vec<&str> = arguments.to_vec();
    all.extend(["--namespace", &scope.name, "--filename", file.to_str().unwrap()]);
    scope.world.control_plane.run(all).await.map_err(|error| error.to_string())
}

/// Objects of both kinds by name; the fixtures' names differ.
fn by_name(list: &str) -> BTreeMap<String, Value> {
    let list: Value = serde_json::from_str(list).unwrap();
    list["items"].as_array().unwrap().iter().map(|object| (name(object), object.clone())).collect()
}

async fn get(scope: &Scope<'_>) -> BTreeMap<String, Value> {
    let kinds = "upstreamparams,clusterauth0tenants";
    let arguments = ["get", kinds, "--namespace", &scope.name, "--output=json", "--show-managed-fields"];
    by_name(&scope.world.control_plane.run(arguments).await.unwrap())
}

/// The objects once the operator has written a status for the latest generation of each.
async fn until_observed(scope: &Scope<'_>, sent: &[Value]) -> BTreeMap<String, Value> {
    let observed = |object: &Value| object["status"]["observedGeneration"] == object["metadata"]["generation"];
    let all = async || {
        let live = get(scope).await;
        sent.iter().all(|one| live.get(&name(one)).is_some_and(observed)).then_some(live)
    };
    scope.eventually("a status for the latest generation of each", all).await
}

/// Spec, labels and annotations are what was sent, with the defaults of the schema.
fn compare(sent: &Value, live: &Value, schemas: &BTreeMap<String, Value>, way: &str) {
    let mut spec = sent["spec"].clone();
    fill_in(&mut spec, &schemas[sent["kind"].as_str().unwrap()]);
    assert_eq!(live["spec"], spec, "the spec of {}", name(sent));
    assert_eq!(live["metadata"]["labels"], sent["metadata"]["labels"], "the labels of {}", name(sent));
    let mut annotations = live["metadata"]["annotations"].clone();
    let noted = annotations.as_object_mut().unwrap().remove(LAST_APPLIED).is_some();
    assert_eq!(noted, way == "client");
    assert_eq!(annotations, sent["metadata"]["annotations"], "the annotations of {}", name(sent));
}

/// Nothing of what the operator wrote is anybody else's to declare.
fn managers(live: &Value) {
    let entries = live["metadata"]["managedFields"].as_array().unwrap();
    let ours: Vec<&Value> = entries.iter().filter(|entry| entry["manager"] == OPERATOR).collect();
    assert!(!ours.is_empty(), "the operator wrote nothing: {entries:#?}");
    for entry in ours {
        let fields = entry["fieldsV1"].as_object().unwrap();
        if entry["subresource"] == "status" {
            assert_eq!(fields.keys().collect::<Vec<_>>(), ["f:status"], "{}", name(live));
        } else {
            let finalizers = json!({".": {}, format!("v:\"{FINALIZER}\""): {}});
            assert_eq!(entry["fieldsV1"], json!({"f:metadata": {"f:finalizers": finalizers}}), "{}", name(live));
        }
    }
    let others = entries.iter().filter(|entry| entry["manager"] != OPERATOR);
    for entry in others {
        assert!(entry["fieldsV1"].get("f:status").is_none(), "{} has a status of somebody else", name(live));
    }
}

/// Applying the same again is no change, by the three ways in which tools find out: the diff of kubectl, a dry run of
/// server-side apply (which is what Argo CD's server-side diff and Flux do), and applying.
async fn no_difference(scope: &Scope<'_>, sent: &[Value], live: &BTreeMap<String, Value>, arguments: &[&str]) {
    let options = arguments.iter().copied().filter(|one| one.starts_with("--"));
    let diff: Vec<&str> = std::iter::once("diff").chain(options).collect();
    kubectl(scope, &diff, sent).await.unwrap_or_else(|error| panic!("something differs: {error}"));

    let dry = ["apply", "--server-side", "--dry-run=server", "--force-conflicts", "--field-manager=argocd-controller", "--output=json"];
    let predicted = by_name(&kubectl(scope, &dry, sent).await.unwrap());
    for name in sent.iter().map(name) {
        assert_eq!(declared(&predicted[&name]), declared(&live[&name]), "server-side diff of {name}");
    }

    kubectl(scope, arguments, sent).await.unwrap();
    let again = get(scope).await;
    for name in sent.iter().map(name) {
        assert_eq!(again[&name]["metadata"]["generation"], live[&name]["metadata"]["generation"], "{name}");
        assert_eq!(declared(&again[&name]), declared(&live[&name]), "{name} applied once more");
    }
}

/// What a diff compares: everything but what the server keeps account with, and status.
fn declared(object: &Value) -> Value {
    let mut object = object.clone();
    object.as_object_mut().unwrap().remove("status");
    for key in ["managedFields", "resourceVersion", "creationTimestamp", "uid"] {
        object["metadata"].as_object_mut().unwrap().remove(key);
    }
    if let Some(annotations) = object["metadata"]["annotations"].as_object_mut() {
        annotations.remove(LAST_APPLIED);
    }
    object
}

// ---- the defaults of the schema ----

/// The schema of each kind's spec, from the committed definitions.
fn schemas() -> BTreeMap<String, Value> {
    let definitions = files("crds", "yaml").into_iter().map(|path| serde_saphyr::from_str::<Value>(&read(&path)).unwrap());
    definitions
        .map(|definition| {
            let kind = definition["spec"]["names"]["kind"].as_str().unwrap().to_owned();
            (kind, definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].clone())
        })
        .collect()
}

/// Fills in defaults as the API server does: on maps, where a member is absent or null.
fn fill_in(value: &mut Value, schema: &Value) {
    if let (Some(members), Some(properties)) = (value.as_object_mut(), schema["properties"].as_object()) {
        for (name, property) in properties {
            default_of(members, name, property);
        }
        for (name, member) in members.iter_mut() {
            if let Some(property) = properties.get(name) {
                fill_in(member, property);
            }
        }
    }
}

fn default_of(members: &mut Map<String, Value>, name: &str, property: &Value) {
    if members.get(name).is_none_or(Value::is_null)
        && let Some(default) = property.get("default")
    {
        members.insert(name.to_owned(), default.clone());
    }
}

/// Whether a default stands anywhere in a schema.
fn has_default(schema: &Value) -> bool {
    match schema {
        Value::Object(members) => members.contains_key("default") || members.values().any(has_default),
        Value::Array(items) => items.iter().any(has_default),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn inside_lists_and_maps<'a>(schema: &'a Value, found: &mut Vec<&'a Value>) {
    if let Value::Object(members) = schema {
        for (name, member) in members {
            if name == "items" || name == "additionalProperties" {
                found.push(member);
            }
            inside_lists_and_maps(member, found);
        }
    }
}

#[test]
fn no_default_stands_inside_a_list_or_a_map_entry() {
    for (kind, schema) in schemas() {
        let mut found = Vec::new();
        inside_lists_and_maps(&schema, &mut found);
        assert!(!found.is_empty());
        assert!(found.iter().all(|part| !has_default(part)), "{kind}: client-side diffs take a default in a list for a change");
    }
}

#[test]
fn absent_and_null_members_are_filled_in() {
    let schema = &schemas()["UpstreamParams"];
    let mut spec = Value::from(on("x").value("blog", "x").tenant("eu").with("deletionPolicy", json!(null)));
    fill_in(&mut spec, schema);
    let filled = json!({
        "adoptionPolicy": "IfEqual", "deletionPolicy": "Delete", "managementPolicy": "Enforce",
        "tenantRef": {"kind": "ClusterAuth0Tenant", "name": "eu"},
        "connection": {"name": "x"}, "params": {"blog": {"value": "x"}},
    });
    assert_eq!(spec, filled);
}
