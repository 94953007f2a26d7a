//! The CEL rules of the schema, as functions: each is known by its message.

use serde_json::Value;

use crate::api::rules;
use crate::model::identity::{ConnectionId, ConnectionName};

/// A rule that a value breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Breach {
    /// The key that breaks it, where the rule is about keys.
    pub(super) key: Option<String>,
    /// What is said.
    pub(super) message: String,
}

/// How often a value breaks the rule of this message. `None` for a rule that is not known here.
pub(super) fn breaches(message: &str, value: &Value) -> Option<Vec<Breach>> {
    let text = value.as_str().unwrap_or_default();
    let has = |member: &str| value.get(member).is_some_and(|member| !member.is_null());
    let holds = match message {
        rules::NAME_PATTERN | rules::NAME_TOO_LONG if value.is_object() => return Some(names(message, value)),
        rules::NAME_PATTERN => rules::is_param_name(text),
        rules::NAME_TOO_LONG => text.chars().count() <= rules::MAX_NAME,
        rules::PARAMS_EMPTY => value.as_object().is_some_and(|entries| entries.values().any(|entry| !entry.is_null())),
        rules::ACCESS_EMPTY | rules::ACCESS_CONNECTIONS_EMPTY => value.as_array().is_some_and(|items| !items.is_empty()),
        rules::PARAM_BOTH => !(has("value") && has("alias")),
        rules::PARAM_NEITHER => has("value") || has("alias"),
        rules::CONNECTION_BOTH => !(has("name") && has("id")),
        rules::CONNECTION_NEITHER => has("name") || has("id"),
        rules::VALUE_EMPTY => !text.is_empty(),
        rules::VALUE_CONTROL => !text.contains(char::is_control),
        rules::CONNECTION_NAME_PATTERN => ConnectionName::parse(text).is_ok(),
        rules::CONNECTION_ID_PATTERN => ConnectionId::parse(text).is_ok(),
        rules::OBJECT_NAME => rules::is_object_name(text),
        rules::DOMAIN_PATTERN => rules::is_host_name(text),
        rules::AUDIENCE_PATTERN => rules::is_audience(text),
        rules::CONNECTION_GLOB | rules::CONNECTION_GLOB_STARS => rules::connection_glob(text) != Err(message),
        rules::MATCH_EXPRESSION_VALUES => {
            let takes_values = matches!(value.get("operator").and_then(Value::as_str), Some("In" | "NotIn"));
            takes_values == value.get("values").and_then(Value::as_array).is_some_and(|values| !values.is_empty())
        }
        // These compare with what was there before.
        rules::TENANT_REF_IMMUTABLE | rules::DOMAIN_IMMUTABLE | rules::AUDIENCE_IMMUTABLE => true,
        _ => return None,
    };
    Some(if holds { Vec::new() } else { vec![Breach { key: None, message: message.to_owned() }] })
}

/// The keys that are no names, or too long ones. The API server names the first; a name with a line break it does not repeat.
fn names(message: &str, value: &Value) -> Vec<Breach> {
    let too_long = message == rules::NAME_TOO_LONG;
    let breaks = |name: &str| if too_long { name.chars().count() > rules::MAX_NAME } else { !rules::is_param_name(name) };
    let keys = value.as_object().into_iter().flatten().map(|(name, _)| name).filter(|name| breaks(name));
    let told = keys.map(|name| {
        let shown: String = name.chars().take(if too_long { 32 } else { rules::MAX_NAME }).collect();
        let dots = if too_long { "..." } else { "" };
        let message = if shown.contains(char::is_control) { message.to_owned() } else { format!("{shown}{dots}: {message}") };
        Breach { key: Some(name.clone()), message }
    });
    told.collect()
}

/// The field that breaks a rule about changes; an empty one where the rule stands at the field itself.
pub(super) fn changed(message: &str, old: &Value, new: &Value) -> Option<&'static str> {
    let (differs, field) = match message {
        rules::TENANT_REF_IMMUTABLE | rules::DOMAIN_IMMUTABLE => (old != new, ""),
        rules::AUDIENCE_IMMUTABLE => (old.get("audience") != new.get("audience"), "audience"),
        _ => (false, ""),
    };
    differs.then_some(field)
}
