//! What there is in a scope: events, writes, and everything at once for whoever has to find out why a wait was in vain.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use upstream_params_operator::api::tenant::ClusterAuth0Tenant;

use super::Scope;
use crate::manifest::Params;
use crate::status::message_of;

/// The message of a condition of a tenant object.
pub(super) fn message_of_tenant(tenant: &ClusterAuth0Tenant, kind: &str) -> String {
    message_of(tenant.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default(), kind)
}

impl Scope<'_> {
    /// The events of a namespace that are about somebody.
    async fn events_about(&self, namespace: &str, about: impl Fn(&ObjectReference) -> bool) -> Vec<Event> {
        let events = Api::<Event>::namespaced(self.client.clone(), namespace).list(&ListParams::default()).await.unwrap();
        events.items.into_iter().filter(|event| event.regarding.as_ref().is_some_and(&about)).collect()
    }

    /// The events about objects of this name, as `reason: note`.
    pub async fn events(&self, name: &str) -> Vec<String> {
        let events = self.events_about(&self.namespace, |regarding| regarding.name.as_deref() == Some(name)).await;
        events.into_iter().map(|event| format!("{}: {}", event.reason.unwrap_or_default(), event.note.unwrap_or_default())).collect()
    }

    /// How often each reason was an event's about objects of this name.
    pub async fn event_counts(&self, name: &str) -> BTreeMap<String, i32> {
        let mut counts = BTreeMap::new();
        for event in self.events_about(&self.namespace, |regarding| regarding.name.as_deref() == Some(name)).await {
            *counts.entry(event.reason.unwrap_or_default()).or_default() += event.series.map_or(1, |series| series.count);
        }
        counts
    }

    /// The events about the tenant object.
    pub async fn tenant_events(&self) -> Vec<Event> {
        let about = |regarding: &ObjectReference| {
            regarding.kind.as_deref() == Some("ClusterAuth0Tenant") && regarding.name.as_deref() == Some(&self.name)
        };
        self.events_about("default", about).await
    }

    /// The message of a condition of the tenant object.
    pub async fn tenant_message(&self, kind: &str) -> String {
        message_of_tenant(&self.tenant().await, kind)
    }

    /// What each PATCH of a connection made of its upstream parameters, in order; null where it left none.
    pub fn patches(&self, connection_id: &str) -> Vec<Value> {
        let path = format!("/api/v2/connections/{connection_id}");
        let patches = self.auth0.writes().into_iter().filter(|call| call.method == "PATCH" && call.path == path);
        patches.map(|call| call.body.unwrap()["options"]["upstream_params"].clone()).collect()
    }

    /// Asserts that everything but the named upstream parameters of a connection is as it was before, and that these
    /// are exactly the expected ones.
    pub fn assert_connection(&self, before: &Value, name: &str, expected: &Params) {
        let mut after = self.auth0.connection(name);
        let mut before = before.clone();
        let params = after["options"].as_object_mut().unwrap().remove("upstream_params").unwrap_or(json!({}));
        before["options"].as_object_mut().unwrap().remove("upstream_params");
        assert_eq!(&params, expected, "the upstream parameters of {name}");
        assert_eq!(after, before, "everything else of {name}");
    }

    /// Everything that helps to see why a wait was in vain, of one object or, where none is named, of all.
    pub async fn describe(&self, name: &str) -> String {
        let mut text = String::new();
        for mut object in self.api().list(&ListParams::default()).await.unwrap().items {
            object.metadata.managed_fields = None;
            if name.is_empty() || object.name_any() == name {
                writeln!(text, "--- {}\n{}", object.name_any(), serde_json::to_string_pretty(&object).unwrap()).unwrap();
                writeln!(text, "--- events\n{}", self.events(&object.name_any()).await.join("\n")).unwrap();
            }
        }
        if let Ok(Some(tenant)) = self.tenants().get_opt(&self.name).await {
            writeln!(text, "--- tenant\n{}", serde_json::to_string_pretty(&tenant.status).unwrap()).unwrap();
        }
        let journal = self.auth0.journal();
        writeln!(text, "--- journal ({} calls)", journal.len()).unwrap();
        for call in journal.iter().rev().take(30).rev() {
            writeln!(text, "{call:?}").unwrap();
        }
        let log = self.world.log_text();
        let lines: Vec<&str> = log.lines().filter(|line| line.contains(&self.name)).collect();
        let tail = lines.iter().rev().take(40).rev().copied().collect::<Vec<_>>().join("\n");
        writeln!(text, "--- the operator's log, lines about {}\n{tail}", self.name).unwrap();
        text
    }
}
