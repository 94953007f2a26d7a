//! JSON schemas of both kinds, for editors and for tools that check manifests: `schemas/`, in the layout that kubeconform reads.
//!
//! Guarantees: a field that the definitions do not have is refused; a description, a bound and a list of values is the definitions';
//! a CEL rule becomes what JSON Schema has for it. Those that compare with what was there before have no counterpart, and a rule
//! that nothing is known of is an error.
//!
//! They are in draft 7, which every editor reads, and stand beside `crds/`: tools that apply a folder with all that is below it
//! would take them for objects.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde_json::{Map, Value, json};

use super::{Error, crds, write_whole_numbers_plainly};
use crate::api::{rules, schema};

/// A schema, and the file that it belongs into.
#[derive(Clone, Debug, PartialEq)]
pub struct EditorSchema {
    /// The path below the folder of the schemas.
    pub path: String,
    /// The schema.
    pub schema: Value,
}

/// The schemas of both kinds.
pub fn editor_schemas() -> Result<Vec<EditorSchema>, Error> {
    crds().iter().map(editor_schema).collect()
}

/// A schema as it stands in its file.
pub fn text(schema: &EditorSchema) -> Result<String, Error> {
    Ok(format!("{}\n", serde_json::to_string_pretty(&schema.schema)?))
}

fn editor_schema(crd: &CustomResourceDefinition) -> Result<EditorSchema, Error> {
    let (kind, group) = (&crd.spec.names.kind, &crd.spec.group);
    let version = crd.spec.versions.first();
    let root = version.and_then(|version| version.schema.as_ref()?.open_api_v3_schema.as_ref());
    let (Some(version), Some(root)) = (version, root) else { return Err(Error::Rule(format!("{kind} has no schema"))) };
    let spec = root.properties.as_ref().and_then(|properties| properties.get("spec"));
    let mut schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": kind,
        "description": root.description,
        "type": "object",
        "additionalProperties": false,
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "properties": {
            "apiVersion": { "type": "string", "enum": [format!("{group}/{}", version.name)] },
            "kind": { "type": "string", "enum": [kind] },
            "metadata": metadata(crd.spec.scope == "Namespaced"),
            "spec": spec.map(converted).transpose()?,
            "status": { "description": "What the operator found and did. Nobody else writes it.", "type": "object" },
        },
    });
    write_whole_numbers_plainly(&mut schema);
    Ok(EditorSchema { path: format!("{group}/{}_{}.json", kind.to_lowercase(), version.name), schema })
}

/// What a manifest says in `metadata`, and what the API server adds.
fn metadata(namespaced: bool) -> Value {
    let texts =
        |description: &str| json!({ "description": description, "type": ["object", "null"], "additionalProperties": { "type": "string" } });
    let name = pattern_of(schema::OBJECT_NAME_RULE);
    let mut properties = json!({
        "name": {
            "description": "The name of the object, unique for its kind in its namespace.",
            "type": "string", "minLength": 1, "maxLength": rules::MAX_DNS_NAME, "pattern": name, "patternErrorMessage": rules::OBJECT_NAME,
        },
        "generateName": { "description": "What the API server begins a name with that it makes up.", "type": "string" },
        "labels": texts("Labels: texts, in quotes where YAML would take them for something else."),
        "annotations": texts("Annotations: texts, in quotes where YAML would take them for something else."),
        "finalizers": { "type": ["array", "null"], "items": { "type": "string" } },
        "ownerReferences": { "type": ["array", "null"], "items": { "type": "object" } },
    });
    for server in [
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "generation",
        "managedFields",
        "resourceVersion",
        "selfLink",
        "uid",
    ] {
        properties[server] = json!({ "description": "The API server writes it." });
    }
    if namespaced {
        properties["namespace"] = json!({ "description": "The namespace of the object.", "type": "string", "maxLength": rules::MAX_LABEL_VALUE, "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" });
    }
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
        "anyOf": [{ "required": ["name"] }, { "required": ["generateName"] }],
    })
}

fn converted(schema: &JSONSchemaProps) -> Result<Value, Error> {
    let mut out = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            out.insert(name.to_owned(), value);
        }
    };
    // A null stands for what is not there, where there is a default.
    let may_be_null = schema.default.is_some();
    put("description", schema.description.clone().map(Value::from));
    put("type", schema.type_.as_ref().map(|name| if may_be_null { json!([name, "null"]) } else { json!(name) }));
    put(
        "enum",
        schema
            .enum_
            .as_ref()
            .map(|values| values.iter().map(|JSON(value)| value.clone()).chain(may_be_null.then_some(Value::Null)).collect()),
    );
    put("default", schema.default.as_ref().map(|JSON(default)| default.clone()));
    put("minLength", schema.min_length.map(Value::from));
    put("maxLength", schema.max_length.map(Value::from));
    put("minimum", schema.minimum.map(Value::from));
    put("maximum", schema.maximum.map(Value::from));
    put("maxItems", schema.max_items.map(Value::from));
    put("maxProperties", schema.max_properties.map(Value::from));
    put("required", schema.required.as_ref().filter(|required| !required.is_empty()).map(|required| json!(required)));
    put("uniqueItems", (schema.x_kubernetes_list_type.as_deref() == Some("set")).then_some(Value::Bool(true)));
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
        put("items", Some(converted(items)?));
    }
    if let Some(properties) = &schema.properties {
        let members =
            properties.iter().map(|(name, schema)| Ok((name.clone(), converted(schema)?))).collect::<Result<Map<_, _>, Error>>()?;
        put("properties", Some(Value::Object(members)));
    }
    match &schema.additional_properties {
        Some(JSONSchemaPropsOrBool::Schema(entries)) => put("additionalProperties", Some(converted(entries)?)),
        Some(JSONSchemaPropsOrBool::Bool(_)) | None if schema.properties.is_some() => put("additionalProperties", Some(Value::Bool(false))),
        Some(JSONSchemaPropsOrBool::Bool(_)) | None => {}
    }
    for rule in schema.x_kubernetes_validations.iter().flatten() {
        add_rule(&mut out, schema.type_.as_deref().unwrap_or_default(), &rule.rule, rule.message.as_deref().unwrap_or_default())?;
    }
    Ok(Value::Object(out))
}

/// Adds what JSON Schema has for a CEL rule.
fn add_rule(out: &mut Map<String, Value>, type_: &str, rule: &str, message: &str) -> Result<(), Error> {
    let mut all = |condition: Value| match out.entry("allOf").or_insert_with(|| json!([])) {
        Value::Array(conditions) => conditions.push(condition),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {}
    };
    if rule.contains("oldSelf") {
        return Ok(());
    }
    if rule == "size(self) > 0" {
        let bound = match type_ {
            "array" => "minItems",
            "object" => "minProperties",
            _ => "minLength",
        };
        out.insert(bound.to_owned(), json!(1));
    } else if message == rules::VALUE_CONTROL {
        all(json!({ "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]*$", "patternErrorMessage": message }));
    } else if message == rules::MATCH_EXPRESSION_VALUES {
        let takes_values = json!({ "required": ["values"], "properties": { "values": { "minItems": 1 } } });
        all(json!({
            "if": { "properties": { "operator": { "enum": ["In", "NotIn"] } } },
            "then": takes_values,
            "else": { "properties": { "values": { "maxItems": 0 } } },
        }));
    } else if let Some(pattern) = rule.strip_prefix("self.all(k, k").and_then(|rule| rule.strip_suffix(')')) {
        all(json!({ "propertyNames": { "pattern": pattern_of(&format!("self{pattern}")), "patternErrorMessage": message } }));
    } else if let Some(most) = rule.strip_prefix("self.all(k, size(k) <= ").and_then(|rule| rule.strip_suffix(')')?.parse::<u64>().ok()) {
        all(json!({ "propertyNames": { "maxLength": most } }));
    } else if let Some(both) = rule.strip_prefix("!(").and_then(|rule| members(rule.strip_suffix(')')?, " && ")) {
        all(json!({ "not": { "required": both } }));
    } else if let Some(one) = members(rule, " || ") {
        all(json!({ "anyOf": one.iter().map(|name| json!({ "required": [name] })).collect::<Vec<_>>() }));
    } else if let Some(pattern) = pattern_of(rule) {
        all(json!({ "pattern": pattern, "patternErrorMessage": message }));
    } else {
        return Err(Error::Rule(rule.to_owned()));
    }
    Ok(())
}

/// The names in `has(self.a)`, `has(self.b)`, ..., with this word between them.
fn members<'a>(rule: &'a str, between: &str) -> Option<Vec<&'a str>> {
    rule.split(between).map(|part| part.strip_prefix("has(self.")?.strip_suffix(')')).collect()
}

/// The regular expression of a rule that asks for nothing else.
fn pattern_of(rule: &str) -> Option<&str> {
    let inside = rule.strip_prefix("self.matches(")?.strip_suffix(')')?;
    inside.strip_prefix('r').unwrap_or(inside).strip_prefix('\'')?.strip_suffix('\'')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(folder: &str) -> Vec<(String, Vec<Value>)> {
        let folder = format!("{}/{folder}", env!("CARGO_MANIFEST_DIR"));
        let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
        files.retain(|file| file.extension().is_some_and(|end| end == "yaml"));
        files.sort();
        let read = |path: std::path::PathBuf| {
            let text = std::fs::read_to_string(&path).unwrap();
            let documents = text.split("\n---\n").map(|document| serde_saphyr::from_str(document).unwrap()).collect();
            (path.file_name().unwrap().to_string_lossy().into_owned(), documents)
        };
        files.into_iter().map(read).collect()
    }

    /// What a validator says of a document.
    fn judge() -> impl Fn(&Value) -> Vec<String> {
        let validators: Vec<(Value, jsonschema::Validator)> = editor_schemas()
            .unwrap()
            .into_iter()
            .map(|EditorSchema { schema, .. }| (schema["title"].clone(), jsonschema::validator_for(&schema).unwrap()))
            .collect();
        move |document| {
            let (_, validator) = validators.iter().find(|(kind, _)| *kind == document["kind"]).unwrap();
            validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect()
        }
    }

    #[test]
    fn the_committed_schemas_are_what_the_definitions_say() {
        for schema in editor_schemas().unwrap() {
            let path = format!("{}/schemas/{}", env!("CARGO_MANIFEST_DIR"), schema.path);
            std::fs::create_dir_all(std::path::Path::new(&path).parent().unwrap()).unwrap();
            expect_test::expect_file![path].assert_eq(&text(&schema).unwrap());
        }
    }

    #[test]
    fn valid_fixtures_and_examples_pass() {
        let judge = judge();
        let mut seen = 0;
        for (name, documents) in documents("tests/fixtures/valid").into_iter().chain(documents("examples")) {
            for document in documents.iter().filter(|document| document["apiVersion"] == "upstreamparams.dev/v1alpha1") {
                seen += 1;
                assert_eq!(judge(document), [""; 0], "{name}");
            }
        }
        assert!(seen > 25, "{seen}");
    }

    #[test]
    fn invalid_fixtures_are_refused_but_those_that_break_a_rule_about_changes() {
        let judge = judge();
        let mut passed = Vec::new();
        for (name, documents) in documents("tests/fixtures/invalid") {
            if documents.iter().all(|document| judge(document).is_empty()) {
                passed.push(name);
            }
        }
        let only_cel = [
            "tenant-audience-added.yaml",
            "tenant-audience-changed.yaml",
            "tenant-audience-removed.yaml",
            "tenant-domain-changed.yaml",
            "tenant-ref-name-changed.yaml",
            "tenant-ref-removed.yaml",
        ];
        assert_eq!(passed, only_cel);
    }

    #[test]
    fn what_is_not_there_is_refused_by_every_object() {
        let judge = judge();
        let object = |spec: Value, metadata: Value| {
            judge(&json!({"apiVersion": "upstreamparams.dev/v1alpha1", "kind": "UpstreamParams", "metadata": metadata, "spec": spec}))
        };
        let spec = json!({"connection": {"name": "a"}, "params": {"a": {"value": "x"}}});
        assert_eq!(object(spec.clone(), json!({"name": "a", "labels": {"a": "5"}})), [""; 0]);
        assert_eq!(object(spec.clone(), json!({"name": "a", "label": {}})).len(), 1);
        assert_eq!(object(spec.clone(), json!({"name": "a", "labels": {"a": 5}})).len(), 1);
        assert_eq!(object(spec, json!({})).len(), 1);
        assert_eq!(
            object(json!({"conection": {}, "connection": {"name": "a"}, "params": {"a": {"value": "x"}}}), json!({"name": "a"})).len(),
            1
        );
    }

    #[test]
    fn a_rule_that_nothing_is_known_of_is_an_error() {
        let mut out = Map::new();
        assert!(matches!(add_rule(&mut out, "string", "self.startsWith('a')", "x"), Err(Error::Rule(_))));
        assert_eq!(pattern_of("self.matches(r'^a$')"), Some("^a$"));
        assert_eq!(members("has(self.a) || has(self.b)", " || "), Some(vec!["a", "b"]));
    }
}
