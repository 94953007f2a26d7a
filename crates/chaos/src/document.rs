//! A connection as JSON text, taken apart without changing a byte of what it holds.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

/// What begins the names of parameters that objects declare. All other parameters are somebody else's.
pub(crate) const OWN: &str = "own-";

/// A member of a connection that must survive: everything but the parameters that objects declare.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    /// An option.
    Option(String),
    /// A parameter of somebody else.
    Param(String),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Option(name) => write!(f, "the option {name}"),
            Self::Param(name) => write!(f, "the parameter {name}"),
        }
    }
}

/// A connection, or the body of a PATCH.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Document {
    /// Its members beside the options, as text.
    pub(crate) fields: BTreeMap<String, String>,
    /// Whether it has options.
    pub(crate) has_options: bool,
    /// What must survive, as text.
    pub(crate) foreign: BTreeMap<Key, String>,
    /// The parameters that objects declare, as text.
    pub(crate) own: BTreeMap<String, String>,
}

type Members = BTreeMap<String, Box<RawValue>>;

impl Document {
    /// Reads a connection, or the body of a PATCH.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut fields: Members = serde_json::from_str(text).ok()?;
        let options = match fields.remove("options") {
            Some(options) => serde_json::from_str::<Option<Members>>(options.get()).ok()?,
            None => None,
        };
        let mut document = Self {
            fields: fields.into_iter().map(|(name, value)| (name, value.get().to_owned())).collect(),
            has_options: options.is_some(),
            ..Self::default()
        };
        for (name, value) in options.unwrap_or_default() {
            if name == "upstream_params" {
                document.take_params(value.get());
            } else {
                document.foreign.insert(Key::Option(name), value.get().to_owned());
            }
        }
        Some(document)
    }

    fn take_params(&mut self, text: &str) {
        for (name, value) in serde_json::from_str::<Option<Members>>(text).ok().flatten().unwrap_or_default() {
            let value = value.get().to_owned();
            if name.starts_with(OWN) {
                self.own.insert(name, value);
            } else {
                self.foreign.insert(Key::Param(name), value);
            }
        }
    }

    /// The id, of a connection that has one.
    pub(crate) fn id(&self) -> Option<String> {
        serde_json::from_str(self.fields.get("id")?).ok()
    }

    /// The name, of a connection that has one.
    pub(crate) fn name(&self) -> Option<String> {
        serde_json::from_str(self.fields.get("name")?).ok()
    }

    /// The value of a parameter that objects declare, where it is a fixed text.
    pub(crate) fn own_value(&self, name: &str) -> Option<String> {
        #[derive(Deserialize)]
        struct Entry {
            value: String,
        }
        serde_json::from_str::<Entry>(self.own.get(name)?).ok().map(|entry| entry.value)
    }
}

/// The connections in the answer to a read: one, a list, or a page.
pub(crate) fn connections_in(text: &str) -> Vec<Document> {
    #[derive(Deserialize)]
    struct Page {
        connections: Vec<Box<RawValue>>,
    }
    let list = serde_json::from_str::<Page>(text).map(|page| page.connections);
    let list = list.or_else(|_| serde_json::from_str::<Vec<Box<RawValue>>>(text));
    let texts: Vec<&str> = list.as_ref().map_or_else(|_| vec![text], |list| list.iter().map(|raw| raw.get()).collect());
    texts.into_iter().filter_map(Document::parse).filter(|document| document.id().is_some()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_taken_apart_byte_by_byte() {
        let text = r#"{"id":"con_1","options":{"n":{"a": 2.50,"b":12345678901234567890123},"upstream_params":{"own-1":{"value":"x"},"x":{"alias":"login_hint"}}}}"#;
        let document = Document::parse(text).unwrap();
        assert_eq!(document.id().as_deref(), Some("con_1"));
        assert_eq!(document.foreign[&Key::Option("n".to_owned())], r#"{"a": 2.50,"b":12345678901234567890123}"#);
        assert_eq!(document.foreign[&Key::Param("x".to_owned())], r#"{"alias":"login_hint"}"#);
        assert_eq!((document.own_value("own-1").as_deref(), document.foreign.len()), (Some("x"), 2));
        assert_eq!(connections_in(&format!("[{text}]")), std::slice::from_ref(&document));
        assert_eq!(connections_in(&format!(r#"{{"connections":[{text}],"next":"x"}}"#)), [document]);
        assert!(connections_in(r#"{"statusCode":500}"#).is_empty());
    }

    #[test]
    fn no_options_are_not_empty_options() {
        assert!(!Document::parse(r#"{"id":"con_1"}"#).unwrap().has_options);
        assert!(!Document::parse(r#"{"id":"con_1","options":null}"#).unwrap().has_options);
        assert!(Document::parse(r#"{"id":"con_1","options":{}}"#).unwrap().has_options);
        assert_eq!(Document::parse(r#"{"options":{"upstream_params":null}}"#).unwrap().own.len(), 0);
    }
}
