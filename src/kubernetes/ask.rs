//! Asks the operator for a look: the one thing that commands write to a cluster.
//!
//! Guarantees: of an object exactly one annotation is set, and nothing else is touched.

use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::snapshot::Unread;
use crate::api::RECONCILE_AT;
use crate::api::tenant::ClusterAuth0Tenant;
use crate::api::upstream_params::UpstreamParams;
use crate::model::identity::ObjectKey;

/// Under which name the API server records it (`metadata.managedFields`).
const FIELD_MANAGER: &str = "upstream-params-cli";

/// Asks for a look at an object.
pub(crate) async fn object(client: &Client, key: &ObjectKey, by: &str) -> Result<(), Unread> {
    set(&Api::<UpstreamParams>::namespaced(client.clone(), &key.namespace), &key.name, by).await
}

/// Asks for a look at everything of a tenant.
pub(crate) async fn tenant(client: &Client, name: &str, by: &str) -> Result<(), Unread> {
    set(&Api::<ClusterAuth0Tenant>::all(client.clone()), name, by).await
}

async fn set<K: Resource + Clone + DeserializeOwned + std::fmt::Debug>(api: &Api<K>, name: &str, by: &str) -> Result<(), Unread> {
    let patch = json!({"metadata": {"annotations": {RECONCILE_AT: by}}});
    let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    // Only metadata is read of the answer: an object of any content may be asked about.
    api.patch_metadata(name, &parameters, &Patch::Merge(patch)).await.map(drop).map_err(|error| Unread::of(&error))
}
