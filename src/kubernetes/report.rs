//! What is written to Kubernetes: statuses, the finalizer, events. Nothing else, ever.
//!
//! Guarantees: every status and finalizer write carries the `uid` and the `resourceVersion` it was planned from, so a
//! write from a stale view is refused by the API server ([`WriteError::Conflict`]) even when it would change nothing
//! (only a version that differs in nothing a plan depends on is followed), and is not even sent where the newer version is
//! known ([`WriteError::Outdated`]), or that the object is gone;
//! what was written is folded into the world at once, and so is that an object is gone; nothing is sent but by who leads at that
//! moment. A write ends within [`TIMEOUT`], and before the Lease does.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams, Request};
use kube::core::Status;
use kube::{Api, Client, Resource, ResourceExt};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::Instrument;

use super::events::{Events, Place};
use crate::api::FINALIZER;
use crate::api::reason::EventReason;
use crate::api::tenant::{ClusterAuth0Tenant, ClusterAuth0TenantStatus};
use crate::api::upstream_params::{UpstreamParams, UpstreamParamsStatus};
use crate::clock::{self, WallClock};
use crate::core::status::Notice;
use crate::core::world::{Declared, DeclaredTenant, ObjectKey, Since, World};
use crate::kubernetes::hub::Hub;
use crate::kubernetes::lease::Leadership;
use crate::model::identity::Uid;

/// How long one write to the API server may take.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

/// Under which name the API server records what this operator wrote (`metadata.managedFields`).
pub(super) const FIELD_MANAGER: &str = "upstream-params-operator";

/// How often a write follows an object whose metadata moves on.
const REBASES: u32 = 20;

/// How often, and with which pause, the watch is asked for the version that a conflict tells of.
const WATCH_TRIES: u32 = 20;
const WATCH_PAUSE: Duration = Duration::from_millis(5);

/// How long an event is waited for, and for how long no other is where that was too short: an event store of its own may be away
/// while all else works.
const EVENT_WAIT: Duration = Duration::from_secs(2);
const EVENT_SILENCE: Duration = Duration::from_secs(30);

/// The pauses before an event that got no answer is sent again.
const EVENT_PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(30)];

/// Why a write did not happen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WriteError {
    /// The object changed, or is another one of the same name: plan again from the newer version.
    #[error("the object changed since it was read")]
    Conflict,
    /// It was not sent, as a newer version of the object is known, or another one of its name: plan again from that one.
    #[error("the operator knows a newer version of the object than the one it planned from")]
    Outdated,
    /// The object is gone, as the API server says, or the world: then it was not sent.
    #[error("the object is gone")]
    Gone,
    /// The API server refused or did not answer. Names the status at most.
    #[error("{0}")]
    Failed(String),
}

/// What is changed of an object.
#[derive(Clone, Copy)]
enum Change<'a> {
    Status(&'a UpstreamParamsStatus),
    Finalizer(bool),
}

/// What has to be so of the world.
type Fence = Arc<dyn Fn(&World) -> bool + Send + Sync>;

/// Writes to Kubernetes.
#[derive(Clone)]
pub(crate) struct Report {
    client: Client,
    events: Arc<Events>,
    hub: Arc<Hub>,
    leadership: Leadership,
    /// What has to be so when an object is written to.
    fence: Option<Fence>,
}

impl Report {
    /// Would write through this client, and fold what it wrote into the hub's world, if it led. `instance`: as which events are
    /// reported.
    pub(crate) fn new(client: Client, hub: Arc<Hub>, instance: Option<String>, wall: WallClock) -> Self {
        Self { client, events: Arc::new(Events::new(instance, wall)), hub, leadership: Leadership::none(), fence: None }
    }

    /// The same, for as long as this leadership holds.
    pub(crate) fn under(&self, leadership: Leadership) -> Self {
        Self { leadership, ..self.clone() }
    }

    /// The same, for writes to an object that are sent only while this holds. One that may not be is a conflict.
    pub(crate) fn only_while(&self, holds: impl Fn(&World) -> bool + Send + Sync + 'static) -> Self {
        Self { fence: Some(Arc::new(holds)), ..self.clone() }
    }

    /// Sends a write, if it may be sent, and waits for the answer.
    async fn send<T>(&self, call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, WriteError> {
        let left = self.leadership.left();
        if left.is_zero() {
            return Err(WriteError::Failed("this operator does not hold the Lease any more".to_owned()));
        }
        bounded(left.min(TIMEOUT), call).await
    }

    /// Sends a write to what has this name and uid, as [`Self::send`] does.
    async fn send_to<K, T>(&self, name: &str, uid: &Uid, call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, WriteError>
    where
        K: Resource<DynamicType = ()>,
    {
        let mut gone = false;
        // Held by whoever waits for it, so it would be a part of every pass.
        let call = Box::pin(async { call.await.inspect_err(|error| gone = is_gone::<K>(error, name, uid)) });
        let sent = self.send(call).await;
        if gone { Err(WriteError::Gone) } else { sent }
    }

    fn api(&self, object: &Declared) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &object.key.namespace, &ApiResource::erase::<UpstreamParams>(&()))
    }

    /// Replaces the whole status. Yields the object as it is then.
    pub(crate) async fn status(&self, object: &Declared, status: &UpstreamParamsStatus) -> Result<Declared, WriteError> {
        self.write(object, Change::Status(status)).await
    }

    /// Adds or removes our finalizer. Yields the object as it is then.
    pub(crate) async fn finalizer(&self, object: &Declared, present: bool) -> Result<Declared, WriteError> {
        self.write(object, Change::Finalizer(present)).await
    }

    /// Writes, and where only metadata has moved on, such as an annotation that somebody keeps changing, writes to the
    /// newer version: planning from that one would come to the same, and a busy co-writer must not keep an object from
    /// its end.
    async fn write(&self, object: &Declared, change: Change<'_>) -> Result<Declared, WriteError> {
        let mut object = object.clone();
        for _ in 0..REBASES {
            if self.fence.as_ref().is_some_and(|holds| !self.hub.read(|world| holds(world))) {
                return Err(WriteError::Conflict);
            }
            match self.hub.read(|world| world.since(&object)) {
                Since::Nothing => {}
                Since::Newer(newest) => object = followed(&object, &newest).ok_or(WriteError::Outdated)?,
                Since::Gone => return Err(WriteError::Gone),
            }
            let written = match change {
                Change::Status(status) => self.put_status(&object, status).await,
                Change::Finalizer(present) => self.patch_finalizer(&object, present).await,
            };
            match written {
                Err(WriteError::Conflict) => object = self.moved_on(&object).await.ok_or(WriteError::Conflict)?,
                Err(WriteError::Gone) => {
                    // Known from now on, and not only once a watch that lags shows it: it has no record that another's could go for.
                    self.hub.fold(|world| world.found_gone(&object.key, &object.uid));
                    return Err(WriteError::Gone);
                }
                ended => return ended,
            }
        }
        Err(WriteError::Conflict)
    }

    /// The newer version of an object, as soon as the watch has it, if nothing differs in it that a plan depends on.
    async fn moved_on(&self, object: &Declared) -> Option<Declared> {
        for _ in 0..WATCH_TRIES {
            let newest = self.hub.read(|world| world.object(&object.key))?;
            if newest.resource_version != object.resource_version {
                return followed(object, &newest);
            }
            tokio::time::sleep(WATCH_PAUSE).await;
        }
        None
    }

    async fn put_status(&self, object: &Declared, status: &UpstreamParamsStatus) -> Result<Declared, WriteError> {
        let (name, namespace) = (&object.key.name, Some(object.key.namespace.as_str()));
        let body = status_body::<UpstreamParams>(name, namespace, &object.uid, &object.resource_version, status)?;
        self.hub.fold(|world| {
            world.expect(&object.uid, status);
            Vec::new()
        });
        let call = self.replace_status::<UpstreamParams>(name, namespace, body);
        let written = self.send_to::<UpstreamParams, _>(name, &object.uid, call).await?;
        let new = Declared { resource_version: written.metadata.resource_version, status: status.clone(), ..object.clone() };
        self.fold_own(object, &new);
        Ok(new)
    }

    async fn patch_finalizer(&self, object: &Declared, present: bool) -> Result<Declared, WriteError> {
        self.hub.fold(|world| {
            world.expect_finalizer(&object.uid, present, &object.resource_version);
            Vec::new()
        });
        let ours = present.then(|| FINALIZER.to_owned());
        let finalizers: Vec<String> = object.other_finalizers.iter().cloned().chain(ours).collect();
        // A merge patch that names the version is refused when the object has moved on, as an update would be.
        let patch = Patch::Merge(
            json!({"metadata": {"uid": object.uid.as_str(), "resourceVersion": object.resource_version, "finalizers": finalizers}}),
        );
        let as_us = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let api = self.api(object);
        let call = api.patch_metadata(&object.key.name, &as_us, &patch);
        let written = self.send_to::<UpstreamParams, _>(&object.key.name, &object.uid, call).await?;
        let new = Declared { resource_version: written.resource_version().unwrap_or_default(), finalizer: present, ..object.clone() };
        self.fold_own(object, &new);
        Ok(new)
    }

    fn fold_own(&self, object: &Declared, new: &Declared) {
        self.hub.fold(|world| {
            world.wrote(&object.key, &object.uid, &new.resource_version, |known| {
                known.status = new.status.clone();
                known.finalizer = new.finalizer;
            });
            Vec::new()
        });
    }

    /// Emits an event about an object. Yields whether the API server took it, if that is known in time: a namespace that is being
    /// deleted takes none.
    pub(crate) async fn notice(&self, object: &Declared, notice: &Notice) -> Option<bool> {
        self.notice_of(&object.key, &object.uid, notice).await
    }

    /// Emits an event about an object of which only this is known, as of one that is gone.
    pub(crate) async fn notice_of(&self, object: &ObjectKey, uid: &Uid, notice: &Notice) -> Option<bool> {
        self.emit(regarding::<UpstreamParams>(&object.name, Some(&object.namespace), uid), notice).await
    }

    /// Emits an event about a tenant. Such events are in the namespace `default`, as those about everything that has no
    /// namespace. Yields whether the API server took it, if that is known in time.
    pub(crate) async fn tenant_notice(&self, tenant: &DeclaredTenant, notice: &Notice) -> Option<bool> {
        self.emit(regarding::<ClusterAuth0Tenant>(&tenant.name, None, &tenant.uid), notice).await
    }

    /// Stores or counts an event. One that gets no answer is tried again beside everything else, and waited for no longer than a
    /// moment: nothing depends on events, but on whether what is left at Auth0 was told. Yields whether the API server took it, if
    /// that is known by then.
    async fn emit(&self, regarding: ObjectReference, notice: &Notice) -> Option<bool> {
        let decides = notice.reason == EventReason::ParametersLeft.as_str();
        let place = self.events.place();
        if place.is_none() && !decides {
            not_stored(&regarding, notice);
            return None;
        }
        let (answer, answered) = oneshot::channel();
        let report = self.clone();
        tokio::spawn(report.store(regarding, notice.clone(), answer, place).in_current_span());
        if self.events.is_silent(clock::now()) {
            return None;
        }
        let Ok(first) = timeout(if decides { TIMEOUT } else { EVENT_WAIT }, answered).await else {
            self.events.note_silence(clock::now() + EVENT_SILENCE);
            return None;
        };
        first.ok().flatten()
    }

    /// Tries to store an event, says what came of the first time, and goes on where it got no answer. It keeps its place meanwhile.
    async fn store(self, about: ObjectReference, notice: Notice, answer: oneshot::Sender<Option<bool>>, _place: Option<Place>) {
        let first = self.stored(&about, &notice).await;
        // Whoever asked may not wait any more.
        let _ = answer.send(first);
        if first.is_some() {
            return;
        }
        for pause in EVENT_PAUSES {
            tokio::time::sleep(pause).await;
            if self.stored(&about, &notice).await.is_some() {
                return;
            }
        }
        not_stored(&about, &notice);
    }

    /// Tries to store an event. Yields whether the API server took it, or nothing when it gave no answer to go by.
    async fn stored(&self, regarding: &ObjectReference, notice: &Notice) -> Option<bool> {
        let _turn = self.events.turn(regarding).await;
        let left = self.leadership.left();
        if left.is_zero() {
            // Whoever leads now has events of its own to tell.
            return None;
        }
        let started = clock::now();
        match timeout(left.min(TIMEOUT), self.events.publish(self.client.clone(), regarding.clone(), notice)).await {
            Ok(Ok(())) => {
                if clock::since(started) < EVENT_WAIT {
                    self.events.note_answer();
                }
                Some(true)
            }
            Ok(Err(kube::Error::Api(status))) if matches!(status.code, 400 | 403 | 404 | 422) => {
                tracing::debug!(about = regarding.name, reason = notice.reason, code = status.code, "an event was refused");
                Some(false)
            }
            Ok(Err(_)) | Err(_) => None,
        }
    }

    /// Replaces the whole status of a tenant. As with objects, a version that differs in metadata only is followed.
    pub(crate) async fn tenant_status(&self, tenant: &DeclaredTenant, status: &ClusterAuth0TenantStatus) -> Result<(), WriteError> {
        let mut tenant = tenant.clone();
        for _ in 0..REBASES {
            match self.hub.read(|world| world.tenant_since(&tenant)) {
                Since::Nothing => {}
                Since::Newer(newest) => tenant = tenant_followed(&tenant, &newest).ok_or(WriteError::Outdated)?,
                Since::Gone => return Err(WriteError::Gone),
            }
            match self.put_tenant_status(&tenant, status).await {
                Err(WriteError::Conflict) => tenant = self.tenant_moved_on(&tenant).await.ok_or(WriteError::Conflict)?,
                ended => return ended,
            }
        }
        Err(WriteError::Conflict)
    }

    async fn tenant_moved_on(&self, tenant: &DeclaredTenant) -> Option<DeclaredTenant> {
        for _ in 0..WATCH_TRIES {
            let newest = self.hub.read(|world| world.tenant(&tenant.name))?;
            if newest.resource_version != tenant.resource_version {
                return tenant_followed(tenant, &newest);
            }
            tokio::time::sleep(WATCH_PAUSE).await;
        }
        None
    }

    async fn put_tenant_status(&self, tenant: &DeclaredTenant, status: &ClusterAuth0TenantStatus) -> Result<(), WriteError> {
        let body = status_body::<ClusterAuth0Tenant>(&tenant.name, None, &tenant.uid, &tenant.resource_version, status)?;
        let call = self.replace_status::<ClusterAuth0Tenant>(&tenant.name, None, body);
        let written = self.send_to::<ClusterAuth0Tenant, _>(&tenant.name, &tenant.uid, call).await?;
        self.hub.fold(|world| {
            world.wrote_tenant(&tenant.name, &tenant.uid, &written.metadata.resource_version, status);
            Vec::new()
        });
        Ok(())
    }

    /// Sends a body to the `/status` subresource. Of the answer, which is the whole object, only its version is read.
    async fn replace_status<K: Resource<DynamicType = ()>>(
        &self,
        name: &str,
        namespace: Option<&str>,
        body: Vec<u8>,
    ) -> Result<Written, kube::Error> {
        let as_us = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let request = Request::new(K::url_path(&(), namespace)).replace_subresource("status", name, &as_us, body);
        let mut request = request.map_err(kube::Error::BuildRequest)?;
        // By this name kube's own traces call it.
        request.extensions_mut().insert("replace_status");
        self.client.request(request).await
    }
}

/// Whether the API server says that what has this name and uid is gone. It answers 404 for more than that, as for a kind that it does
/// not serve. Where another one has the name by now, the uid is refused; before Kubernetes 1.34 also where none has it.
fn is_gone<K: Resource<DynamicType = ()>>(error: &kube::Error, name: &str, uid: &Uid) -> bool {
    let kube::Error::Api(status) = error else { return false };
    let is_about = status
        .details
        .as_ref()
        .is_some_and(|about| (about.name.as_str(), about.group.as_str(), about.kind.as_str()) == (name, &*K::group(&()), &*K::plural(&())));
    // What an admission webhook says is its own opinion.
    let is_of_webhook = status.message.starts_with("admission webhook");
    is_about && !is_of_webhook && (status.code == 404 || is_of_another(status, uid))
}

/// Whether a write was refused because the one that has the name, if there is one, has another uid.
fn is_of_another(status: &Status, uid: &Uid) -> bool {
    let refused = format!("UID in precondition: {uid}, UID in object meta:");
    status.code == 409 && status.message.contains(&refused)
}

/// Another version of an object, if nothing differs in it that a plan depends on.
fn followed(object: &Declared, newest: &Declared) -> Option<Declared> {
    let same = newest.finalizer == object.finalizer && !newest.differs(object);
    same.then(|| newest.clone())
}

fn tenant_followed(tenant: &DeclaredTenant, newest: &DeclaredTenant) -> Option<DeclaredTenant> {
    let (resource_version, reconcile_at) = (newest.resource_version.clone(), newest.reconcile_at.clone());
    let same = DeclaredTenant { resource_version, reconcile_at, ..tenant.clone() } == *newest;
    same.then(|| newest.clone())
}

fn regarding<K: Resource<DynamicType = ()>>(name: &str, namespace: Option<&str>, uid: &str) -> ObjectReference {
    ObjectReference {
        api_version: Some(K::api_version(&()).into_owned()),
        kind: Some(K::kind(&()).into_owned()),
        namespace: namespace.map(str::to_owned),
        name: Some(name.to_owned()),
        uid: Some(uid.to_owned()),
        ..ObjectReference::default()
    }
}

/// What is sent to the `/status` subresource: metadata and status, which is all that it reads.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusBody<'a, S> {
    api_version: &'a str,
    kind: &'a str,
    metadata: Planned<'a>,
    status: &'a S,
}

/// The version of an object that a status was planned from.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Planned<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    uid: &'a str,
    resource_version: &'a str,
}

/// What is read of the answer to a write.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Written {
    metadata: Version,
}

/// See [`Written`].
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Version {
    resource_version: String,
}

fn status_body<K: Resource<DynamicType = ()>>(
    name: &str,
    namespace: Option<&str>,
    uid: &str,
    resource_version: &str,
    status: &impl Serialize,
) -> Result<Vec<u8>, WriteError> {
    let metadata = Planned { name, namespace, uid, resource_version };
    let body = StatusBody { api_version: &K::api_version(&()), kind: &K::kind(&()), metadata, status };
    serde_json::to_vec(&body).map_err(|_| WriteError::Failed("the status can't be written as JSON".to_owned()))
}

async fn bounded<T>(within: Duration, call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, WriteError> {
    match timeout(within, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(kube::Error::Api(status))) if status.code == 409 => Err(WriteError::Conflict),
        Ok(Err(kube::Error::Api(status))) => {
            Err(WriteError::Failed(format!("the API server answered {} ({})", status.code, status.reason)))
        }
        Ok(Err(_)) => Err(WriteError::Failed("the API server can't be reached".to_owned())),
        Err(_) => Err(WriteError::Failed("the API server did not answer in time".to_owned())),
    }
}

/// An event is given up.
fn not_stored(about: &ObjectReference, notice: &Notice) {
    let about = about.name.as_deref().unwrap_or_default();
    tracing::warn!(about, reason = notice.reason, note = notice.note, "an event could not be stored");
}

#[cfg(test)]
mod tests;
