//! The `CustomResourceDefinition`s, as the types of this module say them.
//!
//! The derived schema is tidied first: a field that may be absent is not `nullable` (a null would be a second spelling
//! of absent, and would join an enum's supported values), formats that Kubernetes does not know are dropped, and the
//! line breaks of doc comments are no part of a description.
//!
//! The `status` of both kinds starts as `{observedGeneration: -1}`, so that tools that wait for `observedGeneration`
//! do not take an object for done that the operator has not seen yet.

pub mod json_schema;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use serde_json::{Value, json};

use super::tenant::ClusterAuth0Tenant;
use super::upstream_params::UpstreamParams;

/// The definitions could not be written as YAML.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A definition has no JSON form.
    #[error("a CustomResourceDefinition cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    /// A definition has no YAML form.
    #[error("a CustomResourceDefinition cannot be written as YAML")]
    Yaml(#[from] serde_saphyr::ser::Error),
    /// A rule that a JSON schema can't be made of.
    #[error("a JSON schema cannot say this rule: {0}")]
    Rule(String),
}

/// Both definitions, ready to be applied: `UpstreamParams`, then `ClusterAuth0Tenant`.
pub fn crds() -> Vec<CustomResourceDefinition> {
    [UpstreamParams::crd(), ClusterAuth0Tenant::crd()].map(tidied).into()
}

/// Both definitions as one YAML text of two documents.
pub fn crds_yaml() -> Result<String, Error> {
    let documents = crds().iter().map(yaml).collect::<Result<Vec<_>, _>>()?;
    Ok(documents.join("---\n"))
}

/// One definition as a YAML document, as it is committed under `crds/`.
fn yaml(crd: &CustomResourceDefinition) -> Result<String, Error> {
    let mut value = serde_json::to_value(crd)?;
    write_whole_numbers_plainly(&mut value);
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    Ok(serde_saphyr::to_string_with_options(&value, options)?)
}

/// Limits are floating-point in the definition's types: 5.0 is written as 5, which is the same to every reader.
fn write_whole_numbers_plainly(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(write_whole_numbers_plainly),
        Value::Object(fields) => fields.values_mut().for_each(write_whole_numbers_plainly),
        Value::Number(number) => {
            // Display of a whole f64 has no fraction, so only whole numbers parse; larger ones than i64 stay as they are.
            if let Some(whole) = number.as_f64().filter(|_| number.is_f64()).and_then(|float| float.to_string().parse::<i64>().ok()) {
                *value = whole.into();
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

fn tidied(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for schema in crd.spec.versions.iter_mut().filter_map(|version| version.schema.as_mut()?.open_api_v3_schema.as_mut()) {
        tidy(schema);
        if let Some(status) = schema.properties.as_mut().and_then(|properties| properties.get_mut("status")) {
            status.default = Some(JSON(json!({ "observedGeneration": -1 })));
        }
    }
    crd
}

fn tidy(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    if let Some(description) = &mut schema.description {
        *description = description.split('\n').collect::<Vec<_>>().join(" ");
    }
    if let Some(supported) = &mut schema.enum_ {
        supported.retain(|JSON(value)| !value.is_null());
    }
    if schema.format.as_deref().is_some_and(|format| format.starts_with("uint")) {
        schema.format = None;
    }
    children(schema).for_each(tidy);
}

/// The schemas directly inside one that say what is in objects, lists and maps.
fn children(schema: &mut JSONSchemaProps) -> impl Iterator<Item = &mut JSONSchemaProps> {
    let entries = match &mut schema.additional_properties {
        Some(JSONSchemaPropsOrBool::Schema(entries)) => Some(entries.as_mut()),
        Some(JSONSchemaPropsOrBool::Bool(_)) | None => None,
    };
    let items = match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => Some(items.as_mut()),
        Some(JSONSchemaPropsOrArray::Schemas(_)) | None => None,
    };
    schema.properties.iter_mut().flat_map(|properties| properties.values_mut()).chain(entries).chain(items)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::upstream_params::Alias;

    /// Client-side apply keeps a copy in an annotation, and annotations end at 262,144 bytes; far below is polite.
    const MOST_BYTES_AS_JSON: usize = 60_000;

    fn committed(crd: &CustomResourceDefinition) -> String {
        format!("{}/crds/{}.yaml", env!("CARGO_MANIFEST_DIR"), crd.spec.names.plural)
    }

    #[test]
    fn the_committed_definitions_are_what_the_types_say() {
        for crd in crds() {
            let text = format!("# Written from src/api by `UPDATE_EXPECT=1 cargo test --lib crd`. Do not edit.\n{}", yaml(&crd).unwrap());
            expect_test::expect_file![committed(&crd)].assert_eq(&text);
        }
    }

    #[test]
    fn both_definitions_together_are_two_documents() {
        let text = crds_yaml().unwrap();
        let names: Vec<String> = text
            .split("---\n")
            .map(|document| serde_saphyr::from_str::<CustomResourceDefinition>(document).unwrap().spec.names.kind)
            .collect();
        assert_eq!(names, ["UpstreamParams", "ClusterAuth0Tenant"]);
    }

    #[test]
    fn a_definition_stays_small() {
        for crd in crds() {
            let bytes = serde_json::to_vec(&crd).unwrap().len();
            assert!(bytes < MOST_BYTES_AS_JSON, "{}: {bytes} bytes", crd.spec.names.plural);
        }
    }

    #[test]
    fn group_version_and_names_are_the_public_ones() {
        for crd in crds() {
            assert_eq!(crd.spec.group, super::super::GROUP);
            assert_eq!(crd.spec.versions[0].name, super::super::VERSION);
            assert_eq!(crd.spec.names.categories, Some(vec!["auth0".to_owned()]));
            assert!(crd.spec.versions[0].subresources.as_ref().unwrap().status.is_some());
        }
        assert!(super::super::FINALIZER.starts_with(&format!("{}/", super::super::GROUP)));
    }

    /// Calls `look` with the path and the schema of everything under `spec`, lists as `[]`, maps as `{}`.
    fn walk(path: &str, schema: &JSONSchemaProps, look: &mut impl FnMut(&str, &JSONSchemaProps)) {
        look(path, schema);
        for (name, property) in schema.properties.iter().flatten() {
            walk(&format!("{path}.{name}"), property, look);
        }
        if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
            walk(&format!("{path}[]"), items, look);
        }
        if let Some(JSONSchemaPropsOrBool::Schema(entries)) = &schema.additional_properties {
            walk(&format!("{path}{{}}"), entries, look);
        }
    }

    fn walk_all(part: &str, mut look: impl FnMut(&str, &JSONSchemaProps)) {
        for crd in crds() {
            let root = crd.spec.versions[0].schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap();
            let schema = &root.properties.as_ref().unwrap()[part];
            walk(&format!("{}.{part}", crd.spec.names.kind), schema, &mut look);
        }
    }

    #[test]
    fn everything_in_spec_is_bounded() {
        walk_all("spec", |path, schema| {
            let bounded = match schema.type_.as_deref() {
                Some("string") => schema.max_length.is_some() || schema.enum_.is_some(),
                Some("array") => schema.max_items.is_some() && schema.x_kubernetes_list_type.is_some(),
                Some("object") => schema.additional_properties.is_none() || schema.max_properties.is_some(),
                Some("integer") => schema.minimum.is_some() && schema.maximum.is_some(),
                _ => false,
            };
            assert!(bounded, "{path} has no limit: {:?}", schema.type_);
        });
    }

    /// `kubectl explain` shortens a list of supported values, so the descriptions have it too.
    #[test]
    fn the_descriptions_name_every_alias() {
        let mut found = 0;
        walk_all("spec", |path, schema| {
            if path.rsplit('.').next().is_some_and(|last| last == "params" || last == "alias") {
                let description = schema.description.as_deref().unwrap();
                let named =
                    |alias: &Alias| description.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|word| word == alias.as_str());
                assert!(Alias::ALL.iter().all(named), "{path}: {description}");
                found += 1;
            }
        });
        assert_eq!(found, 2);
    }

    #[test]
    fn there_is_no_null_no_unknown_format_and_no_default_inside_a_list() {
        for part in ["spec", "status"] {
            walk_all(part, |path, schema| {
                assert_eq!(schema.nullable, None, "{path}");
                assert!(schema.enum_.iter().flatten().all(|JSON(value)| value.is_string()), "{path}");
                let format = schema.format.as_deref();
                assert!(matches!(format, None | Some("int32" | "int64" | "date-time")), "{path}: {format:?}");
                assert!(!path.contains("[]") || schema.default.is_none(), "{path}");
            });
        }
    }

    #[test]
    fn what_may_be_left_out_of_spec_has_the_default_of_the_documentation() {
        let mut defaults = Vec::new();
        walk_all("spec", |path, schema| {
            defaults.extend(schema.default.as_ref().map(|JSON(default)| format!("{path} {default}")));
        });
        let expected = [
            r#"UpstreamParams.spec.adoptionPolicy "IfEqual""#,
            r#"UpstreamParams.spec.deletionPolicy "Delete""#,
            r#"UpstreamParams.spec.managementPolicy "Enforce""#,
            r#"UpstreamParams.spec.tenantRef {"kind":"ClusterAuth0Tenant","name":"default"}"#,
            r#"UpstreamParams.spec.tenantRef.kind "ClusterAuth0Tenant""#,
            r#"UpstreamParams.spec.tenantRef.name "default""#,
            r#"ClusterAuth0Tenant.spec.managementPolicy "Enforce""#,
            r#"ClusterAuth0Tenant.spec.rateLimit {"burst":5,"readsPerMinute":30,"requestsPerMinute":60}"#,
            "ClusterAuth0Tenant.spec.rateLimit.burst 5",
            "ClusterAuth0Tenant.spec.rateLimit.readsPerMinute 30",
            "ClusterAuth0Tenant.spec.rateLimit.requestsPerMinute 60",
            "ClusterAuth0Tenant.spec.resyncIntervalSeconds 600",
        ];
        assert_eq!(defaults, expected);
    }

    /// The fixtures announce a part of the API server's message, which is the rule's own.
    #[test]
    fn every_rule_has_an_invalid_fixture() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/invalid");
        let files = std::fs::read_dir(folder).unwrap();
        let fixtures: Vec<String> = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect();
        walk_all("spec", |path, schema| {
            for message in schema.x_kubernetes_validations.iter().flatten().map(|rule| rule.message.as_deref().unwrap()) {
                let (kind, _) = path.split_once('.').unwrap();
                // An expression may put the parameter's name before the message.
                let announces = |announced: &str| message.contains(announced.rsplit(": ").next().unwrap());
                let has_one = fixtures
                    .iter()
                    .filter(|fixture| fixture.contains(&format!("kind: {kind}\n")))
                    .any(|fixture| fixture.lines().next().and_then(|line| line.strip_prefix("# refused: ")).is_some_and(announces));
                assert!(has_one, "{path}: {message}");
            }
        });
    }
}
