//! Faults on demand: what networks, proxies and other people do to a call.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::json::Object;

/// Changes a connection's options.
pub(crate) type Edit = Arc<dyn Fn(&mut serde_json::Map<String, serde_json::Value>) + Send + Sync>;

/// What happens to a matching call.
#[derive(Clone)]
pub enum Effect {
    /// Answers with this status and body; the call has no effect. Without a body, the API's own error body for that status.
    Status(u16, Option<String>),
    /// Waits before the call is looked at. Combines with other faults.
    Delay(Duration),
    /// The call takes effect, then the connection is closed without an answer.
    LoseAnswer,
    /// The call takes effect, and no answer ever comes.
    HangAfter,
    /// The call takes effect; of the answer's body only the first half arrives, then the connection is closed.
    CutBody,
    /// The connection is closed without an answer and the call has no effect.
    Drop,
    /// Answers 200 with an HTML page; the call has no effect.
    NotJson,
    /// Answers 200 with an error body (500); the call has no effect.
    ErrorBodyWith200,
    /// Answers 200 with a JSON document of about so many bytes; the call has no effect.
    HugeBody(usize),
    /// Never answers; the call has no effect.
    Hang,
    /// Answers 302 to this URL; the call has no effect.
    Redirect(String),
    /// After the matching read was answered from the state before, a third party changes the connection's options.
    EditBetween(EditBetween),
    /// Answers 429.
    RateLimited(RateLimited),
}

/// The change a third party makes right after a read.
#[derive(Clone)]
pub struct EditBetween {
    pub(crate) edit: Edit,
    /// The connection the fault is limited to, when it is.
    pub(crate) connection: Option<String>,
}

impl fmt::Debug for EditBetween {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("EditBetween").field("connection", &self.connection).finish_non_exhaustive()
    }
}

/// A 429 on demand. The documented standard answer carries the three `x-ratelimit` headers and no `Retry-After`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RateLimited {
    /// "Global limit has been reached" instead of "Endpoint limit has been reached".
    pub global: bool,
    /// Adds `Retry-After` in seconds.
    pub retry_after: Option<u64>,
    /// `x-ratelimit-reset`, in seconds from now; `None` sends no rate-limit headers at all.
    pub reset: Option<u64>,
}

impl Effect {
    /// The name under which the journal lists it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Status(..) => "status",
            Self::Delay(_) => "delay",
            Self::LoseAnswer => "lose_answer",
            Self::HangAfter => "hang_after",
            Self::CutBody => "cut_body",
            Self::Drop => "drop",
            Self::NotJson => "not_json",
            Self::ErrorBodyWith200 => "error_body_with_200",
            Self::HugeBody(_) => "huge_body",
            Self::Hang => "hang",
            Self::Redirect(_) => "redirect",
            Self::EditBetween(_) => "edit_between",
            Self::RateLimited(_) => "rate_limited",
        }
    }
}

impl fmt::Debug for Effect {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// A fault: which calls it meets, how often, and what it does.
///
/// ```
/// use auth0_emulator::Fault;
/// let fault = Fault::lose_answer().method("PATCH").connection("wordpress").times(1);
/// ```
#[derive(Clone, Debug)]
pub struct Fault {
    pub(crate) effect: Effect,
    pub(crate) method: Option<String>,
    pub(crate) path: Option<String>,
    pub(crate) connection: Option<String>,
    pub(crate) body: Option<String>,
    pub(crate) skip: usize,
    pub(crate) left: Option<usize>,
}

impl Fault {
    /// A fault that meets every call until it is cleared.
    pub fn new(effect: Effect) -> Self {
        Self { effect, method: None, path: None, connection: None, body: None, skip: 0, left: None }
    }

    /// Answers with this status and the API's own error body.
    pub fn status(status: u16) -> Self {
        Self::new(Effect::Status(status, None))
    }

    /// Answers with this status and body.
    pub fn status_with(status: u16, body: impl Into<String>) -> Self {
        Self::new(Effect::Status(status, Some(body.into())))
    }

    /// Waits first.
    pub fn delay(delay: Duration) -> Self {
        Self::new(Effect::Delay(delay))
    }

    /// The call takes effect and its answer is lost.
    pub fn lose_answer() -> Self {
        Self::new(Effect::LoseAnswer)
    }

    /// The call takes effect and is never answered.
    pub fn hang_after() -> Self {
        Self::new(Effect::HangAfter)
    }

    /// The call takes effect and half of its answer's body is lost.
    pub fn cut_body() -> Self {
        Self::new(Effect::CutBody)
    }

    /// The connection is closed and nothing happened.
    pub fn drop() -> Self {
        Self::new(Effect::Drop)
    }

    /// Answers 200 with HTML.
    pub fn not_json() -> Self {
        Self::new(Effect::NotJson)
    }

    /// Answers 200 with an error body.
    pub fn error_body_with_200() -> Self {
        Self::new(Effect::ErrorBodyWith200)
    }

    /// Answers 200 with a body of so many bytes.
    pub fn huge_body(bytes: usize) -> Self {
        Self::new(Effect::HugeBody(bytes))
    }

    /// Never answers.
    pub fn hang() -> Self {
        Self::new(Effect::Hang)
    }

    /// Answers 302.
    pub fn redirect(url: impl Into<String>) -> Self {
        Self::new(Effect::Redirect(url.into()))
    }

    /// Answers 429.
    pub fn rate_limited(limited: RateLimited) -> Self {
        Self::new(Effect::RateLimited(limited))
    }

    /// A third party changes the options right after a matching read of a single connection, or of a list that shows it. Meets `GET`
    /// only.
    pub fn edit_between(edit: impl Fn(&mut serde_json::Map<String, serde_json::Value>) + Send + Sync + 'static) -> Self {
        Self::new(Effect::EditBetween(EditBetween { edit: Arc::new(edit), connection: None })).method("GET")
    }

    /// Only calls with this method.
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_ascii_uppercase());
        self
    }

    /// Only calls whose path matches; `*` stands for any run of characters.
    pub fn path(mut self, pattern: &str) -> Self {
        self.path = Some(pattern.to_owned());
        self
    }

    /// Only calls of one connection, by name or id: in the path, or as the list's `name` filter.
    pub fn connection(mut self, name_or_id: &str) -> Self {
        self.connection = Some(name_or_id.to_owned());
        self
    }

    /// Only calls whose JSON body contains this text, as it was sent.
    pub fn body_contains(mut self, text: &str) -> Self {
        self.body = Some(text.to_owned());
        self
    }

    /// Lets so many matching calls pass first.
    pub fn after(mut self, calls: usize) -> Self {
        self.skip = calls;
        self
    }

    /// Meets so many calls, then is spent.
    pub fn times(mut self, times: usize) -> Self {
        self.left = Some(times);
        self
    }
}

/// What a fault looks at.
pub(crate) struct Target<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    /// Name and id of the connection the call is about.
    pub(crate) connection: Option<(&'a str, &'a str)>,
    /// Whether the call lists connections without naming one.
    pub(crate) lists: bool,
    /// The body, where it is text.
    pub(crate) body: &'a str,
}

impl Fault {
    fn matches(&self, target: &Target<'_>) -> bool {
        let listed = target.lists && matches!(self.effect, Effect::EditBetween(_));
        let connection = |wanted: &String| listed || target.connection.is_some_and(|(name, id)| wanted == name || wanted == id);
        self.left != Some(0)
            && self.method.as_deref().is_none_or(|method| method == target.method)
            && self.path.as_deref().is_none_or(|pattern| glob(pattern, target.path))
            && self.connection.as_ref().is_none_or(connection)
            && self.body.as_deref().is_none_or(|text| target.body.contains(text))
    }
}

/// The effects on one call: every matching delay and edit, and the first other fault.
pub(crate) fn choose(faults: &mut Vec<Fault>, target: &Target<'_>) -> Vec<Effect> {
    let mut chosen: Vec<Effect> = Vec::new();
    for fault in faults.iter_mut() {
        let composes = |effect: &Effect| matches!(effect, Effect::Delay(_) | Effect::EditBetween(_));
        if !fault.matches(target) || (!composes(&fault.effect) && chosen.iter().any(|effect| !composes(effect))) {
            continue;
        }
        if fault.skip > 0 {
            fault.skip -= 1;
            continue;
        }
        fault.left = fault.left.map(|left| left - 1);
        let mut effect = fault.effect.clone();
        if let Effect::EditBetween(between) = &mut effect {
            between.connection.clone_from(&fault.connection);
        }
        chosen.push(effect);
    }
    faults.retain(|fault| fault.left != Some(0));
    chosen
}

/// Whether `text` matches a pattern in which `*` stands for any run of characters.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(rest) = text.strip_prefix(head) else {
        return false;
    };
    (0..=rest.len()).filter(|start| rest.is_char_boundary(*start)).any(|start| glob(tail, &rest[start..]))
}

/// Applies an edit made on `serde_json` values; members the edit left alone keep their exact text.
pub(crate) fn apply_edit(options: &mut Object, edit: impl FnOnce(&mut serde_json::Map<String, serde_json::Value>)) {
    let before: serde_json::Map<String, serde_json::Value> =
        options.iter().map(|(key, value)| (key.to_owned(), value.to_value())).collect();
    let mut after = before.clone();
    edit(&mut after);
    for key in before.keys().filter(|key| !after.contains_key(*key)) {
        options.remove(key);
    }
    for (key, value) in after.iter().filter(|(key, value)| before.get(*key) != Some(value)) {
        options.insert(key.as_str(), super::json::Json::from_value(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Json;

    #[test]
    fn globs_match() {
        assert!(glob("/api/v2/connections/*", "/api/v2/connections/con_1"));
        assert!(!glob("/api/v2/connections/*", "/api/v2/connections"));
        assert!(glob("*", ""));
        assert!(glob("*/token", "/oauth/token"));
        assert!(!glob("/x", "/xy"));
    }

    #[test]
    fn a_fault_is_spent_and_delays_combine() {
        let mut faults = vec![Fault::status(500).times(1), Fault::status(502), Fault::delay(Duration::from_secs(1)).times(1)];
        let target = Target { method: "GET", path: "/", connection: None, lists: false, body: "" };
        let names = |effects: Vec<Effect>| effects.iter().map(Effect::name).collect::<Vec<_>>();
        assert_eq!(names(choose(&mut faults, &target)), ["status", "delay"]);
        assert_eq!(faults.len(), 1);
        assert!(matches!(choose(&mut faults, &target)[0], Effect::Status(502, None)));
    }

    #[test]
    fn a_fault_can_wait() {
        let mut faults = vec![Fault::status(500).after(1).times(1)];
        let target = Target { method: "GET", path: "/", connection: None, lists: false, body: "" };
        assert!(choose(&mut faults, &target).is_empty());
        assert_eq!(choose(&mut faults, &target).len(), 1);
        assert!(choose(&mut faults, &target).is_empty());
    }

    #[test]
    fn an_edit_keeps_the_text_of_what_it_leaves_alone() {
        let Json::Object(mut options) = Json::parse(r#"{"big":12345678901234567890123,"a":1,"b":2}"#).unwrap() else { panic!("object") };
        apply_edit(&mut options, |options| {
            options.remove("a");
            options.insert("b".to_owned(), 3.into());
        });
        assert_eq!(options.to_string(), r#"{"big":12345678901234567890123,"b":3}"#);
    }
}
