//! Every fixture, which the API server is asked about too, and what no fixture holds.

use serde_json::json;

use super::*;
use crate::api::crd::crds;
use crate::core::spec;

fn admission() -> Admission {
    Admission::new(crds())
}

/// The announced refusal and the documents of every fixture.
fn fixtures(folder: &str) -> Vec<(String, String, Vec<Value>)> {
    let folder = format!("{}/tests/fixtures/{folder}", env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let read = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let announced = text.lines().next().and_then(|line| line.strip_prefix("# refused: ")).unwrap_or_default().to_owned();
        let documents = text.split("\n---\n").map(|document| serde_saphyr::from_str(document).unwrap()).collect();
        (path.file_name().unwrap().to_string_lossy().into_owned(), announced, documents)
    };
    files.into_iter().map(read).collect()
}

fn problems(object: &Value) -> Vec<Problem> {
    admission().problems(object["kind"].as_str().unwrap(), object)
}

#[test]
fn every_valid_fixture_passes() {
    let fixtures = fixtures("valid");
    assert!(fixtures.len() > 20);
    for (name, _, documents) in fixtures {
        for document in documents {
            assert_eq!(problems(&document), [], "{name}");
            if document["kind"] == "UpstreamParams" {
                assert_eq!(spec::refusals(&document["spec"]), [], "{name}");
            }
        }
    }
}

#[test]
fn every_invalid_fixture_is_refused_with_what_it_announces() {
    let fixtures = fixtures("invalid");
    assert!(fixtures.len() > 100);
    for (name, announced, documents) in fixtures {
        assert!(!announced.is_empty(), "{name}");
        let last = documents.last().unwrap();
        let told = match documents.as_slice() {
            [old, new] => {
                assert_eq!((problems(old), problems(new)), (vec![], vec![]), "{name}");
                admission().changes(new["kind"].as_str().unwrap(), old, new)
            }
            _ => problems(last),
        };
        assert!(told.iter().any(|problem| problem.message.contains(&announced)), "{name}: {announced:?} in {told:#?}");
        // What the operator reads itself it refuses too, but for changes, unknown fields and what only the schema bounds.
        if last["kind"] == "UpstreamParams" && documents.len() == 1 {
            assert!(spec::spec(&last["spec"]).is_err(), "{name}");
        }
    }
}

#[test]
fn every_rule_of_the_schema_is_known() {
    fn walk(schema: &JSONSchemaProps, look: &mut impl FnMut(&str)) {
        messages(schema).for_each(&mut *look);
        schema.properties.iter().flatten().for_each(|(_, property)| walk(property, look));
        if let Some(items) = element_schema(schema) {
            walk(items, look);
        }
        if let Some(JSONSchemaPropsOrBool::Schema(entries)) = &schema.additional_properties {
            walk(entries, look);
        }
    }
    let mut seen = 0;
    for kind in admission().kinds.values() {
        walk(&kind.schema, &mut |message| {
            seen += 1;
            assert!(rule::breaches(message, &Value::Null).is_some(), "{message}");
        });
    }
    assert!(seen > 20, "{seen}");
}

fn told(object: &Value) -> Vec<(String, String)> {
    problems(object).into_iter().map(|problem| (problem.pointer, problem.message)).collect()
}

#[test]
fn all_problems_are_told_each_with_its_place() {
    let object = json!({
        "apiVersion": "upstreamparams.dev/v1alpha1", "kind": "UpstreamParams",
        "metadata": {"name": "A", "label": {}, "labels": {"a/b/c": "x", "ok": true}, "annotations": {"n": 5}},
        "spec": {"conection": {}, "params": {"a b": {"value": ""}, "c/d": {"vallue": "x", "value": 5, "alias": "stat"}}, "managementPolicy": "enforce"},
        "status": {"anything": 1},
    });
    let told = told(&object);
    let expected = [
        ("/metadata/label", "unknown field \"metadata.label\""),
        ("/metadata/name", "metadata.name: Invalid value: the name of a Kubernetes object"),
        ("/metadata/labels/ok", "metadata.labels.ok: Invalid value: must be of type string, and is true or false; put it in quotes"),
        ("/metadata/annotations/n", "metadata.annotations.n: Invalid value: must be of type string, and is a number; put it in quotes"),
        ("/metadata/labels/a~1b~1c", "metadata.labels.a/b/c: Invalid value: a label's key"),
        ("/spec/conection", "unknown field \"spec.conection\""),
        ("/spec/params/c~1d/vallue", "unknown field \"spec.params.c/d.vallue\""),
        ("/spec/connection", "spec.connection: Required value"),
        ("/spec/managementPolicy", "spec.managementPolicy: Unsupported value: supported values: \"Enforce\", \"Observe\""),
        ("/spec/params/a b", "spec.params: a b: a parameter name consists"),
        ("/spec/params/c~1d", "spec.params: c/d: a parameter name consists"),
        ("/spec/params/a b/value", "spec.params.a b.value: an empty value"),
        ("/spec/params/c~1d", "spec.params.c/d: a parameter has either value or alias"),
        ("/spec/params/c~1d/alias", "spec.params.c/d.alias: Unsupported value"),
        ("/spec/params/c~1d/value", "spec.params.c/d.value: Invalid value: must be of type string, and is a number; put it in quotes"),
    ];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for ((pointer, message), (at, begin)) in told.iter().zip(expected) {
        assert!(pointer == at && message.starts_with(begin), "{pointer}: {message} instead of {at}: {begin}");
    }
}

#[test]
fn a_null_counts_as_absent_and_what_is_no_object_is_told() {
    let with = |spec: Value| told(&json!({"kind": "UpstreamParams", "metadata": {"generateName": "a-"}, "spec": spec}));
    assert_eq!(
        with(json!({"connection": {"name": "a", "id": null}, "params": {"a": {"value": "x", "alias": null}}, "adoptionPolicy": null})),
        []
    );
    assert_eq!(with(json!({"connection": {"name": "a"}, "params": {"a": null}}))[0].0, "/spec/params");
    assert_eq!(with(json!(null))[0], ("/spec".to_owned(), "spec: Required value".to_owned()));
    assert!(with(json!([]))[0].1.contains("must be of type object, and is a list"));
    let no_metadata = told(&json!({"kind": "ClusterAuth0Tenant", "metadata": [], "spec": {}}));
    assert!(no_metadata[0].1.contains("metadata: Invalid value"), "{no_metadata:?}");
    assert_eq!(no_metadata.len(), 4);
}

#[test]
fn a_change_counts_after_the_defaults() {
    let admission = admission();
    let object = |spec: Value| json!({"kind": "UpstreamParams", "spec": spec});
    let changes = |old: Value, new: Value| admission.changes("UpstreamParams", &object(old), &object(new)).len();
    assert_eq!(changes(json!({}), json!({"tenantRef": {"name": "default"}})), 0);
    assert_eq!(changes(json!({"tenantRef": null}), json!({"tenantRef": {"kind": "ClusterAuth0Tenant"}})), 0);
    assert_eq!(changes(json!({}), json!({"tenantRef": {"name": "other"}})), 1);
}
