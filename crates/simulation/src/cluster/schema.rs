//! Defaults and the fields there are, as the CRDs of the operator say them. What else a CRD checks is left out.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::{Map, Value};
use upstream_params_operator::api::crd;

use super::kind::Kind;

/// What a schema says of one place.
#[derive(Debug, Default)]
pub(super) struct Node {
    default: Option<Value>,
    properties: BTreeMap<String, Node>,
    items: Option<Box<Node>>,
    entries: Option<Box<Node>>,
    /// Whether it is an object whose other fields are dropped.
    closed: bool,
}

impl Node {
    fn read(schema: &Value) -> Self {
        let properties: BTreeMap<String, Self> =
            schema["properties"].as_object().into_iter().flatten().map(|(name, schema)| (name.clone(), Self::read(schema))).collect();
        let boxed = |schema: &Value| schema.is_object().then(|| Box::new(Self::read(schema)));
        let (items, entries) = (boxed(&schema["items"]), boxed(&schema["additionalProperties"]));
        let preserves = schema["x-kubernetes-preserve-unknown-fields"] == true || schema["additionalProperties"] == true;
        let closed = schema["type"] == "object" && entries.is_none() && !preserves;
        Self { default: schema.get("default").cloned(), properties, items, entries, closed }
    }

    /// Drops what the schema does not know, and sets what is not there and has a default.
    pub(super) fn complete(&self, value: &mut Value) {
        match value {
            Value::Object(fields) => {
                if self.closed {
                    fields.retain(|name, _| self.properties.contains_key(name));
                }
                self.complete_fields(fields);
                if let Some(entries) = &self.entries {
                    fields.values_mut().for_each(|entry| entries.complete(entry));
                }
            }
            Value::Array(items) => {
                if let Some(schema) = &self.items {
                    for item in items {
                        schema.complete(item);
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// A null is no value: nothing here is nullable.
    fn complete_fields(&self, fields: &mut Map<String, Value>) {
        for (name, property) in &self.properties {
            if fields.get(name).is_some_and(Value::is_null) {
                fields.remove(name);
            }
            if let (None, Some(default)) = (fields.get(name), &property.default) {
                fields.insert(name.clone(), default.clone());
            }
            if let Some(value) = fields.get_mut(name) {
                property.complete(value);
            }
        }
    }
}

/// The schema of a part (`spec` or `status`) of a custom resource.
pub(super) fn part(kind: Kind, part: &str) -> Option<&'static Node> {
    static SCHEMAS: OnceLock<BTreeMap<String, Node>> = OnceLock::new();
    let schemas = SCHEMAS.get_or_init(|| {
        let read = |crd| {
            let crd = serde_json::to_value(crd).unwrap_or_default();
            let kind = crd["spec"]["names"]["kind"].as_str().unwrap_or_default().to_owned();
            (kind, Node::read(&crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]))
        };
        crd::crds().iter().map(read).collect()
    });
    schemas.get(kind.names().kind)?.properties.get(part)
}

/// What stands where a part is not there.
pub(super) fn default_of(kind: Kind, name: &str) -> Option<Value> {
    part(kind, name)?.default.clone()
}
