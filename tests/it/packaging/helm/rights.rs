//! The rights that the chart gives: what they are, and that the operator has each that it uses and uses each that it has.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Instant;

use control_plane::binaries::Helm;
use expect_test::expect_file;
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use kube::Api;
use kube::api::{PostParams, ResourceExt};
use serde_json::{Value, json};

use super::cluster::{Cluster, OPERATOR_USER, cluster};
use super::{chart, kind, name, rendered, succeeds};
use test_support::manifest::{edit, on, tenant};
use test_support::repository::root;
use test_support::wait::until;
use test_support::{LEASE, OPERATOR_NAMESPACE, Scope, from};

/// One verb on one resource, in one namespace or, without it, in all of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    namespace: Option<String>,
    group: String,
    resource: String,
    verb: String,
    /// Of the one object that it is limited to.
    name: Option<String>,
}

/// Whether something is bound to the operator's service account.
fn is_of_operator(binding: &Value) -> bool {
    let subject =
        |subject: &Value| format!("system:serviceaccount:{}:{}", subject["namespace"].as_str().unwrap(), subject["name"].as_str().unwrap());
    kind(binding).ends_with("Binding") && binding["subjects"].as_array().unwrap().iter().any(|one| subject(one) == OPERATOR_USER)
}

fn texts(list: &Value) -> impl Iterator<Item = String> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned())
}

/// All rights that the rendered roles give to the operator.
fn granted(objects: &[Value]) -> BTreeSet<Right> {
    let mut rights = BTreeSet::new();
    for binding in objects.iter().filter(|object| is_of_operator(object)) {
        let namespace = binding["metadata"]["namespace"].as_str().map(str::to_owned);
        let role = &binding["roleRef"];
        let is_meant = |object: &&Value| {
            kind(object) == role["kind"]
                && name(object) == role["name"]
                && object["metadata"]["namespace"] == binding["metadata"]["namespace"]
        };
        for rule in objects.iter().find(is_meant).unwrap()["rules"].as_array().unwrap() {
            assert!(rule.get("nonResourceURLs").is_none());
            let names = rule.get("resourceNames").map_or_else(|| vec![None], |names| texts(names).map(Some).collect());
            for group in texts(&rule["apiGroups"]) {
                for resource in texts(&rule["resources"]) {
                    for verb in texts(&rule["verbs"]) {
                        assert!([&group, &resource, &verb].iter().all(|text| !text.contains('*')), "{rule}");
                        rights.extend(names.iter().map(|name| Right {
                            namespace: namespace.clone(),
                            group: group.clone(),
                            resource: resource.clone(),
                            verb: verb.clone(),
                            name: name.clone(),
                        }));
                    }
                }
            }
        }
    }
    rights
}

/// The rules of every role, for the golden file.
fn described(objects: &[Value]) -> String {
    let mut roles = BTreeSet::new();
    for role in objects.iter().filter(|object| kind(object).ends_with("Role")) {
        let mut text = format!("{} {}", kind(role), name(role));
        if let Some(namespace) = role["metadata"]["namespace"].as_str() {
            write!(text, " in {namespace}").unwrap();
        }
        for (label, _) in role["metadata"]["labels"].as_object().unwrap().iter().filter(|(label, _)| label.contains("aggregate")) {
            write!(text, ", {}", label.rsplit('/').next().unwrap()).unwrap();
        }
        for rule in role["rules"].as_array().unwrap() {
            let list = |field: &str| texts(&rule[field]).collect::<Vec<_>>().join(", ");
            let group = Some(list("apiGroups")).filter(|group| !group.is_empty()).unwrap_or_else(|| "core".to_owned());
            write!(text, "\n  {} ({group}): {}", list("resources"), list("verbs")).unwrap();
            if rule.get("resourceNames").is_some() {
                write!(text, " of {} alone", list("resourceNames")).unwrap();
            }
        }
        roles.insert(text + "\n");
    }
    roles.into_iter().collect()
}

#[test]
fn the_rules_are_the_committed_ones() {
    let mut text = "# What the chart renders; written by UPDATE_EXPECT=1 cargo test --test it helm::rights.\n".to_owned();
    for values in [json!({}), json!({"scope": {"namespaces": ["shop", "blog", "shop"]}})] {
        write!(text, "\n# values: {values}\n{}", described(&rendered(&values))).unwrap();
    }
    expect_file![root().join("tests/fixtures/chart/rules.txt")].assert_eq(&text);
}

#[test]
fn secrets_are_read_in_the_namespace_of_the_release_alone() {
    for values in [json!({}), json!({"scope": {"namespaces": ["shop", "blog"]}})] {
        let objects = rendered(&values);
        let of_secrets: Vec<_> = granted(&objects).into_iter().filter(|right| right.resource.contains("secrets")).collect();
        assert_eq!(of_secrets.len(), 2);
        assert!(of_secrets.iter().all(|right| right.namespace.as_deref() == Some(OPERATOR_NAMESPACE)), "{of_secrets:?}");
    }
}

#[test]
fn with_named_namespaces_no_right_on_a_kind_with_namespaces_is_given_anywhere_else() {
    let rights = granted(&rendered(&json!({"scope": {"namespaces": ["shop", "blog"]}})));
    let everywhere: BTreeSet<&str> = rights.iter().filter(|right| right.namespace.is_none()).map(|right| right.resource.as_str()).collect();
    assert_eq!(everywhere, BTreeSet::from(["clusterauth0tenants", "clusterauth0tenants/status", "namespaces"]));
    let within = |namespace: &str| {
        let there = rights.iter().filter(|right| right.namespace.as_deref() == Some(namespace));
        there.map(|right| format!("{} {}", right.verb, right.resource)).collect::<BTreeSet<_>>()
    };
    assert_eq!(within("shop"), within("blog"));
    let (of_events, of_leases) = (["create events", "patch events"], ["create leases", "get leases", "update leases"]);
    let in_default: BTreeSet<String> = of_events.iter().chain(&of_leases).map(|right| (*right).to_owned()).collect();
    assert_eq!(within("default"), in_default, "where events about tenants are, which have no namespace, and the Lease");
    let all = granted(&rendered(&json!({})));
    assert_eq!(within("shop").len() + within(OPERATOR_NAMESPACE).len() + of_leases.len() + 5, all.len(), "the same rights, elsewhere");
}

#[test]
fn leases_are_taken_in_one_namespace_and_but_for_making_one_no_other_than_ours() {
    for values in [json!({}), json!({"scope": {"namespaces": ["shop", "blog"]}})] {
        let rights = granted(&rendered(&values));
        let of_leases = rights.iter().filter(|right| right.resource == "leases");
        let of_leases: BTreeSet<_> =
            of_leases.map(|right| (right.namespace.as_deref(), right.verb.as_str(), right.name.as_deref())).collect();
        let (there, ours) = (Some("default"), Some(LEASE));
        assert_eq!(of_leases, BTreeSet::from([(there, "create", None), (there, "get", ours), (there, "update", ours)]));
    }
}

/// What the operator asked for, as rights; the namespace is where it asked.
fn used(events: &[Value]) -> BTreeSet<Right> {
    let right = |event: &Value| {
        let object = &event["objectRef"];
        let text = |field: &str| object[field].as_str().unwrap_or_default().to_owned();
        let subresource = object["subresource"].as_str().map(|subresource| format!("/{subresource}")).unwrap_or_default();
        Right {
            namespace: object["namespace"].as_str().map(str::to_owned),
            group: text("apiGroup"),
            resource: text("resource") + &subresource,
            verb: event["verb"].as_str().unwrap().to_owned(),
            name: object["name"].as_str().map(str::to_owned),
        }
    };
    events.iter().map(right).collect()
}

fn covers(granted: &Right, used: &Right) -> bool {
    let there = granted.namespace.is_none() || granted.namespace == used.namespace;
    let that_one = granted.name.is_none() || granted.name == used.name;
    there && that_one && (&granted.group, &granted.resource, &granted.verb) == (&used.group, &used.resource, &used.verb)
}

/// Asserts that nothing was forbidden and that each right was used.
fn assert_exact(cluster: &Cluster, mark: usize, granted: &BTreeSet<Right>) {
    let events = cluster.audit_since(mark);
    assert!(!events.is_empty());
    let refused: Vec<_> = events.iter().filter(|event| event["responseStatus"]["code"] == 403).map(|event| &event["requestURI"]).collect();
    assert!(refused.is_empty(), "the chart lacks a right: {refused:#?}");
    let used = used(&events);
    let beyond: Vec<_> = used.iter().filter(|used| !granted.iter().any(|granted| covers(granted, used))).collect();
    assert!(beyond.is_empty(), "used, though no rule of the chart gives it: {beyond:#?}");
    let idle: Vec<_> = granted.iter().filter(|granted| !used.iter().any(|used| covers(granted, used))).collect();
    assert!(idle.is_empty(), "given, and never used: {idle:#?}");
}

/// Makes the operator do everything it does to Kubernetes: read, claim, report, tell of the same twice, let go.
async fn exercise(scope: &Scope<'_>) {
    scope.connection("corporate", "oidc");
    scope.create("params", on("corporate").value("screen_hint", "one")).await;
    scope.until_ready("params").await;
    for value in ["two", "three"] {
        scope.edit("params", edit().value("screen_hint", value)).await;
        scope.until_auth0(value, |auth0| auth0.upstream_params("corporate")["screen_hint"]["value"] == value).await;
        scope.until_ready("params").await;
    }
    scope.until_event("params", "Applied").await;
    // The same for the tenant, whose events are in another namespace.
    scope.until_tenant("Ready", "True", "Ready").await;
    scope.delete_secret().await;
    scope.until_tenant("Ready", "False", "SecretNotFound").await;
    scope.create_secret().await;
    scope.until_tenant("Ready", "True", "Ready").await;
    scope.delete("params").await;
    scope.until_gone("params").await;

    // What goes without its finalizer is told of on the tenant, whose events are in another namespace.
    scope.create("left", on("corporate").value("left", "one")).await;
    scope.until_ready("left").await;
    scope.delete_secret().await;
    scope.until_tenant("ResolvedRefs", "False", "SecretNotFound").await;
    scope.delete("left").await;
    scope.until_condition("left", "Ready", "False", "Deleting").await;
    scope.strip_finalizers("left").await;
    scope.until_gone("left").await;
    scope.until_tenant_event("ParametersLeft").await;
    scope.create_secret().await;
    scope.until_tenant("Ready", "True", "Ready").await;
}

#[tokio::test]
async fn the_operator_has_every_right_that_it_uses_and_uses_every_right_that_it_has() {
    let cluster = cluster().await;
    let mark = cluster.audit_mark();
    let mut values = cluster.values();
    let start = Instant::now();
    succeeds(&cluster.install(Helm::V4, &chart(), &values).await);
    let installed = start.elapsed();
    let scope = cluster.world.scope("rights").await;
    scope.connection("first", "oidc");
    scope.create("first", on("first").value("screen_hint", "signup")).await;
    scope.until_ready("first").await;
    note(&format!("helm install took {installed:.1?}, the first object was Ready {:.1?} after its start", start.elapsed()));
    exercise(&scope).await;
    assert_exact(&cluster, mark, &granted(&rendered(&values)));

    // From now on in one namespace only. That of the first scope is not served any more.
    let served = cluster.world.bare_scope("served").await;
    values["scope"] = json!({"namespaces": [served.name]});
    cluster.upgrade(Helm::V4, &values).await;
    let mark = cluster.audit_mark();
    restart(&cluster, &mut values).await;
    // Which is a right that is used once.
    cluster.delete_lease();
    served.create_secret().await;
    served.create_tenant(tenant()).await;
    let elsewhere = scope.create("elsewhere", on("first").value("ui_locales", "de")).await;
    exercise(&served).await;
    assert_exact(&cluster, mark, &granted(&rendered(&values)));
    let untouched = scope.get("elsewhere").await;
    assert_eq!(untouched.resource_version(), elsewhere.resource_version(), "another namespace is not served");

    // It can be deleted nevertheless, as it never got a finalizer; what has one needs the operator.
    scope.delete("elsewhere").await;
    scope.until_gone("elsewhere").await;
    values["scope"] = json!({"namespaces": [served.name, scope.name]});
    cluster.upgrade(Helm::V4, &values).await;
    scope.delete("first").await;
    scope.until_gone("first").await;
    assert_eq!(scope.auth0.upstream_params("first"), Value::Null);
}

/// Another pod of the same rights, so that its first lists are in the part of the audit log that is looked at.
async fn restart(cluster: &Cluster, values: &mut Value) {
    values["podAnnotations"] = json!({"restarted": "yes"});
    cluster.upgrade(Helm::V4, values).await;
}

/// Tells a figure that nothing is asserted about.
pub(super) fn note(text: &str) {
    use std::io::Write as _;
    drop(writeln!(std::io::stderr(), "{text}"));
}

#[tokio::test]
async fn the_built_in_roles_get_the_objects_but_neither_their_status_nor_tenants() {
    let cluster = cluster().await;
    succeeds(&cluster.install(Helm::V4, &chart(), &cluster.values()).await);
    let scope = cluster.world.bare_scope("roles").await;
    for role in ["view", "edit", "admin"] {
        let bind = ["create", "rolebinding", role, "--clusterrole", role, "--user", role, "--namespace", &scope.name];
        succeeds(&cluster.kubectl(&bind, ""));
    }
    succeeds(
        &cluster.kubectl(
            &["create", "clusterrolebinding", "platform", "--clusterrole=upstream-params-operator-tenants", "--user=platform"],
            "",
        ),
    );

    let may = async |user: &str, verb: &str, resource: &str| {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        // As the API server asks it: a tenant is in no namespace.
        let namespace = if resource == "upstreamparams" { scope.name.as_str() } else { "" };
        let what =
            json!({"verb": verb, "group": "upstreamparams.dev", "resource": resource, "subresource": subresource, "namespace": namespace});
        let review: SubjectAccessReview = from(json!({"metadata": {}, "spec": {"user": user, "resourceAttributes": what}}));
        let api: Api<SubjectAccessReview> = Api::all(scope.client.clone());
        api.create(&PostParams::default(), &review).await.unwrap().status.unwrap().allowed
    };
    // A controller fills the built-in roles.
    until("the rules of the built-in roles", async || {
        may("admin", "create", "upstreamparams").await && may("view", "get", "upstreamparams").await
    })
    .await;
    let mut found = Vec::new();
    for user in ["view", "edit", "admin", "platform"] {
        for resource in ["upstreamparams", "upstreamparams/status", "clusterauth0tenants", "clusterauth0tenants/status"] {
            for verb in ["get", "patch"] {
                if may(user, verb, resource).await {
                    found.push(format!("{user}: {verb} {resource}"));
                }
            }
        }
    }
    let expected = [
        "view: get upstreamparams",
        "edit: get upstreamparams",
        "edit: patch upstreamparams",
        "admin: get upstreamparams",
        "admin: patch upstreamparams",
        "platform: get clusterauth0tenants",
        "platform: patch clusterauth0tenants",
    ];
    assert_eq!(found, expected);
}
