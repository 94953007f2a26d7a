//! Four kinds of watches, each folding what it sees into the hub. Objects are watched in all namespaces at once, or in
//! each of some: then no right is needed in any other.
//!
//! Guarantees: one object that can't be decoded stops nothing: specs and statuses are read from plain JSON by the
//! core's own parser. A watch that fails is tried again with growing pauses; the world keeps what was last seen.
//! Of Secrets only two members are kept, of namespaces only the labels.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher as watch;
use kube::runtime::watcher::{self, DefaultBackoff, Event};
use kube::{Api, Client, Resource, ResourceExt};
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::api::FINALIZER;
use crate::api::tenant::ClusterAuth0Tenant;
use crate::api::upstream_params::UpstreamParams;
use crate::core::validate;
use crate::core::world::{Credentials, Declared, DeclaredTenant, Kind, ObjectKey, Wake, World};
use crate::hub::Hub;

/// How many objects one answer to a list holds. A page is decoded as a whole, and with 500 that took more memory than 2,000
/// objects as they are kept.
const PAGE: u32 = 100;

/// The longest pause before a watch that failed is tried again.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// An `UpstreamParams` of any content.
#[derive(Resource, Clone, Debug, Deserialize, Serialize)]
#[resource(inherit = UpstreamParams)]
struct AnyUpstreamParams {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Value,
    #[serde(default)]
    status: Value,
}

/// A `ClusterAuth0Tenant` of any content.
#[derive(Resource, Clone, Debug, Deserialize, Serialize)]
#[resource(inherit = ClusterAuth0Tenant)]
struct AnyTenant {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Value,
    #[serde(default)]
    status: Value,
}

/// Runs all watches until the token is cancelled. `namespace` is the operator's own, where its Secrets are; objects are
/// watched in the namespaces of `watched`, or in all when that is empty.
pub async fn run(client: Client, namespace: String, watched: BTreeSet<String>, hub: Arc<Hub>, stop: CancellationToken) {
    let objects = objects(&client, &watched, &hub);
    let tenants = fold(
        || watch(Api::<AnyTenant>::all(client.clone()), watcher::Config::default()),
        Part::whole(Kind::Tenant, &hub),
        Folds {
            compact: declared_tenant,
            begin: World::tenants_are_listed,
            list: World::list_tenants,
            apply: World::apply_tenant,
            delete: |world: &mut World, tenant: AnyTenant| world.delete_tenant(&tenant.name_any()),
        },
    );
    let namespaces = fold(
        || watch(Api::<PartialObjectMeta<Namespace>>::all(client.clone()), watcher::Config::default()),
        Part::whole(Kind::Namespace, &hub),
        Folds {
            compact: |namespace: PartialObjectMeta<Namespace>| (namespace.name_any(), namespace.metadata.labels.unwrap_or_default()),
            begin: |_: &mut World| {},
            list: World::list_namespaces,
            apply: |world: &mut World, (name, labels)| world.apply_namespace(name, labels),
            delete: |world: &mut World, namespace: PartialObjectMeta<Namespace>| {
                world.delete_namespace(&namespace.name_any());
                Vec::new()
            },
        },
    );
    // Helm keeps its releases in Secrets of the same namespace, up to a megabyte each, with all values in them.
    let no_releases = watcher::Config::default().fields("type!=helm.sh/release.v1");
    let secrets = fold(
        || watch(Api::<Secret>::namespaced(client.clone(), &namespace), no_releases.clone()),
        Part::whole(Kind::Secret, &hub),
        Folds {
            compact: |secret: Secret| (secret.name_any(), credentials(&secret)),
            begin: |_: &mut World| {},
            list: World::list_secrets,
            apply: |world: &mut World, (name, credentials)| world.apply_secret(name, credentials),
            delete: |world: &mut World, secret: Secret| world.delete_secret(&secret.name_any()),
        },
    );
    tokio::select! {
        () = stop.cancelled() => {}
        ((), (), (), ()) = async { tokio::join!(objects, tenants, namespaces, secrets) } => {}
    }
}

/// Watches objects in each of the namespaces, or in all at once.
async fn objects(client: &Client, watched: &BTreeSet<String>, hub: &Hub) {
    let places: Vec<Option<&str>> = if watched.is_empty() { vec![None] } else { watched.iter().map(|one| Some(one.as_str())).collect() };
    let unlisted = Arc::new(AtomicUsize::new(places.len()));
    let parts = places.into_iter().map(|place| {
        let api = place.map_or_else(|| Api::all(client.clone()), |namespace| Api::namespaced(client.clone(), namespace));
        let part = Part { kind: Kind::Object, hub, unlisted: unlisted.clone() };
        async move {
            fold(
                || watch(api.clone(), watcher::Config::default().page_size(PAGE)),
                part,
                Folds {
                    compact: declared,
                    begin: |world: &mut World| world.objects_are_listed(place),
                    list: |world: &mut World, all| world.list_objects(place, all),
                    apply: World::apply_object,
                    delete: |world: &mut World, object: AnyUpstreamParams| {
                        world.delete_object(&key(&object.metadata), &object.metadata.uid.unwrap_or_default())
                    },
                },
            )
            .await;
        }
    });
    futures::future::join_all(parts).await;
}

/// What one watch sees of a kind: all of it, or the part in one namespace.
struct Part<'a> {
    kind: Kind,
    hub: &'a Hub,
    /// The parts of this kind that have not listed yet.
    unlisted: Arc<AtomicUsize>,
}

impl<'a> Part<'a> {
    fn whole(kind: Kind, hub: &'a Hub) -> Self {
        Self { kind, hub, unlisted: Arc::new(AtomicUsize::new(1)) }
    }

    /// Notes the first list of this part. The kind has listed when no part is left.
    fn listed(&self) {
        if self.unlisted.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.hub.listed(self.kind);
        }
    }
}

/// What the events of a watch do to the world.
struct Folds<C, B, L, A, D> {
    /// What is kept of an object.
    compact: C,
    /// A list begins.
    begin: B,
    /// A list is complete.
    list: L,
    /// One was added or changed.
    apply: A,
    /// One is gone.
    delete: D,
}

/// Folds one watch. A list is folded when it is complete, as a whole: that is what there is. A watch that can't be taken
/// up again where it ended begins with a new list: the API server may stand on other data than before.
async fn fold<K, T, S, C, B, L, A, D>(start: impl Fn() -> S, part: Part<'_>, folds: Folds<C, B, L, A, D>)
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    S: Stream<Item = watcher::Result<Event<K>>>,
    C: Fn(K) -> T,
    B: Fn(&mut World),
    L: Fn(&mut World, Vec<T>) -> Vec<Wake>,
    A: Fn(&mut World, T) -> Vec<Wake>,
    D: Fn(&mut World, K) -> Vec<Wake>,
{
    let Part { kind, hub, .. } = &part;
    let mut listed_before = false;
    let mut pauses = DefaultBackoff::default();
    loop {
        let mut all = Vec::new();
        let mut stream = std::pin::pin!(start());
        while let Some(event) = stream.next().await {
            match event {
                Ok(Event::Init) => {
                    all.clear();
                    hub.fold(|world| {
                        (folds.begin)(world);
                        Vec::new()
                    });
                }
                Ok(Event::InitApply(object)) => all.push((folds.compact)(object)),
                Ok(Event::InitDone) => {
                    let all = std::mem::take(&mut all);
                    hub.fold(|world| (folds.list)(world, all));
                    if !std::mem::replace(&mut listed_before, true) {
                        part.listed();
                    }
                    pauses = DefaultBackoff::default();
                }
                Ok(Event::Apply(object)) => hub.fold(|world| (folds.apply)(world, (folds.compact)(object))),
                Ok(Event::Delete(object)) => hub.fold(|world| (folds.delete)(world, object)),
                Err(error) => {
                    tracing::warn!(watch = ?kind, error = %watch_error(&error), "a watch failed and is tried again");
                    if is_unserved(&error) {
                        hub.fold(|world| {
                            world.unserved(*kind);
                            Vec::new()
                        });
                    }
                    tokio::time::sleep(pauses.next().unwrap_or(MAX_PAUSE)).await;
                    if matches!(error, watcher::Error::WatchStartFailed(_)) {
                        break;
                    }
                }
            }
        }
    }
}

/// Whether the API server does not know the kind.
#[allow(clippy::wildcard_enum_match_arm, reason = "which variants kube::Error has depends on features of that crate")]
fn is_unserved(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status)) | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => {
            status.code == 404
        }
        _ => false,
    }
}

/// What a watch error may say: decoding errors quote the objects, so they are named only.
#[allow(clippy::wildcard_enum_match_arm, reason = "which variants kube::Error has depends on features of that crate")]
fn watch_error(error: &watcher::Error) -> String {
    use kube::Error;
    let cause = match error {
        watcher::Error::InitialListFailed(cause) | watcher::Error::WatchStartFailed(cause) | watcher::Error::WatchFailed(cause) => cause,
        watcher::Error::WatchError(status) => return format!("the API server ended it with {} ({})", status.code, status.reason),
        watcher::Error::NoResourceVersion => return "the API server gave no resourceVersion".to_owned(),
    };
    match cause {
        Error::Api(status) if status.code == 404 => {
            "the API server does not know this kind; install the CRDs with: upstream-params-operator crds | kubectl apply --server-side -f -".to_owned()
        }
        Error::Api(status) => format!("the API server answered {} ({}): {}", status.code, status.reason, status.message),
        Error::SerdeError(_) => "an object could not be decoded".to_owned(),
        other => format!("{}", ErrorKind(other)),
    }
}

/// The kind of a client error, without its content.
struct ErrorKind<'a>(&'a kube::Error);

impl std::fmt::Display for ErrorKind<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let debug = format!("{:?}", self.0);
        let end = debug.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(debug.len());
        write!(f, "the API server can't be reached or understood ({})", debug.get(..end).unwrap_or_default())
    }
}

fn key(metadata: &ObjectMeta) -> ObjectKey {
    ObjectKey { namespace: metadata.namespace.clone().unwrap_or_default(), name: metadata.name.clone().unwrap_or_default() }
}

fn created(metadata: &ObjectMeta) -> i64 {
    metadata.creation_timestamp.as_ref().map(|time| time.0.as_second()).unwrap_or_default()
}

fn declared(object: AnyUpstreamParams) -> Declared {
    let mut metadata = object.metadata;
    let (ours, other_finalizers): (Vec<_>, Vec<_>) =
        metadata.finalizers.take().unwrap_or_default().into_iter().partition(|one| one == FINALIZER);
    Declared {
        key: key(&metadata),
        created: created(&metadata),
        deleting: metadata.deletion_timestamp.is_some(),
        finalizer: !ours.is_empty(),
        other_finalizers,
        uid: metadata.uid.unwrap_or_default(),
        resource_version: metadata.resource_version.unwrap_or_default(),
        generation: metadata.generation.unwrap_or_default(),
        policies: validate::policies(&object.spec),
        spec: validate::spec(&object.spec),
        // A status that can't be read is a lost one: it proves nothing.
        status: serde_json::from_value(object.status).unwrap_or_default(),
    }
}

fn declared_tenant(tenant: AnyTenant) -> DeclaredTenant {
    let metadata = tenant.metadata;
    DeclaredTenant {
        created: created(&metadata),
        name: metadata.name.unwrap_or_default(),
        uid: metadata.uid.unwrap_or_default(),
        resource_version: metadata.resource_version.unwrap_or_default(),
        generation: metadata.generation.unwrap_or_default(),
        spec: serde_json::from_value(tenant.spec).ok(),
        status: serde_json::from_value(tenant.status).unwrap_or_default(),
    }
}

fn credentials(secret: &Secret) -> Credentials {
    let text = |member: &str| {
        let bytes = &secret.data.as_ref()?.get(member)?.0;
        // `kubectl create secret --from-file` keeps the line break at a file's end, which is in no credential.
        std::str::from_utf8(bytes).ok().map(|text| text.trim_end_matches(['\r', '\n']).to_owned()).filter(|text| !text.is_empty())
    };
    Credentials { client_id: text("clientId"), client_secret: text("clientSecret").map(SecretString::from) }
}
