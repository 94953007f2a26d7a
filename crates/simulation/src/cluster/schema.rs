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
    limits: Limits,
}

/// What a value has to be.
#[derive(Debug, Default)]
struct Limits {
    of_type: String,
    /// Empty: any.
    one_of: Vec<Value>,
    required: Vec<String>,
    /// By which members no two items may be equal; empty: they may.
    keys: Vec<String>,
    least: Option<f64>,
    most: Option<f64>,
    longest: Option<u64>,
    shortest: Option<u64>,
    most_items: Option<u64>,
}

impl Limits {
    fn read(schema: &Value) -> Self {
        let texts = |name: &str| schema[name].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        let keys = if schema["x-kubernetes-list-type"] == "map" { texts("x-kubernetes-list-map-keys") } else { Vec::new() };
        Self {
            of_type: schema["type"].as_str().unwrap_or_default().to_owned(),
            one_of: schema["enum"].as_array().cloned().unwrap_or_default(),
            required: texts("required"),
            keys,
            least: schema["minimum"].as_f64(),
            most: schema["maximum"].as_f64(),
            longest: schema["maxLength"].as_u64(),
            shortest: schema["minLength"].as_u64(),
            most_items: schema["maxItems"].as_u64(),
        }
    }

    /// What is wrong with a value by itself.
    fn flaw(&self, value: &Value) -> Option<String> {
        let fits = match self.of_type.as_str() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            _ => true,
        };
        if !fits {
            return Some(format!("must be of type {}", self.of_type));
        }
        if !self.one_of.is_empty() && !self.one_of.contains(value) {
            return Some("is none of the supported values".to_owned());
        }
        if let Some(fields) = value.as_object() {
            return self.required.iter().find(|name| !fields.contains_key(*name)).map(|name| format!("{name} is required"));
        }
        if let Some(number) = value.as_f64() {
            let outside = self.least.is_some_and(|least| number < least) || self.most.is_some_and(|most| number > most);
            return outside.then(|| "is out of range".to_owned());
        }
        if let Some(text) = value.as_str() {
            let length = text.chars().count() as u64;
            let outside = self.longest.is_some_and(|longest| length > longest) || self.shortest.is_some_and(|shortest| length < shortest);
            return outside.then(|| "is too long or too short".to_owned());
        }
        let items = value.as_array()?;
        if self.most_items.is_some_and(|most| items.len() as u64 > most) {
            return Some("has too many items".to_owned());
        }
        let is_same = |one: &Value, other: &Value| self.keys.iter().all(|key| one[key] == other[key]);
        let twice = !self.keys.is_empty() && (1..items.len()).any(|n| items[..n].iter().any(|item| is_same(item, &items[n])));
        twice.then(|| "has an item twice".to_owned())
    }
}

impl Node {
    fn read(schema: &Value) -> Self {
        let properties: BTreeMap<String, Self> =
            schema["properties"].as_object().into_iter().flatten().map(|(name, schema)| (name.clone(), Self::read(schema))).collect();
        let boxed = |schema: &Value| schema.is_object().then(|| Box::new(Self::read(schema)));
        let (items, entries) = (boxed(&schema["items"]), boxed(&schema["additionalProperties"]));
        let preserves = schema["x-kubernetes-preserve-unknown-fields"] == true || schema["additionalProperties"] == true;
        let closed = schema["type"] == "object" && entries.is_none() && !preserves;
        Self { default: schema.get("default").cloned(), properties, items, entries, closed, limits: Limits::read(schema) }
    }

    /// Drops what the schema does not know, and sets what is not there and has a default. Yields whether that changed anything.
    pub(super) fn complete(&self, value: &mut Value) -> bool {
        let mut changed = false;
        match value {
            Value::Object(fields) => {
                if self.closed {
                    let before = fields.len();
                    fields.retain(|name, _| self.properties.contains_key(name));
                    changed |= fields.len() != before;
                }
                changed |= self.complete_fields(fields);
                if let Some(entries) = &self.entries {
                    fields.values_mut().for_each(|entry| changed |= entries.complete(entry));
                }
            }
            Value::Array(items) => {
                if let Some(schema) = &self.items {
                    for item in items {
                        changed |= schema.complete(item);
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        changed
    }

    /// What is wrong with a value: where in it, and what. Patterns and CEL rules are not looked at.
    pub(super) fn flaw(&self, value: &Value) -> Option<(String, String)> {
        if let Some(flaw) = self.limits.flaw(value) {
            return Some((String::new(), flaw));
        }
        match value {
            Value::Object(fields) => fields.iter().find_map(|(name, value)| {
                let schema = self.properties.get(name).or(self.entries.as_deref())?;
                schema.flaw(value).map(|(rest, flaw)| (format!(".{name}{rest}"), flaw))
            }),
            Value::Array(items) => {
                let schema = self.items.as_deref()?;
                items.iter().enumerate().find_map(|(n, item)| schema.flaw(item).map(|(rest, flaw)| (format!("[{n}]{rest}"), flaw)))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        }
    }

    /// A null is no value: nothing here is nullable.
    fn complete_fields(&self, fields: &mut Map<String, Value>) -> bool {
        let mut changed = false;
        for (name, property) in &self.properties {
            if fields.get(name).is_some_and(Value::is_null) {
                fields.remove(name);
                changed = true;
            }
            if let (None, Some(default)) = (fields.get(name), &property.default) {
                fields.insert(name.clone(), default.clone());
                changed = true;
            }
            if let Some(value) = fields.get_mut(name) {
                changed |= property.complete(value);
            }
        }
        changed
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
