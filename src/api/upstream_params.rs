//! [`UpstreamParams`]: the parameters that one team wants on one connection.

#![allow(unreachable_pub, reason = "KubeSchema makes hidden structs that are pub inside a function")]
#![allow(clippy::duplicated_attributes, reason = "each printcolumn has a type and a path of its own")]
#![allow(clippy::doc_markdown, reason = "the comments are what kubectl explain prints, as plain text")]

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{rules, schema};

/// The parameters that Auth0 adds to the authorization request of one connection (`options.upstream_params`). The operator
/// manages only the parameters named here. Everything else of the connection stays as it is.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "upstreamparams.dev",
    version = "v1alpha1",
    kind = "UpstreamParams",
    plural = "upstreamparams",
    namespaced,
    shortname = "uparams",
    category = "auth0",
    status = "UpstreamParamsStatus",
    derive = "PartialEq",
    doc = "UpstreamParams declares parameters that Auth0 adds to the authorization request of one connection. It manages nothing else of that connection.",
    printcolumn(name = "Connection", type_ = "string", json_path = ".status.target"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Synced", type_ = "string", json_path = r#".status.conditions[?(@.type=="Synced")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Tenant", type_ = "string", json_path = ".spec.tenantRef.name", priority = 1),
    printcolumn(name = "Policy", type_ = "string", json_path = ".spec.managementPolicy", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].message"#, priority = 1)
)]
#[serde(rename_all = "camelCase")]
pub struct UpstreamParamsSpec {
    /// The tenant that has the connection. Cannot be changed. Default: the ClusterAuth0Tenant with the name default.
    #[serde(default)]
    #[x_kube(validation = Rule::new("self == oldSelf").message(rules::TENANT_REF_IMMUTABLE))]
    pub tenant_ref: TenantRef,

    /// The Auth0 connection, by name or by id. If you change it, the operator first adds the parameters to the new connection,
    /// and then removes them from the old one.
    pub connection: ConnectionRef,

    /// The parameters by name, 1 to 30. Each has either a value, which is a fixed text, or an alias, which passes on what the
    /// application sent to Auth0 under that name. A name has letters, digits, '.', '_' and '-', at most 128. The aliases are
    /// acr_values, audience, client_id, display, id_token_hint, login_hint, max_age, prompt, resource, response_mode,
    /// response_type and ui_locales.
    #[schemars(extend("maxProperties" = rules::MAX_PARAMS, "x-kubernetes-validations" = schema::params_rules()))]
    pub params: BTreeMap<String, Param>,

    /// Whether the operator writes. Enforce: write the parameters, and set them back when somebody changes them. Observe: write
    /// nothing, and show in the status what Enforce would do. Default: Enforce.
    #[serde(default)]
    pub management_policy: ManagementPolicy,

    /// What to do if Auth0 already has another value for a parameter. IfEqual: leave it, and report ExistingValue. Overwrite:
    /// replace it. An equal value is always adopted, without a write. Default: IfEqual.
    #[serde(default)]
    pub adoption_policy: AdoptionPolicy,

    /// What to do when this object is deleted. Delete: remove the parameters that it owns at Auth0. Retain: leave them there.
    /// Default: Delete.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

/// The tenant that an object belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TenantRef {
    /// The kind of the tenant object. Default: ClusterAuth0Tenant.
    #[serde(default)]
    pub kind: TenantKind,

    /// The name of the tenant object. Default: default.
    #[serde(default = "default_tenant_name")]
    #[schemars(length(max = rules::MAX_DNS_NAME))]
    #[x_kube(validation = Rule::new(schema::OBJECT_NAME_RULE).message(rules::OBJECT_NAME))]
    pub name: String,
}

impl Default for TenantRef {
    fn default() -> Self {
        Self { kind: TenantKind::default(), name: default_tenant_name() }
    }
}

fn default_tenant_name() -> String {
    "default".to_owned()
}

string_enum! {
    /// Kinds of tenant objects. One today; a namespaced kind may join it.
    #[derive(Default)]
    pub enum TenantKind {
        /// [`super::tenant::ClusterAuth0Tenant`].
        #[default]
        ClusterAuth0Tenant = "ClusterAuth0Tenant",
    }
}

/// A connection of the tenant, by its name or by its id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!(has(self.name) && has(self.id))").message(rules::CONNECTION_BOTH),
    validation = Rule::new("has(self.name) || has(self.id)").message(rules::CONNECTION_NEITHER),
)]
pub struct ConnectionRef {
    /// The connection's name: letters, digits and '-'. Set either name or id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = rules::MAX_CONNECTION_NAME))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9][A-Za-z0-9-]*$')").message(rules::CONNECTION_NAME_PATTERN))]
    pub name: Option<String>,

    /// The connection's id: con_ and then letters and digits. Set either name or id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = rules::MAX_CONNECTION_ID))]
    #[x_kube(validation = Rule::new("self.matches('^con_[A-Za-z0-9]+$')").message(rules::CONNECTION_ID_PATTERN))]
    pub id: Option<String>,
}

/// One parameter: either a fixed value or an alias.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!(has(self.value) && has(self.alias))").message(rules::PARAM_BOTH),
    validation = Rule::new("has(self.value) || has(self.alias)").message(rules::PARAM_NEITHER),
)]
pub struct Param {
    /// A fixed text that Auth0 sends with every login. It is public: the browser shows it in its address bar. 1 to 1024
    /// characters, no control characters. Set either value or alias.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = rules::MAX_VALUE))]
    #[x_kube(
        validation = Rule::new("size(self) > 0").message(rules::VALUE_EMPTY),
        validation = Rule::new(r"!self.matches(r'\p{Cc}')").message(rules::VALUE_CONTROL),
    )]
    pub value: Option<String>,

    /// The name of a parameter that the application sends to Auth0, whose value is passed on. If the application sends nothing,
    /// the parameter is left out. One of acr_values, audience, client_id, display, id_token_hint, login_hint, max_age, prompt,
    /// resource, response_mode, response_type, ui_locales. Set either value or alias.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<Alias>,
}

string_enum! {
    /// The parameters of an application's request to `/authorize` that Auth0 can pass on upstream: the twelve of the
    /// Management API's schema (`ConnectionUpstreamAliasEnum`).
    pub enum Alias {
        /// Requested authentication context classes (OpenID Connect Core section 3.1.2.1).
        AcrValues = "acr_values",
        /// The API that the application wants a token for (an Auth0 parameter).
        Audience = "audience",
        /// The application's client id (RFC 6749 section 4.1.1).
        ClientId = "client_id",
        /// How to show the login page (OpenID Connect Core section 3.1.2.1).
        Display = "display",
        /// An ID token about the user's session (OpenID Connect Core section 3.1.2.1).
        IdTokenHint = "id_token_hint",
        /// The login that the user may use (OpenID Connect Core section 3.1.2.1).
        LoginHint = "login_hint",
        /// Highest age of the user's authentication, in seconds (OpenID Connect Core section 3.1.2.1).
        MaxAge = "max_age",
        /// Whether to ask the user again (OpenID Connect Core section 3.1.2.1).
        Prompt = "prompt",
        /// The service that the token is for (RFC 8707 section 2).
        Resource = "resource",
        /// How the response comes back (OAuth 2.0 Multiple Response Type Encoding Practices section 2.1).
        ResponseMode = "response_mode",
        /// What the response holds (RFC 6749 section 3.1.1).
        ResponseType = "response_type",
        /// Preferred languages (OpenID Connect Core section 3.1.2.1).
        UiLocales = "ui_locales",
    }
}

string_enum! {
    /// Whether the operator writes to the tenant.
    #[derive(Default)]
    pub enum ManagementPolicy {
        /// Keep the connection as declared.
        #[default]
        Enforce = "Enforce",
        /// Never write; show in status what would change.
        Observe = "Observe",
    }
}

string_enum! {
    /// What happens to a parameter that is there already with another value and that this object does not own.
    #[derive(Default)]
    pub enum AdoptionPolicy {
        /// Take over a parameter only if it is equal already; refuse it otherwise.
        #[default]
        IfEqual = "IfEqual",
        /// Replace it.
        Overwrite = "Overwrite",
    }
}

string_enum! {
    /// What happens to owned parameters when the object is deleted.
    #[derive(Default)]
    pub enum DeletionPolicy {
        /// Remove them. The object has a finalizer as long as it owns any.
        #[default]
        Delete = "Delete",
        /// Leave them.
        Retain = "Retain",
    }
}

/// What the operator found and did. It holds no parameter's value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpstreamParamsStatus {
    /// The metadata.generation that this status is about. -1 if the operator has not seen the object yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -1))]
    pub observed_generation: Option<i64>,

    /// The connection as kubectl get shows it: its name or its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = rules::MAX_CONNECTION_NAME))]
    pub target: Option<String>,

    /// The conditions Ready, Accepted, ResolvedRefs and Synced; Reconciling or Stalled while they are true. Wait for Ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,

    /// The connections that this object has or had parameters on, sorted by id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub connections: Vec<ConnectionStatus>,

    /// When the operator last wrote the parameters, or saw them become as declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_synced_time: Option<Time>,

    /// The last value of the annotation upstreamparams.dev/reconcile-at that the operator has handled: after it was set, the
    /// operator checked the connections, or says in the conditions why it could not. A value of more than 64 characters is
    /// shortened to its first 47, '~' and 16 hex digits of its SHA-256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = rules::MAX_RECONCILE_AT))]
    pub last_handled_reconcile_at: Option<String>,
}

/// What is on one connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionStatus {
    /// The connection's id.
    pub id: String,

    /// The Auth0 tenant of the connection: the host in the tenant's audience.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = rules::MAX_DNS_NAME))]
    pub tenant: Option<String>,

    /// The connection's name at the last check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,

    /// The connection's strategy (its type at Auth0, for example oidc) at the last check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<String>,

    /// The parameters at the last check, sorted by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub params: Vec<ParamStatus>,
}

/// The state and the ownership of one parameter on one connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ParamStatus {
    /// The parameter's name.
    pub name: String,

    /// The state of the parameter. InSync: as declared. Applied: written, and not read again yet. Pending: still to write.
    /// Removing: still to remove. ExistingValue: somebody else set another value, and the operator leaves it. Conflicted:
    /// another UpstreamParams owns it. Contended: somebody keeps setting another value, and the operator leaves it for a while.
    /// WouldAdd, WouldChange, WouldRemove: what Enforce would do.
    pub state: ParamState,

    /// The ownership record: fingerprints of what the operator wrote, or is about to write, for this object. 16 hex digits
    /// each; they show no value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub owned: Vec<String>,

    /// True if the parameter was in sync before, although state does not say so. Another value is drift then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<bool>,
}

string_enum! {
    /// The state of one parameter on one connection.
    pub enum ParamState {
        /// It is as declared.
        InSync = "InSync",
        /// Written. Auth0's answer showed it, and the next check confirms it.
        Applied = "Applied",
        /// The operator still has to write it.
        Pending = "Pending",
        /// The operator still has to remove it.
        Removing = "Removing",
        /// Somebody else set another value, and `adoptionPolicy: IfEqual` leaves it.
        ExistingValue = "ExistingValue",
        /// Another object owns this parameter of this connection.
        Conflicted = "Conflicted",
        /// Somebody keeps setting another value, and the operator leaves it for a while.
        Contended = "Contended",
        /// `Observe`: Auth0 does not have it, and `Enforce` would add it.
        WouldAdd = "WouldAdd",
        /// `Observe`: Auth0 has another value, and `Enforce` would replace it.
        WouldChange = "WouldChange",
        /// `Observe`: `Enforce` would remove it.
        WouldRemove = "WouldRemove",
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::api::tenant::{ClusterAuth0Tenant, RateLimit};

    /// Reads every document of the fixtures and examples of one kind.
    fn read_all<K: serde::de::DeserializeOwned>(kind: &str) -> Vec<K> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let files = ["tests/fixtures/valid", "examples"].into_iter().flat_map(|folder| std::fs::read_dir(root.join(folder)).unwrap());
        let texts: Vec<String> = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect();
        let documents = texts.iter().flat_map(|text| text.split("\n---\n"));
        let of_kind = documents.filter(|document| document.contains(&format!("\nkind: {kind}\n")));
        of_kind.map(|document| serde_saphyr::from_str(document).unwrap_or_else(|error| panic!("{error}\n{document}"))).collect()
    }

    #[test]
    fn valid_fixtures_and_examples_read_into_the_types() {
        // Nulls for what has a default are the API server's to replace: a stored object has none.
        let read = |kind| read_all::<serde_json::Value>(kind).into_iter().filter(|object| !object.to_string().contains(":null"));
        let objects: Vec<UpstreamParams> = read("UpstreamParams").map(|object| serde_json::from_value(object).unwrap()).collect();
        assert!(objects.len() > 15, "{}", objects.len());
        let wordpress = objects.iter().find(|object| object.metadata.name.as_deref() == Some("wordpress-blog")).unwrap();
        let expected = UpstreamParamsSpec {
            connection: ConnectionRef { name: Some("wordpress".to_owned()), id: None },
            params: BTreeMap::from([("blog".to_owned(), Param { value: Some("myblog.wordpress.com".to_owned()), alias: None })]),
            ..UpstreamParamsSpec::default()
        };
        assert_eq!(wordpress.spec, expected);
        assert_eq!(expected.tenant_ref.name, "default");

        let tenants: Vec<ClusterAuth0Tenant> = read("ClusterAuth0Tenant").map(|object| serde_json::from_value(object).unwrap()).collect();
        assert!(tenants.len() > 7, "{}", tenants.len());
        let example = tenants.iter().find(|tenant| tenant.metadata.name.as_deref() == Some("default")).unwrap();
        assert_eq!(example.spec.rate_limit, RateLimit { reads_per_minute: 30, requests_per_minute: 60, burst: 5 });
        assert_eq!(example.spec.resync_interval_seconds, 600);
    }

    #[test]
    fn a_status_leaves_out_what_there_is_none_of() {
        assert_eq!(serde_json::to_string(&UpstreamParamsStatus::default()).unwrap(), "{}");
        let param = ParamStatus { name: "blog".to_owned(), state: ParamState::InSync, owned: Vec::new(), applied: None };
        assert_eq!(serde_json::to_string(&param).unwrap(), r#"{"name":"blog","state":"InSync"}"#);
        assert_eq!(serde_json::from_str::<ParamStatus>(r#"{"name":"blog","state":"InSync"}"#).unwrap(), param);
    }

    #[test]
    fn there_are_twelve_aliases_in_alphabetical_order() {
        assert_eq!(Alias::ALL.len(), 12);
        assert!(Alias::ALL.is_sorted());
        assert!(Alias::ALL.is_sorted_by_key(|alias| alias.as_str()));
        for alias in Alias::ALL {
            assert_eq!(alias.as_str().parse(), Ok(*alias));
            assert_eq!(serde_json::to_value(alias).unwrap(), alias.as_str());
        }
        assert!("scope".parse::<Alias>().unwrap_err().to_string().ends_with("response_type, ui_locales"));
    }
}
