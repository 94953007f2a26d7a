//! Limits and messages of the admission rules, shared by the schema's CEL rules and the operator's own validation.
//!
//! A message says what to write instead, and never quotes a value. Where OpenAPI itself can express a rule (lengths,
//! ranges, lists of supported values), the API server words the message.

/// Most parameters of one object. Auth0 publishes no limit but for Facebook; thirty is that of the related `authParams`.
pub const MAX_PARAMS: usize = 30;
/// Longest parameter name, in characters.
pub const MAX_NAME: usize = 128;
/// Longest parameter value, in characters (Unicode code points).
pub const MAX_VALUE: usize = 1024;
/// Most parameters on a connection of strategy `facebook` (the Management API's schema of it).
pub const FACEBOOK_MAX: usize = 10;
/// Longest connection name, in characters (the Management API's schema).
pub const MAX_CONNECTION_NAME: usize = 128;
/// Longest connection id, in characters.
pub const MAX_CONNECTION_ID: usize = 64;
/// Longest name of a Kubernetes object, and longest DNS name, in characters (RFC 1035 section 2.3.4).
pub const MAX_DNS_NAME: usize = 253;
/// Longest audience: `https://`, a DNS name, `/api/v2/`.
pub const MAX_AUDIENCE: usize = MAX_DNS_NAME + 16;
/// Most entries of a tenant's `access`.
pub const MAX_ACCESS: usize = 64;
/// Most connection patterns, and most reserved parameters, of one access entry.
pub const MAX_ACCESS_NAMES: usize = 64;
/// Most `*` in one connection pattern.
pub const MAX_GLOB_STARS: usize = 8;
/// Most labels of a selector's `matchLabels`.
pub const MAX_MATCH_LABELS: usize = 32;
/// Most expressions of a selector's `matchExpressions`.
pub const MAX_MATCH_EXPRESSIONS: usize = 16;
/// Most values of one expression of a selector.
pub const MAX_MATCH_VALUES: usize = 64;
/// Longest label key: a DNS name as prefix, `/`, a name of 63 characters.
pub const MAX_LABEL_KEY: usize = MAX_DNS_NAME + 1 + MAX_LABEL_VALUE;
/// Longest label value, in characters.
pub const MAX_LABEL_VALUE: usize = 63;
/// Shortest time between two looks at a connection, in seconds.
pub const MIN_RESYNC_SECONDS: i64 = 5;
/// Longest time between two looks at a connection, in seconds: a day.
pub const MAX_RESYNC_SECONDS: i64 = 86_400;
/// Longest text that status records of the annotation `upstreamparams.dev/reconcile-at`, in characters.
pub const MAX_RECONCILE_AT: usize = 64;
/// Highest rate that may be allowed, in requests per minute.
pub const MAX_REQUESTS_PER_MINUTE: i32 = 60_000;
/// Largest burst that may be allowed, in requests.
pub const MAX_BURST: i32 = 1_000;

/// `spec.params` has no entry.
pub const PARAMS_EMPTY: &str =
    "name at least one parameter, for example {ui_locales: {alias: ui_locales}}; to remove all parameters, delete the object";
/// A key of `spec.params` is not a parameter name (RFC 6749 section 8.2).
pub const NAME_PATTERN: &str =
    "a parameter name consists of letters, digits, '.', '_' and '-' only (RFC 6749 section 8.2), for example screen_name";
/// A key of `spec.params` is longer than [`MAX_NAME`].
pub const NAME_TOO_LONG: &str = "a parameter name has at most 128 characters: use the name that the identity provider documents";
/// A parameter has both `value` and `alias`.
pub const PARAM_BOTH: &str =
    "a parameter has either value or alias, not both: keep value for a fixed text, or alias to pass on what the application sends";
/// A parameter has neither `value` nor `alias`.
pub const PARAM_NEITHER: &str =
    "a parameter needs one of value and alias: write value for a fixed text, or alias to pass on what the application sends";
/// A parameter's `value` is empty.
pub const VALUE_EMPTY: &str =
    "an empty value counts as an absent parameter (RFC 6749 section 3.1): write the value to send, or leave the parameter out";
/// A parameter's `value` has a control character.
pub const VALUE_CONTROL: &str = "a value has no control characters such as line breaks or tabs: write it on one line (in YAML without '|', which ends it with a line break)";
/// `spec.connection` has both `name` and `id`.
pub const CONNECTION_BOTH: &str = "a connection is given by name or by id, not by both: keep name, or keep id if the name may change";
/// `spec.connection` has neither `name` nor `id`.
pub const CONNECTION_NEITHER: &str =
    "say which connection: write name, for example {name: wordpress}, or id, for example {id: con_0123456789abcdef}";
/// `spec.connection.name` cannot be the name of a connection.
pub const CONNECTION_NAME_PATTERN: &str =
    "a connection name consists of letters, digits and '-' and begins with a letter or digit, for example google-oauth2";
/// `spec.connection.id` cannot be the id of a connection.
pub const CONNECTION_ID_PATTERN: &str =
    "a connection id is con_ followed by letters and digits, for example con_0123456789abcdef; for a connection's name use name";
/// `spec.tenantRef` was changed.
pub const TENANT_REF_IMMUTABLE: &str = "tenantRef cannot be changed: delete this object and create one for the other tenant";
/// The name of a Kubernetes object is not one.
pub const OBJECT_NAME: &str =
    "the name of a Kubernetes object consists of lower-case letters, digits, '-' and '.', and begins and ends with a letter or digit";
/// `spec.domain` is not a plain host name.
pub const DOMAIN_PATTERN: &str =
    "domain is a host name in lower case without https://, port, path or IP address, for example example.eu.auth0.com";
/// `spec.domain` was changed.
pub const DOMAIN_IMMUTABLE: &str = "domain cannot be changed: create another ClusterAuth0Tenant for the other domain";
/// `spec.audience` is not the address of a Management API.
pub const AUDIENCE_PATTERN: &str = "audience is https://, the tenant's own host name in lower case, and /api/v2/ with the slash at the end, for example https://example.eu.auth0.com/api/v2/";
/// `spec.audience` was changed, added or removed.
pub const AUDIENCE_IMMUTABLE: &str =
    "audience cannot be changed, added or removed: create another ClusterAuth0Tenant with the audience it needs";
/// `spec.access` has no entry.
pub const ACCESS_EMPTY: &str = "add at least one access entry: without one no namespace may do anything, for example {namespaceSelector: {matchLabels: {team: shop}}, connections: [\"shop-*\"]}";
/// `spec.access[].connections` has no entry.
pub const ACCESS_CONNECTIONS_EMPTY: &str = "name the connections that this entry permits, for example [\"shop-*\"], or [\"*\"] for all";
/// An entry of `spec.access[].connections` is not a pattern of connection names.
pub const CONNECTION_GLOB: &str =
    "a connection pattern consists of letters, digits, '-' and '*', which stands for any characters, for example shop-*";
/// An entry of `spec.access[].connections` has more than [`MAX_GLOB_STARS`].
pub const CONNECTION_GLOB_STARS: &str =
    "a connection pattern has at most 8 '*': write the common beginning of the names, for example shop-*, or one pattern for each";
/// An entry of `spec.access[].connections` is longer than a connection name can be.
pub const CONNECTION_GLOB_TOO_LONG: &str = "a connection pattern has at most 128 characters, as connection names do: shorten it with '*'";
/// A match expression has values where its operator takes none, or none where it needs some.
pub const MATCH_EXPRESSION_VALUES: &str =
    "the operators In and NotIn need at least one entry in values; Exists and DoesNotExist take no values";

/// Whether a text may be an entry of `spec.access[].connections`; else the rule that it breaks.
pub fn connection_glob(text: &str) -> Result<(), &'static str> {
    if text.is_empty() || !text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '*')) {
        Err(CONNECTION_GLOB)
    } else if text.len() > MAX_CONNECTION_NAME {
        Err(CONNECTION_GLOB_TOO_LONG)
    } else if text.matches('*').count() > MAX_GLOB_STARS {
        Err(CONNECTION_GLOB_STARS)
    } else {
        Ok(())
    }
}

/// Whether a text is the name of a parameter, but for its length ([`MAX_NAME`], [`NAME_PATTERN`]).
pub fn is_param_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

/// Whether a text is the name of a Kubernetes object, but for its length (RFC 1123 subdomain, [`OBJECT_NAME`]): labels of
/// lower-case letters, digits and '-' between dots.
pub fn is_object_name(text: &str) -> bool {
    text.split('.').all(is_label)
}

/// Whether a text is the whole name of a Kubernetes object (RFC 1123 subdomain), its length included.
pub fn is_dns_subdomain(text: &str) -> bool {
    text.len() <= MAX_DNS_NAME && is_object_name(text)
}

/// Whether a text is the name of a namespace (RFC 1123 label), its length included.
pub fn is_dns_label(text: &str) -> bool {
    text.len() <= MAX_LABEL_VALUE && is_label(text)
}

/// Whether a text is a label of a name: lower-case letters, digits and '-', which stands at neither end.
fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && !text.starts_with('-') && !text.ends_with('-') && text.bytes().all(inner)
}

/// Whether a text is a host name as [`DOMAIN_PATTERN`] has it, but for its length: two labels or more, the last of which begins
/// with a letter.
pub fn is_host_name(text: &str) -> bool {
    let last = text.rsplit_once('.').map(|(_, last)| last);
    text.split('.').all(is_dns_label) && last.is_some_and(|last| last.starts_with(|c: char| c.is_ascii_lowercase()))
}

/// Whether a text is the address of a Management API as [`AUDIENCE_PATTERN`] has it, but for its length.
pub fn is_audience(text: &str) -> bool {
    text.strip_prefix("https://").and_then(|rest| rest.strip_suffix("/api/v2/")).is_some_and(is_host_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_that_name_a_limit_name_the_one_in_force() {
        assert!(NAME_TOO_LONG.contains(&format!("at most {MAX_NAME} ")));
        assert!(CONNECTION_GLOB_TOO_LONG.contains(&format!("at most {MAX_CONNECTION_NAME} ")));
        assert!(CONNECTION_GLOB_STARS.contains(&format!("at most {MAX_GLOB_STARS} ")));
    }
}
