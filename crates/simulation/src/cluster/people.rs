//! What people do to a cluster, and controllers that are not ours. Every method takes effect at once.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Cluster;
use super::journal::{Entry, Verb, Who};
use super::kind::{Key, Kind};
use super::object::{Object, Sent, text_of};
use super::refusal::Refusal;
use super::store::{Objects, State};
use super::watch::Break;
use super::write::{Deletion, Precondition};

/// What was in a cluster at a moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    version: u64,
    objects: [Objects; 6],
}

impl Cluster {
    fn write(
        &self,
        verb: Verb,
        key: &Key,
        write: impl FnOnce(&mut State) -> Result<Option<Arc<Object>>, Refusal>,
    ) -> Result<Option<Arc<Object>>, Refusal> {
        let mut state = self.state.lock();
        if key.kind == Kind::Event {
            state.expire_events();
        }
        let before = state.version;
        let answer = write(&mut state);
        if state.journal.is_kept {
            let code = answer.as_ref().map_or_else(|refusal| refusal.code, |_| 200);
            let object = answer.as_ref().ok().and_then(|object| object.as_ref().map(|object| object.text.clone()));
            let (at, changed) = (state.age(), state.version != before);
            state.journal.note(Entry { at, who: Who::People, verb, key: key.clone(), code, changed, object });
        }
        answer
    }

    fn patch_as_people(&self, key: &Key, patch: Value) -> Result<Option<Arc<Object>>, Refusal> {
        self.write(Verb::Patch, key, |state| state.patch(key, patch).map(Some))
    }

    /// Creates an object: `content` is all of it but for what the key says; it may have `metadata` with labels and such.
    pub fn create(&self, key: &Key, content: Value) -> Result<Value, Refusal> {
        self.create_as_people(key, content).map(shown)
    }

    fn create_as_people(&self, key: &Key, mut content: Value) -> Result<Option<Arc<Object>>, Refusal> {
        content["metadata"]["name"] = key.name.as_str().into();
        self.write(Verb::Create, key, |state| state.create(key.kind, &key.namespace, Sent::read(content)?).map(Some))
    }

    /// Replaces the spec of a custom resource.
    pub fn replace_spec(&self, key: &Key, spec: Value) -> Result<(), Refusal> {
        self.write(Verb::Update, key, |state| {
            let current = state.get(key).ok_or_else(|| Refusal::not_found(key))?;
            // Of the fields of a custom resource its spec alone counts here.
            let sent = Sent::with_spec(current, spec);
            state.replace(key, sent).map(|(object, _)| Some(object))
        })
        .map(drop)
    }

    /// Replaces the spec of a custom resource, which is created where it is not there.
    pub fn apply(&self, key: &Key, spec: Value) -> Result<(), Refusal> {
        if self.exists(key) { self.replace_spec(key, spec) } else { self.create_as_people(key, json!({ "spec": spec })).map(drop) }
    }

    /// Applies a merge patch to an object.
    pub fn patch(&self, key: &Key, patch: Value) -> Result<Value, Refusal> {
        self.patch_as_people(key, patch).map(shown)
    }

    /// Deletes an object. One with finalizers is there until they are removed. A namespace goes with all that is in it.
    pub fn delete(&self, key: &Key) -> Result<(), Refusal> {
        self.write(Verb::Delete, key, |state| {
            let (Deletion::Gone(object) | Deletion::Marked(object)) = state.delete(key, &Precondition::default())?;
            if key.kind == Kind::Namespace {
                state.purge(&key.name)?;
            }
            Ok(Some(object))
        })
        .map(drop)
    }

    /// Marks a namespace as deleted; what is in it is still there until [`Cluster::purge_namespace`].
    pub fn terminate_namespace(&self, name: &str) -> Result<(), Refusal> {
        let key = Key::namespace(name);
        self.write(Verb::Delete, &key, |state| {
            let (Deletion::Gone(object) | Deletion::Marked(object)) = state.delete(&key, &Precondition::default())?;
            Ok(Some(object))
        })
        .map(drop)
    }

    /// Deletes all that is in a namespace that is marked as deleted; the namespace goes with the last of it.
    pub fn purge_namespace(&self, name: &str) -> Result<(), Refusal> {
        self.state.lock().purge(name)
    }

    /// Sets a label, or removes it.
    pub fn label(&self, key: &Key, name: &str, value: Option<&str>) -> Result<(), Refusal> {
        self.patch_as_people(key, json!({ "metadata": { "labels": { name: value } } })).map(drop)
    }

    /// Sets an annotation, or removes it.
    pub fn annotate(&self, key: &Key, name: &str, value: Option<&str>) -> Result<(), Refusal> {
        self.patch_as_people(key, json!({ "metadata": { "annotations": { name: value } } })).map(drop)
    }

    /// Adds a finalizer.
    pub fn add_finalizer(&self, key: &Key, finalizer: &str) -> Result<(), Refusal> {
        self.set_finalizers(key, |finalizers| finalizers.push(finalizer.to_owned()))
    }

    /// Removes a finalizer; with the last one an object goes that is being deleted.
    pub fn remove_finalizer(&self, key: &Key, finalizer: &str) -> Result<(), Refusal> {
        self.set_finalizers(key, |finalizers| finalizers.retain(|one| one != finalizer))
    }

    fn set_finalizers(&self, key: &Key, set: impl FnOnce(&mut Vec<String>)) -> Result<(), Refusal> {
        let finalizers = self.state.lock().get(key).map(|object| object.meta.free.finalizers.clone());
        let mut finalizers = finalizers.ok_or_else(|| Refusal::not_found(key))?;
        set(&mut finalizers);
        self.patch_as_people(key, json!({ "metadata": { "finalizers": finalizers } })).map(drop)
    }

    /// Writes the status of a custom resource, whatever it is.
    pub fn write_status(&self, key: &Key, status: &Value) -> Result<(), Refusal> {
        self.set_status(key, Some(text_of(status)))
    }

    /// Takes the status away: what is there then is the default of the CRD.
    pub fn erase_status(&self, key: &Key) -> Result<(), Refusal> {
        self.set_status(key, None)
    }

    fn set_status(&self, key: &Key, status: Option<Arc<str>>) -> Result<(), Refusal> {
        self.write(Verb::UpdateStatus, key, |state| {
            let current = state.get(key).ok_or_else(|| Refusal::not_found(key))?;
            let sent = Precondition { uid: String::new(), resource_version: current.meta.resource_version };
            state.replace_status(key, status, &sent).map(Some)
        })
        .map(drop)
    }

    /// Creates a namespace with labels.
    pub fn create_namespace(&self, name: &str, labels: &[(&str, &str)]) -> Result<(), Refusal> {
        let labels: Value = labels.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
        self.create_as_people(&Key::namespace(name), json!({ "metadata": { "labels": labels } })).map(drop)
    }

    /// Makes the data of a Secret this, and the Secret where it is not there.
    pub fn put_secret(&self, key: &Key, data: &[(&str, &str)]) -> Result<(), Refusal> {
        let texts: Value = data.iter().map(|(name, text)| ((*name).to_owned(), Value::from(*text))).collect();
        if !self.exists(key) {
            return self.create_as_people(key, json!({ "stringData": texts })).map(drop);
        }
        self.write(Verb::Update, key, |state| {
            let current = state.get(key).ok_or_else(|| Refusal::not_found(key))?;
            let mut sent = Sent::read(current.value())?;
            sent.fields.remove("data");
            sent.fields.insert("stringData".to_owned(), texts);
            state.replace(key, sent).map(|(object, _)| Some(object))
        })
        .map(drop)
    }

    /// An object as it is.
    pub fn read(&self, key: &Key) -> Option<Value> {
        let object = self.current(key)?;
        Some(object.value())
    }

    /// One field of an object as it is, such as its spec.
    pub fn read_field(&self, key: &Key, field: &str) -> Option<Value> {
        serde_json::from_str(self.current(key)?.content.get(field)?).ok()
    }

    /// The uid of an object.
    pub fn uid(&self, key: &Key) -> Option<String> {
        Some(self.current(key)?.meta.uid.clone())
    }

    /// An object as it is, as this type.
    pub fn read_as<T: DeserializeOwned>(&self, key: &Key) -> Option<T> {
        serde_json::from_slice(&self.current(key)?.text).ok()
    }

    /// Whether there is such an object.
    pub fn exists(&self, key: &Key) -> bool {
        self.current(key).is_some()
    }

    fn current(&self, key: &Key) -> Option<Arc<Object>> {
        let mut state = self.state.lock();
        if key.kind == Kind::Event {
            state.expire_events();
        }
        state.get(key).cloned()
    }

    /// All objects of a kind, in the order of lists.
    pub fn keys(&self, kind: Kind) -> Vec<Key> {
        let mut state = self.state.lock();
        if kind == Kind::Event {
            state.expire_events();
        }
        state.objects[kind.index()].values().map(|object| object.key.clone()).collect()
    }

    /// The version that the last change made.
    pub fn resource_version(&self) -> u64 {
        self.state.lock().version
    }

    /// What is there now.
    pub fn snapshot(&self) -> Snapshot {
        let (version, objects) = self.state.lock().contents();
        Snapshot { version, objects }
    }

    /// Restores from a backup of objects, as Velero does: what is not there is made anew, without status and finalizers.
    /// What is there stays as it is. Events and Leases are no part of it.
    pub fn restore_backup(&self, snapshot: &Snapshot) {
        let mut state = self.state.lock();
        for kind in [Kind::Namespace, Kind::Secret, Kind::Tenant, Kind::Object] {
            for object in snapshot.objects[kind.index()].values() {
                let Ok(mut sent) = Sent::read(object.value()) else { continue };
                (sent.uid, sent.resource_version, sent.free) = (String::new(), 0, object.meta.free.restored());
                // It may be there, and its namespace may not: such an object is passed over.
                drop(state.create(kind, &object.key.namespace, sent));
            }
        }
    }

    /// Restores the whole store as it was: versions go back as well, and running watches break. A watch that goes on from a
    /// version that is not there yet is silent until it is, as with the real one; so keep the API server stopped for a
    /// while around this, as it is around a real restore.
    pub fn restore_etcd(&self, snapshot: &Snapshot) {
        let mut state = self.state.lock();
        state.chronicle.set_back();
        state.put_back(snapshot.version, snapshot.objects.clone());
        state.cut(Break::Error, |_| true);
    }
}

/// An object as people read it.
fn shown(object: Option<Arc<Object>>) -> Value {
    object.map(|object| object.value()).unwrap_or_default()
}
