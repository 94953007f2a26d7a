//! What a cluster holds now, read once and not watched.
//!
//! Guarantees: what [`super::watch`] guarantees of what it reads: an object of any content stops nothing, and of Secrets only the
//! two keys are kept. A list is read in pages; one that grew too old on the way is read anew.
//! Fails: with [`Unread`], which says what the API server said, without any content of an object.

use std::collections::BTreeMap;
use std::fmt::Debug;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::{Event, Namespace, Secret};
use kube::api::{ListParams, ObjectList};
use kube::core::PartialObjectMeta;
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{lease, watch};
use crate::core::world::{Declared, DeclaredTenant, SecretData};
use crate::model::identity::{ObjectKey, Uid};

/// How many objects a page holds. Whoever may write objects may make them large, and a page is decoded as a whole.
const PAGE: u32 = 50;

/// How often a list is begun that grew too old while it was read.
const BEGINNINGS: usize = 3;

/// Why something could not be read.
#[derive(Debug)]
pub(crate) enum Unread {
    /// Who asks lacks the right (401, 403).
    Forbidden(String),
    /// There is no such thing (404): the kind, or the one object.
    Absent(String),
    /// Anything else.
    Other(String),
}

impl Unread {
    /// What is said of it.
    pub(crate) fn message(&self) -> &str {
        let (Self::Forbidden(message) | Self::Absent(message) | Self::Other(message)) = self;
        message
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "which variants kube::Error has depends on features of that crate")]
    pub(super) fn of(error: &kube::Error) -> Self {
        // Where no answer came, the client has said why.
        let message = watch::client_error(error).unwrap_or_else(|| "the API server can't be reached".to_owned());
        match error {
            kube::Error::Api(status) if matches!(status.code, 401 | 403) => Self::Forbidden(message),
            kube::Error::Api(status) if status.code == 404 => Self::Absent(message),
            _ => Self::Other(message),
        }
    }
}

/// The `UpstreamParams` of one namespace, or of all.
pub(crate) async fn objects(client: &Client, namespace: Option<&str>) -> Result<Vec<Declared>, Unread> {
    let api = namespace.map_or_else(|| Api::all(client.clone()), |namespace| Api::namespaced(client.clone(), namespace));
    list(&api, watch::declared).await
}

/// One `UpstreamParams`.
pub(crate) async fn object(client: &Client, key: &ObjectKey) -> Result<Declared, Unread> {
    let api = Api::namespaced(client.clone(), &key.namespace);
    api.get(&key.name).await.map(watch::declared).map_err(|error| Unread::of(&error))
}

/// One `ClusterAuth0Tenant`.
pub(crate) async fn tenant(client: &Client, name: &str) -> Result<DeclaredTenant, Unread> {
    Api::all(client.clone()).get(name).await.map(watch::declared_tenant).map_err(|error| Unread::of(&error))
}

/// What a Lease says.
#[derive(Clone, Debug)]
pub(crate) struct LeaseSeen {
    /// Who holds it.
    pub holder: Option<String>,
    /// When it was renewed, by the clock of whoever did.
    pub renewed: Option<Timestamp>,
}

impl LeaseSeen {
    /// One that is not there.
    pub(crate) fn of_nobody() -> Self {
        Self { holder: None, renewed: None }
    }
}

/// The Lease of the operators; `None` where there is none.
pub(crate) async fn lease(client: &Client) -> Result<Option<LeaseSeen>, Unread> {
    let api = Api::<Lease>::namespaced(client.clone(), lease::NAMESPACE);
    let lease = api.get_opt(lease::NAME).await.map_err(|error| Unread::of(&error))?;
    let seen = |spec: LeaseSpec| LeaseSeen {
        holder: spec.holder_identity.filter(|holder| !holder.is_empty()),
        renewed: spec.renew_time.map(|time| time.0),
    };
    Ok(lease.map(|lease| lease.spec.map_or_else(LeaseSeen::of_nobody, seen)))
}

/// An event, as it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EventSeen {
    /// When it happened last.
    pub at: Option<Timestamp>,
    /// Whether it is a warning.
    pub warning: bool,
    /// Its reason.
    pub reason: String,
    /// Its message.
    pub message: String,
    /// How often it happened.
    pub count: i32,
}

/// The events of an object, the oldest first. They are read as `core/v1`, which everybody with the role `view` may.
pub(crate) async fn events(client: &Client, namespace: &str, uid: &Uid) -> Result<Vec<EventSeen>, Unread> {
    let api = Api::<Event>::namespaced(client.clone(), namespace);
    let parameters = ListParams::default().fields(&format!("involvedObject.uid={}", uid.as_str()));
    let events = api.list(&parameters).await.map_err(|error| Unread::of(&error))?;
    let mut seen: Vec<EventSeen> = events.items.into_iter().map(event).collect();
    seen.sort_by_key(|event| event.at);
    Ok(seen)
}

fn event(event: Event) -> EventSeen {
    let (times, last) = event.series.map_or((None, None), |series| (series.count, series.last_observed_time.map(|time| time.0)));
    let first = event.event_time.map(|time| time.0).or_else(|| event.first_timestamp.map(|time| time.0));
    EventSeen {
        at: last.or_else(|| event.last_timestamp.map(|time| time.0)).or(first),
        warning: event.type_.as_deref() == Some("Warning"),
        reason: event.reason.unwrap_or_default(),
        message: event.message.unwrap_or_default(),
        count: times.or(event.count).unwrap_or(1),
    }
}

/// All `ClusterAuth0Tenants`.
pub(crate) async fn tenants(client: &Client) -> Result<Vec<DeclaredTenant>, Unread> {
    list(&Api::all(client.clone()), watch::declared_tenant).await
}

/// All namespaces, with their labels.
pub(crate) async fn namespaces(client: &Client) -> Result<Vec<(String, BTreeMap<String, String>)>, Unread> {
    list(&Api::all(client.clone()), labels).await
}

/// One namespace, with its labels.
pub(crate) async fn namespace(client: &Client, name: &str) -> Result<(String, BTreeMap<String, String>), Unread> {
    let api = Api::<Namespace>::all(client.clone());
    api.get_metadata(name).await.map(labels).map_err(|error| Unread::of(&error))
}

/// The credentials in a Secret; `None` where there is none of that name.
pub(crate) async fn secret(client: &Client, namespace: &str, name: &str) -> Result<Option<SecretData>, Unread> {
    let api = Api::<Secret>::namespaced(client.clone(), namespace);
    let secret = api.get_opt(name).await.map_err(|error| Unread::of(&error))?;
    Ok(secret.as_ref().map(watch::credentials))
}

fn labels(namespace: PartialObjectMeta<Namespace>) -> (String, BTreeMap<String, String>) {
    (namespace.name_any(), namespace.metadata.labels.unwrap_or_default())
}

/// A whole list; of each object only what `compact` keeps.
async fn list<K, T>(api: &Api<K>, compact: impl Fn(K) -> T) -> Result<Vec<T>, Unread>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let mut beginnings = 1;
    let mut all = Vec::new();
    let mut parameters = ListParams::default().limit(PAGE);
    loop {
        let page: ObjectList<K> = match api.list(&parameters).await {
            Ok(page) => page,
            Err(kube::Error::Api(status)) if status.code == 410 && beginnings < BEGINNINGS => {
                beginnings += 1;
                all.clear();
                parameters.continue_token = None;
                continue;
            }
            Err(error) => return Err(Unread::of(&error)),
        };
        all.extend(page.items.into_iter().map(&compact));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => parameters.continue_token = Some(token),
            None => return Ok(all),
        }
    }
}
