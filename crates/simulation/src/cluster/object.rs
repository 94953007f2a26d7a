//! One version of an object. Its JSON text is made once, and is what lists, watches and answers send.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, OnceLock};

use axum::body::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::kind::{Key, Kind};
use super::refusal::Refusal;

/// The metadata of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) uid: String,
    pub(super) resource_version: u64,
    pub(super) generation: Option<i64>,
    /// In seconds, as everything here that is a time.
    pub(super) created: i64,
    pub(super) deleted: Option<i64>,
    pub(super) free: FreeMeta,
}

/// What of the metadata is the clients' to choose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FreeMeta {
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) finalizers: Vec<String>,
    pub(super) owners: Option<Value>,
}

/// Everything of an object but its metadata: the JSON text of each field.
pub(super) type Content = BTreeMap<String, Arc<str>>;

/// One version of an object.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) key: Key,
    pub(super) meta: Meta,
    pub(super) content: Content,
    /// Whether the status is in the store: a new object has none there, and shows the default of the CRD.
    pub(super) status_is_stored: bool,
    /// The whole as JSON.
    pub(super) text: Bytes,
    partial: OnceLock<Bytes>,
}

impl Object {
    pub(super) fn new(key: Key, meta: Meta, content: Content, status_is_stored: bool) -> Self {
        let text = text(&key, &meta, &content);
        Self { key, meta, content, status_is_stored, text: text.into(), partial: OnceLock::new() }
    }

    /// The metadata alone, as who asks for no more gets it.
    pub(super) fn partial(&self) -> &Bytes {
        self.partial.get_or_init(|| {
            let mut text = br#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":"#.to_vec();
            write_meta(&mut text, &self.key, &self.meta);
            text.push(b'}');
            text.into()
        })
    }

    pub(super) fn value(&self) -> Value {
        serde_json::from_slice(&self.text).unwrap_or_default()
    }

    /// What of it a patch may change: of a custom resource all but its status.
    pub(super) fn patched_value(&self) -> Value {
        let spec = self.content.get("spec").filter(|_| self.key.kind.is_custom());
        let Some(spec) = spec.and_then(|spec| serde_json::from_str::<Value>(spec).ok()) else { return self.value() };
        let mut value: Value = serde_json::from_slice(self.partial()).unwrap_or_default();
        value["spec"] = spec;
        value
    }

    /// A field of a Secret or an Event that selectors may name.
    pub(super) fn text_field(&self, name: &str) -> String {
        self.content.get(name).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }
}

/// How an object begins that has its kind in it; in the lists of Kubernetes' own kinds that part is left out.
pub(super) fn head(kind: Kind) -> String {
    let names = kind.names();
    format!(r#"{{"apiVersion":"{}","kind":"{}","#, names.version, names.kind)
}

fn text(key: &Key, meta: &Meta, content: &Content) -> Vec<u8> {
    let size: usize = content.iter().map(|(name, text)| name.len() + text.len() + 4).sum();
    let mut out = Vec::with_capacity(size + 512);
    out.extend_from_slice(head(key.kind).as_bytes());
    out.extend_from_slice(br#""metadata":"#);
    write_meta(&mut out, key, meta);
    for (name, text) in content {
        out.push(b',');
        write_string(&mut out, name);
        out.push(b':');
        out.extend_from_slice(text.as_bytes());
    }
    out.push(b'}');
    out
}

fn write_meta(out: &mut Vec<u8>, key: &Key, meta: &Meta) {
    out.extend_from_slice(br#"{"name":"#);
    write_string(out, &key.name);
    if !key.namespace.is_empty() {
        out.extend_from_slice(br#","namespace":"#);
        write_string(out, &key.namespace);
    }
    // Writing to memory does not fail.
    drop(write!(out, r#","uid":"{}","resourceVersion":"{}""#, meta.uid, meta.resource_version));
    if let Some(generation) = meta.generation {
        drop(write!(out, r#","generation":{generation}"#));
    }
    drop(write!(out, r#","creationTimestamp":"{}""#, time(meta.created)));
    if let Some(deleted) = meta.deleted {
        drop(write!(out, r#","deletionTimestamp":"{}""#, time(deleted)));
        if key.kind != Kind::Namespace {
            out.extend_from_slice(br#","deletionGracePeriodSeconds":0"#);
        }
    }
    for (name, texts) in [("labels", &meta.free.labels), ("annotations", &meta.free.annotations)] {
        if !texts.is_empty() {
            drop(write!(out, r#","{name}":"#));
            drop(serde_json::to_writer(&mut *out, texts));
        }
    }
    if let Some(owners) = &meta.free.owners {
        drop(write!(out, r#","ownerReferences":{owners}"#));
    }
    if !meta.free.finalizers.is_empty() {
        out.extend_from_slice(br#","finalizers":"#);
        drop(serde_json::to_writer(&mut *out, &meta.free.finalizers));
    }
    out.push(b'}');
}

fn write_string(out: &mut Vec<u8>, text: &str) {
    drop(serde_json::to_writer(out, text));
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or_default()
}

/// What a client sends of an object.
#[derive(Debug, Default)]
pub(super) struct Sent {
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) uid: String,
    pub(super) resource_version: u64,
    pub(super) free: FreeMeta,
    pub(super) fields: Map<String, Value>,
}

impl Sent {
    /// An object as it is, with another spec and without any other field.
    pub(super) fn with_spec(object: &Object, spec: Value) -> Self {
        let (key, meta) = (&object.key, &object.meta);
        Self {
            name: key.name.clone(),
            namespace: key.namespace.clone(),
            uid: meta.uid.clone(),
            resource_version: meta.resource_version,
            free: meta.free.clone(),
            fields: Map::from_iter([("spec".to_owned(), spec)]),
        }
    }

    pub(super) fn read(value: Value) -> Result<Self, Refusal> {
        let Value::Object(mut fields) = value else {
            return Err(Refusal::bad_request("the object provided is unrecognized"));
        };
        fields.remove("apiVersion");
        fields.remove("kind");
        let mut meta = match fields.remove("metadata") {
            Some(Value::Object(meta)) => meta,
            Some(Value::Null) | None => Map::new(),
            Some(_) => return Err(Refusal::bad_request("metadata is not an object")),
        };
        Ok(Self {
            name: taken(&mut meta, "name")?,
            namespace: taken(&mut meta, "namespace")?,
            uid: taken(&mut meta, "uid")?,
            resource_version: version(&taken::<String>(&mut meta, "resourceVersion")?)?,
            free: FreeMeta {
                labels: taken(&mut meta, "labels")?,
                annotations: taken(&mut meta, "annotations")?,
                finalizers: taken(&mut meta, "finalizers")?,
                owners: meta.remove("ownerReferences").filter(|owners| !owners.is_null()),
            },
            fields,
        })
    }
}

fn taken<T: Default + serde::de::DeserializeOwned>(meta: &mut Map<String, Value>, name: &str) -> Result<T, Refusal> {
    match meta.remove(name) {
        None | Some(Value::Null) => Ok(T::default()),
        Some(value) => serde_json::from_value(value).map_err(|_| Refusal::bad_request(format!("metadata.{name} is of another type"))),
    }
}

/// A resourceVersion in the body of a write; 0 where there is none.
pub(super) fn version(text: &str) -> Result<u64, Refusal> {
    if text.is_empty() {
        return Ok(0);
    }
    text.parse().map_err(|_| Refusal::internal(format!("strconv.ParseUint: parsing {text:?}: invalid syntax")))
}

/// The text of a value. The same as its `to_string()`, which is slower.
pub(super) fn text_of(value: &Value) -> Arc<str> {
    serde_json::to_string(value).unwrap_or_default().into()
}

/// Whether two JSON texts say the same. Ours are written with sorted members; another client's may not be.
pub(super) fn same(one: &str, other: &str) -> bool {
    one == other
        || (one.len() == other.len()
            && matches!((serde_json::from_str::<Value>(one), serde_json::from_str::<Value>(other)), (Ok(one), Ok(other)) if one == other))
}
