//! Four kinds of watches, each folding what it sees into the hub. Objects are watched in all namespaces at once, or in
//! each of some: then no right is needed in any other.
//!
//! Guarantees: one object that can't be decoded stops nothing: specs and statuses are read from plain JSON by the
//! core's own parser. A watch that fails is tried again with growing pauses; the world keeps what was last seen. That it
//! fails, and that it works again, is said once for each cause, and not at all where no answer came: that is
//! [`super::reach`]'s to say, once for all of them.
//! Of Secrets only two keys are kept, and names of others where one of the two is missing; of namespaces only the labels.
//! A page of a list fits into the memory that the chart gives, whatever somebody keeps in the objects.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher as watch;
use kube::runtime::watcher::{self, DefaultBackoff, Event};
use kube::{Api, Client, Resource, ResourceExt};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::tenant::ClusterAuth0Tenant;
use crate::api::upstream_params::UpstreamParams;
use crate::api::{FINALIZER, RECONCILE_AT};
use crate::core::spec;
use crate::core::world::{Declared, DeclaredTenant, Kind, ObjectKey, SecretData, Wake, World, credentials, request};
use crate::kubernetes::hub::Hub;

/// How many objects one answer to a list holds. A page is decoded as a whole, and whoever may write an object may make it
/// as large as the API server takes, which is some 1.5 MB: in an annotation, a label or a value.
const PAGE: u32 = 10;

/// The same of Secrets, of which large ones are nothing unusual: keystores, and the state of other tools.
const PAGE_OF_SECRETS: u32 = 4;

/// The reason in the status that kube makes up for an error without one.
const NOT_A_STATUS: &str = "Failed to parse error data";

/// What is said of an answer that is no such object or list: an error of decoding quotes it.
const UNDECODABLE: &str = "an answer could not be decoded";

/// How much of an API server's message is said, in characters.
const LONGEST_MESSAGE: usize = 400;

/// A watch that runs for as long as it is polled.
pub(crate) type Watch = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The longest pause before a watch that failed is tried again.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// An `UpstreamParams` of any content.
#[derive(Resource, Clone, Debug, Deserialize, Serialize)]
#[resource(inherit = UpstreamParams)]
pub(super) struct AnyUpstreamParams {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Value,
    #[serde(default)]
    status: Value,
}

/// A `ClusterAuth0Tenant` of any content.
#[derive(Resource, Clone, Debug, Deserialize, Serialize)]
#[resource(inherit = ClusterAuth0Tenant)]
pub(super) struct AnyTenant {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Value,
    #[serde(default)]
    status: Value,
}

/// All watches, each with what it watches. `namespace` is the operator's own, where its Secrets are; objects are watched in
/// the namespaces of `watched`, or in all when that is empty.
pub(crate) fn all(client: &Client, namespace: &str, watched: &BTreeSet<String>, hub: &Arc<Hub>) -> Vec<(String, Watch)> {
    let named = |what: &str, watch: Watch| (what.to_owned(), watch);
    let mut all = vec![
        named("ClusterAuth0Tenants", tenants(client, hub)),
        named("namespaces", namespaces(client, hub)),
        named("Secrets", secrets(client, namespace, hub)),
    ];
    all.extend(objects(client, watched, hub));
    all
}

fn tenants(client: &Client, hub: &Arc<Hub>) -> Watch {
    let every = Api::<AnyTenant>::all(client.clone());
    Box::pin(fold(
        move || watch(every.clone(), watcher::Config::default().page_size(PAGE)),
        ListScope::whole(Kind::Tenant, "ClusterAuth0Tenants", hub),
        Folds {
            compact: declared_tenant,
            begin: World::tenants_are_listed,
            list: World::list_tenants,
            apply: World::apply_tenant,
            delete: |world: &mut World, tenant: AnyTenant| world.delete_tenant(&tenant.name_any()),
        },
    ))
}

fn namespaces(client: &Client, hub: &Arc<Hub>) -> Watch {
    let every = Api::<PartialObjectMeta<Namespace>>::all(client.clone());
    Box::pin(fold(
        move || watch(every.clone(), watcher::Config::default().page_size(PAGE)),
        ListScope::whole(Kind::Namespace, "namespaces", hub),
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
    ))
}

fn secrets(client: &Client, namespace: &str, hub: &Arc<Hub>) -> Watch {
    // Helm keeps its releases in Secrets of the same namespace, up to a megabyte each, with all values in them.
    let no_releases = watcher::Config::default().fields("type!=helm.sh/release.v1").page_size(PAGE_OF_SECRETS);
    let own = Api::<Secret>::namespaced(client.clone(), namespace);
    Box::pin(fold(
        move || watch(own.clone(), no_releases.clone()),
        ListScope::whole(Kind::Secret, "Secrets", hub),
        Folds {
            compact: |secret: Secret| (secret.name_any(), credentials(&secret)),
            begin: |_: &mut World| {},
            list: World::list_secrets,
            apply: |world: &mut World, (name, credentials)| world.apply_secret(name, credentials),
            delete: |world: &mut World, secret: Secret| world.delete_secret(&secret.name_any()),
        },
    ))
}

/// Watches objects in each of the namespaces, or in all at once.
fn objects(client: &Client, watched: &BTreeSet<String>, hub: &Arc<Hub>) -> Vec<(String, Watch)> {
    let places: Vec<Option<String>> = if watched.is_empty() { vec![None] } else { watched.iter().cloned().map(Some).collect() };
    let all = Parts::of(places.len());
    let parts = places.into_iter().map(|place| {
        let api = place.as_ref().map_or_else(|| Api::all(client.clone()), |namespace| Api::namespaced(client.clone(), namespace));
        let what = place.as_ref().map_or_else(|| "UpstreamParams".to_owned(), |namespace| format!("UpstreamParams in {namespace}"));
        let part = ListScope { kind: Kind::Object, what: what.clone(), hub: hub.clone(), parts: all.clone() };
        let listed = place.clone();
        let watch: Watch = Box::pin(fold(
            move || watch(api.clone(), watcher::Config::default().page_size(PAGE)),
            part,
            Folds {
                compact: declared,
                begin: move |world: &mut World| world.objects_are_listed(place.as_deref()),
                list: move |world: &mut World, all| world.list_objects(listed.as_deref(), all),
                apply: World::apply_object,
                delete: |world: &mut World, object: AnyUpstreamParams| {
                    world.delete_object(&key(&object.metadata), &object.metadata.uid.unwrap_or_default().into())
                },
            },
        ));
        (what, watch)
    });
    parts.collect()
}

/// What one watch sees of a kind: all of it, or the part in one namespace.
struct ListScope {
    kind: Kind,
    what: String,
    hub: Arc<Hub>,
    /// All parts of this kind.
    parts: Arc<Mutex<Parts>>,
}

/// The parts of a kind, and which of them have listed since the watches were doubted last.
#[derive(Default)]
struct Parts {
    count: usize,
    doubted: u64,
    listed: BTreeSet<String>,
}

impl Parts {
    fn of(count: usize) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self { count, ..Self::default() }))
    }

    /// Notes a list of one part, by a watch that began when they had been doubted so often. Yields whether that was the last part.
    fn note_list(&mut self, part: &str, doubted: u64) -> bool {
        if doubted > self.doubted {
            (self.doubted, self.listed) = (doubted, BTreeSet::new());
        }
        doubted == self.doubted && self.listed.insert(part.to_owned()) && self.listed.len() == self.count
    }
}

impl ListScope {
    fn whole(kind: Kind, what: &str, hub: &Arc<Hub>) -> Self {
        Self { kind, what: what.to_owned(), hub: hub.clone(), parts: Parts::of(1) }
    }

    /// Notes a list of this part, by a watch that began when they had been doubted so often. The kind has listed when no part is left.
    fn has_listed(&self, doubted: u64) {
        let is_last = self.parts.lock().note_list(&self.what, doubted);
        if is_last {
            self.hub.listed(self.kind, doubted);
        }
    }

    /// The API server does not know the kind.
    fn is_unserved(&self) {
        self.hub.fold(|world| {
            world.unserved(self.kind);
            Vec::new()
        });
    }

    /// Folds an event into the world; `all` is what the list that runs has shown so far. Yields whether a list is complete.
    fn take_in<K, T, C, B, L, A, D>(&self, event: Event<K>, all: &mut Vec<T>, folds: &Folds<C, B, L, A, D>) -> bool
    where
        C: Fn(K) -> T,
        B: Fn(&mut World),
        L: Fn(&mut World, Vec<T>) -> Vec<Wake>,
        A: Fn(&mut World, T) -> Vec<Wake>,
        D: Fn(&mut World, K) -> Vec<Wake>,
    {
        match event {
            Event::Init => {
                all.clear();
                self.hub.fold(|world| {
                    (folds.begin)(world);
                    Vec::new()
                });
            }
            Event::InitApply(object) => all.push((folds.compact)(object)),
            Event::InitDone => {
                let all = std::mem::take(all);
                self.hub.fold(|world| (folds.list)(world, all));
                return true;
            }
            Event::Apply(object) => {
                // What takes no lock is done without it.
                let object = (folds.compact)(object);
                self.hub.fold(|world| (folds.apply)(world, object));
            }
            Event::Delete(object) => self.hub.fold(|world| (folds.delete)(world, object)),
        }
        false
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
async fn fold<K, T, S, C, B, L, A, D>(start: impl Fn() -> S, part: ListScope, folds: Folds<C, B, L, A, D>)
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    S: Stream<Item = watcher::Result<Event<K>>>,
    C: Fn(K) -> T,
    B: Fn(&mut World),
    L: Fn(&mut World, Vec<T>) -> Vec<Wake>,
    A: Fn(&mut World, T) -> Vec<Wake>,
    D: Fn(&mut World, K) -> Vec<Wake>,
{
    let mut troubles = Troubles { watch: part.what.clone(), said: BTreeSet::new() };
    let mut pauses = DefaultBackoff::default();
    let mut doubts = part.hub.doubts(part.kind);
    loop {
        let (mut all, doubted) = (Vec::new(), *doubts.borrow_and_update());
        let mut stream = std::pin::pin!(start());
        loop {
            let event = tokio::select! {
                biased;
                Ok(()) = doubts.changed() => {
                    tracing::info!(watch = part.what, "the watch starts again with a new list");
                    break;
                }
                event = stream.next() => event,
            };
            let Some(event) = event else { break };
            let error = match event {
                Ok(event) => {
                    // That a list begins is said before the API server is asked for it.
                    if !matches!(event, Event::Init) {
                        troubles.are_over();
                    }
                    if part.take_in(event, &mut all, &folds) {
                        part.has_listed(doubted);
                        pauses = DefaultBackoff::default();
                    }
                    continue;
                }
                Err(error) => error,
            };
            troubles.say(&error);
            if is_unserved(&error) {
                part.is_unserved();
            }
            tokio::time::sleep(pauses.next().unwrap_or(MAX_PAUSE)).await;
            if matches!(error, watcher::Error::WatchStartFailed(_)) {
                break;
            }
        }
    }
}

/// What is said of a watch that fails: each cause once, until it works again.
struct Troubles {
    watch: String,
    said: BTreeSet<String>,
}

impl Troubles {
    fn say(&mut self, error: &watcher::Error) {
        match watch_error(error) {
            Some(error) if self.said.insert(error.clone()) => {
                tracing::warn!(watch = self.watch, error, "a watch failed; the operator tries again");
            }
            Some(_) | None => tracing::debug!(watch = self.watch, "a watch failed; the operator tries again"),
        }
    }

    fn are_over(&mut self) {
        if !std::mem::take(&mut self.said).is_empty() {
            tracing::info!(watch = self.watch, "the watch works again");
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

/// What a watch error may say: decoding errors quote the objects, so they are named only. `None` where there is nothing to
/// say here: no answer came, which [`super::reach`] says, or the watch only has to begin anew.
fn watch_error(error: &watcher::Error) -> Option<String> {
    let cause = match error {
        watcher::Error::InitialListFailed(cause) | watcher::Error::WatchStartFailed(cause) | watcher::Error::WatchFailed(cause) => cause,
        watcher::Error::WatchError(status) if status.code == 410 => return None,
        watcher::Error::WatchError(status) => return Some(format!("the API server ended it with {} ({})", status.code, status.reason)),
        watcher::Error::NoResourceVersion => return Some("the API server gave no resourceVersion".to_owned()),
    };
    client_error(cause)
}

/// What an error of a client may say, under the same rules.
#[allow(clippy::wildcard_enum_match_arm, reason = "which variants kube::Error has depends on features of that crate")]
pub(super) fn client_error(cause: &kube::Error) -> Option<String> {
    use kube::Error;
    match cause {
        Error::Service(_) | Error::HyperError(_) | Error::ReadEvents(_) => None,
        Error::Api(status) if status.code == 404 => Some(
            "the API server does not know this kind; install the CRDs with: upstream-params-operator crds | kubectl apply --server-side -f -"
                .to_owned(),
        ),
        Error::Api(status) if status.code == 410 => None,
        // What kube makes of an answer that is not the API server's, such as the page of a proxy: all of it is in there.
        Error::Api(status) if status.reason == NOT_A_STATUS => Some(format!("an answer {} that is not the API server's own", status.code)),
        // What kube makes of an event that it can't decode: a status of which nothing is there.
        Error::Api(status) if status.code == 0 => Some(UNDECODABLE.to_owned()),
        Error::Api(status) => {
            let message: String = status.message.chars().take(LONGEST_MESSAGE).collect();
            Some(format!("the API server answered {} ({}): {message}", status.code, status.reason))
        }
        Error::SerdeError(_) | Error::FromUtf8(_) => Some(UNDECODABLE.to_owned()),
        other => Some(format!("the API server can't be understood ({})", ErrorKind(other))),
    }
}

/// The kind of a client error, without its content.
struct ErrorKind<'a>(&'a kube::Error);

impl std::fmt::Display for ErrorKind<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let debug = format!("{:?}", self.0);
        let end = debug.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(debug.len());
        f.write_str(debug.get(..end).unwrap_or_default())
    }
}

fn key(metadata: &ObjectMeta) -> ObjectKey {
    ObjectKey { namespace: metadata.namespace.clone().unwrap_or_default(), name: metadata.name.clone().unwrap_or_default() }
}

fn created(metadata: &ObjectMeta) -> i64 {
    metadata.creation_timestamp.as_ref().map(|time| time.0.as_second()).unwrap_or_default()
}

fn reconcile_at(annotations: Option<&BTreeMap<String, String>>) -> Option<String> {
    annotations.and_then(|annotations| annotations.get(RECONCILE_AT)).and_then(|value| request::recorded(value))
}

pub(super) fn declared(object: AnyUpstreamParams) -> Declared {
    let mut metadata = object.metadata;
    let (ours, other_finalizers): (Vec<_>, Vec<_>) =
        metadata.finalizers.take().unwrap_or_default().into_iter().partition(|one| one == FINALIZER);
    Declared {
        key: key(&metadata),
        created: created(&metadata),
        deleting: metadata.deletion_timestamp.is_some(),
        finalizer: !ours.is_empty(),
        other_finalizers,
        uid: metadata.uid.unwrap_or_default().into(),
        resource_version: metadata.resource_version.unwrap_or_default(),
        generation: metadata.generation.unwrap_or_default(),
        reconcile_at: reconcile_at(metadata.annotations.as_ref()),
        policies: spec::policies(&object.spec),
        spec: spec::spec(&object.spec),
        // A status that can't be read is a lost one: it proves nothing.
        status: serde_json::from_value(object.status).unwrap_or_default(),
    }
}

pub(super) fn declared_tenant(tenant: AnyTenant) -> DeclaredTenant {
    let metadata = tenant.metadata;
    DeclaredTenant {
        created: created(&metadata),
        reconcile_at: reconcile_at(metadata.annotations.as_ref()),
        name: metadata.name.unwrap_or_default(),
        uid: metadata.uid.unwrap_or_default().into(),
        resource_version: metadata.resource_version.unwrap_or_default(),
        generation: metadata.generation.unwrap_or_default(),
        spec: serde_json::from_value(tenant.spec).ok(),
        status: serde_json::from_value(tenant.status).unwrap_or_default(),
    }
}

pub(super) fn credentials(secret: &Secret) -> SecretData {
    let members = secret.data.iter().flatten();
    credentials::read(members.map(|(name, value)| (name.as_str(), value.0.as_slice())))
}
