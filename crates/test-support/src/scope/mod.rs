//! One test's own part of a world, and what somebody does in it.

mod facts;
mod waits;

use std::sync::atomic::{AtomicUsize, Ordering};

use auth0_emulator::TenantHandle;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use upstream_params_operator::api::FINALIZER;
use upstream_params_operator::api::tenant::ClusterAuth0Tenant;
use upstream_params_operator::api::upstream_params::UpstreamParams;

use crate::manifest::{Params, asking, merge};
use crate::{OPERATOR_NAMESPACE, SCOPES, World, from};

/// One test's own part of a world.
#[derive(Clone)]
pub struct Scope<'a> {
    /// The world.
    pub world: &'a World,
    /// The name of the tenant object and of the Secret.
    pub name: String,
    /// The namespace of the objects: that of the same name, unless it is another's view (see [`Scope::other_namespace`]).
    pub namespace: String,
    /// The tenant's domain.
    pub domain: String,
    /// The administrator.
    pub client: Client,
    /// The emulated tenant.
    pub auth0: TenantHandle,
}

impl<'a> Scope<'a> {
    /// A scope with a namespace and an emulated tenant, that has the operator's application.
    pub(crate) async fn begin(world: &'a World, name: String) -> Self {
        let domain = format!("{name}.eu.auth0.com");
        let auth0 = world.emulator.tenant(&domain);
        let scope = Self { world, namespace: name.clone(), name, domain, client: world.client().await, auth0 };
        scope.auth0.add_client("operator", &scope.client_secret(), SCOPES);
        scope.create_namespace(&scope.name).await;
        scope
    }

    /// Another namespace that the tenant admits, with objects of its own.
    pub async fn other_namespace(&self) -> Self {
        let other = self.namespaced(format!("{}-other", self.name));
        self.create_namespace(&other.namespace).await;
        other
    }

    /// The same, with another namespace.
    pub fn namespaced(&self, namespace: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), ..self.clone() }
    }
}

/// Objects.
impl Scope<'_> {
    /// The namespace's objects.
    pub fn api(&self) -> Api<UpstreamParams> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Creates an object with this spec; the tenant is filled in.
    pub async fn create(&self, name: &str, spec: impl Into<Value>) -> UpstreamParams {
        self.create_with(json!({"name": name}), spec).await
    }

    /// Creates an object with this metadata and this spec; the namespace and the tenant are filled in.
    pub async fn create_with(&self, metadata: Value, spec: impl Into<Value>) -> UpstreamParams {
        let mut all = json!({"tenantRef": {"name": self.name}});
        merge(&mut all, spec.into());
        let object: UpstreamParams = from(json!({"metadata": metadata, "spec": all}));
        self.api().create(&PostParams::default(), &object).await.unwrap()
    }

    /// Merges into the spec of an object; `null` removes.
    pub async fn edit(&self, name: &str, spec: impl Into<Value>) -> UpstreamParams {
        self.patch(name, json!({"spec": spec.into()})).await
    }

    /// Merges into an object; `null` removes.
    pub async fn patch(&self, name: &str, changes: Value) -> UpstreamParams {
        self.api().patch(name, &PatchParams::default(), &Patch::Merge(changes)).await.unwrap()
    }

    /// Deletes an object, without waiting for it.
    pub async fn delete(&self, name: &str) {
        self.api().delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// The object as it is.
    pub async fn get(&self, name: &str) -> UpstreamParams {
        self.api().get(name).await.unwrap()
    }

    /// Asks for a look at an object by the annotation. Yields the value that is handled when the look has ended.
    pub async fn ask(&self, name: &str) -> String {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let by = format!("test-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        self.patch(name, asking(by.as_str())).await;
        by
    }

    /// Merges into the status of an object, as somebody with the right to write it; `null` removes.
    pub async fn forge_status(&self, name: &str, status: Value) {
        self.api().patch_status(name, &PatchParams::default(), &Patch::Merge(json!({"status": status}))).await.unwrap();
    }

    /// Loses the status of an object, as a restored backup does.
    pub async fn lose_status(&self, name: &str) {
        self.forge_status(name, Value::Null).await;
    }

    /// Takes all finalizers from an object, as a `kubectl replace` of its manifest does.
    pub async fn strip_finalizers(&self, name: &str) {
        self.patch(name, json!({"metadata": {"finalizers": null}})).await;
    }

    /// Puts the operator's finalizer on an object, as somebody who copies a manifest does.
    pub async fn copy_finalizer(&self, name: &str) {
        self.patch(name, json!({"metadata": {"finalizers": [FINALIZER]}})).await;
    }
}

/// The tenant object and its Secret.
impl Scope<'_> {
    /// The tenant objects.
    pub fn tenants(&self) -> Api<ClusterAuth0Tenant> {
        Api::all(self.client.clone())
    }

    /// The tenant object as it is.
    pub async fn tenant(&self) -> ClusterAuth0Tenant {
        self.tenants().get(&self.name).await.unwrap()
    }

    /// Creates the tenant object: every namespace of the scope may manage every connection, looked at every five
    /// seconds, without a limit worth the name. `changes` are merged into its spec.
    pub async fn create_tenant(&self, changes: impl Into<Value>) {
        self.create_other_tenant(&self.name, changes).await;
    }

    /// Creates another tenant object with the same spec as [`Scope::create_tenant`] but for these changes.
    pub async fn create_other_tenant(&self, name: &str, changes: impl Into<Value>) -> ClusterAuth0Tenant {
        let mut spec = json!({
            "domain": self.domain,
            "credentials": {"secretRef": {"name": self.name}},
            "access": [{"namespaceSelector": {"matchLabels": {"scope": self.name}}, "connections": ["*"]}],
            "rateLimit": {"readsPerMinute": 60000, "requestsPerMinute": 60000, "burst": 1000},
            "resyncIntervalSeconds": 5,
        });
        merge(&mut spec, changes.into());
        let tenant: ClusterAuth0Tenant = from(json!({"metadata": {"name": name}, "spec": spec}));
        self.tenants().create(&PostParams::default(), &tenant).await.unwrap()
    }

    /// Merges into the spec of the tenant object.
    pub async fn patch_tenant(&self, spec: impl Into<Value>) {
        let patch = Patch::Merge(json!({"spec": spec.into()}));
        self.tenants().patch(&self.name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// Takes the conditions from the status of the tenant object, as somebody with the right to write it.
    pub async fn forge_tenant_status(&self) {
        let patch = Patch::Merge(json!({"status": {"conditions": []}}));
        self.tenants().patch_status(&self.name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// Deletes the tenant object, without waiting for it.
    pub async fn delete_tenant(&self) {
        self.tenants().delete(&self.name, &DeleteParams::default()).await.unwrap();
    }

    /// The client secret of the operator's application: a marker that must appear nowhere.
    pub fn client_secret(&self) -> String {
        format!("marker-client-secret-of-{}", self.name)
    }

    fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), OPERATOR_NAMESPACE)
    }

    /// Creates the Secret with the right credentials.
    pub async fn create_secret(&self) {
        self.put_secret(&[("clientId", b"operator"), ("clientSecret", self.client_secret().as_bytes())]).await;
    }

    /// Creates or replaces the Secret, by one with these members.
    pub async fn put_secret(&self, members: &[(&str, &[u8])]) {
        let data = members.iter().map(|(name, bytes)| ((*name).to_owned(), ByteString(bytes.to_vec()))).collect();
        let secret = Secret { data: Some(data), ..from(json!({"metadata": {"name": self.name}})) };
        drop(self.secrets().delete(&self.name, &DeleteParams::default()).await);
        self.secrets().create(&PostParams::default(), &secret).await.unwrap();
    }

    /// Changes members of the Secret without a moment in which there is none.
    pub async fn change_secret(&self, data: Value) {
        let patch = Patch::Merge(json!({"stringData": data}));
        self.secrets().patch(&self.name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// Deletes the Secret.
    pub async fn delete_secret(&self) {
        self.secrets().delete(&self.name, &DeleteParams::default()).await.unwrap();
    }
}

/// Namespaces.
impl Scope<'_> {
    /// The namespaces.
    pub fn namespaces(&self) -> Api<Namespace> {
        Api::all(self.client.clone())
    }

    /// Creates a namespace that the tenant admits (see [`Scope::create_tenant`]).
    pub async fn create_namespace(&self, name: &str) {
        self.create_labelled_namespace(name, json!({"scope": self.name})).await;
    }

    /// Creates a namespace with these labels.
    pub async fn create_labelled_namespace(&self, name: &str, labels: Value) {
        let namespace: Namespace = from(json!({"metadata": {"name": name, "labels": labels}}));
        self.namespaces().create(&PostParams::default(), &namespace).await.unwrap();
    }

    /// Sets labels of the namespace; `null` removes.
    pub async fn label_namespace(&self, labels: Value) {
        let patch = Patch::Merge(json!({"metadata": {"labels": labels}}));
        self.namespaces().patch(&self.namespace, &PatchParams::default(), &patch).await.unwrap();
    }

    /// Deletes the namespace, without waiting for it.
    pub async fn delete_namespace(&self) {
        self.namespaces().delete(&self.namespace, &DeleteParams::default()).await.unwrap();
    }

    /// Makes the operator look at every object of the namespace at once, by a label that means nothing.
    pub async fn prod(&self) {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let label = format!("n{}", COUNT.fetch_add(1, Ordering::Relaxed));
        self.label_namespace(json!({"prod": label})).await;
    }
}

/// Connections at the emulated tenant.
impl Scope<'_> {
    /// Creates a connection with options that are realistic and hold a marker. Yields its id.
    pub fn connection(&self, name: &str, strategy: &str) -> String {
        self.connection_with(name, strategy, json!({}))
    }

    /// As [`Scope::connection`], with upstream parameters that somebody else has set.
    pub fn connection_of(&self, name: &str, strategy: &str, params: Params) -> String {
        self.connection_with(name, strategy, json!({"upstream_params": Value::from(params)}))
    }

    /// As [`Scope::connection`], with more options.
    pub fn connection_with(&self, name: &str, strategy: &str, options: Value) -> String {
        let mut all = json!({
            "client_id": format!("idp-{name}"),
            "client_secret": format!("marker-idp-secret-of-{name}"),
            "scope": ["openid", "profile"],
            "nested": {"z": null, "a": [1, 2.50, 12_345_678_901_234_567_890_u64], "text": "marker-nested-\u{e9}"},
        });
        merge(&mut all, options);
        let document = json!({"name": name, "strategy": strategy, "display_name": format!("The {name}"), "options": all});
        self.auth0.create_connection(&document).unwrap()
    }

    /// Stores a connection exactly as a GET shows it, nothing derived: also types that cannot be created any more.
    pub fn odd_connection(&self, name: &str, strategy: &str, options: &Value) -> String {
        let document = json!({"name": name, "strategy": strategy, "display_name": name, "options": options});
        self.auth0.restore_connection(&document.to_string()).unwrap()
    }
}
