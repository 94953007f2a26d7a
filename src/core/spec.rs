//! A spec becomes a type that only validation can make.
//!
//! Guarantees: a [`Spec`] satisfies every admission rule of the CRD, also when it was stored before the rule existed;
//! a [`Refusal`] names the field, the problem and the remedy, and holds no value of the spec other than the names of parameters.
//!
//! Assumes: nothing. The input is JSON that an API server stored, of any shape.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

use crate::api::reason::Reason;
use crate::api::rules;
use crate::api::upstream_params::{AdoptionPolicy, Alias, DeletionPolicy, ManagementPolicy};
use crate::core::near::{asked, nearest};
use crate::core::strategy::{self, Support};
use crate::core::tenant::permitted::listed;
use crate::model::document::{Document, Entry};
use crate::model::identity::{ConnectionId, ConnectionName};

/// Which connection a spec names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// By its name, which is unique in a tenant and immutable.
    Name(ConnectionName),
    /// By its id, `con_...`.
    Id(ConnectionId),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Id(id) => id.fmt(f),
        }
    }
}

/// A valid spec of an `UpstreamParams`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// The connection whose parameters are declared.
    pub target: Target,
    /// The declared parameters: 1 to 30.
    pub params: BTreeMap<String, Entry>,
    /// What to do about another value that somebody else set.
    pub adoption: AdoptionPolicy,
}

/// The parts of a spec that stay readable when the rest is invalid: what is needed to let go of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policies {
    /// The `ClusterAuth0Tenant` that the object belongs to.
    pub tenant: String,
    /// Whether anything may be written.
    pub management: ManagementPolicy,
    /// What the object's deletion does to the parameters it owns.
    pub deletion: DeletionPolicy,
}

/// Why a spec can't be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct Refusal {
    /// The path of the field, such as `spec.params[blog].alias`.
    pub field: String,
    /// What is wrong and what to write instead.
    pub problem: String,
}

impl Refusal {
    fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

/// Why a valid spec can't be carried out on the connection that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnfitReason {
    /// The connection has no authorization request that could be added to.
    UnsupportedStrategy,
    /// A parameter is one that the login itself sets.
    ReservedParam,
    /// The type of the connection has a limit of its own.
    InvalidSpec,
}

impl From<UnfitReason> for Reason {
    fn from(reason: UnfitReason) -> Self {
        match reason {
            UnfitReason::UnsupportedStrategy => Reason::UnsupportedStrategy,
            UnfitReason::ReservedParam => Reason::ReservedParam,
            UnfitReason::InvalidSpec => Reason::InvalidSpec,
        }
    }
}

/// Reads the policies, falling back to the value that writes and removes least where one can't be read.
pub fn policies(spec: &Value) -> Policies {
    Policies {
        tenant: spec.pointer("/tenantRef/name").and_then(Value::as_str).unwrap_or("default").to_owned(),
        management: policy(spec, "managementPolicy", ManagementPolicy::Enforce, ManagementPolicy::Observe),
        deletion: policy(spec, "deletionPolicy", DeletionPolicy::Delete, DeletionPolicy::Retain),
    }
}

fn policy<T: FromStr>(spec: &Value, field: &str, absent: T, doubtful: T) -> T {
    match spec.get(field) {
        None | Some(Value::Null) => absent,
        Some(value) => value.as_str().and_then(|text| text.parse().ok()).unwrap_or(doubtful),
    }
}

/// Reads a spec. The first problem in the order of the fields is reported.
pub fn spec(spec: &Value) -> Result<Spec, Refusal> {
    let mut refused = Vec::new();
    let read = read(spec, &mut refused);
    match (read, refused.into_iter().next()) {
        (Some(spec), None) => Ok(spec),
        (_, Some(first)) => Err(first),
        (None, None) => Err(Refusal::new("spec", "can't be read")),
    }
}

/// All that [`spec`] finds wrong, in the order of the fields.
pub(crate) fn refusals(spec: &Value) -> Vec<Refusal> {
    let mut refused = Vec::new();
    read(spec, &mut refused);
    refused
}

/// Reads a spec, and adds what is wrong with it. `None` only where something is.
fn read(spec: &Value, refused: &mut Vec<Refusal>) -> Option<Spec> {
    let Some(spec) = spec.as_object() else {
        refused.push(Refusal::new("spec", "must be an object"));
        return None;
    };
    let mut noted = |refusal: Refusal| refused.push(refusal);
    tenant_ref(spec).unwrap_or_else(&mut noted);
    choice::<ManagementPolicy>(spec, "managementPolicy", "Enforce or Observe").map_or_else(&mut noted, drop);
    choice::<DeletionPolicy>(spec, "deletionPolicy", "Delete or Retain").map_or_else(&mut noted, drop);
    let target = target(spec).map_err(&mut noted).ok();
    let params = params(spec, &mut noted);
    let adoption = choice(spec, "adoptionPolicy", "IfEqual or Overwrite").map_err(&mut noted).ok();
    Some(Spec { target: target?, params, adoption: adoption?.unwrap_or_default() })
}

fn choice<T: FromStr>(spec: &Map<String, Value>, field: &str, choices: &str) -> Result<Option<T>, Refusal> {
    let refused = || Refusal::new(format!("spec.{field}"), format!("must be {choices}"));
    match spec.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_str().and_then(|text| text.parse().ok()).map(Some).ok_or_else(refused),
    }
}

fn tenant_ref(spec: &Map<String, Value>) -> Result<(), Refusal> {
    match spec.get("tenantRef") {
        None | Some(Value::Null) => Ok(()),
        Some(reference) => {
            let is = |member: &str, test: fn(&str) -> bool| reference.get(member).is_none_or(|value| value.as_str().is_some_and(test));
            if !is("kind", |kind| kind == "ClusterAuth0Tenant") {
                return Err(Refusal::new("spec.tenantRef.kind", "must be ClusterAuth0Tenant"));
            }
            if reference.is_object() && is("name", rules::is_dns_subdomain) {
                return Ok(());
            }
            Err(Refusal::new("spec.tenantRef.name", rules::OBJECT_NAME))
        }
    }
}

fn target(spec: &Map<String, Value>) -> Result<Target, Refusal> {
    let member = |name: &str| spec.get("connection").and_then(|connection| connection.get(name)).filter(|value| !value.is_null());
    match (member("name"), member("id")) {
        (Some(name), None) => {
            let parsed = name.as_str().ok_or(rules::CONNECTION_NAME_PATTERN).and_then(ConnectionName::parse);
            parsed.map(Target::Name).map_err(|rule| Refusal::new("spec.connection.name", rule))
        }
        (None, Some(id)) => {
            let text = id.as_str().filter(|text| text.len() <= rules::MAX_CONNECTION_ID);
            let parsed = text.ok_or(rules::CONNECTION_ID_PATTERN).and_then(ConnectionId::parse);
            parsed.map(Target::Id).map_err(|rule| Refusal::new("spec.connection.id", rule))
        }
        (Some(_), Some(_)) => Err(Refusal::new("spec.connection", rules::CONNECTION_BOTH)),
        (None, None) => Err(Refusal::new("spec.connection", rules::CONNECTION_NEITHER)),
    }
}

/// The parameters that can be used; `refuse` is told of what is wrong with the others, and with all of them together.
fn params(spec: &Map<String, Value>, refuse: &mut impl FnMut(Refusal)) -> BTreeMap<String, Entry> {
    let Some(params) = spec.get("params").and_then(Value::as_object).filter(|params| !params.is_empty()) else {
        refuse(Refusal::new("spec.params", rules::PARAMS_EMPTY));
        return BTreeMap::new();
    };
    if params.len() > rules::MAX_PARAMS {
        refuse(Refusal::new("spec.params", format!("must have at most {} parameters; remove some", rules::MAX_PARAMS)));
    }
    let mut read = BTreeMap::new();
    for (name, value) in params {
        let named = param_name(name).map_err(&mut *refuse).is_ok();
        if let (Ok(entry), true) = (entry(name, value).map_err(&mut *refuse), named) {
            read.insert(name.clone(), entry);
        }
    }
    read
}

fn param_name(name: &str) -> Result<(), Refusal> {
    if !rules::is_param_name(name) {
        return Err(Refusal::new("spec.params", rules::NAME_PATTERN));
    }
    if name.len() > rules::MAX_NAME {
        return Err(Refusal::new("spec.params", rules::NAME_TOO_LONG));
    }
    Ok(())
}

fn entry(name: &str, value: &Value) -> Result<Entry, Refusal> {
    let member = |member: &str| value.get(member).filter(|value| !value.is_null());
    let field = format!("spec.params[{name}]");
    match (member("value"), member("alias")) {
        (Some(text), None) => static_value(text).map(Entry::Value).map_err(|problem| Refusal::new(format!("{field}.value"), problem)),
        (None, Some(alias)) => {
            let alias = alias.as_str().and_then(|alias| alias.parse().ok());
            alias.map(Entry::Alias).ok_or_else(|| Refusal::new(format!("{field}.alias"), unsupported_alias()))
        }
        (Some(_), Some(_)) => Err(Refusal::new(field, rules::PARAM_BOTH)),
        (None, None) => Err(Refusal::new(field, rules::PARAM_NEITHER)),
    }
}

/// Says which aliases there are, as the API server does for a value outside an enum.
fn unsupported_alias() -> String {
    let names: Vec<&str> = Alias::ALL.iter().map(|alias| alias.as_str()).collect();
    format!("must be one of {}", names.join(", "))
}

fn static_value(value: &Value) -> Result<String, String> {
    match value.as_str() {
        None => Err("must be a string; put it in quotes".to_owned()),
        Some("") => Err(rules::VALUE_EMPTY.to_owned()),
        Some(text) if text.chars().any(char::is_control) => Err(rules::VALUE_CONTROL.to_owned()),
        Some(text) if text.chars().count() > rules::MAX_VALUE => Err(format!("must have at most {} characters", rules::MAX_VALUE)),
        Some(text) => Ok(text.to_owned()),
    }
}

/// Parameters that the login itself needs: a fixed one breaks it, weakens it or puts a secret into a URL.
const RESERVED: [&str; 30] = [
    "access_token",
    "assertion",
    "client_assertion",
    "client_assertion_type",
    "client_id",
    "client_secret",
    "code",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "grant_type",
    "id_token",
    "nonce",
    "password",
    "redirect_uri",
    "refresh_token",
    "registration",
    "relaystate",
    "request",
    "request_uri",
    "response_mode",
    "response_type",
    "samlrequest",
    "state",
    "token",
    "username",
    "wa",
    "wctx",
    "wreply",
    "wtrealm",
];

/// Whether a parameter of this name may be set only where the tenant allows it by name.
pub(crate) fn is_reserved(name: &str) -> bool {
    // A provider that compares without case would take `State` for `state`.
    let name = name.to_ascii_lowercase();
    name.starts_with("oauth_") || RESERVED.contains(&name.as_str())
}

/// Checks a valid spec against the connection it names: what only the tenant can tell. Yields the warnings.
pub(crate) fn against_connection(
    spec: &Spec,
    document: &Document,
    allowed_reserved: &BTreeSet<String>,
) -> Result<Vec<String>, (UnfitReason, String)> {
    let mut warnings = Vec::new();
    match strategy::support(document) {
        Support::Supported => {}
        Support::Unusual(what) => warnings.push(what.to_owned()),
        Support::Unsupported(protocol) => {
            return Err((UnfitReason::UnsupportedStrategy, unsupported_strategy(&document.strategy, protocol)));
        }
    }
    if let Some(name) = spec.params.keys().find(|name| is_reserved(name) && !allowed_reserved.contains(*name)) {
        return Err((UnfitReason::ReservedParam, reserved_param(name, allowed_reserved)));
    }
    if let Some(message) = too_many_for(&document.strategy, spec) {
        return Err((UnfitReason::InvalidSpec, message));
    }
    if spec.params.contains_key(SCOPE) {
        warnings.push(SCOPE_REPLACES.to_owned());
    }
    let placeholders = spec.params.iter().filter(|(_, entry)| matches!(entry, Entry::Value(text) if is_placeholder(text)));
    warnings.extend(placeholders.map(|(name, _)| placeholder(name)));
    let auth_params = document.option_names("authParams");
    for name in spec.params.keys().filter(|name| auth_params.contains(name)) {
        warnings.push(format!("the parameter {name} is also in the connection's authParams, and which of the two wins is not documented"));
    }
    Ok(warnings)
}

/// The parameter that says what an application may do.
pub(crate) const SCOPE: &str = "scope";
/// What is said of [`SCOPE`].
pub(crate) const SCOPE_REPLACES: &str = "the parameter scope replaces the scopes that the connection asks for";

/// What is said of a value that [`is_placeholder`].
pub(crate) fn placeholder(name: &str) -> String {
    format!("the value of the parameter {name} looks like a placeholder that nothing filled in, and is sent as it stands")
}

/// What is said of more parameters than a connection of this type takes.
pub(crate) fn too_many_for(strategy: &str, spec: &Spec) -> Option<String> {
    let is_too_many = strategy == "facebook" && spec.params.len() > rules::FACEBOOK_MAX;
    is_too_many.then(|| format!("spec.params: connections of type facebook take at most {} parameters", rules::FACEBOOK_MAX))
}

/// Whether a text holds what templates leave behind when they are not filled in: `${...}`, `$(...)`, `{{...}}`, `{name}`
/// or `<name>`. JSON, as in the parameter `claims`, is none.
pub(crate) fn is_placeholder(text: &str) -> bool {
    let holds = |open: &str, close: &str, is_name: fn(&str) -> bool| {
        text.match_indices(open).any(|(at, _)| {
            let rest = text.get(at + open.len()..).unwrap_or_default();
            rest.split_once(close).is_some_and(|(name, _)| is_name(name))
        })
    };
    let anything = |name: &str| !name.trim().is_empty();
    let name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ' '))
    };
    holds("${", "}", anything)
        || holds("$(", ")", anything)
        || holds("{{", "}}", anything)
        || holds("{", "}", name)
        || holds("<", ">", name)
}

/// What is said of a connection without an authorization request.
pub(crate) fn unsupported_strategy(strategy: &str, protocol: &str) -> String {
    format!(
        "the connection is of type {strategy} ({protocol}), which has no authorization request to add parameters to; name a connection that speaks OAuth 2.0 or OpenID Connect"
    )
}

/// What is said of a parameter that [`is_reserved`] where the tenant does not allow it, but perhaps others.
pub(crate) fn reserved_param(name: &str, allowed: &BTreeSet<String>) -> String {
    let allowed: Vec<&str> = allowed.iter().map(String::as_str).collect();
    let others = if allowed.is_empty() { String::new() } else { format!(", and this namespace may set only {} here", listed(&allowed)) };
    format!(
        "spec.params[{name}]: the login itself sets this parameter{}{others}; remove it, or ask the platform team to list it in \
         allowedReservedParams of an access entry",
        asked(nearest(name, allowed.into_iter()))
    )
}

#[cfg(test)]
mod tests;
