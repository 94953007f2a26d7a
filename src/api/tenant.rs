//! [`ClusterAuth0Tenant`]: one Auth0 tenant, how to reach it, and who may use which of its connections.

#![allow(unreachable_pub, reason = "KubeSchema makes hidden structs that are pub inside a function")]
#![allow(clippy::duplicated_attributes, reason = "each printcolumn has a type and a path of its own")]
#![allow(clippy::doc_markdown, reason = "the comments are what kubectl explain prints, as plain text")]
#![allow(rustdoc::bare_urls, reason = "as above")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::upstream_params::ManagementPolicy;
use super::{rules, schema};

/// One Auth0 tenant: its host, its credentials, and which namespaces may use which connections. It belongs to the platform team.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "upstreamparams.dev",
    version = "v1alpha1",
    kind = "ClusterAuth0Tenant",
    plural = "clusterauth0tenants",
    category = "auth0",
    status = "ClusterAuth0TenantStatus",
    derive = "PartialEq",
    doc = "ClusterAuth0Tenant is one Auth0 tenant: its host, its credentials, and which namespaces may use which connections.",
    printcolumn(name = "Domain", type_ = "string", json_path = ".spec.domain"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Policy", type_ = "string", json_path = ".spec.managementPolicy", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].message"#, priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(schema::AUDIENCE_IMMUTABLE_RULE).message(rules::AUDIENCE_IMMUTABLE))]
pub struct ClusterAuth0TenantSpec {
    /// The tenant's host name, for example example.eu.auth0.com, or one of its custom domains. Lower case, without https://,
    /// port or path. Not an IP address. Cannot be changed.
    #[schemars(length(max = rules::MAX_DNS_NAME))]
    #[x_kube(
        validation = Rule::new(schema::DOMAIN_RULE).message(rules::DOMAIN_PATTERN),
        validation = Rule::new("self == oldSelf").message(rules::DOMAIN_IMMUTABLE),
    )]
    pub domain: String,

    /// The audience of the tenant's Management API, for example https://example.eu.auth0.com/api/v2/. Set it only if domain is
    /// a custom domain, with the tenant's own host. Cannot be changed, added or removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = rules::MAX_AUDIENCE))]
    #[x_kube(validation = Rule::new(schema::AUDIENCE_RULE).message(rules::AUDIENCE_PATTERN))]
    pub audience: Option<String>,

    /// The credentials that the operator uses at Auth0.
    pub credentials: Credentials,

    /// Which namespaces may use which connections, 1 to 64 entries. What no entry permits is refused.
    #[schemars(extend("maxItems" = rules::MAX_ACCESS))]
    #[x_kube(
        validation = Rule::new("size(self) > 0").message(rules::ACCESS_EMPTY),
        merge_strategy = ListMerge::Atomic
    )]
    pub access: Vec<AccessEntry>,

    /// Whether the operator writes to this tenant. Enforce: the managementPolicy of each object counts. Observe: the operator
    /// writes nothing, whatever the objects say. Default: Enforce.
    #[serde(default)]
    pub management_policy: ManagementPolicy,

    /// How many requests the operator may send to this tenant. Auth0's own rate limits count too.
    #[serde(default)]
    pub rate_limit: RateLimit,

    /// The time between two checks of each connection, in seconds, 5 to 86400. The operator notices a change at Auth0 at the
    /// next check. Default: 600.
    #[serde(default = "default_resync_interval_seconds")]
    #[schemars(range(min = rules::MIN_RESYNC_SECONDS, max = rules::MAX_RESYNC_SECONDS))]
    pub resync_interval_seconds: i64,
}

fn default_resync_interval_seconds() -> i64 {
    600
}

/// The credentials that the operator uses at the tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Credentials {
    /// A Secret in the operator's own namespace with the keys clientId and clientSecret.
    pub secret_ref: SecretRef,
}

/// A Secret in the operator's own namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// The Secret's name.
    #[schemars(length(max = rules::MAX_DNS_NAME))]
    #[x_kube(validation = Rule::new(schema::OBJECT_NAME_RULE).message(rules::OBJECT_NAME))]
    pub name: String,
}

/// Permits some namespaces to use some connections.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessEntry {
    /// The namespaces, by their labels. An empty selector matches every namespace.
    #[schemars(schema_with = "schema::label_selector")]
    pub namespace_selector: LabelSelector,

    /// Patterns of connection names, 1 to 64, each of at most 128 characters. '*' matches any characters, at most 8 in a
    /// pattern. They match the connection's name, also if an object uses its id.
    #[schemars(schema_with = "schema::connection_globs")]
    pub connections: Vec<String>,

    /// Reserved parameters (state, nonce, redirect_uri and others) that these namespaces may set all the same, at most 64. A
    /// fixed value breaks or weakens the login.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::reserved_params")]
    pub allowed_reserved_params: Vec<String>,
}

/// How many requests the operator may send to the tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    /// Reads of connections per minute, 1 to 60000. Default: 30.
    #[serde(default = "default_reads_per_minute")]
    #[schemars(range(min = 1, max = rules::MAX_REQUESTS_PER_MINUTE))]
    pub reads_per_minute: i32,

    /// All other requests per minute, 1 to 60000. Default: 60.
    #[serde(default = "default_requests_per_minute")]
    #[schemars(range(min = 1, max = rules::MAX_REQUESTS_PER_MINUTE))]
    pub requests_per_minute: i32,

    /// How many requests of each kind the operator may send at once, 1 to 1000. Default: 5.
    #[serde(default = "default_burst")]
    #[schemars(range(min = 1, max = rules::MAX_BURST))]
    pub burst: i32,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self { reads_per_minute: default_reads_per_minute(), requests_per_minute: default_requests_per_minute(), burst: default_burst() }
    }
}

fn default_reads_per_minute() -> i32 {
    30
}

fn default_requests_per_minute() -> i32 {
    60
}

fn default_burst() -> i32 {
    5
}

/// Whether the operator can use the tenant. Counts and rate limits are metrics.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterAuth0TenantStatus {
    /// The metadata.generation that this status is about. -1 if the operator has not seen the object yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -1))]
    pub observed_generation: Option<i64>,

    /// The conditions Ready, Accepted, ResolvedRefs and Authenticated; Reconciling or Stalled while they are true. Wait for
    /// Ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,

    /// The last value of the annotation upstreamparams.dev/reconcile-at that the operator has handled: after it was set, the
    /// operator tried credentials that were not accepted, and checked every connection. A value of more than 64 characters is
    /// shortened to its first 47, '~' and 16 hex digits of its SHA-256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = rules::MAX_RECONCILE_AT))]
    pub last_handled_reconcile_at: Option<String>,
}
