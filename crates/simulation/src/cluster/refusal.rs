//! What the API server says where it does not do what it is asked: a `Status`.

use serde_json::{Value, json};

use super::kind::{Key, Kind};

/// A request was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code} {reason}: {message}")]
pub struct Refusal {
    /// The HTTP status.
    pub code: u16,
    /// The reason, as machines read it; empty where the real one gives none.
    pub reason: &'static str,
    /// The message, as people read it.
    pub message: String,
    details: Option<Value>,
}

impl Refusal {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: None }
    }

    fn about(mut self, key: &Key) -> Self {
        let names = key.kind.names();
        let mut details = json!({ "name": key.name, "kind": names.plural });
        if !names.group.is_empty() {
            details["group"] = names.group.into();
        }
        self.details = Some(details);
        self
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self::new(500, "", message)
    }

    pub(super) fn not_found(key: &Key) -> Self {
        Self::new(404, "NotFound", format!("{} \"{}\" not found", resource(key.kind), key.name)).about(key)
    }

    pub(super) fn exists(key: &Key) -> Self {
        Self::new(409, "AlreadyExists", format!("{} \"{}\" already exists", resource(key.kind), key.name)).about(key)
    }

    pub(super) fn conflict(key: &Key) -> Self {
        Self::conflict_because(key, "the object has been modified; please apply your changes to the latest version and try again")
    }

    pub(super) fn wrong_uid(key: &Key, given: &str, there: &str) -> Self {
        let names = key.kind.names();
        let group = if matches!(names.group, "" | "coordination.k8s.io" | "events.k8s.io") { "" } else { names.group };
        let folder = if group.is_empty() { names.plural.to_owned() } else { format!("{group}/{}", names.plural) };
        let why = format!(
            "StorageError: invalid object, Code: 4, Key: /registry/{folder}/{}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: \
             UID in precondition: {given}, UID in object meta: {there}",
            key.path()
        );
        Self::conflict_because(key, &why)
    }

    fn conflict_because(key: &Key, why: &str) -> Self {
        Self::new(409, "Conflict", format!("Operation cannot be fulfilled on {} \"{}\": {why}", resource(key.kind), key.name)).about(key)
    }

    pub(super) fn invalid(key: &Key, field: &str, why: &str) -> Self {
        Self::new(422, "Invalid", format!("{} \"{}\" is invalid: {field}: {why}", resource(key.kind), key.name)).about(key)
    }

    pub(super) fn terminating(key: &Key) -> Self {
        let namespace = &key.namespace;
        let mut refusal = Self::new(
            403,
            "Forbidden",
            format!(
                "{} \"{}\" is forbidden: unable to create new content in namespace {namespace} because it is being terminated",
                resource(key.kind),
                key.name
            ),
        )
        .about(key);
        if let Some(details) = &mut refusal.details {
            let message = format!("namespace {namespace} is being terminated");
            details["causes"] = json!([{ "reason": "NamespaceTerminating", "message": message, "field": "metadata.namespace" }]);
        }
        refusal
    }

    pub(super) fn immortal(key: &Key) -> Self {
        Self::new(403, "Forbidden", format!("namespaces \"{}\" is forbidden: this namespace may not be deleted", key.name)).about(key)
    }

    pub(super) fn too_old(asked: u64, oldest: u64) -> Self {
        Self::new(410, "Expired", format!("too old resource version: {asked} ({oldest})"))
    }

    pub(super) fn compacted() -> Self {
        Self::new(410, "Expired", "The resourceVersion for the provided list is too old.")
    }

    pub(super) fn continue_expired() -> Self {
        Self::new(
            410,
            "Expired",
            "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue \
             parameter.",
        )
    }

    pub(super) fn too_large(asked: u64, now: u64) -> Self {
        let mut refusal = Self::new(504, "Timeout", format!("Timeout: Too large resource version: {asked}, current: {now}"));
        let causes = json!([{ "reason": "ResourceVersionTooLarge", "message": "Too large resource version" }]);
        refusal.details = Some(json!({ "causes": causes, "retryAfterSeconds": 1 }));
        refusal
    }

    pub(super) fn unsupported_patch(media: &str) -> Self {
        Self::new(415, "UnsupportedMediaType", format!("the simulated API server takes merge patches only, not {media}"))
    }

    pub(super) fn method(method: &str) -> Self {
        Self::new(405, "MethodNotAllowed", format!("the simulated API server does not take {method} here"))
    }

    pub(super) fn selector(selector: &str) -> Self {
        Self::bad_request(format!("Unable to find {selector:?}: field label not supported"))
    }

    /// The answer of something in front of the API server.
    pub(super) fn by_the_way(code: u16) -> Self {
        let reason = match code {
            400 => "BadRequest",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "NotFound",
            409 => "Conflict",
            410 => "Expired",
            422 => "Invalid",
            429 => "TooManyRequests",
            500 => "InternalError",
            503 => "ServiceUnavailable",
            504 => "Timeout",
            _ => "",
        };
        Self::new(code, reason, "refused before the API server")
    }

    /// The body.
    pub(super) fn body(&self) -> Vec<u8> {
        let mut body = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": self.message, "code": self.code,
        });
        if !self.reason.is_empty() {
            body["reason"] = self.reason.into();
        }
        if let Some(details) = &self.details {
            body["details"] = details.clone();
        }
        body.to_string().into_bytes()
    }
}

/// As messages name a kind.
fn resource(kind: Kind) -> String {
    let names = kind.names();
    if names.group.is_empty() { names.plural.to_owned() } else { format!("{}.{}", names.plural, names.group) }
}
