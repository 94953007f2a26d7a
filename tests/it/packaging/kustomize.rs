//! The Kustomize base beside the chart: it is rendered from the chart, and an overlay of it is what the chart would install.
//!
//! `UPDATE_EXPECT=1 cargo test --test it packaging::kustomize` writes it.

use std::collections::BTreeMap;

use control_plane::binaries::Helm;
use expect_test::expect_file;
use serde_json::{Value, json};
use test_support::repository::{read, root};
use test_support::{OPERATOR_NAMESPACE, World};

use super::helm::{kind, name, succeeds, template};

/// What only Helm has use for.
const HELMS: [&str; 3] = ["app.kubernetes.io/managed-by: Helm", "helm.sh/chart: ", "helm.sh/resource-policy: "];

/// The chart without any value, document by document, without what is Helm's.
fn documents() -> Vec<String> {
    let text = succeeds(&template(Helm::V4, &json!({}), &[]));
    let documents = text.split("---\n").map(|document| {
        let lines =
            document.lines().filter(|line| !line.starts_with("# Source: ") && !HELMS.iter().any(|one| line.trim_start().starts_with(one)));
        lines.flat_map(|line| [line, "\n"]).collect::<String>()
    });
    documents.filter(|document| !document.trim().is_empty()).collect()
}

#[test]
fn the_base_is_what_the_chart_renders() {
    let (crds, others): (Vec<String>, Vec<String>) =
        documents().into_iter().partition(|document| document.contains("\nkind: CustomResourceDefinition\n"));
    assert_eq!(crds.len(), 2);
    for (file, documents) in [("crds.yaml", crds), ("operator.yaml", others)] {
        let head = "# Rendered from the chart by `UPDATE_EXPECT=1 cargo test --test it packaging::kustomize`. Do not edit.\n";
        let text = head.to_owned() + &documents.join("---\n");
        expect_file![root().join("kustomize/base").join(file)].assert_eq(&text);
    }
}

#[tokio::test]
async fn an_overlay_installs_what_the_chart_does_but_for_the_image() {
    let world = World::shared();
    let overlay = root().join("kustomize/example");
    let overlay = overlay.to_str().unwrap();
    let built = world.control_plane.run(["kustomize", overlay]).await.unwrap();
    let mut built = by_name(built.split("---\n").map(|document| serde_saphyr::from_str(document).unwrap()));
    let namespace = built.remove(&("Namespace".to_owned(), String::new(), OPERATOR_NAMESPACE.to_owned()));
    assert!(namespace.is_some(), "the base has no namespace");
    let image = "registry.example.com/platform/upstream-params-operator";
    let rendered = succeeds(&template(Helm::V4, &json!({"image": {"repository": image}}), &[]));
    let rendered = rendered.split("---\n").filter(|document| !document.trim().is_empty());
    let mut rendered: Vec<Value> = rendered.map(|document| serde_saphyr::from_str(document).unwrap()).collect();
    rendered.iter_mut().for_each(without_helms);
    let rendered = by_name(rendered);
    assert_eq!(built.keys().collect::<Vec<_>>(), rendered.keys().collect::<Vec<_>>());
    for (of, object) in &built {
        assert_eq!(*object, rendered[of], "{of:?}");
    }
    let overlay_text = read(&root().join("kustomize/example/kustomization.yaml"));
    assert!(overlay_text.contains(&format!("newTag: {}\n", env!("CARGO_PKG_VERSION"))), "the overlay names another version");
    world.control_plane.run(["apply", "--server-side", "--force-conflicts", "--dry-run=server", "--kustomize", overlay]).await.unwrap();
}

type Name = (String, String, String);

fn by_name(objects: impl IntoIterator<Item = Value>) -> BTreeMap<Name, Value> {
    let of = |object: &Value| {
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
        (kind(object).to_owned(), namespace.to_owned(), name(object).to_owned())
    };
    objects.into_iter().map(|object| (of(&object), object)).collect()
}

/// Takes out what is Helm's, wherever labels and annotations stand.
fn without_helms(object: &mut Value) {
    for pointer in ["/metadata", "/spec/template/metadata"] {
        for member in ["labels", "annotations"] {
            let Some(found) = object.pointer_mut(&format!("{pointer}/{member}")).and_then(Value::as_object_mut) else { continue };
            for key in HELMS.iter().map(|one| one.split(':').next().unwrap()) {
                found.remove(key);
            }
        }
    }
}
