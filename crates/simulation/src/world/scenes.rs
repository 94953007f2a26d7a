//! The scenes that the laws judge: what a process may have known when it wrote, and what is there at rest.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::World;
use crate::cluster::{Kind, Mark, Version};
use crate::declare::SLOTS;
use crate::laws::seen::{self, Document};
use crate::laws::{Violation, rest, write};
use crate::network::{ProcessId, Request};

/// The kinds that scenes are about.
const KINDS: [Kind; 3] = [Kind::Object, Kind::Tenant, Kind::Namespace];

/// The scenes that were judged last, by process, host and how long ago, and what was known in each: mostly that is still so at the
/// next call.
pub(super) type Scenes = BTreeMap<(ProcessId, String, Duration), ([Mark; KINDS.len()], Arc<write::Scene>)>;

impl World {
    /// What a process may have known of the cluster now.
    pub(super) fn write_scene(&self, request: &Request) -> Arc<write::Scene> {
        self.scene(request.process, &request.host, Duration::ZERO)
    }

    /// What a process may have known of what concerns a host since this long ago, with what it did not know then.
    pub(super) fn scene(&self, process: ProcessId, host: &str, before: Duration) -> Arc<write::Scene> {
        let marks = self.cluster.marks(process, KINDS, before);
        let place = (process, host.to_owned(), before);
        if let Some((_, scene)) = self.state.lock().scenes.get(&place).filter(|(known, _)| *known == marks) {
            return scene.clone();
        }
        let scene = Arc::new(self.new_scene(host, marks));
        self.state.lock().scenes.insert(place, (marks, scene.clone()));
        scene
    }

    fn new_scene(&self, host: &str, [objects, tenants, namespaces]: [Mark; KINDS.len()]) -> write::Scene {
        let mut scene = write::Scene { host: host.to_owned(), ..write::Scene::default() };
        let mut uids: BTreeMap<Arc<str>, String> = BTreeMap::new();
        for version in self.cluster.known(Kind::Object, objects) {
            if let Some(object) = self.object_of(&version) {
                let versions = scene.objects.entry(object.metadata.uid.clone()).or_default();
                if version.is_news && versions.is_empty() {
                    // As far as the process may know, there is no such object.
                    versions.push(Arc::default());
                }
                uids.insert(version.name, object.metadata.uid.clone());
                versions.push(object);
            } else if version.is_news
                && let Some(versions) = uids.remove(&version.name).and_then(|uid| scene.objects.get_mut(&uid))
            {
                // Nor any more.
                versions.push(Arc::default());
            }
        }
        for version in self.cluster.known(Kind::Tenant, tenants) {
            let versions = scene.tenants.entry(version.name.to_string()).or_default();
            if version.is_news && versions.is_empty() {
                versions.push(None);
            }
            versions.push(self.tenant_of(&version));
        }
        for version in self.cluster.known(Kind::Namespace, namespaces) {
            let versions = scene.namespaces.entry(version.name.to_string()).or_default();
            if version.is_news && versions.is_empty() {
                versions.push(None);
            }
            versions.push(self.labels_of(&version));
        }
        scene
    }

    /// The newest version that there is of the object that a request is about, if it is the one of this uid.
    pub(super) fn known_object(&self, request: &Request, uid: &str) -> Option<Arc<seen::Object>> {
        let path = request.path.split(['?', '#']).next()?;
        let (namespace, name) = path.split_once("/namespaces/")?.1.split_once("/upstreamparams/")?;
        let name = name.strip_suffix("/status").unwrap_or(name);
        let scene = self.write_scene(request);
        let newest = scene.objects.get(uid)?.last()?;
        ((newest.metadata.namespace.as_str(), newest.metadata.name.as_str()) == (namespace, name)).then(|| newest.clone())
    }

    /// The objects that there are.
    pub(super) fn objects_now(&self) -> Vec<Arc<seen::Object>> {
        self.cluster.newest(Kind::Object).iter().filter_map(|version| self.object_of(version)).collect()
    }

    fn object_of(&self, version: &Version) -> Option<Arc<seen::Object>> {
        let text = version.text.as_deref()?;
        let mut state = self.state.lock();
        let read = || Arc::new(serde_json::from_slice(text).unwrap_or_default());
        Some(state.chronicle.objects.entry(version.number).or_insert_with(read).clone())
    }

    fn tenant_of(&self, version: &Version) -> Option<Arc<seen::Tenant>> {
        let text = version.text.as_deref()?;
        let mut state = self.state.lock();
        let read = || Arc::new(serde_json::from_slice(text).unwrap_or_default());
        Some(state.chronicle.tenants.entry(version.number).or_insert_with(read).clone())
    }

    fn labels_of(&self, version: &Version) -> Option<BTreeMap<String, String>> {
        let text = version.text.as_deref()?;
        let mut state = self.state.lock();
        Some(state.chronicle.labels.entry(version.number).or_insert_with(|| labels_of(text)).clone())
    }

    /// Whether somebody tampered with an object, or it may let go of what it has.
    pub(super) fn may_leave(&self, object: &seen::Object) -> bool {
        let is_it = |slot: &usize| SLOTS[*slot] == (object.metadata.namespace.as_str(), object.metadata.name.as_str());
        self.state.lock().may_leave.iter().any(is_it)
    }

    /// Whether one of those who ever recorded an entry may have left it behind rightly.
    pub(super) fn may_have_left(&self, host: &str, id: &str, name: &str, entry: &str) -> bool {
        if self.state.lock().may_leave.is_empty() {
            return false;
        }
        let print = seen::fingerprint(host, id, name, entry);
        // To whom nothing was shown all versions are news that there ever were.
        let all = self.cluster.known(Kind::Object, Mark::default());
        let records = |object: &seen::Object| object.params_on(id).any(|param| param.name == name && param.owned.contains(&print));
        all.iter().filter_map(|version| self.object_of(version)).any(|object| records(&object) && self.may_leave(&object))
    }

    /// What is there.
    pub fn rest_scene(&self) -> rest::Scene {
        let of = |kind: Kind| self.cluster.texts(kind).into_iter();
        let mut documents = BTreeMap::new();
        for (host, tenant) in self.tenants.all() {
            let read = tenant
                .connection_names()
                .iter()
                .filter_map(|name| tenant.connection_text(name))
                .map(|text| Document::read(&text))
                .collect();
            documents.insert(host, read);
        }
        let mut ours = self.state.lock().ours.clone();
        ours.retain(|(host, id, name), entry| !self.may_have_left(host, id, name, entry));
        rest::Scene {
            objects: of(Kind::Object).filter_map(|(_, text)| serde_json::from_slice(&text).ok()).collect(),
            tenants: of(Kind::Tenant).filter_map(|(_, text)| serde_json::from_slice(&text).ok()).collect(),
            namespaces: of(Kind::Namespace).map(|(name, text)| (name, labels_of(&text))).collect(),
            documents,
            ours,
        }
    }

    /// What is not as it has to be at rest.
    pub(crate) fn unrest(&self) -> Vec<Violation> {
        rest::check(&self.rest_scene())
    }
}

fn labels_of(text: &[u8]) -> BTreeMap<String, String> {
    #[derive(serde::Deserialize)]
    struct Namespace {
        metadata: seen::Metadata,
    }
    serde_json::from_slice::<Namespace>(text).map(|namespace| namespace.metadata.labels).unwrap_or_default()
}
