//! Objects as somebody would write them, member by member.
//!
//! ```
//! use test_support::manifest::{edit, on, value};
//!
//! let spec = on("wordpress").value("blog", "ours").alias("hint", "login_hint").retain();
//! let change = edit().value("blog", "other").without("hint");
//! assert_eq!(value("blog", "ours").alias("hint", "login_hint"), serde_json::Value::from(spec)["params"]);
//! assert!(serde_json::Value::from(change)["params"]["hint"].is_null());
//! ```

use serde::Serialize;
use serde_json::{Map, Value, json};
use upstream_params_operator::api::RECONCILE_AT;

/// The change of an object or a tenant object that asks for a look by this value; `null`: asks no more.
pub fn asking(by: impl Into<Value>) -> Value {
    json!({"metadata": {"annotations": {RECONCILE_AT: by.into()}}})
}

/// Upstream parameters, as a manifest declares them and as a tenant shows them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Params(Map<String, Value>);

/// One parameter with a value.
pub fn value(param: impl Into<String>, value: impl Into<String>) -> Params {
    Params::default().value(param, value)
}

/// One parameter with an alias.
pub fn alias(param: impl Into<String>, alias: impl Into<String>) -> Params {
    Params::default().alias(param, alias)
}

/// A parameter that somebody else has set, and that stays as it is whatever the operator does.
pub fn theirs() -> Params {
    value("theirs", "kept")
}

impl Params {
    /// A parameter with a value.
    pub fn value(self, param: impl Into<String>, value: impl Into<String>) -> Self {
        self.entry(param, json!({"value": value.into()}))
    }

    /// A parameter with an alias.
    pub fn alias(self, param: impl Into<String>, alias: impl Into<String>) -> Self {
        self.entry(param, json!({"alias": alias.into()}))
    }

    /// A parameter as it is written, whatever that is.
    pub fn entry(mut self, param: impl Into<String>, entry: Value) -> Self {
        self.0.insert(param.into(), entry);
        self
    }

    /// All of these too.
    pub fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }
}

impl From<Params> for Value {
    fn from(params: Params) -> Self {
        Self::Object(params.0)
    }
}

impl PartialEq<Value> for Params {
    fn eq(&self, other: &Value) -> bool {
        other.as_object() == Some(&self.0)
    }
}

impl PartialEq<Params> for Value {
    fn eq(&self, other: &Params) -> bool {
        other == self
    }
}

/// The spec of an `UpstreamParams`, or what an edit changes about one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spec(Value);

/// A spec for the connection of this name.
pub fn on(connection: &str) -> Spec {
    Spec(json!({"connection": {"name": connection}}))
}

/// A spec for the connection with this id.
pub fn on_id(id: &str) -> Spec {
    Spec(json!({"connection": {"id": id}}))
}

/// A change of a spec: what is not named stays.
pub fn edit() -> Spec {
    Spec(json!({}))
}

/// A change of a spec to the connection of this name, however it was named before.
pub fn to(connection: &str) -> Spec {
    Spec(json!({"connection": {"name": connection, "id": null}}))
}

impl Spec {
    /// A parameter with a value.
    pub fn value(self, param: impl AsRef<str>, value: impl Into<String>) -> Self {
        self.param(param.as_ref(), json!({"value": value.into()}))
    }

    /// A parameter with an alias.
    pub fn alias(self, param: impl AsRef<str>, alias: impl Into<String>) -> Self {
        self.param(param.as_ref(), json!({"alias": alias.into()}))
    }

    /// Of a change: this parameter goes.
    pub fn without(self, param: &str) -> Self {
        self.param(param, Value::Null)
    }

    /// A parameter as it is written, whatever that is.
    pub fn param(mut self, param: &str, entry: Value) -> Self {
        self.0["params"][param] = entry;
        self
    }

    /// All of these parameters.
    pub fn params(mut self, params: Params) -> Self {
        for (param, entry) in params.0 {
            self = self.param(&param, entry);
        }
        self
    }

    /// Another tenant object than that of the scope.
    pub fn tenant(self, name: &str) -> Self {
        self.with("tenantRef", json!({"name": name}))
    }

    /// `adoptionPolicy: Overwrite`
    pub fn overwrite(self) -> Self {
        self.with("adoptionPolicy", json!("Overwrite"))
    }

    /// `adoptionPolicy: IfEqual`
    pub fn if_equal(self) -> Self {
        self.with("adoptionPolicy", json!("IfEqual"))
    }

    /// `deletionPolicy: Retain`
    pub fn retain(self) -> Self {
        self.with("deletionPolicy", json!("Retain"))
    }

    /// `deletionPolicy: Delete`
    pub fn delete(self) -> Self {
        self.with("deletionPolicy", json!("Delete"))
    }

    /// `managementPolicy: Observe`
    pub fn observe(self) -> Self {
        self.with("managementPolicy", json!("Observe"))
    }

    /// `managementPolicy: Enforce`
    pub fn enforce(self) -> Self {
        self.with("managementPolicy", json!("Enforce"))
    }

    /// A member as it is written, whatever that is.
    pub fn with(mut self, member: &str, content: Value) -> Self {
        self.0[member] = content;
        self
    }
}

impl From<Spec> for Value {
    fn from(spec: Spec) -> Self {
        spec.0
    }
}

/// The spec of a `ClusterAuth0Tenant`, or what an edit changes about one. What is not named is as
/// [`Scope::create_tenant`](crate::Scope::create_tenant) says.
#[derive(Clone, Debug, PartialEq)]
pub struct TenantSpec(Value);

/// A tenant, or a change of one.
pub fn tenant() -> TenantSpec {
    TenantSpec(json!({}))
}

impl TenantSpec {
    /// How many seconds lie between two looks at a connection.
    pub fn resync(self, seconds: u32) -> Self {
        self.with("resyncIntervalSeconds", json!(seconds))
    }

    /// Admits the namespaces with this label to connections that match one of the patterns; nobody else, but for those that more
    /// calls of this name.
    pub fn admit<'a>(mut self, (label, value): (&str, &str), connections: impl IntoIterator<Item = &'a str>) -> Self {
        let connections: Vec<&str> = connections.into_iter().collect();
        if self.0["access"].is_null() {
            self.0["access"] = json!([]);
        }
        let entry = json!({"namespaceSelector": {"matchLabels": {label: value}}, "connections": connections});
        self.0["access"].as_array_mut().unwrap().push(entry);
        self
    }

    /// The limits of reads and of all requests in a minute, and how many may come at once.
    pub fn rate_limit(self, reads: u32, requests: u32, burst: u32) -> Self {
        self.with("rateLimit", json!({"readsPerMinute": reads, "requestsPerMinute": requests, "burst": burst}))
    }

    /// `managementPolicy: Observe`
    pub fn observe(self) -> Self {
        self.with("managementPolicy", json!("Observe"))
    }

    /// `managementPolicy: Enforce`
    pub fn enforce(self) -> Self {
        self.with("managementPolicy", json!("Enforce"))
    }

    /// A member as it is written, whatever that is.
    pub fn with(mut self, member: &str, content: Value) -> Self {
        self.0[member] = content;
        self
    }
}

impl From<TenantSpec> for Value {
    fn from(spec: TenantSpec) -> Self {
        spec.0
    }
}

/// What both say, where an object says it; the changes win.
pub(crate) fn merge(into: &mut Value, changes: Value) {
    match (into, changes) {
        (Value::Object(into), Value::Object(changes)) => {
            for (key, value) in changes {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, changes) => *into = changes,
    }
}
