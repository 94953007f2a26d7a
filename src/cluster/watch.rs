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

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::api::FINALIZER;
use crate::api::tenant::ClusterAuth0Tenant;
use crate::api::upstream_params::UpstreamParams;
use crate::core::world::{Credentials, Declared, DeclaredTenant, Kind, ObjectKey, Wake, World};
use crate::core::{self, validate};
use crate::hub::Hub;

/// How many objects one answer to a list holds. A page is decoded as a whole, and with 500 that took more memory than 2,000
/// objects as they are kept.
const PAGE: u32 = 100;

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
        watch(Api::<AnyTenant>::all(client.clone()), watcher::Config::default()),
        Part::whole(Kind::Tenant, &hub),
        |world, tenant| world.apply_tenant(declared_tenant(tenant)),
        |world, tenant: AnyTenant| world.delete_tenant(&tenant.name_any()),
        ResourceExt::name_any,
        |world, present| world.retain_tenants(&present),
    );
    let namespaces = fold(
        watch(Api::<PartialObjectMeta<Namespace>>::all(client.clone()), watcher::Config::default()),
        Part::whole(Kind::Namespace, &hub),
        |world, namespace| world.apply_namespace(namespace.name_any(), namespace.metadata.labels.unwrap_or_default()),
        |world, namespace| {
            world.delete_namespace(&namespace.name_any());
            Vec::new()
        },
        ResourceExt::name_any,
        |world, present| {
            world.retain_namespaces(&present);
            Vec::new()
        },
    );
    let secrets = fold(
        // Helm keeps its releases in Secrets of the same namespace, up to a megabyte each, with all values in them.
        watch(Api::<Secret>::namespaced(client.clone(), &namespace), watcher::Config::default().fields("type!=helm.sh/release.v1")),
        Part::whole(Kind::Secret, &hub),
        |world, secret: Secret| world.apply_secret(secret.name_any(), credentials(&secret)),
        |world, secret: Secret| world.delete_secret(&secret.name_any()),
        ResourceExt::name_any,
        |world, present| world.retain_secrets(&present),
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
                watch(api, watcher::Config::default().page_size(PAGE)),
                part,
                |world, object| world.apply_object(declared(object)),
                |world, object: AnyUpstreamParams| world.delete_object(&key(&object.metadata), &object.metadata.uid.unwrap_or_default()),
                |object: &AnyUpstreamParams| key(&object.metadata),
                |world, present| world.retain_objects(place, &present),
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

/// Folds one watch. On a new list, what it does not hold is forgotten when it is complete.
async fn fold<K, N: Ord + Clone>(
    stream: impl Stream<Item = watcher::Result<Event<K>>>,
    part: Part<'_>,
    apply: impl Fn(&mut World, K) -> Vec<Wake>,
    delete: impl Fn(&mut World, K) -> Vec<Wake>,
    name: impl Fn(&K) -> N,
    retain: impl Fn(&mut World, BTreeSet<N>) -> Vec<Wake>,
) where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let Part { kind, hub, .. } = &part;
    let mut present = BTreeSet::new();
    let mut listed_before = false;
    let mut stream = std::pin::pin!(stream.default_backoff());
    while let Some(event) = stream.next().await {
        match event {
            Ok(Event::Init) => present.clear(),
            Ok(Event::InitApply(object)) => {
                present.insert(name(&object));
                hub.fold(|world| apply(world, object));
            }
            Ok(Event::InitDone) => {
                let listed = std::mem::take(&mut present);
                hub.fold(|world| retain(world, listed));
                if !std::mem::replace(&mut listed_before, true) {
                    part.listed();
                }
            }
            Ok(Event::Apply(object)) => hub.fold(|world| apply(world, object)),
            Ok(Event::Delete(object)) => hub.fold(|world| delete(world, object)),
            Err(error) => tracing::warn!(watch = ?kind, error = %watch_error(&error), "a watch failed and is tried again"),
        }
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
    let members = secret.data.iter().flatten();
    core::credentials::read(members.map(|(name, value)| (name.as_str(), value.0.as_slice())))
}
