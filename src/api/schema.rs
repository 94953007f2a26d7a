//! Parts of the schema that the types do not say by themselves.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::rules;

/// A name of a Kubernetes object (RFC 1123 subdomain).
pub(super) const OBJECT_NAME_RULE: &str = r"self.matches(r'^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')";

/// At least two DNS labels, the last of which begins with a letter: so no form of an IPv4 address passes
/// (WHATWG URL section 3.5, "ends in a number").
pub(super) const DOMAIN_RULE: &str = r"self.matches(r'^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$')";

/// The same host rule inside an https URL with the Management API's path.
pub(super) const AUDIENCE_RULE: &str =
    r"self.matches(r'^https://([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?/api/v2/$')";

/// On the parent, because a transition rule on an optional field does not run when the field is added or removed.
pub(super) const AUDIENCE_IMMUTABLE_RULE: &str =
    "has(self.audience) == has(oldSelf.audience) && (!has(self.audience) || self.audience == oldSelf.audience)";

/// The rules on the parameters as a whole. Those on names say which name they are about, which the server's path does not.
///
/// The plain message stands in when the expression yields none: the server takes no line breaks, which a name may have.
pub(super) fn params_rules() -> Value {
    json!([
        { "rule": "size(self) > 0", "message": rules::PARAMS_EMPTY },
        {
            "rule": format!("self.all(k, {NAME_RULE})"),
            "message": rules::NAME_PATTERN,
            "messageExpression": format!(r#"self.filter(k, !({NAME_RULE}))[0] + ": {}""#, rules::NAME_PATTERN),
        },
        {
            "rule": format!("self.all(k, size(k) <= {})", rules::MAX_NAME),
            "message": rules::NAME_TOO_LONG,
            "messageExpression": format!(
                r#"self.filter(k, size(k) > {})[0].substring(0, 32) + "...: {}""#,
                rules::MAX_NAME,
                rules::NAME_TOO_LONG
            ),
        },
    ])
}

/// A parameter name (RFC 6749 section 8.2), called `k`.
const NAME_RULE: &str = "k.matches('^[A-Za-z0-9._-]+$')";

/// Conditions as `meta/v1` has them, with the limits that its own schema only describes.
pub(super) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "lastTransitionTime", "reason", "message"],
            "properties": {
                "type": { "description": "The type, in CamelCase.", "type": "string", "maxLength": 316 },
                "status": { "type": "string", "enum": ["True", "False", "Unknown"] },
                "observedGeneration": {
                    "description": "The metadata.generation that the condition is about.",
                    "type": "integer",
                    "format": "int64",
                    "minimum": 0,
                },
                "lastTransitionTime": {
                    "description": "When status last changed.",
                    "type": "string",
                    "format": "date-time",
                },
                "reason": {
                    "description": "The reason, in CamelCase. See the reference of reasons.",
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 1024,
                    "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                },
                "message": { "description": "What is wrong and what to do.", "type": "string", "maxLength": 32768 },
            },
        },
    })
}

/// A label selector as `meta/v1` has it, with limits, and with the operators as a list of supported values.
pub(super) fn label_selector(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "properties": {
            "matchLabels": {
                "description": "Labels that a namespace must have, with these values.",
                "type": "object",
                "maxProperties": rules::MAX_MATCH_LABELS,
                "additionalProperties": { "type": "string", "maxLength": rules::MAX_LABEL_VALUE },
            },
            "matchExpressions": {
                "description": "Requirements that must all be met.",
                "type": "array",
                "maxItems": rules::MAX_MATCH_EXPRESSIONS,
                "x-kubernetes-list-type": "atomic",
                "items": {
                    "type": "object",
                    "required": ["key", "operator"],
                    "properties": {
                        "key": {
                            "description": "The label.",
                            "type": "string",
                            "minLength": 1,
                            "maxLength": rules::MAX_LABEL_KEY,
                        },
                        "operator": { "type": "string", "enum": ["In", "NotIn", "Exists", "DoesNotExist"] },
                        "values": {
                            "description": "The values that In and NotIn compare with.",
                            "type": "array",
                            "maxItems": rules::MAX_MATCH_VALUES,
                            "x-kubernetes-list-type": "atomic",
                            "items": { "type": "string", "maxLength": rules::MAX_LABEL_VALUE },
                        },
                    },
                    "x-kubernetes-validations": [{
                        "rule": "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
                        "message": rules::MATCH_EXPRESSION_VALUES,
                    }],
                },
            },
        },
    })
}

/// Patterns of connection names.
pub(super) fn connection_globs(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": rules::MAX_ACCESS_NAMES,
        "x-kubernetes-list-type": "set",
        "items": {
            "type": "string",
            "maxLength": rules::MAX_CONNECTION_NAME,
            "x-kubernetes-validations": [{
                "rule": "self.matches('^[A-Za-z0-9*-]+$')",
                "message": rules::CONNECTION_GLOB,
            }, {
                "rule": format!("self.matches('^([^*]*[*]){{0,{}}}[^*]*$')", rules::MAX_GLOB_STARS),
                "message": rules::CONNECTION_GLOB_STARS,
            }],
        },
        "x-kubernetes-validations": [{ "rule": "size(self) > 0", "message": rules::ACCESS_CONNECTIONS_EMPTY }],
    })
}

/// Names of parameters.
pub(super) fn reserved_params(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": rules::MAX_ACCESS_NAMES,
        "x-kubernetes-list-type": "set",
        "items": {
            "type": "string",
            "maxLength": rules::MAX_NAME,
            "x-kubernetes-validations": [{
                "rule": "self.matches('^[A-Za-z0-9._-]+$')",
                "message": rules::NAME_PATTERN,
            }],
        },
    })
}
