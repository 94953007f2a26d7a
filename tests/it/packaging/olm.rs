//! The bundle for the Operator Lifecycle Manager: what the chart installs, in the form that OLM reads. OLM's own library judges it:
//! `tests/olm-check`.
//!
//! `UPDATE_EXPECT=1 cargo test --test it packaging::olm` writes it.

use std::collections::BTreeMap;

use expect_test::expect_file;
use serde_json::{Value, json};
use test_support::OPERATOR_NAMESPACE;
use test_support::repository::{files_below, read, root};

use super::helm::{kind, name, rendered};

const NAME: &str = "upstream-params-operator";
const VERSION: &str = env!("CARGO_PKG_VERSION");
const CHANNEL: &str = "preview";

fn yaml(value: &Value) -> String {
    let head = "# Made from the chart by `UPDATE_EXPECT=1 cargo test --test it packaging::olm`. Do not edit.\n";
    head.to_owned() + &serde_saphyr::to_string(value).unwrap()
}

fn chart_metadata() -> Value {
    serde_saphyr::from_str(&read(&root().join("charts/upstream-params-operator/Chart.yaml"))).unwrap()
}

/// What the chart says for Artifact Hub.
fn annotation(metadata: &Value, name: &str) -> Value {
    serde_saphyr::from_str(metadata["annotations"][format!("artifacthub.io/{name}")].as_str().unwrap()).unwrap()
}

/// An object of the chart, without what is Helm's.
fn of_chart(objects: &[Value], wanted_kind: &str, wanted_name: &str) -> Value {
    let found = objects.iter().find(|object| kind(object) == wanted_kind && name(object) == wanted_name);
    let mut object = found.unwrap_or_else(|| panic!("the chart has no {wanted_kind} {wanted_name}")).clone();
    for labels in ["/metadata/labels", "/spec/template/metadata/labels"] {
        if let Some(labels) = object.pointer_mut(labels).and_then(Value::as_object_mut) {
            labels.retain(|label, _| label != "helm.sh/chart" && label != "app.kubernetes.io/managed-by");
        }
    }
    object
}

fn rules(objects: &[Value], wanted_kind: &str, wanted_name: &str) -> Vec<Value> {
    of_chart(objects, wanted_kind, wanted_name)["rules"].as_array().unwrap().clone()
}

fn service_version(objects: &[Value]) -> Value {
    let metadata = chart_metadata();
    let image = annotation(&metadata, "images")[0]["image"].clone();
    let mut deployment = of_chart(objects, "Deployment", NAME);
    deployment["spec"]["template"]["spec"]["containers"][0]["image"] = image.clone();
    // The Lease lies in another namespace than the operator, where a bundle can't give a right.
    let for_cluster = [rules(objects, "ClusterRole", NAME), rules(objects, "Role", "upstream-params-operator-lease")].concat();
    let icon = metadata["icon"].as_str().unwrap().split_once("/main/").unwrap().1;
    let definitions = annotation(&metadata, "crds");
    json!({
        "apiVersion": "operators.coreos.com/v1alpha1",
        "kind": "ClusterServiceVersion",
        "metadata": {
            "name": format!("{NAME}.v{VERSION}"),
            "annotations": {
                "alm-examples": serde_json::to_string_pretty(&annotation(&metadata, "crdsExamples")).unwrap(),
                "capabilities": metadata["annotations"]["artifacthub.io/operatorCapabilities"],
                "categories": "Security",
                "containerImage": image,
                "description": env!("CARGO_PKG_DESCRIPTION"),
                "operatorframework.io/suggested-namespace": OPERATOR_NAMESPACE,
                "repository": env!("CARGO_PKG_REPOSITORY"),
            },
        },
        "spec": {
            "displayName": "Upstream Params Operator",
            "description": format!("{}.\n\nDocumentation: {}/blob/main/docs/index.md", env!("CARGO_PKG_DESCRIPTION"), env!("CARGO_PKG_REPOSITORY")),
            "version": VERSION,
            "maturity": "alpha",
            "minKubeVersion": metadata["kubeVersion"].as_str().unwrap().trim_start_matches(">=").trim_end_matches("-0"),
            "keywords": metadata["keywords"],
            "provider": {"name": metadata["maintainers"][0]["name"], "url": env!("CARGO_PKG_REPOSITORY")},
            "links": annotation(&metadata, "links"),
            "icon": [{"base64data": base64(read(&root().join(icon)).as_bytes()), "mediatype": "image/svg+xml"}],
            // In its own namespace only is a right on Secrets a right on those of that namespace. Objects are served in all.
            "installModes": [
                {"type": "OwnNamespace", "supported": true},
                {"type": "SingleNamespace", "supported": false},
                {"type": "MultiNamespace", "supported": false},
                {"type": "AllNamespaces", "supported": false},
            ],
            "install": {"strategy": "deployment", "spec": {
                "deployments": [{"name": NAME, "label": deployment["metadata"]["labels"], "spec": deployment["spec"]}],
                "clusterPermissions": [{"serviceAccountName": NAME, "rules": for_cluster}],
                "permissions": [{"serviceAccountName": NAME, "rules": rules(objects, "Role", "upstream-params-operator-secrets")}],
            }},
            "customresourcedefinitions": {"owned": definitions.as_array().unwrap()},
            "relatedImages": [{"name": NAME, "image": image}],
        },
    })
}

/// What an image of the bundle is labelled with, and a folder of it describes itself by.
fn annotations() -> BTreeMap<String, String> {
    let bundle = [
        ("mediatype.v1", "registry+v1"),
        ("manifests.v1", "manifests/"),
        ("metadata.v1", "metadata/"),
        ("package.v1", NAME),
        ("channels.v1", CHANNEL),
        ("channel.default.v1", CHANNEL),
    ];
    bundle.into_iter().map(|(key, value)| (format!("operators.operatorframework.io.bundle.{key}"), value.to_owned())).collect()
}

fn dockerfile() -> String {
    let labels: String = annotations().iter().map(|(key, value)| ["LABEL ", key, "=", value, "\n"].concat()).collect();
    format!(
        "# The bundle as an image. Made by `UPDATE_EXPECT=1 cargo test --test it packaging::olm`. Do not edit.\n\
         #\n#   docker build --file olm/bundle.Dockerfile --tag {NAME}-bundle:{VERSION} olm\n\
         FROM scratch\n{labels}COPY manifests /manifests/\nCOPY metadata /metadata/\n"
    )
}

fn base64(bytes: &[u8]) -> String {
    serde_json::from_value(json!(k8s_openapi::ByteString(bytes.to_vec()))).unwrap()
}

#[test]
fn the_bundle_is_what_the_chart_installs() {
    let objects = rendered(&json!({}));
    let mut budget = of_chart(&objects, "PodDisruptionBudget", NAME);
    // OLM says into which.
    budget["metadata"].as_object_mut().unwrap().remove("namespace");
    let mut files = BTreeMap::from([
        ("bundle.Dockerfile".to_owned(), dockerfile()),
        ("metadata/annotations.yaml".to_owned(), yaml(&json!({ "annotations": annotations() }))),
        (format!("manifests/{NAME}.clusterserviceversion.yaml"), yaml(&service_version(&objects))),
        (format!("manifests/{NAME}.poddisruptionbudget.yaml"), yaml(&budget)),
    ]);
    for crd in objects.iter().filter(|object| kind(object) == "CustomResourceDefinition") {
        let text = read(&root().join("crds").join(crd["spec"]["names"]["plural"].as_str().unwrap()).with_extension("yaml"));
        files.insert(format!("manifests/{}.yaml", name(crd)), text);
    }
    for (file, text) in &files {
        expect_file![root().join("olm").join(file)].assert_eq(text);
    }
    let there = files_below(&root().join("olm"), "");
    assert_eq!(there.len(), files.len(), "more than belongs there: {there:?}");
}

/// Every right that the chart gives the operator, and none more but for the Lease, is in the bundle; as a test of its own, since what is
/// written above could leave out a role that the chart gets one day.
#[test]
fn the_bundle_has_each_role_of_the_operator() {
    let objects = rendered(&json!({}));
    let bound = objects.iter().filter(|object| matches!(kind(object), "RoleBinding" | "ClusterRoleBinding"));
    let mut roles: Vec<&str> = bound.map(|binding| binding["roleRef"]["name"].as_str().unwrap()).collect();
    roles.sort_unstable();
    assert_eq!(roles, [NAME, "upstream-params-operator-lease", "upstream-params-operator-secrets"]);
}

#[test]
fn the_bundle_is_judged_with_every_change() {
    assert!(read(&root().join(".ci/run")).lines().any(|line| line == "run go -C tests/olm-check run . ../../olm"));
}
