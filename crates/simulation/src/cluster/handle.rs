//! What the API server answers.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::journal::{Entry, Verb, Who};
use super::kind::{Key, Kind};
use super::object::{Object, Sent, head, text_of, version};
use super::refusal::Refusal;
use super::route::{Query, Route};
use super::schema;
use super::selector::Selector;
use super::store::State;
use super::watch::{Asked, WatchBody};
use super::write::{Deletion, Precondition};
use crate::network::Request;

/// How long a watch lasts that does not say so.
const WATCH_TIME: u64 = 1800;

/// What of the headers counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Media {
    pub(super) accept: String,
    pub(super) content: String,
}

/// An answer.
pub(super) enum Reply {
    Whole(u16, Bytes),
    /// What is no API of this server gets no `Status`.
    NoSuchPath,
    Watch(Box<WatchBody>),
}

impl Reply {
    pub(super) fn code(&self) -> u16 {
        match self {
            Self::Whole(code, _) => *code,
            Self::NoSuchPath => 404,
            Self::Watch(_) => 200,
        }
    }
}

impl From<&Refusal> for Reply {
    fn from(refusal: &Refusal) -> Self {
        Self::Whole(refusal.code, refusal.body().into())
    }
}

/// Carries out a request and writes it into the journal.
pub(super) fn handle(shared: &Arc<Mutex<State>>, request: &Request, media: &Media) -> Reply {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let Some(route) = Route::read(path) else { return Reply::NoSuchPath };
    let query = Query::read(query);
    if !query.get("dryRun").is_empty() {
        return Reply::from(&Refusal::bad_request("the simulated API server has no dry runs"));
    }
    let verb = match (request.method.as_str(), route.key.name.is_empty()) {
        ("GET", true) if query.is_set("watch") => Verb::Watch,
        ("GET", true) => Verb::List,
        ("GET", false) => Verb::Get,
        ("POST", true) => Verb::Create,
        ("PUT", false) if route.status => Verb::UpdateStatus,
        ("PUT", false) => Verb::Update,
        ("PATCH", false) if !route.status => Verb::Patch,
        ("DELETE", false) if !route.status => Verb::Delete,
        _ => return Reply::from(&Refusal::method(&request.method)),
    };
    let mut guard = shared.lock();
    let state = &mut *guard;
    if state.unserved.contains(&route.key.kind) {
        return Reply::NoSuchPath;
    }
    if route.key.kind == Kind::Event {
        state.expire_events();
    }
    let version_before = state.version;
    let partial = media.accept.contains("as=PartialObjectMetadata");
    let mut key = route.key;
    let answer = match verb {
        Verb::Get => get(state, &key).map(|object| (200, object)),
        Verb::List => {
            state.chronicle.list(request.process, key.kind);
            let reply =
                list(state, request, &key, &query, partial).map_or_else(|refusal| Reply::from(&refusal), |page| Reply::Whole(200, page));
            return noted(state, request, verb, key, reply);
        }
        Verb::Watch => {
            let reply = watch(shared, state, request, &key, &query, partial);
            let reply = reply.map_or_else(|refusal| Reply::from(&refusal), |watch| Reply::Watch(Box::new(watch)));
            return noted(state, request, verb, key, reply);
        }
        Verb::Create => create(state, &mut key, &request.body).map(|object| (201, object)),
        Verb::Update => update(state, &key, &request.body),
        Verb::UpdateStatus => update_status(state, &key, &request.body).map(|object| (200, object)),
        Verb::Patch => patch(state, &key, media, &request.body).map(|object| (200, object)),
        Verb::Delete => delete(state, &key, &request.body).map(|object| (200, object)),
    };
    let changed = state.version != version_before;
    let (code, object) = match &answer {
        Ok((code, object)) => (*code, Some(object.text.clone())),
        Err(refusal) => (refusal.code, None),
    };
    if verb.is_write() || state.journal.is_kept {
        state.journal.note(Entry { at: state.age(), who: Who::Process(request.process), verb, key, code, changed, object });
    }
    drop(guard);
    match answer {
        Ok((code, object)) => Reply::Whole(code, if partial { object.partial().clone() } else { object.text.clone() }),
        Err(refusal) => Reply::from(&refusal),
    }
}

fn noted(state: &mut State, request: &Request, verb: Verb, key: Key, reply: Reply) -> Reply {
    if state.journal.is_kept {
        let who = Who::Process(request.process);
        state.journal.note(Entry { at: state.age(), who, verb, key, code: reply.code(), changed: false, object: None });
    }
    reply
}

fn get(state: &State, key: &Key) -> Result<Arc<Object>, Refusal> {
    state.get(key).cloned().ok_or_else(|| Refusal::not_found(key))
}

fn body(bytes: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_slice(bytes).map_err(|_| Refusal::bad_request("the object provided is unrecognized: json parse error"))
}

fn create(state: &mut State, key: &mut Key, bytes: &[u8]) -> Result<Arc<Object>, Refusal> {
    let sent = Sent::read(body(bytes)?)?;
    key.name.clone_from(&sent.name);
    state.create(key.kind, &key.namespace, sent)
}

fn update(state: &mut State, key: &Key, bytes: &[u8]) -> Result<(u16, Arc<Object>), Refusal> {
    let (object, created) = state.replace(key, Sent::read(body(bytes)?)?)?;
    Ok((if created { 201 } else { 200 }, object))
}

/// The body of a PUT of a status, of which nothing else counts.
#[derive(Deserialize)]
struct StatusBody<'a> {
    metadata: StatusMeta,
    #[serde(borrow, default)]
    status: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StatusMeta {
    name: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    uid: String,
    #[serde(default)]
    resource_version: String,
}

fn update_status(state: &mut State, key: &Key, bytes: &[u8]) -> Result<Arc<Object>, Refusal> {
    let unreadable = |_| Refusal::bad_request("the object provided is unrecognized: json parse error");
    let sent: StatusBody<'_> = serde_json::from_slice(bytes).map_err(unreadable)?;
    if sent.metadata.name != key.name {
        return Err(Refusal::bad_request(format!(
            "the name of the object ({}) does not match the name on the URL ({})",
            sent.metadata.name, key.name
        )));
    }
    if !sent.metadata.namespace.is_empty() && sent.metadata.namespace != key.namespace {
        return Err(Refusal::bad_request("the namespace of the object does not match the namespace on the request"));
    }
    let status = sent.status.map(RawValue::get);
    if status.is_some_and(|status| !status.starts_with('{')) {
        return Err(Refusal::invalid(key, "status", "Invalid value: must be of type object"));
    }
    let expected = Precondition { uid: sent.metadata.uid, resource_version: version(&sent.metadata.resource_version)? };
    state.is_expected(key, &expected)?;
    if let (Some(schema), Some(text)) = (schema::part(key.kind, "status"), status)
        && !state.has_status(key, text)
    {
        let mut value: Value = serde_json::from_str(text).map_err(unreadable)?;
        let completed = schema.complete(&mut value);
        if let Some((field, why)) = schema.flaw(&value) {
            return Err(Refusal::invalid(key, &format!("status{field}"), &format!("Invalid value: {why}")));
        }
        let kept = if completed { text_of(&value) } else { Arc::from(text) };
        return state.replace_status(key, Some(kept), &expected);
    }
    state.replace_status(key, status.map(Arc::from), &expected)
}

fn patch(state: &mut State, key: &Key, media: &Media, bytes: &[u8]) -> Result<Arc<Object>, Refusal> {
    if !media.content.starts_with("application/merge-patch+json") {
        return Err(Refusal::unsupported_patch(&media.content));
    }
    state.patch(key, body(bytes)?)
}

#[derive(Default, Deserialize)]
struct DeleteBody {
    preconditions: Option<Preconditions>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Preconditions {
    #[serde(default)]
    uid: Option<String>,
    #[serde(default)]
    resource_version: Option<String>,
}

fn delete(state: &mut State, key: &Key, bytes: &[u8]) -> Result<Arc<Object>, Refusal> {
    let sent: DeleteBody = if bytes.is_empty() { DeleteBody::default() } else { serde_json::from_value(body(bytes)?).unwrap_or_default() };
    let sent = sent.preconditions.unwrap_or_default();
    let expected =
        Precondition { uid: sent.uid.unwrap_or_default(), resource_version: version(&sent.resource_version.unwrap_or_default())? };
    let (Deletion::Gone(object) | Deletion::Marked(object)) = state.delete(key, &expected)?;
    Ok(object)
}

fn watch(
    shared: &Arc<Mutex<State>>,
    state: &mut State,
    request: &Request,
    key: &Key,
    query: &Query<'_>,
    partial: bool,
) -> Result<WatchBody, Refusal> {
    if query.is_set("sendInitialEvents") || !query.get("labelSelector").is_empty() {
        return Err(Refusal::bad_request("the simulated API server has no streaming lists and no label selectors"));
    }
    let from = query.get("resourceVersion");
    let from = if from.is_empty() { Ok(0) } else { from.parse() };
    let from = from.map_err(|_| Refusal::internal("resourceVersion: Invalid value: strconv.ParseUint: invalid syntax"))?;
    let lasts = query.get("timeoutSeconds").parse().ok().filter(|seconds| *seconds > 0).unwrap_or(WATCH_TIME);
    let asked = Asked {
        kind: key.kind,
        selector: Selector::new(key.kind, &key.namespace, query.get("fieldSelector"))?,
        partial,
        bookmarks: query.is_set("allowWatchBookmarks"),
        lasts: Duration::from_secs(lasts),
        from,
    };
    Ok(WatchBody::begin(shared, state, request.process, asked))
}

/// A page of a list.
fn list(state: &State, request: &Request, key: &Key, query: &Query<'_>, partial: bool) -> Result<Bytes, Refusal> {
    if !query.get("labelSelector").is_empty() {
        return Err(Refusal::bad_request("the simulated API server has no label selectors"));
    }
    let selector = Selector::new(key.kind, &key.namespace, query.get("fieldSelector"))?;
    let limit = query.get("limit").parse().ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    let (at, start) = list_begin(state, request, key.kind, query)?;
    let past;
    let objects = if at == state.version {
        &state.objects[key.kind.index()]
    } else {
        past = state.objects_at(key.kind, at);
        &past
    };
    let mut rest = objects.range(start..).filter(|(_, object)| selector.takes(object));
    let mut items = Vec::new();
    let head = head(key.kind);
    // The items of a list of Kubernetes' own kinds do not say what they are.
    let skip = if key.kind.is_custom() || partial { 0 } else { head.len() };
    let mut last = None;
    for (path, object) in rest.by_ref().take(limit) {
        if last.is_some() {
            items.push(b',');
        }
        if skip > 0 {
            items.push(b'{');
        }
        let text = if partial { object.partial() } else { &object.text };
        items.extend_from_slice(text.get(skip..).unwrap_or_default());
        last = Some(path);
    }
    let remaining = rest.count();
    let names = key.kind.names();
    let (api_version, kind) =
        if partial { ("meta.k8s.io/v1", "PartialObjectMetadataList".to_owned()) } else { (names.version, format!("{}List", names.kind)) };
    let mut page = format!(r#"{{"kind":"{kind}","apiVersion":"{api_version}","metadata":{{"resourceVersion":"{at}""#).into_bytes();
    if let Some(last) = last.filter(|_| remaining > 0) {
        page.extend_from_slice(format!(r#","continue":"{at}.{last}""#).as_bytes());
        if !selector.selects() {
            page.extend_from_slice(format!(r#","remainingItemCount":{remaining}"#).as_bytes());
        }
    }
    page.extend_from_slice(br#"},"items":["#);
    page.extend_from_slice(&items);
    page.extend_from_slice(b"]}");
    Ok(page.into())
}

/// At which version a page shows the objects, and where it begins.
fn list_begin(state: &State, request: &Request, kind: Kind, query: &Query<'_>) -> Result<(u64, String), Refusal> {
    let (token, asked) = (query.get("continue"), query.get("resourceVersion"));
    if !token.is_empty() {
        if !asked.is_empty() && asked != "0" {
            return Err(Refusal::bad_request("specifying resource version is not allowed when using continue"));
        }
        let read = token.split_once('.').and_then(|(at, last)| Some((at.parse::<u64>().ok()?, format!("{last}\0"))));
        let (at, start) = read.ok_or_else(|| Refusal::bad_request("invalid continue token: continue key is not valid"))?;
        // After a restore of etcd a token may be of a version that is not there yet.
        if at < state.listable || at > state.version {
            return Err(Refusal::continue_expired());
        }
        return Ok((at, start));
    }
    if asked.is_empty() {
        return Ok((state.version, String::new()));
    }
    let asked: u64 = asked.parse().map_err(|_| Refusal::bad_request("invalid resource version: strconv.ParseUint: invalid syntax"))?;
    if asked > state.version {
        return Err(Refusal::too_large(asked, state.version));
    }
    if query.get("resourceVersionMatch") == "Exact" {
        return if asked < state.listable { Err(Refusal::compacted()) } else { Ok((asked, String::new())) };
    }
    // What is not older than asked may be served from a cache that lags.
    Ok((state.seen_version(request.process, kind).max(asked), String::new()))
}
