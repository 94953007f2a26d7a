//! What the API server says of an object before it takes it: the schema of the definitions, their CEL rules, unknown fields.
//!
//! Guarantees: of the shape and the bounds of `spec` it says what the API server says, in its words where it has words of its own,
//! and of all fields at once; the rules are those of [`crate::api::rules`], which the schema carries as CEL and this module asks
//! by their message. Values are not quoted.
//!
//! Assumes: JSON as kubectl would send it. Says nothing of `status`, which an apply does not set.

mod metadata;
mod rule;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde_json::{Map, Value};

use self::rule::Breach;

/// What sort of problem it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Sort {
    /// A field that the schema does not have: strict validation refuses it, and others drop it.
    UnknownField,
    /// A field that has to be there.
    Missing,
    /// A value of another type.
    WrongType,
    /// A value that a bound or a rule refuses.
    Invalid,
    /// A field that can't be changed.
    Immutable,
}

/// One thing that the API server would refuse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Where, as a JSON pointer.
    pub(crate) pointer: String,
    /// Whether the key is meant, and not what stands there.
    pub(crate) about_key: bool,
    /// What sort it is.
    pub(crate) sort: Sort,
    /// What is wrong, with the path as the API server writes it.
    pub(crate) message: String,
    /// What could have been written instead: fields, or values of an enum.
    pub(crate) supported: Vec<String>,
}

/// A place in an object: as a pointer, and as the API server writes it.
#[derive(Clone, Debug, Default)]
struct At {
    pointer: String,
    shown: String,
}

impl At {
    fn member(&self, name: &str) -> Self {
        let dot = if self.shown.is_empty() { "" } else { "." };
        let escaped = name.replace('~', "~0").replace('/', "~1");
        Self { pointer: format!("{}/{escaped}", self.pointer), shown: format!("{}{dot}{name}", self.shown) }
    }

    fn element(&self, position: usize) -> Self {
        Self { pointer: format!("{}/{position}", self.pointer), shown: format!("{}[{position}]", self.shown) }
    }

    fn problem(&self, sort: Sort, message: impl std::fmt::Display) -> Problem {
        let separator = if self.shown.is_empty() { "" } else { ": " };
        self.worded(sort, format!("{}{separator}{message}", self.shown))
    }

    fn worded(&self, sort: Sort, message: String) -> Problem {
        Problem { pointer: self.pointer.clone(), about_key: false, sort, message, supported: Vec::new() }
    }
}

/// The definitions, ready to be asked.
#[derive(Clone, Debug)]
pub(crate) struct Admission {
    kinds: BTreeMap<String, Kind>,
}

#[derive(Clone, Debug)]
struct Kind {
    schema: JSONSchemaProps,
    namespaced: bool,
}

impl Admission {
    /// What these definitions say.
    pub(crate) fn new(definitions: Vec<CustomResourceDefinition>) -> Self {
        let kinds = definitions.into_iter().filter_map(|definition| {
            let namespaced = definition.spec.scope == "Namespaced";
            let schema = definition.spec.versions.into_iter().next()?.schema?.open_api_v3_schema?;
            Some((definition.spec.names.kind, Kind { schema, namespaced }))
        });
        Self { kinds: kinds.collect() }
    }

    /// The kinds that there are.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = &str> {
        self.kinds.keys().map(String::as_str)
    }

    /// Whether objects of a kind are in namespaces; `None` for one that is unknown.
    pub(crate) fn is_namespaced(&self, kind: &str) -> Option<bool> {
        self.kinds.get(kind).map(|kind| kind.namespaced)
    }

    /// All that the API server would refuse in a new object of this kind, in the order of the fields.
    pub(crate) fn problems(&self, kind: &str, object: &Value) -> Vec<Problem> {
        let mut found = Vec::new();
        if let (Some(kind), Some(fields)) = (self.kinds.get(kind), object.as_object()) {
            let at = At::default();
            metadata::check(fields.get("metadata"), &at.member("metadata"), &mut found);
            unknown(Some(&kind.schema), object, &at, &mut found);
            validate(&kind.schema, object, &at, &mut found);
        }
        found
    }

    /// What can't be changed and is another in `new` than in `old`.
    pub(crate) fn changes(&self, kind: &str, old: &Value, new: &Value) -> Vec<Problem> {
        let mut found = Vec::new();
        if let Some(kind) = self.kinds.get(kind) {
            let (old, new) = (defaulted(&kind.schema, old), defaulted(&kind.schema, new));
            changed(&kind.schema, &old, &new, &At::default(), &mut found);
        }
        found
    }
}

fn is_own(at: &At, name: &str) -> bool {
    at.pointer.is_empty() && matches!(name, "apiVersion" | "kind" | "metadata" | "status")
}

/// The schema of a member; `None` where there is none.
fn member_schema<'a>(schema: &'a JSONSchemaProps, name: &str) -> Option<&'a JSONSchemaProps> {
    let property = schema.properties.as_ref().and_then(|properties| properties.get(name));
    property.or(match &schema.additional_properties {
        Some(JSONSchemaPropsOrBool::Schema(entries)) => Some(entries.as_ref()),
        Some(JSONSchemaPropsOrBool::Bool(_)) | None => None,
    })
}

fn element_schema(schema: &JSONSchemaProps) -> Option<&JSONSchemaProps> {
    match &schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => Some(items),
        Some(JSONSchemaPropsOrArray::Schemas(_)) | None => None,
    }
}

/// Finds the fields that the schema does not have, as the API server does while it prunes.
fn unknown(schema: Option<&JSONSchemaProps>, value: &Value, at: &At, found: &mut Vec<Problem>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields.iter().filter(|(name, _)| !is_own(at, name)) {
                let at_member = at.member(name);
                if let Some(member) = schema.and_then(|schema| member_schema(schema, name)) {
                    unknown(Some(member), value, &at_member, found);
                } else {
                    let known = schema.and_then(|schema| schema.properties.as_ref()).into_iter().flatten();
                    let supported = known.map(|(name, _)| name.clone()).collect();
                    let message = format!("unknown field \"{}\"", at_member.shown);
                    found.push(Problem { about_key: true, supported, ..at_member.worded(Sort::UnknownField, message) });
                }
            }
        }
        Value::Array(items) => {
            for (position, item) in items.iter().enumerate() {
                unknown(schema.and_then(element_schema), item, &at.element(position), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What a value is, in plain words.
fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn is_of(wanted: &str, value: &Value) -> bool {
    match wanted {
        "string" => value.is_string(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        _ => true,
    }
}

/// Checks a value against a schema, and what is in it.
fn validate(schema: &JSONSchemaProps, value: &Value, at: &At, found: &mut Vec<Problem>) {
    if let Some(wanted) = schema.type_.as_deref().filter(|wanted| !is_of(wanted, value)) {
        let remedy = match (wanted, value) {
            ("string", Value::Bool(_) | Value::Number(_)) => "; put it in quotes",
            ("integer", Value::String(_)) => "; write it without quotes",
            _ => "",
        };
        let message = format!("Invalid value: must be of type {wanted}, and is {}{remedy}", type_of(value));
        found.push(at.problem(Sort::WrongType, message));
        return;
    }
    let before = found.len();
    supported_values(schema, value, at, found);
    match value {
        Value::String(text) => text_bounds(schema, text, at, found),
        Value::Number(number) => number_bounds(schema, number.as_f64().unwrap_or_default(), at, found),
        Value::Array(items) => list_bounds(schema, items, at, found),
        Value::Object(fields) => object_bounds(schema, fields, at, found),
        Value::Null | Value::Bool(_) => {}
    }
    if found.len() == before {
        asked(schema, value, at, found);
    }
    match value {
        Value::Array(items) => {
            for (item, (position, schema)) in items.iter().zip((0..).zip(std::iter::repeat(element_schema(schema)))) {
                if let Some(schema) = schema {
                    validate(schema, item, &at.element(position), found);
                }
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields.iter().filter(|(name, value)| !is_own(at, name) && !value.is_null()) {
                if let Some(schema) = member_schema(schema, name) {
                    validate(schema, value, &at.member(name), found);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Asks the rules.
fn asked(schema: &JSONSchemaProps, value: &Value, at: &At, found: &mut Vec<Problem>) {
    for message in messages(schema) {
        for Breach { key, message } in rule::breaches(message, value).unwrap_or_default() {
            let problem = at.problem(Sort::Invalid, message);
            found.push(match key {
                Some(key) => Problem { pointer: at.member(&key).pointer, about_key: true, ..problem },
                None => problem,
            });
        }
    }
}

fn messages(schema: &JSONSchemaProps) -> impl Iterator<Item = &str> {
    schema.x_kubernetes_validations.iter().flatten().filter_map(|rule| rule.message.as_deref())
}

fn supported_values(schema: &JSONSchemaProps, value: &Value, at: &At, found: &mut Vec<Problem>) {
    let Some(supported) = schema.enum_.as_ref().filter(|supported| !supported.iter().any(|JSON(one)| one == value)) else { return };
    let quoted: Vec<String> = supported.iter().map(|JSON(one)| one.to_string()).collect();
    let message = format!("Unsupported value: supported values: {}", quoted.join(", "));
    let supported = supported.iter().filter_map(|JSON(one)| one.as_str().map(str::to_owned)).collect();
    found.push(Problem { supported, ..at.problem(Sort::Invalid, message) });
}

fn text_bounds(schema: &JSONSchemaProps, text: &str, at: &At, found: &mut Vec<Problem>) {
    let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
    if let Some(most) = schema.max_length.filter(|most| length > *most) {
        found.push(at.problem(Sort::Invalid, format!("Too long: {length} characters: may not be more than {most}")));
    }
    if let Some(least) = schema.min_length.filter(|least| length < *least) {
        found.push(at.worded(Sort::Invalid, format!("{} in body should be at least {least} chars long", at.shown)));
    }
}

fn number_bounds(schema: &JSONSchemaProps, number: f64, at: &At, found: &mut Vec<Problem>) {
    if let Some(most) = schema.maximum.filter(|most| number > *most) {
        found.push(at.worded(Sort::Invalid, format!("{} in body should be less than or equal to {most}", at.shown)));
    }
    if let Some(least) = schema.minimum.filter(|least| number < *least) {
        found.push(at.worded(Sort::Invalid, format!("{} in body should be greater than or equal to {least}", at.shown)));
    }
}

fn list_bounds(schema: &JSONSchemaProps, items: &[Value], at: &At, found: &mut Vec<Problem>) {
    too_many(schema.max_items, items.len(), at, found);
    if schema.x_kubernetes_list_type.as_deref() == Some("set") {
        let again = items.iter().enumerate().filter(|(position, item)| items.iter().take(*position).any(|earlier| earlier == *item));
        found.extend(again.map(|(position, _)| at.element(position).problem(Sort::Invalid, "Duplicate value: leave it out")));
    }
}

fn object_bounds(schema: &JSONSchemaProps, fields: &Map<String, Value>, at: &At, found: &mut Vec<Problem>) {
    too_many(schema.max_properties, fields.len(), at, found);
    for name in schema.required.iter().flatten() {
        if fields.get(name).is_none_or(Value::is_null) {
            found.push(at.member(name).problem(Sort::Missing, "Required value"));
        }
    }
}

fn too_many(most: Option<i64>, count: usize, at: &At, found: &mut Vec<Problem>) {
    if let Some(most) = most.filter(|most| i64::try_from(count).is_ok_and(|count| count > *most)) {
        found.push(at.problem(Sort::Invalid, format!("Too many: {count}: must have at most {most} items")));
    }
}

/// An object with the defaults of its schema, at places where there is none or a null.
fn defaulted(schema: &JSONSchemaProps, value: &Value) -> Value {
    let Value::Object(fields) = value else { return value.clone() };
    let mut fields: Map<String, Value> = fields.clone().into_iter().filter(|(_, value)| !value.is_null()).collect();
    for (name, property) in schema.properties.iter().flatten() {
        if let (None, Some(JSON(default))) = (fields.get(name), &property.default) {
            fields.insert(name.clone(), default.clone());
        }
    }
    let full = |(name, value): (String, Value)| {
        let value = member_schema(schema, &name).map_or_else(|| value.clone(), |schema| defaulted(schema, &value));
        (name, value)
    };
    Value::Object(fields.into_iter().map(full).collect())
}

fn changed(schema: &JSONSchemaProps, old: &Value, new: &Value, at: &At, found: &mut Vec<Problem>) {
    for message in messages(schema) {
        if let Some(field) = rule::changed(message, old, new) {
            let place = if field.is_empty() { at.clone() } else { at.member(field) };
            found.push(place.problem(Sort::Immutable, message));
        }
    }
    for (name, schema) in schema.properties.iter().flatten() {
        if let (Some(old), Some(new)) = (old.get(name), new.get(name)) {
            changed(schema, old, new, &at.member(name), found);
        }
    }
}
