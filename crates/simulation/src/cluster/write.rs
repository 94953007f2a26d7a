//! What changes the store: create, replace, patch, delete, with the rules that the API server has for each kind. People and
//! the operator go the same way.

use std::sync::Arc;

use k8s_openapi::ByteString;
use serde_json::{Map, Value, json};

use super::kind::{Key, Kind};
use super::object::{Content, FreeMeta, Meta, Object, Sent, same, text_of};
use super::refusal::Refusal;
use super::schema;
use super::store::State;

/// How long the note of an Event may be, in bytes.
const MOST_NOTE: usize = 1024;
/// How long its reason, its action and its reporter may be.
const MOST_WORD: usize = 128;
/// Namespaces that can't be deleted.
const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

/// What became of a deletion.
#[derive(Debug)]
pub(super) enum Deletion {
    /// The object is gone.
    Gone(Arc<Object>),
    /// It waits for its finalizers.
    Marked(Arc<Object>),
}

impl State {
    /// Creates an object in this namespace, or one without a namespace.
    pub(super) fn create(&mut self, kind: Kind, namespace: &str, sent: Sent) -> Result<Arc<Object>, Refusal> {
        if sent.resource_version != 0 {
            return Err(Refusal::internal("resourceVersion should not be set on objects to be created"));
        }
        if !sent.namespace.is_empty() && sent.namespace != namespace {
            return Err(Refusal::bad_request("the namespace of the provided object does not match the namespace sent on the request"));
        }
        let key = Key { kind, namespace: namespace.to_owned(), name: sent.name };
        if kind.names().namespaced {
            let place = Key::namespace(namespace);
            let there = self.get(&place).ok_or_else(|| Refusal::not_found(&place))?;
            if there.meta.deleted.is_some() {
                return Err(Refusal::terminating(&key));
            }
        }
        if key.name.is_empty() {
            return Err(Refusal::invalid(&key, "metadata.name", "Required value: name or generateName is required"));
        }
        let content = content(&key, sent.fields, None)?;
        if self.get(&key).is_some() {
            return Err(Refusal::exists(&key));
        }
        let mut free = sent.free;
        if kind == Kind::Namespace {
            free.labels.insert("kubernetes.io/metadata.name".to_owned(), key.name.clone());
        }
        let generation = kind.is_custom().then_some(1);
        let meta = Meta { uid: self.new_uid(), generation, created: self.seconds(), free, ..Meta::default() };
        Ok(self.put(key, meta, content, !kind.is_custom()))
    }

    /// Replaces an object by what was sent (a PUT). Yields whether it was created, which a Lease is where it is not there.
    pub(super) fn replace(&mut self, key: &Key, sent: Sent) -> Result<(Arc<Object>, bool), Refusal> {
        named(key, &sent)?;
        let Some(current) = self.get(key).cloned() else {
            return match key.kind {
                Kind::Lease if sent.uid.is_empty() => {
                    self.create(key.kind, &key.namespace, Sent { resource_version: 0, ..sent }).map(|created| (created, true))
                }
                Kind::Lease => Err(Refusal::wrong_uid(key, &sent.uid, "")),
                Kind::Object | Kind::Tenant | Kind::Namespace | Kind::Secret | Kind::Event => Err(Refusal::not_found(key)),
            };
        };
        is_current(&current, &sent.uid, sent.resource_version, matches!(key.kind, Kind::Namespace | Kind::Secret | Kind::Event))?;
        self.change(&current, sent).map(|changed| (changed, false))
    }

    /// Applies a merge patch.
    pub(super) fn patch(&mut self, key: &Key, patch: Value) -> Result<Arc<Object>, Refusal> {
        let current = self.get(key).cloned().ok_or_else(|| Refusal::not_found(key))?;
        let mut value = current.patched_value();
        merge(&mut value, patch);
        let sent = Sent::read(value)?;
        is_current(&current, "", sent.resource_version, false)?;
        if sent.uid != current.meta.uid {
            return Err(Refusal::invalid(key, "metadata.uid", &format!("Invalid value: {:?}: field is immutable", sent.uid)));
        }
        if sent.name != key.name || sent.namespace != key.namespace {
            return Err(Refusal::bad_request("the name of the object does not match the name on the URL"));
        }
        self.change(&current, sent)
    }

    /// Makes of the current version what was sent, but for what is not the sender's to say.
    fn change(&mut self, current: &Arc<Object>, sent: Sent) -> Result<Arc<Object>, Refusal> {
        let key = &current.key;
        let mut free = sent.free;
        if key.kind == Kind::Namespace {
            free.labels.insert("kubernetes.io/metadata.name".to_owned(), key.name.clone());
        }
        if current.meta.deleted.is_some() {
            let new: Vec<&String> = free.finalizers.iter().filter(|one| !current.meta.free.finalizers.contains(one)).collect();
            if !new.is_empty() {
                let why = format!("Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers {new:?}");
                return Err(Refusal::invalid(key, "metadata.finalizers", &why));
            }
        }
        let content = content(key, sent.fields, Some(current))?;
        // What is new in it was written here, so two texts that differ say different things.
        let unchanged = content == current.content;
        if unchanged && free == current.meta.free && current.status_is_stored {
            return Ok(current.clone());
        }
        let generation = current.meta.generation.map(|generation| if unchanged { generation } else { generation + 1 });
        let meta = Meta { generation, free, ..current.meta.clone() };
        Ok(self.store(current, meta, content))
    }

    /// Whether an object is there as a write expects it.
    pub(super) fn is_expected(&self, key: &Key, sent: &Precondition) -> Result<(), Refusal> {
        let current = self.get(key).ok_or_else(|| Refusal::not_found(key))?;
        is_current(current, &sent.uid, sent.resource_version, false)
    }

    /// Whether an object has this status already.
    pub(super) fn has_status(&self, key: &Key, text: &str) -> bool {
        self.get(key).and_then(|object| object.content.get("status")).is_some_and(|status| &**status == text)
    }

    /// Replaces the status alone. None: by that of the CRD.
    pub(super) fn replace_status(&mut self, key: &Key, status: Option<Arc<str>>, sent: &Precondition) -> Result<Arc<Object>, Refusal> {
        let current = self.get(key).cloned().ok_or_else(|| Refusal::not_found(key))?;
        is_current(&current, &sent.uid, sent.resource_version, false)?;
        let status = status.or_else(|| schema::default_of(key.kind, "status").as_ref().map(text_of));
        let Some(status) = status else { return Ok(current) };
        if current.status_is_stored && is_same(current.content.get("status"), &status) {
            return Ok(current);
        }
        let mut content = current.content.clone();
        content.insert("status".to_owned(), status);
        Ok(self.store(&current, current.meta.clone(), content))
    }

    /// Stores a new version; one that was waiting for its last finalizer is removed instead. Then the answer is what was
    /// sent, with the version that it was sent with.
    fn store(&mut self, current: &Arc<Object>, meta: Meta, content: Content) -> Arc<Object> {
        let key = current.key.clone();
        if meta.deleted.is_some() && meta.free.finalizers.is_empty() && key.kind != Kind::Namespace {
            self.remove_object(&key);
            return Arc::new(Object::new(key, meta, content, true));
        }
        self.put(key, meta, content, true)
    }

    fn remove_object(&mut self, key: &Key) -> Option<Arc<Object>> {
        let removed = self.remove(key);
        self.finish_namespace(&key.namespace);
        removed
    }

    /// Deletes an object, or marks it where it has finalizers.
    pub(super) fn delete(&mut self, key: &Key, sent: &Precondition) -> Result<Deletion, Refusal> {
        let current = self.get(key).cloned().ok_or_else(|| Refusal::not_found(key))?;
        let meets = (sent.uid.is_empty() || sent.uid == current.meta.uid)
            && (sent.resource_version == 0 || sent.resource_version == current.meta.resource_version);
        if !meets {
            return Err(Refusal::conflict(key));
        }
        if key.kind == Kind::Namespace {
            return self.terminate(&current).map(Deletion::Marked);
        }
        if current.meta.free.finalizers.is_empty() {
            return self.remove_object(key).map(Deletion::Gone).ok_or_else(|| Refusal::not_found(key));
        }
        if current.meta.deleted.is_some() {
            return Ok(Deletion::Marked(current));
        }
        let generation = current.meta.generation.map(|generation| generation + 1);
        let meta = Meta { deleted: Some(self.seconds()), generation, ..current.meta.clone() };
        Ok(Deletion::Marked(self.put(key.clone(), meta, current.content.clone(), true)))
    }

    fn terminate(&mut self, namespace: &Arc<Object>) -> Result<Arc<Object>, Refusal> {
        if IMMORTAL.contains(&namespace.key.name.as_str()) {
            return Err(Refusal::immortal(&namespace.key));
        }
        if namespace.meta.deleted.is_some() {
            return Ok(namespace.clone());
        }
        let mut content = namespace.content.clone();
        content.insert("status".to_owned(), r#"{"phase":"Terminating"}"#.into());
        let meta = Meta { deleted: Some(self.seconds()), ..namespace.meta.clone() };
        Ok(self.put(namespace.key.clone(), meta, content, true))
    }

    /// What the namespace controller does with a namespace that is being deleted: it deletes what is in there, and the
    /// namespace when nothing is left.
    pub(super) fn purge(&mut self, namespace: &str) -> Result<(), Refusal> {
        let key = Key::namespace(namespace);
        let there = self.get(&key).ok_or_else(|| Refusal::not_found(&key))?;
        if there.meta.deleted.is_none() {
            return Ok(());
        }
        for kind in Kind::NAMESPACED {
            for key in self.keys_in(kind, namespace) {
                self.delete(&key, &Precondition::default())?;
            }
        }
        self.finish_namespace(namespace);
        Ok(())
    }

    fn finish_namespace(&mut self, namespace: &str) {
        let key = Key::namespace(namespace);
        let ends = self.get(&key).is_some_and(|there| there.meta.deleted.is_some() && there.meta.free.finalizers.is_empty());
        if ends && Kind::NAMESPACED.iter().all(|kind| self.keys_in(*kind, namespace).is_empty()) {
            self.remove(&key);
        }
    }

    /// The objects of a kind in a namespace.
    fn keys_in(&self, kind: Kind, namespace: &str) -> Vec<Key> {
        let first = format!("{namespace}/");
        let from_there = self.objects[kind.index()].range(first..).map(|(_, object)| &object.key);
        from_there.take_while(|key| key.namespace == namespace).cloned().collect()
    }
}

/// What a write expects to find.
#[derive(Clone, Debug, Default)]
pub(super) struct Precondition {
    /// Empty: any.
    pub(super) uid: String,
    /// 0: any, where that is permitted.
    pub(super) resource_version: u64,
}

/// The uid comes before the version, as in the real one.
fn is_current(current: &Object, uid: &str, resource_version: u64, may_be_unconditional: bool) -> Result<(), Refusal> {
    if !uid.is_empty() && uid != current.meta.uid {
        return Err(Refusal::wrong_uid(&current.key, uid, &current.meta.uid));
    }
    if resource_version == current.meta.resource_version || (resource_version == 0 && may_be_unconditional) {
        return Ok(());
    }
    if resource_version == 0 {
        return Err(Refusal::invalid(&current.key, "metadata.resourceVersion", "Invalid value: 0: must be specified for an update"));
    }
    Err(Refusal::conflict(&current.key))
}

fn is_same(known: Option<&Arc<str>>, text: &Arc<str>) -> bool {
    known.is_some_and(|known| same(known, text))
}

/// A body names what its address names.
fn named(key: &Key, sent: &Sent) -> Result<(), Refusal> {
    if sent.name != key.name {
        return Err(Refusal::bad_request(format!(
            "the name of the object ({}) does not match the name on the URL ({})",
            sent.name, key.name
        )));
    }
    if !sent.namespace.is_empty() && sent.namespace != key.namespace {
        return Err(Refusal::bad_request("the namespace of the object does not match the namespace on the request"));
    }
    Ok(())
}

/// What is stored of the fields that were sent beside the metadata.
fn content(key: &Key, mut fields: Map<String, Value>, current: Option<&Object>) -> Result<Content, Refusal> {
    let mut content = Content::new();
    match key.kind {
        Kind::Object | Kind::Tenant => {
            if let Some(mut spec) = fields.remove("spec").filter(|spec| !spec.is_null()) {
                if let Some(schema) = schema::part(key.kind, "spec") {
                    schema.complete(&mut spec);
                }
                content.insert("spec".to_owned(), text_of(&spec));
            }
            let status = match current {
                Some(current) => current.content.get("status").cloned(),
                None => schema::default_of(key.kind, "status").as_ref().map(text_of),
            };
            content.extend(status.map(|status| ("status".to_owned(), status)));
            return Ok(content);
        }
        Kind::Namespace => {
            let fresh = || Content::from([("spec", r#"{"finalizers":["kubernetes"]}"#), ("status", r#"{"phase":"Active"}"#)].map(owned));
            return Ok(current.map_or_else(fresh, |current| current.content.clone()));
        }
        Kind::Secret => secret(key, &mut fields, current)?,
        Kind::Event => event(key, &mut fields)?,
        Kind::Lease => {}
    }
    for (name, value) in fields {
        content.insert(name, text_of(&value));
    }
    Ok(content)
}

fn owned((name, text): (&str, &str)) -> (String, Arc<str>) {
    (name.to_owned(), text.into())
}

fn secret(key: &Key, fields: &mut Map<String, Value>, current: Option<&Object>) -> Result<(), Refusal> {
    if let Some(Value::Object(texts)) = fields.remove("stringData") {
        let data = fields.entry("data").or_insert_with(|| json!({}));
        for (name, text) in texts {
            let bytes = ByteString(text.as_str().unwrap_or_default().as_bytes().to_vec());
            data[name] = serde_json::to_value(bytes).unwrap_or_default();
        }
    }
    let of_type = fields.entry("type").or_insert_with(|| "Opaque".into());
    if current.is_some_and(|current| current.text_field("type") != of_type.as_str().unwrap_or_default()) {
        return Err(Refusal::invalid(key, "type", "Invalid value: field is immutable"));
    }
    Ok(())
}

/// The rules of `events.k8s.io/v1` that a writer can run into.
fn event(key: &Key, fields: &mut Map<String, Value>) -> Result<(), Refusal> {
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    let invalid = |field: &str, why: &str| Err(Refusal::invalid(key, field, why));
    let regarding = fields.get("regarding").and_then(|regarding| regarding.get("namespace")).and_then(Value::as_str).unwrap_or_default();
    if regarding.is_empty() && key.namespace != "default" && key.namespace != "kube-system" {
        return invalid("involvedObject.namespace", "Invalid value: \"\": does not match event.namespace");
    }
    for name in ["eventTime", "reportingController", "reportingInstance", "action", "reason"] {
        if text(name).is_empty() {
            return invalid(name, "Required value");
        }
    }
    for name in ["reportingInstance", "action", "reason"] {
        if text(name).len() > MOST_WORD {
            return invalid(name, "Invalid value: \"\": can have at most 128 characters");
        }
    }
    if text("note").len() > MOST_NOTE {
        return invalid("message", "Invalid value: \"\": can have at most 1024 characters");
    }
    if !matches!(text("type"), "Normal" | "Warning") {
        return invalid("type", "Invalid value: \"\": has invalid value");
    }
    if let Some(series) = fields.get("series").filter(|series| !series.is_null()) {
        if series.get("count").and_then(Value::as_i64).unwrap_or_default() < 2 {
            return invalid("series.count", "Invalid value: \"\": should be at least 2");
        }
        if series.get("lastObservedTime").and_then(Value::as_str).is_none() {
            return invalid("series.lastObservedTime", "Required value");
        }
    }
    fields.entry("deprecatedSource").or_insert_with(|| json!({}));
    Ok(())
}

/// RFC 7396.
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let Some(fields) = target.as_object_mut() else { return };
    for (name, value) in patch {
        if value.is_null() {
            fields.remove(&name);
        } else {
            merge(fields.entry(name).or_insert(Value::Null), value);
        }
    }
}

/// Metadata of people's own choice for an object that is made anew.
impl FreeMeta {
    /// Without finalizers, as a backup restores it.
    pub(super) fn restored(&self) -> Self {
        Self { finalizers: Vec::new(), owners: None, ..self.clone() }
    }
}
