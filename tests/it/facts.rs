//! What tests assert again and again: facts about an object's status, its events, and the tenant's journal.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use auth0_emulator::TenantHandle;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::api::events::v1::Event;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use upstream_params_operator::api::upstream_params::{ParamState, UpstreamParams};

use crate::support::{self, OPERATOR_NAMESPACE, SOON, Scope, has_finalizer, states};

/// Asserts what holds of every status that speaks of the latest generation: the four conditions are there, each with that
/// generation; `Reconciling` and `Stalled` only while true, never both, and never beside `Ready=True`.
pub(crate) fn assert_complete(object: &UpstreamParams) {
    let Some(status) = &object.status else { return };
    if status.observed_generation != object.metadata.generation {
        return;
    }
    let conditions = &status.conditions;
    for condition in conditions {
        assert_eq!(condition.observed_generation, object.metadata.generation, "{condition:?}");
    }
    let types: Vec<&str> = conditions.iter().map(|condition| condition.type_.as_str()).collect();
    assert_eq!(types.get(..4), Some(&["Ready", "Accepted", "ResolvedRefs", "Synced"][..]));
    let ready = conditions[0].status == "True";
    match &conditions[4..] {
        [] => assert!(ready, "neither ready nor on the way: {conditions:#?}"),
        [one] => assert!(!ready && one.status == "True" && ["Reconciling", "Stalled"].contains(&one.type_.as_str()), "{conditions:#?}"),
        more => panic!("too many conditions: {more:#?}"),
    }
}

/// When each condition last came to another status.
pub(crate) fn transition_times(object: &UpstreamParams) -> BTreeMap<String, String> {
    let conditions = object.status.iter().flat_map(|status| &status.conditions);
    conditions.map(|condition| (condition.type_.clone(), format!("{:?}", condition.last_transition_time))).collect()
}

/// The fingerprints that are recorded of a parameter, over all connections.
pub(crate) fn owned(object: &UpstreamParams, param: &str) -> Vec<String> {
    let params = object.status.iter().flat_map(|status| &status.connections).flat_map(|connection| &connection.params);
    params.filter(|entry| entry.name == param).flat_map(|entry| entry.owned.clone()).collect()
}

/// The ids of the connections in a status.
pub(crate) fn connection_ids(object: &UpstreamParams) -> Vec<String> {
    object.status.iter().flat_map(|status| &status.connections).map(|connection| connection.id.clone()).collect()
}

fn reads(auth0: &TenantHandle, connection_id: &str) -> usize {
    let path = format!("/api/v2/connections/{connection_id}");
    auth0.journal().iter().filter(|call| call.method == "GET" && call.path == path).count()
}

impl Scope<'_> {
    /// Makes the operator look at every object of the namespace at once, by a label that means nothing.
    pub(crate) async fn prod(&self) {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let label = format!("n{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let patch = Patch::Merge(json!({"metadata": {"labels": {"prod": label}}}));
        Api::<Namespace>::all(self.client.clone()).patch(&self.name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// As [`Scope::looks`], without waiting for the time of ordinary looks.
    pub(crate) async fn prodded_looks(&self, connection_id: &str, count: usize) {
        for _ in 0..count {
            let before = reads(&self.auth0, connection_id);
            self.prod().await;
            self.until_auth0("another look", |auth0| reads(auth0, connection_id) > before).await;
            // The look itself is in the journal before its pass has ended.
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    /// Waits until an object is ready and another look has confirmed what was written.
    pub(crate) async fn settle(&self, name: &str) -> UpstreamParams {
        self.until_ready(name).await;
        self.prod().await;
        let settled = |object: &UpstreamParams| {
            support::is(object, "Ready", "True", "Ready") && states(object).values().all(|state| *state == ParamState::InSync)
        };
        self.until(name, "ready, and every parameter InSync", settled).await
    }

    /// Asserts that so many looks at a connection write nothing: neither to the tenant, nor to its object, nor to these.
    pub(crate) async fn assert_still(&self, connection_id: &str, names: &[&str], looks: usize) {
        let before = self.versions(names).await;
        let writes = self.auth0.writes().len();
        self.prodded_looks(connection_id, looks).await;
        assert_eq!(self.auth0.writes().len(), writes, "the tenant was written to\n{}", self.describe("").await);
        assert_eq!(self.versions(names).await, before, "an object was written to\n{}", self.describe("").await);
    }

    /// The versions of the tenant object and of these objects.
    pub(crate) async fn versions(&self, names: &[&str]) -> Vec<Option<String>> {
        let mut versions = vec![self.tenants().get(&self.name).await.unwrap().resource_version()];
        for name in names {
            versions.push(self.get(name).await.resource_version());
        }
        versions
    }

    /// What each PATCH of a connection made of its upstream parameters, in order; null where it left none.
    pub(crate) fn patches(&self, connection_id: &str) -> Vec<Value> {
        let path = format!("/api/v2/connections/{connection_id}");
        let patches = self.auth0.writes().into_iter().filter(|call| call.method == "PATCH" && call.path == path);
        patches.map(|call| call.body.unwrap()["options"]["upstream_params"].clone()).collect()
    }

    /// How often each reason was an event's about objects of this name.
    pub(crate) async fn event_counts(&self, name: &str) -> BTreeMap<String, i32> {
        let events = Api::<Event>::namespaced(self.client.clone(), &self.name).list(&ListParams::default()).await.unwrap();
        let mut counts = BTreeMap::new();
        for event in events.items {
            if event.regarding.is_some_and(|regarding| regarding.name.as_deref() == Some(name)) {
                *counts.entry(event.reason.unwrap_or_default()).or_default() += event.series.map_or(1, |series| series.count);
            }
        }
        counts
    }

    /// Changes members of the Secret in place.
    pub(crate) async fn edit_secret(&self, data: &Value) {
        let api = Api::<Secret>::namespaced(self.client.clone(), OPERATOR_NAMESPACE);
        api.patch(&self.name, &PatchParams::default(), &Patch::Merge(json!({"stringData": data}))).await.unwrap();
    }

    /// Loses the status of an object, as a restored backup does.
    pub(crate) async fn lose_status(&self, name: &str) {
        self.api().patch_status(name, &PatchParams::default(), &Patch::Merge(json!({"status": null}))).await.unwrap();
    }

    /// Waits until the operator's finalizer is on the object, or off it.
    pub(crate) async fn until_finalizer(&self, name: &str, present: bool) -> UpstreamParams {
        self.until(name, if present { "a finalizer" } else { "no finalizer" }, |object| has_finalizer(object) == present).await
    }

    /// The events about the tenant object, as `reason: note`.
    pub(crate) async fn tenant_events(&self) -> Vec<String> {
        let events = Api::<Event>::namespaced(self.client.clone(), "default").list(&ListParams::default()).await.unwrap().items;
        let about = events.into_iter().filter(|event| {
            let regarding = event.regarding.clone().unwrap_or_default();
            regarding.kind.as_deref() == Some("ClusterAuth0Tenant") && regarding.name.as_deref() == Some(&self.name)
        });
        about.map(|event| format!("{}: {}", event.reason.unwrap_or_default(), event.note.unwrap_or_default())).collect()
    }

    /// Waits for an event of this reason about the tenant object.
    pub(crate) async fn until_tenant_event(&self, reason: &str) -> String {
        let give_up = Instant::now() + SOON;
        loop {
            let events = self.tenant_events().await;
            if let Some(event) = events.iter().find(|event| event.starts_with(&format!("{reason}: "))) {
                return event.clone();
            }
            assert!(Instant::now() < give_up, "no event {reason} of the tenant: {events:#?}\n{}", self.describe("").await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Takes all finalizers from an object, as a `kubectl replace` of its manifest does.
    pub(crate) async fn strip_finalizers(&self, name: &str) {
        let patch = Patch::Merge(json!({"metadata": {"finalizers": null}}));
        self.api().patch(name, &PatchParams::default(), &patch).await.unwrap();
    }
}
