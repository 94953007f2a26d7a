//! What a cluster holds now, read once and not watched.
//!
//! Guarantees: what [`super::watch`] guarantees of what it reads: an object of any content stops nothing, and of Secrets only the
//! two keys are kept. A list is read in pages; one that grew too old on the way is read anew.
//! Fails: with [`Unread`], which says what the API server said, without any content of an object.

use std::collections::BTreeMap;
use std::fmt::Debug;

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{ListParams, ObjectList};
use kube::core::PartialObjectMeta;
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::watch;
use crate::core::world::{Declared, DeclaredTenant, SecretData};

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
    fn of(error: &kube::Error) -> Self {
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
