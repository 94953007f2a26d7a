//! Waits for what becomes of a scope. A wait that is in vain shows the objects, their events, the tenant's journal and the log.

use std::time::Duration;

use auth0_emulator::TenantHandle;
use kube::ResourceExt;
use upstream_params_operator::api::tenant::ClusterAuth0Tenant;
use upstream_params_operator::api::upstream_params::{ParamState, UpstreamParams};

use super::Scope;
use crate::journal::reads;
use crate::manifest::{on, theirs};
use crate::status::{assert_complete, handled, has_finalizer, holds, is, says, states};
use crate::wait::{SOON, eventually_within, object};

/// Any test of the scope.
impl Scope<'_> {
    /// Asks until there is an answer.
    pub async fn eventually<T>(&self, what: &str, ask: impl AsyncFnMut() -> Option<T>) -> T {
        self.eventually_within(SOON, what, ask).await
    }

    /// Asks until there is an answer, for so long at most.
    pub async fn eventually_within<T>(&self, within: Duration, what: &str, ask: impl AsyncFnMut() -> Option<T>) -> T {
        eventually_within(within, what, ask, async || self.describe("").await).await
    }

    /// Waits until the emulated tenant passes the test.
    pub async fn until_auth0(&self, what: &str, test: impl Fn(&TenantHandle) -> bool) {
        self.until_auth0_within(SOON, what, test).await;
    }

    /// Waits until the emulated tenant passes the test, for so long at most.
    pub async fn until_auth0_within(&self, within: Duration, what: &str, test: impl Fn(&TenantHandle) -> bool) {
        self.eventually_within(within, what, async || test(&self.auth0).then_some(())).await;
    }

    /// Waits until the text is in the operator's log.
    pub async fn until_logged(&self, text: &str) {
        self.eventually(&format!("{text:?} in the log"), async || self.world.log_text().contains(text).then_some(())).await;
    }
}

/// An object.
impl Scope<'_> {
    /// Watches until the object passes the test. Every status on the way is complete.
    pub async fn until(&self, name: &str, what: &str, test: impl Fn(&UpstreamParams) -> bool) -> UpstreamParams {
        self.until_within(SOON, name, what, test).await
    }

    /// As [`Scope::until`], for so long at most.
    pub async fn until_within(&self, within: Duration, name: &str, what: &str, test: impl Fn(&UpstreamParams) -> bool) -> UpstreamParams {
        let passes = |object: Option<&UpstreamParams>| {
            object.is_some_and(|object| {
                assert_complete(object);
                test(object)
            })
        };
        object(&self.api(), name, (what, within), passes, async || self.describe(name).await).await.unwrap()
    }

    /// Waits for `Ready=True` of the object's latest generation.
    pub async fn until_ready(&self, name: &str) -> UpstreamParams {
        self.until_condition(name, "Ready", "True", "Ready").await
    }

    /// Waits until the object's latest generation is in sync: another look has confirmed it.
    pub async fn until_in_sync(&self, name: &str) -> UpstreamParams {
        self.until_condition(name, "Synced", "True", "InSync").await
    }

    /// Waits until all of the objects are in sync.
    pub async fn until_all_in_sync(&self, names: &[impl AsRef<str>]) {
        for name in names {
            self.until_in_sync(name.as_ref()).await;
        }
    }

    /// Waits for a condition of the object's latest generation.
    pub async fn until_condition(&self, name: &str, kind: &str, status: &str, reason: &str) -> UpstreamParams {
        self.until(name, &format!("{kind}={status}/{reason}"), |object| is(object, kind, status, reason)).await
    }

    /// Waits for a condition, whatever its generation.
    pub async fn until_says(&self, name: &str, kind: &str, status: &str, reason: &str) -> UpstreamParams {
        self.until(name, &format!("{kind}={status}/{reason}"), |object| says(object, kind, status, reason)).await
    }

    /// Waits for the state of one parameter.
    pub async fn until_state(&self, name: &str, param: &str, state: ParamState) -> UpstreamParams {
        self.until(name, &format!("{param} is {state:?}"), |object| states(object).get(param) == Some(&state)).await
    }

    /// Waits until the operator's finalizer is on the object, or off it.
    pub async fn until_finalizer(&self, name: &str, present: bool) -> UpstreamParams {
        self.until(name, if present { "a finalizer" } else { "no finalizer" }, |object| has_finalizer(object) == present).await
    }

    /// Waits until the object is gone.
    pub async fn until_gone(&self, name: &str) {
        self.until_gone_within(SOON, name).await;
    }

    /// Waits until the object is gone, for so long at most.
    pub async fn until_gone_within(&self, within: Duration, name: &str) {
        object(&self.api(), name, ("its end", within), |object| object.is_none(), async || self.describe(name).await).await;
    }

    /// Waits until the namespace is gone. Its controller comes back to one that was not empty only after a while.
    pub async fn until_namespace_gone(&self) {
        let gone = |namespace: Option<&_>| namespace.is_none();
        object(&self.namespaces(), &self.namespace, ("its end", 2 * SOON), gone, async || self.describe("").await).await;
    }

    /// Waits until an object is ready and another look has confirmed what was written. No look that this caused is left to come.
    pub async fn settle(&self, name: &str) -> UpstreamParams {
        self.until_ready(name).await;
        let by = self.ask(name).await;
        let settled = |object: &UpstreamParams| {
            handled(object) == Some(by.as_str())
                && is(object, "Ready", "True", "Ready")
                && states(object).values().all(|state| *state == ParamState::InSync)
        };
        self.until(name, "ready, and every parameter InSync", settled).await
    }

    /// Creates an object `blog` with the parameter `blog` on a connection `wordpress`, which has a parameter of somebody else too.
    /// Yields the connection's id, once nothing is left to be done.
    pub async fn settled_blog(&self) -> String {
        let id = self.connection_of("wordpress", "wordpress", theirs());
        self.create("blog", on("wordpress").value("blog", "ours")).await;
        self.settle("blog").await;
        self.auth0.clear_journal();
        id
    }

    /// Waits for an event of this reason about an object of this name.
    pub async fn until_event(&self, name: &str, reason: &str) -> String {
        let of_reason = format!("{reason}: ");
        let told = async || self.events(name).await.into_iter().find(|event| event.starts_with(&of_reason));
        self.eventually(&format!("an event {reason} of {name}"), told).await
    }
}

/// The tenant object.
impl Scope<'_> {
    /// Watches until the tenant object passes the test.
    pub async fn until_tenant_passes(&self, what: &str, test: impl Fn(&ClusterAuth0Tenant) -> bool) -> ClusterAuth0Tenant {
        let passes = |tenant: Option<&ClusterAuth0Tenant>| tenant.is_some_and(&test);
        object(&self.tenants(), &self.name, (what, SOON), passes, async || self.describe("").await).await.unwrap()
    }

    /// Waits for a condition of the tenant object's latest generation.
    pub async fn until_tenant(&self, kind: &str, status: &str, reason: &str) -> ClusterAuth0Tenant {
        let passes = |tenant: &ClusterAuth0Tenant| {
            let conditions = tenant.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
            holds(conditions, tenant.metadata.generation, kind, status, reason)
        };
        self.until_tenant_passes(&format!("{kind}={status}/{reason}"), passes).await
    }

    /// Waits until the message of a condition of the tenant object passes the test. Yields it.
    pub async fn until_tenant_message(&self, kind: &str, what: &str, test: impl Fn(&str) -> bool) -> String {
        let message = |tenant: &ClusterAuth0Tenant| super::facts::message_of_tenant(tenant, kind);
        let tenant = self.until_tenant_passes(&format!("{what} in the message of {kind}"), |tenant| test(&message(tenant))).await;
        message(&tenant)
    }

    /// Waits until a condition of the tenant object says all of these texts. Yields its message.
    pub async fn until_tenant_says(&self, kind: &str, texts: &[&str]) -> String {
        self.until_tenant_message(kind, &format!("{texts:?}"), |message| texts.iter().all(|text| message.contains(text))).await
    }

    /// Waits for an event of this reason about the tenant object. Yields its note.
    pub async fn until_tenant_event(&self, reason: &str) -> String {
        let told = async || self.tenant_events().await.into_iter().find(|event| event.reason.as_deref() == Some(reason));
        let event = self.eventually(&format!("an event {reason} of the tenant"), told).await;
        event.note.unwrap_or_default()
    }
}

/// Looks at a connection.
impl Scope<'_> {
    /// Lets so many ordinary looks at a connection pass, as counted by the tenant's journal.
    pub async fn looks(&self, connection_id: &str, count: usize) {
        let before = reads(&self.auth0, connection_id);
        self.until_auth0(&format!("{count} more looks at {connection_id}"), |auth0| reads(auth0, connection_id) >= before + count).await;
        self.until_passed(connection_id).await;
    }

    /// As [`Scope::looks`], without waiting for the time of ordinary looks.
    pub async fn prodded_looks(&self, connection_id: &str, count: usize) {
        for _ in 0..count {
            self.prodded_look(connection_id).await;
        }
        self.until_passed(connection_id).await;
    }

    /// Waits until the pass has ended that a look began: a tenant's passes come one after the other, so another has to begin.
    async fn until_passed(&self, connection_id: &str) {
        self.prodded_look(connection_id).await;
    }

    async fn prodded_look(&self, connection_id: &str) {
        let before = reads(&self.auth0, connection_id);
        self.prod().await;
        self.until_auth0("another look", |auth0| reads(auth0, connection_id) > before).await;
    }

    /// Asserts that so many looks at a connection write nothing: neither to the tenant, nor to its object, nor to these.
    pub async fn assert_still(&self, connection_id: &str, names: &[&str], looks: usize) {
        let before = self.versions(names).await;
        let writes = self.auth0.writes().len();
        self.prodded_looks(connection_id, looks).await;
        assert_eq!(self.auth0.writes().len(), writes, "the tenant was written to\n{}", self.describe("").await);
        assert_eq!(self.versions(names).await, before, "an object was written to\n{}", self.describe("").await);
    }

    /// The versions of the tenant object and of these objects.
    pub async fn versions(&self, names: &[&str]) -> Vec<Option<String>> {
        let mut versions = vec![self.tenant().await.resource_version()];
        for name in names {
            versions.push(self.get(name).await.resource_version());
        }
        versions
    }
}
