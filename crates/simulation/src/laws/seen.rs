//! What the laws make of an object, a tenant object and a connection: read from JSON by code of their own, so that a fault of the
//! operator's reading is no fault of theirs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// The finalizer of the operator.
pub const FINALIZER: &str = "upstreamparams.dev/parameters";

/// The annotation by which somebody asks for a look.
pub const RECONCILE_AT: &str = "upstreamparams.dev/reconcile-at";

/// The twelve aliases.
const ALIASES: [&str; 12] = [
    "acr_values",
    "audience",
    "client_id",
    "display",
    "id_token_hint",
    "login_hint",
    "max_age",
    "prompt",
    "resource",
    "response_mode",
    "response_type",
    "ui_locales",
];

/// Types of connections without an authorization request.
const WITHOUT: [&str; 4] = ["samlp", "auth0", "email", "sms"];

/// One version of an `UpstreamParams`.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Object {
    /// Its metadata.
    #[serde(default)]
    pub metadata: Metadata,
    /// Its spec.
    #[serde(default)]
    pub spec: Spec,
    /// Its status.
    #[serde(default)]
    pub status: Status,
}

/// Metadata of any object.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata {
    /// The name.
    pub name: String,
    /// The namespace.
    pub namespace: String,
    /// The uid.
    pub uid: String,
    /// The version.
    pub resource_version: String,
    /// The generation.
    pub generation: i64,
    /// There when it is being deleted.
    pub deletion_timestamp: Option<String>,
    /// The creation time, as text that sorts.
    pub creation_timestamp: String,
    /// The finalizers.
    pub finalizers: Vec<String>,
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// The annotations.
    pub annotations: BTreeMap<String, String>,
}

/// The spec of an object.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Spec {
    /// Which tenant.
    pub tenant_ref: Named,
    /// Which connection.
    pub connection: Named,
    /// The parameters.
    pub params: BTreeMap<String, Value>,
    /// Enforce or Observe.
    pub management_policy: String,
    /// `IfEqual` or `Overwrite`.
    pub adoption_policy: String,
    /// Delete or Retain.
    pub deletion_policy: String,
}

/// A name or an id.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Named {
    /// The name.
    pub name: Option<String>,
    /// The id.
    pub id: Option<String>,
}

/// The status of an object.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    /// Which generation it is of.
    pub observed_generation: Option<i64>,
    /// The conditions.
    pub conditions: Vec<Condition>,
    /// The connections.
    pub connections: Vec<Connection>,
    /// By what the look was asked for that was carried out last.
    pub last_handled_reconcile_at: Option<String>,
}

/// A condition.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// True, False or Unknown.
    pub status: String,
    /// Its reason.
    pub reason: String,
    /// Its message.
    pub message: String,
    /// Which generation it is of.
    pub observed_generation: Option<i64>,
}

/// What a status says of a connection.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Connection {
    /// Its id.
    pub id: String,
    /// The Auth0 tenant.
    pub tenant: Option<String>,
    /// The parameters.
    pub params: Vec<Param>,
}

/// What a status says of a parameter.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Param {
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: String,
    /// The record.
    pub owned: Vec<String>,
    /// Whether it was in sync before.
    pub applied: Option<bool>,
}

/// One version of a tenant object.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Tenant {
    /// Its metadata.
    #[serde(default)]
    pub metadata: Metadata,
    /// Its spec.
    #[serde(default)]
    pub spec: TenantSpec,
    /// Its status.
    #[serde(default)]
    pub status: Status,
}

/// The spec of a tenant object.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TenantSpec {
    /// The host.
    pub domain: String,
    /// Who may do what.
    pub access: Vec<Access>,
    /// Enforce or Observe.
    pub management_policy: String,
    /// How fast.
    pub rate_limit: RateLimit,
    /// Seconds.
    pub resync_interval_seconds: u64,
}

/// How fast a tenant may be asked.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RateLimit {
    /// Reads a minute.
    pub reads_per_minute: u32,
    /// Other requests a minute.
    pub requests_per_minute: u32,
    /// At once.
    pub burst: u32,
}

impl RateLimit {
    /// As fast as either.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            reads_per_minute: self.reads_per_minute.max(other.reads_per_minute),
            requests_per_minute: self.requests_per_minute.max(other.requests_per_minute),
            burst: self.burst.max(other.burst),
        }
    }
}

/// One entry of access.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Access {
    /// The namespaces.
    pub namespace_selector: Selector,
    /// The patterns.
    pub connections: Vec<String>,
    /// What they may set beside.
    pub allowed_reserved_params: Vec<String>,
}

/// A label selector, as histories use it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Selector {
    /// Labels that have to be there.
    pub match_labels: BTreeMap<String, String>,
}

impl Object {
    /// Where it is.
    pub fn key(&self) -> String {
        format!("{}/{}", self.metadata.namespace, self.metadata.name)
    }

    /// Whether it is being deleted.
    pub fn is_deleting(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    /// Whether our finalizer is on it.
    pub fn has_finalizer(&self) -> bool {
        self.metadata.finalizers.iter().any(|one| one == FINALIZER)
    }

    /// Whether its deletion removes what it owns.
    pub fn cleans_up(&self) -> bool {
        !self.is_deleting() && self.spec.deletion_policy == "Delete" && self.spec.management_policy == "Enforce"
    }

    /// Whether its spec can be carried out at all: each entry is a value, or one of the twelve aliases.
    pub fn is_valid(&self) -> bool {
        self.spec.params.values().all(|entry| canonical(entry).is_some())
    }

    /// Whether it names this connection.
    pub fn names(&self, id: &str, name: &str) -> bool {
        self.spec.connection.id.as_deref() == Some(id) || self.spec.connection.name.as_deref() == Some(name)
    }

    /// What it says of itself on a connection.
    pub fn params_on<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a Param> {
        self.status.connections.iter().filter(move |connection| connection.id == id).flat_map(|connection| &connection.params)
    }

    /// Whether it has any record.
    pub fn has_record(&self) -> bool {
        self.status.connections.iter().flat_map(|connection| &connection.params).any(|param| !param.owned.is_empty())
    }

    /// Its condition of this type.
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.status.conditions.iter().find(|condition| condition.kind == kind)
    }
}

impl Tenant {
    /// The reserved parameters that a namespace with these labels may set on a connection of this name; none where it is not admitted.
    pub fn admits(&self, labels: &BTreeMap<String, String>, connection: &str) -> Option<BTreeSet<String>> {
        let selects = |access: &&Access| access.namespace_selector.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value));
        let named = |access: &&Access| access.connections.iter().any(|pattern| glob(pattern, connection));
        let mut entries = self.spec.access.iter().filter(selects).filter(named).peekable();
        entries.peek()?;
        Some(entries.flat_map(|access| access.allowed_reserved_params.iter().cloned()).collect())
    }

    /// Whether a namespace with these labels is admitted to anything.
    pub fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        self.spec
            .access
            .iter()
            .any(|access| access.namespace_selector.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value)))
    }

    /// Whether a namespace with these labels is admitted to everything.
    pub fn admits_to_all(&self, labels: &BTreeMap<String, String>) -> bool {
        self.admits(labels, "any name, and no pattern but one for all").is_some()
    }

    /// Whether nothing is written for it.
    pub fn observes(&self) -> bool {
        self.spec.management_policy == "Observe"
    }
}

/// Whether a pattern with `*` matches.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return pattern == text };
    let Some(rest) = text.strip_prefix(head) else { return false };
    (0..=rest.len()).any(|at| rest.get(at..).is_some_and(|rest| glob(tail, rest)))
}

/// A connection, as its text has it.
#[derive(Clone, Debug, Default)]
pub struct Document {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its type.
    pub strategy: String,
    /// The name that people see, as text.
    pub display_name: Option<String>,
    /// All members of `options` but the parameters, as text, in their order.
    pub foreign: Vec<(String, String)>,
    /// The parameters, as text.
    pub params: BTreeMap<String, String>,
    /// Whether `options` was an object.
    pub has_options: bool,
    /// Whether the parameters were an object, or none.
    pub has_usable_params: bool,
}

impl Document {
    /// Reads one.
    pub fn read(text: &str) -> Self {
        let mut members = members(text);
        let string = |raw: Option<String>| raw.and_then(|raw| serde_json::from_str::<String>(&raw).ok()).unwrap_or_default();
        let options = members.remove("options");
        let (foreign, params) = options.as_deref().map(apart).unwrap_or_default();
        Self {
            id: string(members.remove("id")),
            name: string(members.remove("name")),
            strategy: string(members.remove("strategy")),
            display_name: members.remove("display_name"),
            has_usable_params: params.as_deref().is_none_or(|text| text == "null" || text.starts_with('{')),
            has_options: options.is_some_and(|options| options.starts_with('{')),
            foreign,
            params: params_of(params),
        }
    }

    /// Whether parameters can be added to its authorization request.
    pub fn takes_params(&self) -> bool {
        !WITHOUT.contains(&self.strategy.as_str())
    }
}

/// The id of a connection in its text.
pub fn id_of(text: &str) -> String {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Named {
        id: String,
    }
    serde_json::from_str::<Named>(text).unwrap_or_default().id
}

/// The members of `options` beside the parameters, and the parameters.
pub fn split_options(options: &str) -> (Vec<(String, String)>, BTreeMap<String, String>) {
    let (foreign, params) = apart(options);
    (foreign, params_of(params))
}

/// The members of `options` beside the parameters, in their order, and the text of the parameters.
fn apart(options: &str) -> (Vec<(String, String)>, Option<String>) {
    let mut members = in_order(options);
    let params = members.iter().position(|(name, _)| name == "upstream_params").map(|place| members.remove(place).1);
    (members, params)
}

fn params_of(text: Option<String>) -> BTreeMap<String, String> {
    text.filter(|text| text.starts_with('{')).map(|text| members(&text)).unwrap_or_default()
}

/// The members of a JSON object as text; none where it is no object.
pub fn members(text: &str) -> BTreeMap<String, String> {
    in_order(text).into_iter().collect()
}

/// The same, in their order.
fn in_order(text: &str) -> Vec<(String, String)> {
    serde_json::from_str::<Members>(text).map(|members| members.0).unwrap_or_default()
}

/// See [`in_order`]: each is copied once, as this is done for every document that is looked at.
struct Members(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Vec::new();
        while let Some((name, text)) = map.next_entry::<String, &RawValue>()? {
            members.push((name, text.get().to_owned()));
        }
        Ok(Members(members))
    }
}

/// An entry in the one form in which two can be compared; none where it is none of ours.
pub fn canonical(entry: &Value) -> Option<String> {
    let members = entry.as_object()?;
    let mut known = ["value", "alias"].into_iter().filter_map(|member| Some((member, members.get(member)?)));
    match (known.next(), known.next(), members.len()) {
        (Some(("value", Value::String(text))), None, 1) => Some(serde_json::json!({"value": text}).to_string()),
        (Some(("alias", Value::String(text))), None, 1) if ALIASES.contains(&text.as_str()) => {
            Some(serde_json::json!({"alias": text}).to_string())
        }
        _ => None,
    }
}

/// The same of text.
pub fn canonical_text(text: &str) -> Option<String> {
    canonical(&serde_json::from_str(text).ok()?)
}

/// The fingerprint by which a status records an entry: 16 hex digits of SHA-256 over the tenant, the connection, the name and the
/// entry, each after its length in eight bytes.
pub fn fingerprint(tenant: &str, connection: &str, name: &str, entry: &str) -> String {
    let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
    for part in [tenant, connection, name, entry] {
        digest.update(&(part.len() as u64).to_be_bytes());
        digest.update(part.as_bytes());
    }
    let first_eight = digest.finish().as_ref().iter().take(8).fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
    format!("{first_eight:016x}")
}
