//! A connection as the Management API returned it, with its `options` carried as opaque JSON text.
//!
//! Guarantees: every member of `options` other than `upstream_params`, and every entry of `upstream_params` that
//! no change names, goes back to the API as the text it came as: unknown members, order, nulls and numbers of any
//! size. `options` that are absent or not an object can't be written at all: the type has no way to do it.
//!
//! Assumes: the text is one JSON object. Fails: [`DocumentError`], which never holds a value of the document.

use std::collections::BTreeMap;
use std::fmt;

use ring::digest;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::api::upstream_params::Alias;
use crate::model::identity::{ConnectionId, ConnectionName, Fingerprint, TenantIdentity};

/// The member of `options` that this operator manages entries of.
pub(crate) const UPSTREAM_PARAMS: &str = "upstream_params";

/// The members of `options` that something is decided by: the parameters, and what says which protocol a connection speaks and
/// what else is in its authorization request.
const DECIDING: [&str; 5] = [UPSTREAM_PARAMS, "authParams", "protocol", "use_wsfed", "waad_protocol"];

/// How deep two documents are compared by meaning; anything nested deeper is compared as text.
const COMPARED_DEPTH: usize = 64;

/// The value of one upstream parameter, as Auth0 defines it: exactly one of `{"value": ...}` and `{"alias": ...}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entry {
    /// Static: sent to the identity provider as it stands.
    Value(String),
    /// Dynamic: what the application sent to `/authorize` under this name.
    Alias(Alias),
}

impl Entry {
    /// The one spelling of this entry, which goes on the wire and into fingerprints.
    pub fn canonical(&self) -> String {
        let (member, text) = match self {
            Self::Value(text) => ("value", text.as_str()),
            Self::Alias(alias) => ("alias", alias.as_str()),
        };
        serde_json::json!({ member: text }).to_string()
    }
}

/// One entry of the live `upstream_params`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Live {
    /// An entry of today's shape.
    Entry(Entry),
    /// Anything else: both members, an alias outside the twelve, a bare string, `null`. It equals nothing.
    Foreign,
}

impl Live {
    /// The entry; none where it has no shape of today.
    pub(crate) fn entry(&self) -> Option<&Entry> {
        match self {
            Self::Entry(entry) => Some(entry),
            Self::Foreign => None,
        }
    }
}

/// Why a document can't be used. Names places, never values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DocumentError {
    /// Not a JSON object, cut short, or a member of the wrong type.
    #[error("the answer is not a connection: {0}")]
    NotAConnection(&'static str),
    /// Its id is not one as Auth0 makes them.
    #[error("the connection's id is not `con_` followed by letters and digits")]
    NotAnId,
    /// `options.upstream_params` is neither absent, `null` nor an object.
    #[error("options.upstream_params of the connection is not a JSON object; correct it in the Auth0 Dashboard or with the Management API")]
    ParamsNotAnObject,
    /// `options` is absent, as it is when the token lacks `read:connections_options`.
    #[error("Auth0 does not show the options of the connection; grant read:connections_options to the operator's application")]
    OptionsHidden,
    /// `options` is there and not an object, or absent although the token may read them.
    #[error("Auth0 shows no options of this connection, and a write would lose them; save the connection once in the Auth0 Dashboard")]
    OptionsUnusable,
}

/// The name of a member: as it is written, and what it means. JSON allows names that mean no text at all (half of a
/// surrogate pair), and one of those must not make the members beside it unreadable.
#[derive(Clone)]
struct Name {
    written: Box<RawValue>,
    text: Option<String>,
}

impl Name {
    fn new(text: &str) -> Result<Self, DocumentError> {
        Ok(Self { written: raw(&serde_json::Value::from(text).to_string())?, text: Some(text.to_owned()) })
    }

    fn is(&self, text: &str) -> bool {
        self.text.as_deref() == Some(text)
    }
}

/// A JSON object whose members keep their order, their repetitions and the text of their names and values.
#[derive(Clone, Default)]
pub(crate) struct Members(Vec<(Name, Box<RawValue>)>);

// Options hold client secrets: what may be shown of them is how many there are.
impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{} members}}", self.0.len())
    }
}

impl Members {
    fn parse(raw: &RawValue) -> Option<Self> {
        serde_json::from_str(raw.get()).ok()
    }

    /// The last member of this name, which is the one that JSON readers take.
    fn get(&self, name: &str) -> Option<&RawValue> {
        self.0.iter().rev().find(|(key, _)| key.is(name)).map(|(_, value)| value.as_ref())
    }

    fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.get(name)?.get()).ok()
    }

    /// Replaces the member in its place, or appends it. Of a repeated member one stays.
    fn set(&mut self, name: &str, value: Box<RawValue>) -> Result<(), DocumentError> {
        let old = self.0.iter().position(|(key, _)| key.is(name));
        let key = match old.and_then(|place| self.0.get(place)) {
            Some((key, _)) => key.clone(),
            None => Name::new(name)?,
        };
        let place = old.unwrap_or(self.0.len());
        self.remove(name);
        self.0.insert(place, (key, value));
        Ok(())
    }

    fn remove(&mut self, name: &str) {
        self.0.retain(|(key, _)| !key.is(name));
    }

    fn to_text(&self) -> String {
        let members = self.0.iter().map(|(name, value)| format!("{}:{}", name.written.get(), value.get()));
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some((written, value)) = access.next_entry::<Box<RawValue>, _>()? {
                    members.push((Name { text: serde_json::from_str(written.get()).ok(), written }, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}

/// A connection, read for the purpose of planning. Holds secrets: keep it no longer than a pass.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    /// Its id.
    pub id: ConnectionId,
    /// Its name.
    pub name: ConnectionName,
    /// The connection type, such as `waad`.
    pub strategy: String,
    /// Sent back beside `options`, because the API resets it to the name otherwise.
    display_name: Option<Box<RawValue>>,
    /// Or why there are none.
    options: Result<Members, DocumentError>,
    /// Whether members of `options` were left out: then there is nothing that could be written back.
    reduced: bool,
}

/// A connection in a list that can't be read as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable {
    /// Its name, or else its id; none where neither can be read.
    pub called: Option<String>,
    /// What is wrong with it.
    pub error: DocumentError,
}

/// One page of a list of connections.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    /// The connections, in the order of the page; one that can't be read hides no other.
    pub connections: Vec<Result<Document, Unreadable>>,
    /// Where the next page begins; none behind the last.
    pub next: Option<String>,
    /// Whether the page itself says that it is of a list that is told in pages. A bare list doesn't, and may be cut off anywhere.
    pub is_paged: bool,
}

impl Document {
    /// Reads one connection.
    pub(crate) fn parse(text: &str) -> Result<Self, DocumentError> {
        let members: Members = serde_json::from_str(text).map_err(|_| DocumentError::NotAConnection("not a JSON object"))?;
        let required =
            |name: &str, or: &'static str| members.text(name).filter(|text| !text.is_empty()).ok_or(DocumentError::NotAConnection(or));
        Ok(Self {
            id: ConnectionId::parse(&required("id", "its id is missing")?).map_err(|_| DocumentError::NotAnId)?,
            name: ConnectionName::from_auth0(&required("name", "its name is missing")?),
            strategy: required("strategy", "its strategy is missing")?,
            // The API takes a text only: a `null` sent back would get every write refused.
            display_name: members.get("display_name").filter(|raw| raw.get() != "null").map(ToOwned::to_owned),
            options: members
                .get("options")
                .ok_or(DocumentError::OptionsHidden)
                .and_then(|raw| Members::parse(raw).ok_or(DocumentError::OptionsUnusable)),
            reduced: false,
        })
    }

    /// Reads a list of connections in any of the API's three shapes: a bare array, or an object with `connections`.
    pub(crate) fn parse_list(text: &str) -> Result<Vec<Self>, DocumentError> {
        const NOT_A_LIST: DocumentError = DocumentError::NotAConnection("not a list of connections");
        let list: Vec<Box<RawValue>> = match serde_json::from_str(text) {
            Ok(list) => list,
            Err(_) => serde_json::from_str::<Members>(text)
                .ok()
                .and_then(|page| serde_json::from_str(page.get("connections")?.get()).ok())
                .ok_or(NOT_A_LIST)?,
        };
        list.iter().map(|item| Self::parse(item.get())).collect()
    }

    /// Reads a page of a list: an object with `connections` and, but for the last page, `next`; or a bare array.
    pub(crate) fn parse_page(text: &str) -> Result<Page, DocumentError> {
        const NOT_A_PAGE: DocumentError = DocumentError::NotAConnection("not a page of a list of connections");
        let page = serde_json::from_str::<Members>(text).ok();
        let list = page.as_ref().map_or(Some(text), |page| page.get("connections").map(RawValue::get)).ok_or(NOT_A_PAGE)?;
        let list: Vec<Box<RawValue>> = serde_json::from_str(list).map_err(|_| NOT_A_PAGE)?;
        let next = page.as_ref().and_then(|page| page.text("next")).filter(|next| !next.is_empty());
        // With `total` it is the other way of paging, which was not asked for.
        let is_paged = page.as_ref().is_some_and(|page| page.get("total").is_none());
        Ok(Page {
            connections: list.iter().map(|item| Self::parse(item.get()).map_err(|error| unreadable(item, error))).collect(),
            next,
            is_paged,
        })
    }

    /// Leaves of the options what decisions ask for, which is no secret. From what is left nothing can be written.
    pub(crate) fn reduced(mut self) -> Self {
        if let Ok(options) = &mut self.options {
            options.0.retain(|(name, _)| DECIDING.iter().any(|kept| name.is(kept)));
        }
        self.reduced = true;
        self
    }

    fn options(&self) -> Result<&Members, DocumentError> {
        self.options.as_ref().map_err(|error| *error)
    }

    fn params(&self) -> Result<Members, DocumentError> {
        let options = self.options()?;
        // Two members of this name would let us write one and the API keep the other.
        if options.0.iter().filter(|(key, _)| key.is(UPSTREAM_PARAMS)).count() > 1 {
            return Err(DocumentError::ParamsNotAnObject);
        }
        match options.get(UPSTREAM_PARAMS) {
            None => Ok(Members::default()),
            Some(raw) if raw.get().trim() == "null" => Ok(Members::default()),
            Some(raw) => Members::parse(raw).ok_or(DocumentError::ParamsNotAnObject),
        }
    }

    /// The live upstream parameters.
    pub(crate) fn live(&self) -> Result<BTreeMap<String, Live>, DocumentError> {
        // A name that is no text can't be declared by anybody; it is carried like every foreign entry.
        Ok(self.params()?.0.iter().filter_map(|(name, raw)| Some((name.text.clone()?, live(raw)))).collect())
    }

    /// The text of a member of `options` that is a string, such as `waad_protocol`.
    pub(crate) fn option_text(&self, name: &str) -> Option<String> {
        self.options.as_ref().ok()?.text(name)
    }

    /// Whether a member of `options` is `true`.
    pub(crate) fn option_is_true(&self, name: &str) -> bool {
        self.options.as_ref().ok().and_then(|options| options.get(name)).is_some_and(|raw| raw.get().trim() == "true")
    }

    /// The names inside a member of `options` that is an object, such as `authParams`.
    pub(crate) fn option_names(&self, name: &str) -> Vec<String> {
        let inner = self.options.as_ref().ok().and_then(|options| options.get(name)).and_then(Members::parse);
        inner.unwrap_or_default().0.into_iter().filter_map(|(key, _)| key.text).collect()
    }

    /// The body of the PATCH that makes `changes` (`None` removes) and nothing else: `options`, and `display_name`
    /// when the read had one.
    ///
    /// Removing the last entry omits `upstream_params`, which every connection type accepts; `null` is refused by one.
    pub(crate) fn patch_body(&self, changes: &BTreeMap<String, Option<Entry>>) -> Result<PatchBody, DocumentError> {
        if self.reduced {
            return Err(DocumentError::OptionsUnusable);
        }
        let options = self.changed(changes)?;
        let mut body = Members(vec![(Name::new("options")?, raw(&options.to_text())?)]);
        if let Some(display_name) = &self.display_name {
            body.set("display_name", display_name.clone())?;
        }
        Ok(PatchBody(body.to_text()))
    }

    /// The connection as it is once these `changes` are made, and nothing else: to see what follows from them without making them.
    pub(crate) fn with(&self, changes: &BTreeMap<String, Option<Entry>>) -> Result<Self, DocumentError> {
        Ok(Self { options: Ok(self.changed(changes)?), ..self.clone() })
    }

    /// The options with these changes.
    fn changed(&self, changes: &BTreeMap<String, Option<Entry>>) -> Result<Members, DocumentError> {
        let mut params = self.params()?;
        for (name, entry) in changes {
            match entry {
                Some(entry) => params.set(name, raw(&entry.canonical())?)?,
                None => params.remove(name),
            }
        }
        let mut options = self.options()?.clone();
        if params.0.is_empty() {
            options.remove(UPSTREAM_PARAMS);
        } else {
            options.set(UPSTREAM_PARAMS, raw(&params.to_text())?)?;
        }
        Ok(options)
    }

    /// A hash of everything in `options` but `upstream_params`, equal when the meaning is equal. Tells that somebody
    /// else changed something, without keeping what.
    pub(crate) fn foreign_hash(&self) -> Option<[u8; 32]> {
        let mut members = self.options.clone().ok()?;
        members.remove(UPSTREAM_PARAMS);
        Some(hash_of_meaning(&members))
    }

    /// A hash of all of `options`, as [`Document::foreign_hash`]; changes when anything of the connection's settings does. In which
    /// way there are no parameters is no difference.
    pub(crate) fn options_hash(&self) -> Option<[u8; 32]> {
        if self.params().is_ok_and(|params| params.0.is_empty()) {
            return self.foreign_hash();
        }
        self.options.as_ref().ok().map(hash_of_meaning)
    }
}

/// Equal where the members mean the same.
fn hash_of_meaning(members: &Members) -> [u8; 32] {
    let mut text = String::new();
    canonical_members(members, COMPARED_DEPTH, &mut text);
    sha256(&[text.as_bytes()])
}

/// The body of one PATCH, ready to send. Holds secrets.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PatchBody(String);

impl fmt::Debug for PatchBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PatchBody({} bytes)", self.0.len())
    }
}

impl PatchBody {
    /// The JSON text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a write of this entry is recorded as: over who (tenant), where (connection), under which name, and what.
pub(crate) fn fingerprint(tenant: &TenantIdentity, connection: &ConnectionId, name: &str, entry: &Entry) -> Fingerprint {
    Fingerprint::of_digest(sha256(&[tenant.as_bytes(), connection.as_bytes(), name.as_bytes(), entry.canonical().as_bytes()]))
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        // The length first, so that no two lists of parts read the same.
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// What can still be said of an item of a list that is no connection.
fn unreadable(item: &RawValue, error: DocumentError) -> Unreadable {
    let members = Members::parse(item);
    let text = |name: &str| members.as_ref().and_then(|members| members.text(name)).filter(|text| !text.is_empty());
    Unreadable { called: text("name").or_else(|| text("id")), error }
}

fn live(raw: &RawValue) -> Live {
    let Some(members) = Members::parse(raw) else { return Live::Foreign };
    let [(Name { text: Some(member), .. }, _)] = members.0.as_slice() else { return Live::Foreign };
    let Some(text) = members.text(member) else { return Live::Foreign };
    match member.as_str() {
        "value" => Live::Entry(Entry::Value(text)),
        "alias" => text.parse().map_or(Live::Foreign, |alias| Live::Entry(Entry::Alias(alias))),
        _ => Live::Foreign,
    }
}

fn raw(text: &str) -> Result<Box<RawValue>, DocumentError> {
    RawValue::from_string(text.to_owned()).map_err(|_| DocumentError::NotAConnection("it can't be written back"))
}

/// Appends a spelling of the members in which order and white space no longer matter.
fn canonical_members(members: &Members, depth: usize, out: &mut String) {
    let spelled = |name: &Name| match &name.text {
        Some(text) => serde_json::Value::from(text.as_str()).to_string(),
        None => name.written.get().to_owned(),
    };
    let sorted: BTreeMap<String, &RawValue> = members.0.iter().map(|(name, value)| (spelled(name), value.as_ref())).collect();
    out.push('{');
    for (key, value) in sorted {
        out.push_str(&key);
        out.push(':');
        canonical(value, depth, out);
        out.push(',');
    }
    out.push('}');
}

fn canonical(value: &RawValue, depth: usize, out: &mut String) {
    let text = value.get().trim();
    match text.as_bytes().first() {
        Some(b'{') if depth > 0 => {
            if let Some(members) = Members::parse(value) {
                return canonical_members(&members, depth - 1, out);
            }
        }
        Some(b'[') if depth > 0 => {
            if let Ok(items) = serde_json::from_str::<Vec<Box<RawValue>>>(text) {
                out.push('[');
                for item in &items {
                    canonical(item, depth - 1, out);
                    out.push(',');
                }
                out.push(']');
                return;
            }
        }
        Some(b'"') => {
            if let Ok(decoded) = serde_json::from_str::<String>(text) {
                out.push_str(&serde_json::Value::from(decoded).to_string());
                return;
            }
        }
        _ => {}
    }
    out.push_str(text);
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
