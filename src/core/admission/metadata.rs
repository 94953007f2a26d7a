//! What the API server says of `metadata`, as far as a manifest sets it.

use serde_json::{Map, Value};

use super::{At, Problem, Sort, type_of};
use crate::api::rules;

/// The fields that there are.
const KNOWN: [&str; 15] = [
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

const LABEL_KEY: &str = "a label's key is a name of at most 63 letters, digits, '-', '_' and '.', perhaps after a DNS name and '/'";
const LABEL_VALUE: &str = "a label's value has at most 63 letters, digits, '-', '_' and '.', and begins and ends with a letter or digit";

/// Checks it.
pub(super) fn check(metadata: Option<&Value>, at: &At, found: &mut Vec<Problem>) {
    let fields = match metadata {
        Some(Value::Object(fields)) => fields,
        None | Some(Value::Null) => {
            return found.push(at.member("name").problem(Sort::Missing, "Required value: name or generateName is required"));
        }
        Some(other) => {
            return found.push(at.problem(Sort::WrongType, format!("Invalid value: must be of type object, and is {}", type_of(other))));
        }
    };
    for name in fields.keys().filter(|name| !KNOWN.contains(&name.as_str())) {
        let at = at.member(name);
        let message = format!("unknown field \"{}\"", at.shown);
        let supported = KNOWN.iter().map(|known| (*known).to_owned()).collect();
        found.push(Problem { about_key: true, supported, ..at.worded(Sort::UnknownField, message) });
    }
    name(fields, at, found);
    texts(fields, "labels", at, found);
    texts(fields, "annotations", at, found);
    for (key, value) in fields.get("labels").and_then(Value::as_object).into_iter().flatten() {
        let at = at.member("labels").member(key);
        if !is_label_key(key) {
            found.push(Problem { about_key: true, ..at.problem(Sort::Invalid, format!("Invalid value: {LABEL_KEY}")) });
        }
        if value.as_str().is_some_and(|text| !is_label_value(text)) {
            found.push(at.problem(Sort::Invalid, format!("Invalid value: {LABEL_VALUE}")));
        }
    }
}

fn name(fields: &Map<String, Value>, at: &At, found: &mut Vec<Problem>) {
    let given = |name: &str| fields.get(name).filter(|value| !value.is_null());
    if given("name").is_none_or(|name| name == "") && given("generateName").is_none() {
        found.push(at.member("name").problem(Sort::Missing, "Required value: name or generateName is required"));
        return;
    }
    for (field, is_one) in [("name", rules::is_dns_subdomain as fn(&str) -> bool), ("namespace", rules::is_dns_label)] {
        match given(field) {
            Some(Value::String(text)) if text.is_empty() || is_one(text) => {}
            Some(Value::String(_)) => found.push(at.member(field).problem(Sort::Invalid, format!("Invalid value: {}", rules::OBJECT_NAME))),
            Some(other) => found.push(no_text(&at.member(field), other)),
            None => {}
        }
    }
}

/// Labels and annotations hold texts: `true` and `5` are the trap of those who write them.
fn texts(fields: &Map<String, Value>, field: &str, at: &At, found: &mut Vec<Problem>) {
    let at = at.member(field);
    match fields.get(field) {
        None | Some(Value::Null) => {}
        Some(Value::Object(entries)) => {
            let others = entries.iter().filter(|(_, value)| !value.is_string() && !value.is_null());
            found.extend(others.map(|(key, value)| no_text(&at.member(key), value)));
        }
        Some(other) => found.push(at.problem(Sort::WrongType, format!("Invalid value: must be of type object, and is {}", type_of(other)))),
    }
}

fn no_text(at: &At, value: &Value) -> Problem {
    at.problem(Sort::WrongType, format!("Invalid value: must be of type string, and is {}; put it in quotes", type_of(value)))
}

fn is_label_key(key: &str) -> bool {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    prefix.is_none_or(rules::is_dns_subdomain) && !name.is_empty() && is_label_value(name)
}

fn is_label_value(text: &str) -> bool {
    let ends = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    text.len() <= rules::MAX_LABEL_VALUE
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        && ends(text.chars().next())
        && ends(text.chars().next_back())
}
