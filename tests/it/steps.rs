//! Steps that tests of trouble share: counting calls, statuses written by hand, conditions over a list of objects.

use std::time::{Duration, Instant};

use auth0_emulator::{Call, Origin, TenantHandle};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use upstream_params_operator::api::tenant::ClusterAuth0Tenant;
use upstream_params_operator::api::upstream_params::UpstreamParams;

use crate::support::{self, OPERATOR_NAMESPACE, SOON, Scope, from};

/// The calls that the operator made with this method, but for token requests.
pub(crate) fn calls(auth0: &TenantHandle, method: &str) -> Vec<Call> {
    let wanted = |call: &Call| call.origin == Origin::Http && call.method == method && !call.is_token();
    auth0.journal().into_iter().filter(wanted).collect()
}

/// How many writes arrived, answered or not.
pub(crate) fn patches(auth0: &TenantHandle) -> usize {
    calls(auth0, "PATCH").len()
}

/// How many tokens were asked for.
pub(crate) fn token_requests(auth0: &TenantHandle) -> usize {
    auth0.journal().iter().filter(|call| call.is_token()).count()
}

/// How many calls were answered with this status.
pub(crate) fn answered(auth0: &TenantHandle, status: u16) -> usize {
    auth0.journal().iter().filter(|call| call.origin == Origin::Http && call.status == Some(status)).count()
}

/// The status and the reason of a condition, whatever its generation.
pub(crate) fn condition(object: &UpstreamParams, kind: &str) -> (String, String) {
    let conditions = object.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let found = conditions.iter().find(|condition| condition.type_ == kind);
    found.map(|condition| (condition.status.clone(), condition.reason.clone())).unwrap_or_default()
}

/// Whether a condition says this, whatever its generation.
pub(crate) fn says(object: &UpstreamParams, kind: &str, status: &str, reason: &str) -> bool {
    condition(object, kind) == (status.to_owned(), reason.to_owned())
}

/// Asserts that the object counts as stalled, or as being worked on.
pub(crate) fn assert_stalled(object: &UpstreamParams, stalled: bool) {
    let has = |kind: &str| condition(object, kind).0 == "True";
    assert_eq!((has("Stalled"), has("Reconciling")), (stalled, !stalled), "{:#?}", object.status);
}

/// The spec of one parameter on a connection that is named.
pub(crate) fn one(connection: &str, param: &str, value: &str) -> Value {
    json!({"connection": {"name": connection}, "params": {param: {"value": value}}})
}

/// The answer of a tenant that refuses upstream parameters.
pub(crate) fn refusal_of_params() -> String {
    let message = "Payload validation error: 'String is too long' on property options.upstream_params.bad.value.";
    json!({"statusCode": 400, "error": "Bad Request", "message": message, "errorCode": "invalid_body"}).to_string()
}

impl Scope<'_> {
    /// Stores a connection exactly as a GET shows it, nothing derived: also types that cannot be created any more.
    pub(crate) fn odd_connection(&self, name: &str, strategy: &str, options: &Value) -> String {
        let document = json!({"name": name, "strategy": strategy, "display_name": name, "options": options});
        self.auth0.restore_connection(&document.to_string()).unwrap()
    }

    /// Merges into the status of an object, as somebody with the right to write it; `null` removes.
    pub(crate) async fn forge_status(&self, name: &str, status: Value) {
        self.api().patch_status(name, &PatchParams::default(), &Patch::Merge(json!({"status": status}))).await.unwrap();
    }

    /// Changes members of the Secret without a moment in which there is none.
    pub(crate) async fn change_secret(&self, data: Value) {
        let api = Api::<Secret>::namespaced(self.client.clone(), OPERATOR_NAMESPACE);
        api.patch(&self.name, &PatchParams::default(), &Patch::Merge(json!({"stringData": data}))).await.unwrap();
    }

    /// Sets labels of a namespace; `null` removes.
    pub(crate) async fn label_namespace(&self, labels: Value) {
        let patch = Patch::Merge(json!({"metadata": {"labels": labels}}));
        Api::<Namespace>::all(self.client.clone()).patch(&self.name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// Creates another tenant object with the same spec as [`Scope::create_tenant`] but for these changes.
    pub(crate) async fn create_other_tenant(&self, name: &str, spec: Value) -> ClusterAuth0Tenant {
        let tenant: ClusterAuth0Tenant = from(json!({"metadata": {"name": name}, "spec": spec}));
        self.tenants().create(&PostParams::default(), &tenant).await.unwrap()
    }

    /// The message of a condition of the tenant object.
    pub(crate) async fn tenant_message(&self, kind: &str) -> String {
        let tenant = self.tenants().get(&self.name).await.unwrap();
        let conditions = tenant.status.map(|status| status.conditions).unwrap_or_default();
        conditions.into_iter().find(|condition| condition.type_ == kind).map(|condition| condition.message).unwrap_or_default()
    }

    /// Waits for a condition, whatever its generation.
    pub(crate) async fn until_says(&self, name: &str, kind: &str, status: &str, reason: &str) -> UpstreamParams {
        self.until(name, &format!("{kind}={status}/{reason}"), |object| says(object, kind, status, reason)).await
    }

    /// Waits until all of the objects are ready and confirmed by another look.
    pub(crate) async fn until_all_in_sync(&self, names: &[&str], within: Duration) {
        let give_up = Instant::now() + within;
        for name in names {
            while !support::is(&self.get(name).await, "Synced", "True", "InSync") {
                assert!(Instant::now() < give_up, "{name} is not in sync\n{}", self.describe(name).await);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// Waits for a tenant's condition within a time that is longer than usual.
    pub(crate) async fn until_in_sync(&self, name: &str) -> UpstreamParams {
        self.until_condition(name, "Synced", "True", "InSync").await
    }

    /// Waits until the text is in the operator's log.
    pub(crate) async fn until_logged(&self, text: &str) {
        let give_up = Instant::now() + SOON;
        while !self.bench.log_text().contains(text) {
            assert!(Instant::now() < give_up, "{text} was not logged\n{}", self.describe("").await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
